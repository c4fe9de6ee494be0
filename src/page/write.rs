//! Writes the page of an experiment.

use super::progress::PageProgress;
use super::{data, reports, stages, timeline};
use crate::cache::Store;
use crate::lineage::{Findings, drawing};
use crate::plan::{CacheState, Plan};
use crate::report::page::Page;
use crate::stage::Places;
use anyhow::{Context as _, Result};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The result of [`write_page`].
#[derive(Debug, Default)]
pub(crate) struct PageOutcome {
    /// The page; `None` if there are no reports yet.
    pub(crate) page: Option<PathBuf>,
    /// Leaks between images, if they were compared.
    pub(crate) leaks: Option<Findings>,
    /// The reason if images could not be compared.
    pub(crate) problem: Option<String>,
}

/// Writes `index.html` and `run.json` into `folder` with the reports of `plan`; nothing if there are no reports yet.
/// Compares images for leaks if there is a `progress`; otherwise the page shows only cached leaks.
///
/// # Errors
/// If an output is damaged in the cache, or the disk is full or read-only.
pub(crate) fn write_page(
    plan: &Plan,
    store: &Store,
    places: &Places,
    folder: &Path,
    progress: Option<PageProgress<'_>>,
) -> Result<PageOutcome> {
    let reports = reports::read(plan, store)?;
    if reports.is_empty() {
        return Ok(PageOutcome::default());
    }
    let done = plan.states.iter().filter(|state| matches!(state, CacheState::Hit(_))).count();
    let mut page = Page {
        title: plan.experiment.title.clone(),
        name: plan.experiment.name.clone(),
        state: format!("{done} of {} stages done", plan.states.len()),
        graph: drawing(plan).svg(),
        timeline: timeline::of(plan, store),
        stages: stages::behind(plan, store, &reports.stages)?,
        tables: reports.tables,
        figures: reports.figures,
        overlays: reports.overlays,
        models: reports.models,
        files: reports.files,
        ..Page::default()
    };
    let (leaks, problem) = data::fill(&mut page, plan, store, places, progress);
    let mut json = serde_json::to_vec_pretty(&page).context("run.json")?;
    json.push(b'\n');
    let index = folder.join("index.html");
    replace(&index, page.html()?.as_bytes())?;
    replace(&folder.join("run.json"), &json)?;
    Ok(PageOutcome { page: Some(index), leaks, problem })
}

/// Replaces a file atomically. Does not touch a file with the same content.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let folder = path.parent().context("the file has no folder")?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    temporary.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
