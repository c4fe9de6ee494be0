//! Small synthetic data sets with the folders and files of the published ones, to try an experiment of the paper without the
//! paper's data.

use super::draw::synthesize_one;
use super::params::SynthesizeParams;
use crate::format::EbcPreset;
use crate::{DataError, Micrograph, Split};
use image::{DynamicImage, GrayImage};
use matssl_base::random::Stream;
use std::fmt::Write as _;
use std::path::Path;

/// Rows of MetalDAM's info band.
const BAND: usize = 65;

/// Writes `metaldam/MetalDAM`, `uhcs`, `aachen` and `ebc/EBC1` … `ebc/EBC3` into `folder`; the same bytes each time.
///
/// | data set | synthetic | published |
/// | --- | --- | --- |
/// | MetalDAM | 12 labelled, 8 unlabelled, 96×96 and the band | 42 and 164, 1024×768 and 1280×960 with the band |
/// | UHCS | 6 of 645×522 or 645×484 | 961 |
/// | Aachen–Heerlen | 12 of 128×96, 3 polygons each | 1,705 of 1024×768 |
/// | EBC | as many as published, 128×128; EBC1 and EBC2 share images as there | 1024×1024 |
///
/// # Errors
/// [`DataError::Write`].
pub fn write_layouts(folder: &Path) -> Result<(), DataError> {
    metaldam(&folder.join("metaldam/MetalDAM"))?;
    uhcs(&folder.join("uhcs"))?;
    aachen(&folder.join("aachen"))?;
    for preset in [EbcPreset::Ebc1, EbcPreset::Ebc2, EbcPreset::Ebc3Folder] {
        ebc(&folder.join("ebc").join(preset.folder()), preset)?;
    }
    Ok(())
}

fn params(size: usize, seed: u64) -> SynthesizeParams {
    SynthesizeParams { size, seed, grain: size as f64 / 4.0, ..SynthesizeParams::default() }
}

/// Labels of five classes without a band, and images with one.
fn metaldam(root: &Path) -> Result<(), DataError> {
    // Matrix, lamellar, island, pore → matrix, austenite, martensite/austenite, defect; few precipitates are annotated.
    const VALUES: [u8; 4] = [0, 1, 2, 4];
    for index in 0..12 {
        let (image, mask) = synthesize_one(&params(96, 1), Split::Train, index);
        let mut labels: Vec<u8> = mask.labels.iter().map(|&label| VALUES[usize::from(label)]).collect();
        labels[..4].fill(3);
        write(&root.join(format!("images/micrograph{index}.jpg")), &with_band(image, BAND))?;
        write(&root.join(format!("labels/micrograph{index}.png")), &grey(96, 96, labels))?;
    }
    for index in 0..8 {
        let (image, _) = synthesize_one(&params(96, 1), Split::Unlabeled, index);
        let path = root.join(format!("Additive_unlabeled_publish/additive{index}.tif"));
        write(&path, &with_band(image, BAND))?;
    }
    Ok(())
}

/// Mixed formats in one folder, some images with the band.
fn uhcs(root: &Path) -> Result<(), DataError> {
    for index in 0..6 {
        let (image, _) = synthesize_one(&params(645, 2), Split::Unlabeled, index);
        let image = image.crop_top_left(645, 484);
        let extension = ["png", "tif", "jpg"][index % 3];
        let band = if index % 2 == 0 { 522 - 484 } else { 0 };
        write(&root.join(format!("micrographs/micrograph{index}.{extension}")), &with_band(image, band))?;
    }
    // The reader does not open it.
    write_bytes(&root.join("microstructures.sqlite"), b"")
}

