//! What the program says beforehand that a step will take in memory, as its stages do before they train.

use crate::ours::{Place, matssl_method, optimizer, unet_plus_plus};
use crate::swin;
use crate::workloads::Spec;
use anyhow::Result;
use matssl_run::machine::held_memory;
use matssl_run::nn::{Parameters, SegmentationNetwork, footprint};
use matssl_run::ssl::ENCODER;
use matssl_run::train::memory::{Needs, Work, parameter_bytes, training_activations};

/// The answer where the program estimates nothing.
pub(crate) const NONE: &str = "none";

/// The worker's answer: KiB, or [`NONE`].
///
/// # Errors
/// If the workload's words are wrong.
pub(crate) fn answer(place: &Place, spec: &Spec) -> Result<String> {
    let bytes = match spec.kind.as_str() {
        "matssl" => matssl(place, spec)?.estimate().total(),
        "unet++" => segmentation(place, spec, unet_plus_plus(place, spec)?)?.estimate().total(),
        "swin-step" => segmentation(place, spec, swin::network(place, spec)?)?.estimate().total(),
        _ => return Ok(NONE.to_owned()),
    };
    Ok((bytes >> 10).to_string())
}

fn matssl(place: &Place, spec: &Spec) -> Result<Needs> {
    let (encoder, method, parameters) = matssl_method(place, spec)?;
    let (batch, size) = (spec.number("batch")?, spec.number("size")?);
    let pass = footprint(&parameters, [batch, size, size, 3], |tape, x| {
        let [.., last] = encoder.features(tape, ENCODER, x)?;
        Ok(last)
    })?;
    let activations = training_activations(pass, method.recorded_passes()) + method.loss_bytes(batch, size);
    needs(place, spec, Work::Pretraining, &parameters, activations + images(&parameters, 2 * batch, size))
}

fn segmentation(place: &Place, spec: &Spec, (network, parameters): (SegmentationNetwork, Parameters)) -> Result<Needs> {
    let (batch, size) = (spec.number("batch")?, spec.number("size")?);
    let pass = footprint(&parameters, [batch, size, size, 3], |tape, x| network.forward(tape, x))?;
    let activations = training_activations(pass, 1);
    let labels = (batch * size * size) as u64;
    needs(place, spec, Work::Finetuning, &parameters, activations + labels + images(&parameters, batch, size))
}

/// Bytes of a step's images: in float32, and in the type of the activations where that is another.
fn images(parameters: &Parameters, count: usize, size: usize) -> u64 {
    let (given, taken) = (parameters.dtype(), parameters.activations());
    let taken = if taken == given { 0 } else { taken.size_in_bytes() };
    (3 * count * size * size * (given.size_in_bytes() + taken)) as u64
}

/// The images are among the activations: here no loader makes batches ahead.
fn needs(place: &Place, spec: &Spec, work: Work, parameters: &Parameters, activations: u64) -> Result<Needs> {
    let (bytes, trainable) = parameter_bytes(parameters);
    let gpu = !place.device().is_cpu();
    Ok(Needs {
        work,
        gpu,
        recomputes: parameters.recomputes(),
        batch_size: spec.number("batch")? as u64,
        size: spec.number("size")?,
        loaded: if gpu { 0 } else { held_memory().saturating_sub(bytes) },
        parameters: bytes,
        trainable,
        optimizer: Some(optimizer(spec)?),
        accumulates: false,
        averages: false,
        keeps_best: false,
        batch: 0,
        activations,
        between_steps: 0,
    })
}
