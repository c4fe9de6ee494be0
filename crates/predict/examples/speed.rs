//! Speed and memory of predictions with random weights: `speed ARCHITECTURE ENCODER WIDTH TILE OVERLAP BATCH IMAGE_WIDTH
//! IMAGE_HEIGHT [MODELS [TTA [SCALE]]]`. Prints megapixels a second from the image's rows to its bands, and the peak of the memory.

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use matssl_base::random::Stream;
use matssl_data::augment::{IMAGENET_MEAN, IMAGENET_STD};
use matssl_data::{DataError, Micrograph, ReadAs, Rows};
use matssl_metrics::SelectedOn;
use matssl_predict::engine::{Ensemble, PredictOptions};
use matssl_predict::model::{
    ClassDescription, FORMAT_VERSION, ModelDescription, ModelFolder, Normalisation, Provenance,
};
use matssl_tensor::Parameters;
use matssl_train::networks::SegmentationNetwork;
use matssl_train::train::inference::ModelConfig;
use matssl_train::weights;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

const CLASSES: usize = 4;

/// A made image whose rows are computed when they are read.
struct Made {
    width: usize,
    height: usize,
}

impl Rows for Made {
    fn width(&self) -> usize {
        self.width
    }
    fn height(&self) -> usize {
        self.height
    }
    fn channels(&self) -> usize {
        1
    }
    fn rows(&mut self, rows: Range<usize>) -> Result<Micrograph, DataError> {
        let (width, height) = (self.width, rows.len());
        let pixel = |x: usize, y: usize| ((x / 9 * 37 + y / 7 * 91 + x * y) % 251) as u8;
        let pixels = rows.flat_map(|y| (0..width).map(move |x| pixel(x, y))).collect();
        Ok(Micrograph { width, height, channels: 1, pixels })
    }
}

fn model(root: &Path, architecture: &str, encoder: &str, width: usize, seed: u64) -> Result<ModelFolder> {
    let text = format!(
        r#"{{"architecture":"{architecture}","encoder":{{"arch":"{encoder}","width":{width}}},"decoder_channels":[256,128,64,32,16],"classes":{CLASSES}}}"#
    );
    let network = SegmentationNetwork::new(serde_json::from_str(&text)?);
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(seed, "speed", 0, 0))?;
    let class_names: Vec<String> = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let config = ModelConfig {
        network: network.config().clone(),
        crop_size: 256,
        class_names: class_names.clone(),
        selected_on: SelectedOn::Val,
        fold: None,
    };
    let path = root.join(seed.to_string());
    std::fs::create_dir_all(&path)?;
    weights::save(&parameters, None, &path.join(ModelFolder::WEIGHTS), &serde_json::to_string(&config)?)?;
    let class = |(value, name)| -> Result<ClassDescription> {
        Ok(ClassDescription { name, value, color: serde_json::from_str(r##""#102030""##)?, ignored: false })
    };
    let description = ModelDescription {
        format_version: FORMAT_VERSION,
        name: format!("model {seed}"),
        network: network.config().clone(),
        classes: (0..).zip(class_names).map(class).collect::<Result<_>>()?,
        normalisation: Normalisation { mean: IMAGENET_MEAN.to_vec(), std: IMAGENET_STD.to_vec() },
        read_as: ReadAs::default(),
        tile: 256,
        overlap: 0.25,
        pixel_size_nm: Some(50.0),
        pixel_sizes_nm: None,
        calibration: None,
        validation: Vec::new(),
        scores: Vec::new(),
        provenance: Provenance::default(),
        files: std::collections::BTreeMap::new(),
    };
    Ok(ModelFolder { path, description, digest: String::new() })
}

/// In MiB.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |i: usize| arguments.get(i).with_context(|| format!("argument {} is missing", i + 1));
    let number = |i: usize| -> Result<usize> { Ok(word(i)?.parse()?) };
    let or = |i: usize, default: &str| arguments.get(i).map_or(default, |word| word).to_owned();
    let root = tempfile::tempdir()?;
    let models: u64 = or(8, "1").parse()?;
    let make = |seed| model(root.path(), word(0)?, word(1)?, number(2)?, seed);
    let folders = (0..models).map(make).collect::<Result<_>>()?;
    let loaded = Instant::now();
    let ensemble = Ensemble::load(folders, &Device::Cpu)?;
    let loaded = loaded.elapsed().as_secs_f64();
    let options = PredictOptions {
        tile: Some(number(3)?),
        overlap: Some(word(4)?.parse()?),
        batch: Some(number(5)?),
        tta: serde_json::from_str(&format!("\"{}\"", or(9, "none")))?,
    };
    let (width, height) = (number(6)?, number(7)?);
    let pixel_size = 50.0 / or(10, "1").parse::<f64>()?;
    let needs = ensemble.memory([((width, height), Some([pixel_size; 2]))].into_iter(), &options)?;
    for _ in 0..or(11, "1").parse()? {
        let (started, mut bands, mut labels) = (Instant::now(), 0, 0u64);
        let predicted =
            ensemble.predict(&mut Made { width, height }, Some([pixel_size; 2]), &options, &mut |band| {
                bands += 1;
                labels += band.labels.iter().map(|&label| u64::from(label)).sum::<u64>();
                Ok(())
            })?;
        let (seconds, pixels) = (started.elapsed().as_secs_f64(), (width * height) as f64 / 1e6);
        println!(
            "{pixels:.2} MP in {seconds:.2} s: {:.3} MP/s; {} tiles, {:.4} s a tile; {bands} bands; labels {labels}; scaled by {:?}",
            pixels / seconds,
            predicted.tiles,
            seconds / predicted.tiles as f64,
            predicted.scaled_by
        );
    }
    let estimate = needs.estimate().total() as f64 / 1024.0 / 1024.0;
    println!("loaded in {loaded:.2} s; peak {:.0} MiB; estimate {estimate:.0} MiB", peak().unwrap_or(0.0));
    Ok(())
}
