//! What stages leave, as far as other stages can ask for it before they run.

use super::seen_images::SeenImages;
use super::{Known, KnownInput, Prospect};
use crate::data::{Manifest, Split};
use crate::metrics::FurtherScore;
use crate::nn::{EncoderConfig, SegmentationConfig};
use std::sync::Arc;

/// What a stage leaves.
pub(super) enum Outlook {
    /// A data set. Of one that is not made yet, digests and pixels of classes are empty.
    Images(Arc<Manifest>),
    /// Patches.
    Patches {
        /// Number of patches.
        count: usize,
        /// Their side in pixels.
        size: usize,
        /// Their number of channels.
        channels: usize,
    },
    /// A training.
    Training {
        /// Columns of its history; `None` if they are not all known.
        columns: Option<Vec<String>>,
        /// Class names of the model that it trains, if it trains one and they are known.
        classes: Option<Vec<String>>,
        /// Number of channels that its network takes, if it is known.
        in_channels: Option<usize>,
        /// The encoder that it trains, if it is known.
        encoder: Option<EncoderConfig>,
        /// The network of the model that it trains, if it trains one and it is known.
        network: Option<Box<SegmentationConfig>>,
        /// The images that it, and the trainings that it starts from, learn from with their masks, as far as they are known; a
        /// fine-tuning's own come last.
        seen: Vec<Arc<SeenImages>>,
        /// Whether its network can be written as ONNX.
        has_onnx: bool,
    },
    /// An evaluation.
    Scores(Scores),
    /// The outputs that a command declares: files, folders or patterns.
    Files(Vec<String>),
}

/// An evaluation that has not run yet.
#[derive(Clone)]
pub(super) struct Scores {
    /// The data set.
    pub(super) manifest: Arc<Manifest>,
    /// The images that are scored.
    pub(super) split: Split,
    /// Number of images in a batch of the mIoU over batches.
    pub(super) miou_batch: usize,
    /// Further scores that it measures.
    pub(super) further: Vec<FurtherScore>,
    /// Number of models that predict together.
    pub(super) models: usize,
}

impl Outlook {
    /// As the engine carries it from stage to stage.
    pub(super) fn prospect(self) -> Option<Prospect> {
        Some(Arc::new(self))
    }

    /// What `input` leaves.
    pub(super) fn of<'a>(input: &'a KnownInput<'_>) -> Option<&'a Outlook> {
        input.prospect.as_deref()?.downcast_ref()
    }

    /// The images that the trainings among the inputs learn from with their masks.
    pub(super) fn seen(known: &Known<'_>) -> impl Iterator<Item = Arc<SeenImages>> {
        let of_input = |input| match Outlook::of(input) {
            Some(Outlook::Training { seen, .. }) => seen.clone(),
            _ => Vec::new(),
        };
        known.inputs.iter().flat_map(of_input)
    }

    /// Name and manifest of the data set that `role` names, if it is known.
    pub(super) fn images<'a>(known: &'a Known<'_>, role: &str) -> Option<(&'a str, &'a Arc<Manifest>)> {
        let input = known.inputs(role).next()?;
        match Outlook::of(input)? {
            Outlook::Images(manifest) => Some((input.label, manifest)),
            _ => None,
        }
    }
}

/// What a data set of this manifest leaves.
pub fn images(manifest: &Manifest) -> Prospect {
    Arc::new(Outlook::Images(Arc::new(manifest.clone())))
}
