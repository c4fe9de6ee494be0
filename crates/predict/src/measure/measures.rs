//! Measures that are taken while rows of labels come.

use super::{ClassObjects, Measured, Unit};
use matssl_metrics::{BlockCounts, InterceptMeter, ObjectMeter};

/// The measures of an image whose rows are not all there yet.
pub(crate) struct Measures {
    counts: BlockCounts,
    intercepts: InterceptMeter,
    objects: Vec<(u8, ObjectMeter)>,
}

impl Measures {
    /// Of an image of `size` (width, height) with labels `0..classes`; objects of the classes `objects`.
    pub(crate) fn new(classes: usize, size: (usize, usize), objects: &[u8]) -> Self {
        Measures {
            counts: BlockCounts::for_image(classes, size),
            intercepts: InterceptMeter::new(classes, size.0),
            objects: objects.iter().map(|&class| (class, ObjectMeter::new(class, size.0))).collect(),
        }
    }

    /// Adds the rows from `top` on.
    pub(crate) fn add(&mut self, top: usize, labels: &[u8]) {
        self.counts.add(top, labels);
        self.intercepts.add(labels);
        self.objects.iter_mut().for_each(|(_, meter)| meter.add(labels));
    }

    /// The measures, in µm if the size of a pixel (nm, across and down) is known.
    pub(crate) fn finish(self, pixel_size: Option<[f64; 2]>) -> Measured {
        let unit = if pixel_size.is_some() { Unit::Micrometre } else { Unit::Pixel };
        let pixel = pixel_size.map_or([1.0; 2], |size| size.map(|nanometres| nanometres / 1e3));
        let objects = |(class, meter): (u8, ObjectMeter)| ClassObjects { class, objects: meter.finish_in(pixel) };
        Measured {
            counts: self.counts,
            unit,
            intercepts: self.intercepts.finish().into_iter().map(|intercept| intercept.mean(pixel)).collect(),
            objects: self.objects.into_iter().map(objects).collect(),
        }
    }
}
