//! The parameter `batch_size` of a training: a number, or `"auto"`.

use crate::experiment::ParamError;
use crate::machine;
use crate::train::memory::Needs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Number of samples in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub(super) enum BatchSize {
    /// As the experiment says.
    Number(NonZeroUsize),
    /// What the memory allows, until the experiment is read.
    Auto,
    /// What the memory allows, decided when the experiment was read. Written as any number.
    Chosen(NonZeroUsize),
}

/// As users write it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a whole number above 0, or \"auto\"")]
#[schemars(title = "a whole number above 0, or \"auto\"")]
enum Written {
    Number(NonZeroUsize),
    Word(Word),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    Auto,
}

impl From<Written> for BatchSize {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(number) => BatchSize::Number(number),
            Written::Word(Word::Auto) => BatchSize::Auto,
        }
    }
}

impl From<BatchSize> for Written {
    fn from(size: BatchSize) -> Self {
        match size {
            BatchSize::Number(number) | BatchSize::Chosen(number) => Written::Number(number),
            BatchSize::Auto => Written::Word(Word::Auto),
        }
    }
}

impl BatchSize {
    /// The parameter.
    pub(super) const NAME: &'static str = "batch_size";

    /// Whether the memory has to decide.
    pub(super) fn is_auto(self) -> bool {
        self == BatchSize::Auto
    }

    /// The number of samples.
    ///
    /// # Panics
    /// If the memory has not decided yet: that is done when the experiment is read.
    pub(super) fn get(self) -> usize {
        match self {
            BatchSize::Number(number) | BatchSize::Chosen(number) => number.get(),
            BatchSize::Auto => unreachable!("`batch_size = \"auto\"` is replaced when the experiment is read"),
        }
    }

    /// The largest power of two whose estimate fits into half of this machine's memory, whatever else runs on it; at most the batch size of `needs`.
    ///
    /// # Errors
    /// The refusal with the numbers, if the memory is too small for any batch.
    pub(super) fn for_memory(needs: &Needs) -> Result<Self, ParamError> {
        let refused = |message| ParamError::Check { param: BatchSize::NAME, message };
        let room = machine::whole().map_err(refused)?;
        let batch = needs.automatic_batch(room).map_err(|too_large| refused(too_large.to_string()))?;
        let number = usize::try_from(batch).ok().and_then(NonZeroUsize::new);
        Ok(BatchSize::Chosen(number.unwrap_or(NonZeroUsize::MIN)))
    }

    /// As written in an experiment file, if the memory has decided.
    pub(super) fn settled(self) -> Option<String> {
        match self {
            BatchSize::Chosen(number) => Some(format!("{} = {number}", BatchSize::NAME)),
            BatchSize::Number(_) | BatchSize::Auto => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_number_is_written_as_a_number() {
        let eight = NonZeroUsize::new(8).unwrap();
        let read = |json: &str| serde_json::from_str::<BatchSize>(json);
        assert_eq!(read("8").unwrap(), BatchSize::Number(eight));
        assert_eq!(read("\"auto\"").unwrap(), BatchSize::Auto);
        assert_eq!(read("0").unwrap_err().to_string(), "expected a whole number above 0, or \"auto\"");
        let written = |size| serde_json::to_string(&size).unwrap();
        assert_eq!((written(BatchSize::Chosen(eight)), written(BatchSize::Number(eight))), ("8".into(), "8".into()));
        assert_eq!(BatchSize::Chosen(eight).settled().as_deref(), Some("batch_size = 8"));
        assert_eq!(BatchSize::Number(eight).settled(), None);
    }
}
