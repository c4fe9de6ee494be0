//! Checkpoints of a training: the complete state before the next step.
//!
//! Each is two files, `epoch-N.safetensors` and `epoch-N.json` (inside an epoch `epoch-N-step-M`). The second names the first by
//! its hash and is written last: the checkpoint exists once it exists. Both are written under a temporary name, synced
//! and renamed. The last two checkpoints are kept. Those that are incomplete, damaged or of another training are skipped with a
//! message.

use super::epoch_sums::EpochSums;
use super::history::History;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor, safetensors as candle_safetensors};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Number of checkpoints kept on disk.
const KEPT: usize = 2;

/// The state of a training between two steps.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// One row for each finished epoch.
    pub(super) history: History,
    /// Sums of the current epoch.
    pub(super) running: EpochSums,
    /// Number of optimiser steps.
    pub(super) optimizer_steps: u64,
    /// The best epoch so far, counted from 1, and its score.
    pub(super) best: Option<(u64, f64)>,
    /// By name: `parameter/…`, `optimizer/…`, `average/…`, `best/…`.
    pub(super) tensors: IndexMap<String, Tensor>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    fingerprint: String,
    tensors_blake3: String,
    optimizer_steps: u64,
    /// Epoch and score; the score as text, which keeps every bit (JSON numbers may not).
    best: Option<(u64, String)>,
    /// As CSV, for the same reason.
    history: String,
    /// Sums of the current epoch: losses, gradient norms, each measure. As text for the same reason.
    sums: Vec<String>,
}

/// The folder of a training's checkpoints.
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// Identifies the training: parameters, seed, inputs.
    fingerprint: String,
}

impl Checkpoints {
    /// Checkpoints in `folder` of the training that `fingerprint` identifies.
    pub(super) fn new(folder: &Path, fingerprint: &str) -> Self {
        let fingerprint = blake3::hash(fingerprint.as_bytes()).to_hex().to_string();
        Checkpoints { folder: folder.into(), fingerprint }
    }

    /// Saves a checkpoint durably, then removes all but the last two.
    ///
    /// # Errors
    /// If it cannot be written; earlier checkpoints stay.
    pub(super) fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        let tensors = safetensors::serialize(&checkpoint.tensors, None)?;
        let running = &checkpoint.running;
        let sums = [running.losses, running.norms].into_iter().chain(running.measures.iter().copied());
        let header = Header {
            fingerprint: self.fingerprint.clone(),
            tensors_blake3: blake3::hash(&tensors).to_hex().to_string(),
            optimizer_steps: checkpoint.optimizer_steps,
            best: checkpoint.best.map(|(epoch, score)| (epoch, score.to_string())),
            history: checkpoint.history.to_csv()?,
            sums: sums.map(|sum| sum.to_string()).collect(),
        };
        let at = (checkpoint.history.epochs(), running.steps);
        fs::create_dir_all(&self.folder)?;
        self.write_durably(&tensors_name(at), &tensors)?;
        self.write_durably(&header_name(at), &serde_json::to_vec_pretty(&header)?)?;
        for old in self.saved()?.into_iter().skip(KEPT) {
            // Another process may have removed it in between.
            for name in [header_name(old), tensors_name(old)] {
                match fs::remove_file(self.folder.join(name)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The latest complete checkpoint of this training. `warn` receives a message for each skipped one.
    ///
    /// # Errors
    /// Only if the folder cannot be listed.
    pub(super) fn load(&self, device: &Device, warn: &mut dyn FnMut(String)) -> Result<Option<Checkpoint>> {
        for at in self.saved()? {
            match self.read(at, device) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(error) => warn(format!("checkpoint {} is skipped: {error:#}", header_name(at))),
            }
        }
        Ok(None)
    }

    fn read(&self, at: Progress, device: &Device) -> Result<Checkpoint> {
        let file = |name: String| fs::read(self.folder.join(name));
        let header: Header = serde_json::from_slice(&file(header_name(at))?).context("its JSON is damaged")?;
        ensure!(header.fingerprint == self.fingerprint, "it belongs to another training");
        let tensors = file(tensors_name(at)).context("its tensors are missing")?;
        ensure!(blake3::hash(&tensors).to_hex().as_str() == header.tensors_blake3, "its tensors are damaged");
        let history = History::from_csv(&header.history)?;
        ensure!(history.epochs() == at.0, "its history has {} epochs", history.epochs());
        let sums = header.sums.iter().map(|sum| sum.parse::<f64>()).collect::<Result<Vec<_>, _>>()?;
        let [losses, norms, measures @ ..] = sums.as_slice() else { bail!("its sums are missing") };
        let running = EpochSums { steps: at.1, losses: *losses, norms: *norms, measures: measures.to_vec() };
        let mut tensors: Vec<_> = candle_safetensors::load_buffer(&tensors, device)?.into_iter().collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Checkpoint {
            history,
            running,
            optimizer_steps: header.optimizer_steps,
            best: header.best.map(|(epoch, score)| anyhow::Ok((epoch, score.parse()?))).transpose()?,
            tensors: tensors.into_iter().collect(),
        })
    }

    /// Checkpoints with a header, latest first.
    fn saved(&self) -> Result<Vec<Progress>> {
        let mut saved = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(saved),
            entries => entries.with_context(|| format!("listing {}", self.folder.display()))?,
        };
        for entry in entries {
            let name = entry?.file_name();
            saved.extend(name.to_str().and_then(progress));
        }
        saved.sort_unstable_by(|a, b| b.cmp(a));
        Ok(saved)
    }

