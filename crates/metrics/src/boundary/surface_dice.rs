//! Normalised surface Dice (Nikolov et al. 2018, *Deep learning to achieve clinically applicable segmentation of head and neck
//! anatomy*), in two dimensions.

use super::known::{Known, mean};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far two borders may lie apart and still agree: a number of pixels, or a length such as `"0.5 µm"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number of pixels of 0 or more, e.g. 2, or a length, e.g. \"0.5 µm\"")]
#[schemars(title = "a number of pixels, or a length, e.g. \"0.5 µm\"")]
pub enum SurfaceTolerance {
    /// In pixels.
    Pixels(f64),
    /// A length with its unit; the size of the images' pixels must be known.
    Length(String),
}

/// Largest tolerance in pixels. A larger one takes much time and agrees with everything.
const MOST_PIXELS: f64 = 1000.0;

impl SurfaceTolerance {
    /// Checks the value.
    ///
    /// # Errors
    /// What was expected.
    pub fn check(&self) -> Result<(), String> {
        match self {
            SurfaceTolerance::Pixels(pixels) if !(0.0..=MOST_PIXELS).contains(pixels) => {
                Err(format!("a tolerance of {pixels} pixels; expected 0 to {MOST_PIXELS}, e.g. 2"))
            }
            SurfaceTolerance::Length(_) if self.nanometres().is_none() => {
                Err("not a length; expected a number of pixels, e.g. 2, or a length, e.g. \"0.5 µm\"".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The length in nm, if it is one.
    pub fn nanometres(&self) -> Option<f64> {
        match self {
            SurfaceTolerance::Pixels(_) => None,
            SurfaceTolerance::Length(text) => matssl_base::units::length(text).ok().filter(|length| *length > 0.0),
        }
    }

    /// Tolerance and size of a pixel (across, down) in one unit, for an image whose pixels have the size `pixel_size` in nm; `None`
    /// if that is needed and not known.
    pub fn in_image(&self, pixel_size: Option<[f64; 2]>) -> Option<(f64, [f64; 2])> {
        match self {
            SurfaceTolerance::Pixels(pixels) => Some((*pixels, [1.0, 1.0])),
            SurfaceTolerance::Length(_) => Some((self.nanometres()?, pixel_size?)),
        }
    }

    /// The tolerance in words: `2 pixels`, `0.5 µm`.
    pub fn words(&self) -> String {
        match self {
            SurfaceTolerance::Pixels(pixels) if *pixels == 1.0 => "1 pixel".into(),
            SurfaceTolerance::Pixels(pixels) => format!("{pixels} pixels"),
            SurfaceTolerance::Length(length) => length.trim().to_owned(),
        }
    }
}

/// Surface Dice over some images, pooled over the lengths of their borders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurfaceScores {
    /// How far borders may lie apart and still agree.
    pub tolerance: SurfaceTolerance,
    /// Mean over the classes; `None` if no class has a border.
    pub mean: Option<f64>,
    /// By class; `None` for a class in neither truth nor prediction.
    pub dice: Vec<Option<f64>>,
}

/// Adds up the borders of truth and prediction, image by image: of both the length that lies within the tolerance of the other's
/// border, over the length of both.
///
/// As in DeepMind's package `surface-distance`: elements of a border lie at the corners of pixels, with lengths by their four
/// neighbours. The edge of the image is a border.
#[derive(Clone, Debug)]
pub struct SurfaceMeter {
    ignore: Option<u8>,
    /// By class: length within the tolerance, and length.
    lengths: Vec<[f64; 2]>,
}

impl SurfaceMeter {
    /// Nothing measured yet, for `classes` classes. Pixels whose true label is `ignore` are as outside the image.
    pub fn new(classes: usize, ignore: Option<u8>) -> Self {
        SurfaceMeter { ignore, lengths: vec![[0.0; 2]; classes] }
    }

    /// Adds an image: labels `[height, width]` of truth and prediction, `width` pixels wide; `tolerance` and the size of a pixel
    /// (across, down) in one unit.
    pub fn add(&mut self, truth: &[u8], prediction: &[u8], width: usize, (tolerance, pixel): (f64, [f64; 2])) {
        if width == 0 {
            return;
        }
        let known = Known { truth, prediction, ignore: self.ignore };
        self.lengths.par_iter_mut().enumerate().for_each(|(class, [near, all])| {
            let Some(masks) = known.masks(class as u8) else { return };
            let [truth, prediction] = masks.map(|mask| Border::of(&mask, width, pixel));
            for (own, other) in [(&truth, &prediction), (&prediction, &truth)] {
                let (own_near, own_all) = own.near(other, tolerance, pixel);
                *near += own_near;
                *all += own_all;
            }
        });
    }

    /// The scores; the mean leaves out the classes `ignored`.
    pub fn finish(self, tolerance: SurfaceTolerance, ignored: &[u8]) -> SurfaceScores {
        let dice: Vec<Option<f64>> = self.lengths.iter().map(|[near, all]| (*all > 0.0).then(|| near / all)).collect();
        SurfaceScores { tolerance, mean: mean(&dice, ignored), dice }
    }
}

/// The border of a mask on the grid of the pixels' corners.
struct Border {
    /// Corners in a row.
    width: usize,
    /// Length of the border at each corner; 0 elsewhere.
    lengths: Vec<f64>,
    /// Distance of each corner to the nearest corner of the border in its column, in pixels; `u32::MAX` if there is none.
    down: Vec<u32>,
}

impl Border {
    fn of(mask: &[bool], width: usize, [across, down]: [f64; 2]) -> Self {
        let height = mask.len() / width;
        let (columns, rows) = (width + 1, height + 1);
        let diagonal = 0.5 * (across * across + down * down).sqrt();
        // By the pixels above left, above right, below left, below right of the corner.
        let of_code = [
            0.0,
            diagonal,
            diagonal,
            across,
            diagonal,
            down,
            2.0 * diagonal,
            diagonal,
            diagonal,
            2.0 * diagonal,
            down,
            diagonal,
            across,
            diagonal,
            diagonal,
            0.0,
        ];
        let pixel = |x: usize, y: usize| -> usize {
            // One less than the coordinate; the pixels before the first and after the last are outside.
            let inside = (1..=width).contains(&x) && (1..=height).contains(&y);
            usize::from(inside && mask[(y - 1) * width + x - 1])
        };
        let mut lengths = vec![0.0; columns * rows];
        for y in 0..rows {
            for x in 0..columns {
                let code = pixel(x, y) << 3 | pixel(x + 1, y) << 2 | pixel(x, y + 1) << 1 | pixel(x + 1, y + 1);
                lengths[y * columns + x] = of_code[code];
            }
        }
        let mut nearest = vec![u32::MAX; columns * rows];
        for x in 0..columns {
            let mut last = u32::MAX;
            // Down, and up again.
            for y in (0..rows).chain((0..rows).rev()) {
                let at = y * columns + x;
                last = if lengths[at] > 0.0 { 0 } else { last.saturating_add(1) };
                nearest[at] = nearest[at].min(last);
            }
        }
        Border { width: columns, lengths, down: nearest }
    }

    /// The length within `tolerance` of the border `other`, and the whole length.
    fn near(&self, other: &Border, tolerance: f64, [across, down]: [f64; 2]) -> (f64, f64) {
        let reach = (tolerance / across).min(self.width as f64) as usize;
        let (mut near, mut all) = (0.0, 0.0);
        for (at, &length) in self.lengths.iter().enumerate().filter(|(_, length)| **length > 0.0) {
            let (x, row) = (at % self.width, at / self.width * self.width);
            let columns = x.saturating_sub(reach)..(x + reach + 1).min(self.width);
            let is_near = |column: usize| {
                let steps = other.down[row + column];
                let (dx, dy) = (column.abs_diff(x) as f64 * across, f64::from(steps) * down);
                steps < u32::MAX && (dx * dx + dy * dy).sqrt() <= tolerance
            };
            all += length;
            if { columns }.any(is_near) {
                near += length;
            }
        }
        (near, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(truth: &[u8], prediction: &[u8], tolerance: f64, pixel: [f64; 2]) -> Option<f64> {
        let mut meter = SurfaceMeter::new(2, None);
        meter.add(truth, prediction, 6, (tolerance, pixel));
        meter.finish(SurfaceTolerance::Pixels(tolerance), &[0]).mean
    }

    #[test]
    fn a_shift_by_a_pixel_is_within_a_tolerance_of_one() {
        let row = |first: usize| (0..6).map(|x| u8::from(x >= first)).collect::<Vec<u8>>().repeat(4);
        let (truth, prediction) = (row(2), row(3));
        assert_eq!(dice(&truth, &prediction, 1.0, [1.0, 1.0]), Some(1.0));
        let strict = dice(&truth, &prediction, 0.0, [1.0, 1.0]).unwrap();
        assert!(strict > 0.5 && strict < 1.0, "{strict}");
        // 0.5 µm are more than a pixel of 400 nm, and less than one of 600 nm across.
        assert_eq!(dice(&truth, &prediction, 500.0, [400.0, 900.0]), Some(1.0));
        assert!(dice(&truth, &prediction, 500.0, [600.0, 400.0]).unwrap() < 1.0);
        assert_eq!(dice(&[0; 12], &[0; 12], 1.0, [1.0, 1.0]), None);
    }

    #[test]
    fn tolerances_are_pixels_or_lengths() {
        let read = |json: &str| serde_json::from_str::<SurfaceTolerance>(json);
        assert_eq!(read("2").unwrap().in_image(None), Some((2.0, [1.0, 1.0])));
        let length = read(r#""0.5 µm""#).unwrap();
        assert_eq!((length.in_image(None), length.in_image(Some([50.0, 52.0]))), (None, Some((500.0, [50.0, 52.0]))));
        assert_eq!((length.words(), read("2").unwrap().words()), ("0.5 µm".into(), "2 pixels".into()));
        for bad in ["-1", "1e9", r#""2 px""#, r#""0 nm""#, r#""wide""#] {
            assert!(read(bad).unwrap().check().unwrap_err().contains("expected"), "{bad}");
        }
        assert!(read("2").unwrap().check().is_ok() && length.check().is_ok());
        assert!(read("true").unwrap_err().to_string().starts_with("expected a number of pixels"));
    }
}
