//! Networks with PyTorch's parameter names: ResNet encoders (torchvision), U-Net and U-Net++ (segmentation_models_pytorch).

mod decoder_block;
mod resnet;
mod segmentation;
mod segmentation_config;
mod unet;
mod unet_plus_plus;

pub use resnet::{Arch, ResNet, ResNetConfig, Variant};
pub use segmentation::SegmentationNetwork;
pub use segmentation_config::{Architecture, SegmentationConfig};
