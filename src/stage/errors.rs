//! Converts errors of data sets and weight files into stage errors.

use super::StageError;
use crate::data::DataError;
use crate::exit_code;
use crate::nn::weights::WeightsError;

/// The stage error for a data set that cannot be used.
pub(super) fn data_error(error: DataError) -> StageError {
    match error.exit_code() {
        exit_code::NOT_THERE => StageError::NotThere(error.to_string()),
        exit_code::BAD_DATA => StageError::BadData(error.to_string()),
        _ => StageError::failed(error),
    }
}

/// The stage error for a weight file that cannot be used.
pub(super) fn weights_error(error: WeightsError) -> StageError {
    match error {
        WeightsError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            StageError::NotThere(error.to_string())
        }
        WeightsError::Io { .. } => StageError::BadData(error.to_string()),
        WeightsError::Write { .. } => StageError::failed(error),
        WeightsError::Format { .. }
        | WeightsError::Unrelated { .. }
        | WeightsError::NotPublished { .. }
        | WeightsError::Changed { .. } => StageError::BadData(error.to_string()),
        WeightsError::Mismatch { ref missing, ref unused, ref misshapen, .. } => {
            let lacks_only = !missing.is_empty() && unused.is_empty() && misshapen.is_empty();
            let help = if lacks_only {
                "\nWith `allow_missing = true` the missing tensors start with random values."
            } else {
                ""
            };
            StageError::BadData(format!("{error}{help}"))
        }
        WeightsError::Tensor(error) => StageError::failed(error),
    }
}
