//! The one training loop.

use super::checkpoint::Checkpoints;
use super::history::History;
use super::optimizer::OptimizerSpec;
use super::schedule::ScheduleSpec;
use super::state::{Best, Running, State};
use super::task::Task;
use crate::machine::Asked;
use crate::nn::ops::gpu::{self, Row, Table};
use crate::nn::{Gradients, Parameters};
use anyhow::{Result, bail, ensure};
use candle_core::{CpuStorage, Storage};
use rayon::prelude::*;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Progress inside an epoch is told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// After so many waits a checkpoint inside an epoch is written whatever it costs.
const PATIENCE: u32 = 5;

/// How a task is trained.
#[derive(Clone, Debug)]
pub struct Training {
    /// Passes over the data.
    pub epochs: u64,
    /// Which optimiser.
    pub optimizer: OptimizerSpec,
    /// How the learning rate goes.
    pub schedule: ScheduleSpec,
    /// Folder for checkpoints; a training that finds one of its own goes on from there.
    pub checkpoint: PathBuf,
    /// The part of the time that checkpoints may take, e.g. 0.05: one is written at the end of the first epoch, then of
    /// each by which the last one's time has become no more than that.
    pub checkpoint_share: f64,
    /// The least time between a checkpoint and one inside an epoch, which keeps to the same share; after five times as
    /// long it is written in any case.
    pub checkpoint_wait: Duration,
    /// Names the training: whatever changes its result must change this. A checkpoint of another is not taken.
    pub fingerprint: String,
    /// What signals ask: a checkpoint, or one and an end.
    pub asked: Asked,
}

/// What the loop tells whoever watches.
#[derive(Debug)]
pub enum Event {
    /// Something worth a line.
    Message(String),
    /// So many steps of the epoch after `done` are taken.
    Step {
        /// Epochs done.
        done: u64,
        /// Steps done in the running epoch.
        step: u64,
        /// Steps in an epoch.
        steps: u64,
        /// Loss of the last step.
        loss: f64,
    },
    /// An epoch is over.
    Epoch {
        /// Epochs done.
        done: u64,
        /// Its mean loss.
        loss: f64,
        /// What the task says of it.
        note: Option<String>,
    },
}

/// A finished training. The task's parameters are those of the last epoch.
#[derive(Debug)]
pub struct Outcome {
    /// A row an epoch.
    pub history: History,
    /// The epoch with the highest score, if the task gives scores.
    pub best: Option<Best>,
    /// Epochs that a checkpoint spared this attempt.
    pub resumed_epochs: u64,
    /// Steps of the epoch after those, likewise.
    pub resumed_steps: u64,
    /// Checkpoints that could not be written.
    pub failed_checkpoints: u64,
    /// Wall time of this attempt.
    pub seconds: f64,
    /// Training images a second over this attempt's steps, validation not counted.
    pub images_per_second: f64,
    /// The part of those steps' time that went into waiting for batches: what a GPU stood idle at least.
    pub data_wait_share: f64,
}

