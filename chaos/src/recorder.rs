//! The outside record of `http` steps: a small server that writes a line per call to the file that shell steps write
//! to, and then lets the caller wait, so that there are always attempts in flight. Who calls it at [`REFUSES`] is
//! refused after all that.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Whatever is asked there fails.
pub(crate) const REFUSES: &str = "/refuse";

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    serving: JoinHandle<()>,
}

impl Recorder {
    /// Writes to `effects` what it is called for at `address`, and answers after `hold`.
    pub(crate) async fn start(address: SocketAddr, effects: &Path, hold: Duration) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        let file = Arc::new(OpenOptions::new().create(true).append(true).open(effects)?);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, file.clone(), hold));
            }
        });
        Ok(Self { serving })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers one caller until it hangs up. A caller that breaks off has had its effect all the same.
async fn serve(stream: TcpStream, effects: Arc<File>, hold: Duration) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(call)) = read(&mut stream).await {
        if (&*effects).write_all(call.line().as_bytes()).is_err() {
            return;
        }
        sleep(hold).await;
        let status = if call.refused { "503 Service Unavailable" } else { "200 OK" };
        let head = "content-length: 2\r\ncontent-type: application/json";
        let answer = format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{{}}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What a request says of who calls, and for what.
#[derive(Debug, Default)]
struct Call {
    refused: bool,
    key: String,
    attempt: String,
}

impl Call {
    /// `execution step attempt`, as shell steps write it.
    fn line(&self) -> String {
        format!("{} {}\n", self.key.replace('/', " "), self.attempt)
    }
}

/// Reads one request with its body; none if the caller has hung up.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Call>> {
    let (mut call, mut body, mut line) = (Call::default(), 0_u64, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            call.refused |= line.split(' ').nth(1) == Some(REFUSES);
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => value.trim().clone_into(&mut call.key),
            "everstep-attempt" => value.trim().clone_into(&mut call.attempt),
            "content-length" => body = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    tokio::io::copy(&mut stream.take(body), &mut tokio::io::sink()).await?;
    Ok(Some(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_leaves_its_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let effects = dir.path().join("effects");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it listens");
        drop(listener);
        let _recorder = Recorder::start(address, &effects, Duration::ZERO).await.expect("it starts");
        let call = reqwest::Client::new().post(format!("http://{address}/effect")).body("x");
        let call = call.header("idempotency-key", "e1/s2").header("everstep-attempt", "3");
        assert!(call.send().await.expect("it answers").status().is_success());
        let call = reqwest::Client::new().post(format!("http://{address}{REFUSES}")).body("x");
        let call = call.header("idempotency-key", "e1/s3").header("everstep-attempt", "1");
        assert_eq!(call.send().await.expect("it answers").status().as_u16(), 503);
        assert_eq!(std::fs::read_to_string(effects).expect("a record"), "e1 s2 3\ne1 s3 1\n");
    }
}
