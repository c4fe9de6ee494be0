//! What the options mean for these models, checked before anything starts.

use super::super::outcome::Stop;
use super::args::{PredictArgs, ReadArgs};
use crate::data::{Crop, PixelSize, PixelSizes, ReadAs};
use matssl_predict::engine::PredictOptions;
use matssl_predict::model::ModelDescription;
use matssl_predict::output::OutputOptions;
use regex::Regex;
use std::str::FromStr;

/// The checked options.
pub(super) struct Settings {
    pub(super) predict: PredictOptions,
    pub(super) outputs: OutputOptions,
    pub(super) read_as: ReadAs,
    pub(super) specimen: Option<Regex>,
}

/// A network halves the size five times.
const STEP: usize = 32;

/// Largest side of a tile, as of a crop in a training.
const MOST: usize = 4096;

impl Settings {
    /// # Errors
    /// All options that make no sense.
    pub(super) fn new(args: &PredictArgs, model: &ModelDescription) -> Result<Self, Stop> {
        let mut wrong = Vec::new();
        if let Some(tile) = args.tile.filter(|&tile| tile > MOST) {
            wrong
                .push(format!("--tile {tile}: is more than {MOST} pixels; expected a multiple of {STEP} up to {MOST}"));
        } else if let Some(tile) = args.tile.filter(|tile| *tile == 0 || tile % STEP != 0) {
            let below = (tile / STEP * STEP).max(STEP);
            wrong.push(format!("--tile {tile}: expected a multiple of {STEP}, e.g. {below} or {}", below + STEP));
        }
        if let Some(tile) = args.tile.filter(|tile| *tile > 0 && tile % STEP == 0)
            && let Err(message) = model.network.check_side(tile)
        {
            wrong.push(format!("--tile {tile}: {message}"));
        }
        if let Some(overlap) = args.overlap.filter(|overlap| !(0.0..1.0).contains(overlap)) {
            wrong.push(format!("--overlap {overlap}: expected 0 to below 1, e.g. 0.5"));
        }
        let mut take = |found: Result<u8, String>| match found {
            Ok(class) => Some(class),
            Err(problem) => {
                wrong.push(problem);
                None
            }
        };
        let mut objects: Vec<u8> = args.objects.iter().filter_map(|name| take(class(name, model))).collect();
        objects.sort_unstable();
        objects.dedup();
        let specimen = args.specimen.as_deref().map(Regex::new).transpose();
        let specimen = specimen.map_err(|error| wrong.push(format!("--specimen: {error}"))).ok().flatten();
        let read_as = read_as(&args.read, &model.read_as, &mut wrong);
        let stops = wrong.into_iter().map(Stop::bad_request);
        if let Some(stop) = Stop::all(stops) {
            return Err(stop);
        }
        let outputs = OutputOptions {
            format: args.format.into(),
            overlay: true,
            probabilities: args.probabilities.map(Into::into),
            uncertainty: args.uncertainty,
            objects,
        };
        Ok(Settings { predict: args.predict_options(), outputs, read_as, specimen })
    }

    /// The specimen that the image `name` shows.
    pub(super) fn specimen_of(&self, name: &str) -> Option<String> {
        // As in `data` and `group`: the file's name without folder and extension.
        let file = name.rsplit('/').next().unwrap_or(name);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let found = self.specimen.as_ref()?.captures(stem)?;
        found.get(1).or_else(|| found.get(0)).map(|part| part.as_str().to_owned())
    }
}

/// The index of the class `name`.
fn class(name: &str, model: &ModelDescription) -> Result<u8, String> {
    let classes = &model.classes;
    if let Some(index) = classes.iter().position(|class| class.name == name) {
        return u8::try_from(index).map_err(|error| format!("--objects {name}: {error}"));
    }
    let likeness = |class: &str| strsim::jaro_winkler(&class.to_lowercase(), &name.to_lowercase());
    let mut names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
    names.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    Err(format!("--objects {name}: the model has no such class; it has {}", names.join(", ")))
}

/// What the model says, replaced by what the options say.
fn read_as(args: &ReadArgs, model: &ReadAs, wrong: &mut Vec<String>) -> ReadAs {
    let mut read_as = model.clone();
    let options = &mut read_as.options;
    if args.bits.is_some() || args.range.is_some() {
        // One says how grey levels are scaled: the model's other word for it does not count.
        options.bits = args.bits;
        options.range = None;
    }
    if let Some(text) = &args.range {
        match range(text) {
            Some(range) => options.range = Some(range),
            None => {
                wrong.push(format!("--range {text}: expected two numbers, the smaller one (black) first, e.g. 0:4095"))
            }
        }
    }
    options.page = args.page.or(options.page);
    options.channels = args.channels.clone().or(options.channels.take());
    if let Some((option, problem)) = options.problem() {
        wrong.push(format!("--{option}: {problem}"));
    }
    match args.crop.as_deref().map(crop) {
        None => {}
        Some(Ok(crop)) => read_as.crop = crop,
        Some(Err(problem)) => wrong.push(problem),
    }
    match args.pixel_size.clone().map(PixelSize::try_from) {
        None => {}
        Some(Ok(size)) => read_as.pixel_size = Some(PixelSizes::All(size)),
        Some(Err(problem)) => wrong.push(format!("--pixel-size: {problem}")),
    }
    read_as
}

fn range(text: &str) -> Option<[f64; 2]> {
    let (black, white) = text.split_once(':')?;
    let [black, white] = [black, white].map(|number| f64::from_str(number.trim()).ok());
    Some([black?, white?])
}

/// `auto`, `none`, or `bottom=60,top=2`.
fn crop(text: &str) -> Result<Option<Crop>, String> {
    let wrong = || format!("--crop {text}: expected auto, none, or margins in pixels such as bottom=60,top=2");
    match text {
        "none" => Ok(None),
        "auto" => serde_json::from_value("auto".into()).map(Some).map_err(|_| wrong()),
        sides => {
            let mut margins = serde_json::Map::new();
            for side in sides.split(',') {
                let (name, margin) = side.split_once('=').ok_or_else(wrong)?;
                let margin = match margin.trim().parse::<usize>() {
                    Ok(pixels) => pixels.into(),
                    Err(_) => margin.trim().into(),
                };
                margins.insert(name.trim().to_owned(), margin);
            }
            serde_json::from_value(margins.into()).map(Some).map_err(|_| wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_and_ranges_are_read() {
        let json = |text: &str| serde_json::to_string(&crop(text).unwrap()).unwrap();
        assert_eq!(json("auto"), r#""auto""#);
        assert_eq!(json("none"), "null");
        assert_eq!(json("bottom=60, top=2"), r#"{"top":2,"bottom":60}"#);
        assert_eq!(json("bottom=auto"), r#"{"bottom":"auto"}"#);
        for text in ["", "60", "below=3", "top=x", "bottom=-1"] {
            assert!(crop(text).unwrap_err().starts_with("--crop "), "{text}");
        }
        assert_eq!(range("0:4095"), Some([0.0, 4095.0]));
        assert_eq!(range("-1.5 : 2e3"), Some([-1.5, 2000.0]));
        assert_eq!([range("5"), range("a:b")], [None, None]);
    }
}
