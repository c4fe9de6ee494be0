//! `.pth` files of PyTorch's `torch.save`, in both layouts: the zip archive (since 1.6) and the legacy one before it
//! (`torch/serialization.py`, `_legacy_save`): pickles of a magic number, the protocol's version, facts about the
//! machine, the object, and the keys of its storages; then the storages.

use super::pickle::{Id, Object, Pickle, Result};
use super::storage::{StorageRef, Storages, View};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// How a zip archive begins.
const ZIP: &[u8] = b"PK\x03\x04";
/// 0x1950a86a20f9469cfc6c, the first thing pickled into a legacy file.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The magic number ends within so many bytes.
const MAGIC_WITHIN: usize = 32;
/// Version of the legacy layout.
const PROTOCOL: usize = 1001;
/// The pickle of a zip archive is read up to this size.
const MAX_PICKLE: u64 = 1 << 28;
/// Where the state dict may lie in the file of a whole training.
const WITHIN: [&str; 2] = ["state_dict", "model"];
/// The most dimensions, as in PyTorch.
const MAX_RANK: usize = 64;
/// Tensors may take this, and [`MEMORY_FACTOR`] times the file's size: some share storage, or repeat it.
const FREE_MEMORY: usize = 1 << 26;
const MEMORY_FACTOR: usize = 8;

/// Whether `bytes` begin as a file of `torch.save`.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(MAGIC_WITHIN)];
    bytes.starts_with(ZIP) || start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// The tensors of a state dict, by name.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    if bytes.starts_with(ZIP) { read_zip(bytes) } else { read_legacy(bytes) }
}

fn read_zip(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    // PyTorch names the folder inside after the file.
    let prefix = archive.file_names().flatten().find_map(|name| Some(name.strip_suffix("data.pkl")?.to_owned()));
    let prefix = prefix.ok_or("a zip archive without data.pkl")?;
    let mut entry = |name: &str| -> Result<Vec<u8>> {
        let entry = archive.by_name(&format!("{prefix}{name}")).map_err(|error| format!("{name}: {error}"))?;
        let mut bytes = Vec::new();
        entry.take(MAX_PICKLE).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
        Ok(bytes)
    };
    // Files of before 2.1 do not say, and are little-endian.
    if entry("byteorder").is_ok_and(|order| order != b"little") {
        return Err("it was written on a big-endian machine".into());
    }
    let pickled = entry("data.pkl")?;
    let pickle = Pickle::read(&pickled)?;
    load(&pickle, &mut Storages::Zip(Box::new(archive), prefix), bytes.len())
}

fn read_legacy(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    if !is_one(bytes) {
        return Err("neither a zip archive nor a legacy file of torch.save".into());
    }
    let mut rest = bytes;
    let mut next = || -> Result<Pickle<'_>> {
        let pickle = Pickle::read(rest)?;
        rest = &rest[pickle.length..];
        Ok(pickle)
    };
    let (magic, protocol, machine, pickle) = (next()?, next()?, next()?, next()?);
    if magic.get(magic.root()) != &Object::Long(MAGIC) || protocol.count(protocol.root()) != Some(PROTOCOL) {
        return Err("a legacy file of an unknown version".into());
    }
    if let Some(little) = entry(&machine, machine.root(), "little_endian")
        && machine.get(little) != &Object::Bool(true)
    {
        return Err("it was written on a big-endian machine".into());
    }
    let mut storages = Storages::legacy(&pickle, rest)?;
    load(&pickle, &mut storages, bytes.len())
}

/// The value of `key` in the dictionary `dict`.
fn entry(pickle: &Pickle<'_>, dict: Id, key: &str) -> Option<Id> {
    let Object::Dict(pairs) = pickle.get(dict) else { return None };
    pairs.iter().rev().find_map(|&(name, value)| (pickle.text(name) == Some(key)).then_some(value))
}

