//! The arguments of `matssl-run predict`.

use super::super::device::Device;
use clap::{Args, ValueEnum};
use matssl_predict::engine::{PredictOptions, Tta};
use matssl_predict::output::{MaskFormat, ProbabilityFormat};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    override_usage = "matssl-run predict [OPTIONS] MODEL… IMAGES… -o DIR",
    after_help = "A folder with a model.json is a model, all else are images. Run again, the same command predicts only \
                  what changed: an image, a model, an option. A run that was stopped goes on where it ended.\n\n\
                  DIR holds masks/ (the value of a pixel is that of its class), overlays/ (up to 16 megapixels; \
                  larger images are scaled down), thumbnails/, what else was asked for, fractions.csv, summary.csv, \
                  predict.json and index.html. Files are called as the images, in the same folders. Tables hold the \
                  images of the last run; files of images that are not among them stay.\n\n\
                  Exit codes: 5 if an image cannot be used (all others are predicted), 4 if nothing was found."
)]
pub(in super::super) struct PredictArgs {
    /// Model folders, which `export` writes (several predict together, by the mean of their probabilities), and images:
    /// files, folders, or patterns in quotes such as 'scans/**/*.tif'.
    #[arg(required = true, value_name = "MODEL… IMAGES")]
    pub(super) paths: Vec<PathBuf>,
    /// Folder for the results: new, empty, or that of an earlier prediction.
    #[arg(long, short, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Also look for images in the folders of folders. Links to folders are not followed.
    #[arg(long)]
    pub(super) recursive: bool,
    /// Side of a tile in pixels, a multiple of 32 [default: the model's].
    #[arg(long, value_name = "N")]
    pub(super) tile: Option<usize>,
    /// Overlap of neighbouring tiles as a fraction of their side, from 0 to below 1 [default: the model's].
    #[arg(long, value_name = "F")]
    pub(super) overlap: Option<f64>,
    /// Test-time augmentation: predict each tile also mirrored (4 copies), or mirrored and turned (8 copies).
    #[arg(long, value_enum, default_value_t = TtaName::None)]
    pub(super) tta: TtaName,
    /// What to predict on: cpu, cuda, cuda:N, or auto (the first GPU, or the CPU if there is none).
    #[arg(long, default_value = "auto")]
    pub(super) device: Device,
    /// Number of threads [default: the number of cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Number of tiles computed at a time [default: by the device].
    #[arg(long, value_name = "N")]
    pub(super) batch: Option<NonZeroUsize>,
    /// Format of the masks: png with the classes' colours as palette, or tif in grey.
    #[arg(long, value_enum, default_value_t = FormatName::Png)]
    pub(super) format: FormatName,
    /// Also write the probabilities as float16: npz, an array [classes, height, width]; or tif, a page a class.
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "npz")]
    pub(super) probabilities: Option<ProbabilityName>,
    /// Also write maps of the uncertainty (entropy of the probabilities; 255 is a guess) and, with several models, of their
    /// disagreement.
    #[arg(long)]
    pub(super) uncertainty: bool,
    /// Also measure the objects of this class: number, size, shape, distance; may be repeated.
    #[arg(long, value_name = "CLASS")]
    pub(super) objects: Vec<String>,
    /// The part of a file name (without folder and extension) that names the specimen, e.g. `^[^_]+`; the first group counts,
    /// if there is one. summary.csv has means by specimen.
    #[arg(long, value_name = "REGEX")]
    pub(super) specimen: Option<String>,
    /// Predict images again that are predicted already.
    #[arg(long)]
    pub(super) force: bool,
    /// Print predict.json instead of a table.
    #[arg(long)]
    pub(super) json: bool,
    /// No progress, only errors and results.
    #[arg(long, short)]
    pub(super) quiet: bool,
    // Last: its heading would go on.
    #[command(flatten)]
    pub(super) read: ReadArgs,
}

/// How image files are read where they do not say it themselves: in the place of what the model says.
#[derive(Args)]
#[command(next_help_heading = "Reading images (default: as the model's training images)")]
pub(super) struct ReadArgs {
    /// Bits of a pixel that are used, 8 to 16, e.g. 12 of 16.
    #[arg(long, value_name = "N")]
    pub(super) bits: Option<u8>,
    /// Values that become black and white, e.g. 0:4095.
    #[arg(long, value_name = "BLACK:WHITE", allow_hyphen_values = true)]
    pub(super) range: Option<String>,
    /// Page of files that have several, from 1.
    #[arg(long, value_name = "N")]
    pub(super) page: Option<usize>,
    /// Channels that are read, from 0, separated by commas.
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub(super) channels: Option<Vec<usize>>,
    /// Margins that are no part of the micrograph: auto (the info bar, by the metadata), none, or e.g. bottom=60,top=2.
    #[arg(long, value_name = "MARGINS")]
    pub(super) crop: Option<String>,
    /// Size of a pixel, e.g. '50 nm' or '5 µm / 504 px', in the place of the metadata's.
    #[arg(long, value_name = "SIZE")]
    pub(super) pixel_size: Option<String>,
}

/// `--tta`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TtaName {
    None,
    Flips,
    Full,
}

/// `--format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FormatName {
    Png,
    Tif,
}

/// `--probabilities`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ProbabilityName {
    Npz,
    Tif,
}

impl From<FormatName> for MaskFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Png => MaskFormat::Png,
            FormatName::Tif => MaskFormat::Tif,
        }
    }
}

impl From<ProbabilityName> for ProbabilityFormat {
    fn from(name: ProbabilityName) -> Self {
        match name {
            ProbabilityName::Npz => ProbabilityFormat::Npz,
            ProbabilityName::Tif => ProbabilityFormat::Tif,
        }
    }
}

impl PredictArgs {
    /// Number of threads; 0: as many as cores.
    pub(in super::super) fn jobs(&self) -> usize {
        self.jobs.map_or(0, usize::from)
    }

    pub(super) fn predict_options(&self) -> PredictOptions {
        let tta = match self.tta {
            TtaName::None => Tta::None,
            TtaName::Flips => Tta::Flips,
            TtaName::Full => Tta::Full,
        };
        PredictOptions { tile: self.tile, overlap: self.overlap, tta, batch: self.batch.map(NonZeroUsize::get) }
    }
}
