//! Published weights: the names of their files, their URLs and hashes.
//!
//! torchvision's files carry the first eight hex digits of their SHA-256 (`torchvision/models/resnet.py` of 0.26 and, for
//! the older ones, of 0.10). NASA's are named by `get_pretrained_microscopynet_url` of
//! nasa/pretrained-microscopy-models (`util.py`); no hash of them is published.

use super::error::WeightsError;
use crate::networks::{Arch, EncoderConfig, SeArch, SwinArch, SwinConfig, Variant, VitArch};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const TORCHVISION: &str = "https://download.pytorch.org/models/";
const META: &str = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/";
const CADENE: &str = "http://data.lip6.fr/cadene/pretrainedmodels/";
const MICROSOFT: &str = "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/";
const NASA: &str = "https://nasa-public-data.s3.amazonaws.com/microscopy_segmentation_models/";

/// Weights that an experiment may call by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Trained on ImageNet: torchvision's files.
    ImageNet,
    /// Trained on MicroNet from random weights (Stuckner et al. 2022): NASA's files, the newest version first.
    MicroNet,
    /// The same of version 1.0, with which Stuckner et al. 2022 (and so Table 5 of the MatSSL paper) were made.
    MicroNetV10,
    /// The same of version 1.1: ResNet-50 only, trained longer (76.6 % top-1 on MicroNet, version 1.0: 62.0 %).
    MicroNetV11,
    /// Trained on ImageNet, then on MicroNet.
    ImageMicroNet,
    /// Trained on 50,000 micrographs from random weights (Alrfou et al. 2023), a Swin-T.
    MicroLite,
    /// Trained on ImageNet, then on those micrographs.
    ImageMicroLite,
    /// DINOv2's, trained on LVD-142M without labels: Meta's files (Apache-2.0).
    Lvd142M,
}

/// A file that may hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedFile {
    /// Its name.
    pub name: String,
    /// Its URL; none for a user's own file.
    pub url: Option<String>,
    /// The beginning of its SHA-256, where that is published.
    pub sha256: Option<&'static str>,
    /// Its size in KiB, where that is published.
    pub kib: Option<u64>,
    /// Which convolutions have the strides; none for a user's own file.
    pub variant: Option<Variant>,
}

impl Published {
    /// All of them.
    pub const ALL: [Published; 8] = [
        Published::ImageNet,
        Published::MicroNet,
        Published::MicroNetV10,
        Published::MicroNetV11,
        Published::ImageMicroNet,
        Published::MicroLite,
        Published::ImageMicroLite,
        Published::Lvd142M,
    ];

    /// The word in an experiment.
    pub fn word(self) -> &'static str {
        match self {
            Published::ImageNet => "imagenet",
            Published::MicroNet => "micronet",
            Published::MicroNetV10 => "micronet-v1.0",
            Published::MicroNetV11 => "micronet-v1.1",
            Published::ImageMicroNet => "image-micronet",
            Published::MicroLite => "microlite",
            Published::ImageMicroLite => "image-microlite",
            Published::Lvd142M => "lvd-142m",
        }
    }

    /// The files that may hold them, in order of preference: a converted one (`resnet50-imagenet.safetensors`), then the
    /// published ones.
    pub fn files(self, encoder: &EncoderConfig) -> Vec<PublishedFile> {
        let own = ["safetensors", "pth"].map(|kind| PublishedFile {
            name: format!("{}-{}.{kind}", encoder.arch(), self.word()),
            url: None,
            sha256: None,
            kib: None,
            variant: None,
        });
        let published = match encoder {
            EncoderConfig::ResNet(config) => self.resnet(config.arch),
            EncoderConfig::SeResNet(config) => self.se_resnet(config.arch),
            EncoderConfig::Vit(config) if self == Published::Lvd142M => vec![dinov2(config.arch)],
            EncoderConfig::Swin(config) if self == Published::ImageNet => swin(config.arch),
            EncoderConfig::Swin(config) => microlite(self, config).into_iter().collect(),
            EncoderConfig::Vit(_) => Vec::new(),
        };
        own.into_iter().chain(published).collect()
    }
}

