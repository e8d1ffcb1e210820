//! Reads from a partition's state, with the errors callers see.

use std::sync::Arc;

use crate::consensus::Record;
use crate::engine::definition::Spec;
use crate::engine::model::{ExecutionId, Rejection, SpecHash, TenantId};

use super::partition::Partition;
use super::request::Error;

/// An execution. Errors: `ExecutionNotFound`, for those of other tenants as well.
pub(crate) fn record(
    partition: &Partition,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Arc<Record>, Error> {
    match partition.machine().record(tenant, id) {
        Ok(Some(record)) => Ok(record),
        Ok(None) => Err(Rejection::ExecutionNotFound { id }.into()),
        Err(error) => Err(Error::Unavailable { reason: format!("read execution {id}: {error}") }),
    }
}

/// The text of a pinned definition.
pub(crate) fn spec_text(partition: &Partition, hash: SpecHash) -> Result<Arc<str>, Error> {
    match partition.machine().spec_text(hash) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Error::Unavailable { reason: format!("definition {hash} is not in this partition") }),
        Err(error) => Err(Error::Unavailable { reason: format!("read definition {hash}: {error}") }),
    }
}

/// A pinned definition.
pub(crate) fn spec(partition: &Partition, hash: SpecHash) -> Result<Arc<Spec>, Error> {
    match partition.machine().spec(hash) {
        Ok(Some(spec)) => Ok(spec),
        Ok(None) => Err(Error::Unavailable { reason: format!("definition {hash} is not in this partition") }),
        Err(error) => Err(Error::Unavailable { reason: format!("read definition {hash}: {error}") }),
    }
}
