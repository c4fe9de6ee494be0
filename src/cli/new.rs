//! `matssl-run new NAME`: an experiment to start from.

use super::{Stop, print, usage};
use crate::data::synthesize::write_layouts;
use crate::exit_code;
use clap::{Args, ValueEnum};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

#[derive(Args)]
pub(super) struct NewArgs {
    /// What the experiment is called; the file is NAME.toml, in this folder.
    name: String,
    /// What to start from.
    #[arg(long, value_enum, default_value_t = Template::Folder)]
    template: Template,
    /// Instead of an experiment, a folder NAME of small made data sets, laid out as the published ones: what
    /// experiments/smoke-table4.toml runs on.
    #[arg(long, conflicts_with = "template")]
    made_data: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Template {
    /// Your own micrographs and masks.
    Folder,
    /// The quickstart: synthetic micrographs, done in minutes.
    Quickstart,
}

const FOLDER: &str = include_str!("new/folder.toml");
const QUICKSTART: &str = include_str!("../../experiments/quickstart.toml");

pub(super) fn new(args: &NewArgs) -> Result<u8, Stop> {
    let name = &args.name;
    if !crate::experiment::is_file_name(name) {
        let message = format!(
            "error: {name:?} cannot name an experiment: letters, digits, `.`, `_` and `-`, 1 to 100 of them, no `.` in \
             front, can"
        );
        return Err(Stop::new(exit_code::BAD_EXPERIMENT, message));
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
                 2. matssl-run plan {name}.toml     says what would run.\n\
                 3. matssl-run {name}.toml          runs it; results lie in reports/{name}/.\n"
            ),
        ),
        Template::Quickstart => (
            QUICKSTART,
            "name  = \"quickstart\"",
            format!(
                "1. matssl-run plan {name}.toml     says what would run.\n\
                 2. matssl-run {name}.toml          runs it, in minutes; results lie in reports/{name}/.\n\
                 3. Change a line of {name}.toml, and run it again: only what rests on that line is done anew.\n"
            ),
        ),
    };
    let path = format!("{name}.toml");
    let text = template.replacen(named, &format!("name  = \"{name}\""), 1);
    // Never over a file that is there, not even one that came a moment ago.
    let written = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => {
            print(&next);
            Ok(exit_code::DONE)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("error: {path} is there already; choose another name");
            Err(Stop::new(exit_code::BAD_EXPERIMENT, message))
        }
        Err(error) => Err(Stop::new(exit_code::INTERNAL, format!("error: cannot write {path}: {error}"))),
    }
}

fn made_data(name: &str) -> Result<u8, Stop> {
    let folder = Path::new(name);
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("error: {name} is there already; choose another name");
            return Err(Stop::new(exit_code::BAD_EXPERIMENT, message));
        }
        Err(error) => return Err(usage(format!("cannot make {name}: {error}"))),
    }
    write_layouts(folder).map_err(anyhow::Error::from)?;
    print(&format!(
        "MetalDAM, UHCS, Aachen and EBC, small and made up, are in {name}/.\n\
         matssl-run experiments/smoke-table4.toml --data {name}     is Table 4 in small.\n"
    ));
    Ok(exit_code::DONE)
}
