//! How the encoder is trained, and which crops a training sees.

use super::*;
use candle_core::Device;

fn few(more: &str) -> String {
    format!("{}{more}\n", TOY.replace("epochs = 6", "epochs = 2"))
}

/// The tensors of a model, by name.
fn tensors(model: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let model = safetensors::SafeTensors::deserialize(model).unwrap();
    model.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

/// The largest change of the parameters of one model to another whose names begin with `prefix`.
fn change(one: &[u8], other: &[u8], prefix: &str) -> f32 {
    let values = |bytes: &[u8]| -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
    };
    let (one, other) = (tensors(one), tensors(other));
    let trained = |name: &&String| name.starts_with(prefix) && !name.contains("running") && !name.contains("tracked");
    let changes = one.keys().filter(trained).map(|name| {
        let pairs = values(&one[name]).into_iter().zip(values(&other[name]));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    });
    changes.fold(0.0, f32::max)
}

#[test]
fn crops_of_rare_classes_change_the_training_and_none_do_not() {
    let (plain, ..) = run(&few(""), &ALL).unwrap();
    let (rare, history, _) = run(&few("sampling = { rare = 0.5 }"), &ALL).unwrap();
    assert!(rare != plain && !history.contains("NaN"));
    assert!(run(&few("sampling = { rare = 0.0 }"), &ALL).unwrap().0 == plain);
    let json = |more: &str| serde_json::to_value(parse::<Finetune>(&few(more)).unwrap()).unwrap();
    assert_eq!(json("sampling = { rare = 0.0 }"), json(""));
    assert_eq!(json("sampling = { rare = 0.5 }")["sampling"]["rare"], 0.5);
}

/// With `select_on = 'last'` the model is that of the last epoch.
fn last(more: &str) -> Vec<u8> {
    run(&few(&format!("select_on = 'last'\n{more}")), &ALL).unwrap().0
}

/// The model before its first step.
fn start() -> Vec<u8> {
    let still = few("select_on = 'last'").replace("learning_rate = 0.01", "learning_rate = 1e-30");
    run(&still, &ALL).unwrap().0
}

#[test]
fn an_encoder_that_waits_is_trained_afterwards() {
    let start = start();
    let waiting = last("freeze_epochs = 1");
    let (encoder, decoder) = (change(&start, &waiting, "encoder."), change(&start, &waiting, "decoder."));
    assert!(encoder > 1e-3 && decoder > 1e-3, "{encoder} {decoder}");
    let never = last("freeze = true");
    assert!(change(&start, &never, "encoder.") < 1e-25);
    // Adam's first step moves a parameter by its learning rate, whenever it begins.
    let once = last("freeze_epochs = 1\nschedule = { name = 'step', every = 1, factor = 1e-3 }");
    let moved = change(&start, &once, "encoder.");
    assert!(moved > 0.95e-5 && moved < 1.05e-5, "a step of 1e-5: {moved}");
}

