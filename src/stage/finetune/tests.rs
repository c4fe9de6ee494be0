mod folds;
mod frozen;
mod loss;
mod recipe;
mod swin;
mod training;
mod whole_model;

pub(super) use super::super::pretrain::tests::parse;
use super::super::pretrain::tests::{context, refused};
use super::*;
use crate::data::{Entry, Manifest};
use crate::nn::{Parameters, weights};
use crate::stage::InputFiles;
use crate::stage::evaluate::Evaluate;
use crate::train::History;
use crate::train::inference::Segmenter;
use matssl_predict::reference::Reference;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const TOY: &str = "dataset = '<input>'\nencoder = { arch = 'resnet18', width = 4, weights = 'random' }\n\
    decoder_channels = [8, 8, 8, 4, 4]\nepochs = 6\nbatch_size = 3\ncrop_size = 32\ncrops_per_image = 2\n\
    optimizer = { name = 'adam', learning_rate = 0.01 }\n";

/// Images of 48×40 pixels with a bright band where the mask is 1; one image for each of `splits`.
fn dataset(folder: &Path, splits: &[Split]) -> Vec<(&'static str, PathBuf)> {
    const NAMES: [[&str; 2]; 4] = [["0.png", "0m.png"], ["1.png", "1m.png"], ["2.png", "2m.png"], ["3.png", "3m.png"]];
    let (mut images, mut files) = (Vec::new(), Vec::new());
    for (i, (&split, [image, mask])) in splits.iter().zip(NAMES).enumerate() {
        let mut stream = Stream::new(i as u64, "finetune test", 0, 0);
        let band = |x: u32, y: u32| (x + y) / 12 % 2;
        let pixels = image::GrayImage::from_fn(48, 40, |x, y| {
            image::Luma([(60 + 100 * band(x, y)) as u8 + stream.below(40) as u8])
        });
        let labels = image::GrayImage::from_fn(48, 40, |x, y| image::Luma([band(x, y) as u8]));
        let digest = |name: &str| blake3::hash(&std::fs::read(folder.join(name)).unwrap()).to_hex().to_string();
        pixels.save(folder.join(image)).unwrap();
        labels.save(folder.join(mask)).unwrap();
        images.push(Entry {
            image: image.into(),
            image_digest: digest(image),
            mask: Some(mask.into()),
            mask_digest: Some(digest(mask)),
            width: 48,
            height: 40,
            resized_from: None,
            resampled_by: None,
            file_size: None,
            window_of: None,
            offset: None,
            pixel_size: None,
            pixel_size_from: None,
            specimen: None,
            channels: 1,
            orientation: None,
            split,
            class_pixels: vec![0, 0],
        });
        files.extend([(image, folder.join(image)), (mask, folder.join(mask))]);
    }
    let manifest = Manifest {
        annotations: None,
        format: "folder".into(),
        classes: ["dark", "bright"].map(str::to_owned).into(),
        ignore_classes: vec![],
        label_values: BTreeMap::from([(0, 0), (1, 1)]),
        label_colors: BTreeMap::new(),
        other_color: None,
        is_part: false,
        options: Default::default(),
        images,
    };
    manifest.write(folder).unwrap();
    files.push(("manifest.json", folder.join("manifest.json")));
    files
}

const ALL: [Split; 4] = [Split::Train, Split::Train, Split::Val, Split::Test];

/// Runs the stage. Returns the model, the history and the epoch that was kept.
fn run(text: &str, splits: &[Split]) -> Result<(Vec<u8>, String, Option<u64>), StageError> {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context(folder.path(), "dataset", &dataset(folder.path(), splits));
    parse::<Finetune>(text).unwrap().run(&mut context)?;
    let best = context.telemetry.get("best_epoch").and_then(serde_json::Value::as_u64);
    let history = std::fs::read_to_string(context.out.join("history.csv")).unwrap();
    let model = context.out.join("model.safetensors");
    let selection: Selection =
        serde_json::from_slice(&std::fs::read(context.out.join(Selection::FILE)).unwrap()).unwrap();
    assert_eq!(selection.on_test(), text.contains("select_on = 'test'"));
    assert!(best.is_none_or(|best| best == selection.epoch));
    assert_eq!(Segmenter::load(&model, &candle_core::Device::Cpu).unwrap().config().class_names, ["dark", "bright"]);
    Ok((std::fs::read(model).unwrap(), history, best))
}

