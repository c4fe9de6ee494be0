//! A fine-tuning that starts from a whole model: another stage's, or a file.

use super::*;
use crate::stage::{KnownInput, Prospect};

/// What a run leaves: the bytes of the model, the history, the telemetry.
struct Left {
    model: Vec<u8>,
    history: History,
    telemetry: BTreeMap<String, serde_json::Value>,
}

/// The optimiser that changes nothing: what was loaded is what is saved.
fn still(text: &str) -> String {
    text.replace("learning_rate = 0.01", "learning_rate = 1e-30").replace("epochs = 6", "epochs = 1")
}

/// Without what a model says itself.
fn from_model(text: &str) -> String {
    let own = |line: &&str| !line.starts_with("encoder") && !line.starts_with("decoder_channels");
    let lines: Vec<&str> = text.lines().filter(own).collect();
    format!("{}\nmodel = '<input>'\n", lines.join("\n"))
}

/// Runs `text` on the small data set with the classes `classes`, from `model` as an input or, if the text has it, from its path.
fn start(text: &str, model: &Path, classes: [&str; 2]) -> Result<Left, StageError> {
    let folder = tempfile::tempdir().unwrap();
    let files = dataset(folder.path(), &ALL);
    let mut manifest = Manifest::read(&folder.path().join("manifest.json")).unwrap();
    manifest.classes = classes.map(str::to_owned).into();
    manifest.write(folder.path()).unwrap();
    let mut context = context(folder.path(), "dataset", &files);
    let stage = parse::<Finetune>(text).unwrap();
    stage.ready(&context.places)?;
    for (name, path) in stage.external_files(&context.places)? {
        let digest = blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string();
        context.external.insert(name, (path, digest));
    }
    if stage.model_path().is_none() {
        let files = BTreeMap::from([(ModelFile::FILE.to_owned(), model.to_owned())]);
        let input = InputFiles { label: "first".into(), seed: Some(3), files, source: None };
        context.inputs.insert(MODEL.into(), vec![input]);
    }
    stage.run(&mut context)?;
    let history = std::fs::read_to_string(context.out.join("history.csv")).unwrap();
    let model = std::fs::read(context.out.join(ModelFile::FILE)).unwrap();
    Ok(Left { model, history: History::from_csv(&history).unwrap(), telemetry: context.telemetry })
}

/// A trained model of the classes dark and bright.
fn first(folder: &Path) -> PathBuf {
    let path = folder.join("model.safetensors");
    std::fs::write(&path, run(TOY, &ALL).unwrap().0).unwrap();
    path
}

/// The names of the tensors that are the same bits in both.
fn same(one: &[u8], other: &[u8], name: &str) -> bool {
    let view = |bytes: &[u8]| {
        let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
        tensors.tensor(name).unwrap().data().to_vec()
    };
    view(one) == view(other)
}

const PARTS: [&str; 3] =
    ["encoder.layer1.0.conv1.weight", "decoder.blocks.x_0_0.conv1.0.weight", "segmentation_head.0.weight"];

#[test]
fn weights_are_bit_for_bit_those_of_the_model_and_the_head_goes_by_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = first(folder.path());
    let trained = std::fs::read(&path).unwrap();
    let as_path = |text: &str| text.replace("model = '<input>'", &format!("model = '{}'", path.display()));
    for (more, classes, kept, said) in [
        ("", ["dark", "bright"], [true, true, true], "encoder, decoder and head"),
        (
            "",
            ["ferrite", "cementite"],
            [true, true, false],
            "the head is new (first predicts dark, bright; the data set has",
        ),
        ("start = 'model'\n", ["dark", "bright"], [true, true, true], "encoder, decoder and head"),
        ("start = 'decoder'\n", ["dark", "bright"], [true, true, false], "the head is new"),
        ("start = 'encoder'\n", ["dark", "bright"], [true, false, false], "the encoder; decoder and head are new"),
    ] {
        let text = format!("{}{more}", from_model(&still(TOY)));
        let left = start(&text, &path, classes).unwrap();
        let found = PARTS.map(|name| same(&left.model, &trained, name));
        assert_eq!(found, kept, "{more} {classes:?}");
        let what = left.telemetry["model_start"].as_str().unwrap();
        assert!(what.contains(said), "{what}");
        // From the same file by its path: the same model.
        let of_path = start(&as_path(&text), &path, classes).unwrap();
        assert!(of_path.model == left.model, "{more} {classes:?}");
    }
    let text = format!("{}start = 'model'\n", from_model(&still(TOY)));
    let error = start(&text, &path, ["bright", "dark"]).map(drop).unwrap_err().to_string();
    assert!(error.contains("first predicts the classes dark, bright, the data set has bright, dark"), "{error}");
    assert!(error.contains("leave out `start`"), "{error}");
}