/// Stopped while the encoder waits or after it began, the training goes on to the same bits.
#[test]
fn a_training_whose_encoder_waits_resumes_to_the_same_bits() {
    let text = format!("{}freeze_epochs = 2\nema = 0.9\n", TOY.replace("epochs = 6", "epochs = 4"));
    let folder = tempfile::tempdir().unwrap();
    let files = dataset(folder.path(), &ALL);
    let mut context = context(folder.path(), "dataset", &files);
    let stage = parse::<Finetune>(&text).unwrap();
    let mut train = |resumed: u64| {
        stage.run(&mut context).unwrap();
        assert_eq!(context.telemetry["resumed_epochs"], resumed);
        std::fs::read(context.out.join("model.safetensors")).unwrap()
    };
    let model = train(0);
    let checkpoints = folder.path().join("checkpoint");
    let mut saved: Vec<u64> = std::fs::read_dir(&checkpoints)
        .unwrap()
        .filter_map(|file| {
            file.unwrap().file_name().to_str()?.strip_prefix("epoch-")?.strip_suffix(".json")?.parse().ok()
        })
        .collect();
    saved.sort_unstable();
    assert!(!saved.is_empty());
    for epoch in saved.into_iter().rev() {
        assert!(train(epoch) == model, "from epoch {epoch}");
        // As if a later checkpoint had never been written.
        for file in std::fs::read_dir(&checkpoints).unwrap().map(|file| file.unwrap()) {
            let name = file.file_name().into_string().unwrap();
            if name.strip_prefix("epoch-").and_then(|rest| rest.split('.').next()?.parse().ok()) >= Some(epoch) {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
    }
}

#[test]
fn an_encoder_has_its_own_learning_rate() {
    let one = |more: &str| last(&format!("{more}\nschedule = {{ name = 'one-cycle', warmup = 0.5 }}"));
    let start = start();
    let (plain, slow) = (one(""), one("encoder_learning_rate = 1e-5"));
    let (of_plain, of_slow) = (change(&start, &plain, "encoder."), change(&start, &slow, "encoder."));
    assert!(of_slow > 1e-7 && 100.0 * of_slow < of_plain, "{of_slow} {of_plain}");
    assert!(change(&start, &slow, "decoder.") > 0.1 * change(&start, &plain, "decoder."));
    let stem = "encoder.conv1.";
    let (fallen, deep) = (one("layer_decay = 0.1"), "encoder.layer4.");
    assert!(100.0 * change(&start, &fallen, stem) < change(&start, &plain, stem));
    assert!(change(&start, &fallen, deep) > 0.01 * change(&start, &plain, deep));
}

/// The running statistics of a pretrained encoder stay, its scales are trained.
#[test]
fn frozen_norms_keep_the_statistics_of_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, run(&few(""), &ALL).unwrap().0).unwrap();
    let started = tensors(&std::fs::read(&path).unwrap());
    for (more, stays) in [("encoder_norms = 'frozen'", true), ("", false)] {
        let (model, _) = run_from(&few(more), &path).unwrap();
        let model = tensors(&model);
        assert_eq!(model["encoder.bn1.running_mean"] == started["encoder.bn1.running_mean"], stays, "{more}");
        assert!(model["encoder.bn1.weight"] != started["encoder.bn1.weight"]);
        let decoder = model.keys().find(|name| name.starts_with("decoder.") && name.ends_with("running_mean")).unwrap();
        assert!(model[decoder] != started[decoder]);
    }
    assert!(Segmenter::load(&path, &Device::Cpu).is_ok());
}

#[test]
fn options_of_the_training_that_do_not_fit_are_refused() {
    for (more, expected) in [
        ("sampling = { rare = 1.5 }", "rare = 1.5 is out of range: 0 to 1"),
        ("sampling = {}", "rare"),
        ("freeze_epochs = 2", "2 epochs of 2 never train the encoder: use fewer, or `freeze = true`"),
        ("freeze_epochs = 1\nfreeze = true", "has no effect with `freeze = true`"),
        (
            "encoder_learning_rate = 0.0",
            "0 is out of range: above 0 (for an encoder that stays as it is, `freeze = true`)",
        ),
        ("encoder_learning_rate = 1e-4\nfreeze = true", "has no effect with `freeze = true`"),
        ("layer_decay = 1.5", "1.5 is out of range: above 0, up to 1"),
        ("encoder_norms = 'frozen'", "\"frozen\" needs an encoder that starts with weights"),
        ("encoder_norms = 'fixed'", "frozen"),
        ("schedule = { name = 'one-cycle', warmup_epochs = 1 }", "`warmup_epochs` is not for one-cycle"),
    ] {
        let error = refused::<Finetune>(&few(more));
        assert!(error.contains(expected), "{more}: {error}");
    }
    let swin = "dataset = '<input>'\nencoder = { arch = 'swin-tiny', weights = 'imagenet' }\narchitecture = 'linear'\nepochs = 2\n";
    let error = refused::<Finetune>(&format!("{swin}encoder_norms = 'frozen'\n"));
    assert!(error.contains("swin-tiny has no batch norms: leave it out"), "{error}");
    let unet = swin.replace("'linear'", "'swin-unet'").replace("'imagenet'", "'random'");
    let error = refused::<Finetune>(&format!("{unet}crop_size = 224\nfreeze_epochs = 1\n"));
    assert!(error.contains("trains its encoder and its decoder together: leave it out"), "{error}");
    let json = serde_json::to_value(parse::<Finetune>(&few("")).unwrap()).unwrap();
    for param in ["sampling", "freeze_epochs", "encoder_learning_rate", "encoder_norms", "layer_decay"] {
        assert!(json.get(param).is_none(), "{param}");
    }
}