/// Islands as polygons in a table, and the images that go with them.
fn aachen(root: &Path) -> Result<(), DataError> {
    let (width, height) = (128, 96);
    let mut polygons = "image_url;point;polygon\n".to_owned();
    let mut metadata = "image_url,type,temperature,direction,distance,magnification,angle\n".to_owned();
    for index in 0..12_usize {
        let name = format!("IMG_{index:05}.png");
        let mut random = Stream::new(3, "aachen", 0, index as u64);
        let (mut image, _) = synthesize_one(&params(width, 3), Split::Train, index);
        image = image.crop_top_left(width, height);
        for island in 0..3 {
            // One island in each third of the image, so that they do not overlap.
            let (x, y) = (22.0 + 42.0 * f64::from(island), 20.0 + 56.0 * random.uniform());
            let radius = 9.0 + 8.0 * random.uniform();
            let corners: Vec<(i64, i64)> = (0..8)
                .map(|corner| {
                    let (angle, r) =
                        (f64::from(corner) * std::f64::consts::TAU / 8.0, radius * (0.8 + 0.2 * random.uniform()));
                    ((x + r * angle.cos()).round() as i64, (y + r * angle.sin()).round() as i64)
                })
                .collect();
            brighten(&mut image, (x, y), 0.85 * radius);
            let list = corners.iter().map(|(x, y)| format!("({x}, {y})")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(polygons, "{name};({}, {});[{list}]", x.round(), y.round());
        }
        let kind = 1 + index / 4;
        let _ = writeln!(metadata, "{name},0{kind},500,Horizontal,0.0,4000,perpendicular");
        write(&root.join("PNG").join(&name), &grey(width, height, image.pixels))?;
    }
    write_bytes(&root.join("nature_scidata_heerlen_aachen_steel_annotations_polygon.csv"), polygons.as_bytes())?;
    write_bytes(&root.join("nature_scidata_steel_metadata.csv"), metadata.as_bytes())
}

/// 0 background, 1 oxide, 2 crack.
fn ebc(root: &Path, preset: EbcPreset) -> Result<(), DataError> {
    const VALUES: [u8; 4] = [0, 1, 1, 2];
    // EBC2 has the first training images of EBC1, and the same images otherwise.
    let (seed, first) = if preset == EbcPreset::Ebc3Folder { (6, "050117#0") } else { (4, EbcPreset::ONE) };
    for (split, count) in preset.counts() {
        for index in 0..count {
            let (image, mask) = synthesize_one(&params(128, seed), split, index);
            let labels = mask.labels.iter().map(|&label| VALUES[usize::from(label)]).collect();
            let name = match (split, index) {
                (Split::Train, 0) => format!("{first}.tif"),
                _ => format!("0{seed}0117#{index}_{}.tif", split.name()),
            };
            write(&root.join(split.name()).join(&name), &grey(128, 128, image.pixels))?;
            write(&root.join(format!("{}_annot", split.name())).join(&name), &grey(128, 128, labels))?;
        }
    }
    Ok(())
}

fn brighten(image: &mut Micrograph, (x, y): (f64, f64), radius: f64) {
    for (i, pixel) in image.pixels.iter_mut().enumerate() {
        let (column, row) = ((i % image.width) as f64, (i / image.width) as f64);
        if (column - x).hypot(row - y) < radius {
            *pixel = pixel.saturating_add(70);
        }
    }
}

/// The image with black rows below it.
fn with_band(image: Micrograph, rows: usize) -> DynamicImage {
    let mut pixels = image.pixels;
    pixels.resize(image.width * (image.height + rows), 0);
    grey(image.width, image.height + rows, pixels)
}

/// `pixels` are `width · height`.
fn grey(width: usize, height: usize, pixels: Vec<u8>) -> DynamicImage {
    GrayImage::from_raw(width as u32, height as u32, pixels).unwrap_or_default().into()
}

/// Writes an image in the format of the path's extension.
fn write(path: &Path, image: &DynamicImage) -> Result<(), DataError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(DataError::writing(folder))?;
    image.save(path).map_err(|error| DataError::writing(path)(std::io::Error::other(error)))
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    std::fs::write(path, bytes).map_err(DataError::writing(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{DatasetParams, Format, list_files, scan};

    #[test]
    fn the_readers_of_the_published_data_sets_read_them() {
        let folder = tempfile::tempdir().unwrap();
        write_layouts(folder.path()).unwrap();
        let counts = |format: Format, path: &str| {
            let root = folder.path().join(path);
            let mut params = DatasetParams::of(format, &root);
            if let Some(split) = &mut params.split {
                (split.val, split.test) = (0.0, 4.0);
            }
            let files = list_files(&params, &root).unwrap();
            let source: Vec<_> = files
                .iter()
                .map(|(name, path)| crate::format::SourceFile {
                    name: name.clone(),
                    path: path.clone(),
                    digest: blake3::hash(&std::fs::read(path).unwrap()).to_hex().to_string(),
                })
                .collect();
            let manifest = scan(&params, &root, &source, &|_, _| {}).unwrap();
            [Split::Train, Split::Val, Split::Test, Split::Unlabeled].map(|split| manifest.entries(split).len())
        };
        assert_eq!(counts(Format::Metaldam, "metaldam/MetalDAM"), [8, 0, 4, 8]);
        assert_eq!(counts(Format::Aachen, "aachen"), [8, 0, 4, 0]);
        assert_eq!(counts(Format::Ebc, "ebc/EBC1"), [18, 3, 3, 0]);
        assert_eq!(counts(Format::Ebc, "ebc/EBC2"), [4, 3, 3, 0]);
        assert_eq!(counts(Format::Ebc, "ebc/EBC3"), [15, 3, 6, 0]);
        assert_eq!(counts(Format::Uhcs, "uhcs"), [0, 0, 0, 6]);
    }
}
