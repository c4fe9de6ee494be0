//! `matssl-run new --from FOLDER`: looks at the folder, and writes the experiment that fits.

use super::super::outcome::{Ending, Stop};
use super::super::output::print;
use super::data_table::{self, Splits, quoted};
use super::file::write_new;
use super::next::NEXT;
use super::summary;
use crate::data::Split;
use crate::data::look::{Bar, Found, look};
use crate::data::patches::{Edge, positions};
use crate::report::safe_names;
use std::path::{Path, PathBuf};

const PRETRAINED: &str = include_str!("from.toml");
const LABELLED: &str = include_str!("from_labelled.toml");
const SCORED: &str = include_str!("from_scored.toml");
const VALIDATED: &str = include_str!("from_validated.toml");

/// Networks halve an image five times.
const STEP: usize = 32;
/// The paper's side of patches and crops.
const SIDE: usize = 256;
/// Overlap of the patches in the template.
const OVERLAP: f64 = 0.5;
/// Largest batch of patches.
const PATCH_BATCH: usize = 64;
/// Largest batch of images.
const IMAGE_BATCH: usize = 8;

/// Looks at `folder` and writes `file`, or NAME.toml by the folder's name.
///
/// # Errors
/// If nothing is found, or the file exists already.
pub(super) fn from(folder: &Path, file: Option<&str>) -> Result<Ending, Stop> {
    let file = experiment_file(folder, file)?;
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    if !crate::experiment::is_file_name(&name) {
        return Err(Stop::bad_request(format!(
            "{name:?} cannot name an experiment: use 1 to 100 letters, digits, `.`, `_` and `-`, and no `.` at the \
             beginning; name the file: `matssl-run new --from FOLDER FILE`"
        )));
    }
    if file.exists() {
        return Err(Stop::bad_request(format!("{} exists already; choose another name", file.display())));
    }
    let found = look(folder).map_err(anyhow::Error::from)?;
    let splits = Splits::of(&found);
    let path = path_in_experiment(&found.path(folder), &file)?;
    let side = side(&found);
    write_new(&file, &text(&name, folder, &found, splits, &path))?;
    let mut report = format!("found in {}:\n", folder.display());
    summary::lines(&found, splits).iter().for_each(|line| report += &format!("  {line}\n"));
    section(&mut report, "not used:", &found.passed_over);
    section(&mut report, "to correct before a run:", &warnings(&found, side));
    let file = file.display();
    report += &format!("wrote {file}\n");
    let mut steps = Vec::new();
    if found.masks.is_some() {
        steps.push(format!("Give the classes in {file} their names, and read the lines marked <-."));
    }
    if found.labelled > 0 {
        steps.push(format!("matssl-run data {file} --preview look   shows each class in colour in look/index.html."));
    } else {
        steps.push(format!("matssl-run data {file}   checks every image."));
    }
    steps.push(format!("matssl-run plan {file}   shows what would run."));
    steps.push(format!("matssl-run {file}   runs it; results are in reports/{name}/."));
    steps.iter().enumerate().for_each(|(i, step)| report += &format!("{}. {step}\n", i + 1));
    report += NEXT;
    print(&report);
    Ok(Ending::Done)
}

fn section(report: &mut String, heading: &str, lines: &[String]) {
    if !lines.is_empty() {
        *report += &format!("{heading}\n");
        lines.iter().for_each(|line| *report += &format!("  {line}\n"));
    }
}

/// The file to write: as given, with `.toml` if that is missing; else called as the folder, in the current one.
fn experiment_file(folder: &Path, file: Option<&str>) -> Result<PathBuf, Stop> {
    if let Some(file) = file {
        let with_extension = if file.ends_with(".toml") { file.to_owned() } else { format!("{file}.toml") };
        return Ok(with_extension.into());
    }
    let real = std::fs::canonicalize(folder).map_err(|error| {
        Stop::not_there(format!("{}: not there ({error}); name the folder of your micrographs", folder.display()))
    })?;
    let name = real.file_name().and_then(|name| name.to_str()).unwrap_or("micrographs");
    let safe = safe_names([name]).pop().unwrap_or_default();
    Ok(format!("{safe}.toml").into())
}

