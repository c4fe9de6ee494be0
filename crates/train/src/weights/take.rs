//! Takes a network's tensors out of a file's bytes.

use super::bias_table::{differs_in_window, resized};
use super::error::{Differences, WeightsError};
use super::find::{Candidate, Expected, best, candidates};
use super::first_convolution::adapted;
use super::request::{LoadReport, Request};
use super::resemblance::resemblance;
use super::stored::{Group, Stored};
use super::weight_file::{Numbers, WeightFile, module_text};
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// How the name of a batch norm's variance ends.
const VARIANCE: &str = "running_var";

/// Finds the network `expected` in `bytes`, the content of the file `path`, and gives each tensor with its index to `take`,
/// in the network's shape but the file's type, once it is known to be finite.
///
/// # Errors
/// What is wrong with the file, or why it does not fit. `take` may have been called before.
pub(super) fn take(
    path: &Path,
    bytes: &[u8],
    expected: &Expected,
    request: &Request<'_>,
    mut take: impl FnMut(usize, Tensor) -> candle_core::Result<()>,
) -> Result<LoadReport, WeightsError> {
    let format = |reason| WeightsError::format(path, reason);
    let mut file = WeightFile::parse(bytes).map_err(format)?;
    let chosen = choose(path, &mut file, expected, request)?;
    let group = &file.groups[chosen.group];
    let index: BTreeMap<&str, usize> = chosen.found.iter().map(|(at, name)| (name.as_str(), *at)).collect();
    let (mut wrong, mut negative) = (Vec::new(), Vec::new());
    let mut all_zeros = None;
    let read = file.numbers.read(wanted(group, &chosen), |name, tensor| {
        let at = index[name];
        let (_, shape) = &expected[at];
        let mut prepare = |tensor: Tensor| {
            let numbers = if tensor.dtype().is_float() { numbers(&tensor)? } else { Vec::new() };
            let count = |list: &mut Vec<String>, what: fn(f32) -> bool| {
                let count = numbers.iter().filter(|number| what(**number)).count();
                if count > 0 {
                    list.push(format!("{name}: {count} of {}", tensor.elem_count()));
                }
            };
            count(&mut wrong, |number| !number.is_finite());
            if expected[at].0.ends_with(VARIANCE) {
                count(&mut negative, |number| number < 0.0);
            }
            if shape.len() == 4 {
                let zeros = tensor.dtype().is_float() && numbers.iter().all(|number| *number == 0.0);
                all_zeros = Some(all_zeros.unwrap_or(true) && zeros);
            }
            if let Some((_, window)) = differs_in_window(&expected[at].0, tensor.dims(), shape) {
                return take(at, resized(&tensor, window)?);
            }
            let tensor = match (tensor.dims(), &shape[..]) {
                (found, expected) if found == expected => tensor,
                (_, []) => tensor.squeeze(0)?,
                (_, expected) => adapted(&tensor, expected.get(1).copied().unwrap_or_default())?,
            };
            take(at, tensor)
        };
        prepare(tensor).map_err(|error| format!("{name}: {error}"))
    });
    read.map_err(format)?;
    if !wrong.is_empty() {
        return Err(WeightsError::NotFinite { path: path.to_owned(), tensors: wrong });
    }
    if !negative.is_empty() {
        return Err(WeightsError::NegativeVariance { path: path.to_owned(), tensors: negative });
    }
    if all_zeros == Some(true) {
        return Err(WeightsError::Zeros { path: path.to_owned() });
    }
    Ok(LoadReport {
        key: chosen.key,
        prefix: chosen.prefix,
        naming: chosen.naming.note(),
        missing: chosen.missing,
        passed_over: chosen.outside,
        channels: chosen.channels,
        resized: chosen.resized,
        config: file.config,
    })
}

/// The tensors of `candidate` in `group`.
fn wanted<'g>(group: &'g Group, candidate: &'g Candidate) -> impl Iterator<Item = (&'g str, &'g Stored)> {
    candidate.found.iter().filter_map(|(_, name)| Some((name.as_str(), group.tensors.get(name)?)))
}

/// The numbers, as float32.
fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
}

/// The one place in `file` where the network lies.
fn choose(
    path: &Path,
    file: &mut WeightFile<'_>,
    expected: &Expected,
    request: &Request<'_>,
) -> Result<Candidate, WeightsError> {
    let found = candidates(&file.groups, expected, request);
    if found.is_empty() {
        return Err(nothing(path, file, expected, request));
    }
    let most = found.iter().filter(|one| one.fits(request.allow_missing)).map(|one| one.found.len()).max().unwrap_or(0);
    // A part of a network, as the first layer inside another one, is no second network.
    let fitting = |one: &Candidate| one.fits(request.allow_missing) && 2 * one.found.len() > most;
    let (mut fit, others): (Vec<Candidate>, Vec<Candidate>) = found.into_iter().partition(fitting);
    if fit.len() > 1 {
        let rest = fit.split_off(1);
        for other in &rest {
            if !equal(&mut file.numbers, &file.groups, &fit[0], other)
                .map_err(|error| WeightsError::format(path, error))?
            {
                let all: Vec<&Candidate> = fit.iter().chain(&rest).collect();
                let (example, places) = (example(&all), all.iter().map(|one| one.place()).collect());
                return Err(WeightsError::Ambiguous { path: path.to_owned(), places, example });
            }
        }
    }
    if let Some(chosen) = fit.pop() {
        return Ok(chosen);
    }
    let Some(best) = best(others) else { return Err(nothing(path, file, expected, request)) };
    let place = super::request::place(&best.key, &best.prefix);
    let differences = Box::new(Differences {
        place: if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) },
        looks: looks(&file.groups[best.group], &best.prefix, expected),
        missing: if request.allow_missing { Vec::new() } else { best.missing },
        unused: best.inside,
        misshapen: best.misshapen,
    });
    Err(WeightsError::Mismatch { path: path.to_owned(), differences })
}

