//! A metric over the epochs, as in the paper's Figs. 3 to 6: a line for each method, a band where it has several
//! seeds, a mark at the best epoch.

mod axis;
mod draw;
mod legend;
mod plot;

use anyhow::Context;
use matssl_metrics::Summary;
use std::collections::BTreeMap;

/// One epoch of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// As the history counts them.
    pub epoch: u64,
    /// Over the seeds that have a value there; in the metric's own unit (a share, not percent).
    pub value: Summary,
}

/// A method's course.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The method's name.
    pub label: String,
    /// By epoch.
    pub points: Vec<Point>,
    /// The metric was taken on the test images, and the epoch chosen by it: marked, not called validation.
    pub on_test: bool,
}

/// What is drawn: SVG, PNG, and the CSV behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Stands above it.
    pub title: Option<String>,
    /// A column of the histories, e.g. `val_miou`.
    pub metric: String,
    /// In the order of the legend.
    pub series: Vec<Series>,
}

/// The value of one column of a `history.csv`, by epoch. Epochs without a value (an empty field), or with one that is
/// not finite, are left out.
///
/// # Errors
/// If the text is no CSV with the columns `epoch` and `metric`; the message lists the columns there are.
pub fn read_history(csv: &str, metric: &str) -> anyhow::Result<BTreeMap<u64, f64>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().context("reading the header")?.clone();
    let column = |name: &str| {
        header.iter().position(|field| field == name).with_context(|| {
            let names: Vec<&str> = header.iter().filter(|&field| field != "epoch").collect();
            format!("there is no column {name:?}; there are {}", names.join(", "))
        })
    };
    let (epoch, value) = (column("epoch")?, column(metric)?);
    let mut values = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| record.get(column).unwrap_or_default().trim();
        if field(value).is_empty() {
            continue;
        }
        let number: f64 =
            field(value).parse().with_context(|| format!("line {line}: {:?} is no number", field(value)))?;
        let epoch = field(epoch).parse().with_context(|| format!("line {line}: {:?} is no epoch", field(epoch)))?;
        if number.is_finite() {
            values.insert(epoch, number);
        }
    }
    Ok(values)
}

impl Series {
    /// The summary over seeds, epoch by epoch, of the histories of one label, as far as all of them go: where one has
    /// stopped early, the mean would be one over other seeds.
    pub fn new(label: impl Into<String>, seeds: &[BTreeMap<u64, f64>]) -> Series {
        let mut by_epoch: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (&epoch, &value) in seeds.iter().flatten() {
            by_epoch.entry(epoch).or_default().push(value);
        }
        let all = seeds.iter().filter(|seed| !seed.is_empty()).count();
        let complete = by_epoch.into_iter().filter(|(_, values)| values.len() == all);
        let points = complete.filter_map(|(epoch, values)| Some(Point { epoch, value: Summary::of(values)? }));
        Series { label: label.into(), points: points.collect(), on_test: false }
    }

    /// The point of the best mean, the first of equals; `None` where a metric has no better and worse.
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

enum Better {
    Higher,
    Lower,
}

impl Better {
    fn of(metric: &str) -> Option<Better> {
        if metric.contains("loss") {
            Some(Better::Lower)
        } else if is_share(metric) {
            Some(Better::Higher)
        } else {
            None
        }
    }
}

/// Metrics from 0 to 1, shown in percent.
fn is_share(metric: &str) -> bool {
    ["iou", "dice", "accuracy", "precision", "recall", "retrieval"].iter().any(|part| metric.contains(part))
        && !metric.contains("loss")
}

/// What to write along the axis, with the unit: `val_miou` → `validation mIoU (%)`; `validation` is the word for the
/// images that the epoch was chosen on.
fn axis_label(metric: &str, validation: &str) -> String {
    let (images, rest) = match metric.split_once('_') {
        Some(("val", rest)) => (validation, rest),
        Some(("test", rest)) => ("test ", rest),
        Some(("train", rest)) => ("training ", rest),
        _ => ("", metric),
    };
    let name = match rest {
        "miou" => "mIoU".to_owned(),
        "dice" => "Dice".to_owned(),
        rest => match rest.strip_prefix("iou_") {
            Some(class) => format!("IoU of {class}"),
            None => rest.replace('_', " "),
        },
    };
    format!("{images}{name}{}", if is_share(metric) { " (%)" } else { "" })
}

impl Curve {
    /// The name of the images behind `val_miou`, with a space: none where series differ in it.
    fn validation(&self) -> &'static str {
        match (self.series.iter().any(|s| s.on_test), self.series.iter().all(|s| s.on_test)) {
            (false, _) => "validation ",
            (true, true) => "test ",
            (true, false) => "",
        }
    }

    /// The numbers behind the figure: `series,epoch,mean,std,n`, the metric in its own unit; std empty for one seed.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["series", "epoch", "mean", "std", "n"])?;
        for series in &self.series {
            for Point { epoch, value } in &series.points {
                let std = value.std.map(|std| std.to_string()).unwrap_or_default();
                writer.write_record([
                    &series.label,
                    &epoch.to_string(),
                    &value.mean.to_string(),
                    &std,
                    &value.n.to_string(),
                ])?;
            }
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    /// The figure as an SVG file whose text is text (in the viewer's sans-serif).
    ///
    /// # Errors
    /// If the shipped font cannot be read.
    pub fn svg(&self) -> anyhow::Result<String> {
        self.scene().to_svg()
    }

    /// The same as a PNG file of twice the size.
    ///
    /// # Errors
    /// As [`svg`](Self::svg).
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        super::png_rgb(&self.scene().to_image(2)?)
    }
}

#[cfg(test)]
mod tests;
