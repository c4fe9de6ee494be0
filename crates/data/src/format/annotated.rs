//! Annotations in the place of masks: which file holds those of an image.

use super::params::{DatasetParams, ParamProblem};
use crate::annotations::{AnnotationFile, AnnotationRules, Unknown, WithoutShapes, check_length};
use crate::stem::stem;
use crate::{DataError, IGNORE};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// In `annotations`: the folder of a split.
pub(super) const SPLIT: &str = "{split}";
/// In `annotations`: the stem of an image.
const STEM: &str = "{stem}";
/// Largest number of images that are named in a message.
const LISTED: usize = 5;

/// The rules by which masks are drawn, if `params` has annotations. [`check`] has passed.
pub(super) fn rules(params: &DatasetParams) -> Option<AnnotationRules> {
    params.annotations.as_ref()?;
    let classes = params.class_names();
    let meaning = |word: &String| AnnotationRules::meaning(word, classes).flatten();
    let own = classes.iter().map(|name| (name.clone(), meaning(name)));
    let mapped = params.names.iter().flatten().map(|(name, class)| (name.clone(), meaning(class)));
    Some(AnnotationRules {
        names: own.chain(mapped).collect(),
        background: params.background.as_ref().and_then(meaning).unwrap_or(IGNORE),
        overlap: params.overlap.unwrap_or_default(),
        attribute: params.attribute.clone(),
    })
}

/// Checks the parameters of annotations.
pub(super) fn check(params: &DatasetParams, classes: &[String]) -> Result<(), ParamProblem> {
    let needs = [
        ("background", params.background.is_some()),
        ("names", params.names.is_some()),
        ("overlap", params.overlap.is_some()),
        ("without_shapes", params.without_shapes.is_some()),
        ("attribute", params.attribute.is_some()),
    ];
    let Some(pattern) = &params.annotations else {
        let given = needs.iter().find(|(_, given)| *given);
        return given.map_or(Ok(()), |(param, _)| Err(ParamProblem::new(param, "needs `annotations`")));
    };
    let of_masks = [
        ("masks", params.masks.is_some()),
        ("mask_pattern", params.mask_pattern.is_some()),
        ("values", params.values.is_some()),
        ("colors", params.colors.is_some()),
        ("ignore_label", params.ignore_label.is_some()),
        ("ignore_color", params.ignore_color.is_some()),
    ];
    if let Some((param, _)) = of_masks.iter().find(|(_, given)| *given) {
        return Err(ParamProblem::new(param, "there are no mask files: leave out this or `annotations`"));
    }
    check_pattern(params, pattern)?;
    let words = [AnnotationRules::IGNORED, AnnotationRules::NOT_DRAWN];
    if let Some(word) = words.iter().find(|word| classes.iter().any(|class| class == *word)) {
        return Err(ParamProblem::new("classes", format!("\"{word}\" has a meaning of its own with `annotations`")));
    }
    let known = classes.join(", ");
    match &params.background {
        None => {
            let message =
                format!("say the class of pixels in no shape: `background = \"{}\"`, or \"ignore\"", classes[0]);
            return Err(ParamProblem::new("annotations", message));
        }
        Some(word) if !matches!(AnnotationRules::meaning(word, classes), Some(Some(_))) => {
            return Err(ParamProblem::new("background", format!("\"{word}\" is none of {known}, ignore")));
        }
        Some(_) => {}
    }
    for (name, word) in params.names.iter().flatten() {
        if AnnotationRules::meaning(word, classes).is_none() {
            let message = format!("\"{name}\": \"{word}\" is none of {known}, ignore, none");
            return Err(ParamProblem::new("names", message));
        }
    }
    let ignored = params.background.as_deref() == Some(AnnotationRules::IGNORED);
    if ignored && params.without_shapes == Some(WithoutShapes::Background) {
        return Err(ParamProblem::new("without_shapes", "with `background = \"ignore\"` nothing would be annotated"));
    }
    Ok(())
}

