//! The lines of Python in a folder's README load the model and give our own labels and logits. `MATSSL_PYTHON` names an
//! interpreter with torch, segmentation_models_pytorch, safetensors, numpy and pillow.

mod made;

use candle_core::{Device, Tensor};
use made::{class_names, description, image, network, weights_file};
use matssl_data::Micrograph;
use matssl_metrics::Calibration;
use matssl_predict::model::{ModelDescription, ModelFolder};
use matssl_tensor::{Mode, Tape};
use matssl_train::train::inference::Segmenter;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter. In CI it is installed, so there nothing may be skipped.
fn python() -> Option<PathBuf> {
    let found = std::env::var_os("MATSSL_PYTHON").map(PathBuf::from);
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "MATSSL_PYTHON names no interpreter");
    if found.is_none() {
        println!("skipped: MATSSL_PYTHON names no interpreter with segmentation_models_pytorch");
    }
    found
}

/// Networks that differ in everything that the lines of Python say.
fn networks() -> Vec<String> {
    let config = |architecture: &str, encoder: &str, classes: usize| {
        format!(
            r#"{{"architecture":"{architecture}","encoder":{{{encoder}}},"decoder_channels":[16,8,8,4,4],"classes":{classes}}}"#
        )
    };
    vec![
        config("unet++", r#""arch":"resnet18","width":4"#, 3),
        config("unet", r#""arch":"resnet18","width":8,"variant":"v1","in_channels":1"#, 2),
        config("unet++", r#""arch":"resnet50","width":8,"variant":"v1""#, 3),
        config("unet", r#""arch":"resnet50","width":4"#, 4),
        config("unet++", r#""arch":"resnet34","width":20,"in_channels":1"#, 2),
        config("unet", r#""arch":"resnet18","width":64"#, 3),
        config("unet++", r#""arch":"se-resnet50","width":8,"in_channels":1"#, 2),
        config("unet", r#""arch":"se-resnext50","width":16"#, 3),
        config("unet", r#""arch":"se-resnext50""#, 3),
    ]
}

/// The one block of Python in `folder`'s README.
fn block(folder: &Path) -> String {
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut blocks = readme.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.next().unwrap().to_owned();
    assert!(blocks.next().is_none());
    block
}

fn write_png(image: &Micrograph, path: &Path) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), image.width as u32, image.height as u32);
    encoder.set_color(if image.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.write_header().unwrap().write_image_data(&image.pixels).unwrap();
}

/// Our own logits `[height, width, classes]` of the image, mirrored to multiples of 32 as `np.pad` does.
fn own_logits(config: &str, seed: u64, image: &Micrograph, normalisation: &ModelDescription) -> Vec<f32> {
    let (network, parameters) = network(config, seed);
    let side = |length: usize| length.div_ceil(32) * 32;
    let mirror = |at: usize, length: usize| if at < length { at } else { 2 * (length - 1) - at };
    let (width, height, channels) = (side(image.width), side(image.height), image.channels);
    let (mean, std) = (&normalisation.normalisation.mean, &normalisation.normalisation.std);
    let mut pixels = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let at = (mirror(y, image.height) * image.width + mirror(x, image.width)) * channels;
        let values = image.pixels[at..at + channels].iter().zip(mean.iter().zip(std));
        pixels.extend(values.map(|(value, (mean, std))| (f32::from(*value) / 255.0 - mean) / std));
    }
    let x = Tensor::from_vec(pixels, (1, height, width, channels), &Device::Cpu).unwrap();
    let tape = Tape::new(&parameters, Mode::Eval);
    let logits = network.forward(&tape, &tape.input(&x).unwrap()).unwrap();
    let logits = logits.tensor().narrow(1, 0, image.height).unwrap().narrow(2, 0, image.width).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn the_lines_of_the_readme_give_our_labels_and_logits() {
    let Some(python) = python() else { return };
    let root = tempfile::tempdir().unwrap();
    let mut script = String::from("import os, runpy\nimport numpy as np\n");
    for (seed, config) in (0..).zip(networks()) {
        let weights = weights_file(root.path(), &config, seed);
        let mut description = description(&config, &format!("model {seed}"));
        if seed == 0 {
            description.calibration = Some(calibration());
        }
        let folder = root.path().join(format!("model-{seed}"));
        ModelFolder::write(&folder, &description, &weights, None).unwrap();
        write_png(&image(72, 56, description.network.encoder.in_channels()), &folder.join("image.png"));
        fs::write(folder.join("lines.py"), block(&folder)).unwrap();
        script += &format!(
            "os.chdir({folder:?})\nfound = runpy.run_path('lines.py')\n\
             np.ascontiguousarray(found['logits'].permute(1, 2, 0).numpy(), np.float32).tofile('logits')\n\
             found['labels'].astype(np.uint8).tofile('labels')\n\
             found['probabilities'].permute(1, 2, 0).numpy().tofile('probabilities')\n"
        );
    }
    let done = Command::new(python).args(["-c", &script]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // Random weights may give one class everywhere.
    let mut of_one_class = 0;
    for (seed, config) in (0..).zip(networks()) {
        of_one_class += usize::from(!compare(&root.path().join(format!("model-{seed}")), &config, seed));
    }
    assert!(of_one_class <= 1, "{of_one_class}");
}

fn calibration() -> Calibration {
    let bins = matssl_metrics::Reliability { pixels: vec![1; 15], confidence: vec![0.5; 15], accuracy: vec![0.5; 15] };
    Calibration {
        temperature: 1.75,
        pixels: 15,
        log_loss: [1.0, 0.5],
        expected_error: [0.2, 0.1],
        before: bins.clone(),
        after: bins,
    }
}

/// Whether several classes are predicted.
fn compare(folder: &Path, config: &str, seed: u64) -> bool {
    let opened = ModelFolder::open(folder).unwrap();
    let description = &opened.description;
    let classes = description.classes.len();
    let floats = |name: &str| -> Vec<f32> {
        let bytes = fs::read(folder.join(name)).unwrap();
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let (theirs, labels) = (floats("logits"), fs::read(folder.join("labels")).unwrap());
    let image = image(72, 56, description.network.encoder.in_channels());
    let ours = own_logits(config, seed, &image, description);
    assert_eq!((ours.len(), labels.len()), (theirs.len(), image.width * image.height));
    let scale = ours.iter().fold(1.0f32, |most, logit| most.max(logit.abs()));
    let difference = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference <= 1e-4, "{config}: logits differ by {difference}, the largest is {scale}");
    let mut seen = vec![0; classes];
    for (logits, label) in ours.chunks(classes).zip(&labels) {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(most - logits[usize::from(*label)] <= 2.0 * difference, "{config}: label {label} of {logits:?}");
        seen[usize::from(*label)] += 1;
    }
    println!("{config}: logits differ by {difference:.1e} (largest {scale:.1}); pixels by class {seen:?}");
    let temperature = description.calibration.as_ref().map_or(1.0, |calibration| calibration.temperature) as f32;
    let first: Vec<f32> = ours[..classes].iter().map(|logit| (logit / temperature).exp()).collect();
    let sum: f32 = first.iter().sum();
    for (ours, theirs) in first.iter().zip(floats("probabilities")) {
        assert!((ours / sum - theirs).abs() < 1e-4, "{config}");
    }
    // The program itself, where the image is one tile.
    let segmenter = Segmenter::load(&opened.weights(), &Device::Cpu).unwrap();
    assert_eq!(segmenter.config().class_names, class_names(classes));
    let square = made::image(64, 64, image.channels);
    let predicted = segmenter.predict(&square, 64, 0.0).unwrap();
    let logits = own_logits(config, seed, &square, description);
    for (logits, label) in logits.chunks(classes).zip(&predicted.labels) {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(most - logits[usize::from(*label)] <= 1e-4 * scale);
    }
    seen.iter().filter(|pixels| **pixels > 0).count() > 1
}
