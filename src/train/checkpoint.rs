//! Checkpoints of a training: everything that the next epoch depends on.
//!
//! Each is two files, `epoch-N.safetensors` and `epoch-N.json`; the second names the first by its hash and is written
//! last, so that it alone decides. Both are written under a temporary name, synced and renamed; the last two
//! checkpoints are kept. Whatever is torn, damaged or of another training is passed over with a message.

use super::history::History;
use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor, safetensors as candle_safetensors};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// How many checkpoints stay on disk.
const KEPT: usize = 2;

/// The state of a training at the end of an epoch.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// One row for each epoch done.
    pub(super) history: History,
    /// Steps that the optimiser has taken.
    pub(super) optimizer_steps: u64,
    /// The best epoch so far, counted from 1, and its score.
    pub(super) best: Option<(u64, f64)>,
    /// By name: `parameter/…`, `optimizer/…`, `best/…`.
    pub(super) tensors: IndexMap<String, Tensor>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    fingerprint: String,
    tensors_blake3: String,
    optimizer_steps: u64,
    /// Epoch and score; the score as text, which keeps every bit (JSON readers need not).
    best: Option<(u64, String)>,
    /// As CSV, for the same reason.
    history: String,
}

/// Where a training keeps its checkpoints.
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// Names the training: parameters, seed, inputs.
    fingerprint: String,
}

impl Checkpoints {
    /// In `folder`, for the training that `fingerprint` names.
    pub(super) fn new(folder: &Path, fingerprint: &str) -> Self {
        let fingerprint = blake3::hash(fingerprint.as_bytes()).to_hex().to_string();
        Checkpoints { folder: folder.into(), fingerprint }
    }

    /// Saves a checkpoint, durably, then drops all but the last two.
    ///
    /// # Errors
    /// If the disk does not take it; the ones before stay as they are.
    pub(super) fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        let tensors = safetensors::serialize(&checkpoint.tensors, None)?;
        let header = Header {
            fingerprint: self.fingerprint.clone(),
            tensors_blake3: blake3::hash(&tensors).to_hex().to_string(),
            optimizer_steps: checkpoint.optimizer_steps,
            best: checkpoint.best.map(|(epoch, score)| (epoch, score.to_string())),
            history: checkpoint.history.to_csv()?,
        };
        let epoch = checkpoint.history.epochs();
        fs::create_dir_all(&self.folder)?;
        write_durably(&self.tensors(epoch), &tensors)?;
        write_durably(&self.header(epoch), &serde_json::to_vec_pretty(&header)?)?;
        for old in self.epochs()?.into_iter().skip(KEPT) {
            fs::remove_file(self.header(old))?;
            fs::remove_file(self.tensors(old)).ok();
        }
        Ok(())
    }

    /// The latest checkpoint that is whole and of this training. `warn` hears of every other one.
    ///
    /// # Errors
    /// Only if the folder cannot be listed.
    pub(super) fn load(&self, device: &Device, warn: &mut dyn FnMut(String)) -> Result<Option<Checkpoint>> {
        for epoch in self.epochs()? {
            match self.read(epoch, device) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(error) => warn(format!("checkpoint of epoch {epoch} is passed over: {error:#}")),
            }
        }
        Ok(None)
    }

    fn read(&self, epoch: usize, device: &Device) -> Result<Checkpoint> {
        let header: Header = serde_json::from_slice(&fs::read(self.header(epoch))?).context("its JSON is damaged")?;
        ensure!(header.fingerprint == self.fingerprint, "it is of another training");
        let tensors = fs::read(self.tensors(epoch)).context("its tensors are gone")?;
        ensure!(blake3::hash(&tensors).to_hex().as_str() == header.tensors_blake3, "its tensors are damaged");
        let history = History::from_csv(&header.history)?;
        ensure!(history.epochs() == epoch, "its history has {} epochs", history.epochs());
        let mut tensors: Vec<_> = candle_safetensors::load_buffer(&tensors, device)?.into_iter().collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Checkpoint {
            history,
            optimizer_steps: header.optimizer_steps,
            best: header.best.map(|(epoch, score)| anyhow::Ok((epoch, score.parse()?))).transpose()?,
            tensors: tensors.into_iter().collect(),
        })
    }

    /// Epochs that have a header, latest first.
    fn epochs(&self) -> Result<Vec<usize>> {
        let mut epochs = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(epochs),
            entries => entries.with_context(|| format!("listing {}", self.folder.display()))?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("epoch-")?.strip_suffix(".json"));
            epochs.extend(number.and_then(|number| number.parse::<usize>().ok()));
        }
        epochs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(epochs)
    }

    fn header(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("epoch-{epoch}.json"))
    }

    fn tensors(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("epoch-{epoch}.safetensors"))
    }
}

/// Writes beside `path`, syncs, renames, syncs the folder.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().with_context(|| format!("writing {}", path.display()))
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
        Checkpoint { history, optimizer_steps: 7, best: Some((1, 0.1 + 0.2)), tensors }
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
            (&loaded.history, loaded.optimizer_steps, loaded.best),
            (&expected.history, 7, Some((1, 0.1 + 0.2)))
        );
        let bits = |c: &Checkpoint| {
            c.tensors["parameter/w"].to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(bits(&loaded), bits(&expected));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn none_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(&Checkpoints::new(&folder.path().join("not there"), "mine")), (None, vec![]));
    }

    #[test]
    fn whatever_is_torn_or_damaged_falls_back_to_the_one_before() {
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
        assert!(warnings.len() == 2 && warnings[0].contains("of another training"), "{warnings:?}");
    }

    #[test]
    fn tensors_without_their_header_do_not_count() {
        let (folder, checkpoints) = saved(1..=2);
        fs::remove_file(folder.path().join("epoch-2.json")).unwrap();
        fs::write(folder.path().join("epoch-3.tmp"), b"torn").unwrap();
        assert_eq!(load(&checkpoints), (Some(1), vec![]));
    }
}
