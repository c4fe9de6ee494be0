mod start_from;
mod swin;

use super::*;
use crate::nn::ops::gpu::pretend;
use crate::stage::InputFiles;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// A context with everything below `folder` and one input.
pub(crate) fn context(folder: &Path, role: &str, files: &[(&str, PathBuf)]) -> Context {
    let (out, checkpoint) = (folder.join("out"), folder.join("checkpoint"));
    std::fs::create_dir_all(&out).unwrap();
    let files = files.iter().map(|(name, path)| ((*name).to_owned(), path.clone())).collect();
    Context {
        name: "test".into(),
        seed: 3,
        inputs: BTreeMap::from([(
            role.to_owned(),
            vec![InputFiles { label: role.into(), seed: None, files, source: None }],
        )]),
        external: BTreeMap::new(),
        out,
        scratch: None,
        threads: 1,
        log: None,
        group: Default::default(),
        mark: None,
        checkpoint,
        device: Default::default(),
        opened: None,
        places: Places::default(),
        tensorboard: None,
        asked: Default::default(),
        checkpoint_wait: std::time::Duration::MAX,
        telemetry: BTreeMap::new(),
        on_progress: Box::new(|_| ()),
    }
}

pub(crate) fn parse<S: StageKind>(text: &str) -> Result<S, Vec<ParamError>> {
    let stage = S::parse(toml::de::DeTable::parse(text).unwrap())?;
    stage.check().map_err(|error| vec![error])?;
    Ok(stage)
}

/// The one error of parameters that are refused.
pub(crate) fn refused<S: StageKind>(text: &str) -> String {
    match parse::<S>(text).map(drop).unwrap_err().remove(0) {
        ParamError::Mismatch(mismatch) => mismatch.to_string(),
        ParamError::Refused { message, .. } | ParamError::Check { message, .. } => message,
    }
}

const TOY: &str = "patches = '<input>'\nencoder = { arch = 'resnet18', width = 4, weights = 'random' }\n\
    method = { name = 'matssl', head = { hidden = 16, output = 8 } }\nepochs = 3\nbatch_size = 4\n\
    views = { jitter = 0.0, blur = 0.0 }\noptimizer = { name = 'sgd', learning_rate = 0.1 }\n\
    schedule = { name = 'cosine', min_learning_rate = 1e-3 }\n";

/// 9 patches of 32 pixels, each with its own frequency.
fn patches(folder: &Path) -> PathBuf {
    let pixel = |i: usize| {
        let (patch, y, x) = (i / 1024, i / 32 % 32, i % 32);
        (128.0 + 100.0 * ((x * (patch + 1)) as f64 * 0.2).sin() * ((y * (9 - patch)) as f64 * 0.2).cos()) as u8
    };
    let patches =
        Tensor::from_vec((0..9 * 1024).map(pixel).collect(), (9, 32, 32, 1), &candle_core::Device::Cpu).unwrap();
    let path = folder.join(Patches::FILE);
    std::fs::write(&path, safetensors::serialize([("patches", &patches)], None).unwrap()).unwrap();
    path
}

/// Runs a stage. Returns the bytes of all its outputs.
fn run(text: &str) -> Result<BTreeMap<String, Vec<u8>>, StageError> {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context(folder.path(), "patches", &[(Patches::FILE, patches(folder.path()))]);
    let stage = parse::<Pretrain>(text).unwrap();
    for (name, path) in stage.external_files(&context.places)? {
        let digest = blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string();
        context.external.insert(name, (path, digest));
    }
    stage.run(&mut context)?;
    let files = std::fs::read_dir(&context.out).unwrap().map(|entry| entry.unwrap());
    Ok(files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect())
}

/// The test stage with every method.
fn each_method() -> impl Iterator<Item = String> {
    let sizes = "head = { hidden = 16, output = 8 }";
    let more = |name| match name {
        "mocov2" => ", queue_size = 6, batch_norm_groups = 2",
        "densecl" => ", queue_size = 6",
        "byol" | "simsiam" => ", prediction_hidden = 8",
        _ => "",
    };
    crate::ssl::names().into_iter().map(move |name| {
        let method = format!("method = {{ name = '{name}', {sizes}{} }}", more(name));
        TOY.replace("method = { name = 'matssl', head = { hidden = 16, output = 8 } }", &method)
    })
}

