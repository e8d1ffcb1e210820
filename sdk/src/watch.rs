//! Watching an execution: a stream that survives its connections.
//!
//! The server numbers the events of a history, so a watcher that knows the last number it saw can leave
//! and come back: it asks for what comes after (`Last-Event-ID`) and drops what it has seen.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use reqwest::header::HeaderName;
use reqwest::{Method, Response};

use crate::client::Client;
use crate::execution::{Execution, HistoryEvent};
use crate::request::network;
use crate::sse::Parser;
use crate::{Error, Result, retry};

/// One event of a watched execution.
pub type WatchEvent = HistoryEvent;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The server sends a comment at least this often; a connection that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

struct Watching {
    client: Client,
    id: String,
    last: u64,
    connection: Option<(Response, Parser)>,
    events: VecDeque<WatchEvent>,
    finished: bool,
    failures: u32,
}

pub(crate) fn stream(client: Client, id: String, after: u64) -> impl Stream<Item = Result<WatchEvent>> {
    let watching = Watching {
        client,
        id,
        last: after,
        connection: None,
        events: VecDeque::new(),
        finished: false,
        failures: 0,
    };
    stream::try_unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Ok(event.map(|event| (event, watching)))
    })
}

pub(crate) async fn wait(client: &Client, id: &str) -> Result<Execution> {
    let mut after = 0;
    loop {
        let mut events = std::pin::pin!(stream(client.clone(), id.to_owned(), after));
        while let Some(event) = events.next().await {
            after = event?.version;
        }
        let execution = client.executions().get(id).await?;
        // A person may retry a finished execution between the two calls.
        if execution.status.is_finished() {
            return Ok(execution);
        }
    }
}

impl Watching {
    async fn next(&mut self) -> Result<Option<WatchEvent>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if self.finished {
                return Ok(None);
            }
            match self.read().await {
                Ok(true) => {}
                // The server ended the stream: because the execution is finished, or to shut down.
                Ok(false) => {
                    self.connection = None;
                    self.ended().await?;
                }
                Err(error) => self.stumble(error).await?,
            }
        }
    }

    /// Reads until an event or the end; false at the end.
    async fn read(&mut self) -> Result<bool> {
        if self.connection.is_none() {
            self.connection = Some((self.connect().await?, Parser::default()));
        }
        let Some((response, parser)) = &mut self.connection else { return Ok(false) };
        let address = self.client.address();
        let chunk = match tokio::time::timeout(SILENCE_MAX, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|source| network(address, source))?,
            Err(_) => return Err(Error::TimedOut { address: address.to_owned() }),
        };
        let Some(bytes) = chunk else { return Ok(false) };
        let malformed = |reason: String| Error::Malformed { address: address.to_owned(), reason };
        let frames = parser.take(&bytes).map_err(|_| malformed("an endless line".to_owned()))?;
        for frame in frames {
            let event: WatchEvent =
                serde_json::from_str(&frame.data).map_err(|error| malformed(error.to_string()))?;
            if event.version > self.last {
                self.last = event.version;
                self.failures = 0;
                self.events.push_back(event);
            }
        }
        Ok(true)
    }

    async fn connect(&self) -> Result<Response> {
        let mut call = self.client.executions().one(Method::GET, &self.id, &["stream"]).endless();
        if self.last > 0 {
            call = call.header(LAST_EVENT_ID, &self.last.to_string())?;
        }
        call.send_raw().await
    }

    async fn ended(&mut self) -> Result<()> {
        let execution = self.client.executions().get(&self.id).await?;
        // The end of a finished execution's stream is its end; the server has sent all it had.
        self.finished = execution.status.is_finished();
        if !self.finished {
            self.pause().await;
        }
        Ok(())
    }

    /// Gives up where trying again is no use; otherwise waits and lets the caller try.
    async fn stumble(&mut self, error: Error) -> Result<()> {
        self.connection = None;
        let hopeless = !error.is_unavailable();
        if hopeless || self.failures >= self.client.inner.retry.attempts {
            return Err(error);
        }
        self.pause().await;
        Ok(())
    }

    async fn pause(&mut self) {
        self.failures += 1;
        let delay = self.client.inner.retry.delay(self.failures, None, retry::chance());
        tokio::time::sleep(delay).await;
    }
}
