//! From the files that were found to their results.

use super::inputs::Input;
use super::settings::Settings;
use crate::data::{DataError, ImageFile};
use crate::machine::Room;
use anyhow::Result;
use matssl_predict::apply::{Apply, Item, Opened, Outcome};
use matssl_predict::engine::Ensemble;
use matssl_predict::output::ImageFiles;
use matssl_predict::results::ResultsFolder;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Raised when the same image, models and options give other files.
const VERSION: u32 = 1;

/// The images of a run.
pub(super) struct Work<'a> {
    ensemble: &'a Ensemble,
    settings: &'a Settings,
    folder: &'a ResultsFolder,
    inputs: &'a [Input],
    items: Vec<Item>,
    force: bool,
    room: Option<Room>,
    /// What each image's results depend on, once it was opened.
    keys: Mutex<Vec<Option<String>>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        ensemble: &'a Ensemble,
        settings: &'a Settings,
        folder: &'a ResultsFolder,
        inputs: &'a [Input],
        force: bool,
        room: Option<Room>,
    ) -> Self {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let stems = ImageFiles::stems(&names);
        let item = |(input, stem): (&Input, String)| Item {
            image: input.name.clone(),
            shown: input.path.display().to_string(),
            files: ImageFiles::new(&stem, &settings.outputs, ensemble.models().len()),
        };
        let items = inputs.iter().zip(stems).map(item).collect();
        Work { ensemble, settings, folder, inputs, items, force, room, keys: Mutex::new(vec![None; inputs.len()]) }
    }

    /// Predicts what is not known; `told` hears of each image, and `rows` of the rows that are done of the one in
    /// work, and their number.
    pub(super) fn all(
        &self,
        told: &(dyn Fn(usize, &Outcome) -> Result<()> + Sync),
        rows: &(dyn Fn(usize, usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let unfinished = self.folder.work();
        let apply = Apply {
            ensemble: self.ensemble,
            predict: &self.settings.predict,
            outputs: &self.settings.outputs,
            root: self.folder.root(),
            work: &unfinished,
            room: self.room,
            rows,
            stop,
        };
        let all = self.items.iter().enumerate();
        let owners: HashMap<&str, usize> =
            all.flat_map(|(index, item)| item.files.all().map(move |path| (path, index))).collect();
        let keep = |index: usize, outcome: &Outcome| {
            let item = &self.items[index];
            let new = matches!(outcome, Outcome::Done { .. }).then_some(&item.files);
            let of_other = |path: &str| owners.get(path).is_some_and(|&owner| owner != index);
            self.folder.remove_earlier(&item.image, new, &of_other)?;
            if let (Outcome::Done { result, known: false }, Some(key)) = (outcome, self.key(index)) {
                self.folder.keep(&key, result)?;
            }
            told(index, outcome)
        };
        apply.all(&self.items, &|index| self.open(index), &keep).map(drop)
    }

    fn key(&self, index: usize) -> Option<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)[index].clone()
    }

    fn open(&self, index: usize) -> Result<Opened> {
        let Input { path, name, problem } = &self.inputs[index];
        if let Some((problem, cure)) = problem {
            return Err(bad(path, problem, cure).into());
        }
        let side = ImageFile::side_file(path).map(|side| content(&side)).transpose()?;
        let key = self.settings.key(&[Some(content(path)?), side], name, self.ensemble);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(key.clone());
        let files = &self.items[index].files;
        if !self.force
            && let Some(result) = self.folder.known(&files.mask, &key).filter(|known| known.files == *files)
        {
            return Ok(Opened::Known(Box::new(result)));
        }
        let file = ImageFile::open(path, &self.settings.read_as)?;
        let pixel_size = file.pixel_size();
        Ok(Opened::Image { rows: Box::new(file), pixel_size })
    }
}

fn bad(path: &Path, problem: &str, cure: &str) -> DataError {
    DataError::Bad { path: path.to_path_buf(), problem: problem.to_owned(), cure: cure.to_owned(), shared: None }
}

/// blake3 of a file.
fn content(path: &Path) -> Result<String, DataError> {
    let mut hasher = blake3::Hasher::new();
    let bad = |problem: &str, cure: &str| bad(path, problem, cure);
    match hasher.update_mmap(path).map(drop) {
        Ok(()) if hasher.count() == 0 => Err(bad("is empty (0 bytes)", "copy it again")),
        Ok(()) => Ok(hasher.finalize().to_hex().to_string()),
        Err(_) if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) && !path.exists() => {
            Err(bad("is a link to a file that is not there", "put the file back, or remove the link"))
        }
        Err(error) => Err(bad(&format!("cannot be read ({error})"), "check its permissions and its disk")),
    }
}

impl Settings {
    /// What is said of them in `predict.json` and on the page.
    pub(super) fn json(&self) -> Value {
        json!({
            "tile": self.predict.tile,
            "overlap": self.predict.overlap,
            "tta": self.predict.tta,
            "format": self.outputs.format,
            "probabilities": self.outputs.probabilities,
            "specimen": self.specimen.as_ref().map(regex::Regex::as_str),
            "read_as": self.read_as,
        })
    }

    /// Hash of all that the results of the image `name` depend on; `contents` are those of the image and of its side file.
    fn key(&self, contents: &[Option<String>], name: &str, ensemble: &Ensemble) -> String {
        let models: Vec<&str> = ensemble.models().iter().map(|model| model.digest.as_str()).collect();
        let all = json!({
            "version": VERSION,
            "program": env!("CARGO_PKG_VERSION"),
            "image": contents,
            "name": name,
            "models": models,
            "tile": self.predict.tile,
            "overlap": self.predict.overlap,
            "tta": self.predict.tta,
            "outputs": self.outputs,
            "read_as": self.read_as,
        });
        blake3::hash(all.to_string().as_bytes()).to_hex().to_string()
    }
}
