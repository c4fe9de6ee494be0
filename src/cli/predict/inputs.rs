//! The images that the arguments mean.

use super::super::outcome::Stop;
use super::super::wording::plural;
use crate::data::format::{is_hidden, is_image_name};
use globset::{GlobBuilder, GlobMatcher};
use matssl_predict::results::ResultsFolder;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// An image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// Its path below the folder that all arguments have in common, with `/`.
    pub(super) name: String,
    /// As it was given.
    pub(super) path: PathBuf,
    /// Why it cannot be predicted, and the cure, if that is known.
    pub(super) problem: Option<(String, &'static str)>,
}

/// Files that an argument means.
struct Found {
    /// The folder below which they are named, as it was given and without links.
    given: PathBuf,
    base: PathBuf,
    files: Files,
}

/// Files in `base`.
#[derive(Default)]
struct Files {
    images: Vec<PathBuf>,
    /// Number of other files.
    others: usize,
    /// Folders that cannot be listed, and why.
    unreadable: Vec<(PathBuf, io::Error)>,
}

/// The images of `arguments`, sorted by name, each once, and what may be images but cannot be used.
///
/// # Errors
/// Arguments that mean nothing; all at once.
pub(super) fn find(arguments: &[PathBuf], recursive: bool) -> Result<Vec<Input>, Stop> {
    let (mut found, mut stops) = (Vec::new(), Vec::new());
    for argument in arguments {
        match expand(argument, recursive) {
            Ok(files) => found.push(files),
            Err(stop) => stops.push(stop),
        }
    }
    if let Some(stop) = Stop::all(stops) {
        return Err(stop);
    }
    let root = common(found.iter().map(|found| found.base.as_path()));
    let mut inputs = BTreeMap::new();
    for Found { given, base, files } in found {
        let images = files.images.into_iter().map(|path| (path, None));
        let cannot = |error: io::Error| Some((format!("cannot be listed ({error})"), "check its permissions"));
        let unreadable = files.unreadable.into_iter().map(|(path, error)| (path, cannot(error)));
        for (path, problem) in images.chain(unreadable) {
            let relative = path.strip_prefix(&root).unwrap_or(&path);
            let not_text = || ("has a name that is not UTF-8".to_owned(), "rename it");
            let problem = problem.or_else(|| relative.to_str().is_none().then(not_text));
            let name = relative.to_string_lossy().into_owned();
            let shown = path.strip_prefix(&base).map_or_else(|_| path.clone(), |inside| given.join(inside));
            inputs.insert((name.clone(), path), Input { name, path: shown, problem });
        }
    }
    Ok(inputs.into_values().collect())
}

