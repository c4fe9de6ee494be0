//! A pretraining that starts from the encoder of another training.

use super::*;
use crate::nn::{Parameters, SegmentationConfig, SegmentationNetwork};
use crate::stage::artifacts::ModelFile;
use crate::train::inference::ModelConfig;
use candle_core::{DType, Device};
use matssl_metrics::SelectedOn;

fn stage(more: &str) -> Pretrain {
    parse(&format!("start_from = '<input>'\n{}", TOY.replace("width = 4", &format!("width = 4{more}")))).unwrap()
}

/// The weights of the encoder after it has started from `file`.
fn started(stage: &Pretrain, name: &str, file: &Path) -> Result<BTreeMap<String, Vec<f32>>, StageError> {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path(), START_FROM, &[(name, file.to_path_buf())]);
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    let encoder = Encoder::new(stage.encoder.network.clone());
    encoder.init(&mut parameters, ENCODER, &Stream::new(8, "encoder", 0, 0)).unwrap();
    stage.load_start(&parameters, &context)?;
    Ok(values(&parameters, ENCODER))
}

/// The tensors below `prefix`, without it.
fn values(parameters: &Parameters, prefix: &str) -> BTreeMap<String, Vec<f32>> {
    let tensors = parameters.iter().filter_map(|(name, parameter)| {
        let name = name.strip_prefix(prefix)?.strip_prefix('.')?;
        Some((
            name.to_owned(),
            parameter.var.as_tensor().to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap(),
        ))
    });
    tensors.collect()
}

#[test]
fn it_starts_from_a_pretraining_and_from_a_fine_tuned_model() {
    let (folder, stage) = (tempfile::tempdir().unwrap(), stage(""));
    let config = stage.encoder.network.clone();

    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    Encoder::new(config.clone()).init(&mut parameters, ENCODER, &Stream::new(1, "encoder", 0, 0)).unwrap();
    EncoderFile::write(&parameters, &config, folder.path()).unwrap();
    let found = started(&stage, EncoderFile::FILE, &folder.path().join(EncoderFile::FILE)).unwrap();
    assert!(found == values(&parameters, ENCODER) && found.len() > 60);

    let network = serde_json::json!({ "architecture": "unet++", "encoder": config, "classes": 2, "decoder_channels": [8, 8, 4, 4, 4] });
    let network: SegmentationConfig = serde_json::from_value(network).unwrap();
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    let model = SegmentationNetwork::new(network.clone());
    model.init(&mut parameters, &Stream::new(2, "model", 0, 0)).unwrap();
    let class_names = vec!["dark".into(), "bright".into()];
    let described = ModelConfig { network, crop_size: 32, class_names, selected_on: SelectedOn::Val, fold: None };
    ModelFile::write(&parameters, &described, folder.path()).unwrap();
    let file = folder.path().join(ModelFile::FILE);
    assert!(started(&stage, ModelFile::FILE, &file).unwrap() == values(&parameters, model.encoder_prefix()));

    let other = super::start_from::stage(", in_channels = 1");
    let StageError::BadData(message) = started(&other, ModelFile::FILE, &file).unwrap_err() else { panic!() };
    assert!(message.starts_with("`start_from`: start_from has the encoder {"), "{message}");
    assert!(message.contains("this stage {") && message.contains("\"in_channels\":1"), "{message}");
}

#[test]
fn what_does_not_fit_is_refused_and_keys_stay() {
    let text = format!("start_from = '<input>'\n{}", TOY.replace("weights = 'random'", "weights = 'a.pth'"));
    assert_eq!(
        refused::<Pretrain>(&text),
        "its weights come from `start_from`: set `weights = \"random\"`, or leave out `start_from`"
    );
    let text = TOY.replace("batch_size = 4", "batch_size = 4\ntogether = 3");
    let message = "3 neighbours do not divide a batch of 4: choose a divisor of `batch_size`";
    assert_eq!(refused::<Pretrain>(&text), message);
    assert!(parse::<Pretrain>(&text.replace("together = 3", "together = 2")).is_ok());
    let plain = serde_json::to_value(parse::<Pretrain>(TOY).unwrap()).unwrap();
    assert!(plain.get(START_FROM).is_none() && plain.get("together").is_none(), "keys stay as they were");
}
