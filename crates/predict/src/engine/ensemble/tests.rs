use super::*;
use crate::engine::Tta;
use crate::model::{ClassDescription, FORMAT_VERSION, ModelDescription, Normalisation, Provenance};
use candle_core::DType;
use matssl_base::random::Stream;
use matssl_data::augment::{IMAGENET_MEAN, IMAGENET_STD};
use matssl_data::tiles::RowsInMemory;
use matssl_data::{Micrograph, ReadAs};
use matssl_metrics::{Calibration, Reliability, SelectedOn};
use matssl_tensor::Parameters;
use matssl_train::networks::SegmentationNetwork;
use matssl_train::train::inference::ModelConfig;
use matssl_train::weights;
use std::path::Path;

const NAMES: [&str; 3] = ["matrix", "carbide", "pore"];

/// A model of the seed `seed` in `root`. The folder is not one on disk but for its weights.
fn model(root: &Path, seed: u64, change: impl Fn(&mut ModelDescription)) -> ModelFolder {
    let text =
        r#"{"architecture":"unet","encoder":{"arch":"resnet18","width":4},"decoder_channels":[8,8,4,4,4],"classes":3}"#;
    let path = root.join(format!("model-{seed}"));
    std::fs::create_dir_all(&path).unwrap();
    let network = SegmentationNetwork::new(serde_json::from_str(text).unwrap());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(seed, "ensemble test", 0, 0)).unwrap();
    let config = ModelConfig {
        network: network.config().clone(),
        crop_size: 32,
        class_names: NAMES.map(str::to_owned).into(),
        selected_on: SelectedOn::Val,
        fold: None,
    };
    let file = path.join(ModelFolder::WEIGHTS);
    weights::save(&parameters, None, &file, &serde_json::to_string(&config).unwrap()).unwrap();
    let class = |(value, name): (usize, &str)| ClassDescription {
        name: name.into(),
        value: value as u8,
        color: serde_json::from_str(r##""#102030""##).unwrap(),
        ignored: false,
    };
    let mut description = ModelDescription {
        format_version: FORMAT_VERSION,
        name: format!("model {seed}"),
        network: network.config().clone(),
        classes: NAMES.into_iter().enumerate().map(class).collect(),
        normalisation: Normalisation { mean: IMAGENET_MEAN.to_vec(), std: IMAGENET_STD.to_vec() },
        read_as: ReadAs::default(),
        tile: 32,
        overlap: 0.25,
        pixel_size_nm: None,
        pixel_sizes_nm: None,
        calibration: None,
        validation: Vec::new(),
        scores: Vec::new(),
        provenance: Provenance::default(),
        files: std::collections::BTreeMap::new(),
    };
    change(&mut description);
    ModelFolder { path, description, digest: String::new() }
}

fn load(folders: Vec<ModelFolder>) -> Ensemble {
    Ensemble::load(folders, &Device::Cpu).unwrap()
}

fn calibration(temperature: f64) -> Option<Calibration> {
    let (before, after) = (Reliability::default(), Reliability::default());
    Some(Calibration { temperature, pixels: 1, log_loss: [1.0; 2], expected_error: [0.1; 2], before, after })
}

fn noise(width: usize, height: usize) -> Micrograph {
    let mut stream = Stream::new(7, "image", 0, 0);
    // Smooth at the scale of a few pixels, so that it survives resampling.
    let blocks: Vec<u8> = (0..64 * 64).map(|_| stream.next_u32() as u8).collect();
    let pixels = (0..width * height).map(|i| blocks[(i / width / 5 % 64) * 64 + i % width / 5 % 64]).collect();
    Micrograph { width, height, channels: 1, pixels }
}

