//! How files name the parts of a network.

/// A way to name a network's parts. Each has names of one architecture only, so a file is read as what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// As the network itself: a ResNet as torchvision does, a Swin transformer as `microsoft/Swin-Transformer` does.
    Own,
    /// A ResNet as `nn.Sequential(*list(resnet.children())[:-1])`, as lightly's examples write it: 0 is `conv1`, 1 `bn1`, 2 and 3
    /// have no parameters, 4 to 7 are the layers.
    Sequential,
    /// A ResNet with `layer0 = nn.Sequential(conv1, bn1, relu, maxpool)`, then torchvision's layers.
    LayerZero,
    /// A Swin transformer as torchvision's `swin_t` names it: everything below `features`.
    TorchvisionSwin,
    /// A Swin transformer as timm 0.9 and later name it: patches are merged at the start of the next stage.
    TimmSwin,
}

/// (the file's beginning, torchvision's).
const SEQUENTIAL: [(&str, &str); 6] =
    [("0.", "conv1."), ("1.", "bn1."), ("4.", "layer1."), ("5.", "layer2."), ("6.", "layer3."), ("7.", "layer4.")];
const LAYER_ZERO: [(&str, &str); 6] = [
    ("layer0.0.", "conv1."),
    ("layer0.1.", "bn1."),
    ("layer1.", "layer1."),
    ("layer2.", "layer2."),
    ("layer3.", "layer3."),
    ("layer4.", "layer4."),
];

impl Naming {
    /// All of them.
    pub(super) const ALL: [Naming; 5] =
        [Naming::Own, Naming::Sequential, Naming::LayerZero, Naming::TorchvisionSwin, Naming::TimmSwin];

    /// The network's name for `name`, if this way of naming has it.
    pub(super) fn own(self, name: &str) -> Option<String> {
        let table = match self {
            Naming::Own => return Some(name.to_owned()),
            Naming::TorchvisionSwin => return torchvision_swin(name),
            Naming::TimmSwin => return timm_swin(name),
            Naming::Sequential => &SEQUENTIAL,
            Naming::LayerZero => &LAYER_ZERO,
        };
        table.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)))
    }

    /// What to say of it, if it is not the network's own.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Naming::Own => None,
            Naming::Sequential => Some("numbered layers (0 is conv1, 1 bn1, 4 to 7 layer1 to layer4)"),
            Naming::LayerZero => Some("layer0 is conv1 and bn1"),
            Naming::TorchvisionSwin => Some("torchvision's names (features)"),
            Naming::TimmSwin => Some("timm's names (patches are merged at the start of a stage)"),
        }
    }
}

/// `features.0` embeds the patches; `features.(2i + 1)` are the blocks of stage i, and `features.(2i + 2)` merges its patches.
fn torchvision_swin(name: &str) -> Option<String> {
    let Some(rest) = name.strip_prefix("features.") else { return name.starts_with("norm.").then(|| name.to_owned()) };
    let (number, rest) = rest.split_once('.')?;
    let number: usize = number.parse().ok()?;
    if number == 0 {
        let (layer, parameter) = rest.split_once('.')?;
        let layer = match layer {
            "0" => "proj",
            "2" => "norm",
            _ => return None,
        };
        return Some(format!("patch_embed.{layer}.{parameter}"));
    }
    let stage = (number - 1) / 2;
    if number.is_multiple_of(2) {
        return Some(format!("layers.{stage}.downsample.{rest}"));
    }
    let (block, parameter) = rest.split_once('.')?;
    let parameter = match parameter.strip_prefix("mlp.").and_then(|layer| layer.split_once('.')) {
        None => parameter.to_owned(),
        Some(("0", parameter)) => format!("mlp.fc1.{parameter}"),
        Some(("3", parameter)) => format!("mlp.fc2.{parameter}"),
        Some(_) => return None,
    };
    Some(format!("layers.{stage}.blocks.{block}.{parameter}"))
}

/// `layers.(i + 1).downsample` merges the patches of stage i.
fn timm_swin(name: &str) -> Option<String> {
    let Some(rest) = name.strip_prefix("layers.") else {
        return (name.starts_with("patch_embed.") || name.starts_with("norm.")).then(|| name.to_owned());
    };
    let (stage, parameter) = rest.split_once('.')?;
    match parameter.starts_with("downsample.") {
        true => Some(format!("layers.{}.{parameter}", stage.parse::<usize>().ok()?.checked_sub(1)?)),
        false => Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torchvision.models.swin_t` and timm's `swin_tiny_patch4_window7_224`, against `microsoft/Swin-Transformer`.
    #[test]
    fn names_of_swin_transformers_are_translated() {
        for (naming, theirs, ours) in [
            (Naming::TorchvisionSwin, "features.0.0.weight", Some("patch_embed.proj.weight")),
            (Naming::TorchvisionSwin, "features.0.2.bias", Some("patch_embed.norm.bias")),
            (Naming::TorchvisionSwin, "features.1.1.norm1.weight", Some("layers.0.blocks.1.norm1.weight")),
            (Naming::TorchvisionSwin, "features.5.4.attn.qkv.bias", Some("layers.2.blocks.4.attn.qkv.bias")),
            (Naming::TorchvisionSwin, "features.7.0.mlp.0.weight", Some("layers.3.blocks.0.mlp.fc1.weight")),
            (Naming::TorchvisionSwin, "features.7.0.mlp.3.bias", Some("layers.3.blocks.0.mlp.fc2.bias")),
            (Naming::TorchvisionSwin, "features.6.reduction.weight", Some("layers.2.downsample.reduction.weight")),
            (Naming::TorchvisionSwin, "features.2.norm.weight", Some("layers.0.downsample.norm.weight")),
            (Naming::TorchvisionSwin, "norm.weight", Some("norm.weight")),
            (Naming::TorchvisionSwin, "layers.0.blocks.0.norm1.weight", None),
            (Naming::TimmSwin, "layers.1.downsample.norm.weight", Some("layers.0.downsample.norm.weight")),
            (Naming::TimmSwin, "layers.0.downsample.norm.weight", None),
            (Naming::TimmSwin, "layers.2.blocks.5.mlp.fc1.bias", Some("layers.2.blocks.5.mlp.fc1.bias")),
            (Naming::TimmSwin, "layer1.0.conv1.weight", None),
            (Naming::TimmSwin, "head.fc.weight", None),
        ] {
            assert_eq!(naming.own(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