impl Training {
    /// Trains `task`, from its checkpoint if there is one. On a CPU the result is the same bits for any number of
    /// threads and wherever the training was stopped and taken up, inside an epoch too. A checkpoint that cannot be
    /// written is told and costs nothing else.
    ///
    /// # Errors
    /// A loss that is not finite, with epoch and step; a task's own failures. The last checkpoint stays.
    pub fn run<T: Task>(&self, task: &mut T, watch: &mut dyn FnMut(Event)) -> Result<Outcome> {
        let start = Instant::now();
        let steps = task.steps_per_epoch();
        ensure!(steps > 0, "an epoch has no step: there is less data than one batch; give a smaller `batch_size`");
        let mut saver = Saver {
            training: self,
            checkpoints: Checkpoints::new(&self.checkpoint, &self.fingerprint),
            last: Instant::now(),
            took: Duration::ZERO,
            in_all: Duration::ZERO,
            failed: 0,
        };
        let mut state = State::new(self.optimizer, columns(task));
        if let Some(checkpoint) =
            saver.checkpoints.load(task.parameters().device(), &mut |text| watch(Event::Message(text)))?
        {
            state.restore(checkpoint, task.parameters())?;
        }
        let (resumed_epochs, resumed_steps) = (state.history.epochs() as u64, state.running.steps);
        let (mut images, mut stepping, mut waiting) = (0, Duration::ZERO, Duration::ZERO);
        for epoch in resumed_epochs..self.epochs {
            let (stepping_since, saving_before) = (Instant::now(), saver.in_all);
            let (mut row, seen, waited) = self.epoch(epoch, task, &mut state, &mut saver, watch)?;
            (images, waiting) = (images + seen, waiting + waited);
            stepping += stepping_since.elapsed().saturating_sub(saver.in_all - saving_before);
            let end = task.end_of_epoch(epoch)?;
            row.extend(end.values);
            let loss = row.get(1).copied().flatten().unwrap_or(f64::NAN);
            state.history.push(row)?;
            state.running = Running::default();
            state.keep_if_best(epoch + 1, end.score, task.parameters())?;
            watch(Event::Epoch { done: epoch + 1, loss, note: end.note });
            // What follows the last epoch takes seconds: no checkpoint for that.
            if epoch + 1 < self.epochs && (saver.is_cheap() || self.is_asked()) {
                saver.save(&state, task.parameters(), watch);
                self.stop_if_asked(epoch + 1, 0, &saver)?;
            }
        }
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

    fn is_asked(&self) -> bool {
        self.asked.stop() || self.asked.checkpoint()
    }

    /// After a checkpoint.
    fn stop_if_asked(&self, epochs: u64, steps: u64, saver: &Saver<'_>) -> Result<()> {
        ensure!(
            !self.asked.stop(),
            "stopped by a signal after {epochs} epochs and {steps} steps; {}",
            match saver.failed {
                0 => "the next run goes on from there",
                _ => "not every checkpoint could be written: the next run goes on from the last one that was",
            }
        );
        Ok(())
    }

    /// One epoch, or what is left of it: the history's first columns, the number of images, and the time spent waiting
    /// for batches.
    fn epoch<T: Task>(
        &self,
        epoch: u64,
        task: &mut T,
        state: &mut State,
        saver: &mut Saver<'_>,
        watch: &mut dyn FnMut(Event),
    ) -> Result<(Vec<Option<f64>>, u64, Duration)> {
        let steps = task.steps_per_epoch();
        let (mut learning_rate, mut images, mut told) = (0.0, 0, Instant::now());
        state.running.measures.resize(task.measures().len(), 0.0);
        let mut batches = task.batches(epoch, state.running.steps)?;
        let mut waiting = Duration::ZERO;
        loop {
            let since = Instant::now();
            let Some(batch) = batches.next() else { break };
            waiting += since.elapsed();
            let done = state.running.steps;
            let step = task.step(batch?)?;
            let norm = gradient_norm(&step.gradients)?;
            if !step.loss.is_finite() || !norm.is_finite() {
                let (what, value) = if step.loss.is_finite() { ("gradient", norm) } else { ("loss", step.loss) };
                bail!(
                    "the {what} is {value} in epoch {} of {}, step {} of {steps}: the training has diverged; try a lower \
                     learning rate or a longer warm-up",
                    epoch + 1,
                    self.epochs,
                    done + 1,
                );
            }
            if let Some(fault) = step.fault {
                bail!("in epoch {} of {}, step {} of {steps}: {fault}", epoch + 1, self.epochs, done + 1);
            }
            let rate = self.optimizer.learning_rate();
            learning_rate = self.schedule.learning_rate(rate, epoch * steps + done, steps, self.epochs);
            state.optimizer.step(task.parameters(), &step.gradients, learning_rate)?;
            let running = &mut state.running;
            running.losses += step.loss;
            running.norms += norm;
            running.measures.iter_mut().zip(&step.measures).for_each(|(sum, measure)| *sum += measure);
            running.steps += 1;
            images += step.images;
            if told.elapsed() >= TELL_EVERY {
                watch(Event::Step { done: epoch, step: done + 1, steps, loss: step.loss });
                told = Instant::now();
            }
            // The epoch's end has a checkpoint of its own.
            if done + 1 < steps && (saver.is_due_inside() || self.is_asked()) {
                saver.save(state, task.parameters(), watch);
                self.stop_if_asked(epoch, done + 1, saver)?;
            }
        }
        let running = &state.running;
        ensure!(running.steps == steps, "epoch {} had {} steps, not {steps}", epoch + 1, running.steps);
        let mean = |sum: f64| Some(sum / steps as f64);
        let mut row =
            vec![Some(((epoch + 1) * steps) as f64), mean(running.losses), Some(learning_rate), mean(running.norms)];
        row.extend(running.measures.iter().copied().map(mean));
        Ok((row, images, waiting))
    }
}

/// Writes checkpoints, and knows when the next is due.
struct Saver<'t> {
    training: &'t Training,
    checkpoints: Checkpoints,
    /// When the last one was done; at first the start.
    last: Instant,
    /// How long it took.
    took: Duration,
    /// How long all took together.
    in_all: Duration,
    failed: u64,
}

