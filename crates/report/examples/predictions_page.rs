//! Writes a page of predictions of 40 made-up images into the folder that is its argument, to be looked at.

use image::{Rgb, RgbImage};
use matssl_metrics::{Calibration, ClassFraction, Estimate, Object, Reliability};
use matssl_report::{ClassObjects, PredictedImage, PredictionsPage, SpecimenRow, png_rgb, predictions_page};
use std::path::Path;

/// The `index`-th of some numbers between 0 and 1 that look random.
fn noise(index: u64) -> f64 {
    let mut bits = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn estimate(value: f64, half: f64) -> Estimate {
    Estimate { value, interval: Some([(value - half).max(0.0), (value + half).min(1.0)]) }
}

fn fractions(seed: u64) -> Vec<ClassFraction> {
    let second = 0.18 + 0.12 * noise(seed);
    let third = 0.002 * noise(seed + 1000);
    let of = |value: f64| ClassFraction { raw: estimate(value, 0.02), corrected: Some(estimate(value * 0.96, 0.035)) };
    [1.0 - second - third, second, third].map(of).into()
}

fn reliability(factor: f64) -> Reliability {
    let mut reliability = Reliability::default();
    for bin in 0..Reliability::BINS {
        let middle = (bin as f64 + 0.5) / Reliability::BINS as f64;
        let is_empty = bin < 5;
        reliability.pixels.push(if is_empty { 0 } else { (bin as u64 - 4).pow(4) * 100 });
        reliability.confidence.push(if is_empty { 0.0 } else { middle });
        reliability.accuracy.push(if is_empty { 0.0 } else { middle * factor });
    }
    reliability
}

fn thumbnail(folder: &Path, number: u64) -> anyhow::Result<String> {
    let discs: Vec<(f64, f64, f64)> = (0..25)
        .map(|i| {
            let at = number * 100 + i * 3;
            (noise(at) * 320.0, noise(at + 1) * 240.0, 8.0 + 22.0 * noise(at + 2))
        })
        .collect();
    let picture = RgbImage::from_fn(320, 240, |x, y| {
        let is_inside = discs.iter().any(|(cx, cy, r)| (f64::from(x) - cx).hypot(f64::from(y) - cy) < *r);
        let grey = 90.0 + 25.0 * noise(number * 77 + u64::from(y) * 320 + u64::from(x));
        if is_inside { Rgb([230, 159, 0]) } else { Rgb([grey as u8; 3]) }
    });
    let name = format!("thumbnails/{number:04}.png");
    std::fs::write(folder.join(&name), png_rgb(&picture)?)?;
    Ok(name)
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("the folder to write to is missing"))?;
    let count = std::env::args().nth(2).and_then(|count| count.parse().ok()).unwrap_or(40);
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder.join("thumbnails"))?;
    let mut images = Vec::new();
    for number in 0..count {
        let thumbnail = thumbnail(folder, number % 40)?;
        images.push(PredictedImage {
            image: format!("specimen-{}/field <{:02}>.tif", number % 5 + 1, number),
            overlay: thumbnail.clone(),
            thumbnail,
            size: (2560, 1920),
            pixel_size_nm: (number % 7 != 3).then_some(65.0),
            fractions: fractions(number),
            unusual: match number % 13 {
                5 => vec!["mean grey level 212; those of the training images are 80 to 131".into()],
                9 => vec![
                    "contrast 3.1 times that of the training images".into(),
                    "its features are 2.4 times as far from the training patches as those of any validation image"
                        .into(),
                ],
                _ => Vec::new(),
            },
        });
    }
    let object = |i: u64| Object {
        area: 100,
        centroid: [0.0, 0.0],
        equivalent_diameter: 0.4 + 1.6 * noise(i).powi(2) + 0.4 * noise(i + 7),
        aspect_ratio: 1.0 + 1.5 * noise(i + 9).powi(3),
        nearest: Some(0.8 + 2.0 * noise(i + 11)),
        touches_edge: i.is_multiple_of(10),
    };
    let page = PredictionsPage {
        title: "Predictions of segment.matssl".into(),
        facts: vec![
            ("model".into(), "models/segment.matssl@0, models/segment.matssl@1 (ensemble)".into()),
            ("tiles".into(), "256 pixels, overlap 0.5, flips".into()),
            ("program".into(), "matssl-run 0.1.0, commit 059f259".into()),
        ],
        classes: vec![
            ("matrix".into(), [0x2b, 0x2f, 0x36]),
            ("austenite".into(), [0xe6, 0x9f, 0x00]),
            ("pores".into(), [0x56, 0xb4, 0xe9]),
        ],
        notes: vec![
            "The pixel size of 6 images is not known: they were not scaled, and their objects are not measured.".into(),
        ],
        images,
        failed: vec![
            ("specimen-3/broken.tif".into(), "the file is cut short: 1,024 of 2,048 bytes of tile 3".into()),
            ("notes.txt".into(), "no image: it begins with the text \"<html>\"".into()),
        ],
        specimens: (0..5)
            .map(|i| SpecimenRow {
                specimen: format!("specimen-{}", i + 1),
                fields: 8,
                fractions: fractions(i * 31).into_iter().map(|fraction| (fraction, Some(0.021))).collect(),
            })
            .collect(),
        objects: vec![ClassObjects {
            class: 1,
            unit: "µm".into(),
            objects: (0..2500).map(object).collect(),
            mean_intercept: Some(0.873),
        }],
        calibrations: vec![(
            "segment.matssl@0".into(),
            Calibration {
                temperature: 1.234,
                pixels: 262_144,
                log_loss: [0.3456, 0.3123],
                expected_error: [0.0812, 0.0123],
                before: reliability(0.88),
                after: reliability(0.98),
            },
        )],
    };
    std::fs::write(folder.join("index.html"), predictions_page(&page))?;
    Ok(())
}