impl Published {
    /// The published files of a ResNet.
    fn resnet(self, arch: Arch) -> Vec<PublishedFile> {
        match self {
            Published::ImageNet => torchvision(arch),
            Published::MicroNet => {
                // Only ResNet-50 has a second version.
                let versions: &[&str] = if arch == Arch::ResNet50 { &["1.1", "1.0"] } else { &["1.0"] };
                versions.iter().map(|version| nasa(arch.name(), "microscopynet", version, V15)).collect()
            }
            Published::ImageMicroNet => vec![nasa(arch.name(), "imagenet-microscopynet", "1.0", V15)],
            Published::MicroNetV10 => vec![nasa(arch.name(), "microscopynet", "1.0", V15)],
            Published::MicroNetV11 if arch == Arch::ResNet50 => {
                vec![nasa(arch.name(), "microscopynet", "1.1", V15)]
            }
            Published::MicroNetV11 | Published::MicroLite | Published::ImageMicroLite | Published::Lvd142M => {
                Vec::new()
            }
        }
    }

    /// The published files of an SE-ResNet: Cadene's pretrained-models.pytorch, and NASA's.
    fn se_resnet(self, arch: SeArch) -> Vec<PublishedFile> {
        match self {
            Published::ImageNet => {
                let sha256 = match arch {
                    SeArch::SeResNet50 => "ce0d4300",
                    SeArch::SeResNext50 => "a260b3a4",
                };
                let name = format!("{}-{sha256}.pth", arch.smp_name());
                let url = Some(format!("{CADENE}{name}"));
                vec![PublishedFile { name, url, sha256: Some(sha256), kib: None, variant: None }]
            }
            Published::MicroNet | Published::MicroNetV10 => vec![nasa(arch.smp_name(), "microscopynet", "1.0", None)],
            Published::ImageMicroNet => vec![nasa(arch.smp_name(), "imagenet-microscopynet", "1.0", None)],
            Published::MicroNetV11 | Published::MicroLite | Published::ImageMicroLite | Published::Lvd142M => {
                Vec::new()
            }
        }
    }
}

fn torchvision(arch: Arch) -> Vec<PublishedFile> {
    // Sizes as torchvision publishes them, in MiB: 97.781 is 100,128 KiB.
    let files: &[(&str, Option<u64>)] = match arch {
        Arch::ResNet18 => &[("f37072fd", Some(45_733)), ("5c106cde", None)],
        Arch::ResNet34 => &[("b627a593", Some(85_274)), ("333f7ec4", None)],
        Arch::ResNet50 => &[("0676ba61", Some(100_128)), ("11ad3fa6", Some(100_137)), ("19c8e357", None)],
        Arch::ResNet101 => &[("63fe2227", Some(174_603)), ("cd907fc2", Some(174_623)), ("5d3b4d8f", None)],
    };
    let file = |&(sha256, kib): &(&'static str, Option<u64>)| {
        let name = format!("{}-{sha256}.pth", arch.name());
        let url = Some(format!("{TORCHVISION}{name}"));
        PublishedFile { name, url, sha256: Some(sha256), kib, variant: V15 }
    };
    files.iter().map(file).collect()
}

/// The variant of torchvision's architecture, which NASA's files have too, with other weights.
const V15: Option<Variant> = Some(Variant::V15);

fn nasa(encoder: &str, corpus: &str, version: &str, variant: Option<Variant>) -> PublishedFile {
    let name = format!("{encoder}_pretrained_{corpus}_v{version}.pth.tar");
    PublishedFile { url: Some(format!("{NASA}{name}")), name, sha256: None, kib: None, variant }
}

/// Trained on ImageNet's 1,000 classes: torchvision's file, and the authors', of which no hash is published.
fn swin(arch: SwinArch) -> Vec<PublishedFile> {
    let SwinArch::Tiny = arch;
    let file = |folder: &str, name: &str, sha256| PublishedFile {
        url: Some(format!("{folder}{name}")),
        name: name.into(),
        sha256,
        kib: None,
        variant: None,
    };
    vec![
        file(TORCHVISION, "swin_t-704ceda3.pth", Some("704ceda3")),
        file(MICROSOFT, "swin_tiny_patch4_window7_224.pth", None),
    ]
}

