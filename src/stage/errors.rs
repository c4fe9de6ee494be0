//! Which class of failure the errors of data sets and of weight files are.

use super::StageError;
use crate::data::DataError;
use crate::exit_code;
use crate::nn::weights::WeightsError;

/// Why a stage cannot use a data set.
pub(super) fn data_error(error: DataError) -> StageError {
    match error.exit_code() {
        exit_code::NOT_THERE => StageError::NotThere(error.to_string()),
        exit_code::BAD_DATA => StageError::BadData(error.to_string()),
        _ => StageError::failed(error),
    }
}

/// Why a stage cannot use a weight file.
pub(super) fn weights_error(error: WeightsError) -> StageError {
    match error {
        WeightsError::Io { .. } => StageError::NotThere(error.to_string()),
        WeightsError::Format { .. }
        | WeightsError::Unrelated { .. }
        | WeightsError::NotPublished { .. }
        | WeightsError::Changed { .. } => StageError::BadData(error.to_string()),
        WeightsError::Mismatch { ref missing, ref unused, ref misshapen, .. } => {
            let lacks_only = !missing.is_empty() && unused.is_empty() && misshapen.is_empty();
            let cure = if lacks_only { "\nWith `allow_missing = true` what is missing starts at random." } else { "" };
            StageError::BadData(format!("{error}{cure}"))
        }
        WeightsError::Tensor(error) => StageError::failed(error),
    }
}
