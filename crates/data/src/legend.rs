//! What the values or colours in mask files mean.

use super::instances::number_of_instances;
use super::{Color, DataError, Mask, decode};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest number of values or colours of one mask that are named because they have no class. A file with more of them is
/// no mask, or a smoothed one.
const NAMED: usize = 8;

/// From label values or colours to class indices or [`crate::IGNORE`].
#[derive(Clone, Debug, Default)]
pub(super) struct Legend {
    /// Class of each label value.
    pub(super) values: BTreeMap<u8, u8>,
    /// Class of each colour; if there are any, masks are read as colours.
    pub(super) colors: BTreeMap<Color, u8>,
    /// Class of every other colour, if there is one.
    pub(super) other_color: Option<u8>,
    /// The page (from 1) of masks that have several.
    pub(super) page: Option<usize>,
}

impl Legend {
    /// The class indices of the mask whose file at `path` has the content `bytes`.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be read as a mask, and for each value or colour that has no class.
    pub(super) fn read(&self, path: &Path, bytes: &[u8]) -> Result<Mask, DataError> {
        if self.colors.is_empty() { self.by_value(path, bytes) } else { self.by_color(path, bytes) }
    }

    fn by_value(&self, path: &Path, bytes: &[u8]) -> Result<Mask, DataError> {
        let mut mask = decode::decode_mask(path, bytes, self.page)?;
        let mut classes = [None; 256];
        for (&value, &class) in &self.values {
            classes[usize::from(value)] = Some(class);
        }
        let is_known = |label: &u8| classes[usize::from(*label)].is_some();
        if !mask.labels.iter().all(is_known)
            && let Some(count) = number_of_instances(&mask.labels, self.values.len())
        {
            let problem = format!("its values 1 to {count} look like numbers of objects (instances), not of classes");
            let cure = "save the class of each object as its value, e.g. 1 for all objects of one class";
            let fault = "masks hold numbers of objects (instances), not of classes";
            return Err(DataError::bad(path, problem, cure).shared(fault, "masks", format!(": 1 to {count}")));
        }
        let mut first: BTreeMap<u8, usize> = BTreeMap::new();
        for (i, label) in mask.labels.iter_mut().enumerate() {
            match classes[usize::from(*label)] {
                Some(class) => *label = class,
                None => drop(first.entry(*label).or_insert(i)),
            }
        }
        let known: Vec<String> = self.values.keys().map(u8::to_string).collect();
        let unknown = Unknown {
            what: "label value",
            whats: "label values",
            known: format!("the classes have the values {}", known.join(", ")),
            param: "values",
            width: mask.width,
            cure_of_many: "correct the mask: one value for each class, no grey edges",
        };
        unknown.check(path, &first, |value| format!("`ignore_label = {value}`"))?;
        Ok(mask)
    }

    fn by_color(&self, path: &Path, bytes: &[u8]) -> Result<Mask, DataError> {
        let image = decode::decode_colors(path, bytes, self.page)?;
        let mut last = None;
        let mut labels = Vec::with_capacity(image.width * image.height);
        let mut first: BTreeMap<Color, usize> = BTreeMap::new();
        for (i, pixel) in image.pixels.chunks_exact(image.channels).enumerate() {
            let color = Color(<[u8; 3]>::try_from(pixel).unwrap_or([pixel[0]; 3]));
            // Neighbouring pixels mostly have the same colour, so the last class is kept.
            let class = match last {
                Some((seen, class)) if seen == color => class,
                _ => match self.colors.get(&color).copied().or(self.other_color) {
                    Some(class) => class,
                    None => {
                        first.entry(color).or_insert(i);
                        if first.len() > NAMED {
                            break;
                        }
                        0
                    }
                },
            };
            last = Some((color, class));
            labels.push(class);
        }
        let known: Vec<String> = self.colors.keys().map(Color::to_string).collect();
        let unknown = Unknown {
            what: "colour",
            whats: "colours",
            known: format!("the classes have the colours {}", known.join(", ")),
            param: "colors",
            width: image.width,
            cure_of_many: "correct the mask: one flat colour for each class, no smoothed edges",
        };
        unknown.check(path, &first, |color| format!("`ignore_color = \"{color}\"`"))?;
        Ok(Mask { width: image.width, height: image.height, labels })
    }
}

