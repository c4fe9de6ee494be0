//! `dataset`: decodes and checks every file of a downloaded data set once.

use super::Stage;
use super::data_set;
use super::errors::data_error;
use super::{Context, ExternalFiles, Foresight, Known, Places, StageError, StageKind, images};
use crate::data::Manifest;
use crate::data::format::{DatasetParams, SourceFile, list_files, scan};
use crate::data::sources::source;
use crate::experiment::{self, ParamError, Section, SpannedTable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[datasets.NAME]`. Writes `manifest.json`; the images stay in their folder.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Dataset(DatasetParams);

/// The parameters of `stage`, if it is a `dataset` stage.
pub fn dataset_params(stage: &dyn Stage) -> Option<&DatasetParams> {
    stage.as_any().downcast_ref::<Dataset>().map(|dataset| &dataset.0)
}

impl StageKind for Dataset {
    const KIND: &'static str = "dataset";
    const CODE_VERSION: u32 = 3;
    const LEAVES: &'static [&'static str] = data_set::LEAVES;
    const SECTION: Section = Section::Datasets;
    const UNKEYED: &'static [&'static str] = &["path"];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        // `plan --json` prints the defaults of a format, and the key contains them, as for all defaults.
        Ok(Dataset(experiment::deserialize::<DatasetParams>(table)?.with_defaults()))
    }

    fn check(&self) -> Result<(), ParamError> {
        self.0.check().map_err(|problem| ParamError::Check { param: problem.param, message: problem.message })
    }

    fn external_files(&self, places: &Places) -> Result<ExternalFiles, StageError> {
        list_files(&self.0, &places.resolve(&self.0.path)).map_err(data_error)
    }

    fn source(&self, places: &Places) -> Option<PathBuf> {
        Some(places.resolve(&self.0.path))
    }

    fn wants(&self, places: &Places) -> Option<String> {
        let source = source(self.0.format.name()).filter(|_| !places.resolve(&self.0.path).is_dir())?;
        let folder = self.0.preset.map(|preset| format!(" ({})", preset.folder())).unwrap_or_default();
        Some(format!("{}{folder} from {}", source.name, source.url))
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        // Without its manifest, or with a damaged one, nothing is known.
        let manifest = known.output.as_ref().and_then(|output| Manifest::read(&output.file(Manifest::FILE)?).ok());
        Foresight { prospect: manifest.as_ref().map(images), ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let root = context.places.resolve(&self.0.path);
        let files: Vec<SourceFile> = context
            .external
            .iter()
            .map(|(name, (path, digest))| SourceFile { name: name.clone(), path: path.clone(), digest: digest.clone() })
            .collect();
        let manifest = scan(&self.0, &root, &files, &context.image_counter()).map_err(data_error)?;
        manifest.write(&context.out).map_err(data_error)
    }
}