fn predict(
    ensemble: &Ensemble,
    image: &Micrograph,
    pixel_size: Option<[f64; 2]>,
    options: &PredictOptions,
) -> (Band, Predicted) {
    let (width, classes) = (image.width, NAMES.len());
    let mut all = Band { top: 0, rows: 0, width, labels: Vec::new(), probabilities: Vec::new(), disagreement: None };
    let predicted = ensemble
        .predict(&mut RowsInMemory(image), pixel_size, options, &mut |band| {
            assert_eq!((band.top, band.width), (all.rows, width));
            assert_eq!([band.labels.len(), band.probabilities.len()], [band.rows * width, band.rows * width * classes]);
            all.rows += band.rows;
            all.labels.extend(band.labels);
            all.probabilities.extend(band.probabilities);
            if let Some(rows) = band.disagreement {
                all.disagreement.get_or_insert_default().extend(rows);
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(all.rows, image.height);
    (all, predicted)
}

#[test]
fn one_model_predicts_as_evaluate_does_bit_for_bit() {
    let root = tempfile::tempdir().unwrap();
    let folder = model(root.path(), 1, |_| {});
    let segmenter = Segmenter::load(&folder.weights(), &Device::Cpu).unwrap();
    let image = noise(150, 90);
    let (band, predicted) = predict(&load(vec![folder]), &image, Some([3.0; 2]), &PredictOptions::default());
    let expected = segmenter.probabilities(&image, 32, 0.25).unwrap();
    assert_eq!(band.labels, expected.mask.labels);
    assert_eq!(band.probabilities, expected.probabilities);
    assert!(band.disagreement.is_none());
    assert_eq!((predicted.scaled_by, predicted.tile, predicted.overlap, predicted.tiles), (None, 32, 0.25, 6 * 4));
    let options = PredictOptions { tile: Some(64), overlap: Some(0.5), ..PredictOptions::default() };
    let (band, predicted) = predict(&load(vec![model(root.path(), 1, |_| {})]), &image, None, &options);
    assert_eq!(band.probabilities, segmenter.probabilities(&image, 64, 0.5).unwrap().probabilities);
    assert_eq!((predicted.tile, predicted.overlap), (64, 0.5));
}

#[test]
fn the_temperature_of_one_model_changes_no_label_and_several_have_none() {
    let root = tempfile::tempdir().unwrap();
    let of = |temperatures: &[Option<Calibration>]| {
        let folders = temperatures.iter().zip(1..);
        let folders = folders.map(|(found, seed)| model(root.path(), seed, |d| d.calibration = found.clone()));
        predict(&load(folders.collect()), &noise(70, 50), None, &PredictOptions::default()).0
    };
    let several = of(&[calibration(2.0), calibration(8.0)]);
    let plain = of(&[None, None]);
    assert_eq!(several.probabilities, plain.probabilities);
    assert_eq!((&several.labels, &several.disagreement), (&plain.labels, &plain.disagreement));
    let (raw, calibrated) = (of(&[None]), of(&[calibration(4.0)]));
    assert_eq!(calibrated.labels, raw.labels);
    for (found, raw) in calibrated.probabilities.chunks(3).zip(raw.probabilities.chunks(3)) {
        let powers: Vec<f32> = raw.iter().map(|p| p.powf(0.25)).collect();
        let sum: f32 = powers.iter().sum();
        assert!(found.iter().zip(powers).all(|(found, power)| (found - power / sum).abs() < 1e-5));
    }
}

/// Against the whole image scaled, predicted, and interpolated at once.
#[test]
fn an_image_of_other_pixels_is_scaled_and_its_prediction_scaled_back() {
    let root = tempfile::tempdir().unwrap();
    let ensemble = load(vec![model(root.path(), 1, |description| description.pixel_size_nm = Some(50.0))]);
    let segmenter = &ensemble.segmenters[0];
    for (pixel_size, (width, height)) in
        [([25.0, 25.0], (151, 203)), ([80.0, 60.0], (90, 101)), ([50.0, 20.0], (75, 222))]
    {
        let image = noise(width, height);
        let (band, predicted) = predict(&ensemble, &image, Some(pixel_size), &PredictOptions::default());
        let factors = pixel_size.map(|size| 50.0 / size);
        assert_eq!(predicted.scaled_by, Some(factors));
        let mut scaled = Resampled::new(image.clone(), factors);
        let to = [(width as f64 / factors[0]).round() as usize, (height as f64 / factors[1]).round() as usize];
        assert_eq!([scaled.width(), scaled.height()], to);
        let scaled = scaled.rows(0..to[1]).unwrap();
        let whole = segmenter.probabilities(&scaled, 32, 0.25).unwrap().probabilities;
        let at =
            |i: usize, factor: f64, length: usize| (((i as f64 + 0.5) / factor) - 0.5).clamp(0.0, length as f64 - 1.0);
        for (i, (found, label)) in band.probabilities.chunks(3).zip(&band.labels).enumerate() {
            let (x, y) = (at(i % width, factors[0], to[0]), at(i / width, factors[1], to[1]));
            let expected = |class: usize| {
                let value =
                    |x: usize, y: usize| f64::from(whole[(y.min(to[1] - 1) * to[0] + x.min(to[0] - 1)) * 3 + class]);
                let (left, top, right, down) = (x as usize, y as usize, x.fract(), y.fract());
                (value(left, top) * (1.0 - right) + value(left + 1, top) * right) * (1.0 - down)
                    + (value(left, top + 1) * (1.0 - right) + value(left + 1, top + 1) * right) * down
            };
            for (class, found) in found.iter().enumerate() {
                assert!((f64::from(*found) - expected(class)).abs() < 1e-4, "pixel {i} of {pixel_size:?}");
            }
            assert!(found.iter().all(|p| *p <= found[usize::from(*label)]));
        }
    }
    // Within 1 %, or unknown: as it is.
    let image = noise(75, 40);
    let same = predict(&ensemble, &image, Some([50.4, 49.6]), &PredictOptions::default());
    assert_eq!(same.1.scaled_by, None);
    assert_eq!(same.0.labels, predict(&ensemble, &image, None, &PredictOptions::default()).0.labels);
}

#[test]
fn test_time_augmentation_is_the_mean_over_copies() {
    let root = tempfile::tempdir().unwrap();
    let ensemble = load(vec![model(root.path(), 1, |_| {})]);
    let (image, options) = (noise(64, 64), PredictOptions { tile: Some(64), ..PredictOptions::default() });
    let of = |tta| predict(&ensemble, &image, None, &PredictOptions { tta, ..options.clone() }).0.probabilities;
    let mirrored = |image: &Micrograph| {
        let pixels = image.pixels.chunks(64).flat_map(|row| row.iter().rev().copied()).collect();
        Micrograph { pixels, ..image.clone() }
    };
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let flipped = PredictOptions { tta: Tta::Flips, ..options.clone() };
    let other = predict(&ensemble, &mirrored(&image), None, &flipped).0.probabilities;
    let back: Vec<f32> =
        other.chunks(64 * 3).flat_map(|row| row.chunks(3).rev().flatten().copied().collect::<Vec<_>>()).collect();
    assert!(far(&of(Tta::Flips), &back) < 1e-5);
    assert!(far(&of(Tta::None), &of(Tta::Flips)) > 1e-3 && far(&of(Tta::Flips), &of(Tta::Full)) > 1e-3);
}

#[test]
fn models_that_do_not_belong_together_are_refused_with_both_names_and_what_differs() {
    let root = tempfile::tempdir().unwrap();
    let refusal = |change: &dyn Fn(&mut ModelDescription)| {
        let folders = vec![model(root.path(), 1, |d| d.pixel_size_nm = Some(50.0)), model(root.path(), 2, change)];
        let error = Ensemble::load(folders, &Device::Cpu).err().map(|error| error.to_string());
        error.inspect(|text| assert!(text.contains("model-1 and ") && text.contains("model-2"), "{text}"))
    };
    let same = |d: &mut ModelDescription| d.pixel_size_nm = Some(50.4);
    assert_eq!(refusal(&same), None);
    type Change = dyn Fn(&mut ModelDescription);
    let cases: [(&Change, &str); 4] = [
        (
            &|d| d.classes.swap(0, 1),
            "the classes are `matrix`, `carbide`, `pore` in the first and `carbide`, `matrix`, `pore`",
        ),
        (&|d| d.pixel_size_nm = Some(51.0), "the size of a pixel is 50 nm in the first and 51 nm in the second"),
        (&|d| d.pixel_size_nm = None, "the size of a pixel is 50 nm in the first and unknown in the second"),
        (&|d| d.read_as.options.page = Some(2), "images are read {} in the first and {\"page\":2}"),
    ];
    for (change, expected) in cases {
        let text = refusal(&|d| {
            d.pixel_size_nm = Some(50.0);
            change(d);
        });
        assert!(text.as_ref().is_some_and(|text| text.contains(expected)), "{text:?}");
    }
    let other = model(root.path(), 3, |d| d.normalisation.mean[0] = 0.5);
    let error = Ensemble::load(vec![other], &Device::Cpu).err().unwrap().to_string();
    assert!(error.contains("model-3: its images are normalised with mean 0.50000, 0.45600, 0.40600"), "{error}");
    assert!(Ensemble::load(Vec::new(), &Device::Cpu).is_err());
}

#[test]
fn tiles_come_from_the_options_or_are_the_largest() {
    let root = tempfile::tempdir().unwrap();
    let ensemble = load(vec![
        model(root.path(), 1, |d| (d.tile, d.overlap) = (32, 0.5)),
        model(root.path(), 2, |d| (d.tile, d.overlap) = (96, 0.25)),
    ]);
    let tiles = |tile, overlap| ensemble.tiles(&PredictOptions { tile, overlap, ..PredictOptions::default() });
    assert_eq!(tiles(None, None).unwrap(), (96, 0.5));
    assert_eq!(tiles(Some(64), Some(0.0)).unwrap(), (64, 0.0));
    let error = tiles(Some(100), None).unwrap_err().to_string();
    assert_eq!(error, "tiles of 100 pixels; give a multiple of 32, for example 96");
    assert!(tiles(Some(0), None).is_err() && tiles(None, Some(1.0)).is_err() && tiles(None, Some(f64::NAN)).is_err());
}

#[test]
fn memory_grows_with_the_width_and_the_classes_only() {
    let root = tempfile::tempdir().unwrap();
    let ensemble = load(vec![model(root.path(), 1, |d| d.pixel_size_nm = Some(50.0))]);
    let options = PredictOptions { tile: Some(256), ..PredictOptions::default() };
    let needs = |size, pixel_size| ensemble.memory([(size, pixel_size)].into_iter(), &options).unwrap().activations;
    let tall = needs((20_000, 20_000), None);
    assert_eq!(tall, needs((20_000, 2_000), None));
    assert!((100 << 20..400 << 20).contains(&tall), "{tall}");
    // Scaled to half its size, and back: also the rows that are interpolated.
    let (half, small) = (needs((20_000, 20_000), Some([25.0; 2])), needs((10_000, 10_000), None));
    assert!((small + (50 << 20)..small + (100 << 20)).contains(&half), "{half} and {small}");
}