#[test]
fn every_method_is_bit_identical_for_any_number_of_threads_and_after_a_kill() {
    for toy in each_method() {
        let with = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| run(&toy)).unwrap()
        };
        let output = with(1);
        assert!(with(3) == output, "{toy}");
        let folder = tempfile::tempdir().unwrap();
        let stage = parse::<Pretrain>(&toy).unwrap();
        let attempt = || context(folder.path(), "patches", &[(Patches::FILE, patches(folder.path()))]);
        let mut killed = attempt();
        killed.on_progress = Box::new(|progress| assert!(progress.done < 2, "killed"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run(&mut killed))).is_err());
        let mut resumed = attempt();
        stage.run(&mut resumed).unwrap();
        assert_eq!(resumed.telemetry["resumed_epochs"], 1);
        for (file, bytes) in &output {
            assert!(std::fs::read(resumed.out.join(file)).unwrap() == *bytes, "{file}: {toy}");
        }
    }
}

/// With tiny steps, because training amplifies differences.
#[test]
fn every_method_trains_on_a_gpu_as_on_the_cpu() {
    for toy in each_method() {
        let toy = toy
            .replace("learning_rate = 0.1", "learning_rate = 1e-6")
            .replace("min_learning_rate = 1e-3", "min_learning_rate = 1e-7");
        let Some(on_gpu) = pretend::on(|| run(&toy).unwrap()) else { return };
        let output = run(&toy).unwrap();
        let losses = |output: &BTreeMap<String, Vec<u8>>| -> Vec<f64> {
            let text = String::from_utf8(output[HistoryFile::FILE].clone()).unwrap();
            text.lines().skip(1).map(|row| row.split(',').nth(2).unwrap().parse().unwrap()).collect()
        };
        for (cpu, gpu) in losses(&output).into_iter().zip(losses(&on_gpu)) {
            assert!((cpu - gpu).abs() <= 1e-2 * cpu.abs().max(0.1), "{cpu} on the CPU, {gpu} on the GPU: {toy}");
        }
    }
}

#[test]
fn training_learns_and_does_not_depend_on_the_number_of_threads() {
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| run(TOY)).unwrap()
    };
    let output = with(1);
    assert!(with(2) == output);
    assert_eq!(output.keys().collect::<Vec<_>>(), [EncoderFile::FILE, HistoryFile::FILE]);
    let history = String::from_utf8(output[HistoryFile::FILE].clone()).unwrap();
    let header = "epoch,step,loss,learning_rate,gradient_norm,embedding_std,retrieval,alignment,uniformity,\
        gate_1,gate_1_std,gate_2,gate_2_std,gate_3,gate_3_std,gate_4,gate_4_std\n";
    assert!(history.starts_with(header) && history.lines().count() == 4, "{history}");
    let other = run(&TOY.replace("resnet18', width = 4", "resnet18', width = 4, variant = 'v1'")).unwrap();
    assert!(other[EncoderFile::FILE] != output[EncoderFile::FILE]);
}

