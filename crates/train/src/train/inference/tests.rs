use super::*;
use crate::networks::{SegmentationConfig, SegmentationNetwork};
use crate::weights::{self, WeightsError};
use candle_core::{DType, Device};
use matssl_base::random::Stream;
use matssl_data::tiles::RowsInMemory;
use matssl_data::{DataError, Micrograph, Rows, Symmetry};
use matssl_metrics::SelectedOn;
use matssl_tensor::Parameters;
use std::ops::Range;

#[test]
fn a_saved_model_predicts_as_the_one_in_memory() {
    let text = r#"{"encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":3}"#;
    check(serde_json::from_str(text).unwrap());
    check(serde_json::from_str(&text.replacen('{', r#"{"architecture":"unet","#, 1)).unwrap());
    for in_channels in [1, 2, 5] {
        let text = text.replace(r#""width":4"#, &format!(r#""width":4,"in_channels":{in_channels}"#));
        check(serde_json::from_str(&text).unwrap());
    }
}

fn check(network: SegmentationConfig) {
    let in_channels = network.encoder.in_channels();
    let channels = if in_channels == 3 { 1 } else { in_channels };
    let class_names = ["a", "b", "c"].map(str::to_owned).into();
    let config =
        ModelConfig { network: network.clone(), crop_size: 32, class_names, selected_on: SelectedOn::Val, fold: None };
    let network = SegmentationNetwork::new(network);
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(1, "inference test", 0, 0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    weights::save(&parameters, None, &path, &serde_json::to_string(&config).unwrap()).unwrap();
    let segmenter = Segmenter::load(&path, &Device::Cpu).unwrap();
    assert_eq!(segmenter.config(), &config);
    let mut stream = Stream::new(2, "image", 0, 0);
    let pixels = (0..50 * 41 * channels).map(|_| stream.next_u32() as u8).collect();
    let image = Micrograph { width: 50, height: 41, channels, pixels };
    let mask = segmenter.predict(&image, 32, 0.25).unwrap();
    assert_eq!((mask.width, mask.height), (50, 41));
    assert_eq!(mask, predict(&network, &parameters, &image, 32, 0.25).unwrap().mask);
    let probabilities = segmenter.probabilities(&image, 32, 0.25).unwrap().probabilities;
    for (pixel, label) in probabilities.chunks(3).zip(&mask.labels) {
        assert!((pixel.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(pixel.iter().all(|&p| p <= pixel[usize::from(*label)]));
    }
    assert!(segmenter.predict(&image, 40, 0.0).is_err());
    let other = Micrograph { width: 1, height: 1, channels: 8, pixels: vec![0; 8] };
    let error = segmenter.predict(&other, 32, 0.0).unwrap_err().to_string();
    assert!(error.starts_with("the image has 8 channels, but the network takes"), "{error}");
    let (_, first) = parameters.iter().next().unwrap();
    first.var.set(&(first.var.as_detached_tensor() * f64::NAN).unwrap()).unwrap();
    let error = predict(&network, &parameters, &image, 32, 0.25).err().unwrap().to_string();
    assert!(error.starts_with("the network's output is not finite"), "{error}");
    assert!(Segmenter::load(&folder.path().join("gone"), &Device::Cpu).err().unwrap().is::<WeightsError>());
}

fn toy(seed: u64) -> (SegmentationNetwork, Parameters) {
    let text =
        r#"{"architecture":"unet","encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":3}"#;
    let network = SegmentationNetwork::new(serde_json::from_str(text).unwrap());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(seed, "inference test", 0, 0)).unwrap();
    (network, parameters)
}

fn noise(width: usize, height: usize) -> Micrograph {
    let mut stream = Stream::new(2, "image", 0, 0);
    Micrograph { width, height, channels: 1, pixels: (0..width * height).map(|_| stream.next_u32() as u8).collect() }
}

const FLIPS: &[Symmetry] = &[Symmetry::Identity, Symmetry::MirroredX, Symmetry::MirroredY, Symmetry::Turned180];

/// Probabilities, disagreement, and the summary.
fn predicted(
    networks: &[&(SegmentationNetwork, Parameters)],
    image: &Micrograph,
    change: impl Fn(&mut Settings),
) -> (Vec<f32>, Vec<f32>, Summary) {
    let mut settings = Settings::new(32, 0.25, &networks[0].1);
    change(&mut settings);
    let networks: Vec<_> = networks.iter().map(|(network, parameters)| Network { network, parameters }).collect();
    let (mut probabilities, mut disagreement, mut next) = (Vec::new(), Vec::new(), 0);
    let summary = predict_rows(&networks, &mut RowsInMemory(image), &settings, &mut |band| {
        assert_eq!((band.rows.top, band.rows.labels.len()), (next, band.rows.rows * image.width));
        next += band.rows.rows;
        probabilities.extend(band.rows.probabilities);
        disagreement.extend(band.disagreement.into_iter().flatten());
        Ok(())
    });
    assert_eq!(next, image.height);
    (probabilities, disagreement, summary.unwrap())
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn threads_change_no_bit_and_batches_only_the_last_digits() {
    let (one, image) = (toy(1), noise(75, 90));
    let expected = predicted(&[&one], &image, |_| {});
    assert_eq!((expected.2.tiles, expected.2.embedding.len()), (12, 32));
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| predicted(&[&one], &image, |_| {})), expected, "{threads} threads");
    }
    // Other algorithms suit batches of other sizes.
    for batch in [1, 7, 100] {
        let (probabilities, _, summary) = predicted(&[&one], &image, |settings| settings.batch = batch);
        assert!(furthest(&probabilities, &expected.0) < 1e-5, "batches of {batch}");
        assert!(furthest(&summary.embedding, &expected.2.embedding) < 1e-4, "batches of {batch}");
    }
}

/// One tile, so that the tiles of the mirrored image are the mirrored tiles.
#[test]
fn the_mean_over_flips_of_a_flipped_image_is_flipped() {
    let (one, image) = (toy(1), noise(64, 64));
    let change = |symmetries: &'static [Symmetry]| {
        move |settings: &mut Settings| (settings.tile, settings.symmetries) = (64, symmetries)
    };
    let turned = |symmetry: Symmetry| {
        let pixels = (0..64 * 64).map(|i| {
            let (x, y) = symmetry.origin((i % 64, i / 64), (64, 64));
            image.pixels[y * 64 + x]
        });
        Micrograph { pixels: pixels.collect(), ..image.clone() }
    };
    let difference = |symmetries: &'static [Symmetry], symmetry: Symmetry| {
        let upright = predicted(&[&one], &image, change(symmetries)).0;
        let found = predicted(&[&one], &turned(symmetry), change(symmetries)).0;
        let back: Vec<f32> = (0..64 * 64)
            .flat_map(|i| {
                let (x, y) = symmetry.origin((i % 64, i / 64), (64, 64));
                upright[(y * 64 + x) * 3..][..3].to_vec()
            })
            .collect();
        furthest(&found, &back)
    };
    for symmetry in [Symmetry::MirroredX, Symmetry::Turned180] {
        assert!(difference(FLIPS, symmetry) < 1e-5, "{symmetry:?}");
    }
    assert!(difference(&Symmetry::ALL, Symmetry::Turned90) < 1e-5);
    assert!(difference(&[Symmetry::Identity], Symmetry::MirroredX) > 1e-3);
    assert!(difference(FLIPS, Symmetry::Turned90) > 1e-3);
}

#[test]
fn several_networks_give_their_mean() {
    let (one, other, image) = (toy(1), toy(2), noise(75, 40));
    let [a, b] = [&one, &other].map(|network| predicted(&[network], &image, |_| {}));
    let (both, disagreement, summary) = predicted(&[&one, &other], &image, |_| {});
    let mean: Vec<f32> = a.0.iter().zip(&b.0).map(|(a, b)| (a + b) / 2.0).collect();
    assert!(furthest(&both, &mean) < 1e-6);
    assert_eq!(summary, a.2);
    assert!(a.1.is_empty() && disagreement.len() == 75 * 40);
    assert!(disagreement.iter().all(|&d| (0.0..=std::f32::consts::LN_2).contains(&d)));
    assert!(disagreement.iter().sum::<f32>() > 1.0);
    let (same, disagreement, _) = predicted(&[&one, &one], &image, |_| {});
    assert_eq!(same, a.0);
    assert!(disagreement.iter().all(|&d| d < 1e-6));
}

/// Fails at the rows from `at` on.
struct Damaged<'a>(RowsInMemory<'a>, usize);

impl Rows for Damaged<'_> {
    fn width(&self) -> usize {
        self.0.width()
    }
    fn height(&self) -> usize {
        self.0.height()
    }
    fn channels(&self) -> usize {
        self.0.channels()
    }
    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let bad =
            || DataError::Bad { path: "a.tif".into(), problem: "damaged".into(), cure: "copy it".into(), shared: None };
        if rows.end > self.1 { Err(bad()) } else { self.0.rows(rows) }
    }
}

