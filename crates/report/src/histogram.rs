//! Histograms.

use crate::axis::Axis;
use crate::font;
use crate::palette::{Colour, GREY, GRID, INK, VERMILION};
use crate::scene::{Anchor, Scene};

/// How often values occur.
#[derive(Clone, Debug)]
pub(crate) struct Histogram<'a> {
    /// Stands above it.
    pub(crate) title: &'a str,
    /// Stands below the title, behind the number of values: e.g. mean and median.
    pub(crate) note: String,
    /// Finite values.
    pub(crate) values: &'a [f64],
    /// The values' name and unit.
    pub(crate) axis: &'a str,
    /// What is counted, e.g. `images`.
    pub(crate) counted: &'a str,
    /// The values' lowest and highest possible value.
    pub(crate) limits: (f64, f64),
    /// Of the bars.
    pub(crate) colour: Colour,
}

const WIDTH: f64 = 310.0;
const HEIGHT: f64 = 120.0;
const LABEL: f64 = 12.5;
const TICK: f64 = 11.0;
/// More bins are too narrow to be seen.
const MOST_BINS: f64 = 40.0;

impl Histogram<'_> {
    /// As SVG. The dashed line is the mean.
    pub(crate) fn svg(&self) -> String {
        self.scene().to_svg(&format!("{}: {}", self.title, self.axis))
    }

    /// Number of values by bin. Bins begin at ticks of `axis` or divide the space between two of them.
    fn bins(&self, axis: &Axis) -> Vec<usize> {
        let ticks = axis.ticks();
        let step = ticks.get(1).map_or(axis.high - axis.low, |(second, _)| second - ticks[0].0);
        // The root of the number of values, as in most programs.
        let wanted = (self.values.len() as f64).sqrt().clamp(6.0, MOST_BINS);
        let steps = (axis.high - axis.low) / step;
        let divisor = [1.0, 2.0, 5.0, 10.0].into_iter().rev().find(|by| steps * by <= wanted).unwrap_or(1.0);
        let mut bins = vec![0; (steps * divisor).round().max(1.0) as usize];
        let last = bins.len() - 1;
        for value in self.values {
            let bin = axis.share(*value) * bins.len() as f64;
            // The highest value belongs to the last bin. Values on a border must not fall below it by rounding.
            bins[((bin + 1e-9) as usize).min(last)] += 1;
        }
        bins
    }

    fn scene(&self) -> Scene {
        let (low, high) =
            { self.values.iter() }.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
        let (low, high) = if low <= high { (low, high) } else { self.limits };
        let x = Axis::covering(low, high, 5.0, 0.0, self.limits);
        let bins = self.bins(&x);
        let most = bins.iter().copied().max().unwrap_or(0).max(1);
        let y = Axis::covering(0.0, most as f64, 3.0, 1.0, (0.0, f64::INFINITY));
        let widest = y.ticks().iter().map(|(_, label)| font::width(label, TICK)).fold(0.0, f64::max);
        // Half of the labels at both ends of the axis stick out.
        let half = x.ticks().iter().map(|(_, label)| font::width(label, TICK) / 2.0).fold(8.0, f64::max) + 2.0;
        let (left, top) = (widest.max(half) + 8.0, LABEL * 1.4 + TICK * 1.4 + 6.0);
        let (right, bottom) = (WIDTH - half, top + HEIGHT);
        let mut scene = Scene { width: WIDTH, height: 0.0, shapes: Vec::new() };
        scene.text(font::shorten(self.title, LABEL, WIDTH), (0.0, LABEL * 0.9), Anchor::Start, LABEL, INK);
        let note = format!("{} {}", self.values.len(), self.counted);
        let note = if self.note.is_empty() { note } else { format!("{note}: {}", self.note) };
        let note = font::shorten(&note, TICK, WIDTH);
        scene.text(note, (0.0, LABEL * 1.4 + TICK * 0.9), Anchor::Start, TICK, GREY);
        let at = |share: f64, count: f64| (left + share * (right - left), bottom - y.share(count) * HEIGHT);
        for (count, label) in y.ticks() {
            scene.line(vec![at(0.0, count), at(1.0, count)], GRID, 1.0, &[]);
            scene.text(label, (left - 6.0, at(0.0, count).1 + TICK * 0.36), Anchor::End, TICK, GREY);
        }
        let share = |bin: usize| bin as f64 / bins.len() as f64;
        for (bin, &count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = count as f64;
            scene.rectangle(at(share(bin), count), at(share(bin + 1), 0.0), self.colour, 1.0);
            let corners = [(bin, 0.0), (bin, count), (bin + 1, count), (bin + 1, 0.0)];
            scene.line(corners.map(|(bin, count)| at(share(bin), count)).to_vec(), GREY, 0.8, &[]);
        }
        if !self.values.is_empty() {
            let mean = x.share(self.values.iter().sum::<f64>() / self.values.len() as f64);
            scene.line(vec![at(mean, y.high), at(mean, 0.0)], VERMILION, 1.4, &[5.0, 3.0]);
        }
        scene.line(vec![(left, bottom), (right, bottom)], GREY, 1.0, &[]);
        for (value, label) in x.ticks() {
            let (across, _) = at(x.share(value), 0.0);
            scene.line(vec![(across, bottom), (across, bottom + 4.0)], GREY, 1.0, &[]);
            scene.text(label, (across, bottom + 8.0 + TICK * 0.8), Anchor::Middle, TICK, GREY);
        }
        let end = bottom + 8.0 + TICK + 6.0 + TICK;
        let axis = font::shorten(self.axis, TICK, WIDTH);
        scene.text(axis, (WIDTH / 2.0, end - TICK * 0.25), Anchor::Middle, TICK, INK);
        scene.height = end.ceil();
        scene
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::assert_readable;

    fn histogram<'a>(values: &'a [f64], limits: (f64, f64)) -> Histogram<'a> {
        let (title, note, axis, counted) = ("austenite", "mean 12.3 %".to_owned(), "area fraction (%)", "images");
        Histogram { title, note, values, axis, counted, limits, colour: [0xe6, 0x9f, 0x00] }
    }

    #[test]
    fn every_value_is_in_one_bin_and_borders_belong_to_the_upper_one() {
        let values = [0.0, 9.9, 10.0, 10.0, 25.0, 49.9, 50.0];
        let histogram = histogram(&values, (0.0, 100.0));
        let axis = Axis::covering(0.0, 50.0, 5.0, 0.0, (0.0, 100.0));
        assert_eq!(histogram.bins(&axis), [2, 2, 1, 0, 2]);
        // 4,000 values get more bins, and none is lost.
        let many: Vec<f64> = (0..4000).map(|i| f64::from(i) / 80.0).collect();
        let bins = Histogram { values: &many, ..histogram }.bins(&axis);
        assert_eq!((bins.len(), bins.iter().sum::<usize>()), (25, 4000));
        assert!(bins.iter().all(|&count| count == 160), "{bins:?}");
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        let svg = histogram(&[1.0, 1.0, 1.0, 9.0], (0.0, 100.0)).svg();
        let bars: Vec<f64> = svg
            .lines()
            .filter(|line| line.contains("#e69f00"))
            .map(|line| {
                let points = line.split('"').nth(1).unwrap();
                let y: Vec<f64> =
                    points.split(' ').map(|point| point.split_once(',').unwrap().1.parse().unwrap()).collect();
                y[2] - y[0]
            })
            .collect();
        assert_eq!(bars.len(), 2);
        assert!((bars[0] - 120.0).abs() < 0.02 && (bars[1] - 40.0).abs() < 0.02, "{bars:?}");
    }

    #[test]
    fn texts_do_not_overlap() {
        let free = (0.0, f64::INFINITY);
        let large: Vec<f64> = (0..1000).map(|i| 1234.5 + f64::from(i) * 1000.0).collect();
        let small: Vec<f64> = (0..1000).map(|i| f64::from(i) * 1e-7).collect();
        for (values, limits) in
            [(&[][..], (0.0, 100.0)), (&[3.0], free), (&[100.0, 100.0], (0.0, 100.0)), (&large, free), (&small, free)]
        {
            let mut histogram = histogram(values, limits);
            histogram.title = "a name of a class that is much too long for a picture of this width";
            assert_readable(&histogram.scene());
        }
    }
}
