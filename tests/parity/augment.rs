//! The augmentations against torchvision, on 8-bit images, grey and RGB; `reference/augment.py` wrote what it computes.
//!
//! Each transform is asked of [`Recipe`], as training asks for it, so normalisation has its part in every figure.

use crate::fixture;
use crate::hashed::Uniform;
use matssl_run::data::augment::{Colour, IMAGENET_MEAN, IMAGENET_STD, Recipe, Scratch, Window};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The largest difference, in 255ths; 1 is what is asked for. What is left of it: torchvision's tensors have a luma whose
/// weights add up to 0.9999 (PIL's, and ours, to 1), the blur's weights end at 4 standard deviations, and samples are
/// written in hundredths.
const WORST: f64 = 0.06;
/// Of norm and projections, relative to the norm.
const SUMMARY: f64 = 2e-4;

#[derive(Debug, Deserialize)]
struct Case {
    width: usize,
    height: usize,
    channels: usize,
    smooth: bool,
    size: usize,
    #[serde(flatten)]
    step: Step,
    /// Of a chain, in place of a value.
    #[serde(default)]
    steps: Vec<Step>,
    samples: Vec<i64>,
    summary: [f64; 3],
    pil: f64,
}

#[derive(Debug, Deserialize)]
struct Step {
    transform: String,
    value: Option<Value>,
    window: Option<[usize; 4]>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Word(String),
}

impl Case {
    /// u8 `[height, width, channels]`.
    fn image(&self) -> Vec<u8> {
        let Case { width, height, channels, .. } = *self;
        let draws = Uniform::new(&format!("image {width} {height} {channels}"));
        let mut values: Vec<f64> = (0..width * height * channels).map(|index| draws.at(index)).collect();
        if self.smooth {
            let (line, all) = (width * channels, values.len());
            values = (0..all).map(|i| rolled(&values, i, |by| (i + all - by * line) % all)).collect();
            let across = |i: usize, by: usize| i / line * line + (i % line + line - by * channels) % line;
            values = (0..all).map(|i| rolled(&values, i, |by| across(i, by))).collect();
        }
        values.iter().map(|value| (((value + 1.0) / 2.0).clamp(0.0, 1.0 - 1e-9) * 256.0).floor() as u8).collect()
    }

    fn recipe(&self) -> Recipe {
        let window = Window { left: 0, top: 0, width: self.width, height: self.height };
        let mut recipe = Recipe {
            window,
            size: self.size,
            flip: [false; 2],
            jitter: None,
            grayscale: false,
            blur: None,
            gamma: None,
            noise: None,
        };
        let steps = if self.steps.is_empty() { std::slice::from_ref(&self.step) } else { &self.steps };
        // Nothing is changed by a factor of 1.
        let (mut jitter, mut changes) = ([Colour::Brightness(1.0); 4], 0);
        for Step { transform, value, window } in steps {
            let mut jitters = |change| {
                jitter[changes] = change;
                changes += 1;
            };
            match (transform.as_str(), value, window) {
                ("resized_crop", _, &Some([left, top, width, height])) => {
                    recipe.window = Window { left, top, width, height };
                }
                ("flip", Some(Value::Word(word)), _) => recipe.flip = [word == "horizontal", word == "vertical"],
                ("grayscale", ..) => recipe.grayscale = true,
                ("normalize", ..) => {}
                ("gaussian_blur", &Some(Value::Number(sigma)), _) => recipe.blur = Some(sigma as f32),
                ("brightness", &Some(Value::Number(factor)), _) => jitters(Colour::Brightness(factor as f32)),
                ("contrast", &Some(Value::Number(factor)), _) => jitters(Colour::Contrast(factor as f32)),
                ("saturation", &Some(Value::Number(factor)), _) => jitters(Colour::Saturation(factor as f32)),
                ("hue", &Some(Value::Number(turns)), _) => jitters(Colour::Hue(turns as f32)),
                _ => panic!("{self:?}"),
            }
        }
        recipe.jitter = (changes > 0).then_some(jitter);
        recipe
    }

    /// Numbers of 255ths `[size, size, 3]`, still normalised if that is the transform.
    fn run(&self) -> Vec<f64> {
        let view = self.recipe().view(&self.image(), self.width, self.channels, 3, &mut Scratch::default());
        let is_normalized = self.step.transform == "normalize";
        let plain = |(i, value): (usize, f32)| {
            let (mean, std) = (f64::from(IMAGENET_MEAN[i % 3]), f64::from(IMAGENET_STD[i % 3]));
            255.0 * if is_normalized { f64::from(value) } else { f64::from(value) * std + mean }
        };
        view.into_iter().enumerate().map(plain).collect()
    }

    /// The largest difference of a sample in 255ths, and of norm and projections relative to the norm.
    fn differences(&self) -> [f64; 2] {
        let found = self.run();
        let samples = (0..).map(|i| found[i * 31 % found.len()]).zip(&self.samples);
        let sample = samples.map(|(found, &expected)| (found - expected as f64 / 100.0).abs()).fold(0.0, larger);
        let name = &self.step.transform;
        let projection = |number: usize| {
            let direction = Uniform::new(&format!("{name}#{number}"));
            found.iter().enumerate().map(|(i, value)| value * direction.at(i)).sum::<f64>()
        };
        let norm = found.iter().map(|value| value * value).sum::<f64>().sqrt();
        let summary = [norm, projection(1), projection(2)];
        let far = summary.iter().zip(self.summary).map(|(found, expected)| (found - expected).abs());
        [sample, far.fold(0.0, larger) / self.summary[0]]
    }
}

/// The mean of a value and the two before it, made stronger.
fn rolled(values: &[f64], i: usize, before: impl Fn(usize) -> usize) -> f64 {
    (values[i] + values[before(1)] + values[before(2)]) / 3.0 * 1.5
}

/// Keeps a NaN.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b { a } else { b }
}

#[test]
fn augmentations_are_torchvisions() {
    let cases: Vec<Case> = fixture::section(include_str!("augment.json"), "cases");
    let mut worst: BTreeMap<(&str, usize), (usize, [f64; 3])> = BTreeMap::new();
    let mut faults = Vec::new();
    for case in &cases {
        let [sample, summary] = case.differences();
        // Not so that a NaN passes.
        if !(sample <= WORST && summary <= SUMMARY) {
            faults.push(format!(
                "{:?} {:?}, {} channel(s): {sample:.3}/255, {summary:.1e}",
                case.step, case.steps, case.channels
            ));
        }
        let (count, seen) = worst.entry((&case.step.transform, case.channels)).or_default();
        *count += 1;
        *seen = [larger(seen[0], sample), larger(seen[1], summary), larger(seen[2], case.pil)];
    }
    let mut table = String::from(
        "| transform | channels | cases | largest difference in 255ths | norm and projections | torchvision's own, on PIL images |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for ((name, channels), (count, [sample, summary, pil])) in worst {
        let _ = writeln!(table, "| {name} | {channels} | {count} | {sample:.3} | {summary:.1e} | {pil:.1} |");
    }
    println!("{table}");
    assert!(faults.is_empty(), "{} of {} cases differ\n{}", faults.len(), cases.len(), faults.join("\n"));
    assert!(cases.len() > 100);
}
