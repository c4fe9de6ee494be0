use super::*;
use crate::train::{EpochEnd, Step};
use candle_core::{DType, Device, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Gradients, Role};
use std::path::Path;

/// Fits y = ⟨w, x⟩ to noisy lines; a buffer counts its steps.
struct Lines {
    parameters: Parameters,
    /// Whether an epoch is one step of three batches instead of three steps.
    joined: bool,
    /// w before each step, and at the end of each epoch.
    seen: [Vec<Tensor>; 2],
    /// The (epoch, step) that yields a NaN: the training stops there, as on a killed machine.
    breaks_at: Option<(u64, u64)>,
    taken: (u64, u64),
}

impl Lines {
    fn new(breaks_at: Option<(u64, u64)>) -> Self {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        let start = Tensor::zeros((1, 40_000), DType::F32, &Device::Cpu).unwrap();
        parameters.insert("w", start, Role::LinearWeight).unwrap();
        parameters.insert("steps", Tensor::new(0f32, &Device::Cpu).unwrap(), Role::Buffer).unwrap();
        Lines { parameters, joined: false, seen: [vec![], vec![]], breaks_at, taken: (0, 0) }
    }
}

impl Task for Lines {
    type Batch = (u64, u64, Tensor, Tensor);
    const LOSS: &'static str = "loss";

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        if self.joined { 1 } else { 3 }
    }

    fn batches(&self, epoch: u64, from: u64) -> Result<Box<dyn Iterator<Item = Result<Self::Batch>>>> {
        let batch = move |step| {
            let mut stream = Stream::new(0, "lines", epoch, step);
            let x: Vec<f32> = (0..2 * 40_000).map(|_| stream.normal() as f32 * 0.05).collect();
            let x = Tensor::from_vec(x, (2, 40_000), &Device::Cpu)?;
            let y = (x.sum_keepdim(1)? + 0.01)?;
            Ok((epoch, step, x, y))
        };
        if self.joined {
            let three = (0..3).map(batch).collect::<Result<Vec<_>>>()?;
            let (x, y): (Vec<Tensor>, Vec<Tensor>) = three.into_iter().map(|(_, _, x, y)| (x, y)).unzip();
            return Ok(Box::new(std::iter::once(Ok((epoch, 0, Tensor::cat(&x, 0)?, Tensor::cat(&y, 0)?)))));
        }
        Ok(Box::new((from..3).map(batch)))
    }

    fn step(&mut self, (epoch, step, x, y): Self::Batch) -> Result<Step> {
        let w = &self.parameters.get("w")?.var;
        self.seen[0].push(w.as_detached_tensor().copy()?);
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
        self.seen[1].push(self.parameters.tensor("w")?.copy()?);
        let score = [0.1, 0.2, 0.7, 0.3, 0.7].get(epoch as usize).copied();
        Ok(EpochEnd { values: vec![score], score, note: None })
    }
}

