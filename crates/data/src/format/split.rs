//! Random splits, drawn from a seed of their own.

use super::params::{DatasetParams, ParamProblem, SplitParams};
use super::specimens::Specimens;
use crate::stem::composed;
use crate::{DataError, Split};
use matssl_base::random::Stream;
use std::collections::BTreeMap;
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

/// Whether `wanted` is the stem of the image `name` (a path inside the data set), or its file name, or the end of its path
/// with or without the extension. Letters compare as they look, however they are composed.
pub(super) fn is_named(name: &str, wanted: &str) -> bool {
    let name = composed(name);
    let extension = name.len() - name.rsplit_once('.').map_or(name.len(), |(before, _)| before.len());
    is_end(&name, wanted) || is_end(&name[..name.len() - extension], wanted)
}

/// Whether the path `name` ends with the names in `wanted`.
fn is_end(name: &str, wanted: &str) -> bool {
    name.strip_suffix(&*composed(wanted)).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The one of `names` that `wanted`, an item of `param`, names; the extension tells apart, if it is given.
fn position(root: &Path, names: &[&str], wanted: &str, param: &str) -> Result<usize, DataError> {
    let all = |is_meant: &dyn Fn(&str) -> bool| (0..names.len()).filter(|&i| is_meant(names[i])).collect::<Vec<_>>();
    let mut found = all(&|name| is_end(&composed(name), wanted));
    if found.is_empty() {
        found = all(&|name| is_named(name, wanted));
    }
    match *found {
        [i] => Ok(i),
        [] => {
            let problem = format!("has no image with a mask named {wanted}, which `{param}` names");
            Err(DataError::bad(root, problem, format!("correct `{param}`")))
        }
        [i, other, ..] => {
            let problem = format!("{wanted} in `{param}` names more than one image: {}, {}", names[i], names[other]);
            Err(DataError::bad(root, problem, "write the path of the image"))
        }
    }
}

/// The split of each of `names` (images with masks, sorted).
///
/// Named test and validation images come first. The others are put in a random order that depends only on the seed and their
/// number: the first go to test, the next to val, the rest to train. Shares are rounded to the nearest count, but a share
/// above 0 is at least one image.
///
/// With `specimens`, all images of a specimen are drawn together: in random order, each specimen goes to test if that brings
/// the number of test images nearer to the wanted one, else to val by the same rule, else to train.
pub(super) fn draw(
    params: &DatasetParams,
    root: &Path,
    names: &[&str],
    specimens: Option<&Specimens>,
) -> Result<Vec<Split>, DataError> {
    let mut splits = vec![None; names.len()];
    let named = [(&params.test_images, Split::Test, "test_images"), (&params.val_images, Split::Val, "val_images")];
    for (stems, split, param) in named {
        for wanted in stems.iter().flatten() {
            let i = position(root, names, wanted, param)?;
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
    let train = split.train.filter(|&train| train >= 1.0).map(|train| train as usize);
    if test + val >= rest.len() || train.is_some_and(|train| train + test + val != rest.len()) {
        let problem = format!(
            "{} images with masks cannot be split into {} train, {val} val and {test} test",
            rest.len(),
            train.map_or("some".into(), |train| train.to_string())
        );
        return Err(DataError::bad(root, problem, "add images with masks, or change `split`"));
    }
    // Without specimens each image is a unit of its own.
    let mut units: Vec<Vec<usize>> = rest.iter().map(|&i| vec![i]).collect();
    if let Some(specimens) = specimens {
        let mut by_specimen: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, name) in names.iter().enumerate() {
            by_specimen.entry(specimens.of(root, name)?).or_default().push(i);
        }
        for (specimen, images) in &by_specimen {
            let named = images.iter().find(|&&i| splits[i].is_some());
            let unnamed = images.iter().find(|&&i| splits[i].is_none());
            if let (Some(&named), Some(&unnamed)) = (named, unnamed) {
                let problem = format!("shows the specimen {specimen}, as {} does, which is named", names[named]);
                return Err(DataError::bad(
                    &root.join(names[unnamed]),
                    problem,
                    "name all images of a specimen or none",
                ));
            }
        }
        units = by_specimen.into_values().filter(|images| splits[images[0]].is_none()).collect();
    }
    let nearer = |now: usize, more: usize, wanted: usize| (now + more).abs_diff(wanted) < now.abs_diff(wanted);
    let mut drawn = [0, 0, 0];
    for unit in Stream::new(split.seed, "split", 0, 0).permutation(units.len()) {
        let images = &units[unit];
        let (i, split) = match images.len() {
            more if nearer(drawn[0], more, test) => (0, Split::Test),
            more if nearer(drawn[1], more, val) => (1, Split::Val),
            _ => (2, Split::Train),
        };
        drawn[i] += images.len();
        images.iter().for_each(|&image| splits[image] = Some(split));
    }
    if drawn[2] == 0 || (drawn[0] == 0 && test > 0) || (drawn[1] == 0 && val > 0) {
        let problem = format!("{} specimens cannot be split into some train, {val} val and {test} test", units.len());
        return Err(DataError::bad(root, problem, "change `split`, or name the images of each split"));
    }
    Ok(splits.into_iter().map(|split| split.unwrap_or(Split::Train)).collect())
}