fn load(pickle: &Pickle<'_>, storages: &mut Storages<'_>, file_size: usize) -> Result<BTreeMap<String, Tensor>> {
    let root = pickle.root();
    let inside = WITHIN.into_iter().filter_map(|key| entry(pickle, root, key));
    let mut views = BTreeMap::new();
    for dict in inside.chain([root]) {
        views = self::views(pickle, dict)?;
        if !views.is_empty() {
            break;
        }
    }
    if views.is_empty() {
        return Err("it holds no tensors, at its top or under `state_dict` or `model`".into());
    }
    let wanted = views.values().try_fold(0usize, |sum, view| sum.checked_add(view.memory()?));
    let allowed = file_size.saturating_mul(MEMORY_FACTOR).saturating_add(FREE_MEMORY);
    if wanted.is_none_or(|wanted| wanted > allowed) {
        return Err(format!("its tensors claim more memory than a file of {file_size} bytes can mean"));
    }
    // By storage, so that each is read once and forgotten before the next.
    let mut by_storage: BTreeMap<&str, Vec<(&str, View<'_>)>> = BTreeMap::new();
    for (name, view) in views {
        by_storage.entry(view.storage.key).or_default().push((name, view));
    }
    let mut tensors = BTreeMap::new();
    for views in by_storage.into_values() {
        let Some((_, View { storage, .. })) = views.first() else { continue };
        let (storage, bytes) = (*storage, storages.bytes(storage)?);
        for (name, view) in views {
            if !view.storage.same(&storage) {
                return Err(format!("{name}: storage {} has two types", storage.key));
            }
            tensors.insert(name.to_owned(), view.tensor(&bytes).map_err(|error| format!("{name}: {error}"))?);
        }
    }
    Ok(tensors)
}

/// The tensors of the dictionary `dict`; its other entries, such as an epoch, are passed over.
fn views<'b>(pickle: &Pickle<'b>, dict: Id) -> Result<BTreeMap<&'b str, View<'b>>> {
    let Object::Dict(pairs) = pickle.get(dict) else { return Ok(BTreeMap::new()) };
    let mut views = BTreeMap::new();
    for &(name, value) in pairs {
        if let Some(name) = pickle.text(name)
            && let Some(view) = view(pickle, value).map_err(|error| format!("{name}: {error}"))?
        {
            views.insert(name, view);
        }
    }
    Ok(views)
}

/// The tensor that `value` stands for; none if it is no tensor.
fn view<'b>(pickle: &Pickle<'b>, mut value: Id) -> Result<Option<View<'b>>> {
    // A parameter holds a tensor, which may be of a class of its own: no more layers than that.
    for _ in 0..3 {
        let Object::Call(callee, arguments) = pickle.get(value) else { return Ok(None) };
        let (Object::Global(module, function), Some(arguments)) = (pickle.get(*callee), pickle.tuple(*arguments))
        else {
            return Ok(None);
        };
        match (*module, *function, arguments) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", &[storage, offset, size, stride, ..]) => {
                return read_view(pickle, [storage, offset, size, stride]).map(Some);
            }
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state", &[tensor, ..]) => value = tensor,
            ("torch._tensor", "_rebuild_from_type_v2", &[rebuild, _, arguments, ..]) => {
                // The call is there in parts.
                let (Object::Global("torch._utils", "_rebuild_tensor_v2"), Some(&[storage, offset, size, stride, ..])) =
                    (pickle.get(rebuild), pickle.tuple(arguments))
                else {
                    return Err("a tensor of a class that is not read".into());
                };
                return read_view(pickle, [storage, offset, size, stride]).map(Some);
            }
            (module, function, _) if module.starts_with("torch") && function.starts_with("_rebuild") => {
                return Err(format!("{module}.{function} makes tensors that are not read"));
            }
            _ => return Ok(None),
        }
    }
    Err("a tensor inside too many parameters".into())
}

fn read_view<'b>(pickle: &Pickle<'b>, [storage, offset, size, stride]: [Id; 4]) -> Result<View<'b>> {
    let Object::Persistent(storage) = pickle.get(storage) else { return Err("a tensor without storage".into()) };
    let storage = StorageRef::read(pickle, *storage)?.ok_or("a tensor without storage")?;
    let counts = |id: Id| pickle.tuple(id)?.iter().map(|&id| pickle.count(id)).collect::<Option<Vec<usize>>>();
    match (pickle.count(offset), counts(size), counts(stride)) {
        (Some(offset), Some(size), Some(stride)) if size.len() == stride.len() && size.len() <= MAX_RANK => {
            Ok(View { storage, offset, size, stride })
        }
        _ => Err("a tensor without offset, size or stride".into()),
    }
}

#[cfg(test)]
mod tests;