/// The data set's folder as the experiment names it: relative to where relative paths are looked up, if it lies there.
fn path_in_experiment(folder: &Path, file: &Path) -> Result<PathBuf, Stop> {
    let real = |path: &Path| std::fs::canonicalize(path).map_err(anyhow::Error::from);
    let folder = real(folder)?;
    let places = match std::env::var_os("MATSSL_DATA") {
        Some(data) => PathBuf::from(data),
        None => file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf(),
    };
    let Ok(places) = real(&places) else { return Ok(folder) };
    Ok(match folder.strip_prefix(&places) {
        Ok(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
        Ok(inside) => inside.to_path_buf(),
        Err(_) => folder,
    })
}

/// Side of patches and crops: at most that of the smallest image, a multiple of 32.
fn side(found: &Found) -> usize {
    let smallest = found.sizes.iter().map(|((width, height), _)| *width.min(height)).min().unwrap_or(SIDE);
    (smallest / STEP * STEP).clamp(STEP, SIDE)
}

/// Number of patches that pretraining gets, about.
fn patches(found: &Found, splits: Splits, side: usize) -> usize {
    let along = |length: usize| positions(length, side, OVERLAP, Edge::Drop).len();
    let (mut patches, mut read) = (0, 0);
    for ((width, height), images) in &found.sizes {
        patches += images * along(*width) * along(*height);
        read += images;
    }
    let used = found.labelled + found.unlabelled - splits.sizes.test;
    patches * used / read.max(1)
}

fn warnings(found: &Found, side: usize) -> Vec<String> {
    let mut warnings = found.warnings.clone();
    if let Bar::Different(_) = found.bar {
        warnings.push(
            "`crop` cuts the same number of rows from every image: make a data set of the images of each height, or \
             cut the bars off"
                .into(),
        );
    }
    let small =
        found.sizes.iter().filter(|((width, height), _)| (*width).min(*height) < side).map(|(_, n)| n).sum::<usize>();
    if small > 0 {
        warnings.push(format!("{small} images have a side below {STEP} pixels, the least that a network takes"));
    }
    if found.labelled > 0 && found.labelled < 3 {
        warnings.push("so few masks cannot be split into images to train, to validate and to test on: add some".into());
    }
    warnings
}

/// The whole experiment.
fn text(name: &str, folder: &Path, found: &Found, splits: Splits, path: &Path) -> String {
    let side = side(found);
    let mut text = format!(
        "# Written by `matssl-run new --from {}`. Lines marked <- are guesses: check them.\n#\n# Found there:\n",
        one_line(&folder.display().to_string())
    );
    let mut notes = summary::lines(found, splits);
    notes.extend(warnings(found, side).into_iter().map(|warning| format!("to correct: {warning}")));
    notes.extend(found.passed_over.iter().map(|line| format!("not used:   {line}")));
    notes.iter().for_each(|line| text += &format!("#   {}\n", one_line(line)));
    let title = if found.labelled > 0 {
        "U-Net++ from a MatSSL encoder and from random weights"
    } else {
        "an encoder from micrographs without masks"
    };
    text += &format!("\nname  = {}\ntitle = \"My micrographs: {title}\"\n", quoted(name));
    text +=
        "seeds = [0]                                     # [0, 1, 2] runs every training three times: mean ± std\n\n";
    text += &data_table::table(found, path, splits);
    let patches = patches(found, splits, side);
    let largest =
        |most: usize, there: usize| (0..).map(|i| 1 << i).take_while(|&n| n <= most.min(there)).last().unwrap_or(1);
    let uses = if found.labelled > 0 { "all-but-test" } else { "unlabeled" };
    text += &PRETRAINED
        .replace("USE", uses)
        .replace("PATCH_SIZE", &side.to_string())
        .replace("PATCH_BATCH", &largest(PATCH_BATCH, patches).max(2).to_string());
    if found.labelled == 0 {
        text += "\n# With masks a model can be trained from this encoder and scored: see `matssl-run new NAME`.\n";
        return text;
    }
    let train = splits.sizes.train;
    text += &LABELLED
        .replace("IMAGE_BATCH", &train.clamp(1, IMAGE_BATCH).to_string())
        .replace("CROP_SIZE", &side.to_string());
    let has_fraction = splits.sizes.val == 0 && train >= 5;
    if has_fraction {
        text += "val_fraction   = 0.2                            # part of the training images: there are none to validate on\n";
    } else if splits.sizes.val == 0 {
        text += "select_on      = \"last\"                         # there are no images to choose the epoch by\n";
    }
    match (splits.sizes.test, splits.sizes.val) {
        (0, 0) => {
            text += "\n# No image is left to test on: add masks, then `evaluate` stages and tables (`matssl-run new NAME`).\n"
        }
        (0, _) => {
            let split = format!(
                "matrix.model = [\"segment.*\"]\nsplit        = \"{}\"                            # there are no test images: \
                 these chose the epoch, so scores are too good",
                Split::Val.name()
            );
            text += &SCORED.replace("matrix.model = [\"segment.*\"]", &split);
        }
        _ => text += SCORED,
    }
    if splits.sizes.val > 0 || has_fraction {
        text += VALIDATED;
    }
    text
}

/// Without line breaks, which would end a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
