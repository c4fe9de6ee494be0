//! Swin-Unet and CS-UNet as stages: training, initial weights by file and by a pretraining, and what is refused.

use super::*;
use crate::nn::{Encoder, EncoderConfig};
use crate::stage::artifacts::EncoderFile;
use candle_core::{DType, Device};

const SWIN: &str = "arch = 'swin-tiny', width = 6, heads = 1, depths = [1, 2, 1, 1], window = 2, drop_path = 0.2";

fn swin_unet(weights: &str) -> String {
    format!(
        "dataset = '<input>'\nencoder = {{ {SWIN}, weights = {weights} }}\narchitecture = 'swin-unet'\nepochs = 4\nbatch_size = 3\n\
         crop_size = 32\ncrops_per_image = 2\noptimizer = {{ name = 'adamw', learning_rate = 0.01 }}\n"
    )
}

fn cs_unet(transformer: &str) -> String {
    format!(
        "dataset = '<input>'\nencoder = {{ arch = 'resnet18', width = 4, weights = 'random' }}\narchitecture = 'cs-unet'\n\
         transformer = {{ width = 6, heads = 1, depths = [1, 2, 1, 1], window = 2{transformer} }}\nepochs = 4\nbatch_size = 3\n\
         crop_size = 32\ncrops_per_image = 2\noptimizer = {{ name = 'adamw', learning_rate = 0.01 }}\n"
    )
}

/// Runs the stage with its weight files and a pretrained encoder, if there is one: its context, and all its tensors.
fn trained(text: &str, folder: &Path, encoder: Option<&Path>) -> (Context, Segmenter) {
    let folder = &tempfile::tempdir_in(folder).unwrap().keep();
    let mut context = context(folder, "dataset", &dataset(folder, &ALL));
    if let Some(encoder) = encoder {
        let files = BTreeMap::from([(EncoderFile::FILE.to_owned(), encoder.to_path_buf())]);
        let input = InputFiles { label: "ssl".into(), seed: None, files, source: None };
        context.inputs.insert("encoder".into(), vec![input]);
    }
    let stage = parse::<Finetune>(text).unwrap();
    for (name, path) in stage.external_files(&context.places).unwrap() {
        let digest = blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string();
        context.external.insert(name, (path, digest));
    }
    stage.run(&mut context).unwrap();
    let model = Segmenter::load(&context.out.join("model.safetensors"), &Device::Cpu).unwrap();
    (context, model)
}

fn losses(context: &Context) -> Vec<f64> {
    let text = std::fs::read_to_string(context.out.join("history.csv")).unwrap();
    History::from_csv(&text).unwrap().column("train_loss").unwrap().into_iter().flatten().collect()
}

/// A file of the Swin transformer of these tests.
fn swin_file(path: &Path, seed: u64) -> Parameters {
    let config = serde_json::json!({
        "arch": "swin-tiny", "width": 6, "heads": 1, "depths": [1, 2, 1, 1], "window": 2, "drop_path": 0.2
    });
    let config = EncoderConfig::read(config).unwrap();
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    Encoder::new(config.clone()).init(&mut parameters, "", &Stream::new(seed, "init", 0, 0)).unwrap();
    weights::save(&parameters, None, path, &serde_json::to_string(&config).unwrap()).unwrap();
    parameters
}

fn values(parameters: &Parameters, name: &str) -> Vec<f32> {
    parameters.tensor(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn both_train_with_the_same_bits_for_any_number_of_threads() {
    for text in [swin_unet("'random'"), cs_unet(", drop_path = 0.2")] {
        let with = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| run(&text, &ALL)).unwrap()
        };
        let (model, history, best) = with(1);
        assert!(with(2) == (model, history.clone(), best), "{text}");
        let history = History::from_csv(&history).unwrap();
        let losses: Vec<f64> = history.column("train_loss").unwrap().into_iter().flatten().collect();
        assert!(losses[3] < losses[0], "{losses:?}");
    }
}

