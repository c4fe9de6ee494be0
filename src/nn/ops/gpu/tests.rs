//! Whole networks on the GPU side, against the CPU's: with [`pretend`] in the place of a GPU, and with the feature `cuda`
//! on one. Single operations are held to finite differences where they are defined.

mod accuracy;
pub(crate) mod pretend;

use crate::nn::losses::{cross_entropy, dice};
use crate::nn::{
    Gradients, Mode, Parameters, Precision, ResNet, ResNetConfig, SegmentationConfig, SegmentationNetwork, Tape,
};
use crate::random::Stream;
use candle_core::{DType, Device, Result, Tensor};
use std::collections::BTreeMap;

/// Where GPU sides run.
enum Side {
    Pretended,
    #[cfg(feature = "cuda")]
    Cuda(Device),
}

impl Side {
    /// Those that this machine has; says which it lacks.
    fn all() -> Vec<Side> {
        let mut sides = vec![Side::Pretended];
        #[cfg(feature = "cuda")]
        match crate::nn::device::gpus().and_then(|_| super::driver::open(0).map_err(|error| error.to_string())) {
            Ok(device) => sides.push(Side::Cuda(device)),
            Err(error) => eprintln!("skipped: no CUDA device ({error})"),
        }
        sides.retain(|side| !matches!(side, Side::Pretended) || pretend::on(|| ()).is_some());
        sides
    }

    fn run<R>(&self, work: impl FnOnce(&Device) -> Result<R>) -> R {
        match self {
            Side::Pretended => pretend::on(|| work(&Device::Cpu)).unwrap().unwrap(),
            #[cfg(feature = "cuda")]
            Side::Cuda(device) => work(device).unwrap(),
        }
    }
}

/// What a pass leaves: output, gradients and running statistics by name, in float64.
type Found = BTreeMap<String, Tensor>;

fn images(batch: usize, size: usize) -> Tensor {
    let mut stream = Stream::new(3, "gpu test", 0, 0);
    let values: Vec<f64> = (0..batch * size * size * 3).map(|_| stream.normal()).collect();
    Tensor::from_vec(values, (batch, size, size, 3), &Device::Cpu).unwrap()
}

fn found(output: &Tensor, gradients: &Gradients, parameters: &Parameters) -> Result<Found> {
    let double = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_device(&Device::Cpu);
    let mut found = Found::from([("output".to_owned(), double(output)?)]);
    for (name, gradient) in gradients.iter() {
        found.insert(format!("gradient of {name}"), double(gradient)?);
    }
    for (name, parameter) in parameters.iter().filter(|(name, _)| name.contains("running") || name.contains("num_")) {
        found.insert(name.to_owned(), double(&parameter.var.flatten_all()?)?);
    }
    Ok(found)
}

