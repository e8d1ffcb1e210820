//! A disk that fills up, and gets room again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use everstep::storage::Space;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Server, answer};

/// Longer than it takes a test to see that something does not happen that would happen at once.
const LONG: Duration = Duration::from_millis(300);

/// A disk of which the test says how much is free.
#[derive(Clone)]
struct Disk(Arc<AtomicU64>);

impl Disk {
    async fn serve() -> (Self, Server) {
        let disk = Self(Arc::new(AtomicU64::new(50)));
        let percent = disk.0.clone();
        let read = move || Ok(Space { free_bytes: percent.load(Ordering::Relaxed), total_bytes: 100 });
        let server = Server::on_disk(Arc::new(read)).await;
        (disk, server)
    }

    /// Sets how much is free, and waits until the node has seen it.
    async fn becomes(&self, percent: u64, room: &str, server: &Server) {
        self.0.store(percent, Ordering::Relaxed);
        while server.get("/api/health").await["disk"] != room {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A page that is answered only when the test says so. Counts who asked.
struct Page {
    url: String,
    answer: tokio::sync::watch::Sender<bool>,
    asked: Arc<AtomicUsize>,
}

impl Page {
    async fn open() -> Self {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (answer, may) = tokio::sync::watch::channel(false);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut may = may.clone();
                tokio::spawn(async move {
                    let _head = stream.read(&mut [0; 4096]).await;
                    let _closed = may.wait_for(|may| *may).await.is_err();
                    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                    let _gone = stream.write_all(text).await;
                });
            }
        });
        Self { url, answer, asked }
    }

    /// A step that asks for the page, and one after it.
    fn definition(&self) -> Value {
        json!({"name": "waiting", "steps": [
            {"id": "ask", "type": "http", "params": {"url": self.url}},
            {"id": "after", "type": "noop"}]})
    }

    async fn is_asked(&self) {
        while self.asked.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn submit(server: &Server, definition: Value) -> String {
    let submitted = server.post("/api/executions", json!({"definition": definition})).await;
    submitted["execution_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_disk_refuses_new_executions_and_finishes_those_that_run() {
    let (disk, server) = Disk::serve().await;
    let page = Page::open().await;
    let running = submit(&server, page.definition()).await;
    page.is_asked().await;

    let noop = json!({"definition": {"name": "one", "steps": [{"id": "a", "type": "noop"}]}});
    let keyed = |key: &str| {
        let request = server.request("POST", "/api/executions").header("Idempotency-Key", key).json(&noop);
        answer(request)
    };
    let before = keyed("before").await;
    disk.becomes(4, "scarce", &server).await;
    let refused = keyed("after").await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (507, Some("disk_scarce")));
    assert!(refused.headers.contains_key("retry-after"));
    let repeat = keyed("before").await;
    assert_eq!(repeat.body["execution_id"], before.body["execution_id"], "{}", repeat.text);
    assert_eq!(server.call("GET", "/readyz", None).await.status, 200, "there is work to be led");
    page.answer.send_replace(true);
    assert_eq!(server.finished(&running).await["status"], "completed");

    disk.becomes(50, "ample", &server).await;
    assert_eq!(server.call("POST", "/api/executions", Some(noop)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_everything_until_there_is_room() {
    let (disk, server) = Disk::serve().await;
    let page = Page::open().await;
    let running = submit(&server, page.definition()).await;
    page.is_asked().await;

    disk.becomes(0, "full", &server).await;
    assert_eq!(server.call("GET", "/readyz", None).await.status, 503);
    assert_eq!(server.get("/api/health").await["status"], "disk_full");
    for path in ["/api/executions", &format!("/api/executions/{running}/cancel")] {
        let body = json!({"definition": page.definition()});
        let body = if path.ends_with("cancel") { json!({}) } else { body };
        let refused = server.call("POST", path, Some(body)).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("unavailable")), "{path}");
    }
    page.answer.send_replace(true);
    tokio::time::sleep(LONG).await;
    let execution = server.get(&format!("/api/executions/{running}")).await;
    assert_eq!(execution["current_steps"][0]["step_id"], "ask", "no outcome was recorded: {execution}");
    let explained = server.call("GET", &format!("/api/executions/{running}/explain"), None).await;
    assert!(explained.text.contains("disk_full"), "{}", explained.text);

    disk.becomes(50, "ample", &server).await;
    assert_eq!(server.finished(&running).await["status"], "completed");
    assert_eq!(page.asked.load(Ordering::Relaxed), 1, "the outcome was kept, not asked for again");
}