/// The CS-UNet authors' Swin-T, linked by their README (github.com/Kalrfou/SwinT-pretrained-microscopy-models at 8bf28d7), with as
/// many blocks as `config` has; the name is ours, for theirs is not published, and neither is a hash.
fn microlite(weights: Published, config: &SwinConfig) -> Option<PublishedFile> {
    let drive = match (weights, config.depths) {
        (Published::MicroLite, [2, 2, 6, 2]) => "1SZsdAYgQXDUHRoxENoUICL_SxcToKzd0",
        (Published::ImageMicroLite, [2, 2, 6, 2]) => "1ksqnjN1aiM133ASSg4PEswOnZtklg7Jb",
        (Published::MicroLite, [2, 2, 2, 2]) => "11iuqZUfZEDmKJ_2UimDRFZraqPoCDWMu",
        (Published::ImageMicroLite, [2, 2, 2, 2]) => "1uNRH0DjAQiRPRdIvEraZdLpS6P1kDQUw",
        _ => return None,
    };
    let blocks = if config.depths[2] == 6 { "original" } else { "intermediate" };
    Some(PublishedFile {
        name: format!("{}-{}-{blocks}.pth", config.arch.name(), weights.word()),
        url: Some(format!("https://drive.google.com/uc?id={drive}")),
        sha256: None,
        kib: None,
        variant: None,
    })
}

/// As `dinov2/hub/backbones.py` names it; no hash is published.
fn dinov2(arch: VitArch) -> PublishedFile {
    let name = match arch {
        VitArch::Small => "dinov2_vits14_pretrain.pth",
        VitArch::SmallWithRegisters => "dinov2_vits14_reg4_pretrain.pth",
    };
    PublishedFile { url: Some(format!("{META}{name}")), name: name.into(), sha256: None, kib: None, variant: None }
}

impl PublishedFile {
    /// Checks that `path` is this file, if its publisher gives a hash.
    ///
    /// # Errors
    /// [`WeightsError::NotPublished`] if its hash begins otherwise; [`WeightsError::Io`].
    pub fn check(&self, path: &Path) -> Result<(), WeightsError> {
        let Some(published) = self.sha256 else { return Ok(()) };
        let found = sha256(path)?;
        if found.starts_with(published) {
            return Ok(());
        }
        let found = found[..published.len()].to_owned();
        let url = self.url.clone().unwrap_or_default();
        Err(WeightsError::NotPublished { path: path.into(), found, published, url })
    }
}

