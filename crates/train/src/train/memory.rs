//! Estimates the memory of a training or prediction before it starts, and rejects one that cannot fit, with the
//! numbers.

use super::optimizer::OptimizerSpec;
use matssl_base::machine::{Bound, Bytes, LIMIT, Room};
use matssl_data::loader::BATCHES_HELD;
use matssl_tensor::Footprint;
use matssl_tensor::Parameters;
use std::fmt;

/// Tensors of the largest size that a backward pass needs in addition to those that the forward pass saved: the gradients of an
/// output and of its input, one that waits for another consumer's, and one that is recomputed.
const WORKING: u64 = 4;

/// Scratch memory of the kernels' threads, reserve of the allocator, pages of the program: measured as 48 MiB above the
/// counted memory, on two threads.
const WORKSPACE: u64 = 48 << 20;

/// The same on a GPU: the maximum of cuDNN's workspaces, and the kernels' partial sums.
const GPU_WORKSPACE: u64 = (1 << 30) + (64 << 20);

/// Fraction of the memory that must stay free, but at least [`LEAST_HEADROOM`], for a recommended batch size: the free
/// memory and the memory of a process before its work vary between attempts.
const HEADROOM: u64 = 32;

/// In bytes.
const LEAST_HEADROOM: u64 = 12 << 20;

/// The kind of work: decides the words of the message and its advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Batches of pairs of views.
    Pretraining,
    /// Batches of crops.
    Finetuning,
    /// A fixed number of tiles as large as the crops of the training.
    Prediction,
    /// Tiles of the size that the user chooses.
    Application,
}

impl Work {
    fn noun(self) -> &'static str {
        if matches!(self, Work::Prediction | Work::Application) { "prediction" } else { "training" }
    }

    fn samples(self) -> &'static str {
        match self {
            Work::Pretraining => "pairs of views",
            Work::Finetuning => "crops",
            Work::Prediction | Work::Application => "tiles",
        }
    }

    /// The smallest batch that the user may choose; `None` if there is no choice.
    fn least_batch(self) -> Option<u64> {
        match self {
            Work::Pretraining => Some(2),
            Work::Finetuning => Some(1),
            Work::Prediction | Work::Application => None,
        }
    }
}

/// The sizes that decide how much memory is needed.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The kind of work.
    pub work: Work,
    /// Whether it runs on a GPU: then GPU memory is compared.
    pub gpu: bool,
    /// Whether activations are already recomputed; if not, recomputation is a remedy.
    pub recomputes: bool,
    /// Samples (pairs of views, crops, tiles) in a batch.
    pub batch_size: u64,
    /// Side of a sample in pixels.
    pub size: usize,
    /// Bytes that the process already holds without the parameters: images, the program itself.
    pub loaded: u64,
    /// Bytes of all parameters and buffers.
    pub parameters: u64,
    /// Bytes of the trained parameters.
    pub trainable: u64,
    /// None in a prediction.
    pub optimizer: Option<OptimizerSpec>,
    /// Whether the gradients of several steps are summed for one update.
    pub accumulates: bool,
    /// Whether a moving average of the trained parameters is kept.
    pub averages: bool,
    /// Whether the best epoch's parameters are kept.
    pub keeps_best: bool,
    /// Bytes of the tensors of one batch as the loader makes it.
    pub batch: u64,
    /// Peak bytes of the passes over one batch of `batch_size`, from [`training_activations`].
    pub activations: u64,
    /// Peak bytes of work between the steps, such as validation, when there are no activations.
    pub between_steps: u64,
}

/// Memory by purpose, in bytes. Mapped files are not counted: the system drops their pages when memory runs low.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Memory held before the work starts: images, the program itself.
    pub loaded: u64,
    /// Memory that any work needs, independent of its size.
    pub workspace: u64,
    /// Parameters and buffers, and a moving average of the trained parameters.
    pub parameters: u64,
    /// One tensor for each trained parameter; two if gradients are summed over steps.
    pub gradients: u64,
    /// The optimiser's state: momentum, moments.
    pub optimizer_state: u64,
    /// Tensors of the forward and backward pass.
    pub activations: u64,
    /// Batches in use, ready, and being made.
    pub batches: u64,
    /// The best epoch's parameters, and a checkpoint being written.
    pub copies: u64,
}

/// Copies of a convolution's concatenated inputs that a GPU holds in a backward pass: their gradient and its parts,
/// then the parts and the inputs.
const JOINED: u64 = 2;