#[test]
fn a_gpu_trains_as_the_cpu_and_each_resumes_checkpoints_of_the_other() {
    // Tiny steps, because larger ones amplify rounding differences: the variances are almost zero.
    let toy = &TOY.replace("learning_rate = 0.1", "learning_rate = 1e-5");
    let toy = &toy.replace("min_learning_rate = 1e-3", "min_learning_rate = 1e-6");
    let output = run(toy).unwrap();
    let Some(on_gpu) = pretend::on(|| run(toy).unwrap()) else { return };
    let column = |output: &BTreeMap<String, Vec<u8>>, name: &str| -> Vec<f64> {
        let text = String::from_utf8(output[HistoryFile::FILE].clone()).unwrap();
        let at = text.lines().next().unwrap().split(',').position(|column| column == name).unwrap();
        text.lines().skip(1).map(|row| row.split(',').nth(at).unwrap().parse().unwrap()).collect()
    };
    for (name, tolerance) in [("loss", 1e-2), ("gradient_norm", 0.1), ("embedding_std", 1e-2), ("gate_3", 1e-4)] {
        for (cpu, gpu) in column(&output, name).into_iter().zip(column(&on_gpu, name)) {
            assert!((cpu - gpu).abs() <= tolerance * cpu, "{name}: {cpu} on the CPU, {gpu} on the GPU");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let stage = parse::<Pretrain>(TOY).unwrap();
    let attempt = || context(folder.path(), "patches", &[(Patches::FILE, patches(folder.path()))]);
    let mut killed = attempt();
    killed.on_progress = Box::new(|progress| assert!(progress.done < 2, "killed"));
    let run_killed = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run(&mut killed))).is_err();
    assert!(pretend::on(run_killed).unwrap());
    let mut resumed = attempt();
    stage.run(&mut resumed).unwrap();
    assert_eq!(resumed.telemetry["resumed_epochs"], 1);
}

#[test]
fn tensorboard_has_every_epoch_once_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let stage = parse::<Pretrain>(TOY).unwrap();
    let board = folder.path().join("board");
    let attempt = || Context {
        tensorboard: Some(board.clone()),
        ..context(folder.path(), "patches", &[(Patches::FILE, patches(folder.path()))])
    };
    let mut killed = attempt();
    killed.on_progress = Box::new(|progress| assert!(progress.done < 2, "killed"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run(&mut killed))).is_err());
    let mut resumed = attempt();
    stage.run(&mut resumed).unwrap();
    assert_eq!(resumed.telemetry["resumed_epochs"], 1);
    let undisturbed = run(TOY).unwrap();
    for file in [EncoderFile::FILE, HistoryFile::FILE] {
        assert!(std::fs::read(resumed.out.join(file)).unwrap() == undisturbed[file], "{file}");
    }
    let curves: Vec<PathBuf> = std::fs::read_dir(board).unwrap().map(|file| file.unwrap().path()).collect();
    let points = |file: &PathBuf| std::fs::read(file).unwrap().windows(9).filter(|word| word == b"retrieval").count();
    assert_eq!(curves.iter().map(points).sum::<usize>(), 3, "an epoch once");
}

#[test]
fn a_tensorboard_write_error_is_reported_once_and_training_continues() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("board");
    std::fs::write(&in_the_way, "a file").unwrap();
    let (notes, received) = std::sync::mpsc::channel();
    let mut context = context(folder.path(), "patches", &[(Patches::FILE, patches(folder.path()))]);
    context.tensorboard = Some(in_the_way.join("stage"));
    context.on_progress = Box::new(move |progress| notes.send(progress.note.clone()).unwrap());
    parse::<Pretrain>(TOY).unwrap().run(&mut context).unwrap();
    let warnings: Vec<String> = received.try_iter().flatten().filter(|note| note.contains("TensorBoard")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("cannot be written: in "), "{warnings:?}");
    assert!(std::fs::read(context.out.join(EncoderFile::FILE)).unwrap() == run(TOY).unwrap()[EncoderFile::FILE]);
}

#[test]
fn a_trained_encoder_is_a_weight_file_for_the_next_stage() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("mine.safetensors");
    std::fs::write(&weights, &run(TOY).unwrap()[EncoderFile::FILE]).unwrap();
    let from = |more: &str| TOY.replace("'random'", &format!("'{}'{more}", weights.display()));
    run(&from("")).unwrap();
    let error = run(&from("").replace("width = 4", "width = 8")).unwrap_err();
    assert!(matches!(&error, StageError::BadData(message) if message.contains("conv1.weight")), "{error}");
    std::fs::remove_file(&weights).unwrap();
    assert!(matches!(run(&from("")), Err(StageError::NotThere(_))));
}

