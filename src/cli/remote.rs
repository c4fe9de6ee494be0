//! The shared cache of the command line: which one, how it shows what it does, and how a run uses it.

use super::open_experiment::OpenExperiment;
use super::outcome::Stop;
use super::output::say;
use super::site::{RemoteSettings, Site};
use super::wording::plural;
use crate::cache::Key;
use crate::exec::{Outcome, Signals, StageOutcome};
use crate::machine::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use matssl_remote::{BackgroundPush, Observer, Pushed, RemoteError, Settings, SharedCache};
use std::env::VarError;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Names the shared cache where the command line does not. Its value is not shown: somebody may have put credentials into it.
const VARIABLE: &str = "MATSSL_REMOTE";

/// Which shared cache a verb uses.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct RemoteArgs {
    /// The shared cache: s3://BUCKET/PREFIX, gs://…, az://…, https://… (only read) or a folder [default: `url` of `[remote]` in
    /// the site file].
    #[arg(long, value_name = "URL", env = VARIABLE, hide_env_values = true)]
    remote: Option<String>,
    /// Use no shared cache.
    #[arg(long)]
    no_remote: bool,
    /// Read the shared cache, but write nothing there.
    #[arg(long)]
    remote_readonly: bool,
}

impl RemoteArgs {
    /// The shared cache at `url`; if that is empty, the one that the environment or the site file names.
    pub(super) fn at(url: &str) -> Self {
        RemoteArgs { remote: Some(url.to_owned()).filter(|url| !url.is_empty()), ..RemoteArgs::default() }
    }

    /// The shared cache named on the command line, in the environment or in the site file; `None` if none is.
    pub(super) fn open(&self, quiet: bool) -> Result<Option<Arc<SharedCache>>, Stop> {
        if self.no_remote {
            return Ok(None);
        }
        let site = Site::read()?.remote;
        // `report` has no such option, but the variable holds for it too.
        let variable = match std::env::var(VARIABLE) {
            Ok(url) => Some(url),
            Err(VarError::NotPresent) => None,
            Err(error) => return Err(Stop::bad_request(format!("{VARIABLE}: {error}"))),
        };
        let place = match (&self.remote, &variable) {
            (Some(url), variable) if variable.as_ref() != Some(url) => "--remote",
            (_, Some(_)) => VARIABLE,
            _ => "`url` of `[remote]` in the site file",
        };
        let named = self.remote.clone().or(variable);
        let url = named.or_else(|| site.as_ref()?.url.clone()).filter(|url| !url.is_empty());
        let Some(url) = url else { return Ok(None) };
        let mut settings = settings(url, site);
        settings.readonly |= self.remote_readonly;
        let opened = SharedCache::open(&settings, Arc::new(Shown::new(quiet)));
        Ok(Some(opened.map_err(|error| match error {
            RemoteError::Address(why) => Stop::bad_request(format!("{place}: {why}")),
            error => error.into(),
        })?))
    }

    /// As [`RemoteArgs::open`], for a verb that cannot do without.
    pub(super) fn required(&self, quiet: bool) -> Result<Arc<SharedCache>, Stop> {
        let missing = || {
            Stop::bad_request(
                "no shared cache is named\nhelp: use --remote URL, the variable MATSSL_REMOTE, or `url` of `[remote]` in the site file",
            )
        };
        self.open(quiet)?.ok_or_else(missing)
    }
}

fn settings(url: String, site: Option<RemoteSettings>) -> Settings {
    let Some(site) = site else { return Settings { url, ..Settings::default() } };
    let RemoteSettings { readonly, require_signature, signing_key, trusted_keys, .. } = site;
    Settings { url, readonly, require_signature, signing_key, trusted_keys }
}

/// Whether a run shows its own progress, beside which no other bar may be drawn.
static IS_PAUSED: AtomicBool = AtomicBool::new(false);

/// Shows no progress of the shared cache while a run shows its own.
pub(super) fn pause_progress(is_paused: bool) {
    IS_PAUSED.store(is_paused, Ordering::Relaxed);
}

