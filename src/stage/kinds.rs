//! The table of kinds. A new kind of stage is a new file and an entry here.

use super::command::Command;
use super::data_table::DataTable;
use super::dataset::Dataset;
use super::evaluate::Evaluate;
use super::figure::Figure;
use super::files::Files;
use super::finetune::Finetune;
use super::models::Models;
use super::overlay::Overlay;
use super::patchify::Patchify;
use super::predict::Predict;
use super::pretrain::Pretrain;
use super::synthesize::Synthesize;
use super::table::Table;
use matssl_pipeline::stage::{Kind, Kinds};

/// All kinds of stages.
pub static KINDS: &Kinds = &[
    &Kind::of::<Dataset>(),
    &Kind::of::<Synthesize>(),
    &Kind::of::<Patchify>(),
    &Kind::of::<Pretrain>(),
    &Kind::of::<Finetune>(),
    &Kind::of::<Evaluate>(),
    &Kind::of::<Predict>(),
    &Kind::of::<Command>(),
    &Kind::of::<Table>(),
    &Kind::of::<DataTable>(),
    &Kind::of::<Figure>(),
    &Kind::of::<Overlay>(),
    &Kind::of::<Models>(),
    &Kind::of::<Files>(),
];