fn training(folder: &Path, optimizer: OptimizerSpec) -> Training {
    Training {
        epochs: 5,
        optimizer,
        schedule: serde_json::from_str(r#"{"name":"cosine","warmup_epochs":1}"#).unwrap(),
        accumulate: NonZeroU64::MIN,
        ema: None,
        checkpoint: folder.into(),
        checkpoint_share: f64::INFINITY,
        checkpoint_wait: Duration::MAX,
        fingerprint: "lines".into(),
        asked: Asked::default(),
        patience: None,
        patience_from: 0,
    }
}

const SGD: OptimizerSpec = OptimizerSpec::sgd(0.01, 0.9, 1e-4);
const ADAM: OptimizerSpec = OptimizerSpec::adam(0.01, 1e-4);

/// Weights, the buffer, the history.
type Bits = (Vec<u32>, f32, String);

fn bits(task: &Lines, outcome: &Outcome) -> Bits {
    let w = task.parameters.tensor("w").unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let steps = task.parameters.tensor("steps").unwrap().to_scalar().unwrap();
    (w.into_iter().map(f32::to_bits).collect(), steps, outcome.history.to_csv().unwrap())
}

/// Trainings with more state in a checkpoint.
fn configurations(folder: &Path) -> [Training; 4] {
    let clipped_lars = "name = 'lars'\nlearning_rate = 1.0\nweight_decay = 1e-4\nclip_norm = 0.5";
    [
        training(folder, SGD),
        training(folder, ADAM),
        Training { ema: Some(0.9), accumulate: TWO, ..training(folder, ADAM) },
        Training { ema: Some(0.5), ..training(folder, toml::from_str(clipped_lars).unwrap()) },
    ]
}

const TWO: NonZeroU64 = NonZeroU64::new(2).unwrap();

/// The final parameters, and those of the best epoch.
fn uninterrupted(training: &Training) -> (Bits, Bits) {
    let folder = tempfile::tempdir().unwrap();
    let training = Training { checkpoint: folder.path().into(), ..training.clone() };
    let mut task = Lines::new(None);
    let outcome = training.run(&mut task, &mut |_| ()).unwrap();
    let last = bits(&task, &outcome);
    outcome.best.as_ref().unwrap().restore(&task.parameters).unwrap();
    (last, bits(&task, &outcome))
}

/// Stops each kind of training at `breaks_at` and resumes it; `resumed` is where it must resume.
fn check_stopped_and_resumed(
    wait: Duration,
    breaks_at: [(u64, u64); 3],
    resumed: impl Fn(&Training, (u64, u64)) -> (u64, u64),
) {
    for way in 0..4 {
        let (last, best) = uninterrupted(&configurations(Path::new(""))[way]);
        assert_eq!((last.1, best.1), (15.0, 9.0), "the first of two best epochs is kept");
        for breaks_at in breaks_at {
            let folder = tempfile::tempdir().unwrap();
            let again = || Training { checkpoint_wait: wait, ..configurations(folder.path())[way].clone() };
            assert!(again().run(&mut Lines::new(Some(breaks_at)), &mut |_| ()).is_err());
            let mut task = Lines::new(None);
            let outcome = again().run(&mut task, &mut |_| ()).unwrap();
            assert_eq!((outcome.resumed_epochs, outcome.resumed_steps), resumed(&again(), breaks_at));
            assert!(bits(&task, &outcome) == last, "{way} {breaks_at:?}");
            outcome.best.as_ref().unwrap().restore(&task.parameters).unwrap();
            assert!(bits(&task, &outcome) == best, "{way} {breaks_at:?}");
        }
    }
}

#[test]
fn a_training_stopped_and_resumed_is_the_same_bits() {
    check_stopped_and_resumed(Duration::MAX, [(1, 0), (3, 2), (4, 1)], |_, (epoch, _)| (epoch, 0));
}

#[test]
fn a_training_stopped_inside_an_epoch_and_resumed_there_is_the_same_bits() {
    // There is no checkpoint while gradients are pending.
    let resumed = |training: &Training, (epoch, step)| (epoch, step - step % training.accumulate);
    check_stopped_and_resumed(Duration::ZERO, [(0, 1), (3, 2), (4, 1)], resumed);
}

fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let norm = |t: &Tensor| f64::from(t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).sqrt();
    norm(&(a - b).unwrap()) / norm(b)
}

fn column(outcome: &Outcome, name: &str) -> Vec<f64> {
    outcome.history.column(name).unwrap().into_iter().flatten().collect()
}

#[test]
fn accumulated_gradients_are_those_of_one_large_batch() {
    let clipped = "name = 'adamw'\nlearning_rate = 0.01\nclip_norm = 1.0";
    for optimizer in [SGD, toml::from_str(clipped).unwrap()] {
        let run = |joined: bool, accumulate: u64| {
            let folder = tempfile::tempdir().unwrap();
            let accumulate = NonZeroU64::new(accumulate).unwrap();
            let training = Training { accumulate, ..training(folder.path(), optimizer) };
            let mut task = Lines { joined, ..Lines::new(None) };
            let outcome = training.run(&mut task, &mut |_| ()).unwrap();
            (task.parameters.tensor("w").unwrap().clone(), outcome)
        };
        let ((one, of_one), (joined, of_joined), (more, _)) = (run(false, 3), run(true, 1), run(false, 7));
        assert!(relative(&one, &joined) < 1e-5, "{}", relative(&one, &joined));
        assert_eq!(relative(&more, &one), 0.0, "an epoch's end is an update");
        assert_eq!(column(&of_one, "learning_rate"), column(&of_joined, "learning_rate"));
        for name in ["loss", "gradient_norm"] {
            let pairs = column(&of_one, name).into_iter().zip(column(&of_joined, name));
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-5 * b, "{name}: {a} {b}"));
        }
    }
}

