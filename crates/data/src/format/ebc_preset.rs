//! The splits of NASA's EBC set that others have scored.

use crate::Split;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which images of NASA's EBC set are meant, so that a score is not compared with one on other images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EbcPreset {
    /// The folder EBC1: 18 images to train on, 3 for validation, 3 for test.
    Ebc1,
    /// The folder EBC2: 4 of the same images to train on; for validation and test those of EBC1.
    Ebc2,
    /// One image to train on, out of EBC1 or EBC2 (either folder may be given): the "EBC-3" of CS-UNet's and MicroNet's rows in
    /// Table 5 of the MatSSL paper. For validation and test those of EBC1.
    Oneshot,
    /// The folder EBC3: 15, 3 and 6 images, others to test on: the "EBC-3" that the MatSSL authors score.
    Ebc3Folder,
}

impl EbcPreset {
    /// The image that `oneshot` trains on: the framed one in the CS-UNet authors' figure `EBC_CS_UNET_Top5.jpeg`.
    pub(crate) const ONE: &str = "111418#4_1426_100Cyc0032";

    /// The word in the experiment file.
    pub(super) fn word(self) -> &'static str {
        match self {
            EbcPreset::Ebc1 => "ebc1",
            EbcPreset::Ebc2 => "ebc2",
            EbcPreset::Oneshot => "oneshot",
            EbcPreset::Ebc3Folder => "ebc3-folder",
        }
    }

    /// The published folder that holds it.
    pub fn folder(self) -> &'static str {
        match self {
            EbcPreset::Ebc1 => "EBC1",
            EbcPreset::Ebc2 => "EBC2",
            EbcPreset::Oneshot => "EBC1 or EBC2",
            EbcPreset::Ebc3Folder => "EBC3",
        }
    }

    /// Number of images for training, validation and test.
    pub(crate) fn counts(self) -> [(Split, usize); 3] {
        let (train, test) = match self {
            EbcPreset::Ebc1 => (18, 3),
            EbcPreset::Ebc2 => (4, 3),
            EbcPreset::Oneshot => (1, 3),
            EbcPreset::Ebc3Folder => (15, 6),
        };
        [(Split::Train, train), (Split::Val, 3), (Split::Test, test)]
    }
}
