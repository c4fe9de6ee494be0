//! Networks with PyTorch's parameter names: encoders, U-Net and U-Net++ (segmentation_models_pytorch).

mod decoder_block;
mod encoder;
mod encoder_config;
mod resnet;
mod segmentation;
mod segmentation_config;
mod segmentation_model;
mod unet;
mod unet_plus_plus;

pub use encoder::Encoder;
pub use encoder_config::EncoderConfig;
pub use resnet::{Arch, ResNetConfig, Variant};
pub use segmentation::SegmentationNetwork;
pub use segmentation_config::{Architecture, SegmentationConfig};
