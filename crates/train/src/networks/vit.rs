//! The vision transformer of DINOv2 (Oquab et al. 2024; with registers Darcet et al. 2024) with the names of
//! facebookresearch/dinov2 (`dinov2/models/vision_transformer.py`), as an encoder with one map of features.

use candle_core::{Result, Tensor, bail};
use matssl_base::random::Stream;
use matssl_data::{MOST_CHANNELS, RGB};
use matssl_tensor::init::{self, join};
use matssl_tensor::ops::{Conv2d, Positions};
use matssl_tensor::{Parameters, Role, Tape, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Side of a patch in pixels.
pub(super) const PATCH: usize = 14;
/// Of all layer norms.
const EPSILON: f64 = 1e-6;
/// Channels of an MLP's inner layer by channel of the network.
const MLP_RATIO: usize = 4;

/// Which vision transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VitArch {
    /// `dinov2_vits14`.
    #[serde(rename = "dinov2-small")]
    Small,
    /// `dinov2_vits14_reg`: with four registers.
    #[serde(rename = "dinov2-small-reg")]
    SmallWithRegisters,
}

impl VitArch {
    /// The word in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            VitArch::Small => "dinov2-small",
            VitArch::SmallWithRegisters => "dinov2-small-reg",
        }
    }

    fn registers(self) -> usize {
        match self {
            VitArch::Small => 0,
            VitArch::SmallWithRegisters => 4,
        }
    }

    /// As `dinov2/hub/backbones.py` sets `interpolate_antialias` and `interpolate_offset`.
    fn positions(self) -> Positions {
        match self {
            VitArch::Small => Positions::Offset,
            VitArch::SmallWithRegisters => Positions::Antialiased,
        }
    }
}

/// A vision transformer as an experiment names it. The defaults are those of ViT-S/14.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// `"dinov2-small"` or `"dinov2-small-reg"`.
    pub arch: VitArch,
    /// Channels of a token: 384.
    #[serde(default = "published_width")]
    pub width: usize,
    /// Number of blocks: 12.
    #[serde(default = "published_depth")]
    pub depth: usize,
    /// Heads of an attention: 6.
    #[serde(default = "published_heads")]
    pub heads: usize,
    /// Side of the square of patches whose positions the weights hold: 37, of images of 518 pixels.
    #[serde(default = "published_grid")]
    pub grid: usize,
    /// Channels of the images, 1 to 8. Left out if it is 3.
    #[serde(default = "rgb", skip_serializing_if = "is_rgb")]
    pub in_channels: usize,
}

fn published_width() -> usize {
    384
}

fn published_depth() -> usize {
    12
}

fn published_heads() -> usize {
    6
}

fn published_grid() -> usize {
    37
}

fn rgb() -> usize {
    RGB
}

fn is_rgb(channels: &usize) -> bool {
    *channels == RGB
}

impl VitConfig {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// One line with the values that are allowed.
    pub fn check(&self) -> std::result::Result<(), String> {
        let in_range = |name: &str, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} = {value}; expected 1 to {most}")),
        };
        in_range("width", self.width, 4096)?;
        in_range("depth", self.depth, 100)?;
        in_range("heads", self.heads, 64)?;
        in_range("grid", self.grid, 256)?;
        in_range("in_channels", self.in_channels, MOST_CHANNELS)?;
        match self.width.is_multiple_of(self.heads) {
            true => Ok(()),
            false => Err(format!("width = {} is not a multiple of heads = {}", self.width, self.heads)),
        }
    }
}

/// A vision transformer without its classifier.
#[derive(Clone, Debug)]
pub(super) struct Vit {
    config: VitConfig,
}

/// The kind of a parameter: its role and its initial values.
#[derive(Clone, Copy)]
enum Kind {
    /// Weight of a linear layer, position embeddings and tokens: normal of deviation 0.02, cut at ±2, with this role.
    Normal(Role),
    /// The kernel of the patch embedding.
    Kernel,
    Ones,
    Zeros(Role),
}

impl Vit {
    /// The network that `config` names.
    pub(super) fn new(config: VitConfig) -> Self {
        Vit { config }
    }