/// Why no tensor of the network was found.
fn nothing(path: &Path, file: &WeightFile<'_>, expected: &Expected, request: &Request<'_>) -> WeightsError {
    let path = path.to_owned();
    let anywhere = candidates(&file.groups, expected, &Request::default());
    if (request.key.is_some() || request.prefix.is_some()) && !anywhere.is_empty() {
        let what = [("key", request.key), ("prefix", request.prefix)];
        let what = what.iter().filter_map(|(what, chosen)| Some(format!("{what} `{}`", (*chosen)?)));
        // Parts of a network, as the first layer inside another one, are no places of it.
        let most = anywhere.iter().map(|one| one.found.len()).max().unwrap_or(0);
        let mut known: Vec<String> = Vec::new();
        for one in anywhere.iter().filter(|one| 2 * one.found.len() > most) {
            let place = one.place();
            let place = if place.starts_with("at ") { place } else { format!("at {place}") };
            if !known.contains(&place) {
                known.push(place);
            }
        }
        let what = what.collect::<Vec<_>>().join(", ");
        return WeightsError::NotInFile { path, what, known: format!("they are {}", known.join("; or ")) };
    }
    if let Some(class) = &file.module {
        return WeightsError::format(&path, module_text(class));
    }
    let group = file.groups.iter().max_by_key(|group| group.tensors.len());
    WeightsError::Unrelated {
        path,
        found: file.groups.iter().flat_map(|group| group.tensors.keys()).take(4).cloned().collect(),
        expected: expected.iter().take(4).map(|(name, _)| name.clone()).collect(),
        looks: group.map_or_else(String::new, |group| looks(group, "", expected)),
    }
}

/// Which networks the file's tensors and the expected ones are, as a line of its own, if that tells them apart.
fn looks(group: &Group, prefix: &str, expected: &Expected) -> String {
    let tensors = group.tensors.iter().filter(|(name, _)| name.starts_with(prefix));
    let Some(theirs) = resemblance(tensors.map(|(name, stored)| (name.as_str(), &stored.shape[..]))) else {
        return String::new();
    };
    match resemblance(expected.iter().map(|(name, shape)| (name.as_str(), &shape[..]))) {
        Some(ours) if ours != theirs => format!("\nthese look like {theirs}; the network is {ours}"),
        Some(_) => String::new(),
        None => format!("\nthese look like {theirs}"),
    }
}

/// Whether two places hold the same numbers.
fn equal(numbers: &mut Numbers<'_>, groups: &[Group], one: &Candidate, other: &Candidate) -> Result<bool, String> {
    let of = |candidate: &Candidate, at: usize| {
        let name = candidate.found.iter().find(|(index, _)| *index == at).map(|(_, name)| name.clone())?;
        groups[candidate.group].tensors.get_key_value(&name)
    };
    if one.found.len() != other.found.len() {
        return Ok(false);
    }
    for (at, _) in &one.found {
        let (Some((name, stored)), Some((name2, stored2))) = (of(one, *at), of(other, *at)) else { return Ok(false) };
        if stored == stored2 && (one.group, name) == (other.group, name2) {
            continue;
        }
        if let (super::stored::Place::View(view), super::stored::Place::View(view2)) = (&stored.place, &stored2.place)
            && view == view2
        {
            continue;
        }
        let mut values = Vec::new();
        for pair in [(name, stored), (name2, stored2)] {
            numbers.read([(pair.0.as_str(), pair.1)], |_, tensor| {
                let tensor = tensor.flatten_all().and_then(|tensor| tensor.to_dtype(DType::F64));
                let tensor = tensor.and_then(|tensor| tensor.to_vec1::<f64>());
                values.push(tensor.map_err(|error| error.to_string())?);
                Ok(())
            })?;
        }
        if values.first() != values.get(1) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Parts of the names of the network that a training is for, and of the copy beside it that only gives it targets.
const USUAL: [&str; 5] = ["encoder_q", "base_encoder", "online", "teacher", "ema"];
const COPIES: [&str; 4] = ["encoder_k", "momentum", "target", "queue"];

/// What chooses the usual one of `all`, as in an experiment.
fn example(all: &[&Candidate]) -> String {
    let rank = |one: &&&Candidate| {
        let place = format!("{}.{}", one.key, one.prefix);
        let has = |parts: &[&str]| parts.iter().any(|part| place.contains(part));
        if has(&COPIES) { 2 } else { u8::from(!has(&USUAL)) }
    };
    let Some(one) = all.iter().min_by_key(rank) else { return String::new() };
    let (key, prefix) = (format!("`key = \"{}\"`", one.key), format!("`prefix = \"{}\"`", one.prefix));
    let alone = |same: fn(&Candidate, &Candidate) -> bool| all.iter().filter(|other| same(one, other)).count() == 1;
    if alone(|one, other| one.key == other.key) {
        key
    } else if alone(|one, other| one.prefix == other.prefix) {
        prefix
    } else {
        format!("{key} and {prefix}")
    }
}