#[test]
fn a_collapsed_representation_stops_the_training() {
    // All patches are the same, and a head without batch norm cannot separate them.
    let folder = tempfile::tempdir().unwrap();
    let grey = Tensor::full(90u8, (9, 32, 32, 1), &candle_core::Device::Cpu).unwrap();
    let path = folder.path().join(Patches::FILE);
    std::fs::write(&path, safetensors::serialize([("patches", &grey)], None).unwrap()).unwrap();
    let mut context = context(folder.path(), "patches", &[(Patches::FILE, path)]);
    let method = "method = { name = 'mocov2', queue_size = 8, head = { hidden = 16, output = 8 } }";
    let text = TOY.replace("method = { name = 'matssl', head = { hidden = 16, output = 8 } }", method);
    let text =
        text.replace("views = { jitter = 0.0, blur = 0.0 }", "views = { jitter = 0.0, blur = 0.0, grayscale = 0.0 }");
    let error = parse::<Pretrain>(&text).unwrap().run(&mut context).unwrap_err().to_string();
    assert!(error.starts_with("in epoch 1 of 3, step 1 of 2: all images have the same embedding"), "{error}");
}

#[test]
fn too_few_patches_are_refused() {
    let error = run(&TOY.replace("batch_size = 4", "batch_size = 10")).unwrap_err().to_string();
    assert!(error.starts_with("9 patches do not fill one batch of 10: choose a smaller `batch_size`"), "{error}");
}

#[test]
fn divergence_is_an_error() {
    let error = run(&TOY.replace("learning_rate = 0.1", "learning_rate = 1e30")).unwrap_err().to_string();
    assert!(error.contains("of 3, step ") && error.contains("diverged"), "{error}");
}

#[test]
fn all_errors_of_a_table_are_reported_together() {
    let text = "patches = '<input>'\nencoder = { arch = 'resnet18', weights = 'random' }\nmethod = 'dino'\n\
        epochs = 3\nbatch = 4\nviews = { size = 3 }";
    let errors = parse::<Pretrain>(text).unwrap_err();
    let underlined: Vec<&str> = errors
        .iter()
        .map(|error| match error {
            ParamError::Mismatch(mismatch) => &text[mismatch.span.clone()],
            ParamError::Refused { span, .. } => &text[span.clone().unwrap()],
            ParamError::Check { param, .. } => param,
        })
        .collect();
    assert_eq!(underlined, ["views.size", "'dino'", "batch"]);
    for (from, to, param) in [
        ("batch_size = 4", "batch_size = 1", "batch_size"),
        ("name = 'matssl',", "name = 'mocov2', batch_norm_groups = 3,", "method"),
        ("name = 'matssl',", "name = 'mocov2', batch_norm_groups = 4,", "method"),
        ("jitter = 0.0", "jitter = 2.0", "views"),
        ("width = 4", "width = 0", "encoder"),
        ("epochs = 3", "epochs = 3\ncrop_size = 5000", "crop_size"),
        ("min_learning_rate = 1e-3", "min_learning_rate = 1.0", "schedule"),
    ] {
        let errors = parse::<Pretrain>(&TOY.replace(from, to)).unwrap_err();
        assert!(matches!(&errors[..], [ParamError::Check { param: p, .. }] if *p == param), "{errors:?}");
    }
}

#[test]
fn parameters_round_trip_through_json_without_the_size_of_a_view() {
    let stage = parse::<Pretrain>(TOY).unwrap();
    let json = serde_json::to_value(&stage).unwrap();
    assert_eq!(json["views"].get("size"), None);
    assert_eq!(json["method"]["gate"], "paper");
    assert_eq!(json["optimizer"]["momentum"], 0.9);
    let again: Pretrain = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), json);
}

#[test]
fn patches_of_other_channels_than_the_encoders_are_refused() {
    let one = TOY.replace("width = 4", "width = 4, in_channels = 1").replace("epochs = 3", "epochs = 1");
    let encoder = &run(&one).unwrap()[EncoderFile::FILE];
    let tensors = safetensors::SafeTensors::deserialize(encoder).unwrap();
    assert_eq!(tensors.tensor("conv1.weight").unwrap().shape(), [4, 1, 7, 7]);
    let error = run(&one.replace("in_channels = 1", "in_channels = 2")).unwrap_err().to_string();
    assert!(
        error
            .starts_with("`patches`: patches has 1 channel, but the network takes 2 channels (`in_channels = 2`): set"),
        "{error}"
    );
}
