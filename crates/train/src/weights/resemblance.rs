//! Which network a list of tensors looks like.

use std::collections::BTreeMap;

/// Names that only one family of networks has, and its name. The first that is found counts.
const FAMILIES: [(&str, &str); 26] = [
    ("relative_position_bias_table", "a Swin transformer"),
    ("patch_embed.proj.weight", "a vision transformer (ViT)"),
    ("patch_embeddings.projection.weight", "a vision transformer (ViT)"),
    ("encoder_layer_0.", "a vision transformer (ViT)"),
    ("attn.qkv.weight", "a vision transformer (ViT)"),
    ("cls_token", "a vision transformer (ViT)"),
    ("class_token", "a vision transformer (ViT)"),
    ("denseblock1.denselayer1.", "a DenseNet"),
    ("_blocks.0._depthwise_conv.weight", "an EfficientNet"),
    ("blocks.0.0.conv_dw.weight", "an EfficientNet or MobileNet"),
    ("stages.0.blocks.0.conv_dw.weight", "a ConvNeXt"),
    ("stages.0.0.dwconv.weight", "a ConvNeXt"),
    ("downsample_layers.0.0.weight", "a ConvNeXt"),
    ("features.1.0.layer_scale", "a ConvNeXt"),
    ("features.1.0.block.0.0.weight", "an EfficientNet or MobileNet"),
    ("features.1.conv.0.0.weight", "a MobileNet"),
    ("Mixed_5b.branch1x1.conv.weight", "an Inception v3"),
    ("res2.0.conv1.weight", "a ResNet with detectron2's names"),
    ("stage2.0.branches.0.0.conv1.weight", "an HRNet"),
    ("block1.rep.0.conv1.weight", "an Xception"),
    ("trunk_output.block1.", "a RegNet"),
    ("features.3.squeeze.weight", "a SqueezeNet"),
    ("inc.double_conv.0.weight", "a U-Net with an encoder of its own"),
    ("text_projection", "a CLIP model"),
    ("classifier.6.weight", "a VGG or AlexNet"),
    ("features.0.weight", "a VGG or AlexNet"),
];

/// DenseNets by the layers of their third block.
const DENSENETS: [(usize, &str); 4] =
    [(24, "a densenet121"), (36, "a densenet161"), (32, "a densenet169"), (48, "a densenet201")];

/// What tensors with these names and shapes (PyTorch's layout) look like, e.g. `a resnet34 (width 64)`; none if that is not
/// easily told.
pub(super) fn resemblance<'t>(tensors: impl Iterator<Item = (&'t str, &'t [usize])> + Clone) -> Option<String> {
    if let Some(resnet) = resnet(tensors.clone()) {
        return Some(resnet);
    }
    let (_, family) = FAMILIES.iter().find(|(part, _)| tensors.clone().any(|(name, _)| name.contains(part)))?;
    if *family == "a DenseNet" {
        let layers = blocks(tensors.map(|(name, _)| name), "denseblock3.denselayer").map_or(0, |last| last);
        let known = DENSENETS.iter().find(|(count, _)| *count == layers);
        return Some(known.map_or(*family, |(_, name)| name).to_owned());
    }
    Some((*family).to_owned())
}

/// The highest number that follows `part` in a name.
fn blocks<'t>(names: impl Iterator<Item = &'t str>, part: &str) -> Option<usize> {
    let number = |name: &str| {
        let rest = name.split_once(part)?.1;
        rest.split('.').next()?.parse().ok()
    };
    names.filter_map(number).max()
}