fn check_pattern(params: &DatasetParams, pattern: &str) -> Result<(), ParamProblem> {
    let problem = |message: &str| Err(ParamProblem::new("annotations", message));
    let (folder, file) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if file.is_empty() || pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
        return problem("name a file in the data set's folder: \"labels.json\" or \"labels/{stem}.json\"");
    }
    if folder.contains(STEM) || file.matches(STEM).count() > 1 {
        return problem("{stem} stands once, in the file's name: \"labels/{stem}.json\"");
    }
    if pattern.contains(SPLIT) && params.has_drawn_splits() {
        return problem("{split} needs the folders train, val and test, not drawn splits");
    }
    if [".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp"].iter().any(|end| file.to_ascii_lowercase().ends_with(end)) {
        return problem("an image file: label images are masks (`masks = \"…\"`)");
    }
    Ok(())
}

/// The annotation files of a folder's `images` (as listed) by `pattern`, in which `{split}` is filled in.
///
/// # Errors
/// [`DataError`] if there is none.
pub(super) fn list(
    root: &Path,
    pattern: &str,
    images: &[(String, PathBuf)],
) -> Result<Vec<(String, PathBuf)>, DataError> {
    const CURE: &str = "put the annotations there, or correct `annotations`";
    let Some((before, after)) = pattern.split_once(STEM) else {
        let path = root.join(pattern);
        return match path.metadata() {
            Ok(meta) if meta.is_dir() => {
                let cure =
                    format!("name the file, or one file for each image: `annotations = \"{pattern}/{STEM}.json\"`");
                Err(DataError::bad(&path, "`annotations` is a folder", cure))
            }
            Ok(_) => Ok(vec![(pattern.to_owned(), path)]),
            Err(_) => Err(DataError::not_there(&path, CURE)),
        };
    };
    let (folder, start) = before.rsplit_once('/').unwrap_or(("", before));
    let path = if folder.is_empty() { root.to_path_buf() } else { root.join(folder) };
    let entries = std::fs::read_dir(&path).map_err(|_| DataError::not_there(&path, CURE))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(DataError::reading(&path))?.path();
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
        let fits =
            name.strip_prefix(start).and_then(|name| name.strip_suffix(after)).is_some_and(|stem| !stem.is_empty());
        if fits && !name.starts_with('.') && file.is_file() {
            let name = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            files.push((name, file));
        }
    }
    if files.is_empty() && !images.is_empty() {
        let problem = format!("holds no annotations named {start}{STEM}{after}");
        return Err(DataError::bad(&path, problem, CURE));
    }
    Ok(files)
}

/// Which images are annotated, and in which file.
#[derive(Debug)]
pub(super) struct Annotated {
    /// The annotation file of each annotated image.
    file_of: BTreeMap<String, String>,
    /// All annotation files.
    files: BTreeSet<String>,
}