#[test]
fn training_learns_and_does_not_depend_on_the_number_of_threads() {
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| run(TOY, &ALL)).unwrap()
    };
    let (model, text, best) = with(1);
    assert!(with(2) == (model, text.clone(), best));
    assert!(
        text.starts_with("epoch,step,train_loss,learning_rate,gradient_norm,val_loss,val_miou,iou_dark,iou_bright\n")
    );
    let history = History::from_csv(&text).unwrap();
    let column = |name: &str| history.column(name).unwrap().into_iter().flatten().collect::<Vec<f64>>();
    let (losses, scores) = (column("train_loss"), column("val_miou"));
    assert!(losses[5] < losses[0], "{text}");
    let most = scores.iter().copied().fold(0.0, f64::max);
    assert_eq!(best, scores.iter().position(|&score| score == most).map(|epoch| epoch as u64 + 1));
}

#[test]
fn the_architecture_is_saved_in_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context(folder.path(), "dataset", &dataset(folder.path(), &ALL));
    let text = TOY.replace("epochs = 6", "epochs = 1\narchitecture = 'unet'");
    parse::<Finetune>(&text).unwrap().run(&mut context).unwrap();
    let path = context.out.join("model.safetensors");
    let model = Segmenter::load(&path, &candle_core::Device::Cpu).unwrap();
    assert_eq!(model.config().network.architecture, Architecture::Unet);
    let config = weights::read_config(&path).unwrap().unwrap();
    assert!(config.starts_with(r#"{"network":{"architecture":"unet","encoder":{"#), "{config}");
}

#[test]
fn a_single_crop_joins_the_previous_batch_or_is_refused_without_one() {
    let few = TOY.replace("epochs = 6", "epochs = 1");
    let three = [Split::Train, Split::Train, Split::Train, Split::Val];
    for (batch_size, crops_per_image) in [(2, 1), (3, 1), (2, 3), (4, 1)] {
        let text = few.replace("batch_size = 3", &format!("batch_size = {batch_size}"));
        run(&text.replace("crops_per_image = 2", &format!("crops_per_image = {crops_per_image}")), &three).unwrap();
    }
    let error = run(&few.replace("batch_size = 3", "batch_size = 1"), &three).unwrap_err().to_string();
    assert!(error.starts_with("a batch of one crop of 32 pixels"), "{error}");
    run(&few.replace("batch_size = 3", "batch_size = 1").replace("crop_size = 32", "crop_size = 64"), &three).unwrap();
}

#[test]
fn images_that_select_the_epoch_are_required() {
    let without = |split: Split| ALL.map(|s| if s == split { Split::Train } else { s });
    let few = TOY.replace("epochs = 6", "epochs = 3\nvalidate_every = 2");
    let error = run(&few, &without(Split::Val)).unwrap_err().to_string();
    assert!(error.starts_with("`select_on = \"val\"` needs validation images"), "{error}");
    assert!(error.contains("add `split = { val = 0.2 }` or `val_images = […]` to the table of "), "{error}");
    let on_test = format!("{few}select_on = 'test'\n");
    assert!(run(&on_test, &without(Split::Test)).unwrap_err().to_string().contains("needs test images"));
    let (_, history, best) = run(&on_test, &without(Split::Val)).unwrap();
    let validated: Vec<bool> = history.lines().skip(1).map(|line| !line.ends_with(",,,,")).collect();
    assert_eq!(validated, [false, true, true], "every second epoch, and the last: {history}");
    assert!(best.is_some());
    let (_, _, best) = run(&format!("{few}select_on = 'last'\n"), &without(Split::Val)).unwrap();
    assert_eq!(best, None);
    let error = run(&few, &[Split::Val, Split::Val]).unwrap_err().to_string();
    assert!(error.contains("no training images"), "{error}");
}

#[test]
fn val_fraction_chooses_the_epoch() {
    let unsplit = [Split::Train, Split::Train, Split::Train, Split::Test];
    let few = TOY.replace("epochs = 6", "epochs = 2\nval_fraction = 0.34");
    let (_, history, best) = run(&few, &unsplit).unwrap();
    assert!(best.is_some() && !history.contains(",,"), "{history}");
    let error = run(&few, &ALL).unwrap_err().to_string();
    assert!(error.contains("already has validation images: remove `val_fraction`"), "{error}");
    let error = run(&few.replace("0.34", "0.1"), &unsplit).unwrap_err().to_string();
    assert!(error.contains("selects 0 of 3 training images"), "{error}");
}

#[test]
fn train_fraction_changes_the_model() {
    let few = TOY.replace("epochs = 6", "epochs = 1");
    let (all, ..) = run(&few, &ALL).unwrap();
    assert!(run(&format!("{few}train_fraction = 1.0\n"), &ALL).unwrap().0 == all);
    assert!(run(&format!("{few}train_fraction = 0.5\n"), &ALL).unwrap().0 != all);
    let error = run(&format!("{few}train_fraction = 0.1\n"), &ALL).unwrap_err().to_string();
    assert!(error.contains("leaves none of 2 training images"), "{error}");
}

#[test]
fn averaging_and_accumulation_change_the_model() {
    let few = TOY.replace("epochs = 6", "epochs = 3").replace("batch_size = 3", "batch_size = 2");
    let (plain, ..) = run(&few, &ALL).unwrap();
    for more in ["ema = 0.9\n", "accumulate = 2\n"] {
        assert!(run(&format!("{few}{more}"), &ALL).unwrap().0 != plain, "{more}");
    }
    // Recomputation does not change the result or its key.
    assert!(run(&format!("{few}recompute = true\n"), &ALL).unwrap().0 == plain);
}

#[test]
fn the_encoder_is_an_input_or_a_table_and_errors_have_spans() {
    let stage = parse::<Finetune>(&TOY.replace("encoder = {", "encoder = '<input>' #")).unwrap();
    assert_eq!(stage.encoder, Some(MaybeInput::Input(Input)));
    let json = serde_json::to_value(parse::<Finetune>(TOY).unwrap()).unwrap();
    assert_eq!((json["select_on"].as_str(), json["architecture"].as_str()), (Some("val"), Some("unet++")));
    assert_eq!(serde_json::to_value(serde_json::from_value::<Finetune>(json.clone()).unwrap()).unwrap(), json);
    for (from, to, underlined) in [
        ("'resnet18'", "'resnet19'", "'resnet19'"),
        ("width = 4", "widht = 4", "widht"),
        ("8, 8, 8, 4, 4]", "8, 8, 8, 4]", "[8, 8, 8, 4]"),
        ("epochs = 6", "epochs = 0", "0"),
        ("epochs = 6", "epochs = 6\narchitecture = 'unet+'", "'unet+'"),
    ] {
        let text = TOY.replace(from, to);
        let errors = parse::<Finetune>(&text).unwrap_err();
        let [ParamError::Mismatch(mismatch)] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(&text[mismatch.span.clone()], underlined, "{mismatch}");
    }
    let eight: Finetune = parse(&TOY.replace("batch_size = 3\n", "")).unwrap();
    assert_eq!(eight.training.batch_size.get(), 8);
    for (more, param) in [
        ("augment = { crop_size = 3 }", "augment.crop_size"),
        ("validation_overlap = 1.0", "validation_overlap"),
        ("val_fraction = 1.0", "val_fraction"),
        ("train_fraction = 0.0", "train_fraction"),
        ("train_fraction = 1.5", "train_fraction"),
        ("ema = 1.0", "ema"),
        ("patience = 3\nselect_on = 'last'", "patience"),
        ("patience = 3\nvalidate_every = 4", "patience"),
        ("schedule = { name = 'constant', warmup_epochs = 9 }", "schedule"),
    ] {
        let errors = parse::<Finetune>(&format!("{TOY}{more}")).unwrap_err();
        assert!(matches!(&errors[..], [ParamError::Check { param: p, .. }] if *p == param), "{errors:?}");
    }
    for size in ["crop_size = 40", "crop_size = 8192"] {
        let errors = parse::<Finetune>(&TOY.replace("crop_size = 32", size)).unwrap_err();
        assert!(matches!(&errors[..], [ParamError::Check { param: "crop_size", .. }]), "{errors:?}");
    }
}

/// Runs `text` from the weight file `weights`. Returns the model and the telemetry.
fn run_from(text: &str, weights: &Path) -> Result<(Vec<u8>, BTreeMap<String, serde_json::Value>), StageError> {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context(folder.path(), "dataset", &dataset(folder.path(), &ALL));
    let stage = parse::<Finetune>(&text.replace("'random'", &format!("'{}'", weights.display()))).unwrap();
    stage.ready(&context.places)?;
    for (name, path) in stage.external_files(&context.places)? {
        let digest = blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string();
        context.external.insert(name, (path, digest));
    }
    stage.run(&mut context)?;
    Ok((std::fs::read(context.out.join("model.safetensors")).unwrap(), context.telemetry))
}

/// A model's file starts an encoder, or encoder and decoder, or all of a model. With a learning rate near 0 what was loaded is
/// what is saved.
#[test]
fn a_models_file_starts_an_encoder_or_a_whole_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let one = TOY.replace("epochs = 6", "epochs = 1");
    std::fs::write(&path, run(&one, &ALL).unwrap().0).unwrap();
    let still = one.replace("learning_rate = 0.01", "learning_rate = 1e-30");
    let trained = std::fs::read(&path).unwrap();
    let trained = safetensors::SafeTensors::deserialize(&trained).unwrap();
    for (start, kept, found, beside) in [
        ("encoder", ["encoder."].as_slice(), "prefix `encoder.`", true),
        ("decoder", &["encoder.", "decoder."], "", true),
        ("model", &["encoder.", "decoder.", "segmentation_head."], "", false),
    ] {
        let (model, telemetry) = run_from(&format!("{still}start = '{start}'\n"), &path).unwrap();
        let model = safetensors::SafeTensors::deserialize(&model).unwrap();
        for (name, view) in model.iter().filter(|(name, _)| name.ends_with("conv1.weight") || name.contains("0.weight"))
        {
            let same = view.data() == trained.tensor(name).unwrap().data();
            assert_eq!(same, kept.iter().any(|part| name.starts_with(part)), "{start}: {name}");
        }
        assert_eq!(
            telemetry.get("weights_found").and_then(|found| found.as_str()).unwrap_or_default(),
            found,
            "{start}"
        );
        assert_eq!(telemetry.contains_key("weights_passed_over"), beside, "{start}");
    }
    let error = run_from(&format!("{still}start = 'model'\narchitecture = 'unet'\n"), &path).unwrap_err().to_string();
    assert!(
        error.contains("is a unet++ with decoder_channels = [8, 8, 8, 4, 4], the experiment's network a unet with"),
        "{error}"
    );
    let errors = parse::<Finetune>(&format!("{TOY}start = 'decoder'\n")).unwrap_err();
    let [ParamError::Check { param: "start", message }] = &errors[..] else { panic!("{errors:?}") };
    assert!(message.contains("needs the file of a whole model"), "{message}");
    // The same number of classes with other names.
    let mut other = std::fs::read(&path).unwrap();
    let name = other.windows(4).position(|window| window == b"dark").unwrap();
    other[name..name + 4].copy_from_slice(b"dank");
    let other_path = folder.path().join("other.safetensors");
    std::fs::write(&other_path, other).unwrap();
    let error = run_from(&format!("{still}start = 'model'\n"), &other_path).unwrap_err().to_string();
    let expected = "predicts the classes dank, bright, the data set has dark, bright: its head would";
    assert!(error.contains(expected) && error.contains("`start = \"decoder\"`"), "{error}");
    run_from(&format!("{still}start = 'decoder'\n"), &other_path).unwrap();
    // Another number of classes, and names in another order, before the run.
    let places = Places::default();
    let foreseen = |classes: &[&str], path: &Path| {
        let text = TOY.replace("'random'", &format!("'{}'", path.display()));
        let stage = parse::<Finetune>(&format!("{text}start = 'model'\n")).unwrap();
        let encoder = stage.encoder().unwrap();
        let classes: Vec<String> = classes.iter().map(|class| class.to_string()).collect();
        stage.start().foresee(encoder, &stage.config(encoder.network.clone(), classes.len()), &classes, &places)
    };
    assert_eq!(foreseen(&["dark", "bright"], &path), Ok(()));
    let error = foreseen(&["dark", "bright", "grey"], &path).unwrap_err();
    assert!(error.contains("wrong shape: segmentation_head.0.weight: [2, 4, 3, 3] instead of [3, 4, 3, 3]"), "{error}");
    assert!(error.contains("With `start = \"decoder\"` the head starts with random values"), "{error}");
    let error = foreseen(&["bright", "dark"], &path).unwrap_err();
    assert!(error.contains("predicts the classes dark, bright, the data set has bright, dark"), "{error}");
    let plain = serde_json::to_value(parse::<Finetune>(TOY).unwrap()).unwrap();
    assert!(plain.get("start").is_none() && plain["encoder"].get("key").is_none(), "old keys stay: {plain}");
}

