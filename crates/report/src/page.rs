//! `index.html`: one file that needs no network, with all results of an experiment and the origin of each number.
//!
//! [`Page`] is also what `run.json` holds, for programs. Both are pure functions of it.

mod data;
mod document;
mod figure;
mod files;
mod leaks;
mod markdown;
mod models;
mod overlay;
mod plural;
mod stage;
mod table;
mod timeline;

pub use data::{Availability, DataView, PublishedView};
pub use document::Page;
pub use figure::FigureView;
pub use files::FilesView;
pub use leaks::LeaksView;
pub use models::{ModelFacts, ModelsView};
pub use overlay::{OverlayView, Picture};
pub use stage::{DataFiles, Made, StageFacts};
pub use table::{TableLeaks, TableView};
pub use timeline::Span;