impl Annotated {
    /// Reads the annotation files among `names`; `None` if the data set has masks. `folders`: the files in each folder of
    /// images, with the pattern of its annotations.
    ///
    /// # Errors
    /// [`DataError`] if a file cannot be read, names an image that is not there, or a name that is no class, or if images
    /// without shapes need a decision.
    pub(super) fn read(
        params: &DatasetParams,
        root: &Path,
        names: &[&str],
        folders: &[(Vec<&str>, String)],
    ) -> Result<Option<Self>, DataError> {
        let Some(rules) = rules(params) else { return Ok(None) };
        // (annotation file, image it must be of) → candidates.
        let mut candidates: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut errors = Vec::new();
        for (images, pattern) in folders {
            let Some((before, after)) = pattern.split_once(STEM) else {
                if let Some(name) = names.iter().find(|name| *name == pattern) {
                    candidates.entry(name).or_default().extend(images);
                }
                continue;
            };
            let stem_in = |name: &'_ str| -> Option<String> {
                let stem = name.strip_prefix(before)?.strip_suffix(after)?;
                (!stem.is_empty() && !stem.contains('/')).then(|| stem.to_owned())
            };
            let files: Vec<(&str, String)> = names.iter().filter_map(|name| Some((*name, stem_in(name)?))).collect();
            let of_files: BTreeSet<&str> = files.iter().map(|(name, _)| *name).collect();
            for (file, wanted) in &files {
                let of_stem = images.iter().filter(|image| !of_files.contains(*image) && stem(image) == wanted);
                let found: Vec<&str> = of_stem.copied().collect();
                if found.is_empty() {
                    let problem =
                        format!("annotations without an image (no {wanted}.png, .tif, .jpg or .bmp among the images)");
                    let error = DataError::bad(&root.join(file), problem, "give image and annotations the same stem");
                    errors.push(error.shared("annotations without an image", "", ""));
                }
                candidates.entry(file).or_default().extend(found);
            }
        }
        DataError::check_all(errors)?;
        let files: BTreeSet<String> = candidates.keys().map(|&name| name.to_owned()).collect();
        let mut reading =
            Reading { params, rules, unknown: Unknown::default(), undecided: Vec::new(), errors: Vec::new() };
        let mut file_of = BTreeMap::new();
        for (file, images) in candidates {
            let images: Vec<&str> = images.into_iter().filter(|image| !files.contains(*image)).collect();
            for image in reading.labelled(&root.join(file), &images, is_for_one(params))? {
                file_of.insert(image.to_owned(), file.to_owned());
            }
        }
        reading.finish(root)?;
        Ok(Some(Annotated { file_of, files }))
    }

    /// Those of `names` that are no annotation files.
    pub(super) fn images_of<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        names.iter().copied().filter(|name| !self.files.contains(*name)).collect()
    }

    /// The annotation file of `image`, if it is annotated.
    pub(super) fn file_of(&self, image: &str) -> Option<&str> {
        self.file_of.get(image).map(String::as_str)
    }
}

fn is_for_one(params: &DatasetParams) -> bool {
    params.annotations.as_ref().is_some_and(|pattern| pattern.contains(STEM))
}

/// What is found while the files are read.
struct Reading<'p> {
    params: &'p DatasetParams,
    rules: AnnotationRules,
    unknown: Unknown,
    /// Images without shapes of which it must be said what they are.
    undecided: Vec<String>,
    errors: Vec<DataError>,
}

impl Reading<'_> {
    /// Those of `images` that the file at `path` annotates.
    fn labelled<'a>(&mut self, path: &Path, images: &[&'a str], for_one: bool) -> Result<Vec<&'a str>, DataError> {
        check_length(path)?;
        let bytes = std::fs::read(path).map_err(DataError::reading(path))?;
        let file = match AnnotationFile::parse(path, &bytes, self.rules.attribute.as_deref()) {
            Ok(file) => file,
            Err(error) => {
                self.errors.push(error);
                return Ok(Vec::new());
            }
        };
        let mut image_of: BTreeMap<usize, &str> = BTreeMap::new();
        for image in images {
            match file.find(image) {
                Ok(Some(entry)) => {
                    if let Some(other) = image_of.insert(entry, image) {
                        let name = file.images()[entry].name();
                        let (problem, cure) = if name.is_empty() {
                            let pattern = self.params.annotations.as_deref().unwrap_or_default();
                            let one = pattern.rsplit_once('.').map_or("", |(_, extension)| extension);
                            let cure = format!("one file for each image: `annotations = \"labels/{STEM}.{one}\"`");
                            ("does not say which image it annotates".to_owned(), cure)
                        } else {
                            let problem = format!("its entry \"{name}\" fits two images: {other} and {image}");
                            (problem, format!("add their folders to the names, or use `{SPLIT}`"))
                        };
                        self.errors.push(DataError::bad(path, problem, cure));
                        return Ok(Vec::new());
                    }
                }
                Ok(None) => {}
                Err(problem) => {
                    self.errors.push(problem.of(path));
                    return Ok(Vec::new());
                }
            }
        }
        let entries: Vec<usize> = image_of.keys().copied().collect();
        self.unknown.add(path, &file, &entries, &self.rules);
        let is_labelled = |entry: usize| file.images()[entry].shapes() > 0 || self.without_shapes(&file) != Some(false);
        let missing: Vec<&str> = (0..file.images().len())
            .filter(|entry| !image_of.contains_key(entry) && is_labelled(*entry))
            .map(|entry| file.images()[entry].name())
            .collect();
        if !missing.is_empty() {
            self.errors.push(missing_images(path, &missing, images, for_one));
        } else if !for_one && file.images().len() == 1 {
            self.errors.extend(of_one_image(path, image_of.values().next().copied(), images, self.params));
        }
        let mut labelled = Vec::new();
        for (entry, image) in image_of {
            match self.without_shapes(&file) {
                _ if file.images()[entry].shapes() > 0 => labelled.push(image),
                Some(true) => labelled.push(image),
                Some(false) => {}
                None => self.undecided.push(image.to_owned()),
            }
        }
        Ok(labelled)
    }

    /// Whether images without shapes are annotated; `None` if that must be said.
    fn without_shapes(&self, file: &AnnotationFile) -> Option<bool> {
        match self.params.without_shapes {
            Some(meaning) => Some(meaning == WithoutShapes::Background),
            None if self.rules.background == IGNORE => Some(false),
            None => (!file.lists_all()).then_some(true),
        }
    }

    fn finish(mut self, root: &Path) -> Result<(), DataError> {
        if let Err(error) = self.unknown.check(self.params.class_names(), self.rules.attribute.as_deref()) {
            match error {
                DataError::Several(errors) => self.errors.extend(errors),
                error => self.errors.push(error),
            }
        }
        if !self.undecided.is_empty() {
            let problem = format!(
                "{} without any shape in the annotations: {}",
                images(self.undecided.len()),
                listed(&self.undecided)
            );
            let cure = "add `without_shapes = \"unlabeled\"` if they are not annotated yet, or `\"background\"` if they show \
                        nothing else";
            self.errors.push(DataError::bad(root, problem, cure));
        }
        DataError::check_all(self.errors)
    }
}

