//! How a verb ends. This is the one place that turns an error into an exit code.

use crate::data::DataError;
use crate::events::ErrorClass;
use crate::exit_code;
use crate::experiment::Rejected;
use crate::machine::is_disk_full;
use crate::stage::StageError;
use matssl_remote::RemoteError;
use std::io;
use std::path::Path;

/// How a verb ended. Of several endings the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Ending {
    /// Everything that was asked for is done.
    Done = exit_code::DONE,
    /// A fault of the program itself.
    Internal = exit_code::INTERNAL,
    /// The experiment file, the command line or the environment is wrong.
    BadRequest = exit_code::BAD_EXPERIMENT,
    /// A stage failed, came out differently or is damaged.
    Failed = exit_code::STAGE_FAILED,
    /// A device, data set, weight file or cache is not there.
    NotThere = exit_code::NOT_THERE,
    /// The data is not what the experiment says.
    BadData = exit_code::BAD_DATA,
    /// A signal ended it.
    Interrupted = exit_code::INTERRUPTED,
}

impl Ending {
    /// The exit code.
    pub(super) fn code(self) -> u8 {
        self as u8
    }
}

impl From<ErrorClass> for Ending {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::NotThere => Ending::NotThere,
            ErrorClass::BadData => Ending::BadData,
            ErrorClass::Failed
            | ErrorClass::Stopped
            | ErrorClass::Lost
            | ErrorClass::OutOfMemory
            | ErrorClass::TimedOut => Ending::Failed,
        }
    }
}

impl From<&StageError> for Ending {
    fn from(error: &StageError) -> Self {
        ErrorClass::from(error).into()
    }
}

impl From<&DataError> for Ending {
    fn from(error: &DataError) -> Self {
        match error.exit_code() {
            exit_code::NOT_THERE => Ending::NotThere,
            exit_code::BAD_DATA => Ending::BadData,
            _ => Ending::Failed,
        }
    }
}

impl From<&anyhow::Error> for Ending {
    fn from(error: &anyhow::Error) -> Self {
        let of_system = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
        let ending = of_system.into_iter().find_map(|error| match error.kind() {
            _ if is_disk_full(error) => Some(Ending::Failed),
            io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Some(Ending::BadRequest)
            }
            _ => None,
        });
        match (error.downcast_ref::<DataError>(), ending) {
            (Some(error), _) => error.into(),
            (None, ending) => {
                error.downcast_ref::<StageError>().map(Ending::from).or(ending).unwrap_or(Ending::Internal)
            }
        }
    }
}

/// `error` with its causes. A stage's error names its causes itself.
pub(super) fn words(error: &anyhow::Error) -> String {
    let mut words = Vec::new();
    for cause in error.chain() {
        words.push(cause.to_string());
        if cause.is::<StageError>() {
            break;
        }
    }
    words.join(": ")
}

/// Why a verb could not do what it was asked: how it ends, and a message that is complete as it stands.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) ending: Ending,
    pub(super) message: String,
}

impl Stop {
    /// With a message of one or more lines, each complete.
    pub(super) fn new(ending: Ending, message: impl Into<String>) -> Self {
        Stop { ending, message: message.into() }
    }

    /// All of `stops` in one: their messages, and the greatest of their endings.
    pub(super) fn all(stops: impl IntoIterator<Item = Stop>) -> Option<Self> {
        stops.into_iter().reduce(|one, other| {
            Stop::new(one.ending.max(other.ending), format!("{}\n{}", one.message.trim_end(), other.message))
        })
    }

    /// The experiment file, the command line or the environment asks for what cannot be.
    pub(super) fn bad_request(message: impl std::fmt::Display) -> Self {
        Stop::new(Ending::BadRequest, format!("error: {message}"))
    }

    /// The file `path` could not be written.
    pub(super) fn writing(path: &Path, error: &io::Error) -> Self {
        let ending = if is_disk_full(error) { Ending::Failed } else { Ending::BadRequest };
        Stop::new(ending, format!("error: cannot write {}: {error}", path.display()))
    }

    /// Something that is needed is not there.
    pub(super) fn not_there(message: impl std::fmt::Display) -> Self {
        Stop::new(Ending::NotThere, format!("error: {message}"))
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        let ending = Ending::from(&error);
        // The engine's own errors of full disks name a file, not what to do.
        let help = if ending == Ending::Failed { "\nhelp: free space there, or use another disk" } else { "" };
        Stop::new(ending, format!("error: {}{help}", words(&error)))
    }
}

impl From<RemoteError> for Stop {
    fn from(error: RemoteError) -> Self {
        let ending = match error {
            RemoteError::Address(_) | RemoteError::Wrong(_) => Ending::BadRequest,
            RemoteError::NotThere(_) => Ending::NotThere,
            RemoteError::Damaged(_) => Ending::Failed,
            RemoteError::Local(error) => return error.into(),
        };
        Stop::new(ending, format!("error: {error}"))
    }
}

impl From<Rejected> for Stop {
    fn from(rejected: Rejected) -> Self {
        let ending = match &rejected {
            Rejected::Unreadable { .. } | Rejected::Wrong(_) => Ending::BadRequest,
        };
        Stop::new(ending, rejected.render(super::output::colour_on_stderr()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn each_error_has_its_exit_code() {
        let class = |class: ErrorClass| Ending::from(class).code();
        assert_eq!([ErrorClass::NotThere, ErrorClass::BadData, ErrorClass::OutOfMemory].map(class), [4, 5, 3]);
        assert_eq!(Ending::from(&StageError::NotThere("x".into())).code(), 4);
        let gone = DataError::NotThere { path: Path::new("a").into(), cure: "look for it".into() };
        assert_eq!(Stop::from(anyhow::Error::from(gone)).ending.code(), 4);
        assert_eq!(Stop::from(anyhow::anyhow!("a bug")).ending.code(), 1);
        assert_eq!(Stop::bad_request("a misspelt name").ending.code(), 2);
        assert_eq!(Ending::Interrupted.code(), 130);
        assert_eq!(Ending::NotThere.max(Ending::BadData), Ending::BadData);
    }

    #[test]
    fn the_causes_of_a_stages_error_are_said_once() {
        let inner = || anyhow::anyhow!("model.safetensors is damaged").context("the model");
        assert_eq!(words(&inner()), "the model: model.safetensors is damaged");
        let stage = anyhow::Error::from(StageError::Failed(inner())).context("export");
        assert_eq!(words(&stage), "export: the model: model.safetensors is damaged");
    }
}