    /// What it was made from.
    pub(super) fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Names, shapes (PyTorch's layout) and kinds of all parameters, in the order of the published files.
    fn parameters(&self) -> Vec<(String, Vec<usize>, Kind)> {
        let VitConfig { arch, width, depth, grid, in_channels, .. } = self.config;
        let mut all = Vec::new();
        let mut add = |name: &str, shape: &[usize], kind| all.push((name.to_owned(), shape.to_vec(), kind));
        // No weight decay of tokens and positions where norms and biases have none, as timm's `no_weight_decay`.
        add("cls_token", &[1, 1, width], Kind::Normal(Role::Bias));
        add("pos_embed", &[1, 1 + grid * grid, width], Kind::Normal(Role::Bias));
        if arch.registers() > 0 {
            add("register_tokens", &[1, arch.registers(), width], Kind::Normal(Role::Bias));
        }
        // It stands for hidden patches in the pretraining, and no forward pass here reads it.
        add("mask_token", &[1, width], Kind::Zeros(Role::Buffer));
        add("patch_embed.proj.weight", &[width, in_channels, PATCH, PATCH], Kind::Kernel);
        add("patch_embed.proj.bias", &[width], Kind::Zeros(Role::Bias));
        let vectors = [("weight", Kind::Ones), ("bias", Kind::Zeros(Role::NormBias))];
        for block in (0..depth).map(|index| format!("blocks.{index}")) {
            for (part, layers) in [("1", self.attention()), ("2", self.mlp())] {
                for (vector, kind) in vectors {
                    add(&format!("{block}.norm{part}.{vector}"), &[width], kind);
                }
                for (layer, [inputs, outputs]) in layers {
                    let name = format!("{block}.{layer}");
                    add(&format!("{name}.weight"), &[outputs, inputs], Kind::Normal(Role::LinearWeight));
                    add(&format!("{name}.bias"), &[outputs], Kind::Zeros(Role::Bias));
                }
                add(&format!("{block}.ls{part}.gamma"), &[width], Kind::Ones);
            }
        }
        for (vector, kind) in vectors {
            add(&format!("norm.{vector}"), &[width], kind);
        }
        all
    }

    /// The linear layers of an attention, with their inputs and outputs.
    fn attention(&self) -> [(&'static str, [usize; 2]); 2] {
        let width = self.config.width;
        [("attn.qkv", [width, 3 * width]), ("attn.proj", [width, width])]
    }

    /// Those of an MLP.
    fn mlp(&self) -> [(&'static str, [usize; 2]); 2] {
        let width = self.config.width;
        [("mlp.fc1", [width, MLP_RATIO * width]), ("mlp.fc2", [MLP_RATIO * width, width])]
    }

    /// Names and shapes of all its tensors in PyTorch's layout, in the order of [`init`](Self::init).
    pub(super) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.parameters().into_iter().map(|(name, shape, _)| (name, shape)).collect()
    }

    /// Adds the parameters under `prefix`: as published, linear layers and positions normal with deviation 0.02, LayerScale 1.
    /// The kernel of the patch embedding is drawn as they are.
    ///
    /// # Errors
    /// If a name is taken, or a size is out of range.
    pub(super) fn init(&self, parameters: &mut Parameters, prefix: &str, stream: &Stream) -> Result<()> {
        self.config.check().map_err(candle_core::Error::msg)?;
        for (name, shape, kind) in self.parameters() {
            let (name, dtype, device) = (join(prefix, &name), parameters.dtype(), parameters.device().clone());
            match kind {
                Kind::Normal(role) => init::truncated_normal(parameters, &name, &shape, role, stream)?,
                Kind::Kernel => {
                    let stored = [PATCH, PATCH, shape[1], shape[0]];
                    init::truncated_normal(parameters, &name, &stored, Role::ConvWeight, stream)?;
                }
                Kind::Ones => parameters.insert(name, Tensor::ones(shape, dtype, &device)?, Role::NormWeight)?,
                Kind::Zeros(role) => parameters.insert(name, Tensor::zeros(shape, dtype, &device)?, role)?,
            }
        }
        Ok(())
    }

    /// The patches' tokens after the last layer norm, `[batch, rows, columns, width]`, for `x`
    /// `[batch, height, width, in_channels]`: one for each 14 × 14 pixels of the image as [`padded`](Self::padded).
    ///
    /// # Errors
    /// If parameters are missing or `x` has not `in_channels` channels.
    pub(super) fn features(&self, tape: &Tape<'_>, prefix: &str, x: &Value) -> Result<Value> {
        let (_, height, width, channels) = x.tensor().dims4()?;
        if channels != self.config.in_channels || height * width == 0 {
            bail!("a transformer for {} channels does not take {:?}", self.config.in_channels, x.tensor().dims());
        }
        let name = |name: &str| join(prefix, name);
        let ([rows, columns], kept) = Vit::padded([height, width]);
        let x = tape.pad(x, [rows, columns].map(|patches| PATCH * patches), kept)?;
        let (weight, bias) = (name("patch_embed.proj.weight"), name("patch_embed.proj.bias"));
        let patches = tape.conv2d(&x, &weight, Some(&bias), Conv2d::new(PATCH, 0))?;
        let (class, registers, table) = (name("cls_token"), name("register_tokens"), name("pos_embed"));
        let registers = (self.config.arch.registers() > 0).then_some(&*registers);
        let mut x = tape.embed_tokens(&patches, (&class, registers, &table), self.config.arch.positions())?;
        drop(patches);
        for index in 0..self.config.depth {
            x = self.block(tape, &name(&format!("blocks.{index}")), x)?;
        }
        tape.layer_norm(&tape.last_tokens(&x, [rows, columns])?, &name("norm"), EPSILON)
    }

    /// A block of pre-norm attention and MLP, each with a LayerScale, on tokens `x` `[batch, tokens, width]`.
    fn block(&self, tape: &Tape<'_>, prefix: &str, x: Value) -> Result<Value> {
        let name = |name: &str| format!("{prefix}.{name}");
        let linear = |x: &Value, layer: &str| {
            tape.linear(x, &name(&format!("{layer}.weight")), Some(&name(&format!("{layer}.bias"))))
        };
        let qkv = linear(&tape.layer_norm(&x, &name("norm1"), EPSILON)?, "attn.qkv")?;
        let attended = tape.attention(&qkv, self.config.heads)?;
        drop(qkv);
        let scaled = tape.scale(&linear(&attended, "attn.proj")?, &name("ls1.gamma"))?;
        let x = tape.keep(tape.sum(&x, &scaled)?);
        let hidden = tape.gelu(&linear(&tape.layer_norm(&x, &name("norm2"), EPSILON)?, "mlp.fc1")?)?;
        let scaled = tape.scale(&linear(&hidden, "mlp.fc2")?, &name("ls2.gamma"))?;
        Ok(tape.keep(tape.sum(&x, &scaled)?))
    }

    /// The numbers of patches of an image of `size` `[height, width]`, and where the image lies in the padded one: in its middle, with
    /// zeros (the mean colour) around it up to multiples of 14. DINOv2's own segmentation does so (`CenterPadding`): pixels keep
    /// their size, and 512 pixels have the 37 patches that the position embeddings were trained for.
    pub(super) fn padded(size: [usize; 2]) -> ([usize; 2], [Range<usize>; 2]) {
        let patches = size.map(|side| side.div_ceil(PATCH));
        let kept = [0, 1].map(|axis| {
            let before = (PATCH * patches[axis] - size[axis]) / 2;
            before..before + size[axis]
        });
        (patches, kept)
    }

    /// The layer of the parameter `name` for a learning rate that falls from the last one on, and the number of layers: 0 for the
    /// tokens, positions and patches, i + 1 for block i. None for what is after the blocks, which has the whole rate. As
    /// DINOv2's `get_vit_lr_decay_rate` and BEiT's before it.
    pub(super) fn layer(&self, name: &str) -> Option<usize> {
        match name.strip_prefix("blocks.") {
            Some(rest) => Some(rest.split('.').next()?.parse::<usize>().ok()? + 1),
            None => (!name.starts_with("norm.")).then_some(0),
        }
    }

    /// Number of layers: the last one is that of what stands on the network.
    pub(super) fn layers(&self) -> usize {
        self.config.depth + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use matssl_tensor::Mode;

    fn config(text: &str) -> VitConfig {
        serde_json::from_str(text).unwrap()
    }

    fn count(arch: &str) -> usize {
        let network = Vit::new(config(&format!(r#"{{"arch":"{arch}"}}"#)));
        network.shapes().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// The numbers of parameters of `dinov2_vits14` and `dinov2_vits14_reg`, mask token included.
    #[test]
    fn parameters_are_as_many_as_published() {
        assert_eq!(count("dinov2-small"), 22_056_576);
        assert_eq!(count("dinov2-small-reg"), 22_056_576 + 4 * 384);
        let shapes = Vit::new(config(r#"{"arch":"dinov2-small-reg"}"#)).shapes();
        assert_eq!(shapes.len(), 6 + 12 * 14 + 2);
        let shape = |name: &str| &shapes.iter().find(|(found, _)| found == name).unwrap().1;
        assert_eq!(shape("pos_embed"), &[1, 1370, 384]);
        assert_eq!(shape("blocks.11.mlp.fc2.weight"), &[384, 1536]);
        assert_eq!(shape("patch_embed.proj.weight"), &[384, 3, 14, 14]);
    }

    #[test]
    fn every_trained_parameter_has_a_gradient_at_any_size() -> Result<()> {
        for (arch, size) in [("dinov2-small", [28, 42]), ("dinov2-small-reg", [32, 64]), ("dinov2-small", [5, 28])] {
            let network = Vit::new(config(&format!(r#"{{"arch":"{arch}","width":12,"depth":2,"heads":3,"grid":3}}"#)));
            let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
            network.init(&mut parameters, "encoder", &Stream::new(0, "vit", 0, 0))?;
            let names: Vec<_> = parameters.iter().map(|(name, _)| name.to_owned()).collect();
            let expected: Vec<_> = network.shapes().into_iter().map(|(name, _)| format!("encoder.{name}")).collect();
            assert_eq!(names, expected);
            let tape = Tape::new(&parameters, Mode::Train);
            let x = Tensor::randn(0f64, 1.0, (2, size[0], size[1], 3), &Device::Cpu)?;
            let features = network.features(&tape, "encoder", &tape.constant(x))?;
            let patches = size.map(|side: usize| side.div_ceil(14));
            assert_eq!(features.tensor().dims(), [2, patches[0], patches[1], 12]);
            let seed = features.tensor().sin()?;
            assert_eq!(tape.backward(vec![(features, seed)])?.iter().count(), parameters.trainable().count());
        }
        Ok(())
    }

    #[test]
    fn images_lie_in_the_middle_of_their_patches() {
        assert_eq!(Vit::padded([518, 512]), ([37, 37], [0..518, 3..515]));
        assert_eq!(Vit::padded([256, 15]), ([19, 2], [5..261, 6..21]));
    }

    #[test]
    fn layers_are_counted_from_the_patches() {
        let network = Vit::new(config(r#"{"arch":"dinov2-small-reg"}"#));
        assert_eq!(network.layers(), 13);
        for (name, layer) in [
            ("pos_embed", Some(0)),
            ("register_tokens", Some(0)),
            ("patch_embed.proj.bias", Some(0)),
            ("blocks.0.norm1.weight", Some(1)),
            ("blocks.11.ls2.gamma", Some(12)),
            ("norm.weight", None),
        ] {
            assert_eq!(network.layer(name), layer, "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = |text: &str| config(text).check().unwrap_err();
        assert_eq!(error(r#"{"arch":"dinov2-small","heads":5}"#), "width = 384 is not a multiple of heads = 5");
        assert_eq!(error(r#"{"arch":"dinov2-small","depth":0}"#), "depth = 0; expected 1 to 100");
        assert!(serde_json::from_str::<VitConfig>(r#"{"arch":"dinov2-small","window":7}"#).is_err());
        assert_eq!(
            serde_json::to_string(&config(r#"{"arch":"dinov2-small"}"#)).unwrap(),
            r#"{"arch":"dinov2-small","width":384,"depth":12,"heads":6,"grid":37}"#
        );
    }
}
