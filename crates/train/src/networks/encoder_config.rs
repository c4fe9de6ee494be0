//! Which encoder: what an experiment chooses, and what encoder files and model files record.

use super::resnet::{ResNetConfig, Variant};
use super::se_resnet_config::SeResNetConfig;
use super::swin_config::SwinConfig;
use super::vit::VitConfig;
use matssl_data::MOST_CHANNELS;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// An encoder of any architecture. As JSON it is the table of its own configuration, whose `arch` names the architecture:
/// `{"arch":"resnet50","width":64,"variant":"v1.5"}`.
///
/// A new architecture adds a variant here, its words in [`ARCHS`], and an arm to [`EncoderConfig::on`] and to what follows it;
/// then a variant in `encoder.rs`, where the network is.
#[derive(Clone, Debug, PartialEq)]
pub enum EncoderConfig {
    /// A ResNet.
    ResNet(ResNetConfig),
    /// An SE-ResNet or SE-ResNeXt.
    SeResNet(SeResNetConfig),
    /// DINOv2's vision transformer.
    Vit(VitConfig),
    /// A Swin transformer.
    Swin(SwinConfig),
}

/// The configuration of one architecture, as a JSON object beside its `arch`.
struct Family {
    /// Words of `arch`.
    words: &'static [&'static str],
    /// The other options that an experiment may set.
    options: &'static [&'static str],
    read: fn(Value) -> Result<EncoderConfig, serde_json::Error>,
}

/// All architectures, in the order in which messages list them.
const FAMILIES: [Family; 4] = [
    Family {
        words: &["resnet18", "resnet34", "resnet50", "resnet101"],
        options: &["width", "variant", "in_channels"],
        read: |value| serde_json::from_value(value).map(EncoderConfig::ResNet),
    },
    Family {
        words: &["se-resnet50", "se-resnext50"],
        options: &["width", "in_channels"],
        read: |value| serde_json::from_value(value).map(EncoderConfig::SeResNet),
    },
    Family {
        words: &["swin-tiny"],
        options: &["width", "depths", "heads", "window", "drop_path", "mlp", "in_channels"],
        read: |value| serde_json::from_value(value).map(EncoderConfig::Swin),
    },
    Family {
        words: &["dinov2-small", "dinov2-small-reg"],
        options: &["width", "depth", "heads", "grid", "in_channels"],
        read: |value| serde_json::from_value(value).map(EncoderConfig::Vit),
    },
];