/// The SHA-256 of a file, in hex. Computed once per process, because many stages start from the same weights.
fn sha256(path: &Path) -> Result<String, WeightsError> {
    static KNOWN: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(hash) = known.get(path) {
        return Ok(hash.clone());
    }
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path).map_err(|error| WeightsError::io(path, error))?;
    std::io::copy(&mut file, &mut hasher).map_err(|error| WeightsError::io(path, error))?;
    let hash: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    known.insert(path.into(), hash.clone());
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::ResNetConfig;

    #[test]
    fn a_file_is_known_by_the_beginning_of_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = PublishedFile {
            name: "abc.pth".into(),
            url: Some("https://example.org/abc.pth".into()),
            // FIPS 180-2, appendix B.1.
            sha256: Some("ba7816bf"),
            kib: None,
            variant: None,
        };
        let (right, wrong) = (folder.path().join("abc.pth"), folder.path().join("abd.pth"));
        std::fs::write(&right, "abc").unwrap();
        std::fs::write(&wrong, "abd").unwrap();
        file.check(&right).unwrap();
        let error = file.check(&wrong).unwrap_err().to_string();
        assert!(error.contains("abd.pth is not the published file: its SHA-256 begins with a52d159f, not"), "{error}");
        assert!(error.contains("https://example.org/abc.pth"), "{error}");
        // Without a published hash nothing is checked.
        PublishedFile { sha256: None, ..file }.check(&wrong).unwrap();
    }

    /// MicroNet's versions are told apart, and MicroLite's files go with the number of blocks.
    #[test]
    fn versions_are_chosen_by_their_word() {
        let urls = |published: Published, encoder: EncoderConfig| {
            published.files(&encoder).into_iter().filter_map(|file| Some((file.name, file.url?))).collect::<Vec<_>>()
        };
        let resnet =
            |arch| EncoderConfig::from(ResNetConfig { arch, width: 64, variant: Variant::V15, in_channels: 3 });
        for (published, version) in [(Published::MicroNetV10, "v1.0"), (Published::MicroNetV11, "v1.1")] {
            let [(name, _)] = &urls(published, resnet(Arch::ResNet50))[..] else { panic!("{version}") };
            assert_eq!(*name, format!("resnet50_pretrained_microscopynet_{version}.pth.tar"));
            assert_eq!(published.word(), format!("micronet-{version}"));
        }
        assert!(urls(Published::MicroNetV11, resnet(Arch::ResNet18)).is_empty());
        let swin = |depths| EncoderConfig::Swin(SwinConfig { depths, ..SwinConfig::default() });
        let of =
            |published, depths| urls(published, swin(depths)).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(of(Published::MicroLite, [2, 2, 2, 2]), ["swin-tiny-microlite-intermediate.pth"]);
        assert_eq!(of(Published::ImageMicroLite, [2, 2, 6, 2]), ["swin-tiny-image-microlite-original.pth"]);
        assert_eq!(of(Published::MicroLite, [1, 1, 1, 1]), [""; 0]);
        assert_eq!(of(Published::ImageNet, [2, 2, 6, 2])[0], "swin_t-704ceda3.pth");
        assert!(urls(Published::MicroNet, swin([2, 2, 6, 2])).is_empty());
    }

    #[test]
    fn names_are_those_of_the_publishers() {
        let names = |published: Published, arch| {
            let config = ResNetConfig { arch, width: 64, variant: Variant::V15, in_channels: 3 };
            let files = published.files(&config.into()).into_iter();
            files.filter_map(|file| file.url).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            names(Published::ImageNet, Arch::ResNet50),
            "https://download.pytorch.org/models/resnet50-0676ba61.pth\n\
             https://download.pytorch.org/models/resnet50-11ad3fa6.pth\n\
             https://download.pytorch.org/models/resnet50-19c8e357.pth"
        );
        let nasa = "https://nasa-public-data.s3.amazonaws.com/microscopy_segmentation_models";
        assert_eq!(
            names(Published::MicroNet, Arch::ResNet50),
            format!(
                "{nasa}/resnet50_pretrained_microscopynet_v1.1.pth.tar\n\
                 {nasa}/resnet50_pretrained_microscopynet_v1.0.pth.tar"
            )
        );
        let vit: EncoderConfig = serde_json::from_str(r#"{"arch":"dinov2-small-reg"}"#).unwrap();
        let files: Vec<_> = Published::Lvd142M.files(&vit).into_iter().filter_map(|file| file.url).collect();
        let meta = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14";
        assert_eq!(files, [format!("{meta}/dinov2_vits14_reg4_pretrain.pth")]);
        assert!(Published::ImageNet.files(&vit).iter().all(|file| file.url.is_none()));
        let se: EncoderConfig = serde_json::from_str(r#"{"arch":"se-resnext50"}"#).unwrap();
        let urls =
            |published: Published| published.files(&se).into_iter().filter_map(|file| file.url).collect::<Vec<_>>();
        let cadene = "http://data.lip6.fr/cadene/pretrainedmodels";
        assert_eq!(urls(Published::ImageNet), [format!("{cadene}/se_resnext50_32x4d-a260b3a4.pth")]);
        let micronet = format!("{nasa}/se_resnext50_32x4d_pretrained_microscopynet_v1.0.pth.tar");
        assert_eq!(urls(Published::MicroNet), [micronet]);
        assert_eq!(
            names(Published::ImageMicroNet, Arch::ResNet18),
            format!("{nasa}/resnet18_pretrained_imagenet-microscopynet_v1.0.pth.tar")
        );
    }
}
