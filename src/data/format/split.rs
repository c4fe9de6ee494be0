//! Random splits, drawn from a seed of their own.

use super::{DataError, DatasetParams, ParamProblem, SplitParams, stem};
use crate::data::Split;
use crate::random::Stream;
use std::path::Path;

impl SplitParams {
    pub(super) fn check(&self) -> Result<(), ParamProblem> {
        let train = self.train.unwrap_or(0.0);
        for (param, part) in [("split.train", train), ("split.val", self.val), ("split.test", self.test)] {
            if !part.is_finite() || part < 0.0 || (part >= 1.0 && part.fract() != 0.0) {
                return Err(ParamProblem::new(param, format!("{part} is neither a share below 1 nor a count")));
            }
        }
        let share = |part: f64| part > 0.0 && part < 1.0;
        let sum = train + self.val + self.test;
        if self.train.is_some() && share(train) && (sum - 1.0).abs() > 1e-6 {
            let message =
                format!("the shares add up to {sum:.4}, not 1: correct one, or leave `train` out for the rest");
            return Err(ParamProblem::new("split.train", message));
        }
        if share(self.val) && share(self.test) && self.val + self.test >= 1.0 {
            return Err(ParamProblem::new("split.test", "`val` and `test` leave nothing to train on"));
        }
        Ok(())
    }
}

/// Whether `wanted` is the stem of the image `name` (a path inside the data set), or its file name.
fn is_named(name: &str, wanted: &str) -> bool {
    stem(name) == wanted || name.rsplit('/').next() == Some(wanted)
}

/// The split of each of `names` (images with masks, sorted).
///
/// Named test and validation images first; of the others, in a random order that depends on the seed and on their
/// number only, the first go to test, the next to val, the rest to train. Shares are rounded to the nearest count,
/// but a share above 0 is at least one image.
pub(super) fn draw(params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Vec<Split>, DataError> {
    let mut splits = vec![None; names.len()];
    let named = [(&params.test_images, Split::Test, "test_images"), (&params.val_images, Split::Val, "val_images")];
    for (stems, split, param) in named {
        for wanted in stems.iter().flatten() {
            let Some(i) = names.iter().position(|name| is_named(name, wanted)) else {
                let problem = format!("has no image with a mask named {wanted}, which `{param}` names");
                return Err(DataError::bad(root, problem, format!("correct `{param}`")));
            };
            if splits[i].is_some_and(|other| other != split) {
                let problem = format!("{wanted} is in both `test_images` and `val_images`");
                return Err(DataError::bad(root, problem, "keep it in one of them"));
            }
            splits[i] = Some(split);
        }
    }
    let rest: Vec<usize> = (0..names.len()).filter(|&i| splits[i].is_none()).collect();
    let split = params.split.unwrap_or(SplitParams { train: None, val: 0.0, test: 0.0, seed: 0 });
    let count = |part: f64| match part {
        0.0 => 0,
        part if part < 1.0 => ((part * rest.len() as f64).round() as usize).max(1),
        part => part as usize,
    };
    let (test, val) = (count(split.test), count(split.val));
    let whole = split.train.filter(|&train| train >= 1.0).map(|train| train as usize);
    if test + val >= rest.len() || whole.is_some_and(|train| train + test + val != rest.len()) {
        let problem = format!(
            "{} images with masks cannot be split into {} train, {val} val and {test} test",
            rest.len(),
            whole.map_or("some".into(), |train| train.to_string())
        );
        return Err(DataError::bad(root, problem, "add images with masks, or change `split`"));
    }
    let order = Stream::new(split.seed, "split", 0, 0).permutation(rest.len());
    for (place, i) in order.into_iter().enumerate() {
        splits[rest[i]] = Some(match place {
            place if place < test => Split::Test,
            place if place < test + val => Split::Val,
            _ => Split::Train,
        });
    }
    Ok(splits.into_iter().map(|split| split.unwrap_or(Split::Train)).collect())
}