#[test]
fn weights_of_a_file_start_encoder_and_decoder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("swin.safetensors");
    let file = swin_file(&path, 11);
    let still = "optimizer = { name = 'sgd', learning_rate = 1e-30 }\n";
    let still = |text: String| format!("{}{still}", &text[..text.find("optimizer").unwrap()]);
    let quoted = format!("'{}'", path.display());
    let (qkv, own) = ("layers.1.blocks.1.attn.qkv.weight", "layers_up.2.blocks.1.attn.qkv.weight");

    let (context, model) = trained(&still(swin_unet(&quoted)), folder.path(), None);
    let parameters = model.network().parameters;
    assert_eq!(values(parameters, qkv), values(&file, qkv));
    assert_eq!(values(parameters, own), values(&file, qkv));
    let copied = context.telemetry["decoder_copied"].as_array().unwrap();
    assert!(copied.iter().any(|name| name == own) && copied.len() == 4 * 13, "{copied:?}");

    let text = still(format!("decoder = 'random'\n{}", swin_unet(&quoted)));
    let (context, model) = trained(&text, folder.path(), None);
    assert_ne!(values(model.network().parameters, own), values(&file, qkv));
    assert!(!context.telemetry.contains_key("decoder_copied"));

    // From a pretraining, which leaves the same file.
    let text = still(swin_unet("'random'").replace(&format!("{{ {SWIN}, weights = 'random' }}"), "'<input>'"));
    let (context, model) = trained(&text, folder.path(), Some(&path));
    assert_eq!(values(model.network().parameters, own), values(&file, qkv));
    assert!(context.telemetry.contains_key("decoder_copied"));

    // The transformer of a CS-UNet: the third layers of its blocks are not in the file.
    let text = still(cs_unet(&format!(", weights = {quoted}, allow_missing = true")));
    let (context, model) = trained(&text, folder.path(), None);
    let parameters = model.network().parameters;
    assert_eq!(values(parameters, &format!("encoder.{qkv}")), values(&file, qkv));
    assert_eq!(values(parameters, &format!("decoder.{own}")), values(&file, qkv));
    let missing = context.telemetry["missing_transformer_weights"].as_array().unwrap();
    assert!(
        missing.len() == 2 * 5 && missing.iter().all(|name| name.as_str().unwrap().contains("mlp.fc3.")),
        "{missing:?}"
    );
    assert!(losses(&context).iter().all(|loss| loss.is_finite()));

    // Windows of another size.
    let text = still(swin_unet(&quoted).replace("window = 2", "window = 4"));
    let (context, model) = trained(&text, folder.path(), None);
    let table = "layers.1.blocks.1.attn.relative_position_bias_table";
    assert_eq!(values(model.network().parameters, table).len(), 49 * 2);
    assert_eq!(context.telemetry["weights_resized"].as_array().unwrap().len(), 5);
    let found = context.telemetry["weights_found"].as_str().unwrap();
    assert!(found.contains("5 tables of position biases interpolated from windows of 2 to windows of 4"), "{found}");
}

#[test]
fn what_does_not_fit_is_refused_before_work_starts() {
    let swin = swin_unet("'random'");
    for (text, expected) in [
        (
            swin.replace("'swin-unet'", "'unet++'"),
            "U-Net++ needs an encoder with a feature of half the image's size, which swin-tiny has not",
        ),
        (
            TOY.replace("decoder_channels = [8, 8, 8, 4, 4]", "architecture = 'swin-unet'"),
            "Swin-Unet needs a Swin transformer",
        ),
        (swin.replace("'swin-unet'", "'cs-unet'"), "CS-UNet needs a convolutional encoder"),
        (format!("{swin}transformer = {{ window = 4 }}\n"), "`transformer` is an option of CS-UNet, not of Swin-Unet"),
        (format!("{swin}freeze = true\n"), "trains its encoder and its decoder together"),
        (format!("{swin}decoder_channels = [8, 8, 8, 4, 4]\n"), "has none: leave them out"),
        (format!("{swin}decoder = 'copied'\n"), "there are no weights to copy"),
        (format!("{TOY}decoder = 'random'\n"), "has no decoder of transformer blocks"),
        (
            swin.replace("window = 2", "window = 7").replace("crop_size = 32", "crop_size = 256"),
            "choose multiples of 224 pixels, or a `window` of 8",
        ),
        (swin.replace("crop_size = 32", "crop_size = 40"), "40 is not a multiple of 32"),
        (
            cs_unet("").replace("window = 2", "window = 7").replace("crop_size = 32", "crop_size = 256"),
            "choose multiples of 224",
        ),
        (cs_unet(", drop_path = 1.0"), "drop_path = 1"),
        (cs_unet(", weights = 'micronet'"), "no weights \"micronet\" of swin-tiny are published: use \"imagenet\""),
        (format!("start = 'model'\n{}", swin_unet("'a.safetensors'")), "only its encoder can start from a file"),
    ] {
        let error = refused::<Finetune>(&text);
        assert!(error.contains(expected), "{text}\n{error}");
    }
    for (text, expected) in [
        (swin.as_str(), Some("architecture = \"swin-unet\"")),
        (&cs_unet(""), Some("architecture = \"cs-unet\"")),
        (TOY, None),
    ] {
        assert_eq!(parse::<Finetune>(text).unwrap().needs_cpu().as_deref(), expected);
    }
}