/// Four classes of synthetic micrographs and another number on the target: tested in the run of the binary. Here: the same task under
/// other names, so that what was learnt can be seen.
#[test]
fn a_model_of_other_classes_is_a_better_start_than_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = first(folder.path());
    let classes = ["ferrite", "cementite"];
    let few = TOY.replace("epochs = 6", "epochs = 2").replace("learning_rate = 0.01", "learning_rate = 0.003");
    let from = start(&from_model(&few), &path, classes).unwrap();
    let fresh = start(&few, &path, classes).unwrap();
    let best = |left: &Left| left.history.column("val_miou").unwrap().into_iter().flatten().fold(0.0, f64::max);
    println!("from the model {:.3}, fresh {:.3}", best(&from), best(&fresh));
    assert!(best(&from) > best(&fresh) + 0.05, "{} {}", best(&from), best(&fresh));
    assert!(!fresh.telemetry.contains_key("model_start"));
}

#[test]
fn what_contradicts_the_model_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = first(folder.path());
    let of_path = |more: &str| {
        let text = from_model(TOY).replace("model = '<input>'", &format!("model = '{}'", path.display()));
        parse::<Finetune>(&format!("{text}{more}"))
            .unwrap()
            .ready(&Places::default())
            .map_err(|error| error.to_string())
    };
    assert_eq!(of_path(""), Ok(()));
    assert_eq!(of_path("architecture = 'unet++'\ndecoder_channels = [8, 8, 8, 4, 4]\n"), Ok(()));
    assert_eq!(of_path("encoder = { arch = 'resnet18', width = 4, weights = 'random' }\n"), Ok(()));
    let wrong = [
        ("architecture = 'unet'\n", "`architecture`: \"unet\", but the model "),
        ("decoder_channels = [8, 8, 8, 8, 4]\n", "but the model"),
        ("encoder = { arch = 'resnet34', width = 4, weights = 'random' }\n", "\"arch\":\"resnet34\""),
    ];
    // Of a stage that has not run, by what it will leave.
    let manifest = {
        dataset(folder.path(), &ALL);
        Manifest::read(&folder.path().join("manifest.json")).unwrap()
    };
    let network = parse::<Finetune>(TOY).unwrap();
    let network = network.config(serde_json::from_str(r#"{"arch":"resnet18","width":4}"#).unwrap(), 2);
    let places = Places::default();
    let foreseen = |more: &str, classes: [&str; 2]| {
        let stage = parse::<Finetune>(&format!("{}{more}", from_model(TOY))).unwrap();
        let training: Option<Prospect> = Outlook::Training {
            columns: None,
            classes: Some(classes.map(str::to_owned).into()),
            in_channels: Some(3),
            encoder: Some(network.encoder.clone()),
            network: Some(Box::new(network.clone())),
            seen: Vec::new(),
            has_onnx: true,
        }
        .prospect();
        let input = |role, label, prospect| KnownInput { role, label, seed: None, leaves: &[], prospect };
        let images = Some(crate::stage::images(&manifest));
        let inputs = vec![input("dataset", "steel", images), input(MODEL, "first", training)];
        stage.foresee(&Known { output: None, inputs, seed: 0, places: &places })
    };
    let right = foreseen("", ["dark", "bright"]);
    let Some(Outlook::Training { network: Some(found), .. }) = right.prospect.as_ref().and_then(|p| p.downcast_ref())
    else {
        panic!("{:?}", right.problems)
    };
    assert_eq!(**found, network);
    for (more, expected) in wrong {
        let message = of_path(more).unwrap_err();
        assert!(message.contains(expected) && message.contains("leave "), "{message}");
        let problems = foreseen(more, ["dark", "bright"]).problems;
        assert!(problems.len() == 1 && problems[0].contains("the model first"), "{problems:?}");
    }
    let problems = foreseen("start = 'model'\n", ["a", "b"]).problems;
    assert!(problems[0].contains("first predicts the classes a, b, the data set has dark, bright"), "{problems:?}");
    assert!(foreseen("", ["a", "b"]).problems.is_empty());
}

#[test]
fn options_that_have_no_effect_beside_a_model_are_refused() {
    let model = from_model(TOY);
    for (text, param, expected) in [
        (model.replace("model = '<input>'\n", ""), "encoder", "or `model`, a whole model to start from"),
        (format!("{model}encoder = '<input>'\n"), "encoder", "leave out one of them"),
        (
            format!("{model}encoder = {{ arch = 'resnet18', weights = 'a.pth' }}\n"),
            "encoder",
            "its weights come from `model`",
        ),
        (format!("{model}architecture = 'swin-unet'\n"), "architecture", "cannot start from a whole model yet"),
        (format!("{model}decoder = 'random'\n"), "decoder", "leave it out"),
        (format!("{model}crop_size = 40\n").replacen("crop_size = 32\n", "", 1), "crop_size", "not a multiple of 32"),
    ] {
        let errors = parse::<Finetune>(&text).unwrap_err();
        let [ParamError::Check { param: found, message }] = &errors[..] else { panic!("{errors:?}") };
        assert!(*found == param && message.contains(expected), "{found}: {message}");
    }
    // The keys of a training without `model` are as they were, and `start = "encoder"` is none.
    let json = |text: &str| serde_json::to_value(parse::<Finetune>(text).unwrap()).unwrap();
    let plain = json(TOY);
    assert!(plain.get("model").is_none() && plain["architecture"] == "unet++", "{plain}");
    assert_eq!(json(&format!("{TOY}start = 'encoder'\n")), plain);
    let from = json(&model);
    assert!(
        from.get("architecture").is_none() && from.get("encoder").is_none() && from["model"] == "<input>",
        "{from}"
    );
    assert_eq!(serde_json::to_value(serde_json::from_value::<Finetune>(from.clone()).unwrap()).unwrap(), from);
}

#[test]
fn a_path_that_is_no_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ready = |path: &Path| {
        let text = from_model(TOY).replace("model = '<input>'", &format!("model = '{}'", path.display()));
        parse::<Finetune>(&text).unwrap().ready(&Places::default())
    };
    let Err(StageError::NotThere(message)) = ready(&folder.path().join("gone")) else { panic!("gone") };
    assert!(message.contains("no such model; `matssl-run export"), "{message}");
    let message = ready(folder.path()).unwrap_err().to_string();
    assert!(message.contains("model.json"), "{message}");
    // Weights of another program.
    let path = folder.path().join("smp.safetensors");
    let mut parameters = Parameters::new(candle_core::DType::F32, &candle_core::Device::Cpu);
    let network = parse::<Finetune>(TOY).unwrap();
    let network = network.config(serde_json::from_str(r#"{"arch":"resnet18","width":4}"#).unwrap(), 2);
    SegmentationNetwork::new(network).init(&mut parameters, &Stream::new(0, "init", 0, 0)).unwrap();
    weights::save(&parameters, None, &path, "").unwrap();
    let Err(StageError::BadData(message)) = ready(&path) else { panic!("no description") };
    assert!(message.contains("it is no model of this program; load it by `encoder = {"), "{message}");
    // A damaged one.
    let var = &parameters.get("decoder.blocks.x_0_0.conv1.0.weight").unwrap().var;
    var.set(&(var.as_tensor() * f64::NAN).unwrap()).unwrap();
    let config = weights::read_config(&first(folder.path())).unwrap().unwrap();
    weights::save(&parameters, None, &path, &config).unwrap();
    assert!(ready(&path).unwrap_err().to_string().contains("NaN or infinite numbers"));
}
