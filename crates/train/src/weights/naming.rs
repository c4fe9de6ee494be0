//! How files name the parts of a ResNet.

/// A way to name a ResNet's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// As torchvision does: `conv1`, `bn1`, `layer1` to `layer4`.
    Torchvision,
    /// `nn.Sequential(*list(resnet.children())[:-1])`, as lightly's examples write it: 0 is `conv1`, 1 `bn1`, 2 and 3 have no
    /// parameters, 4 to 7 are the layers.
    Sequential,
    /// `layer0 = nn.Sequential(conv1, bn1, relu, maxpool)`, then torchvision's layers.
    LayerZero,
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
    pub(super) const ALL: [Naming; 3] = [Naming::Torchvision, Naming::Sequential, Naming::LayerZero];

    /// torchvision's name for `name`, if this way of naming has it.
    pub(super) fn torchvision(self, name: &str) -> Option<String> {
        let table = match self {
            Naming::Torchvision => return Some(name.to_owned()),
            Naming::Sequential => &SEQUENTIAL,
            Naming::LayerZero => &LAYER_ZERO,
        };
        table.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)))
    }

    /// What to say of it, if it is not torchvision's.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Naming::Torchvision => None,
            Naming::Sequential => Some("numbered layers (0 is conv1, 1 bn1, 4 to 7 layer1 to layer4)"),
            Naming::LayerZero => Some("layer0 is conv1 and bn1"),
        }
    }
}
