//! The training loop.

use super::accumulation::Accumulation;
use super::averaged_weights::AveragedWeights;
use super::checkpoint::Checkpoints;
use super::epoch_sums::EpochSums;
use super::history::History;
use super::optimizer::OptimizerSpec;
use super::schedule::ScheduleSpec;
use super::task::Task;
use super::training_state::{Best, TrainingState};
use anyhow::{Result, anyhow, bail, ensure};
use matssl_base::machine::Asked;
use matssl_tensor::Parameters;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Minimum time between two progress events inside an epoch.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// After this many times the minimum wait, a checkpoint inside an epoch is written even if writing takes long.
const PATIENCE: u32 = 5;

/// The settings of a training.
#[derive(Clone, Debug)]
pub struct Training {
    /// Number of passes over the data.
    pub epochs: u64,
    /// The optimiser.
    pub optimizer: OptimizerSpec,
    /// The learning rate over the steps.
    pub schedule: ScheduleSpec,
    /// Number of steps, at least 1, whose gradients are averaged for one update of the weights. The schedule counts
    /// updates. The last update of an epoch averages the remaining steps. Everything else, such as batch statistics,
    /// contrasts within the batch and momentum encoders, is done in each step.
    pub accumulate: NonZeroU64,
    /// Decay of a moving average of the weights, 0 ≤ ema < 1, e.g. 0.999. The averaged weights are validated and
    /// returned. `None`: no average.
    pub ema: Option<f64>,
    /// Stops the training after this number of epochs without a better score; `None`: all epochs are trained.
    pub patience: Option<NonZeroU64>,
    /// Number of epochs at the start that do not count for `patience`.
    pub patience_from: u64,
    /// Folder for checkpoints; the training resumes from its own latest one.
    pub checkpoint: PathBuf,
    /// Maximum share of the time for checkpoints, e.g. 0.05. One is written at the end of the first epoch, then at the
    /// end of an epoch as soon as the time of the last one is at most this share.
    pub checkpoint_share: f64,
    /// Minimum time from a checkpoint to one inside an epoch, which keeps to the same share. After five times this wait
    /// it is written in any case.
    pub checkpoint_wait: Duration,
    /// Identifies the training: everything that changes its result must change this. Checkpoints with another
    /// fingerprint are not used.
    pub fingerprint: String,
    /// Requests from signals: write a checkpoint, or write one and stop.
    pub asked: Asked,
}

/// The error that a training was stopped by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "stopped by a signal after {epochs} epochs and {steps} steps; {}",
    if *.saved { "the next run resumes from there" } else { "a checkpoint could not be written: the next run resumes from an earlier one" }
)]
pub struct Stopped {
    /// Number of finished epochs.
    pub epochs: u64,
    /// Number of steps done in the current epoch.
    pub steps: u64,
    /// Whether all checkpoints could be written.
    pub saved: bool,
}

/// An event of the training loop, for its observer.
#[derive(Debug)]
pub enum Event<'h> {
    /// A message to show.
    Message(String),
    /// The first step comes next.
    Started {
        /// Number of epochs in the checkpoint that it resumes from; 0 at a fresh start.
        history: &'h History,
    },
    /// Progress inside the epoch after `done`.
    Step {
        /// Number of finished epochs.
        done: u64,
        /// Number of steps done in the current epoch.
        step: u64,
        /// Steps in an epoch.
        steps: u64,
        /// Loss of the last step.
        loss: f64,
    },
    /// An epoch has ended.
    Epoch {
        /// Number of finished epochs.
        done: u64,
        /// Its mean loss.
        loss: f64,
        /// The task's note on this epoch.
        note: Option<String>,
        /// Share of its steps' time spent waiting for batches, as [`Outcome::data_wait_share`].
        waited: f64,
        /// All epochs, with this one last.
        history: &'h History,
    },
}

/// A finished training. The task's parameters are those of the last epoch; with [`Training::ema`], their averages.
#[derive(Debug)]
pub struct Outcome {
    /// One row per epoch.
    pub history: History,
    /// The epoch with the highest score, if the task returns scores.
    pub best: Option<Best>,
    /// Number of epochs in the checkpoint that this attempt resumed from.
    pub resumed_epochs: u64,
    /// Number of steps of the next epoch in that checkpoint.
    pub resumed_steps: u64,
    /// Number of checkpoints that could not be written.
    pub failed_checkpoints: u64,
    /// Wall time of this attempt.
    pub seconds: f64,
    /// Training images per second over this attempt's steps, without validation.
    pub images_per_second: f64,
    /// Share of these steps' time spent waiting for batches to arrive on the GPU: an upper bound on the GPU's idle
    /// time, because the GPU may compute during the wait.
    pub data_wait_share: f64,
}