fn expand(argument: &Path, recursive: bool) -> Result<Found, Stop> {
    let shown = argument.display();
    if argument.is_dir() {
        let base = real(argument)?;
        let mut files = Files::default();
        files.walk(&base, if recursive { usize::MAX } else { 1 });
        if let Some((_, error)) = files.unreadable.iter().find(|(folder, _)| *folder == base) {
            return Err(unreadable(argument, error));
        }
        if files.is_empty() {
            let elsewhere = files.others;
            let inside =
                if recursive || !has_images_below(&base) { "" } else { ", but its folders hold some: add --recursive" };
            let other = if elsewhere > 0 {
                format!(" ({} in other formats)", plural(elsewhere, "file"))
            } else {
                String::new()
            };
            let message = format!("{shown}: holds no images{other}{inside}; expected png, tif, jpg or bmp files");
            return Err(Stop::not_there(message));
        }
        return Ok(Found { given: argument.to_owned(), base, files });
    }
    // A link to nothing is an image that cannot be read.
    if fs::symlink_metadata(argument).is_ok() {
        let folder = argument.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base = real(folder)?;
        let images = vec![base.join(argument.file_name().unwrap_or_default())];
        let given = argument.parent().unwrap_or(folder).to_owned();
        return Ok(Found { given, base, files: Files { images, ..Files::default() } });
    }
    match argument.to_str().filter(|text| is_pattern(text)) {
        Some(pattern) => expand_pattern(pattern),
        None => Err(Stop::not_there(format!("{shown}: not there; check the path"))),
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The image files that match `pattern`: `*` stops at folders, `**` goes through them.
fn expand_pattern(pattern: &str) -> Result<Found, Stop> {
    let none = |why: &str| Stop::not_there(format!("{pattern}: {why}"));
    let parts: Vec<&str> = pattern.split('/').collect();
    let fixed = parts.iter().take_while(|part| !is_pattern(part)).count().min(parts.len() - 1);
    let folder = match parts[..fixed].join("/") {
        folder if folder.is_empty() && pattern.starts_with('/') => "/".to_owned(),
        folder if folder.is_empty() => ".".to_owned(),
        folder => folder,
    };
    let rest = parts[fixed..].join("/");
    let glob = GlobBuilder::new(&rest).literal_separator(true).build();
    let matcher: GlobMatcher =
        glob.map_err(|error| Stop::bad_request(format!("{pattern}: {error}; correct the pattern")))?.compile_matcher();
    if !Path::new(&folder).is_dir() {
        return Err(none(&format!("there is no folder {folder}; check the path")));
    }
    let base = real(Path::new(&folder))?;
    let depth = if rest.contains("**") { usize::MAX } else { parts.len() - fixed };
    let mut files = Files::default();
    files.walk(&base, depth);
    files.images.retain(|path| path.strip_prefix(&base).is_ok_and(|inside| matcher.is_match(inside)));
    if files.is_empty() {
        return Err(none("no image matches (png, tif, jpg or bmp); check the pattern, and quote it"));
    }
    Ok(Found { given: parts[..fixed].iter().fold(start(pattern), |path, part| path.join(part)), base, files })
}

/// Where a path begins.
fn start(path: &str) -> PathBuf {
    if path.starts_with('/') { "/".into() } else { PathBuf::new() }
}

/// The folder itself, without links and `..`: names never lead out of it.
fn real(folder: &Path) -> Result<PathBuf, Stop> {
    fs::canonicalize(folder).map_err(|error| unreadable(folder, &error))
}

fn unreadable(folder: &Path, error: &io::Error) -> Stop {
    Stop::not_there(format!("{}: cannot be read ({error}); check the path and its permissions", folder.display()))
}

impl Files {
    fn is_empty(&self) -> bool {
        self.images.is_empty() && self.unreadable.is_empty()
    }

    /// Adds the files in `folder`, down to `depth` levels, sorted. Hidden files and folders of results are passed over.
    fn walk(&mut self, folder: &Path, depth: usize) {
        let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push((folder.to_owned(), error)),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_hidden(&name) || (is_folder && (depth <= 1 || ResultsFolder::is_one(&path))) {
                continue;
            }
            if is_folder {
                self.walk(&path, depth.saturating_sub(1));
            } else if is_image_name(&name) && !path.is_dir() {
                self.images.push(path);
            } else {
                self.others += 1;
            }
        }
    }
}

fn has_images_below(folder: &Path) -> bool {
    let mut files = Files::default();
    files.walk(folder, usize::MAX);
    !files.images.is_empty()
}

/// The folder that all of `folders`, which are absolute, have in common.
fn common<'a>(folders: impl Iterator<Item = &'a Path>) -> PathBuf {
    let parts = |folder: &'a Path| folder.components().collect::<Vec<Component<'a>>>();
    let shared = folders.map(parts).reduce(|mut shared, other| {
        let same = shared.iter().zip(&other).take_while(|(a, b)| a == b).count();
        shared.truncate(same);
        shared
    });
    shared.unwrap_or_default().iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(root: &Path, arguments: &[&str], recursive: bool) -> Result<Vec<String>, String> {
        let arguments: Vec<PathBuf> = arguments.iter().map(|argument| root.join(argument)).collect();
        let found = find(&arguments, recursive).map_err(|stop| format!("{}: {}", stop.ending.code(), stop.message))?;
        Ok(found.into_iter().map(|input| input.name).collect())
    }

    #[test]
    fn files_folders_and_patterns_are_named_below_what_they_have_in_common() {
        let files = [
            "a/1.tif",
            "a/.2.tif",
            "a/notes.txt",
            "a/b/3.PNG",
            "c/1.jpg",
            "c/out/masks/1.png",
            "c/out/.matssl-predict/lock",
        ];
        let folder = folder(&files);
        let of = |arguments: &[&str], recursive| names(folder.path(), arguments, recursive).unwrap();
        assert_eq!(of(&["a"], false), ["1.tif"]);
        assert_eq!(of(&["a"], true), ["1.tif", "b/3.PNG"]);
        // Results of an earlier prediction are no images.
        assert_eq!(of(&["a", "c"], true), ["a/1.tif", "a/b/3.PNG", "c/1.jpg"]);
        assert_eq!(of(&["a/1.tif", "a/../a/1.tif"], false), ["1.tif"]);
        assert_eq!(of(&["a/1.tif", "c/1.jpg"], false), ["a/1.tif", "c/1.jpg"]);
        assert_eq!(of(&["a/*"], false), ["1.tif"]);
        assert_eq!(of(&["*/1.*"], false), ["a/1.tif", "c/1.jpg"]);
        assert_eq!(of(&["a/**/*.{tif,PNG}"], false), ["1.tif", "b/3.PNG"]);
    }

    #[test]
    fn what_means_nothing_is_said_with_its_cure() {
        let folder = folder(&["a/b/1.png", "a/x.txt", "empty/.keep"]);
        let of = |argument: &str| names(folder.path(), &[argument], false).unwrap_err();
        assert!(
            of("a").contains("holds no images (1 file in other formats), but its folders hold some: add --recursive")
        );
        assert!(
            of("empty").starts_with("4: ")
                && of("empty").ends_with("holds no images; expected png, tif, jpg or bmp files")
        );
        assert!(of("gone.tif").ends_with("gone.tif: not there; check the path"));
        assert!(of("a/*.tif").ends_with("no image matches (png, tif, jpg or bmp); check the pattern, and quote it"));
        assert!(of("z/*.tif").contains("there is no folder"));
        assert!(of("a/[.tif").starts_with("2: "));
        let all = names(folder.path(), &["gone.tif", "b/*"], false).unwrap_err();
        assert_eq!(all.lines().count(), 2, "{all}");
    }
}