/// Shows on standard error what a shared cache does.
struct Shown {
    quiet: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Shown {
    fn new(quiet: bool) -> Self {
        Shown { quiet, bar: Mutex::default() }
    }
}

impl Observer for Shown {
    fn say(&self, message: &str) {
        say(&format!("warning: {message}"));
    }

    fn progress(&self, done: u64, all: u64) {
        if self.quiet || IS_PAUSED.load(Ordering::Relaxed) || !std::io::stderr().is_terminal() {
            return;
        }
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = shown.get_or_insert_with(|| {
            let bar = ProgressBar::new(all);
            let style = ProgressStyle::with_template("{msg} {bar:20} {bytes} of {total_bytes}, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message("shared cache");
            bar
        });
        bar.set_length(all);
        // Several threads report; the bar must not go back.
        bar.set_position(bar.position().max(done));
        if done >= all {
            bar.finish_and_clear();
            *shown = None;
        }
    }
}

/// Puts `shared` behind the experiment's cache: finds there what is not here, and brings what a run of the `wanted` stages will
/// read.
pub(super) fn attach(
    shared: &Arc<SharedCache>,
    experiment: OpenExperiment,
    wanted: &[bool],
    forced: &[bool],
) -> Result<OpenExperiment, Stop> {
    let OpenExperiment { store, places, plan, gate, left_out } = experiment;
    let store = store.with_remote(shared.clone());
    let plan = plan.fetch_for_run(&store, &places, wanted, forced)?;
    Ok(OpenExperiment { store, places, plan, gate, left_out })
}

/// Puts `shared` behind the experiment's cache, to see what is there. Brings nothing.
pub(super) fn look_into(shared: &Arc<SharedCache>, experiment: OpenExperiment) -> Result<OpenExperiment, Stop> {
    let OpenExperiment { store, places, plan, gate, left_out } = experiment;
    let store = store.with_remote(shared.clone());
    let plan = plan.ask_remote(&store, &places)?;
    Ok(OpenExperiment { store, places, plan, gate, left_out })
}

/// What pushes the records of a run; `None` if the shared cache is only read.
pub(super) fn push_in_background(
    shared: &Arc<SharedCache>,
    experiment: &OpenExperiment,
) -> Result<Option<BackgroundPush>, Stop> {
    if shared.is_readonly() {
        return Ok(None);
    }
    let push = BackgroundPush::start(shared.clone(), experiment.store.clone()).map_err(anyhow::Error::from)?;
    Ok(Some(push))
}

/// Waits for what the run still pushes, unless it was interrupted. What is not pushed does not make the run fail.
pub(super) fn finish_push(
    push: BackgroundPush,
    shared: &SharedCache,
    experiment: &OpenExperiment,
    outcome: &Outcome,
    signals: &Signals,
    file: &std::path::Path,
    quiet: bool,
) {
    let done = outcome.stages.iter().filter_map(|stage| match stage {
        StageOutcome::Done(record) => Some(record.key),
        _ => None,
    });
    let keys: Vec<Key> = done.collect();
    let is_all = keys.len() == outcome.stages.len();
    let name = &experiment.plan.experiment.name;
    match push.finish(name, &keys, is_all, &|| signals.interrupts() > 0) {
        Ok(pushed) => {
            say_failed(&pushed);
            if !quiet && pushed.records > 0 {
                let Pushed { records, objects, .. } = pushed;
                say(&format!("pushed {} ({}) to {}", plural(records, "record"), Bytes(objects.bytes), shared.shown()));
            }
            if pushed.left > 0 {
                let left = plural(pushed.left, "record");
                say(&format!("not pushed: {left}; later: matssl-run cache push {}", file.display()));
            }
        }
        Err(error) => say(&format!("warning: {error}")),
    }
}

/// Names the stages that could not be pushed.
pub(super) fn say_failed(pushed: &Pushed) {
    for (stage, why) in &pushed.failed {
        say(&format!("warning: {stage} was not pushed: {why}"));
    }
}