impl Saver<'_> {
    /// Whether the last one's time is no more than its share of the time since.
    fn is_cheap(&self) -> bool {
        self.took.as_secs_f64() <= self.training.checkpoint_share * self.last.elapsed().as_secs_f64()
    }

    /// Inside an epoch: after the wait, if it is cheap; after [`PATIENCE`] waits in any case.
    fn is_due_inside(&self) -> bool {
        let (since, wait) = (self.last.elapsed(), self.training.checkpoint_wait);
        since >= wait && (self.is_cheap() || since >= wait * PATIENCE)
    }

    fn save(&mut self, state: &State, parameters: &Parameters, watch: &mut dyn FnMut(Event)) {
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

/// √Σ g² over all gradients, in float64; the same bits for any number of threads.
fn gradient_norm(gradients: &Gradients) -> Result<f64> {
    let device = gradients.iter().next().map(|(_, gradient)| gradient.device().clone());
    if let Some(gpu) = device.map_or(Ok(None), |device| gpu::find(&device))? {
        let contiguous = gradients.iter().map(|(_, gradient)| gradient.contiguous()).collect::<Result<Vec<_>, _>>()?;
        let row = |gradient| Row { value: gradient, gradient, slots: [None, None] };
        let rows: Vec<Row<'_>> = contiguous.iter().map(row).collect();
        return Ok(Table::new(&*gpu, &rows)?.square_sum()?.sqrt());
    }
    /// Elements of one partial sum.
    const CHUNK: usize = 1 << 14;
    fn square_sum<T: num_traits::ToPrimitive + Sync>(values: &[T]) -> f64 {
        let square = |value: &T| value.to_f64().unwrap_or(f64::NAN).powi(2);
        let sums: Vec<f64> = values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(square).sum()).collect();
        sums.into_iter().sum()
    }
    let mut sum = 0.0;
    for (name, gradient) in gradients.iter() {
        let gradient = gradient.contiguous()?;
        let (storage, layout) = gradient.storage_and_layout();
        let (start, end) = (layout.start_offset(), layout.start_offset() + gradient.elem_count());
        sum += match &*storage {
            Storage::Cpu(CpuStorage::F32(values)) => square_sum(&values[start..end]),
            Storage::Cpu(CpuStorage::F64(values)) => square_sum(&values[start..end]),
            _ => bail!("the gradient of {name} is neither float32 nor float64"),
        };
    }
    Ok(sum.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Role;
    use crate::random::Stream;
    use crate::train::{EpochEnd, Step};
    use candle_core::{DType, Device, Tensor};
    use std::path::Path;

    /// Fits y = ⟨w, x⟩ to noisy lines; a buffer counts its steps.
    struct Lines {
        parameters: Parameters,
        /// The (epoch, step) that yields a NaN, as a machine that is killed there would stop.
        breaks_at: Option<(u64, u64)>,
        taken: (u64, u64),
    }

    impl Lines {
        fn new(breaks_at: Option<(u64, u64)>) -> Self {
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
            let start = Tensor::zeros((1, 40_000), DType::F32, &Device::Cpu).unwrap();
            parameters.insert("w", start, Role::LinearWeight).unwrap();
            parameters.insert("steps", Tensor::new(0f32, &Device::Cpu).unwrap(), Role::Buffer).unwrap();
            Lines { parameters, breaks_at, taken: (0, 0) }
        }
    }

    impl Task for Lines {
        type Batch = (u64, u64, Tensor, Tensor);
        const LOSS: &'static str = "loss";

        fn parameters(&self) -> &Parameters {
            &self.parameters
        }

        fn steps_per_epoch(&self) -> u64 {
            3
        }

        fn batches(&self, epoch: u64, from: u64) -> Result<Box<dyn Iterator<Item = Result<Self::Batch>>>> {
            Ok(Box::new((from..3).map(move |step| {
                let mut stream = Stream::new(0, "lines", epoch, step);
                let x: Vec<f32> = (0..2 * 40_000).map(|_| stream.normal() as f32 * 0.05).collect();
                let x = Tensor::from_vec(x, (2, 40_000), &Device::Cpu)?;
                let y = (x.sum_keepdim(1)? + 0.01)?;
                Ok((epoch, step, x, y))
            })))
        }

        fn step(&mut self, (epoch, step, x, y): Self::Batch) -> Result<Step> {
            let w = &self.parameters.get("w")?.var;
            let loss = (x.matmul(&w.t()?)? - y)?.sqr()?.mean_all()?;
            let mut gradients = Gradients::new();
            if let Some(gradient) = loss.backward()?.get(w) {
                gradients.add("w", gradient.clone())?;
            }
            let steps = &self.parameters.get("steps")?.var;
            steps.set(&(steps.as_detached_tensor() + 1.0)?)?;
            self.taken = (epoch, step);
            let loss = if self.breaks_at == Some((epoch, step)) { f64::NAN } else { loss.to_scalar::<f32>()?.into() };
            Ok(Step { loss, gradients, measures: vec![step as f64], images: 2, fault: None })
        }

        fn measures(&self) -> Vec<String> {
            vec!["mark".into()]
        }

        fn columns(&self) -> Vec<String> {
            vec!["score".into()]
        }

        /// The third epoch scores best, the fifth ties with it.
        fn end_of_epoch(&mut self, epoch: u64) -> Result<EpochEnd> {
            let score = [0.1, 0.2, 0.7, 0.3, 0.7].get(epoch as usize).copied();
            Ok(EpochEnd { values: vec![score], score, note: None })
        }
    }

    fn training(folder: &Path, optimizer: OptimizerSpec) -> Training {
        Training {
            epochs: 5,
            optimizer,
            schedule: serde_json::from_str(r#"{"name":"cosine","warmup_epochs":1}"#).unwrap(),
            checkpoint: folder.into(),
            checkpoint_share: f64::INFINITY,
            checkpoint_wait: Duration::MAX,
            fingerprint: "lines".into(),
            asked: Asked::default(),
        }
    }

    const SGD: OptimizerSpec = OptimizerSpec::Sgd { learning_rate: 0.01, momentum: 0.9, weight_decay: 1e-4 };
    const ADAM: OptimizerSpec = OptimizerSpec::Adam { learning_rate: 0.01, weight_decay: 1e-4 };

    /// Weights, the buffer, the history.
    type Bits = (Vec<u32>, f32, String);

    fn bits(task: &Lines, outcome: &Outcome) -> Bits {
        let w = task.parameters.tensor("w").unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let steps = task.parameters.tensor("steps").unwrap().to_scalar().unwrap();
        (w.into_iter().map(f32::to_bits).collect(), steps, outcome.history.to_csv().unwrap())
    }

    fn whole(optimizer: OptimizerSpec) -> (Bits, Bits) {
        let folder = tempfile::tempdir().unwrap();
        let mut task = Lines::new(None);
        let outcome = training(folder.path(), optimizer).run(&mut task, &mut |_| ()).unwrap();
        let last = bits(&task, &outcome);
        outcome.best.as_ref().unwrap().restore(&task.parameters).unwrap();
        (last, bits(&task, &outcome))
    }

    #[test]
    fn a_training_stopped_and_taken_up_is_the_same_bits() {
        for optimizer in [SGD, ADAM] {
            let (last, best) = whole(optimizer);
            assert_eq!((last.1, best.1), (15.0, 9.0), "the first of two best epochs is kept");
            for breaks_at in [(1, 0), (3, 2), (4, 1)] {
                let folder = tempfile::tempdir().unwrap();
                let stopped = training(folder.path(), optimizer).run(&mut Lines::new(Some(breaks_at)), &mut |_| ());
                assert!(stopped.is_err());
                let mut task = Lines::new(None);
                let outcome = training(folder.path(), optimizer).run(&mut task, &mut |_| ()).unwrap();
                assert_eq!(outcome.resumed_epochs, breaks_at.0);
                assert!(bits(&task, &outcome) == last, "{breaks_at:?}");
                outcome.best.as_ref().unwrap().restore(&task.parameters).unwrap();
                assert!(bits(&task, &outcome) == best, "{breaks_at:?}");
            }
        }
    }

    #[test]
    fn a_training_stopped_inside_an_epoch_and_taken_up_there_is_the_same_bits() {
        for optimizer in [SGD, ADAM] {
            let (last, best) = whole(optimizer);
            for breaks_at in [(0, 1), (3, 2), (4, 1)] {
                let folder = tempfile::tempdir().unwrap();
                let each_step = || Training { checkpoint_wait: Duration::ZERO, ..training(folder.path(), optimizer) };
                assert!(each_step().run(&mut Lines::new(Some(breaks_at)), &mut |_| ()).is_err());
                let mut task = Lines::new(None);
                let outcome = each_step().run(&mut task, &mut |_| ()).unwrap();
                assert_eq!((outcome.resumed_epochs, outcome.resumed_steps), breaks_at);
                assert!(bits(&task, &outcome) == last, "{breaks_at:?}");
                outcome.best.as_ref().unwrap().restore(&task.parameters).unwrap();
                assert!(bits(&task, &outcome) == best, "{breaks_at:?}");
            }
        }
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_is_told_and_the_training_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("epoch-2.safetensors/in the way")).unwrap();
        let (mut task, mut messages) = (Lines::new(None), Vec::new());
        let outcome = training(folder.path(), SGD)
            .run(&mut task, &mut |event| {
                if let Event::Message(text) = event {
                    messages.push(text);
                }
            })
            .unwrap();
        assert_eq!((outcome.failed_checkpoints, outcome.history.epochs()), (1, 5));
        assert!(messages.len() == 1 && messages[0].starts_with("a checkpoint could not be written: "), "{messages:?}");
        assert!(bits(&task, &outcome) == whole(SGD).0);
    }

    #[test]
    fn threads_do_not_change_the_bits() {
        let with = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| whole(ADAM))
        };
        assert!(with(1) == with(3));
    }

    #[test]
    fn a_loss_that_is_no_number_names_epoch_and_step_and_leaves_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        let error = training(folder.path(), SGD)
            .run(&mut Lines::new(Some((2, 1))), &mut |event| told.push(event))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("the loss is NaN in epoch 3 of 5, step 2 of 3"), "{error}");
        assert!(matches!(told.last(), Some(Event::Epoch { done: 2, .. })));
        assert!(folder.path().join("epoch-2.json").exists());
    }

    #[test]
    fn a_signal_leaves_a_checkpoint_from_which_the_rest_is_the_same() {
        let whole = tempfile::tempdir().unwrap();
        let mut task = Lines::new(None);
        let outcome = training(whole.path(), SGD).run(&mut task, &mut |_| ()).unwrap();
        let expected = bits(&task, &outcome);
        // Before the first step, and between two epochs.
        for epochs in [0, 2] {
            let folder = tempfile::tempdir().unwrap();
            // No checkpoint but those that are asked for.
            let rare = || Training { checkpoint_share: -1.0, ..training(folder.path(), SGD) };
            let stopped = rare();
            if epochs == 0 {
                stopped.asked.ask_to_stop();
            }
            let asked = stopped.asked.clone();
            let error = stopped
                .run(&mut Lines::new(None), &mut |event| match event {
                    Event::Epoch { done, .. } if done == epochs => asked.ask_to_stop(),
                    _ => {}
                })
                .unwrap_err()
                .to_string();
            let place = if epochs == 0 { "0 epochs and 1 steps" } else { "2 epochs and 0 steps" };
            assert_eq!(error, format!("stopped by a signal after {place}; the next run goes on from there"));
            let mut task = Lines::new(None);
            let outcome = rare().run(&mut task, &mut |_| ()).unwrap();
            assert_eq!((outcome.resumed_epochs, outcome.resumed_steps), if epochs == 0 { (0, 1) } else { (2, 0) });
            assert!(bits(&task, &outcome) == expected);
        }
        let folder = tempfile::tempdir().unwrap();
        let asked_once = Training { checkpoint_share: -1.0, ..training(folder.path(), SGD) };
        asked_once.asked.ask_for_checkpoint();
        asked_once.run(&mut Lines::new(None), &mut |_| ()).unwrap();
        assert!(folder.path().join("epoch-0-step-1.json").exists(), "and it went on");
    }

    #[test]
    fn the_loss_goes_down() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = training(folder.path(), SGD).run(&mut Lines::new(None), &mut |_| ()).unwrap();
        let losses: Vec<f64> = outcome.history.column("loss").unwrap().into_iter().flatten().collect();
        assert!(losses[4] < 0.5 * losses[0], "{losses:?}");
        let header = outcome.history.to_csv().unwrap();
        assert!(header.starts_with("epoch,step,loss,learning_rate,gradient_norm,mark,score\n1,3,"), "{header}");
    }

    #[test]
    fn a_finished_checkpoint_of_another_training_is_told_and_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        training(folder.path(), SGD).run(&mut Lines::new(None), &mut |_| ()).unwrap();
        let mut messages = 0;
        let other = Training { fingerprint: "others".into(), ..training(folder.path(), SGD) };
        let mut watch = |event| messages += usize::from(matches!(event, Event::Message(_)));
        assert_eq!(other.run(&mut Lines::new(None), &mut watch).unwrap().resumed_epochs, 0);
        assert_eq!(messages, 2);
    }
}
