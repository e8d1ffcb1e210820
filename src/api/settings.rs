//! What an operator decides about the front ends, and the limits that no one may lift.

use std::time::Duration;

use crate::engine::model::TenantId;

/// Who may call.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everyone, as this user of this tenant: what `everstep dev` does.
    Anonymous {
        /// Whose data callers see.
        tenant: TenantId,
        /// Who they act as.
        user: String,
    },
}

/// What the router needs to know besides the door to the actors.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Who may call.
    pub access: Access,
    /// Bytes of a request body. Larger ones are refused before they are read.
    pub body_bytes_max: usize,
    /// How long a caller may take to send its body.
    pub body_time_max: Duration,
    /// Origins, as in `https://ui.example`, whose pages may read answers. None unless configured.
    pub origins: Vec<String>,
    /// The version of the program, as answers show it.
    pub version: &'static str,
}

impl ApiSettings {
    /// A definition may be 4 MiB, so a body may.
    pub const BODY_BYTES_MAX: usize = 4 << 20;
    /// Long enough for 4 MiB over a slow line, short enough that stalled callers do not pile up.
    pub const BODY_TIME_MAX: Duration = Duration::from_secs(60);

    /// Settings with every limit at its default and no foreign origin.
    #[must_use]
    pub const fn new(access: Access, version: &'static str) -> Self {
        Self {
            access,
            body_bytes_max: Self::BODY_BYTES_MAX,
            body_time_max: Self::BODY_TIME_MAX,
            origins: Vec::new(),
            version,
        }
    }
}

/// The longest `wait` of an execute call. Longer waits outlive proxies between caller and node.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(300);
/// Entries on a page unless the caller says otherwise.
pub(super) const PAGE_DEFAULT: usize = 50;
/// Entries on a page at most: each may have to be read from disk.
pub(super) const PAGE_MAX: usize = 200;
/// Events on a page of a history at most: a history has 50,000, its reader pages.
pub(super) const HISTORY_PAGE_MAX: usize = 1_000;
