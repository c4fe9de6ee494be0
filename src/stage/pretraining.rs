//! The pretraining task of the training loop.

use super::monitor::{self, Monitor};
use crate::data::RGB;
use crate::data::augment::{ViewParams, normalization};
use crate::data::loader::prefetch;
use crate::data::patches::Patches;
use crate::machine;
use crate::nn::{Encoder, Images, Parameters};
use crate::random::Stream;
use crate::ssl::{ENCODER, Moment, Online, SslMethod, Watch};
use crate::train::memory::{Needs, Work, parameter_bytes, training_activations};
use crate::train::{Batches, EpochEnd, OptimizerSpec, Step, Task};
use candle_core::DType;
use std::sync::Arc;

/// An encoder and the heads of an SSL method in training.
pub(super) struct Pretraining {
    pub(super) parameters: Parameters,
    pub(super) encoder: Encoder,
    pub(super) method: Box<dyn SslMethod>,
    pub(super) patches: Arc<Patches>,
    /// Includes the size of a view.
    pub(super) views: ViewParams,
    pub(super) batch_size: usize,
    /// Number of neighbouring patches that stay together.
    pub(super) together: usize,
    /// Number of epochs of the training.
    pub(super) epochs: u64,
    pub(super) seed: u64,
    pub(super) monitor: Option<Monitor>,
    /// Epochs from one evaluation of the monitor to the next.
    pub(super) monitor_every: u64,
}

/// Two views of a batch of patches, and their step in the training.
pub(super) struct Views {
    views: [Images; 2],
    moment: Moment,
}

/// Estimates the peak memory of a training with `method` on batches of pairs of views with a side of `size` pixels, without an optimiser,
/// and without what the process holds before. Heads need little compared with the encoder: they process one vector per view, or the
/// last map.
///
/// # Errors
/// If the views do not fit the encoder.
pub(super) fn memory(
    parameters: &Parameters,
    encoder: &Encoder,
    method: &dyn SslMethod,
    (batch_size, size, patch_channels): (usize, usize, usize),
) -> anyhow::Result<Needs> {
    let in_channels = encoder.config().in_channels();
    let shape = [batch_size, size, size, in_channels];
    let pass = crate::nn::footprint(parameters, shape, |tape, x| encoder.deepest(tape, ENCODER, x))?;
    let (bytes, trainable) = parameter_bytes(parameters);
    let (gpu, pixels) = (!parameters.device().is_cpu(), 2 * batch_size * size * size);
    // Two views in float32, normalised, or before a GPU normalises them; there the network's input is a second buffer.
    let channels = if gpu && in_channels == RGB { patch_channels } else { in_channels };
    let input = in_channels * pixels * parameters.activations().size_in_bytes();
    let normalised = if gpu { input } else { 0 };
    Ok(Needs {
        work: Work::Pretraining,
        gpu,
        recomputes: parameters.recomputes(),
        batch_size: batch_size as u64,
        size,
        loaded: 0,
        parameters: bytes,
        trainable,
        optimizer: None,
        accumulates: false,
        averages: false,
        keeps_best: false,
        batch: (4 * channels * pixels) as u64,
        activations: training_activations(pass, method.recorded_passes())
            + method.loss_bytes(batch_size, size)
            + normalised as u64,
        between_steps: 0,
    })
}

impl Pretraining {
    /// Estimates the peak memory of the training.
    ///
    /// # Errors
    /// If the views do not fit the encoder.
    pub(super) fn memory(&self, optimizer: OptimizerSpec) -> anyhow::Result<Needs> {
        let sizes = (self.batch_size, self.views.size, self.patches.channels());
        let needs = memory(&self.parameters, &self.encoder, &*self.method, sizes)?;
        let loaded = machine::held_memory().saturating_sub(needs.parameters);
        Ok(Needs { loaded, optimizer: Some(optimizer), ..needs })
    }

    fn batch_maker(&self) -> anyhow::Result<Batches> {
        Batches::on(self.parameters.device(), self.encoder.config().in_channels())
    }
}

