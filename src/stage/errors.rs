//! Converts errors of data sets and weight files into stage errors.

use super::StageError;
use crate::data::DataError;
use crate::exit_code;
use crate::nn::weights::{Differences, WeightsError};

/// The stage error for a data set that cannot be used.
pub(super) fn data_error(error: DataError) -> StageError {
    match error.exit_code() {
        exit_code::NOT_THERE => StageError::NotThere(error.to_string()),
        exit_code::BAD_DATA => StageError::BadData(error.to_string()),
        _ => StageError::failed(error),
    }
}

/// The cure if a file holds another network.
const OTHER_NETWORK: &str = ": correct `encoder.arch` and `encoder.width`, or give the file of this network";

/// The stage error for a weight file that cannot be used.
pub(super) fn weights_error(error: WeightsError) -> StageError {
    match error {
        WeightsError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            StageError::NotThere(error.to_string())
        }
        WeightsError::Io { .. } => StageError::BadData(error.to_string()),
        WeightsError::Write { .. } => StageError::failed(error),
        WeightsError::Format { .. }
        | WeightsError::Ambiguous { .. }
        | WeightsError::NotInFile { .. }
        | WeightsError::NotFinite { .. }
        | WeightsError::NegativeVariance { .. }
        | WeightsError::Zeros { .. }
        | WeightsError::NotPublished { .. }
        | WeightsError::Changed { .. } => StageError::BadData(error.to_string()),
        WeightsError::Unrelated { ref looks, .. } => {
            let help = if looks.is_empty() { "" } else { OTHER_NETWORK };
            StageError::BadData(format!("{error}{help}"))
        }
        WeightsError::Mismatch { ref differences, .. } => {
            let Differences { missing, unused, misshapen, looks, .. } = &**differences;
            let lacks_only = !missing.is_empty() && unused.is_empty() && misshapen.is_empty();
            let help = if !looks.is_empty() {
                OTHER_NETWORK
            } else if lacks_only {
                "\nWith `allow_missing = true` the missing tensors start with random values."
            } else {
                ""
            };
            StageError::BadData(format!("{error}{help}"))
        }
        WeightsError::Tensor(error) => StageError::failed(error),
    }
}
