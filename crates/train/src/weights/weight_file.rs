//! A weight file of either format, known by its bytes: what it lists, and tensors of it.

use super::config::CONFIG;
use super::foreign;
use super::pickle::Result;
use super::pth;
use super::storage::{Storages, View};
use super::stored::{Group, Place, Stored};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::{SafeTensorError, SafeTensors};
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Tensors may take this, and [`MEMORY_FACTOR`] times the file's size: some share storage, or repeat it.
const FREE_MEMORY: usize = 1 << 26;
const MEMORY_FACTOR: usize = 8;
/// Bytes before the header of a safetensors file: its length.
const LENGTH: usize = 8;
/// The longest header that the library reads.
const MAX_HEADER: u64 = 100_000_000;

/// What a file lists. Numbers are read when they are asked for.
pub(super) struct WeightFile<'b> {
    /// Its dictionaries that hold tensors, outer ones first.
    pub(super) groups: Vec<Group>,
    /// The class of a pickled `torch.nn.Module`, if it holds one.
    pub(super) module: Option<String>,
    /// The configuration of the network, in a file that this program wrote.
    pub(super) config: Option<String>,
    /// The numbers of its tensors.
    pub(super) numbers: Numbers<'b>,
}

/// The numbers of a file's tensors.
pub(super) struct Numbers<'b> {
    source: Source<'b>,
    /// Of the file, in bytes.
    size: usize,
}

enum Source<'b> {
    Pth(Storages<'b>),
    Safetensors(SafeTensors<'b>),
}

impl<'b> WeightFile<'b> {
    /// Reads the lists of `bytes`, a whole file.
    ///
    /// # Errors
    /// What is wrong with it, with the cure.
    pub(super) fn parse(bytes: &'b [u8]) -> Result<Self> {
        if pth::is_one(bytes) {
            let pth = pth::read(bytes).map_err(foreign::with_cure)?;
            if let (true, Some(class)) = (pth.groups.is_empty(), &pth.module) {
                return Err(module_text(class));
            }
            if pth.groups.is_empty() {
                return Err("it holds no tensors by name, at its top or in a dictionary inside".into());
            }
            let pth::Pth { groups, storages, module } = pth;
            let numbers = Numbers { source: Source::Pth(storages), size: bytes.len() };
            return Ok(WeightFile { groups, module, config: None, numbers });
        }
        if !looks_like_safetensors(bytes) {
            return Err(foreign::reason(bytes).unwrap_or_else(|| foreign::unknown(bytes)));
        }
        check_length(bytes).map_err(foreign::with_cure)?;
        let damaged = |error: SafeTensorError| foreign::with_cure(format!("its header is damaged ({error})"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let config = header.metadata().as_ref().and_then(|metadata| metadata.get(CONFIG).cloned());
        let stored = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
            (name.to_owned(), Stored { shape: view.shape().to_vec(), place: Place::Safetensors })
        };
        let tensors: BTreeMap<String, Stored> = file.iter().map(stored).collect();
        if tensors.is_empty() {
            return Err("it holds no tensors".into());
        }
        let groups = vec![Group { key: String::new(), tensors }];
        let numbers = Numbers { source: Source::Safetensors(file), size: bytes.len() };
        Ok(WeightFile { groups, module: None, config, numbers })
    }
}

impl Numbers<'_> {
    /// Reads the tensors `wanted` (name, where it lies) and gives each to `take`, storage by storage.
    ///
    /// # Errors
    /// What is wrong with the file; what `take` returns.
    pub(super) fn read<'t>(
        &mut self,
        wanted: impl IntoIterator<Item = (&'t str, &'t Stored)>,
        mut take: impl FnMut(&'t str, Tensor) -> Result<()>,
    ) -> Result<()> {
        let allowed = self.size.saturating_mul(MEMORY_FACTOR).saturating_add(FREE_MEMORY);
        let too_much = || format!("its tensors claim more memory than a file of {} bytes can mean", self.size);
        // By storage, so that each is read once and forgotten before the next.
        let mut by_storage: BTreeMap<&str, Vec<(&'t str, &View)>> = BTreeMap::new();
        let mut claimed = 0usize;
        for (name, stored) in wanted {
            match (&stored.place, &mut self.source) {
                (Place::View(view), _) => {
                    let sum = view.memory().and_then(|memory| claimed.checked_add(memory));
                    claimed = sum.filter(|sum| *sum <= allowed).ok_or_else(too_much)?;
                    by_storage.entry(&view.storage.key).or_default().push((name, view));
                }
                (Place::Safetensors, Source::Safetensors(file)) => {
                    let view = file.tensor(name).map_err(|error| format!("{name}: {error}"))?;
                    let tensor = view.load(&Device::Cpu).map_err(|error| format!("{name}: {error}"))?;
                    take(name, tensor)?;
                }
                (Place::Unreadable(reason), _) => return Err(format!("{name}: {reason}")),
                (Place::Safetensors, Source::Pth(_)) => return Err(format!("{name}: it is nowhere in the file")),
            }
        }
        let Source::Pth(storages) = &mut self.source else { return Ok(()) };
        for views in by_storage.into_values() {
            let Some((_, View { storage, .. })) = views.first() else { continue };
            if storage.bytes()? > allowed {
                return Err(too_much());
            }
            let bytes = storages.bytes(storage).map_err(foreign::with_cure)?;
            for (name, view) in &views {
                if !view.storage.same(storage) {
                    return Err(format!("{name}: storage {} has two types", storage.key));
                }
                take(name, view.tensor(&bytes).map_err(|error| format!("{name}: {error}"))?)?;
            }
        }
        Ok(())
    }
}

/// What to do with a pickled module of `class`.
pub(super) fn module_text(class: &str) -> String {
    format!(
        "it holds a pickled module ({class}), not a state_dict: to read it, the code of its class would have to run. Save \
         its weights alone, in Python: `torch.save(model.state_dict(), \"weights.pth\")`"
    )
}

/// Whether `bytes` begin with the length of a header, and with the header.
fn looks_like_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else { return false };
    (2..=MAX_HEADER).contains(&u64::from_le_bytes(*length)) && rest.first() == Some(&b'{')
}

/// Checks that a safetensors file is as long as its header says.
///
/// # Errors
/// Both lengths.
fn check_length(bytes: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Entry {
        /// Absent from the metadata.
        #[serde(default)]
        data_offsets: serde_json::Value,
    }
    let has = bytes.len() as u64;
    let (length, rest) = bytes.split_first_chunk::<LENGTH>().ok_or("the file is cut off")?;
    let length = u64::from_le_bytes(*length);
    let start = length.saturating_add(LENGTH as u64);
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let header = header.ok_or_else(|| format!("the file is cut off: it has {has} bytes of at least {start}"))?;
    let entries: BTreeMap<String, Entry> =
        serde_json::from_slice(header).map_err(|error| format!("its header is damaged ({error})"))?;
    let end = |entry: &Entry| entry.data_offsets.get(1).and_then(serde_json::Value::as_u64);
    let whole = start.saturating_add(entries.values().filter_map(end).max().unwrap_or(0));
    match whole.cmp(&has) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(format!("the file is cut off: it has {has} bytes of {whole}")),
        Ordering::Less => Err(format!("the file is damaged: it has {has} bytes where {whole} are expected")),
    }
}
