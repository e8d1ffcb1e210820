//! A node of one's own: in this process, on a free port, in a fresh directory.

use std::path::Path;
use std::time::Duration;

use everstep::node::{Node, Overrides, ReadSpace, Settings};
use serde_json::{Value, json};

/// How long a test waits for anything. Generous: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node and a client of it.
pub(crate) struct Server {
    node: Option<Node>,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) dir: tempfile::TempDir,
}

/// A status and a body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = start_node(dir.path()).await;
        let url = format!("http://{}", node.address());
        Self { node: Some(node), url, http: reqwest::Client::new(), dir }
    }

    /// A node on a disk of which it hears from `space`.
    pub(crate) async fn on_disk(space: ReadSpace) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = start_with(dir.path(), Some(space)).await;
        let url = format!("http://{}", node.address());
        Self { node: Some(node), url, http: reqwest::Client::new(), dir }
    }

    /// A node in a directory, with settings as the environment would give them, and on a disk of which it hears from
    /// `space` if that is given. Returns when it takes work.
    pub(crate) async fn with(
        dir: tempfile::TempDir,
        variables: Variables,
        space: Option<ReadSpace>,
    ) -> Result<Self, everstep::node::Error> {
        let server = Self::unready_with(dir, variables, space).await?;
        server.node.as_ref().expect("it was started").ready().await;
        Ok(server)
    }

    /// As `with`, but returns at once: it may never take work.
    pub(crate) async fn unready(
        dir: tempfile::TempDir,
        variables: Variables,
    ) -> Result<Self, everstep::node::Error> {
        Self::unready_with(dir, variables, None).await
    }

    async fn unready_with(
        dir: tempfile::TempDir,
        variables: Variables,
        space: Option<ReadSpace>,
    ) -> Result<Self, everstep::node::Error> {
        let node = Node::start_with(settings(dir.path(), variables), space).await?;
        let url = format!("http://{}", node.address());
        Ok(Self { node: Some(node), url, http: reqwest::Client::new(), dir })
    }

    /// Its directory, when it has stopped as well as it can.
    pub(crate) async fn dir_when_stopped(mut self) -> tempfile::TempDir {
        if let Some(node) = self.node.take() {
            let _outcome = node.stop().await;
        }
        self.dir
    }

    /// Stops the node and starts another on the same directory.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let node = start_node(self.dir.path()).await;
        self.url = format!("http://{}", node.address());
        self.node = Some(node);
    }

    /// Why it cannot go on; waits until that is so.
    pub(crate) async fn ended(&self) -> everstep::node::Error {
        let ended = self.node.as_ref().expect("it was started").fatal();
        tokio::time::timeout(PATIENCE, ended).await.expect("it does not go on for ever")
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await.unwrap();
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.url)).timeout(PATIENCE)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text);
        answer.body
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call("POST", path, Some(body)).await;
        assert!((200..300).contains(&answer.status), "POST {path}: {} {}", answer.status, answer.text);
        answer.body
    }

    /// Creates a workflow and gives its id.
    pub(crate) async fn workflow(&self, definition: Value) -> String {
        let created = self.post("/api/workflows", definition).await;
        created["id"].as_str().expect("create answers an id").to_owned()
    }

    /// Runs a definition to its end and gives the execution.
    pub(crate) async fn run(&self, definition: Value, input: Value) -> Value {
        let submitted = self.post("/api/executions", json!({"definition": definition, "input": input})).await;
        self.finished(submitted["execution_id"].as_str().unwrap()).await
    }

    /// Waits until an execution has ended.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        self.until(id, |it| ["completed", "failed", "cancelled"].contains(&it["status"].as_str().unwrap()))
            .await
    }

    /// Follows an execution's events until a condition on its object holds.
    pub(crate) async fn until(&self, id: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let followed = async {
            loop {
                let execution = self.get(&format!("/api/executions/{id}")).await;
                if holds(&execution) {
                    return execution;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(PATIENCE, followed).await {
            Ok(execution) => execution,
            Err(_) => panic!("not in time: {}", self.get(&format!("/api/executions/{id}")).await),
        }
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, body, text }
}

pub(crate) async fn start_node(dir: &Path) -> Node {
    start_with(dir, None).await
}

async fn start_with(dir: &Path, space: Option<ReadSpace>) -> Node {
    let node = Node::start_with(settings(dir, Vec::new()), space).await.unwrap();
    node.ready().await;
    node
}

/// Settings as the environment gives them: a name without its prefix, and a value.
pub(crate) type Variables = Vec<(String, String)>;

fn settings(dir: &Path, variables: Variables) -> Settings {
    let overrides = Overrides {
        listen: Some("127.0.0.1:0".to_owned()),
        data_dir: Some(dir.join("data")),
        ..Overrides::default()
    };
    let variables = variables.into_iter().map(|(name, value)| (format!("EVERSTEP_{name}"), value));
    Settings::dev(variables, overrides).unwrap()
}

/// A small HTTP server on loopback: answers what `respond` says to the path, so many times.
pub(crate) async fn web(
    mut respond: impl FnMut(&str) -> (u16, String) + Send + 'static,
) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            while !request.windows(4).any(|it| it == b"\r\n\r\n") {
                match stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => request.extend_from_slice(&chunk[..n]),
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let path = text.split_whitespace().nth(1).unwrap_or("/").to_owned();
            let (status, body) = respond(&path);
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _gone = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    address
}
