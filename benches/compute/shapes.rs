//! The layers of the networks, counted from their shapes: floating-point operations and bytes of a step.

use crate::workloads::Spec;
use anyhow::{Result, bail};
use std::fmt;

/// A convolution with a square kernel, padded by half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conv {
    /// Side of the kernel.
    pub(crate) kernel: usize,
    /// Pixels from one window to the next.
    pub(crate) stride: usize,
    /// In and out.
    pub(crate) channels: [usize; 2],
    /// Side of the input in pixels.
    pub(crate) size: usize,
}

impl Conv {
    /// Side of the output.
    pub(crate) fn size_out(&self) -> usize {
        self.size.div_ceil(self.stride)
    }

    /// Multiplications and additions of the forward pass, computed directly.
    pub(crate) fn operations(&self, batch: usize) -> f64 {
        let [from, to] = self.channels;
        2.0 * (batch * self.size_out().pow(2) * to) as f64 * (self.kernel.pow(2) * from) as f64
    }

    fn elements(&self, batch: usize) -> (f64, f64, f64) {
        let [from, to] = self.channels;
        let (x, y) = (batch * self.size.pow(2) * from, batch * self.size_out().pow(2) * to);
        (x as f64, y as f64, (self.kernel.pow(2) * from * to) as f64)
    }
}

impl fmt::Display for Conv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conv { kernel, stride, channels: [from, to], size } = self;
        write!(f, "{kernel}×{kernel}")?;
        if *stride > 1 {
            write!(f, "/{stride}")?;
        }
        write!(f, "/{from}→{to}@{size}²")
    }
}

/// The convolutions of a ResNet v1.5.
pub(crate) struct ResNet {
    /// All of them, in order.
    pub(crate) convs: Vec<Conv>,
    /// Channels of stem and stages.
    pub(crate) channels: [usize; 5],
    /// Residual additions, as (channels, size).
    residuals: Vec<(usize, usize)>,
}

impl ResNet {
    /// For images of `size`².
    pub(crate) fn new(bottlenecks: bool, blocks: [usize; 4], width: usize, size: usize) -> Self {
        let expansion = if bottlenecks { 4 } else { 1 };
        let mut convs = vec![Conv { kernel: 7, stride: 2, channels: [3, width], size }];
        let (mut from, mut size, mut residuals, mut channels) = (width, size / 4, Vec::new(), [width; 5]);
        for (stage, blocks) in blocks.into_iter().enumerate() {
            let (planes, to) = (width << stage, (width << stage) * expansion);
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let mut add = |kernel, stride, channels, size| convs.push(Conv { kernel, stride, channels, size });
                if stride > 1 || from != to {
                    add(1, stride, [from, to], size);
                }
                if bottlenecks {
                    add(1, 1, [from, planes], size);
                    add(3, stride, [planes, planes], size);
                    add(1, 1, [planes, to], size / stride);
                } else {
                    add(3, stride, [from, planes], size);
                    add(3, 1, [planes, planes], size / stride);
                }
                size /= stride;
                residuals.push((to, size));
                from = to;
            }
            channels[stage + 1] = to;
        }
        ResNet { convs, channels, residuals }
    }

    fn of(spec: &Spec) -> Result<Self> {
        let (bottlenecks, blocks) = match spec.text("arch")? {
            "resnet18" => (false, [2, 2, 2, 2]),
            "resnet50" => (true, [3, 4, 6, 3]),
            other => bail!("no shapes of {other}"),
        };
        Ok(ResNet::new(bottlenecks, blocks, spec.number("width")?, spec.number("size")?))
    }
}

