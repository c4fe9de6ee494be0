//! What befalls a cache between runs.

use crate::tally::Harm;
use crate::world::World;
use matssl_run::cache::Digest;
use matssl_run::random::Stream;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Blow {
    Flip,
    Truncate,
    Remove,
}

/// Damages a file below `folder` of the cache; then runs, verifies, and runs again, sometimes without the first.
pub(crate) fn damage(world: &mut World, folder: &str, blow: Blow) {
    world.clean_run();
    let mut files: Vec<PathBuf> =
        world.project.names(&format!("cache/{folder}")).into_iter().map(PathBuf::from).collect();
    // Those that a run would miss: others are for `gc`.
    let needed = world.current_files(folder);
    files.retain(|file| needed.contains(&name_of(file, folder)) && fs::metadata(file).unwrap().len() > 0);
    let file = files[world.stream.below(files.len() as u64) as usize].clone();
    strike(&mut world.stream, &file, blow);
    let name = name_of(&file, folder);
    let keys = if folder == "records" { vec![name] } else { world.named_by(&name) };
    keys.iter().for_each(|key| world.forget_key(key));
    let mut noticed = false;
    if world.stream.chance(0.8) {
        // Some of those that read it have to run.
        world.undo(0.6, &[]);
        let run = world.project.start(&["experiment.toml"]);
        if let Some(ended) = world.end(run, &[Some(0), Some(3)]) {
            noticed = ended.code == Some(3) || !is_damaged(world, &file, &keys);
            if ended.code == Some(3) && !ended.stderr.contains("is damaged in the cache; recompute it with `--force ") {
                world.harm(Harm::Ended, ended.stderr);
            }
        }
        world.look();
    }
    if is_damaged(world, &file, &keys) {
        let found = world.project.run(&["cache", "verify", "--quiet"]);
        if found.code != Some(3) || !found.stdout.contains(file.strip_prefix(world.cache()).unwrap().to_str().unwrap())
        {
            world.harm(Harm::Wrong, format!("`cache verify` did not name {file:?}: {}{}", found.stdout, found.stderr));
        }
        if file.exists() {
            world.harm(Harm::Wrong, format!("`cache verify` left {file:?} where it was"));
        }
    }
    world.done(noticed);
    world.clean_run();
    world.all_is_whole();
}

/// Key or digest by the file's place.
fn name_of(file: &Path, folder: &str) -> String {
    let name = file.file_name().unwrap().to_str().unwrap();
    match folder {
        "records" => name.trim_end_matches(".json").to_owned(),
        _ => file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned() + name,
    }
}

/// Whether a file of records called `keys` is still damaged.
fn is_damaged(world: &World, file: &Path, keys: &[String]) -> bool {
    let is_record = file.parent().is_some_and(|folder| folder.ends_with("records"));
    match fs::read(file) {
        // By the hash that closes it, read without the program.
        Ok(text) if is_record => {
            let Some(end) = text.len().checked_sub(r#","seal":""}"#.len() + 64) else { return true };
            text[end..] != *format!(r#","seal":"{}"}}"#, Digest::of(&text[..end])).as_bytes()
        }
        Ok(bytes) => Digest::of(&bytes).to_string() != name_of(file, "objects"),
        // An object that no record names is not missed.
        Err(_) => !is_record && keys.iter().any(|key| world.cache().join(format!("records/{key}.json")).exists()),
    }
}

/// Damages a file in place, as a disk would.
pub(crate) fn strike(stream: &mut Stream, file: &Path, blow: Blow) {
    if blow == Blow::Remove {
        return fs::remove_file(file).unwrap();
    }
    let mode = fs::metadata(file).unwrap().permissions();
    fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(file).unwrap();
    match blow {
        Blow::Truncate => bytes.truncate(stream.below(bytes.len() as u64) as usize),
        _ => {
            let bit = stream.below(8 * bytes.len() as u64) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, mode).unwrap();
}

/// The times of the cache's and the data's files jump years ahead or back.
pub(crate) fn jump(world: &mut World) {
    world.undo(0.4, &[]);
    let now = SystemTime::now();
    let years = Duration::from_secs(20 * 365 * 24 * 3600);
    let moments = [now - years, now + years, now + Duration::from_secs(3600), SystemTime::UNIX_EPOCH];
    let data = world.data.iter().map(|name| world.project.path(name));
    let files: Vec<PathBuf> = world.project.names("cache").into_iter().map(PathBuf::from).chain(data).collect();
    for file in files {
        if world.stream.chance(0.7) {
            let moment = moments[world.stream.below(4) as usize];
            // What was a guard's to remove may be gone by now.
            let _ = File::open(&file).and_then(|file| file.set_modified(moment));
        }
    }
    world.done(true);
    world.clean_run();
    world.all_is_whole();
}

/// A file changes, and its time does not.
pub(crate) fn change_data(world: &mut World) {
    if world.data.is_empty() {
        return;
    }
    // Known with its times by now.
    world.clean_run();
    let name = world.data[world.stream.below(world.data.len() as u64) as usize].clone();
    let path = world.project.path(&name);
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let text = format!("{:016x}\n", world.stream.next_u64());
    world.write(&name, text.as_bytes());
    File::options().append(true).open(&path).and_then(|file| file.set_modified(before)).unwrap();
    world.be_calm();
    world.done(true);
    world.clean_run();
}

/// Damages what makes runs quick and explanations good, and what nobody may miss: indexes of files, last keys, logs.
pub(crate) fn damage_memory(world: &mut World, blow: Blow) {
    world.clean_run();
    world.undo(0.3, &[]);
    for folder in ["stat", "last", "runs"] {
        let files = world.project.names(&format!("cache/{folder}")).into_iter().map(PathBuf::from);
        for file in files.filter(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0)).collect::<Vec<_>>() {
            strike(&mut world.stream, &file, blow);
        }
    }
    for verb in [&["status"][..], &["cache", "ls"], &["cache", "gc"], &["explain", "experiment.toml", "s0"]] {
        let done = world.project.run(verb);
        if done.code != Some(0) {
            world.harm(Harm::Ended, format!("{verb:?}: {:?}: {}{}", done.code, done.stdout, done.stderr));
        }
    }
    world.done(true);
    world.clean_run();
}
