//! What becomes of rows whose weight files or data sets are not there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of rows whose weight files or data sets are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Missing {
    /// The run is refused.
    #[default]
    Refuse,
    /// Their stages do not run, and the run (of a table also the table) says what to fetch.
    LeaveOut,
}

impl Missing {
    /// Whether the default applies. It is left out of the JSON, so that keys do not change.
    pub(super) fn is_default(&self) -> bool {
        *self == Missing::default()
    }
}
