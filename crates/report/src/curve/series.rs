//! A metric over the epochs or the number of labelled images, averaged over seeds.

use super::metric::Better;
use matssl_metrics::Summary;
use std::collections::BTreeMap;

/// One point of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The epoch, as the history counts them, or the number of labelled images.
    pub at: u64,
    /// Over the seeds, in the unit of the metric (a share, not percent).
    pub value: Summary,
}

/// The line of one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The method's name.
    pub label: String,
    /// From left to right.
    pub points: Vec<Point>,
    /// The metric was measured on the test images, and the epoch chosen by it. Such a series is marked.
    pub on_test: bool,
}

impl Series {
    /// Mean and deviation over the histories of one label, epoch by epoch (or by the number of labelled images). The series ends with the shortest history: beyond it,
    /// the mean would be over fewer seeds.
    pub fn new(label: impl Into<String>, seeds: &[BTreeMap<u64, f64>]) -> Series {
        let mut by_epoch: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (&epoch, &value) in seeds.iter().flatten() {
            by_epoch.entry(epoch).or_default().push(value);
        }
        let all = seeds.iter().filter(|seed| !seed.is_empty()).count();
        let complete = by_epoch.into_iter().filter(|(_, values)| values.len() == all);
        let points = complete.filter_map(|(at, values)| Some(Point { at, value: Summary::of(values)? }));
        Series { label: label.into(), points: points.collect(), on_test: false }
    }

    /// The first point with the best mean; `None` for a metric that has no better and worse.
    pub fn best(&self, metric: &str) -> Option<Point> {
        let better: fn(f64, f64) -> bool = match Better::of(metric)? {
            Better::Higher => |a, b| a > b,
            Better::Lower => |a, b| a < b,
        };
        let mut points = self.points.iter();
        let first = points.next()?;
        Some(*points.fold(first, |best, point| if better(point.value.mean, best.value.mean) { point } else { best }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_ends_with_the_shortest_of_its_histories() {
        let seed = |epochs: u64| (0..epochs).map(|epoch| (epoch, epoch as f64 / 10.0)).collect();
        let series = Series::new("patience", &[seed(4), seed(9), BTreeMap::new()]);
        assert_eq!(series.points.iter().map(|point| point.at).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(series.best("val_miou").unwrap().at, 3);
    }

    #[test]
    fn the_best_epoch_is_the_first_of_the_best() {
        let series = Series::new("a", &[BTreeMap::from([(1, 0.5), (2, 0.7), (3, 0.7), (4, 0.1)])]);
        assert_eq!(series.best("val_miou").map(|p| p.at), Some(2));
        assert_eq!(series.best("val_loss").map(|p| p.at), Some(4));
        assert_eq!(series.best("val_dice_loss").map(|p| p.at), Some(4));
        assert_eq!(series.best("learning_rate"), None);
    }
}