/// All that starts from the file is checked before the run: not only the encoder.
#[test]
fn a_file_that_is_no_whole_model_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (path, places) = (folder.path().join("model.safetensors"), Places::default());
    let network = SegmentationNetwork::new(
        parse::<Finetune>(TOY).unwrap().config(serde_json::from_str(r#"{"arch":"resnet18","width":4}"#).unwrap(), 2),
    );
    let mut parameters = Parameters::new(candle_core::DType::F32, &candle_core::Device::Cpu);
    network.init(&mut parameters, &Stream::new(0, "init", 0, 0)).unwrap();
    let ready = |start: &str, part: Option<&str>, more: &str| {
        weights::save(&parameters, part, &path, "").unwrap();
        let from = format!("'{}'{more}", path.display());
        let stage = parse::<Finetune>(&format!("{}start = '{start}'\n", TOY.replace("'random'", &from))).unwrap();
        stage.checked_weights(&places).map(Option::unwrap)
    };
    let head = ["segmentation_head.0.bias", "segmentation_head.0.weight"];
    assert_eq!(ready("model", None, "").unwrap().passed_over, [""; 0]);
    assert_eq!(ready("decoder", None, "").unwrap().passed_over, head);
    for more in ["", ", allow_missing = true"] {
        for (start, part) in [("model", Some("encoder")), ("decoder", Some("encoder"))] {
            let error = ready(start, part, more).unwrap_err().to_string();
            let expected = format!("holds an encoder alone, but the experiment has `start = \"{start}\"`");
            assert!(error.contains(&expected) && error.ends_with("or set `start = \"encoder\"`"), "{error}");
        }
    }
    let var = &parameters.get("decoder.blocks.x_0_0.conv1.0.weight").unwrap().var;
    var.set(&(var.as_tensor() * f64::NAN).unwrap()).unwrap();
    let error = ready("decoder", None, "").unwrap_err().to_string();
    assert!(
        error.contains("NaN or infinite numbers in 1 of its tensors:\n  decoder.blocks.x_0_0.conv1.0.weight"),
        "{error}"
    );
    assert!(ready("encoder", None, "").is_ok());
    // Encoder and decoder, but no head.
    var.set(&var.zeros_like().unwrap()).unwrap();
    let mut without = Parameters::new(candle_core::DType::F32, &candle_core::Device::Cpu);
    for (name, parameter) in parameters.iter().filter(|(name, _)| !name.starts_with("segmentation_head")) {
        without.insert(name, parameter.var.as_tensor().clone(), parameter.role).unwrap();
    }
    weights::save(&without, None, &path, "").unwrap();
    let from = TOY.replace("'random'", &format!("'{}'", path.display()));
    let refused = |start: &str| {
        parse::<Finetune>(&format!("{from}start = '{start}'\n")).unwrap().checked_weights(&places).map(drop)
    };
    assert!(refused("decoder").is_ok());
    let error = refused("model").unwrap_err().to_string();
    assert!(error.contains("holds no head (segmentation_head.0.weight)"), "{error}");
    assert!(error.ends_with("set `start = \"decoder\"` for a new one"), "{error}");
}

/// Grey images and a network of one channel, from the encoder's pretraining to the scores.
#[test]
fn a_network_of_one_channel_is_trained_and_evaluated() {
    let text = TOY.replace("epochs = 6", "epochs = 1").replace("width = 4", "width = 4, in_channels = 1");
    let folder = tempfile::tempdir().unwrap();
    let files = dataset(folder.path(), &ALL);
    let mut trained = context(folder.path(), "dataset", &files);
    parse::<Finetune>(&text).unwrap().run(&mut trained).unwrap();
    let model = trained.out.join("model.safetensors");
    let segmenter = Segmenter::load(&model, &candle_core::Device::Cpu).unwrap();
    assert_eq!(segmenter.config().network.encoder.in_channels(), 1);
    let bytes = std::fs::read(&model).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("encoder.conv1.weight").unwrap().shape(), [4, 1, 7, 7]);
    let scored = folder.path().join("scored");
    let mut scores = context(&scored, "dataset", &files);
    let input = |name: &str, path: PathBuf| InputFiles {
        label: "model".into(),
        seed: None,
        files: [(name.to_owned(), path)].into(),
        source: None,
    };
    scores.inputs.insert("model".into(), vec![input("model.safetensors", model)]);
    let evaluate: Evaluate = parse("model = '<input>'\ndataset = '<input>'\n").unwrap();
    evaluate.run(&mut scores).unwrap();
    assert!(scores.out.join("metrics.json").is_file());
    // Images of another number of channels are told before one is read.
    let mut manifest = Manifest::read(&folder.path().join("manifest.json")).unwrap();
    manifest.images.iter_mut().for_each(|entry| entry.channels = 2);
    manifest.write(folder.path()).unwrap();
    let error = evaluate.run(&mut scores).unwrap_err().to_string();
    assert!(error.starts_with("3.png has 2 channels, but the network takes 1 channel (`in_channels = 1`)"), "{error}");
    let mut again = context(&folder.path().join("again"), "dataset", &files);
    let error = parse::<Finetune>(TOY).unwrap().run(&mut again).unwrap_err().to_string();
    assert_eq!(
        error,
        "3 of 3 images (the first is 0.png) have 2 channels, but the network takes 3 channels (`in_channels = 3`): set \
         `in_channels = 2` in the `encoder` of the training, or pick one of the channels in the data set's table, e.g. \
         `channels = [0]`"
    );
}