impl Training {
    /// Trains `task`, from its checkpoint if there is one. On a CPU the result has the same bits for any number of
    /// threads and for any step at which the training was stopped and resumed. If a checkpoint cannot be written, an
    /// event reports this and the training continues.
    ///
    /// # Errors
    /// A loss that is not finite, with epoch and step; errors of the task. The last checkpoint stays.
    pub fn run<T: Task>(&self, task: &mut T, watch: &mut dyn FnMut(Event<'_>)) -> Result<Outcome> {
        let start = Instant::now();
        let steps = task.steps_per_epoch();
        ensure!(steps > 0, "an epoch has no step: the data do not fill one batch; use a smaller `batch_size`");
        let mut saver = Saver {
            training: self,
            checkpoints: Checkpoints::new(&self.checkpoint, &self.fingerprint),
            last: Instant::now(),
            took: Duration::ZERO,
            in_all: Duration::ZERO,
            failed: 0,
        };
        let averages = self.ema.map(|keep| AveragedWeights::new(keep, task.parameters())).transpose()?;
        let mut state = TrainingState::new(self.optimizer, task.rate_factors(), averages, columns(task));
        if let Some(checkpoint) =
            saver.checkpoints.load(task.parameters().device(), &mut |text| watch(Event::Message(text)))?
        {
            state.restore(checkpoint, task.parameters())?;
        }
        watch(Event::Started { history: &state.history });
        let (resumed_epochs, resumed_steps) = (state.history.epochs() as u64, state.running.steps);
        let (mut images, mut stepping, mut waiting) = (0, Duration::ZERO, Duration::ZERO);
        for epoch in resumed_epochs..self.epochs {
            let (stepping_since, saving_before) = (Instant::now(), saver.in_all);
            let (mut row, seen, waited) = self.epoch(epoch, task, &mut state, &mut saver, watch)?;
            (images, waiting) = (images + seen, waiting + waited);
            let stepped = stepping_since.elapsed().saturating_sub(saver.in_all - saving_before);
            stepping += stepped;
            state.swap_averages(task.parameters())?;
            let end = task.end_of_epoch(epoch)?;
            row.extend(end.values);
            let loss = row.get(1).copied().flatten().unwrap_or(f64::NAN);
            state.history.push(row)?;
            state.running = EpochSums::default();
            state.keep_if_best(epoch + 1, end.score, task.parameters())?;
            state.swap_averages(task.parameters())?;
            let (note, waited) = (end.note, waited.as_secs_f64() / stepped.as_secs_f64().max(f64::MIN_POSITIVE));
            watch(Event::Epoch { done: epoch + 1, loss, note, waited, history: &state.history });
            if let Some(best) = state.best.as_ref().filter(|best| self.gives_up(epoch + 1, best.epoch)) {
                let note = format!("stopped early: no improvement since epoch {}", best.epoch);
                watch(Event::Message(note));
                break;
            }
            // The work after the last epoch takes seconds, so it needs no checkpoint.
            if epoch + 1 < self.epochs && (saver.is_cheap() || self.is_asked()) {
                saver.save(&state, task.parameters(), watch);
                self.stop_if_asked(epoch + 1, 0, &saver)?;
            }
        }
        state.swap_averages(task.parameters())?;
        Ok(Outcome {
            history: state.history,
            best: state.best,
            resumed_epochs,
            resumed_steps,
            failed_checkpoints: saver.failed,
            seconds: start.elapsed().as_secs_f64(),
            images_per_second: if images > 0 { images as f64 / stepping.as_secs_f64() } else { 0.0 },
            data_wait_share: if images > 0 { waiting.as_secs_f64() / stepping.as_secs_f64() } else { 0.0 },
        })
    }

    /// Whether the training ends after `done` epochs, of which the `best` one has the highest score.
    fn gives_up(&self, done: u64, best: u64) -> bool {
        let waited = done.saturating_sub(best.max(self.patience_from));
        self.patience.is_some_and(|patience| waited >= patience.get())
    }

    fn is_asked(&self) -> bool {
        self.asked.stop() || self.asked.checkpoint()
    }

    /// After a checkpoint.
    fn stop_if_asked(&self, epochs: u64, steps: u64, saver: &Saver<'_>) -> Result<()> {
        match self.asked.stop() {
            true => Err(Stopped { epochs, steps, saved: saver.failed == 0 }.into()),
            false => Ok(()),
        }
    }

    /// Trains one epoch, or the rest of it. Returns the history's first columns, the number of images, and the time
    /// spent waiting for batches.
    fn epoch<T: Task>(
        &self,
        epoch: u64,
        task: &mut T,
        state: &mut TrainingState,
        saver: &mut Saver<'_>,
        watch: &mut dyn FnMut(Event<'_>),
    ) -> Result<(Vec<Option<f64>>, u64, Duration)> {
        let steps = task.steps_per_epoch();
        let updates = steps.div_ceil(self.accumulate.get());
        let (mut learning_rate, mut images, mut told) = (0.0, 0, Instant::now());
        state.running.measures.resize(task.measures().len(), 0.0);
        // Checkpoints are written between updates, when no gradients are pending.
        let mut pending = Accumulation::default();
        let mut batches = task.batches(epoch, state.running.steps)?;
        let mut waiting = Duration::ZERO;
        loop {
            let since = Instant::now();
            let Some(batch) = batches.next() else { break };
            waiting += since.elapsed();
            let done = state.running.steps;
            let step = task.step(batch?)?;
            let finite = |what: &str, value: f64| match value.is_finite() {
                true => Ok(()),
                false => Err(anyhow!(
                    "the {what} is {value} in epoch {} of {}, step {} of {steps}: the training has diverged; try a lower \
                     learning rate or a longer warm-up",
                    epoch + 1,
                    self.epochs,
                    done + 1,
                )),
            };
            finite("loss", step.loss)?;
            if let Some(fault) = step.fault {
                bail!("in epoch {} of {}, step {} of {steps}: {fault}", epoch + 1, self.epochs, done + 1);
            }
            pending.add(step.gradients)?;
            if pending.steps() == self.accumulate.get() || done + 1 == steps {
                let (norm, update) = (pending.mean_norm()?, epoch * updates + done / self.accumulate);
                finite("gradient", norm)?;
                learning_rate =
                    self.schedule.learning_rate(self.optimizer.learning_rate(), update, updates, self.epochs);
                let scale = self.optimizer.clipping(norm) / pending.steps() as f64;
                state.update(task.parameters(), pending.sums(), learning_rate, scale)?;
                state.running.norms += norm;
                pending = Accumulation::default();
            }
            let running = &mut state.running;
            running.losses += step.loss;
            running.measures.iter_mut().zip(&step.measures).for_each(|(sum, measure)| *sum += measure);
            running.steps += 1;
            images += step.images;
            if told.elapsed() >= TELL_EVERY {
                watch(Event::Step { done: epoch, step: done + 1, steps, loss: step.loss });
                told = Instant::now();
            }
            // The epoch's end has a checkpoint of its own.
            if done + 1 < steps && pending.steps() == 0 && (saver.is_due_inside() || self.is_asked()) {
                saver.save(state, task.parameters(), watch);
                self.stop_if_asked(epoch, done + 1, saver)?;
            }
        }
        let running = &state.running;
        ensure!(running.steps == steps, "epoch {} had {} steps, not {steps}", epoch + 1, running.steps);
        let mean = |sum: f64| Some(sum / steps as f64);
        let taken = ((epoch + 1) * updates) as f64;
        let norm = running.norms / updates as f64;
        let mut row = vec![Some(taken), mean(running.losses), Some(learning_rate), Some(norm)];
        row.extend(running.measures.iter().copied().map(mean));
        Ok((row, images, waiting))
    }
}

/// Writes checkpoints and decides when the next is due.
struct Saver<'t> {
    training: &'t Training,
    checkpoints: Checkpoints,
    /// Time when the last one ended; at first the start.
    last: Instant,
    /// Duration of the last one.
    took: Duration,
    /// Total duration.
    in_all: Duration,
    failed: u64,
}

impl Saver<'_> {
    /// Whether the last one's duration is at most its share of the time since.
    fn is_cheap(&self) -> bool {
        self.took.as_secs_f64() <= self.training.checkpoint_share * self.last.elapsed().as_secs_f64()
    }

    /// Whether one is due inside an epoch: after the wait if it is cheap, after [`PATIENCE`] waits in any case.
    fn is_due_inside(&self) -> bool {
        let (since, wait) = (self.last.elapsed(), self.training.checkpoint_wait);
        since >= wait && (self.is_cheap() || since >= wait * PATIENCE)
    }

    fn save(&mut self, state: &TrainingState, parameters: &Parameters, watch: &mut dyn FnMut(Event<'_>)) {
        let since = Instant::now();
        if let Err(error) = self.checkpoints.save(&state.checkpoint(parameters)) {
            self.failed += 1;
            watch(Event::Message(format!("a checkpoint could not be written: {error:#}")));
        }
        self.last = Instant::now();
        self.took = since.elapsed();
        self.in_all += self.took;
    }
}

/// The history's columns after `epoch`.
fn columns<T: Task>(task: &T) -> Vec<String> {
    let mut columns: Vec<String> = ["step", T::LOSS, "learning_rate", "gradient_norm"].map(str::to_owned).into();
    columns.extend(task.measures());
    columns.extend(task.columns());
    columns
}

#[cfg(test)]
mod tests;
