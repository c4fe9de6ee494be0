//! The lines of Python that load a model folder into segmentation_models_pytorch and predict an image.

use super::description::ModelDescription;
use super::folder::ModelFolder;
use matssl_data::RGB;
use matssl_train::networks::{Architecture, Encoder, EncoderConfig, SegmentationConfig, Variant};
use std::fmt::Display;

/// The image that the lines read.
const IMAGE: &str = "image.png";
/// Channels of the first convolution of the published networks.
const PUBLISHED_WIDTH: usize = 64;

/// The packages that the lines import, by their names on PyPI.
pub(super) fn packages(description: &ModelDescription) -> &'static str {
    match reader(description) {
        Reader::Pillow(_) => "torch segmentation_models_pytorch safetensors numpy pillow",
        Reader::Tifffile => "torch segmentation_models_pytorch safetensors numpy tifffile",
    }
}

/// What reads an image of the network's channels.
enum Reader {
    /// Pillow, converted to this mode.
    Pillow(&'static str),
    /// tifffile, for channels that are no colours.
    Tifffile,
}

fn reader(description: &ModelDescription) -> Reader {
    match description.network.encoder.in_channels() {
        1 => Reader::Pillow("L"),
        RGB => Reader::Pillow("RGB"),
        _ => Reader::Tifffile,
    }
}

fn list(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    format!("[{}]", values.join(", "))
}

/// A ResNet of another width.
const RESNET: &str = r#"from segmentation_models_pytorch.encoders.resnet import ResNetEncoder


class Encoder(ResNetEncoder):
    """A ResNet whose first convolution has WIDTH channels, not 64; all others scale with it."""

    def _make_layer(self, block, planes, *args, **kwargs):
        if planes == 64:
            self.inplanes = WIDTH
            self.conv1 = torch.nn.Conv2d(3, WIDTH, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(WIDTH)
        return super()._make_layer(block, planes * WIDTH // 64, *args, **kwargs)
"#;

/// An SE-ResNet of another width.
const SE_RESNET: &str = r#"from segmentation_models_pytorch.encoders.senet import SENetEncoder


class Encoder(SENetEncoder):
    """An SE-ResNet whose first convolution has WIDTH channels, not 64; all others scale with it."""

    def _make_layer(self, block, planes, **kwargs):
        return super()._make_layer(block, planes * WIDTH // 64, **kwargs)
"#;

/// The class of segmentation_models_pytorch, if it has this network.
fn class(network: &SegmentationConfig) -> Option<&'static str> {
    match network.architecture {
        _ if !network.is_convolutional() => None,
        Architecture::UnetPlusPlus => Some("UnetPlusPlus"),
        Architecture::Unet => Some("Unet"),
        Architecture::Linear | Architecture::Conv | Architecture::Hypercolumn => None,
        Architecture::SwinUnet | Architecture::CsUnet => None,
    }
}

/// The lines, if segmentation_models_pytorch has the network. They run as they are in the folder of the model; `logits` and `labels`
/// are what they end with.
pub(super) fn python(description: &ModelDescription) -> Option<String> {
    let (network, encoder) = (&description.network, &description.network.encoder);
    let class = class(network)?;
    let (arch, width, in_channels) = (encoder.arch(), encoder.width(), encoder.in_channels());
    let mut text = String::from("import numpy as np\nimport segmentation_models_pytorch as smp\nimport torch\n");
    text += match reader(description) {
        Reader::Pillow(_) => "from PIL import Image\n",
        Reader::Tifffile => "import tifffile\n",
    };
    text += "from safetensors.torch import load_file\n";
    // Under a name of its own, so that models of several widths are loaded side by side.
    let published = match encoder {
        EncoderConfig::SeResNet(config) => config.arch.smp_name(),
        _ => arch,
    };
    let name = if width == PUBLISHED_WIDTH { published.to_owned() } else { format!("{published}-{width}") };
    if width != PUBLISHED_WIDTH {
        let channels = Encoder::new(encoder.clone()).channels();
        let channels = list([RGB].into_iter().chain(channels));
        let (class, stem) = match encoder {
            EncoderConfig::SeResNet(_) => {
                (SE_RESNET.replace("WIDTH", &width.to_string()), format!(", \"inplanes\": {width}"))
            }
            _ => (RESNET.replace("WIDTH", &width.to_string()), String::new()),
        };
        text += &format!(
            r#"{class}

smp.encoders.encoders["{name}"] = {{
    "encoder": Encoder,
    "params": smp.encoders.encoders["{published}"]["params"] | {{"out_channels": {channels}{stem}}},
}}
"#
        );
    }
    text += &format!(
        r#"
model = smp.{class}(
    "{name}",
    encoder_weights=None,
    decoder_channels={decoder},
    in_channels={in_channels},
    classes={classes},
)
"#,
        decoder = list(network.unet_channels()),
        classes = network.classes,
    );
    if encoder.variant() == Some(Variant::V1) {
        text += "# As the ResNet was first published: pooling without padding, and strides on the first convolution of a stage.\n";
        text += "model.encoder.maxpool = torch.nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)\n";
        text += "for stage in (model.encoder.layer2, model.encoder.layer3, model.encoder.layer4):\n";
        text += "    stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)\n";
    }
    text += &format!("model.load_state_dict(load_file(\"{}\"), strict=True)\nmodel.eval()\n\n", ModelFolder::WEIGHTS);
    text += &match reader(description) {
        Reader::Pillow(mode) => {
            format!("pixels = np.asarray(Image.open(\"{IMAGE}\").convert(\"{mode}\"), dtype=np.float32)\n")
        }
        Reader::Tifffile => {
            format!("pixels = tifffile.imread(\"{}\").astype(np.float32)\n", IMAGE.replace("png", "tif"))
        }
    };
    let normalisation = &description.normalisation;
    text += &format!(
        r#"pixels = pixels.reshape(*pixels.shape[:2], {in_channels})
pixels = (pixels / 255 - {mean}) / {std}
height, width = pixels.shape[:2]
pixels = np.pad(pixels, ((0, -height % 32), (0, -width % 32), (0, 0)), mode="reflect")  # to multiples of 32
with torch.inference_mode():
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    logits = model(batch)[0, :, :height, :width]
"#,
        mean = list(&normalisation.mean),
        std = list(&normalisation.std),
    );
    if let Some(calibration) = &description.calibration {
        text += &format!(
            "probabilities = torch.softmax(logits / {}, dim=0)  # by the temperature of the calibration\n",
            calibration.temperature
        );
    } else {
        text += "probabilities = torch.softmax(logits, dim=0)\n";
    }
    text += "labels = logits.argmax(dim=0).numpy()  # indices of the classes above\n";
    Some(text)
}