fn missing_images(path: &Path, missing: &[&str], candidates: &[&str], for_one: bool) -> DataError {
    if let (true, [other], Some(image)) = (for_one, missing, candidates.first()) {
        let problem = format!("annotates {other}, and by its name it is that of {image}");
        let cure = "correct the name of the image in the file, or the file's own name";
        let fault = "the name of another image than the file's own";
        return DataError::bad(path, problem, cure).shared(fault, "annotation files", format!(": {other}"));
    }
    if for_one {
        let fault = format!("annotations of several images, and with `{STEM}` each file is of one image");
        let problem = format!("annotates {}: with `{STEM}` each file is of one image", listed(missing));
        let cure = format!("export one file for each image, or name the file of all images without `{STEM}`");
        return DataError::bad(path, problem, cure).shared(fault, "", "");
    }
    let are = if missing.len() == 1 { "is" } else { "are" };
    let problem = format!("annotates {} that {are} not there: {}", images(missing.len()), listed(missing));
    DataError::bad(path, problem, "add the images, or remove their annotations")
}

/// An error if the file at `path` is one of several, of which each is of one of `images`: this one of `image`.
fn of_one_image(path: &Path, image: Option<&str>, images: &[&str], params: &DatasetParams) -> Option<DataError> {
    let extension = path.extension()?.to_str()?;
    if path.file_stem()?.to_str()? != stem(image?) {
        return None;
    }
    let others =
        images.iter().filter(|other| Some(**other) != image).map(|other| format!("{}.{extension}", stem(other)));
    let beside: Vec<String> = others.filter(|other| path.with_file_name(other).is_file()).collect();
    let pattern = params.annotations.as_ref()?;
    let folder = &pattern[..pattern.rfind('/').map_or(0, |slash| slash + 1)];
    let problem = format!("annotates one image, and there are {} beside it", listed(&beside));
    let cure = format!("read one file for each image: `annotations = \"{folder}{STEM}.{extension}\"`");
    (!beside.is_empty()).then(|| DataError::bad(path, problem, cure))
}

fn images(count: usize) -> String {
    if count == 1 { "1 image".into() } else { format!("{count} images") }
}

fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
    shown.join(", ") + &more
}
