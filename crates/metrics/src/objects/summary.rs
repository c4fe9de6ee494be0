//! Many objects in a few numbers.

use super::Object;
use serde::{Deserialize, Serialize};

/// The distribution of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Number of values.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation with divisor n − 1; `None` for one value.
    pub deviation: Option<f64>,
    /// The values that 10, 50 and 90 % of the objects do not exceed, by number (not by area or volume), interpolated as numpy
    /// does.
    pub percentiles: [f64; 3],
}

impl Distribution {
    /// The distribution of `values`, which are finite; `None` if there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let count = values.len();
        let last = count.checked_sub(1)?;
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let percentile = |share: f64| {
            let rank = share * last as f64;
            let low = rank as usize;
            values[low] + (rank - low as f64) * (values[(low + 1).min(last)] - values[low])
        };
        let deviation = (last > 0).then(|| (squares / last as f64).sqrt());
        Some(Distribution { count, mean, deviation, percentiles: [0.1, 0.5, 0.9].map(percentile) })
    }
}

/// The objects of one class in one field or in several.
///
/// Objects at the edge of a field are cut, so they are in no distribution of sizes, shapes and distances. This leaves out more of
/// the large ones; fields should be much larger than objects. They count half in the number per area (Jeffries' planimetric
/// procedure, ASTM E112; ASTM E1245 also counts by area).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectSummary {
    /// Number of objects, with those at the edge.
    pub count: usize,
    /// Number of objects at the edge.
    pub at_edge: usize,
    /// Number of objects by area: those inside plus half of those at the edge. `None` without an area.
    pub per_area: Option<f64>,
    /// Equivalent diameter of the objects inside; `None` if there are none, as below.
    pub diameter: Option<Distribution>,
    /// Number of pixels of the objects inside.
    pub pixels: Option<Distribution>,
    /// Aspect ratio of the objects inside.
    pub aspect_ratio: Option<Distribution>,
    /// Distance from the objects inside to their nearest neighbours, which may be at the edge.
    pub nearest: Option<Distribution>,
}

impl ObjectSummary {
    /// The objects of fields of the total area `area`, in the square of the unit of the objects' lengths.
    pub fn of(objects: &[Object], area: f64) -> Self {
        let at_edge = objects.iter().filter(|object| object.touches_edge).count();
        let inside = || objects.iter().filter(|object| !object.touches_edge);
        let number = (objects.len() - at_edge) as f64 + at_edge as f64 / 2.0;
        ObjectSummary {
            count: objects.len(),
            at_edge,
            per_area: (area > 0.0).then(|| number / area),
            diameter: Distribution::of(inside().map(|object| object.equivalent_diameter).collect()),
            pixels: Distribution::of(inside().map(|object| object.area as f64).collect()),
            aspect_ratio: Distribution::of(inside().map(|object| object.aspect_ratio).collect()),
            nearest: Distribution::of(inside().filter_map(|object| object.nearest).collect()),
        }
    }
}
