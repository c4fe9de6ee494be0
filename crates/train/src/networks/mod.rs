//! Networks with PyTorch's parameter names: encoders, U-Net and U-Net++ (segmentation_models_pytorch), Swin-Unet and CS-UNet (their
//! authors).

mod cs_unet;
mod decoder_block;
mod encoder;
mod encoder_config;
mod hypercolumn;
mod layer;
mod misfit;
mod patch_head;
mod resnet;
mod se_resnet;
mod se_resnet_config;
mod segmentation;
mod segmentation_config;
mod segmentation_model;
mod swin;
mod swin_block;
mod swin_config;
mod swin_decoder;
mod swin_unet;
mod transformer_branch;
mod unet;
mod unet_plus_plus;
mod vit;

pub use encoder::Encoder;
pub use encoder_config::EncoderConfig;
pub use resnet::{Arch, ResNetConfig, Variant};
pub use se_resnet_config::{SeArch, SeResNetConfig};
pub use segmentation::SegmentationNetwork;
pub use segmentation_config::{Architecture, SegmentationConfig};
pub use swin_config::{Mlp, SwinArch, SwinConfig};
pub use transformer_branch::TransformerBranch;
pub use vit::{VitArch, VitConfig};
