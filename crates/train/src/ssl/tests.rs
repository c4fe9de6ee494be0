//! Methods on encoders that are no ResNets.

use super::{ENCODER, MethodSpec, Moment, Online, SslMethod};
use crate::networks::{Encoder, EncoderConfig};
use crate::train::OptimizerSpec;
use crate::train::optimizer::Optimizer;
use candle_core::{DType, Device, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::Parameters;

/// Stages of 8, 4, 2 and 1 pixels on images of 32: shifted windows, windows as large as their stage, and smaller ones.
const SWIN: &str = r#"{"arch":"swin-tiny","width":6,"depths":[1,2,1,1],"heads":1,"window":2,"drop_path":0.1}"#;

/// Two views of eight images of 32×32, each of its own pattern, with noise.
fn views(step: u64) -> [Tensor; 2] {
    [0, 1].map(|view| {
        let mut noise = Stream::new(7, "views of ssl tests", step, view);
        let pixel = |i: usize, noise: &mut Stream| {
            let (image, y, x) = (i / 3072, i / 96 % 32, i / 3 % 32);
            let (across, down) = (0.2 * (image + 1) as f64, 0.2 * (8 - image) as f64);
            (x as f64 * across).sin() * (y as f64 * down).cos() + 0.2 * noise.normal()
        };
        let values: Vec<f32> = (0..8 * 32 * 32 * 3).map(|i| pixel(i, &mut noise) as f32).collect();
        Tensor::from_vec(values, (8, 32, 32, 3), &Device::Cpu).unwrap()
    })
}

fn built(method: &str, encoder: &str, dtype: DType) -> (Encoder, Parameters, Box<dyn SslMethod>) {
    let encoder = Encoder::new(serde_json::from_str::<EncoderConfig>(encoder).unwrap());
    let mut parameters = Parameters::new(dtype, &Device::Cpu);
    let stream = Stream::new(1, "ssl tests", 0, 0);
    encoder.init(&mut parameters, ENCODER, &stream).unwrap();
    let method = serde_json::from_str::<MethodSpec>(method).unwrap();
    let method = method.build(&encoder, &mut parameters, &stream.child(1)).unwrap();
    (encoder, parameters, method)
}

const SIZES: &str = r#""head":{"hidden":16,"output":8}"#;

/// The losses of `steps` steps.
fn losses(method: &str, encoder: &str, steps: u64) -> Vec<f64> {
    let (encoder, parameters, method) = built(method, encoder, DType::F32);
    let mut optimizer = Optimizer::new(OptimizerSpec::adam(3e-3, 0.0));
    let step = |step: u64| {
        let stream = Stream::new(5, "drop path", step, 0);
        let mut online = Online::new(&encoder, &parameters).with_stream(stream);
        let moment = Moment { step, steps, seed: 5 };
        let made = method.loss(&mut online, &views(step), moment).unwrap();
        let loss = made.loss.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
        let gradients = online.backward(&made.loss).unwrap();
        optimizer.step(&parameters, &gradients, 3e-3, 1.0).unwrap();
        loss
    };
    (0..steps).map(step).collect()
}

/// Every method lowers its loss on a Swin transformer, the same each time.
#[test]
fn every_method_trains_a_swin_transformer() {
    for (method, steps) in [
        (format!(r#"{{"name":"simclr",{SIZES}}}"#), 16),
        (format!(r#"{{"name":"matssl","gate":"paper",{SIZES}}}"#), 16),
        (format!(r#"{{"name":"matssl","gate":"code",{SIZES}}}"#), 16),
        (format!(r#"{{"name":"mocov2","queue_size":16,"momentum":0.9,{SIZES}}}"#), 24),
        (format!(r#"{{"name":"densecl","queue_size":16,"momentum":0.9,{SIZES}}}"#), 24),
        (format!(r#"{{"name":"byol","prediction_hidden":16,{SIZES}}}"#), 16),
        (format!(r#"{{"name":"simsiam","prediction_hidden":16,{SIZES}}}"#), 16),
        (format!(r#"{{"name":"barlow-twins",{SIZES}}}"#), 16),
        (format!(r#"{{"name":"vicreg",{SIZES}}}"#), 16),
    ] {
        let found = losses(&method, SWIN, steps);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        // A queue is full of keys after two steps.
        let first = if method.contains("queue") { mean(&found[2..5]) } else { found[0] };
        let last = mean(&found[found.len() - 3..]);
        assert!(found.iter().all(|loss| loss.is_finite()) && last < first, "{method}: {found:?}");
        if method.contains("matssl") {
            assert_eq!(losses(&method, SWIN, 3), found[..3], "{method}");
        }
    }
}

/// Each view drops its own paths, by the step's numbers alone; the momentum network drops none.
#[test]
fn paths_are_dropped_by_the_numbers_of_the_step() {
    let often = SWIN.replace("0.1", "0.6");
    let loss = |method: &str, encoder: &str, seed: Option<u64>| {
        let (encoder, parameters, method) = built(method, encoder, DType::F64);
        let online = Online::new(&encoder, &parameters);
        let mut online = match seed {
            Some(seed) => online.with_stream(Stream::new(seed, "drop path", 0, 0)),
            None => online,
        };
        let views = views(0).map(|view| view.to_dtype(DType::F64).unwrap());
        let made = method.loss(&mut online, &views, Moment { step: 0, steps: 2, seed: 0 });
        made.map(|made| made.loss.to_scalar::<f64>().unwrap())
    };
    let simclr = format!(r#"{{"name":"simclr",{SIZES}}}"#);
    assert_eq!(loss(&simclr, &often, Some(1)).unwrap(), loss(&simclr, &often, Some(1)).unwrap());
    assert_ne!(loss(&simclr, &often, Some(1)).unwrap(), loss(&simclr, &often, Some(2)).unwrap());
    let error = loss(&simclr, &often, None).unwrap_err().to_string();
    assert!(error.contains("drops paths in training, but the pass was given no random numbers"), "{error}");
    let never = SWIN.replace("0.1", "0.0");
    assert_eq!(loss(&simclr, &never, Some(1)).unwrap(), loss(&simclr, &never, None).unwrap());

    let encoder = Encoder::new(serde_json::from_str::<EncoderConfig>(&often).unwrap());
    let (_, parameters, _) = built(&format!(r#"{{"name":"mocov2","queue_size":16,{SIZES}}}"#), &often, DType::F64);
    let online = Online::new(&encoder, &parameters).with_stream(Stream::new(1, "drop path", 0, 0));
    let view = views(0)[0].to_dtype(DType::F64).unwrap();
    let pass = |prefix: &str| -> Vec<f64> {
        online.features(prefix, &view).unwrap().tensor().flatten_all().unwrap().to_vec1().unwrap()
    };
    assert_ne!(pass(""), pass(""));
    assert_eq!(pass("momentum"), pass("momentum"));
}

/// Finite differences through all four stages, the gates and the head, in float64: of a table of biases, the patches' convolution,
/// a layer norm, a merging of patches and the last block.
#[test]
fn gradients_through_a_swin_transformer_agree_with_finite_differences() {
    let never = SWIN.replace("0.1", "0.0");
    let method = format!(r#"{{"name":"matssl","temperature":0.5,{SIZES}}}"#);
    let (encoder, parameters, method) = built(&method, &never, DType::F64);
    let views = views(3).map(|view| view.to_dtype(DType::F64).unwrap());
    let loss = || {
        let mut online = Online::new(&encoder, &parameters);
        let made = method.loss(&mut online, &views, Moment { step: 0, steps: 2, seed: 0 }).unwrap();
        (online, made.loss)
    };
    let (online, first) = loss();
    let gradients = online.backward(&first).unwrap();
    assert_eq!(gradients.iter().count(), parameters.trainable().count());
    for name in [
        "encoder.patch_embed.proj.weight",
        "encoder.layers.0.blocks.0.norm1.weight",
        "encoder.layers.1.blocks.1.attn.relative_position_bias_table",
        "encoder.layers.1.blocks.1.attn.qkv.weight",
        "encoder.layers.2.downsample.reduction.weight",
        "encoder.layers.3.blocks.0.mlp.fc2.weight",
        "attn_module.gates.0",
    ] {
        let var = &parameters.get(name).unwrap().var;
        let analytic: Vec<f64> = gradients.get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let value: Vec<f64> = var.as_detached_tensor().flatten_all().unwrap().to_vec1().unwrap();
        for i in [0, value.len() / 2] {
            let at = |step: f64| -> f64 {
                let mut moved = value.clone();
                moved[i] += step;
                var.set(&Tensor::from_vec(moved, var.shape().clone(), &Device::Cpu).unwrap()).unwrap();
                loss().1.to_scalar().unwrap()
            };
            let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
            at(0.0);
            let tolerance = 1e-5 * numeric.abs().max(1e-2);
            assert!((analytic[i] - numeric).abs() < tolerance, "{name}[{i}]: {} {numeric}", analytic[i]);
        }
    }
}
