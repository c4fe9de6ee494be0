//! What an ONNX file is made from.

use matssl_tensor::{Graph, Parameters};

/// The version of the format: the one that came with [`OPSET`].
pub const IR_VERSION: i64 = 8;
/// The version of ONNX's operators that files use.
pub const OPSET: i64 = 17;
/// Name of the file's input: float32 `[batch, channels, height, width]`, pixels from 0 to 255.
pub const INPUT: &str = "image";
/// Name of the file's output: float32 `[batch, classes, height, width]`.
pub const OUTPUT: &str = "logits";

/// A network from images to one logit for each class and pixel.
#[derive(Clone, Copy, Debug)]
pub struct OnnxModel<'m> {
    /// What the network is called.
    pub name: &'m str,
    /// What readers of the file should know.
    pub description: &'m str,
    /// The network's operations, on normalised images.
    pub graph: &'m Graph,
    /// Its parameters; they are written as float32.
    pub parameters: &'m Parameters,
    /// By channel of the image: the factor for a pixel.
    pub scale: &'m [f32],
    /// By channel of the image: added to the product.
    pub shift: &'m [f32],
    /// Keys and values for programs.
    pub metadata: &'m [(String, String)],
}
