//! `ExecutionService`.

use std::pin::Pin;
use std::sync::Arc;

use everstep_proto::v1;
use everstep_proto::v1::execution_service_server::ExecutionService;
use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};

use crate::actors::Submitted;
use crate::api::ask::{self, Cursor};
use crate::api::calls::{self, Follow};
use crate::api::front::Front;
use crate::api::settings::{HISTORY_PAGE_MAX, PAGE_MAX};
use crate::consensus::Record;
use crate::engine::model::{Input, RetryFrom};

use super::status::failed;
use super::{convert, read};

/// The service.
pub(super) struct Executions(pub(super) Front);

impl Executions {
    async fn whole(&self, record: &Arc<Record>) -> Result<v1::Execution, Status> {
        let spec = self.0.handle.spec_of(record).await.map_err(failed)?;
        Ok(convert::execution(record, &spec, true))
    }

    async fn started(&self, request: v1::SubmitRequest) -> Result<Submitted, Status> {
        let submission = read::submission(request)?;
        self.0.handle.submit(&self.0.caller(), submission).await.map_err(failed)
    }

    async fn act(&self, id: &str, input: impl FnOnce(String) -> Input) -> Result<v1::Execution, Status> {
        let id = read::execution_id(id)?;
        let caller = self.0.caller();
        let input = input(caller.user.clone());
        let record = self.0.handle.act(&caller, id, input).await.map_err(failed)?;
        self.whole(&record).await
    }
}