/// The patches of an epoch in random order, in which runs of `together` neighbours stay together. Runs begin elsewhere in each epoch.
fn order(seed: u64, epoch: u64, patches: usize, together: usize) -> Vec<usize> {
    let mut stream = Stream::new(seed, "order", epoch, 0);
    if together == 1 {
        return stream.permutation(patches);
    }
    let start = stream.below(together as u64) as usize;
    let turned: Vec<usize> = (0..patches).map(|index| (start + index) % patches).collect();
    let runs: Vec<&[usize]> = turned.chunks(together).collect();
    stream.permutation(runs.len()).into_iter().flat_map(|run| runs[run].iter().copied()).collect()
}

impl Task for Pretraining {
    type Batch = Views;
    const LOSS: &'static str = "loss";

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        (self.patches.len() / self.batch_size) as u64
    }

    fn batches(&self, epoch: u64, from: u64) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Views>>>> {
        let order = order(self.seed, epoch, self.patches.len(), self.together);
        let (patches, views, batch, seed) = (self.patches.clone(), self.views.clone(), self.batch_size, self.seed);
        let (maker, steps, epochs) = (self.batch_maker()?, self.steps_per_epoch(), self.epochs);
        let make = move |step: usize| {
            let step = from as usize + step;
            let views = maker.views(&patches, &order[step * batch..(step + 1) * batch], &views, seed, epoch)?;
            Ok(Views { views, moment: Moment { step: epoch * steps + step as u64, steps: epochs * steps, seed } })
        };
        let ahead = prefetch(steps.saturating_sub(from) as usize, make)?;
        // In the step's thread, so that a late copy counts as waiting for data.
        Ok(Box::new(ahead.map(|batch: anyhow::Result<Views>| {
            let Views { views: [first, second], moment } = batch?;
            Ok(Views { views: [first.arrived()?, second.arrived()?], moment })
        })))
    }

    fn step(&mut self, Views { views, moment }: Views) -> anyhow::Result<Step> {
        let [first, second] = views.map(|view| view.normalized(&self.parameters, normalization()));
        let views = [first?, second?];
        let stream = Stream::new(moment.seed, "drop path", moment.step, 0);
        let mut online = Online::new(&self.encoder, &self.parameters).with_stream(stream);
        let result = self.method.loss(&mut online, &views, moment)?;
        let loss = result.loss.to_dtype(DType::F64)?.to_scalar()?;
        let gradients = online.backward(&result.loss)?;
        let watch = Watch::new(&result.embeddings)?;
        let measures = result.parts.into_iter().chain(watch.values()).collect();
        Ok(Step { loss, gradients, measures, images: self.batch_size as u64, fault: watch.collapsed() })
    }

    fn measures(&self) -> Vec<String> {
        self.method.parts().iter().chain(&Watch::COLUMNS).map(|&column| column.into()).collect()
    }

    fn columns(&self) -> Vec<String> {
        let monitored = self.monitor.as_ref().map(|_| monitor::COLUMN);
        self.method.columns().iter().copied().chain(monitored).map(str::to_owned).collect()
    }

    fn end_of_epoch(&mut self, epoch: u64) -> anyhow::Result<EpochEnd> {
        let mut values: Vec<Option<f64>> = self.method.values(&self.parameters)?.into_iter().map(Some).collect();
        let mut note = None;
        if let Some(monitor) = &self.monitor {
            let due = (epoch + 1).is_multiple_of(self.monitor_every) || epoch + 1 == self.epochs;
            let accuracy = due.then(|| monitor.accuracy(&self.encoder, &self.parameters)).transpose()?;
            note = accuracy.map(|accuracy| format!("k-NN accuracy {accuracy:.3}"));
            values.push(accuracy);
        }
        Ok(EpochEnd { values, note, ..EpochEnd::default() })
    }
}

#[cfg(test)]
pub(in crate::stage) mod tests;