#[test]
fn averaged_weights_are_validated_and_kept_and_change_nothing_else() {
    let run = |ema| {
        let folder = tempfile::tempdir().unwrap();
        let mut task = Lines::new(None);
        let outcome = Training { ema, ..training(folder.path(), SGD) }.run(&mut task, &mut |_| ()).unwrap();
        (task, outcome)
    };
    let ((task, outcome), (plain, of_plain)) = (run(Some(0.4)), run(None));
    assert_eq!(outcome.history, of_plain.history);
    // The weights after an update are those before the next; after the last, those of a training without averages.
    let last = plain.parameters.tensor("w").unwrap();
    let weights: Vec<&Tensor> = task.seen[0].iter().skip(1).chain([last]).collect();
    let mut average = task.seen[0][0].clone();
    for (i, weight) in weights.iter().enumerate() {
        let update = (i + 1) as f64;
        let keep = ((1.0 + update) / (10.0 + update)).min(0.4);
        average = ((average * keep).unwrap() + (*weight * (1.0 - keep)).unwrap()).unwrap();
        if update % 3.0 == 0.0 {
            let validated = &task.seen[1][i / 3];
            assert!(relative(validated, &average) < 1e-6, "{}", relative(validated, &average));
            assert!(relative(validated, weight) > 1e-3, "{}", relative(validated, weight));
        }
    }
    assert!(relative(task.parameters.tensor("w").unwrap(), &average) < 1e-6);
    let best = outcome.best.unwrap();
    best.restore(&task.parameters).unwrap();
    assert_eq!(relative(task.parameters.tensor("w").unwrap(), &task.seen[1][2]), 0.0);
    let steps = task.parameters.tensor("steps").unwrap().to_scalar::<f32>().unwrap();
    assert_eq!((best.epoch, steps), (3, 9.0), "buffers are those of the epoch");
}

#[test]
fn an_average_that_keeps_all_of_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for ema in [1.0, -0.1, f64::NAN] {
        let training = Training { ema: Some(ema), ..training(folder.path(), SGD) };
        let error = training.run(&mut Lines::new(None), &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("expected 0 ≤ ema < 1"), "{error}");
    }
}

#[test]
fn the_history_has_the_norm_before_clipping() {
    let first = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let optimizer = toml::from_str(&format!("name = 'sgd'\nlearning_rate = 1e-9\n{text}")).unwrap();
        let outcome = training(folder.path(), optimizer).run(&mut Lines::new(None), &mut |_| ()).unwrap();
        column(&outcome, "gradient_norm")[0]
    };
    let (free, clipped) = (first(""), first("clip_norm = 1e-3"));
    assert!(free > 1.0 && (free - clipped).abs() < 1e-6 * free, "{free} {clipped}");
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_reported_and_the_training_continues() {
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
    assert!(bits(&task, &outcome) == uninterrupted(&training(folder.path(), SGD)).0);
}

#[test]
fn threads_do_not_change_the_bits() {
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| configurations(Path::new("")).map(|way| uninterrupted(&way)))
    };
    assert!(with(1) == with(3));
}

#[test]
fn a_loss_that_is_no_number_names_epoch_and_step_and_leaves_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    let error = training(folder.path(), SGD)
        .run(&mut Lines::new(Some((2, 1))), &mut |event| {
            if let Event::Epoch { done, waited, .. } = event {
                assert!((0.0..=1.0).contains(&waited), "{waited}");
                last = done;
            }
        })
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("the loss is NaN in epoch 3 of 5, step 2 of 3"), "{error}");
    assert_eq!(last, 2);
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
        // Only requested checkpoints.
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
        assert_eq!(error, format!("stopped by a signal after {place}; the next run resumes from there"));
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
fn a_training_without_progress_stops_early_also_when_resumed() {
    let folder = tempfile::tempdir().unwrap();
    // The third epoch of five scores best.
    let patient = |epochs| Training { patience: NonZeroU64::new(epochs), ..training(folder.path(), SGD) };
    let run = |training: Training| training.run(&mut Lines::new(None), &mut |_| ()).unwrap();
    let outcome = run(patient(1));
    assert_eq!((outcome.history.epochs(), outcome.best.unwrap().epoch), (4, 3));
    let again = run(patient(1));
    assert_eq!((again.history.epochs(), again.resumed_epochs), (4, 3));
    assert_eq!(run(patient(2)).history.epochs(), 5);
}

#[test]
fn epochs_that_do_not_count_do_not_end_a_training() {
    // The third epoch of five scores best.
    let epochs = |patience_from| {
        let folder = tempfile::tempdir().unwrap();
        let training = Training { patience: NonZeroU64::new(1), patience_from, ..training(folder.path(), SGD) };
        training.run(&mut Lines::new(None), &mut |_| ()).unwrap().history.epochs()
    };
    assert_eq!([0, 3, 4].map(epochs), [4, 4, 5]);
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
fn a_finished_checkpoint_of_another_training_is_reported_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    training(folder.path(), SGD).run(&mut Lines::new(None), &mut |_| ()).unwrap();
    let mut messages = 0;
    let other = Training { fingerprint: "others".into(), ..training(folder.path(), SGD) };
    let mut watch = |event: Event<'_>| messages += usize::from(matches!(event, Event::Message(_)));
    assert_eq!(other.run(&mut Lines::new(None), &mut watch).unwrap().resumed_epochs, 0);
    assert_eq!(messages, 2);
}
