//! The network between nodes as the kernel has it: a namespace for each node, one bridge that joins them, and rules of
//! nftables in each namespace about what arrives.
//!
//! A rule is about packets from one node to another, so a direction can be cut by itself, and what is cut are the
//! acknowledgements of the other direction as well, as on a real line. Clients talk to nodes over the same bridge, and no
//! rule is about them.
//!
//! Caveats: it takes root, `ip` and `nft`. Packets cannot be delayed (that takes another part of the kernel, which is often
//! missing), and no connection is taken and not answered.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use super::{Mode, Place};

/// The last number of the address of this machine on the bridge.
const HERE: u8 = 254;
/// What a slow direction may send at once: more than one packet, or nothing would pass.
const BURST_BYTES: u64 = 8_000;

/// A bridge, and a namespace for each node. All of it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Tells this run's from others'; also the third number of its addresses.
    tag: u8,
    /// By node, what happens to packets from each of the others.
    rules: Mutex<BTreeMap<Place, BTreeMap<Place, Mode>>>,
}

impl Wire {
    /// Makes the bridge, and tries whether all that is needed is there. An error says what is not.
    pub(crate) fn lay() -> Result<Self> {
        let tag = u8::try_from(std::process::id() % 250)?;
        let wire = Self { tag, rules: Mutex::default() };
        let bridge = wire.bridge();
        run("ip", &["link", "add", &bridge, "type", "bridge"])?;
        run("ip", &["address", "add", &format!("{}/24", wire.here()), "dev", &bridge])?;
        run("ip", &["link", "set", &bridge, "up"])?;
        wire.host(0).context("try a namespace with a rule")?;
        wire.set(1, 0, Mode::Loss(30)).context("try a rule")?;
        Ok(wire)
    }

    /// The address of this machine, as nodes see it.
    pub(crate) fn here(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.tag, HERE)
    }

    /// The address of the node at `place`.
    pub(crate) fn address(&self, place: Place) -> Result<Ipv4Addr> {
        let last = u8::try_from(place + 1).ok().filter(|last| *last < HERE);
        Ok(Ipv4Addr::new(10, 77, self.tag, last.context("there are so many places on a bridge")?))
    }

    /// The namespace of the node at `place`.
    pub(crate) fn namespace(&self, place: Place) -> String {
        format!("everstep{}-{place}", self.tag)
    }

    fn bridge(&self) -> String {
        format!("everstep{}", self.tag)
    }

    /// Makes the namespace of the node at `place` and plugs it into the bridge.
    pub(crate) fn host(&self, place: Place) -> Result<()> {
        let (name, plug, bridge) = (self.namespace(place), format!("es{}-{place}", self.tag), self.bridge());
        let address = format!("{}/24", self.address(place)?);
        run("ip", &["netns", "add", &name])?;
        self.rules().insert(place, BTreeMap::new());
        run("ip", &["link", "add", &plug, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
        run("ip", &["link", "set", &plug, "master", &bridge, "up"])?;
        run("ip", &["-n", &name, "address", "add", &address, "dev", "eth0"])?;
        run("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
        run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
        let chain = "add chain inet chaos arrives { type filter hook input priority 0; policy accept; }";
        self.nft(place, &format!("add table inet chaos\n{chain}\n"))
    }

    /// What happens to packets from one node to another from now on.
    pub(super) fn set(&self, from: Place, to: Place, mode: Mode) -> Result<()> {
        let script = {
            let mut rules = self.rules();
            let arriving = rules.get_mut(&to).with_context(|| format!("there is no node at {to}"))?;
            arriving.insert(from, mode);
            let mut script = "flush chain inet chaos arrives\n".to_owned();
            for (from, mode) in arriving {
                script += &format!("add counter inet chaos from{from}\n");
                if let Some(rule) = rule(*mode)? {
                    let address = self.address(*from)?;
                    let what = rule.replace("COUNT", &format!("counter name from{from}"));
                    script += &format!("add rule inet chaos arrives ip saddr {address} {what}\n");
                }
            }
            script
        };
        self.nft(to, &script)
    }

    /// How many packets from one node to another met a rule so far.
    pub(super) fn hindered(&self, from: Place, to: Place) -> u64 {
        let name = self.namespace(to);
        let counter = format!("from{from}");
        let listed =
            run("ip", &["netns", "exec", &name, "nft", "list", "counter", "inet", "chaos", &counter]);
        listed.ok().and_then(|text| packets(&text)).unwrap_or(0)
    }

    fn nft(&self, place: Place, script: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(place), "nft", "-f", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut nft = command.spawn().context("run ip")?;
        nft.stdin.take().context("it is piped")?.write_all(script.as_bytes())?;
        let done = nft.wait_with_output()?;
        if !done.status.success() {
            bail!("nft: {}; of: {script}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(())
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, BTreeMap<Place, BTreeMap<Place, Mode>>> {
        self.rules.lock().expect("nothing panics with the lock")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let places: Vec<_> = self.rules().keys().copied().collect();
        // What cannot be removed is a name that no later run takes for its own.
        for place in places {
            let _ = run("ip", &["netns", "delete", &self.namespace(place)]);
        }
        let _ = run("ip", &["link", "delete", &self.bridge()]);
    }
}

/// What a rule does with a packet; none if it passes.
fn rule(mode: Mode) -> Result<Option<String>> {
    Ok(Some(match mode {
        Mode::Pass => return Ok(None),
        Mode::Cut => "COUNT drop".to_owned(),
        Mode::Loss(percent) => format!("numgen random mod 100 < {percent} COUNT drop"),
        Mode::Slow(rate) => {
            format!("limit rate over {rate} bytes/second burst {BURST_BYTES} bytes COUNT drop")
        }
        Mode::Refuse => "meta l4proto tcp COUNT reject with tcp reset".to_owned(),
        Mode::Delay(_) => bail!("packets cannot be delayed"),
    }))
}

/// The number behind `packets`.
fn packets(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == "packets")?;
    words.next()?.parse().ok()
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let done = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {program}; is it installed?"))?;
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        bail!("{program} {}: {}", arguments.join(" "), why.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_cannot_be_done_is_said() {
        assert_eq!(rule(Mode::Pass).expect("nothing to do"), None);
        assert!(rule(Mode::Cut).expect("a rule").is_some_and(|rule| rule.ends_with("drop")));
        assert!(rule(Mode::Delay(Duration::from_millis(9))).is_err());
    }

    #[test]
    fn a_counter_is_read() {
        let text = "table inet chaos {\n\tcounter from3 {\n\t\tpackets 17 bytes 1020\n\t}\n}\n";
        assert_eq!(packets(text), Some(17));
        assert_eq!(packets(""), None);
    }
}
