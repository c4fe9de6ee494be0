//! Our side of the steps of Swin-Unet and CS-UNet. `pytorch_swin.py` is PyTorch's.

use crate::ours::{Place, Step, images, segmentation_step, stream, tiles_step};
use crate::workloads::Spec;
use anyhow::{Context, Result};
use matssl_run::nn::{Parameters, SegmentationNetwork};
use serde_json::json;

/// Prepares the workload `spec`: a step of training, or a prediction of as many tiles.
///
/// # Errors
/// If it lacks a word, or the network cannot be made.
pub(crate) fn step(place: &Place, spec: &Spec) -> Result<Step> {
    let (network, parameters) = network(place, spec)?;
    match spec.kind.as_str() {
        "swin-inference" => tiles_step(spec, network, parameters),
        _ => segmentation_step(place, spec, network, parameters, images(place, spec, 0)?),
    }
}

/// The network and its parameters.
///
/// # Errors
/// If the spec lacks a word.
pub(crate) fn network(place: &Place, spec: &Spec) -> Result<(SegmentationNetwork, Parameters)> {
    // Nothing is dropped at random, on either side.
    let swin = json!({ "depths": spec.numbers("depths")?, "window": spec.number("window")?, "drop_path": 0.0 });
    let (architecture, arch) = (spec.text("network")?, spec.text("arch")?);
    let mut config = json!({ "architecture": architecture, "classes": spec.number("classes")? });
    if architecture == "cs-unet" {
        config["encoder"] = json!({ "arch": arch });
        config["transformer"] = swin;
    } else {
        config["encoder"] = swin;
        config["encoder"]["arch"] = arch.into();
    }
    let network = SegmentationNetwork::new(serde_json::from_value(config).context("a network")?);
    let mut parameters = place.parameters();
    network.init(&mut parameters, &stream())?;
    Ok((network, parameters))
}