/// A pass of a narrow ResNet and back; the seeds are the features themselves.
fn resnet(arch: &str, device: &Device, dtype: DType, precision: Precision, mode: Mode) -> Result<Found> {
    let config: ResNetConfig = serde_json::from_str(&format!(r#"{{"arch":"{arch}","width":8}}"#)).unwrap();
    let network = ResNet::new(config);
    let mut parameters = Parameters::new(dtype, device).with_precision(precision);
    network.init(&mut parameters, "", &Stream::new(4, "gpu test", 0, 0))?;
    let tape = Tape::new(&parameters, mode);
    let features = network.features(&tape, "", &tape.input(&images(3, 64))?)?;
    let pooled = features.iter().map(|stage| tape.global_average_pool(stage)).collect::<Result<Vec<_>>>()?;
    let all = tape.concat(&pooled.iter().collect::<Vec<_>>())?;
    let output = all.tensor().clone();
    let gradients = tape.backward(vec![(all, output.clone())])?;
    found(&output, &gradients, &parameters)
}

fn narrow_unet_plus_plus(
    device: &Device,
    dtype: DType,
    precision: Precision,
) -> Result<(SegmentationNetwork, Parameters)> {
    let text = r#"{"encoder":{"arch":"resnet18","width":8},"decoder_channels":[16,16,8,8,8],"classes":5}"#;
    let network = SegmentationNetwork::new(serde_json::from_str::<SegmentationConfig>(text).unwrap());
    let mut parameters = Parameters::new(dtype, device).with_precision(precision);
    network.init(&mut parameters, &Stream::new(5, "gpu test", 0, 0))?;
    Ok((network, parameters))
}

/// A training step of a narrow U-Net++, by one loss or the other, with some pixels ignored.
fn unet_plus_plus(device: &Device, dtype: DType, precision: Precision, mode: Mode, by_dice: bool) -> Result<Found> {
    let (network, parameters) = narrow_unet_plus_plus(device, dtype, precision)?;
    let mut stream = Stream::new(6, "gpu test", 0, 0);
    let labels: Vec<u8> = (0..2 * 64 * 64).map(|_| [0, 1, 2, 3, 255][stream.below(5) as usize]).collect();
    let labels = Tensor::from_vec(labels, (2, 64, 64), &Device::Cpu)?;
    let tape = Tape::new(&parameters, mode);
    let logits = network.forward(&tape, &tape.input(&images(2, 64))?)?;
    let made = if by_dice { dice } else { cross_entropy }(logits.tensor(), &labels, Some(255))?;
    let output = logits.tensor().clone();
    let gradients = tape.backward(vec![(logits, made.gradient)])?;
    let mut found = found(&output, &gradients, &parameters)?;
    found.insert("loss".into(), Tensor::new(made.loss, &Device::Cpu)?);
    Ok(found)
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

/// The largest difference by norm among all tensors, relative to the truth's, and whose it is.
fn worst(found: &Found, truth: &Found) -> (f64, String) {
    assert_eq!(found.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    let of = |name: &String| norm(&(&found[name] - &truth[name]).unwrap()) / norm(&truth[name]).max(1e-12);
    let differences = truth.keys().map(|name| (of(name), name.clone()));
    differences.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

/// The difference of all gradients together.
fn together(found: &Found, truth: &Found) -> f64 {
    let gradients = || truth.keys().filter(|name| name.starts_with("gradient"));
    let sum = |of: &dyn Fn(&String) -> f64| gradients().map(|name| of(name).powi(2)).sum::<f64>().sqrt();
    sum(&|name| norm(&(&found[name] - &truth[name]).unwrap())) / sum(&|name| norm(&truth[name]))
}

fn check(run: impl Fn(&Device, DType, Precision, Mode) -> Result<Found>) {
    let (float32, train, frozen) = (Precision::Float32, Mode::Train, Mode::Frozen);
    let cpu = |dtype, mode| run(&Device::Cpu, dtype, float32, mode).unwrap();
    let (truth, truth_frozen) = (cpu(DType::F64, train), cpu(DType::F64, frozen));
    let of_cpu = together(&cpu(DType::F32, train), &truth);
    for side in Side::all() {
        let on_gpu = |dtype, precision, mode| side.run(|device| run(device, dtype, precision, mode));
        let (difference, name) = worst(&on_gpu(DType::F64, float32, train), &truth);
        assert!(difference < 1e-10, "float64: {name} differs by {difference:e}");
        let single = together(&on_gpu(DType::F32, float32, train), &truth);
        assert!(single <= 2.0 * of_cpu, "float32: gradients are off by {single:e}, the CPU's by {of_cpu:e}");
        // In training mode a deep network passes small errors on many times over, in PyTorch too: bfloat16 is held to
        // the truth where batch norms are constants.
        let half = on_gpu(DType::F32, Precision::Bf16, frozen);
        let output = norm(&(&half["output"] - &truth_frozen["output"]).unwrap()) / norm(&truth_frozen["output"]);
        let gradients = together(&half, &truth_frozen);
        assert!(output < 0.02 && gradients < 0.15, "bfloat16: off by {output}, gradients by {gradients}");
        // The stem's statistics come before all that passes errors on.
        let stem = truth.keys().find(|name| name.ends_with("bn1.running_var") && !name.contains("layer")).unwrap();
        let half = on_gpu(DType::F32, Precision::Bf16, train);
        let moved = norm(&(&half[stem] - &truth[stem]).unwrap()) / norm(&truth[stem]);
        assert!(moved < 1e-3 && half.values().all(|tensor| norm(tensor).is_finite()), "bfloat16, {stem}: {moved}");
    }
}

#[test]
fn resnets_are_the_cpus() {
    check(|device, dtype, precision, mode| resnet("resnet18", device, dtype, precision, mode));
    check(|device, dtype, precision, mode| resnet("resnet50", device, dtype, precision, mode));
}

#[test]
fn unet_plus_plus_is_the_cpus_with_either_loss() {
    check(|device, dtype, precision, mode| unet_plus_plus(device, dtype, precision, mode, true));
    check(|device, dtype, precision, mode| unet_plus_plus(device, dtype, precision, mode, false));
}

/// Batch norms folded into convolutions, residuals and ReLUs in their epilogues.
#[test]
fn predictions_are_the_cpus() {
    let run = |device: &Device, dtype, precision| -> Result<Tensor> {
        let (network, parameters) = narrow_unet_plus_plus(device, dtype, precision)?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let logits = network.forward(&tape, &tape.input(&images(2, 64))?)?;
        logits.tensor().to_dtype(DType::F64)?.to_device(&Device::Cpu)
    };
    let truth = run(&Device::Cpu, DType::F64, Precision::Float32).unwrap();
    let cases = [
        (DType::F64, Precision::Float32, 1e-12),
        (DType::F32, Precision::Float32, 1e-5),
        (DType::F32, Precision::Bf16, 0.03),
    ];
    for (side, (dtype, precision, limit)) in Side::all().iter().flat_map(|side| cases.map(|case| (side, case))) {
        let found = side.run(|device| run(device, dtype, precision));
        let difference = norm(&(found - &truth).unwrap()) / norm(&truth);
        assert!(difference < limit, "{precision:?}: {difference}");
    }
}
