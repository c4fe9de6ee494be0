use super::*;
use crate::nn::ops::gpu::pretend;
use crate::nn::{EncoderConfig, Precision};
use crate::ssl::MethodSpec;
use candle_core::{Device, Tensor};
use std::path::{Path, PathBuf};

/// All elements as float64.
pub(in crate::stage) fn doubles(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// Whether all differences are at most `limit` times the largest value (or 1).
pub(in crate::stage) fn close(a: &[f64], b: &[f64], limit: f64) -> bool {
    let largest = a.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= limit * largest)
}

fn patches(folder: &Path, channels: usize) -> PathBuf {
    let mut stream = Stream::new(channels as u64, "pretraining test", 0, 0);
    let pixels: Vec<u8> = (0..4 * 40 * 40 * channels).map(|_| stream.next_u32() as u8).collect();
    let patches = Tensor::from_vec(pixels, (4, 40, 40, channels), &Device::Cpu).unwrap();
    let path = folder.join(format!("{channels}.safetensors"));
    std::fs::write(&path, safetensors::serialize([("patches", &patches)], None).unwrap()).unwrap();
    path
}

/// The views, losses and gradients of all steps of two epochs.
fn epochs(method: &str, channels: &[usize], dtype: DType, precision: Precision) -> Vec<(String, Vec<f64>)> {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = channels.iter().map(|&channels| patches(folder.path(), channels)).collect();
    let in_channels = if channels[0] == 1 { 3 } else { channels[0] };
    let config = serde_json::json!({ "arch": "resnet18", "width": 4, "in_channels": in_channels });
    let encoder = Encoder::new(EncoderConfig::read(config).unwrap());
    let mut parameters = Parameters::new(dtype, &Device::Cpu).with_precision(precision);
    let stream = Stream::new(1, "pretraining test", 0, 9);
    encoder.init(&mut parameters, ENCODER, &stream).unwrap();
    let spec: MethodSpec = serde_json::from_str(method).unwrap();
    let method = spec.build(&encoder, &mut parameters, &stream.child(1)).unwrap();
    let mut task = Pretraining {
        parameters,
        encoder,
        method,
        patches: Arc::new(Patches::open_all(&files).unwrap()),
        views: ViewParams { size: 33, ..ViewParams::default() },
        batch_size: 4,
        together: 1,
        epochs: 2,
        seed: 5,
        monitor: None,
        monitor_every: 1,
    };
    let mut found = Vec::new();
    for epoch in [0, 1] {
        for batch in task.batches(epoch, 0).unwrap() {
            let Views { views, moment } = batch.unwrap();
            let views = views.map(|view| view.normalized(&task.parameters, normalization()).unwrap());
            found.extend(views.iter().map(|view| ("view".to_owned(), doubles(view))));
            let step = task.step(Views { views: views.map(Images::Ready), moment }).unwrap();
            found.push(("loss".to_owned(), vec![step.loss]));
            found.extend(step.gradients.iter().map(|(name, gradient)| (name.to_owned(), doubles(gradient))));
        }
    }
    found
}

#[test]
fn neighbours_stay_together_and_every_patch_is_drawn_once() {
    assert_eq!(order(5, 0, 103, 1), Stream::new(5, "order", 0, 0).permutation(103), "as it always was");
    let mut seen = std::collections::BTreeSet::new();
    for epoch in 0..20 {
        let found = order(5, epoch, 103, 10);
        let mut sorted = found.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..103));
        let neighbours = found.windows(2).filter(|pair| pair[1] == (pair[0] + 1) % 103).count();
        assert!((92..103).contains(&neighbours), "11 runs: {found:?}");
        seen.insert(found);
    }
    assert_eq!(seen.len(), 20, "another order in each epoch");
}

#[test]
fn batches_and_steps_on_a_gpu_equal_those_on_the_cpu() {
    let sizes = r#""head":{"hidden":6,"output":4}"#;
    // In float64, so that only faults make large differences. The second method splits and shuffles batches.
    let float64 = |method: &str, channels: &[usize]| epochs(method, channels, DType::F64, Precision::Float32);
    let methods = [r#""name":"matssl","temperature":0.5"#, r#""name":"mocov2","queue_size":8,"batch_norm_groups":2"#];
    for method in methods.map(|method| format!("{{{method},{sizes}}}")) {
        for channels in [&[1][..], &[3], &[1, 3], &[2], &[5]] {
            let Some(on_gpu) = pretend::on(|| float64(&method, channels)) else { return };
            let on_cpu = float64(&method, channels);
            assert_eq!(on_cpu.iter().filter(|(name, _)| name == "view").count(), 4 * channels.len());
            for ((name, cpu), (other, gpu)) in on_cpu.iter().zip(&on_gpu) {
                let limit = if name == "view" { 0.0 } else { 1e-7 };
                assert!(name == other && close(cpu, gpu, limit), "{name} of {channels:?}, {method}");
            }
            assert_eq!(on_cpu.len(), on_gpu.len());
        }
        let half = pretend::on(|| epochs(&method, &[1], DType::F32, Precision::Bf16)).expect("it was on");
        let full = float64(&method, &[1]);
        let views = || half.iter().zip(&full).filter(|((name, _), _)| name == "view");
        // bfloat16 has 8 significant bits.
        assert!(views().all(|((_, half), (_, full))| close(full, half, 1.0 / 256.0)) && views().count() == 4);
        assert!(half.iter().flat_map(|(_, values)| values).all(|value| value.is_finite()), "{method}");
    }
}
