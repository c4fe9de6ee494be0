//! `matssl-run predict MODEL… IMAGES… -o DIR`: masks, overlays and area fractions of new micrographs.

mod args;
mod inputs;
mod models;
mod settings;
mod text;
mod work;

pub(super) use args::PredictArgs;

use super::data::counter::Counter;
use super::outcome::{Ending, Stop};
use super::output::{print, say};
use super::wording::plural;
use super::{device, signals};
use crate::exec::Signals;
use crate::exit_code;
use crate::machine::{self, Bound, Room};
use crate::nn::{DeviceName, OpenDevice, Precision};
use inputs::Input;
use matssl_predict::apply::{Interrupted, Outcome};
use matssl_predict::engine::Ensemble;
use matssl_predict::results::{Failed, Field, Results, ResultsFolder};
use settings::Settings;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use work::Work;

pub(super) fn predict(args: &PredictArgs) -> Result<Ending, Stop> {
    let gpus = args.device.gpus()?;
    let (models, rest) = models::split(&args.paths)?;
    let settings = Settings::new(args, &models[0].description);
    let inputs = inputs::find(&rest, args.recursive);
    let (settings, inputs) = match (settings, inputs) {
        (Ok(settings), Ok(inputs)) => (settings, inputs),
        (settings, inputs) => {
            let stops = settings.err().into_iter().chain(inputs.err());
            return Err(Stop::all(stops).unwrap_or_else(|| Stop::bad_request("no images")));
        }
    };
    let opened = OpenDevice::open(gpus.first().copied().unwrap_or(DeviceName::Cpu), Precision::Float32, true);
    let opened = opened.map_err(|why| Stop::not_there(format!("{why}; use --device cpu")))?;
    if !args.quiet {
        device::say_gpus(args.device, &gpus[..gpus.len().min(1)]);
    }
    let ensemble = Ensemble::load(models, opened.candle()).map_err(|error| bad_model(&error))?;
    let on_gpu = opened.free_memory().map(|bytes| Room { bytes, bound: Bound::Gpu });
    let room = if on_gpu.is_some() { on_gpu } else { machine::room().map_err(Stop::bad_request)? };
    let folder = ResultsFolder::open(&args.output).map_err(Stop::bad_request)?;
    let signals = Arc::new(Signals::default());
    signals::listen(&signals)?;
    folder.remove_tables()?;
    let work = Work::new(&ensemble, &settings, &folder, &inputs, args.force, room);
    let outcomes = Mutex::new(vec![None; inputs.len()]);
    let done = AtomicUsize::new(0);
    let counter = Counter { quiet: args.quiet };
    let what = format!("predicting {}", plural(inputs.len(), "image"));
    let ended = counter.during_with_detail(&what, |progress, detail| {
        progress(0, inputs.len());
        let keep = |index: usize, outcome: &Outcome| {
            outcomes.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(outcome.clone());
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, inputs.len());
            Ok(())
        };
        let rows = |row: usize, of: usize| detail(format!("  row {row} of {of}"));
        work.all(&keep, &rows, &|| signals.interrupts() > 0)
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let interrupted = match ended {
        Ok(()) => false,
        Err(error) if error.is::<Interrupted>() => true,
        Err(error) => return Err(fatal(error)),
    };
    let (count, ending) = (Count::of(&outcomes), ending(&outcomes));
    let results = results(&ensemble, &settings, &inputs, outcomes, !interrupted);
    folder.write_tables(&results)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&results.json()).map_err(anyhow::Error::from)? + "\n"));
    } else {
        print(&text::of(&results, &folder));
    }
    if let Some(unmatched) = results.unmatched().filter(|_| !results.has_specimens()) {
        say(&format!("warning: {unmatched}"));
    }
    if !args.quiet {
        say(&count.words());
    }
    if interrupted {
        let left = inputs.len() - count.all();
        let message = format!("interrupted: {} left; run the same command again to go on", plural(left, "image"));
        return Err(Stop::new(Ending::Interrupted, message));
    }
    failures(&results, ending, inputs.len()).map_or(Ok(Ending::Done), Err)
}

/// Numbers of images by their outcome.
#[derive(Default)]
struct Count {
    predicted: usize,
    known: usize,
    failed: usize,
}

impl Count {
    fn of(outcomes: &[Option<Outcome>]) -> Self {
        let mut count = Count::default();
        for outcome in outcomes.iter().flatten() {
            *match outcome {
                Outcome::Done { known: false, .. } => &mut count.predicted,
                Outcome::Done { known: true, .. } => &mut count.known,
                Outcome::Failed { .. } => &mut count.failed,
            } += 1;
        }
        count
    }

    fn all(&self) -> usize {
        self.predicted + self.known + self.failed
    }

    /// `3 images predicted, 12 unchanged, 1 failed`.
    fn words(&self) -> String {
        let mut words = format!("{} predicted", plural(self.predicted, "image"));
        for (number, what) in [(self.known, "unchanged"), (self.failed, "failed")] {
            if number > 0 {
                words += &format!(", {number} {what}");
            }
        }
        words
    }
}

/// How a run ends with these failures: bad data, unless none failed but for want of memory.
fn ending(outcomes: &[Option<Outcome>]) -> Ending {
    let codes = outcomes.iter().flatten().filter_map(|outcome| match outcome {
        Outcome::Failed { exit_code, .. } => Some(*exit_code),
        Outcome::Done { .. } => None,
    });
    if codes.max() == Some(exit_code::STAGE_FAILED) { Ending::Failed } else { Ending::BadData }
}

fn results(
    ensemble: &Ensemble,
    settings: &Settings,
    inputs: &[Input],
    outcomes: Vec<Option<Outcome>>,
    complete: bool,
) -> Results {
    let (mut fields, mut failed) = (Vec::new(), Vec::new());
    for (input, outcome) in inputs.iter().zip(outcomes) {
        match outcome {
            Some(Outcome::Done { result, .. }) => {
                fields.push(Field { result: *result, specimen: settings.specimen_of(&input.name) });
            }
            Some(Outcome::Failed { reason, .. }) => failed.push(Failed { image: input.name.clone(), reason }),
            None => {}
        }
    }
    Results::new(ensemble.models(), settings.json(), &settings.outputs, fields, failed, complete)
}

/// The images that could not be predicted, each with its reason.
fn failures(results: &Results, ending: Ending, all: usize) -> Option<Stop> {
    let failed = results.failed();
    if failed.is_empty() {
        return None;
    }
    let mut message = format!("error: {} of {} could not be predicted:", failed.len(), plural(all, "image"));
    // What several images have in common is said once.
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for Failed { reason, .. } in failed {
        let (path, problem) = reason.split_once(": ").unwrap_or((reason, ""));
        match reasons.iter_mut().find(|(other, _)| *other == problem) {
            Some((_, paths)) => paths.push(path),
            None => reasons.push((problem, vec![path])),
        }
    }
    for (problem, paths) in reasons {
        let colon = if problem.is_empty() { "" } else { ": " };
        message += &format!("\n  {}{colon}{problem}", paths.join(", "));
    }
    Some(Stop::new(ending, message))
}

fn bad_model(error: &anyhow::Error) -> Stop {
    Stop::new(Ending::BadData, format!("error: {error:#}"))
}

/// An error that concerns more than one image: a full disk, a model or a device that fails.
fn fatal(error: anyhow::Error) -> Stop {
    let stop = Stop::from(error);
    let go_on = "\nhelp: whole files stay; run the same command again to go on";
    let ending = if stop.ending == Ending::Internal { Ending::Failed } else { stop.ending };
    Stop::new(ending, stop.message + go_on)
}
