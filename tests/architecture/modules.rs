//! The modules of a crate, read with a parser: which file uses what of which other file. Code for tests only is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// A crate's source.
pub(crate) struct Modules {
    modules: Vec<Module>,
    /// Relative to the folder of the crate's root file.
    files: Vec<PathBuf>,
}

/// A module, in a file of its own or inside another's.
#[derive(Default)]
struct Module {
    file: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Names of what is defined here.
    items: BTreeSet<String>,
    /// Name → what `use` makes it stand for.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Every path in the code, but for those of re-exports.
    paths: BTreeSet<Vec<String>>,
    reexports: BTreeSet<Vec<String>>,
    /// Names of the macros that are called.
    macros: BTreeSet<String>,
}

impl Modules {
    /// Reads the crate whose root file is `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut modules = Modules { modules: Vec::new(), files: Vec::new() };
        let folder = root.parent().unwrap();
        modules.read_file(root, folder, folder, None);
        modules
    }

    /// (file, file that it uses), relative to the folder of the crate's root file. A name that is re-exported belongs to
    /// the file that defines it; to re-export it is no use of it.
    pub(crate) fn uses(&self) -> BTreeSet<(&Path, &Path)> {
        self.targets(|module| {
            // A single name may also be a variable's.
            let paths = module.paths.iter().filter(|path| path.len() > 1 || module.imports.contains_key(&path[0]));
            paths.collect()
        })
    }

    /// (file, file that it re-exports something of).
    pub(crate) fn reexports(&self) -> BTreeSet<(&Path, &Path)> {
        self.targets(|module| module.reexports.iter().collect())
    }

    fn targets<'m>(&'m self, paths: impl Fn(&'m Module) -> Vec<&'m Vec<String>>) -> BTreeSet<(&'m Path, &'m Path)> {
        let mut found = BTreeSet::new();
        for (at, module) in self.modules.iter().enumerate() {
            let targets = paths(module).into_iter().filter_map(|path| self.resolve(at, path, 0));
            let files = targets.map(|target| self.modules[target].file).filter(|file| *file != module.file);
            found.extend(files.map(|file| (self.files[module.file].as_path(), self.files[file].as_path())));
        }
        found
    }

    /// (file, name of a macro that it calls).
    pub(crate) fn macros(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.modules.iter().flat_map(|module| {
            let file = self.files[module.file].as_path();
            module.macros.iter().map(move |name| (file, name.as_str()))
        })
    }

    /// Every file, relative to the folder of the crate's root file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// `below` is the folder of the modules that the file declares.
    fn read_file(&mut self, path: &Path, below: &Path, root: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let code = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.files.push(path.strip_prefix(root).unwrap().to_owned());
        self.add(&code.items, self.files.len() - 1, below, root, parent)
    }

    fn add(&mut self, items: &[syn::Item], file: usize, below: &Path, root: &Path, parent: Option<usize>) -> usize {
        let at = self.modules.len();
        self.modules.push(Module { file, parent, ..Module::default() });
        let mut reader = Reader(Module::default());
        for item in items {
            let syn::Item::Mod(module) = item else {
                reader.0.items.extend(name(item));
                reader.visit_item(item);
                continue;
            };
            if is_test(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let folder = below.join(&name);
            let child = match &module.content {
                Some((_, items)) => self.add(items, file, &folder, root, Some(at)),
                None => {
                    let beside = below.join(format!("{name}.rs"));
                    let path = if beside.exists() { beside } else { folder.join("mod.rs") };
                    self.read_file(&path, &folder, root, Some(at))
                }
            };
            self.modules[at].children.insert(name, child);
        }
        let children = std::mem::take(&mut self.modules[at].children);
        self.modules[at] = Module { file, parent, children, ..reader.0 };
        at
    }

    /// The module that defines what `path` names in the module `from`; none if another crate does.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let mut at = from;
        for (index, name) in path.iter().enumerate() {
            let module = &self.modules[at];
            if let Some(next) = self.step(at, name) {
                at = next;
            } else if module.items.contains(name) {
                return Some(at);
            } else if let (Some(import), true) = (module.imports.get(name), depth < 16) {
                let whole = [import, &path[index + 1..]].concat();
                return self.resolve(at, &whole, depth + 1);
            } else if let (Some(there), true) = (self.through_globs(at, name, depth), depth < 16) {
                return self.resolve(there, &path[index..], depth + 1);
            } else {
                return None;
            }
        }
        Some(at)
    }

    /// From a module to the one that is called `name` there.
    fn step(&self, at: usize, name: &str) -> Option<usize> {
        match name {
            "crate" => Some(0),
            "self" => Some(at),
            "super" => self.modules[at].parent,
            name => self.modules[at].children.get(name).copied(),
        }
    }

    /// The module whose names `use …::*` brings to `at`, and that knows `name`.
    fn through_globs(&self, at: usize, name: &str, depth: usize) -> Option<usize> {
        let globs = self.modules[at].globs.iter().filter(|_| depth < 16);
        globs.filter_map(|path| self.resolve(at, path, depth + 1)).find(|&there| {
            let module = &self.modules[there];
            there != at && (module.items.contains(name) || module.imports.contains_key(name))
        })
    }
}