/// Words for values, or for colours, that have no class.
struct Unknown {
    what: &'static str,
    whats: &'static str,
    /// What has a class.
    known: String,
    /// The parameter that lists what has a class.
    param: &'static str,
    /// Of the mask.
    width: usize,
    cure_of_many: &'static str,
}

impl Unknown {
    /// An error for each of `first` (a value, or a colour, and the first pixel that has it); one error if there are many.
    fn check<V: std::fmt::Display>(
        &self,
        path: &Path,
        first: &BTreeMap<V, usize>,
        ignored: impl Fn(&V) -> String,
    ) -> Result<(), DataError> {
        let place = |i: usize| format!(" at column {}, row {}", i % self.width, i / self.width);
        let Unknown { what, whats, known, param, .. } = self;
        if first.len() > NAMED {
            let such_as = first.iter().min_by_key(|(_, i)| **i);
            let such_as = such_as.map(|(value, &i)| format!("{value}{}", place(i))).unwrap_or_default();
            let fault = format!("more than {NAMED} {whats} have no class");
            let problem = format!("{fault}, such as {such_as}");
            let cure = format!("{known}: {}", self.cure_of_many);
            return Err(DataError::bad(path, problem, cure).shared(fault, "masks", format!(": {such_as}")));
        }
        let error = |(value, &i): (&V, &usize)| {
            let problem = format!("{what} {value}{} has no class", place(i));
            let ignored = ignored(value);
            let cure = format!("{known}: correct `{param}`, add it to `classes` and `{param}`, or set {ignored}");
            DataError::bad(path, problem, cure).shared(format!("{what} {value} has no class"), "masks", place(i))
        };
        DataError::check_all(first.iter().map(error).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, RgbImage};
    use std::io::Cursor;

    fn png(width: u32, height: u32, color: impl Fn(u32) -> [u8; 3]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb(color(y * width + x)));
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_value_without_a_class_is_named_with_its_first_pixel() {
        let legend = Legend { values: [(0, 0), (1, 1)].into(), ..Legend::default() };
        let read = |values: &[u8]| {
            let bytes = png(4, values.len() as u32 / 4, |i| [values[i as usize]; 3]);
            legend.read(Path::new("m.png"), &bytes).map(|mask| mask.labels).map_err(|error| error.to_string())
        };
        assert_eq!(read(&[0, 1, 1, 0]).unwrap(), [0, 1, 1, 0]);
        let cure = "the classes have the values 0, 1: correct `values`, add it to `classes` and `values`, or set";
        assert_eq!(
            read(&[0, 1, 255, 0]).unwrap_err(),
            format!("m.png: label value 255 at column 2, row 0 has no class; {cure} `ignore_label = 255`")
        );
        assert_eq!(
            read(&[0, 1, 255, 255, 7, 7, 0, 255]).unwrap_err(),
            format!(
                "1 file of the data set cannot be used:\n  m.png: label value 7 at column 0, row 1 has no class; {cure} \
                 `ignore_label = 7`\n  m.png: label value 255 at column 2, row 0 has no class; {cure} `ignore_label = 255`"
            )
        );
        let photograph: Vec<u8> = (0..200).collect();
        assert_eq!(
            read(&photograph).unwrap_err(),
            "m.png: more than 8 label values have no class, such as 2 at column 2, row 0; the classes have the values 0, 1: \
             correct the mask: one value for each class, no grey edges"
        );
    }

    #[test]
    fn every_other_colour_may_be_a_class() {
        let legend = Legend { colors: [(Color([255, 0, 0]), 1)].into(), other_color: Some(0), ..Legend::default() };
        let bytes = png(10, 10, |i| if i % 10 < 3 { [255, 0, 0] } else { [i as u8; 3] });
        let mask = legend.read(Path::new("m.png"), &bytes).unwrap();
        assert_eq!(mask.labels.iter().filter(|&&label| label == 1).count(), 30);
        let strict = Legend { other_color: None, ..legend };
        let text = strict.read(Path::new("m.png"), &bytes).unwrap_err().to_string();
        assert!(
            text.starts_with("m.png: more than 8 colours have no class, such as #030303 at column 3, row 0;"),
            "{text}"
        );
    }
}