#[tonic::async_trait]
impl ExecutionService for Executions {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let submitted = self.started(request.into_inner()).await?;
        let execution = Some(self.whole(&submitted.record).await?);
        Ok(Response::new(v1::SubmitResponse { execution, replayed: submitted.existing }))
    }

    async fn execute(
        &self,
        request: Request<v1::ExecuteRequest>,
    ) -> Result<Response<v1::ExecuteResponse>, Status> {
        let request = request.into_inner();
        let wait = read::wait(request.wait)?;
        let submitted = self.started(request.submission.unwrap_or_default()).await?;
        let caller = self.0.caller();
        let replayed = submitted.existing;
        let record = calls::finished(&self.0.handle, &caller, submitted.record, wait).await;
        let record = record.map_err(failed)?;
        let finished = record.execution.status.is_finished();
        let execution = Some(self.whole(&record).await?);
        Ok(Response::new(v1::ExecuteResponse { execution, finished, replayed }))
    }

    async fn get(
        &self,
        request: Request<v1::GetExecutionRequest>,
    ) -> Result<Response<v1::GetExecutionResponse>, Status> {
        let id = read::execution_id(&request.into_inner().id)?;
        let record = self.0.handle.execution(&self.0.caller(), id).await.map_err(failed)?;
        let execution = Some(self.whole(&record).await?);
        Ok(Response::new(v1::GetExecutionResponse { execution }))
    }

    async fn list(
        &self,
        request: Request<v1::ListExecutionsRequest>,
    ) -> Result<Response<v1::ListExecutionsResponse>, Status> {
        let query = read::executions(request.into_inner(), PAGE_MAX)?;
        let page = self.0.handle.executions(&self.0.caller(), query).await.map_err(failed)?;
        let mut items = Vec::with_capacity(page.items.len());
        for record in &page.items {
            let spec = self.0.handle.spec_of(record).await.map_err(failed)?;
            items.push(convert::execution(record, &spec, false));
        }
        let next_cursor = page.next.map(|id| Cursor::Execution(id.uuid()).to_string()).unwrap_or_default();
        Ok(Response::new(v1::ListExecutionsResponse { items, next_cursor }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let v1::CancelRequest { id, reason } = request.into_inner();
        ask::check_reason(&reason)?;
        let execution = Some(self.act(&id, |by| Input::Cancel { by, reason }).await?);
        Ok(Response::new(v1::CancelResponse { execution }))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Result<Response<v1::PauseResponse>, Status> {
        let v1::PauseRequest { id, reason } = request.into_inner();
        ask::check_reason(&reason)?;
        let execution = Some(self.act(&id, |by| Input::Pause { by, reason }).await?);
        Ok(Response::new(v1::PauseResponse { execution }))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let id = request.into_inner().id;
        let execution = Some(self.act(&id, |by| Input::Resume { by }).await?);
        Ok(Response::new(v1::ResumeResponse { execution }))
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        let request = request.into_inner();
        let from = match request.from() {
            v1::RetryFrom::Unspecified | v1::RetryFrom::Failed => RetryFrom::Failed,
            v1::RetryFrom::Start => RetryFrom::Start,
        };
        let execution = Some(self.act(&request.id, |by| Input::Retry { by, from }).await?);
        Ok(Response::new(v1::RetryResponse { execution }))
    }

    async fn get_logs(
        &self,
        request: Request<v1::GetLogsRequest>,
    ) -> Result<Response<v1::GetLogsResponse>, Status> {
        let id = read::execution_id(&request.into_inner().id)?;
        let (handle, caller) = (&self.0.handle, self.0.caller());
        let (_, spec) = calls::with_spec(handle, &caller, id).await.map_err(failed)?;
        let log = calls::log(handle, &caller, id).await.map_err(failed)?;
        let lines = log.lines().iter().map(|line| convert::line(line, &spec)).collect();
        Ok(Response::new(v1::GetLogsResponse { lines }))
    }

    async fn get_history(
        &self,
        request: Request<v1::GetHistoryRequest>,
    ) -> Result<Response<v1::GetHistoryResponse>, Status> {
        let request = request.into_inner();
        let id = read::execution_id(&request.id)?;
        let limit = read::limit(request.limit, HISTORY_PAGE_MAX)?;
        let after = match read::cursor(&request.cursor)? {
            None => 0,
            Some(Cursor::Event(version)) => version,
            Some(_) => return Err(read::foreign_cursor().into()),
        };
        let (handle, caller) = (&self.0.handle, self.0.caller());
        let (_, spec) = calls::with_spec(handle, &caller, id).await.map_err(failed)?;
        let (events, more) = calls::history_page(handle, &caller, id, after, limit).await.map_err(failed)?;
        let next = more.then(|| Cursor::Event(after + events.len() as u64).to_string());
        let items =
            (after + 1..).zip(&events).map(|(version, it)| convert::event(version, it, &spec)).collect();
        Ok(Response::new(v1::GetHistoryResponse { items, next_cursor: next.unwrap_or_default() }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let id = read::execution_id(&request.id)?;
        let (handle, caller) = (&self.0.handle, self.0.caller());
        let (record, spec) = calls::with_spec(handle, &caller, id).await.map_err(failed)?;
        calls::check_after("after_version", &record, request.after_version)?;
        let follow = Follow::new(handle.clone(), caller, id, request.after_version);
        let batches = stream::unfold(Some(follow), move |follow| {
            let spec = Arc::clone(&spec);
            async move {
                let mut follow = follow?;
                match follow.next().await {
                    Ok(None) => None,
                    Err(error) => Some((vec![Err(failed(error))], None)),
                    Ok(Some(events)) => {
                        let event = |(version, recorded)| convert::event(version, &recorded, &spec);
                        let events = events.into_iter().map(event);
                        let answers = events.map(|event| Ok(v1::WatchResponse { event: Some(event) }));
                        Some((answers.collect(), Some(follow)))
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(batches.flat_map(stream::iter))))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let id = read::execution_id(&request.into_inner().id)?;
        let (handle, caller) = (&self.0.handle, self.0.caller());
        let record = handle.execution(&caller, id).await.map_err(failed)?;
        let reasons = handle.explain(&caller, id).await.map_err(failed)?;
        let status = convert::status(record.execution.status).into();
        let reasons = reasons.into_iter().map(convert::reason).collect();
        Ok(Response::new(v1::ExplainResponse { status, reasons }))
    }
}