/// Activations of a training step: `passes` forward passes, whose tensors are kept until one common backward pass.
pub fn training_activations(footprint: Footprint, passes: u64) -> u64 {
    let Footprint { saved_bytes, largest_bytes, recomputed_bytes, joined_bytes } = footprint;
    passes * saved_bytes + WORKING * largest_bytes + recomputed_bytes + JOINED * joined_bytes
}

/// Activations of a prediction. Without a backward pass only tensors that later layers still read are kept (measured: a
/// fifth in U-Net++ with a ResNet-18), and an operation's input and output.
pub fn prediction_activations(footprint: Footprint) -> u64 {
    footprint.saved_bytes / 4 + 2 * footprint.largest_bytes + footprint.joined_bytes
}

/// Bytes of all parameters and buffers, and bytes of the trained ones.
pub fn parameter_bytes(parameters: &Parameters) -> (u64, u64) {
    let mut sums = (0, 0);
    for (name, parameter) in parameters.iter() {
        let tensor = parameter.var.as_tensor();
        let bytes = (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64;
        sums.0 += bytes;
        sums.1 += if parameter.role.is_trainable() && !parameters.is_frozen(name) { bytes } else { 0 };
    }
    sums
}

/// The part of `bytes` that must stay free.
fn headroom(bytes: u64) -> u64 {
    (bytes / HEADROOM).max(LEAST_HEADROOM)
}

impl Estimate {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum::<u64>() + self.activations
    }

    /// All parts except the activations, with their names in messages.
    fn parts(&self) -> [(&'static str, u64); 7] {
        [
            ("weights", self.parameters),
            ("gradients", self.gradients),
            ("optimiser", self.optimizer_state),
            ("prefetched batches", self.batches),
            ("copies for checkpoints", self.copies),
            ("already loaded", self.loaded),
            ("workspace", self.workspace),
        ]
    }
}

impl Needs {
    /// The estimate for batches of `batch`: activations and batches grow with it, the rest stays.
    pub fn at(&self, batch: u64) -> Estimate {
        let scaled = |bytes: u64| {
            let bytes = (u128::from(bytes) * u128::from(batch)).div_ceil(u128::from(self.batch_size.max(1)));
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        let training = self.optimizer.is_some();
        let optimizer_state = self.optimizer.map_or(0, |optimizer| optimizer.state_copies() * self.trainable);
        let best = if self.keeps_best { self.parameters } else { 0 };
        let parameters = self.parameters + if self.averages { self.trainable } else { 0 };
        let checkpoint = if training { parameters + optimizer_state + best } else { 0 };
        let gradients = self.trainable * (1 + u64::from(self.accumulates));
        let estimate = Estimate {
            loaded: self.loaded,
            workspace: WORKSPACE,
            parameters,
            gradients: if training { gradients } else { 0 },
            optimizer_state,
            activations: scaled(self.activations).max(self.between_steps),
            batches: if training { BATCHES_HELD * scaled(self.batch) } else { scaled(self.batch) },
            copies: best + checkpoint,
        };
        if !self.gpu {
            return estimate;
        }
        // Images and a checkpoint being written are in the machine's memory.
        Estimate { loaded: 0, workspace: GPU_WORKSPACE, copies: best, ..estimate }
    }

    /// The estimate.
    pub fn estimate(&self) -> Estimate {
        self.at(self.batch_size)
    }

    /// The largest power of two of samples, up to the batch size, whose estimate fits into half of `room`: the other half is for the
    /// images and for other programs. The smallest batch may have all of it. Without a known limit the batch size as it is.
    ///
    /// # Errors
    /// As [`Needs::fits`], if not even the smallest batch fits.
    pub fn automatic_batch(&self, room: Option<Room>) -> Result<u64, Box<TooLarge>> {
        let (most, least) = (self.batch_size, self.work.least_batch().unwrap_or(1));
        let Some(room) = room else { return Ok(most) };
        let fits = |batch: u64, bytes: u64| self.at(batch).total() <= bytes;
        let mut halves = std::iter::successors(Some(most), |batch| Some(batch / 2)).take_while(|batch| *batch >= least);
        match halves.find(|&batch| fits(batch, room.bytes / 2)) {
            Some(batch) => Ok(batch),
            None if fits(least, room.bytes) => Ok(least),
            None => self.fits(room).map(|()| least),
        }
    }

    /// Whether it fits into `room`.
    ///
    /// # Errors
    /// If it does not fit: the numbers, and the largest batch that would fit.
    pub fn fits(&self, room: Room) -> Result<(), Box<TooLarge>> {
        let estimate = self.estimate();
        if estimate.total() <= room.bytes {
            return Ok(());
        }
        let total = |batch| self.at(batch).total();
        let safe = room.bytes.saturating_sub(headroom(room.bytes));
        let cure = match self.work.least_batch().filter(|&least| least < self.batch_size) {
            None => Cure::OtherThanBatch,
            Some(least) if total(least) > safe => Cure::NoBatch { least, total: total(least) },
            Some(mut fits) => {
                // `fits` does, `too_large` does not; the total grows with the batch.
                let mut too_large = self.batch_size;
                while too_large - fits > 1 {
                    let middle = fits + (too_large - fits) / 2;
                    *(if total(middle) <= safe { &mut fits } else { &mut too_large }) = middle;
                }
                Cure::Batch { fits, total: total(fits) }
            }
        };
        let recomputes = self.recomputes;
        Err(Box::new(TooLarge {
            work: self.work,
            recomputes,
            batch_size: self.batch_size,
            size: self.size,
            estimate,
            room,
            cure,
        }))
    }
}

/// The error that a training or prediction needs more memory than there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TooLarge {
    /// The kind of work.
    pub work: Work,
    /// Whether activations are recomputed.
    pub recomputes: bool,
    /// Number of samples in a batch.
    pub batch_size: u64,
    /// Side of a sample in pixels.
    pub size: usize,
    /// The estimate.
    pub estimate: Estimate,
    /// The available memory.
    pub room: Room,
    /// The remedy.
    pub cure: Cure,
}

/// Remedy for [`TooLarge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// A smaller batch.
    Batch {
        /// The largest batch that fits.
        fits: u64,
        /// Its estimate in bytes.
        total: u64,
    },
    /// No batch is small enough.
    NoBatch {
        /// The smallest batch.
        least: u64,
        /// Its estimate in bytes.
        total: u64,
    },
    /// The batch is already the smallest possible, or not the user's choice.
    OtherThanBatch,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLarge { work, recomputes, batch_size, size, estimate, room, cure } = self;
        let (total, activations) = (Bytes(estimate.total()), Bytes(estimate.activations));
        let (noun, samples, free) = (work.noun(), work.samples(), Bytes(room.bytes));
        write!(f, "the {noun} needs about {total} of memory (activations {activations} for a batch of {batch_size} ")?;
        write!(f, "{samples} at {size} × {size}")?;
        for (name, bytes) in estimate.parts().into_iter().filter(|(_, bytes)| *bytes > 0) {
            write!(f, ", {name} {}", Bytes(bytes))?;
        }
        match room.bound {
            Bound::User => write!(f, "), and {LIMIT} allows {free}: ")?,
            Bound::ControlGroup => write!(f, "), and the memory limit of this job or container leaves {free}: ")?,
            Bound::Machine => write!(f, "), and {free} are free: ")?,
            Bound::Gpu => write!(f, "), and {free} of GPU memory are free: ")?,
        }
        let others = match (work, recomputes) {
            (Work::Pretraining, false) => "`recompute = true`, a smaller `crop_size` or an encoder of smaller `width`",
            (Work::Pretraining, true) => "a smaller `crop_size` or an encoder of smaller `width`",
            (Work::Finetuning, false) => {
                "`recompute = true`, a smaller `crop_size`, `decoder_channels` or an encoder of smaller `width`"
            }
            (Work::Finetuning, true) => "a smaller `crop_size`, `decoder_channels` or an encoder of smaller `width`",
            (Work::Prediction, _) => {
                "a model that was trained with a smaller `crop_size` or an encoder of smaller `width`"
            }
            (Work::Application, _) => {
                "smaller tiles (`--tile`; in an experiment `tile`) or a model with an encoder of smaller `width`"
            }
        };
        match cure {
            Cure::Batch { fits, total } => {
                let pairs = if *work == Work::Pretraining { " (it counts pairs)" } else { "" };
                let total = Bytes(*total);
                write!(f, "a batch of {fits} would need about {total}; use `batch_size = {fits}`{pairs}, {others}")?;
            }
            Cure::NoBatch { least, total } => {
                write!(f, "even a batch of {least} would need about {}; use {others}", Bytes(*total))?;
            }
            Cure::OtherThanBatch => write!(f, "use {others}")?,
        }
        match room.bound {
            Bound::User => return Ok(()),
            Bound::Gpu if *work == Work::Application => return write!(f, ", or `--device cpu`"),
            Bound::Gpu => return write!(f, ", `precision = \"bf16\"` if not set yet, or `--device cpu`"),
            Bound::ControlGroup | Bound::Machine => {}
        }
        write!(f, ", or more memory ({LIMIT} overrides the detected limit)")
    }
}

#[cfg(test)]
mod tests;