/// A ResNet or what is built like one, from its blocks and shapes.
fn resnet<'t>(tensors: impl Iterator<Item = (&'t str, &'t [usize])> + Clone) -> Option<String> {
    const FIRST: &str = "layer1.0.conv1.weight";
    let (first, _) = tensors.clone().find(|(name, _)| name.ends_with(FIRST))?;
    let prefix = &first[..first.len() - FIRST.len()];
    let inside: BTreeMap<&str, &[usize]> =
        tensors.filter_map(|(name, shape)| Some((name.strip_prefix(prefix)?, shape))).collect();
    let counts: Vec<usize> = (1..=4)
        .map_while(|layer| {
            blocks(inside.keys().copied().filter(|name| name.starts_with("layer")), &format!("layer{layer}."))
        })
        .map(|last| last.saturating_add(1))
        .collect();
    let at = |name: &str, axis: usize| inside.get(name).and_then(|shape| shape.get(axis).copied());
    let bottlenecks = inside.contains_key("layer1.0.conv3.weight");
    let deep = inside.contains_key("conv1.0.weight");
    let squeezes = inside.keys().any(|name| name.starts_with("layer1.0.se"));
    let known = match (bottlenecks, &counts[..]) {
        (false, [1, 1, 1, 1]) => "resnet10",
        (false, [2, 2, 2, 2]) => "resnet18",
        (false, [3, 4, 6, 3]) => "resnet34",
        (true, [2, 2, 2, 2]) => "resnet26",
        (true, [3, 4, 6, 3]) => "resnet50",
        (true, [3, 4, 23, 3]) => "resnet101",
        (true, [3, 8, 36, 3]) => "resnet152",
        _ => "",
    };
    let stem = at("conv1.weight", 0).or_else(|| at("bn1.weight", 0));
    let planes = at("layer1.0.conv1.weight", 0);
    let (middle_out, middle_in) = (at("layer1.0.conv2.weight", 0), at("layer1.0.conv2.weight", 1));
    let groups = match (middle_out, middle_in) {
        (Some(out), Some(into)) if bottlenecks && into > 0 && out > into => out / into,
        _ => 1,
    };
    let known_blocks = || if known.is_empty() { format!("resnet of {counts:?} blocks") } else { known.to_owned() };
    let mut text = if groups > 1 {
        let depth = known.trim_start_matches("resnet");
        format!("resnext{depth}_{groups}x{}d", middle_in.unwrap_or_default())
    } else if bottlenecks && planes.zip(stem).is_some_and(|(planes, stem)| planes > stem) {
        format!("wide_{}", known_blocks())
    } else {
        known_blocks()
    };
    if squeezes {
        text = format!("se_{text}");
    }
    let width = match stem {
        Some(width) if !deep => format!(" (width {width})"),
        _ if deep => " with a deep stem (three convolutions, as resnet50d or v1c)".into(),
        _ => String::new(),
    };
    Some(format!("a {text}{width}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tensors: &[(&str, &[usize])]) -> Option<String> {
        resemblance(tensors.iter().copied())
    }

    #[test]
    fn networks_are_told_by_names_and_shapes() {
        let basic: &[(&str, &[usize])] = &[
            ("module.conv1.weight", &[64, 3, 7, 7]),
            ("module.layer1.0.conv1.weight", &[64, 64, 3, 3]),
            ("module.layer1.2.conv1.weight", &[64, 64, 3, 3]),
            ("module.layer2.3.conv1.weight", &[128, 128, 3, 3]),
            ("module.layer3.5.conv1.weight", &[256, 256, 3, 3]),
            ("module.layer4.2.conv1.weight", &[512, 512, 3, 3]),
        ];
        assert_eq!(of(basic).unwrap(), "a resnet34 (width 64)");
        let with = |more: &[(&'static str, &'static [usize])]| {
            let kept = basic.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
            of(&kept.copied().chain(more.iter().copied()).collect::<Vec<_>>()).unwrap()
        };
        let third = ("module.layer1.0.conv3.weight", &[256, 64, 1, 1][..]);
        let middle = |shape: &'static [usize]| ("module.layer1.0.conv2.weight", shape);
        assert_eq!(with(&[third, middle(&[64, 64, 3, 3])]), "a resnet50 (width 64)");
        assert_eq!(with(&[third, middle(&[128, 4, 3, 3])]), "a resnext50_32x4d (width 64)");
        let wide = ("module.layer1.0.conv1.weight", &[128, 64, 1, 1][..]);
        assert_eq!(with(&[third, middle(&[128, 128, 3, 3]), wide]), "a wide_resnet50 (width 64)");
        assert_eq!(
            of(&[("blocks.0.attn.qkv.weight", &[1]), ("patch_embed.proj.weight", &[1])]).unwrap(),
            "a vision transformer (ViT)"
        );
        assert_eq!(
            of(&[
                ("features.denseblock1.denselayer1.norm1.weight", &[1]),
                ("features.denseblock3.denselayer24.norm1.weight", &[1])
            ])
            .unwrap(),
            "a densenet121"
        );
        for (name, family) in [
            ("blocks.0.attn.qkv.weight", "a vision transformer (ViT)"),
            ("cls_token", "a vision transformer (ViT)"),
            ("features.0.weight", "a VGG or AlexNet"),
        ] {
            assert_eq!(of(&[(name, &[1])]).unwrap(), family);
        }
        assert_eq!(of(&[("0.weight", &[1])]), None);
    }
}