#[test]
fn a_damaged_image_and_a_full_disk_end_the_prediction_with_their_error() {
    let (one, image) = (toy(1), noise(75, 200));
    let networks = [Network { network: &one.0, parameters: &one.1 }];
    let settings = Settings { batch: 1, ..Settings::new(32, 0.25, &one.1) };
    for from in [0, 100, 200] {
        let mut taken = 0;
        let error =
            predict_rows(&networks, &mut Damaged(RowsInMemory(&image), from.min(199)), &settings, &mut |band| {
                taken += band.rows.rows;
                Ok(())
            });
        assert!(matches!(error.unwrap_err().downcast_ref(), Some(DataError::Bad { .. })));
        assert!(taken < 200);
    }
    let mut calls = 0;
    let error = predict_rows(&networks, &mut RowsInMemory(&image), &settings, &mut |_| {
        calls += 1;
        anyhow::bail!("no space left on device")
    });
    assert_eq!((error.unwrap_err().to_string().as_str(), calls), ("no space left on device", 1));
}

#[test]
fn memory_does_not_grow_with_the_height() {
    let one = toy(1);
    let networks = [Network { network: &one.0, parameters: &one.1 }];
    let settings = Settings::new(256, 0.25, &one.1);
    let needs = |width, height| memory_in_bands(&networks, &settings, [(width, height)].into_iter()).unwrap();
    let activations = |width, height| needs(width, height).activations;
    assert_eq!(activations(20_000, 1_000), activations(20_000, 20_000));
    // Under a row of tiles: sums of three classes and of weights, and the image's rows.
    assert_eq!(activations(20_000, 20_000) - activations(10_000, 20_000), 10_000 * 256 * (4 * 4 + 2 * 3));
    let whole = memory(&one.0, &one.1, 256, 0.25, [(20_000, 20_000)].into_iter()).unwrap();
    assert_eq!(whole.activations - activations(20_000, 20_000), 20_000 * 20_000 * 13);
}
