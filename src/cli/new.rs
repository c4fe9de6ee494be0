//! `matssl-run new NAME`: an experiment to start from.

mod data_table;
mod file;
mod from;
mod next;
mod summary;

use super::outcome::{Ending, Stop};
use super::output::print;
use crate::data::synthesize::write_layouts;
use clap::{Args, ValueEnum};
use file::write_new;
use next::NEXT;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct NewArgs {
    /// The name of the experiment; the file is NAME.toml, in this folder. With --from also a path [default: the name of
    /// FOLDER].
    #[arg(required_unless_present = "from")]
    name: Option<String>,
    /// Look at a folder of micrographs (and masks or annotations), and write the experiment that fits: layout, classes, sizes,
    /// splits.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["template", "made_data"])]
    from: Option<PathBuf>,
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
    if let Some(folder) = &args.from {
        return from::from(folder, args.name.as_deref());
    }
    let name = args.name.as_deref().unwrap_or_default();
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
                 3. matssl-run {name}.toml          runs it; results are in reports/{name}/.\n{NEXT}"
            ),
        ),
        Template::Quickstart => (
            QUICKSTART,
            "name  = \"quickstart\"",
            format!(
                "1. matssl-run plan {name}.toml     shows what would run.\n\
                 2. matssl-run {name}.toml          runs it, in minutes; results are in reports/{name}/.\n\
                 3. Change a line of {name}.toml, and run it again: only what depends on that line runs.\n{NEXT}"
            ),
        ),
    };
    let path = format!("{name}.toml");
    let text = template.replacen(named, &format!("name  = \"{name}\""), 1);
    write_new(Path::new(&path), &text)?;
    print(&next);
    Ok(Ending::Done)
}

fn made_data(name: &str) -> Result<Ending, Stop> {
    let folder = Path::new(name);
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Stop::bad_request(format!("{name} exists already; choose another name")));
        }
        Err(error) => return Err(Stop::writing(folder, &error)),
    }
    write_layouts(folder).map_err(anyhow::Error::from)?;
    print(&format!(
        "Small synthetic versions of MetalDAM, UHCS, Aachen and EBC are in {name}/.\n\
         matssl-run experiments/smoke-table4.toml --data {name}     runs Table 4 at toy size.\n"
    ));
    Ok(Ending::Done)
}