impl EncoderConfig {
    /// The words of `arch`.
    pub fn words() -> impl Iterator<Item = &'static str> {
        FAMILIES.iter().flat_map(|family| family.words).copied()
    }

    /// The configuration that a table `{ arch = …, … }` describes, with defaults filled in.
    ///
    /// # Errors
    /// One line: an unknown architecture, an option that it does not have, or a value that it does not take.
    pub fn read(table: Value) -> Result<Self, String> {
        let Some(arch) = table.get("arch") else { return Err("missing field `arch`".into()) };
        let family = FAMILIES.iter().find(|family| arch.as_str().is_some_and(|arch| family.words.contains(&arch)));
        let Some(family) = family else {
            let words: Vec<&str> = EncoderConfig::words().collect();
            return Err(format!("there is no encoder {arch}; there are {}", words.join(", ")));
        };
        let keys = table.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        if let Some(key) = keys.into_iter().find(|key| *key != "arch" && !family.options.contains(key)) {
            let arch = arch.as_str().unwrap_or_default();
            return Err(format!("`{key}` is no option of {arch}, which has {}", listed(family.options)));
        }
        (family.read)(table).map_err(|error| error.to_string())
    }

    /// The word in an experiment.
    pub fn arch(&self) -> &'static str {
        match self {
            EncoderConfig::ResNet(config) => config.arch.name(),
            EncoderConfig::SeResNet(config) => config.arch.name(),
            EncoderConfig::Vit(config) => config.arch.name(),
            EncoderConfig::Swin(config) => config.arch.name(),
        }
    }

    /// Channels of its images.
    pub fn in_channels(&self) -> usize {
        match self {
            EncoderConfig::ResNet(config) => config.in_channels,
            EncoderConfig::SeResNet(config) => config.in_channels,
            EncoderConfig::Vit(config) => config.in_channels,
            EncoderConfig::Swin(config) => config.in_channels,
        }
    }

    /// Channels with which it begins (of the stem, or of the embedded patches); all its stages scale with them.
    pub fn width(&self) -> usize {
        match self {
            EncoderConfig::ResNet(config) => config.width,
            EncoderConfig::SeResNet(config) => config.width,
            EncoderConfig::Vit(config) => config.width,
            EncoderConfig::Swin(config) => config.width,
        }
    }

    /// Where a ResNet has its strides; `None` for others.
    pub fn variant(&self) -> Option<Variant> {
        match self {
            EncoderConfig::ResNet(config) => Some(config.variant),
            EncoderConfig::SeResNet(_) | EncoderConfig::Vit(_) => None,
            EncoderConfig::Swin(_) => None,
        }
    }

    /// Whether all of its operations have a GPU side: transformers, squeeze-and-excitation and convolutions in groups have none yet.
    pub fn runs_on_gpu(&self) -> bool {
        matches!(self, EncoderConfig::ResNet(_))
    }

    /// Whether it is a network of convolutions: these are written as ONNX, transformers not yet.
    pub fn is_convolutional(&self) -> bool {
        match self {
            EncoderConfig::ResNet(_) | EncoderConfig::SeResNet(_) => true,
            EncoderConfig::Vit(_) => false,
            EncoderConfig::Swin(_) => false,
        }
    }

    /// Whether its five features have the strides 2, 4, 8, 16 and 32, as the decoders of U-Net and U-Net++ need them.
    pub fn has_five_features(&self) -> bool {
        match self {
            EncoderConfig::ResNet(_) | EncoderConfig::SeResNet(_) => true,
            EncoderConfig::Vit(_) => false,
            EncoderConfig::Swin(_) => false,
        }
    }

    /// Whether it has four stages, of strides 4, 8, 16 and 32.
    pub fn has_four_stages(&self) -> bool {
        match self {
            EncoderConfig::ResNet(_) | EncoderConfig::SeResNet(_) | EncoderConfig::Swin(_) => true,
            EncoderConfig::Vit(_) => false,
        }
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// One line with the values that are allowed.
    pub fn check(&self) -> Result<(), String> {
        match self {
            EncoderConfig::ResNet(config) if !(1..=1024).contains(&config.width) => {
                return Err(format!("width = {}; expected 1 to 1024 (64 in every published network)", config.width));
            }
            EncoderConfig::SeResNet(config) => config.check()?,
            EncoderConfig::Vit(config) => config.check()?,
            EncoderConfig::ResNet(_) => {}
            EncoderConfig::Swin(config) => config.check()?,
        }
        if !(1..=MOST_CHANNELS).contains(&self.in_channels()) {
            return Err(format!("in_channels = {}; expected 1 to {MOST_CHANNELS}", self.in_channels()));
        }
        Ok(())
    }

    /// Checks that it takes images whose sides are `side` pixels.
    ///
    /// # Errors
    /// One line with the sides that it takes.
    pub fn check_side(&self, side: usize) -> Result<(), String> {
        match self {
            EncoderConfig::ResNet(_) | EncoderConfig::SeResNet(_) | EncoderConfig::Vit(_) => Ok(()),
            EncoderConfig::Swin(config) => config.check_sides(side, side),
        }
    }
}

/// `a, b and c`, in code's quotes.
fn listed(options: &[&str]) -> String {
    let quoted: Vec<String> = options.iter().map(|option| format!("`{option}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "no other".into(),
    }
}

impl From<ResNetConfig> for EncoderConfig {
    fn from(config: ResNetConfig) -> Self {
        EncoderConfig::ResNet(config)
    }
}

impl From<SeResNetConfig> for EncoderConfig {
    fn from(config: SeResNetConfig) -> Self {
        EncoderConfig::SeResNet(config)
    }
}

impl From<VitConfig> for EncoderConfig {
    fn from(config: VitConfig) -> Self {
        EncoderConfig::Vit(config)
    }
}

impl From<SwinConfig> for EncoderConfig {
    fn from(config: SwinConfig) -> Self {
        EncoderConfig::Swin(config)
    }
}

impl Serialize for EncoderConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            EncoderConfig::ResNet(config) => config.serialize(serializer),
            EncoderConfig::SeResNet(config) => config.serialize(serializer),
            EncoderConfig::Vit(config) => config.serialize(serializer),
            EncoderConfig::Swin(config) => config.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EncoderConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EncoderConfig::read(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a ResNet's configuration are those of before there were other encoders.
    #[test]
    fn a_resnet_is_written_as_it_was() {
        for text in [
            r#"{"arch":"resnet18","width":16,"variant":"v1.5"}"#,
            r#"{"arch":"resnet50","width":64,"variant":"v1","in_channels":2}"#,
        ] {
            let config: EncoderConfig = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&config).unwrap(), text);
        }
    }

    #[test]
    fn what_an_architecture_does_not_know_is_refused() {
        for (text, expected) in [
            (r#"{"arch":"resnet51"}"#, "there is no encoder \"resnet51\"; there are resnet18, resnet34, resnet50"),
            (
                r#"{"arch":"resnet18","window":7}"#,
                "`window` is no option of resnet18, which has `width`, `variant` and `in_channels`",
            ),
            (r#"{"arch":"resnet18","variant":"v2"}"#, "unknown variant `v2`"),
            (r#"{"width":16}"#, "missing field `arch`"),
        ] {
            let error = serde_json::from_str::<EncoderConfig>(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