/// The convolutions of U-Net++'s decoder as segmentation_models_pytorch builds it, without the head.
pub(crate) fn decoder(encoder: &ResNet, decoder: &[usize], size: usize) -> Vec<Conv> {
    let levels = decoder.len();
    let skip = |layer: usize| if layer < levels - 1 { encoder.channels[levels - 2 - layer] } else { 0 };
    let mut convs = Vec::new();
    let mut block = |from: usize, to: usize, layer: usize| {
        let size = size >> (levels - 1 - layer);
        for from in [from, to] {
            convs.push(Conv { kernel: 3, stride: 1, channels: [from, to], size });
        }
    };
    for layer in 0..levels - 1 {
        let before = if layer == 0 { encoder.channels[levels - 1] } else { decoder[layer - 1] };
        block(before + skip(layer) * (layer + 1), decoder[layer], layer);
        for depth in 1..=layer {
            block(skip(layer - 1) + skip(layer) * (layer + 1 - depth), skip(layer), layer);
        }
    }
    block(decoder[levels - 2], decoder[levels - 1], levels - 1);
    convs
}

/// What a step costs at least, each operation by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Floating-point operations of the convolutions (and the projection head's products), computed directly.
    pub(crate) operations: f64,
    /// Bytes moved if every operation reads its inputs from memory and writes its outputs there, and nothing is fused but
    /// batch norm with addition and ReLU.
    pub(crate) bytes: f64,
}

/// The cost of a whole step.
///
/// # Errors
/// If there is no such step.
pub(crate) fn step(spec: &Spec) -> Result<Cost> {
    let (batch, encoder) = (spec.number("batch")?, ResNet::of(spec)?);
    let (mut convs, size) = (encoder.convs.clone(), spec.number("size")?);
    let mut moved = 0.0;
    let trains = !matches!(spec.kind.as_str(), "unet++-inference" | "unet++-forward");
    let unet = spec.kind.starts_with("unet++");
    let mut head = None;
    if unet {
        let blocks = decoder(&encoder, &spec.numbers("decoder")?, size);
        // Upsampling and concatenation: a quarter of the first part is read, the skips are, all is written; back the
        // same. Counted as one read and one write of what the block's first convolution eats.
        let eaten: f64 = blocks.iter().step_by(2).map(|conv| conv.elements(batch).0).sum();
        moved += 2.0 * eaten * if trains { 2.0 } else { 1.0 };
        let last = blocks.last().map_or(0, |conv| conv.channels[1]);
        head = Some(Conv { kernel: 3, stride: 1, channels: [last, spec.number("classes")?], size });
        convs.extend(blocks);
    }
    let views = if spec.kind == "matssl" { 2.0 } else { 1.0 };
    let (mut operations, mut weights) = (0.0, 0.0);
    for conv in convs.iter().chain(&head) {
        let (x, y, w) = conv.elements(batch);
        let image = conv.channels[0] == 3;
        let passes = if !trains {
            1.0
        } else if image {
            2.0
        } else {
            3.0
        };
        operations += views * passes * conv.operations(batch);
        weights += w;
        // Convolution, then batch norm.
        moved += views * (x + y + w + if trains { 3.0 } else { 2.0 } * y);
        if trains {
            let dx = if image { 0.0 } else { x + y + w };
            moved += views * (7.0 * y + x + y + w + dx);
        }
    }
    for (channels, size) in &encoder.residuals {
        moved += views * (batch * size.pow(2) * channels) as f64 * if trains { 2.0 } else { 1.0 };
    }
    // The stem's max pool: in four parts, out one; back the same.
    moved += views * 1.25 * (batch * (size / 2).pow(2) * encoder.channels[0]) as f64 * if trains { 2.0 } else { 1.0 };
    if spec.kind == "matssl" {
        let (fused, hidden, output) =
            (encoder.channels[1..].iter().sum::<usize>(), spec.number("hidden")?, spec.number("output")?);
        let products = (fused * hidden + hidden * output) as f64;
        operations += views * 6.0 * batch as f64 * products;
        weights += products;
        moved += views * 3.0 * products;
    }
    if trains {
        // Gradient, value and momenta are read; value and momenta written.
        moved += weights * if unet { 7.0 } else { 5.0 };
    }
    Ok(Cost { operations, bytes: 4.0 * moved })
}
