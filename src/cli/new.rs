//! `matssl-run new NAME`: an experiment to start from.

use super::outcome::{Ending, Stop};
use super::output::print;
use crate::data::synthesize::write_layouts;
use clap::{Args, ValueEnum};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

#[derive(Args)]
pub(super) struct NewArgs {
    /// The name of the experiment; the file is NAME.toml, in this folder.
    name: String,
    /// What to start from.
    #[arg(long, value_enum, default_value_t = Template::Folder)]
    template: Template,
    /// Instead of an experiment, write a folder NAME of small synthetic data sets with the layouts of the published ones,
    /// for experiments/smoke-table4.toml.
    #[arg(long, conflicts_with = "template")]
    made_data: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Template {
    /// Your own micrographs and masks.
    Folder,
    /// The quickstart: synthetic micrographs; runs in minutes.
    Quickstart,
}

const FOLDER: &str = include_str!("new/folder.toml");
const QUICKSTART: &str = include_str!("../../experiments/quickstart.toml");

pub(super) fn new(args: &NewArgs) -> Result<Ending, Stop> {
    let name = &args.name;
    if !crate::experiment::is_file_name(name) {
        return Err(Stop::bad_request(format!(
            "{name:?} cannot name an experiment: use 1 to 100 letters, digits, `.`, `_` and `-`, and no `.` at the \
             beginning"
        )));
    }
    if args.made_data {
        return made_data(name);
    }
    let (template, named, next) = match args.template {
        Template::Folder => (
            FOLDER,
            "name  = \"NAME\"",
            format!(
                "1. Put micrographs and masks where {name}.toml says, or change its `path` and `classes`.\n\
                 2. matssl-run plan {name}.toml     shows what would run.\n\
                 3. matssl-run {name}.toml          runs it; results are in reports/{name}/.\n"
            ),
        ),
        Template::Quickstart => (
            QUICKSTART,
            "name  = \"quickstart\"",
            format!(
                "1. matssl-run plan {name}.toml     shows what would run.\n\
                 2. matssl-run {name}.toml          runs it, in minutes; results are in reports/{name}/.\n\
                 3. Change a line of {name}.toml, and run it again: only what depends on that line runs.\n"
            ),
        ),
    };
    let path = format!("{name}.toml");
    let text = template.replacen(named, &format!("name  = \"{name}\""), 1);
    // `create_new` never overwrites a file, not even one that was created a moment ago.
    let written = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => {
            print(&next);
            Ok(Ending::Done)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Stop::bad_request(format!("{path} exists already; choose another name")))
        }
        Err(error) => Err(Stop::bad_request(format!("cannot write {path}: {error}"))),
    }
}

fn made_data(name: &str) -> Result<Ending, Stop> {
    let folder = Path::new(name);
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Stop::bad_request(format!("{name} exists already; choose another name")));
        }
        Err(error) => return Err(Stop::bad_request(format!("cannot create {name}: {error}"))),
    }
    write_layouts(folder).map_err(anyhow::Error::from)?;
    print(&format!(
        "Small synthetic versions of MetalDAM, UHCS, Aachen and EBC are in {name}/.\n\
         matssl-run experiments/smoke-table4.toml --data {name}     runs Table 4 at toy size.\n"
    ));
    Ok(Ending::Done)
}
