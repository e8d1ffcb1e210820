//! Which process holds the other end of a connection, as the kernel tells.

use std::net::{IpAddr, SocketAddr};

/// The process among `processes` that dialled from the first address to the second.
pub(super) fn process_of(
    ends: (SocketAddr, SocketAddr),
    mut processes: impl Iterator<Item = u32>,
) -> Option<u32> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let inode = inode_of(&table, ends)?;
    let socket = format!("socket:[{inode}]");
    processes.find(|process| holds(*process, &socket))
}

fn holds(process: u32, socket: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    files
        .flatten()
        .any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket))
}

/// The socket from the first address to the second. The columns: number, local, remote, state, queues, timer,
/// retransmits, user, timeout, inode.
fn inode_of(table: &str, (from, to): (SocketAddr, SocketAddr)) -> Option<&str> {
    let (from, to) = (written(from)?, written(to)?);
    let mut lines = table.lines().map(|line| line.split_whitespace());
    lines.find_map(|mut columns| {
        let ours = columns.nth(1)? == from && columns.next()? == to;
        if ours { columns.nth(6) } else { None }
    })
}

/// An address as the kernel writes it: the bytes of the number in this machine's order, and the port.
fn written(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn this_process_is_found_as_the_dialer() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let dialled = TcpStream::connect(listener.local_addr().expect("it listens")).expect("it answers");
        let ends = (dialled.local_addr().expect("open"), dialled.peer_addr().expect("open"));
        let me = std::process::id();
        assert_eq!(process_of(ends, [1, me].into_iter()), Some(me));
        assert_eq!(process_of((ends.1, "127.0.0.1:9".parse().expect("an address")), [me].into_iter()), None);
    }
}
