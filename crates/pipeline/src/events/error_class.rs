//! Why a stage failed, as far as exit codes and retries depend on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a stage's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A data set, weight file or device was not found: exit code 4.
    NotThere,
    /// The data is not what the experiment says: exit code 5.
    BadData,
    /// The stage itself failed: exit code 3.
    Failed,
    /// The stage was asked to stop: exit code 3, or 130 if the whole run was interrupted.
    Stopped,
    /// The stage's process died of a signal: exit code 3 if the retry dies too.
    Lost,
    /// The system killed the stage's process because memory ran out: exit code 3. It is not retried.
    OutOfMemory,
    /// The stage ran longer than its `timeout`: exit code 3.
    TimedOut,
}
