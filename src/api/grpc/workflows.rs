//! `WorkflowService`.

use everstep_proto::v1;
use everstep_proto::v1::workflow_service_server::WorkflowService;
use tonic::{Request, Response, Status};

use crate::actors::PutWorkflow;
use crate::api::ask::Cursor;
use crate::api::calls;
use crate::api::front::Front;
use crate::api::problem::Problem;
use crate::api::settings::PAGE_MAX;
use crate::engine::model::{DefinitionStatus, WorkflowId};

use super::status::failed;
use super::{convert, read};

/// The service.
pub(super) struct Workflows(pub(super) Front);

#[tonic::async_trait]
impl WorkflowService for Workflows {
    async fn create(
        &self,
        request: Request<v1::CreateWorkflowRequest>,
    ) -> Result<Response<v1::CreateWorkflowResponse>, Status> {
        let request = request.into_inner();
        let idempotency_key = read::idempotency_key(request.idempotency_key)?;
        let put = PutWorkflow { id: None, expected: None, text: request.definition, idempotency_key };
        let (workflow, replayed) = self.0.handle.put_workflow(&self.0.caller(), put).await.map_err(failed)?;
        let workflow = Some(convert::workflow(&workflow, workflow.latest(), true));
        Ok(Response::new(v1::CreateWorkflowResponse { workflow, replayed }))
    }

    async fn get(
        &self,
        request: Request<v1::GetWorkflowRequest>,
    ) -> Result<Response<v1::GetWorkflowResponse>, Status> {
        let request = request.into_inner();
        let id = read::workflow_id(&request.id)?;
        let workflow = self.0.handle.workflow(&self.0.caller(), id).await.map_err(failed)?;
        let wanted = Some(request.version).filter(|version| *version > 0);
        let version = calls::version_of(&workflow, wanted).map_err(failed)?;
        let workflow = Some(convert::workflow(&workflow, version, true));
        Ok(Response::new(v1::GetWorkflowResponse { workflow }))
    }

    async fn list(
        &self,
        request: Request<v1::ListWorkflowsRequest>,
    ) -> Result<Response<v1::ListWorkflowsResponse>, Status> {
        let request = request.into_inner();
        let status = status(request.status)?;
        let limit = read::limit(request.limit, PAGE_MAX)?;
        let before = match read::cursor(&request.cursor)? {
            None => None,
            Some(Cursor::Workflow(id)) => Some(WorkflowId::from_uuid(id)),
            Some(_) => return Err(read::foreign_cursor().into()),
        };
        let caller = self.0.caller();
        let page = self.0.handle.workflows(&caller, status, before, limit).await.map_err(failed)?;
        let items = page.items.iter().map(|it| convert::workflow(it, it.latest(), false)).collect();
        let next_cursor = page.next.map(|id| Cursor::Workflow(id.uuid()).to_string()).unwrap_or_default();
        Ok(Response::new(v1::ListWorkflowsResponse { items, next_cursor }))
    }

    async fn update(
        &self,
        request: Request<v1::UpdateWorkflowRequest>,
    ) -> Result<Response<v1::UpdateWorkflowResponse>, Status> {
        let request = request.into_inner();
        let id = Some(read::workflow_id(&request.id)?);
        let expected = Some(request.expected_version).filter(|version| *version > 0);
        let put = PutWorkflow { id, expected, text: request.definition, idempotency_key: None };
        let (workflow, _) = self.0.handle.put_workflow(&self.0.caller(), put).await.map_err(failed)?;
        let workflow = Some(convert::workflow(&workflow, workflow.latest(), true));
        Ok(Response::new(v1::UpdateWorkflowResponse { workflow }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteWorkflowRequest>,
    ) -> Result<Response<v1::DeleteWorkflowResponse>, Status> {
        let id = read::workflow_id(&request.into_inner().id)?;
        let archived = self.0.handle.delete_workflow(&self.0.caller(), id).await.map_err(failed)?;
        Ok(Response::new(v1::DeleteWorkflowResponse { archived }))
    }

    async fn list_versions(
        &self,
        request: Request<v1::ListVersionsRequest>,
    ) -> Result<Response<v1::ListVersionsResponse>, Status> {
        let request = request.into_inner();
        let id = read::workflow_id(&request.id)?;
        let limit = read::limit(request.limit, PAGE_MAX)?;
        let before = match read::cursor(&request.cursor)? {
            None => None,
            Some(Cursor::Version(version)) => Some(version),
            Some(_) => return Err(read::foreign_cursor().into()),
        };
        let workflow = self.0.handle.workflow(&self.0.caller(), id).await.map_err(failed)?;
        let (versions, next) = calls::versions_page(&workflow, before, limit);
        let items = versions.into_iter().map(convert::version).collect();
        let next_cursor = next.map(|cursor| cursor.to_string()).unwrap_or_default();
        Ok(Response::new(v1::ListVersionsResponse { items, next_cursor }))
    }

    async fn validate(
        &self,
        request: Request<v1::ValidateRequest>,
    ) -> Result<Response<v1::ValidateResponse>, Status> {
        let findings = self.0.handle.validate(&request.into_inner().definition).err().unwrap_or_default();
        let errors: Vec<v1::Finding> = findings.into_iter().map(convert::finding).collect();
        Ok(Response::new(v1::ValidateResponse { valid: errors.is_empty(), errors }))
    }
}

fn status(number: i32) -> Result<Option<DefinitionStatus>, Problem> {
    let unknown = || Problem::parameter("status", format!("there is no status {number}"));
    let wanted = v1::DefinitionStatus::try_from(number).map_err(|_| unknown())?;
    Ok(DefinitionStatus::ALL.iter().copied().find(|it| convert::definition_status(*it) == wanted))
}
