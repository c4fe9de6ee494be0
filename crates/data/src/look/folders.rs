//! The folders of a listing, each with what its path says.

use super::listing::Listing;
use super::names::{Role, understand};
use crate::Split;
use crate::stem::stem;
use std::collections::BTreeSet;

/// A folder with image files directly in it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// Path inside the folder that is looked at; `""` is that folder itself.
    pub(super) path: String,
    /// By the last part of its path that says something.
    pub(super) role: Role,
    /// The split that its path names, and the word for it.
    pub(super) split: Option<(Split, String)>,
    /// Its path with `{split}` in the place of that word.
    pub(super) template: String,
    /// Names of its image files, sorted.
    pub(super) files: Vec<String>,
}

impl Folder {
    /// Stems of its files.
    pub(super) fn stems(&self) -> BTreeSet<&str> {
        self.files.iter().map(|file| stem(file)).collect()
    }

    /// Its files as paths inside the folder that is looked at.
    pub(super) fn paths(&self) -> Vec<String> {
        self.files.iter().map(|file| inside(&self.path, file)).collect()
    }
}

/// `name` in `folder`, where `""` is the folder that is looked at.
pub(super) fn inside(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// All folders of a listing, sorted by path.
pub(super) fn folders(listing: &Listing) -> Vec<Folder> {
    listing.images.iter().map(|(path, files)| folder(path, files)).collect()
}

/// What the folder `path` holds, by its name.
pub(super) fn role(path: &str) -> Role {
    folder(path, &[]).role
}

fn folder(path: &str, files: &[String]) -> Folder {
    let (mut role, mut split) = (Role::Neutral, None);
    let mut template = Vec::new();
    for part in path.split('/') {
        let name = understand(part);
        if role != Role::PassedOver && name.role != Role::Neutral {
            role = name.role;
        }
        match name.split {
            Some(found) if split.is_none() => {
                split = Some(found);
                template.push(name.template);
            }
            _ => template.push(part.to_owned()),
        }
    }
    Folder { path: path.to_owned(), role, split, template: template.join("/"), files: files.to_vec() }
}
