//! Heads on an encoder's deepest map, frozen encoders, and learning rates that fall from layer to layer.

use super::*;
use crate::nn::Encoder;
use candle_core::{DType, Device};

const VIT: &str = "dataset = '<input>'\nencoder = { arch = 'dinov2-small', width = 24, depth = 2, heads = 3, grid = 3, weights = 'random' }\n\
    architecture = 'linear'\nepochs = 3\nbatch_size = 2\ncrop_size = 32\ncrops_per_image = 2\n\
    optimizer = { name = 'adamw', learning_rate = 0.01 }\n";

/// The encoder's tensors of the model that `text` trains, and those that it starts with.
fn encoders(text: &str) -> [Vec<Vec<f32>>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context(folder.path(), "dataset", &dataset(folder.path(), &ALL));
    parse::<Finetune>(text).unwrap().run(&mut context).unwrap();
    let model = Segmenter::load(&context.out.join("model.safetensors"), &Device::Cpu).unwrap();
    let network = model.network().network;
    let mut start = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut start, &Stream::new(context.seed, "model", 0, 0)).unwrap();
    let shapes = Encoder::new(network.config().encoder.clone()).shapes();
    let names = shapes.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    let names: Vec<String> = names.map(|(name, _)| format!("encoder.{name}")).collect();
    [model.network().parameters, &start].map(|parameters| {
        let values = |name: &String| parameters.tensor(name).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        names.iter().map(values).collect()
    })
}

#[test]
fn a_frozen_encoder_keeps_its_bits_and_the_head_learns() {
    let resnet = TOY.replace("epochs = 6", "epochs = 2");
    for text in [VIT, &VIT.replace("'linear'", "'conv'"), &resnet] {
        let [after, before] = encoders(&format!("{text}freeze = true\n"));
        assert!(after == before && after.len() > 20, "{text}");
    }
    let [after, before] = encoders(VIT);
    assert!(after.iter().zip(&before).filter(|(after, before)| after != before).count() > 20);
    let (_, text, _) = run(&format!("{VIT}freeze = true\n"), &ALL).unwrap();
    let losses: Vec<f64> =
        History::from_csv(&text).unwrap().column("train_loss").unwrap().into_iter().flatten().collect();
    assert!(losses[2] < losses[0], "{text}");
}

/// With a factor near 0 the first layers hardly move, and the last layer norm moves as before.
#[test]
fn learning_rates_fall_towards_the_image() {
    let moved = |text: &str| {
        let [after, before] = encoders(text);
        let largest = |(after, before): (&Vec<f32>, &Vec<f32>)| {
            after.iter().zip(before).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        let moved: Vec<f32> = after.iter().zip(&before).map(largest).collect();
        (moved[1], moved[moved.len() - 1])
    };
    let ((positions, last), (slow, same)) = (moved(VIT), moved(&format!("{VIT}layer_decay = 0.01\n")));
    assert!(positions > 1e-3 && slow < 1e-5 && same > 0.1 * last, "{positions} {slow} {last} {same}");
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let error = |more: &str| refused::<Finetune>(&format!("{VIT}{more}"));
    for (more, expected) in [
        ("layer_decay = 0.0", "0 is out of range: above 0, up to 1"),
        ("layer_decay = 0.8\nfreeze = true", "has no effect with `freeze = true`"),
        ("decoder_channels = [8, 8, 8, 4, 4]", "\"linear\" has none"),
    ] {
        assert!(error(more).contains(expected), "{more}: {}", error(more));
    }
    let weights = VIT.replace("'random'", "'imagenet'");
    let weights = refused::<Finetune>(&weights);
    assert!(weights.contains("no weights \"imagenet\" of dinov2-small are published: use \"lvd-142m\""), "{weights}");
}