    /// Writes under a temporary name, syncs, renames, syncs the folder.
    fn write_durably(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let write = || {
            // The usual permissions; the default of temporary files is private.
            let permissions = fs::Permissions::from_mode(0o666);
            let mut file =
                tempfile::Builder::new().suffix(".tmp").permissions(permissions).tempfile_in(&self.folder)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(self.folder.join(name)).map_err(|error| error.error)?;
            File::open(&self.folder)?.sync_all()
        };
        write().with_context(|| format!("writing {}", self.folder.join(name).display()))
    }
}

/// Finished epochs, and steps taken in the next one.
type Progress = (usize, u64);

fn header_name((epochs, steps): Progress) -> String {
    if steps == 0 { format!("epoch-{epochs}.json") } else { format!("epoch-{epochs}-step-{steps}.json") }
}

fn tensors_name(at: Progress) -> String {
    header_name(at).replace(".json", ".safetensors")
}

/// The progress in the name of a header.
fn progress(name: &str) -> Option<Progress> {
    let text = name.strip_prefix("epoch-")?.strip_suffix(".json")?;
    let (epochs, steps) = text.split_once("-step-").unwrap_or((text, "0"));
    Some((epochs.parse().ok()?, steps.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(epochs: usize) -> Checkpoint {
        let mut history = History::new(vec!["loss".into()]);
        for epoch in 0..epochs {
            history.push(vec![Some(1.0 / (epoch as f64 + 3.0))]).unwrap();
        }
        let tensor = Tensor::new(&[epochs as f32, f32::MIN_POSITIVE / 2.0, -0.0], &Device::Cpu).unwrap();
        let tensors = IndexMap::from([("parameter/w".to_owned(), tensor)]);
        let running = EpochSums { steps: 0, losses: 0.1 + 0.2, norms: 1e-300, measures: vec![-0.0] };
        Checkpoint { history, running, optimizer_steps: 7, best: Some((1, 0.1 + 0.2)), tensors }
    }

    fn saved(epochs: std::ops::RangeInclusive<usize>) -> (tempfile::TempDir, Checkpoints) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), "mine");
        epochs.for_each(|epoch| checkpoints.save(&checkpoint(epoch)).unwrap());
        (folder, checkpoints)
    }

    fn load(checkpoints: &Checkpoints) -> (Option<usize>, Vec<String>) {
        let mut warnings = Vec::new();
        let loaded = checkpoints.load(&Device::Cpu, &mut |warning| warnings.push(warning)).unwrap();
        (loaded.map(|checkpoint| checkpoint.history.epochs()), warnings)
    }

    #[test]
    fn the_last_is_loaded_bit_for_bit_and_two_are_kept() {
        let (folder, checkpoints) = saved(1..=4);
        let loaded = checkpoints.load(&Device::Cpu, &mut |warning| panic!("{warning}")).unwrap().unwrap();
        let expected = checkpoint(4);
        assert_eq!(
            (&loaded.history, &loaded.running, loaded.optimizer_steps, loaded.best),
            (&expected.history, &expected.running, 7, Some((1, 0.1 + 0.2)))
        );
        let bits = |c: &Checkpoint| {
            c.tensors["parameter/w"].to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(bits(&loaded), bits(&expected));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_checkpoint_inside_an_epoch_is_later_than_its_beginning_and_earlier_than_its_end() {
        let (folder, checkpoints) = saved(9..=10);
        for steps in [2, 11] {
            let inside = checkpoint(10);
            checkpoints.save(&Checkpoint { running: EpochSums { steps, ..inside.running }, ..inside }).unwrap();
        }
        assert_eq!(checkpoints.saved().unwrap(), [(10, 11), (10, 2)]);
        assert!(folder.path().join("epoch-10-step-11.safetensors").exists());
        checkpoints.save(&checkpoint(11)).unwrap();
        assert_eq!(checkpoints.saved().unwrap(), [(11, 0), (10, 11)]);
    }

    #[test]
    fn a_missing_folder_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(&Checkpoints::new(&folder.path().join("not there"), "mine")), (None, vec![]));
    }

    #[test]
    fn an_incomplete_or_damaged_checkpoint_is_skipped_for_the_previous_one() {
        let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage, &str); 4] = [
            ("epoch-3.safetensors", flip, "its tensors are damaged"),
            ("epoch-3.safetensors", cut, "its tensors are damaged"),
            ("epoch-3.json", cut, "its JSON is damaged"),
            ("epoch-3.json", Vec::clear, "its JSON is damaged"),
        ];
        for (file, damage, expected) in damages {
            let (folder, checkpoints) = saved(1..=3);
            let path = folder.path().join(file);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            let (epochs, warnings) = load(&checkpoints);
            assert_eq!(epochs, Some(2), "{file}");
            assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_training_is_not_taken() {
        let (folder, _) = saved(1..=2);
        let (epochs, warnings) = load(&Checkpoints::new(folder.path(), "another"));
        assert_eq!(epochs, None);
        assert!(warnings.len() == 2 && warnings[0].contains("belongs to another training"), "{warnings:?}");
    }

    #[test]
    fn tensors_without_their_header_do_not_count() {
        let (folder, checkpoints) = saved(1..=2);
        fs::remove_file(folder.path().join("epoch-2.json")).unwrap();
        fs::write(folder.path().join("epoch-3.tmp"), b"torn").unwrap();
        assert_eq!(load(&checkpoints), (Some(1), vec![]));
    }
}
