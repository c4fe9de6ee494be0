//! Stages for the engine: the traits [`Stage`] and [`StageKind`], and the [`Context`] of a running stage.
//!
//! A kind of stage is a type that holds a stage's parameters and implements [`StageKind`]. The front end decodes each
//! stage of an experiment into that type once; from then on plan, run and worker hold it as an `Arc<dyn Stage>`.

mod context;
mod device;
mod error;
mod foresight;
mod kind;
mod places;
#[cfg(test)]
pub(crate) mod testing;
mod uses;

pub use crate::events::Progress;
pub use context::{Context, InputFiles};
pub use device::OpenedDevice;
pub use error::StageError;
pub use foresight::{Foresight, Known, KnownInput, KnownOutput, Prospect};
pub use kind::{Decoded, InputStage, InputStages, Kind, Kinds, Stage, StageKind};
pub use places::{ExternalFiles, Places};
pub use uses::{DataUse, Uses};
