//! An experiment on a small data set of synthetic micrographs, all of them different.

use super::Project;
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use std::io::Cursor;

/// Pretrains on the unlabelled images, fine-tunes, evaluates. Its networks have their usual size.
pub const EXPERIMENT: &str = r#"
name = "experiment"

[datasets.steel]
format  = "folder"
path    = "steel"
classes = ["matrix", "island"]
unlabeled = "unlabeled"
test_images = ["t-0", "t-1"]
val_images = ["v-0"]

[stages.patches]
kind = "patchify"
dataset = "steel"
use = "unlabeled"
size = 64
overlap = 0.5

[stages.ssl]
kind = "pretrain"
patches = "patches"
method = "simclr"
encoder = { arch = "resnet18", width = 8, weights = "random" }
epochs = 1
batch_size = 4

[stages.segment]
kind = "finetune"
dataset = "steel"
encoder = "ssl"
epochs = 1

[stages.test]
kind = "evaluate"
dataset = "steel"
model = "segment"
"#;

/// Parameters that make the fine-tuning of [`EXPERIMENT`] take about a second.
pub const SMALL: &str = "decoder_channels = [16, 16, 8, 8, 8]\ncrop_size = 64\nbatch_size = 2\n";

/// [`EXPERIMENT`] with a small network to fine-tune.
pub fn small_experiment() -> String {
    EXPERIMENT.replace("encoder = \"ssl\"\n", &format!("encoder = \"ssl\"\n{SMALL}"))
}

/// Smooth noise: the sum of 900 soft spots at pseudo-random positions.
pub fn micrograph(seed: u32) -> GrayImage {
    const SIZE: usize = 240;
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    let mut values = vec![128.0f64; SIZE * SIZE];
    for _ in 0..900 {
        let (x, y, radius) = (next() % SIZE, next() % SIZE, 2 + next() % 9);
        let height = if next() % 2 == 0 { 60.0 } else { -60.0 };
        for dy in 0..=2 * radius {
            for dx in 0..=2 * radius {
                let (px, py) = ((x + dx).wrapping_sub(radius), (y + dy).wrapping_sub(radius));
                let far = (dx.abs_diff(radius).pow(2) + dy.abs_diff(radius).pow(2)) as f64 / radius.pow(2) as f64;
                if px < SIZE && py < SIZE && far < 1.0 {
                    values[py * SIZE + px] += height * (1.0 - far) * 0.5;
                }
            }
        }
    }
    GrayImage::from_fn(SIZE as u32, SIZE as u32, |x, y| {
        Luma([values[y as usize * SIZE + x as usize].clamp(0.0, 255.0) as u8])
    })
}

pub fn png(image: &GrayImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image.clone()).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The same pixels in another file.
pub fn bmp(image: &GrayImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image.clone()).write_to(&mut bytes, ImageFormat::Bmp).unwrap();
    bytes.into_inner()
}

/// A project with two test, one validation, three training and four unlabelled images, all of them different.
pub fn steel(experiment: &str) -> Project {
    let project = Project::new(experiment);
    for (i, stem) in ["t-0", "t-1", "v-0", "a-0", "a-1", "a-2"].into_iter().enumerate() {
        project.write(&format!("steel/images/{stem}.png"), png(&micrograph(i as u32)));
        let mask = GrayImage::from_fn(240, 240, |x, _| Luma([u8::from(x < 60)]));
        project.write(&format!("steel/masks/{stem}.png"), png(&mask));
    }
    for i in 0..4u32 {
        project.write(&format!("steel/unlabeled/u-{i}.png"), png(&micrograph(100 + i)));
    }
    project
}