/// Collects what the items of one module name.
struct Reader(Module);

impl Reader {
    fn import(&mut self, tree: &syn::UseTree, path: &[String]) {
        let with = |name: &syn::Ident| [path, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(part) => self.import(&part.tree, &with(&part.ident)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, path)),
            syn::UseTree::Glob(_) => {
                self.0.globs.push(path.to_vec());
                self.0.paths.insert([&["self".to_owned()], path].concat());
            }
            syn::UseTree::Name(name) if name.ident == "self" => self.import_as(path.last().cloned(), path.to_vec()),
            syn::UseTree::Name(name) => self.import_as(Some(name.ident.to_string()), with(&name.ident)),
            syn::UseTree::Rename(name) if name.ident == "self" => {
                self.import_as(Some(name.rename.to_string()), path.to_vec());
            }
            syn::UseTree::Rename(name) => self.import_as(Some(name.rename.to_string()), with(&name.ident)),
        }
    }

    fn import_as(&mut self, name: Option<String>, path: Vec<String>) {
        self.0.paths.insert(path.clone());
        self.0.imports.extend(name.map(|name| (name, path)));
    }

    /// The paths in a macro's arguments, which are no syntax yet.
    fn read_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut is_metavariable) = (0, false);
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end_path(&mut path);
                    }
                    if !is_metavariable {
                        path.push(name.to_string());
                    }
                    colons = 0;
                }
                proc_macro2::TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    if matches!(&other, proc_macro2::TokenTree::Punct(mark) if mark.as_char() == '!') {
                        self.0.macros.extend(path.last().cloned());
                    }
                    self.end_path(&mut path);
                    is_metavariable = matches!(&other, proc_macro2::TokenTree::Punct(mark) if mark.as_char() == '$');
                    if let proc_macro2::TokenTree::Group(group) = other {
                        self.read_tokens(group.stream());
                    }
                    continue;
                }
            }
            is_metavariable = false;
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.0.paths.insert(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let known = std::mem::take(&mut self.0.paths);
        self.import(&item.tree, &[]);
        let new = std::mem::replace(&mut self.0.paths, known);
        let is_private = matches!(item.vis, syn::Visibility::Inherited);
        if is_private { &mut self.0.paths } else { &mut self.0.reexports }.extend(new);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.0.macros.extend(call.path.segments.last().map(|name| name.ident.to_string()));
        self.visit_path(&call.path);
        self.read_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

/// Whether something is compiled for tests only.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

fn name(item: &syn::Item) -> Option<String> {
    let name = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