#[test]
fn three_channels_are_not_written_and_more_than_eight_refused() {
    let json = |text: &str| serde_json::to_string(&parse::<Finetune>(text).unwrap()).unwrap();
    let with = |in_channels: usize| TOY.replace("width = 4", &format!("width = 4, in_channels = {in_channels}"));
    assert_eq!(json(&with(3)), json(TOY));
    assert!(!json(TOY).contains("in_channels") && json(&with(2)).contains(r#""in_channels":2"#));
    for in_channels in [0, 9] {
        let errors = parse::<Finetune>(&with(in_channels)).unwrap_err();
        let [ParamError::Check { param: "encoder", message }] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(message, &format!("in_channels = {in_channels}; expected 1 to 8"));
    }
}

/// Runs the stage. Returns its reference, with the bytes of the file, and the history.
fn referenced(text: &str, splits: &[Split]) -> (Reference, Vec<u8>, History) {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context(folder.path(), "dataset", &dataset(folder.path(), splits));
    parse::<Finetune>(text).unwrap().run(&mut context).unwrap();
    let path = context.out.join(ReferenceFile::FILE);
    let history = std::fs::read_to_string(context.out.join("history.csv")).unwrap();
    (Reference::read(&path).unwrap(), std::fs::read(&path).unwrap(), History::from_csv(&history).unwrap())
}

#[test]
fn the_reference_is_of_training_and_validation_images_whatever_the_threads() {
    let text = TOY.replace("epochs = 6", "epochs = 2");
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| referenced(&text, &ALL))
    };
    let (reference, bytes, history) = with(1);
    assert!(with(2).1 == bytes, "the same bytes for any number of threads");
    let names: Vec<&str> = reference.training.iter().map(|image| image.image.as_str()).collect();
    assert_eq!((names, reference.validation.len()), (vec!["0.png", "1.png"], 1));
    let [validation] = &reference.validation[..] else { panic!("one validation image") };
    assert_eq!((validation.image.as_str(), validation.confusion.total()), ("2.png", 48 * 40));
    // Of the epoch that was kept.
    let best = history.column("val_miou").unwrap().into_iter().flatten().fold(0.0, f64::max);
    let miou = reference.scores.as_ref().unwrap().miou.unwrap();
    assert!((miou - best).abs() < 1e-12, "{miou} {best}");
    let calibration = reference.calibration.as_ref().unwrap();
    assert_eq!(calibration.pixels, 48 * 40);
    assert!(calibration.log_loss[1] <= calibration.log_loss[0], "{calibration:?}");
    // 2 × 2 patches of 32 pixels cover an image; the encoder of width 4 ends with 32 channels.
    assert!(reference.training.iter().all(|image| image.patches == 4));
    assert_eq!((reference.patch_size, reference.channels, reference.embeddings.len()), (32, 32, 8 * 32));
    assert_eq!(reference.distance.unwrap().images, 3);
    for image in reference.training.iter().map(|image| &image.statistics).chain([&validation.statistics]) {
        assert_eq!(reference.judge(image, None, false), [""; 0]);
    }
    let dark = [dark(validation.statistics[0].noise)];
    let found = reference.judge(&dark, None, false);
    assert!(found[0].starts_with("mean grey level 5.0: the 3 training and validation images have 1"), "{found:?}");
}

fn dark(noise: f64) -> matssl_predict::reference::GreyStatistics {
    matssl_predict::reference::GreyStatistics { mean: 5.0, contrast: 5.0, dark: 0.0, bright: 20.0, noise }
}

#[test]
fn test_images_calibrate_no_model() {
    let text = TOY.replace("epochs = 6", "epochs = 1");
    let (reference, ..) = referenced(&format!("{text}select_on = 'test'\n"), &ALL);
    assert!(reference.calibration.is_none() && reference.validation.is_empty() && reference.scores.is_none());
    let why = "the epochs were validated on the test images, which must not calibrate a model";
    assert_eq!(reference.without_validation.as_deref(), Some(why));
    let (reference, ..) = referenced(&format!("{text}select_on = 'last'\n"), &[Split::Train, Split::Train]);
    assert_eq!(reference.without_validation.as_deref(), Some("the data set has no validation images"));
    // Two training images: their features can be compared, their grey levels not.
    assert_eq!((reference.distance.unwrap().images, reference.usual.len()), (2, 1));
    assert!(reference.usual[0].is_none() && reference.rule().starts_with("Grey levels are not judged"));
}
