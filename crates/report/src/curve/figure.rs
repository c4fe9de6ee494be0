//! A figure and the numbers behind it.

use super::metric::is_share;
use super::over::Over;
use super::series::{Point, Series};

/// A figure: SVG, PNG, and the CSV behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Stands above it.
    pub title: Option<String>,
    /// A column of the histories, e.g. `val_miou`.
    pub metric: String,
    /// What runs along the horizontal axis.
    pub over: Over,
    /// In the order of the legend.
    pub series: Vec<Series>,
}

impl Curve {
    /// The factor from the metric's unit to the figure's.
    pub(super) fn unit(&self) -> f64 {
        if is_share(&self.metric) { 100.0 } else { 1.0 }
    }

    /// The word for the images behind `val_miou`, with a space; empty where series differ in it.
    pub(super) fn validation(&self) -> &'static str {
        match (self.series.iter().any(|s| s.on_test), self.series.iter().all(|s| s.on_test)) {
            (false, _) => "validation ",
            (true, true) => "test ",
            (true, false) => "",
        }
    }

    /// The numbers behind the figure: `series,epoch,mean,std,n` (or `labelled_images` for `epoch`), in the metric's own unit; `std` is empty for one seed.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["series", self.over.column(), "mean", "std", "n"])?;
        for series in &self.series {
            for Point { at, value } in &series.points {
                let std = value.std.map(|std| std.to_string()).unwrap_or_default();
                let [at, mean, count] = [at.to_string(), value.mean.to_string(), value.n.to_string()];
                writer.write_record([&series.label, &at, &mean, &std, &count])?;
            }
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn csv_holds_mean_deviation_and_count() {
        let seeds = [BTreeMap::from([(1, 0.5), (2, 0.6)]), BTreeMap::from([(1, 0.7)])];
        let series = vec![Series::new("a, b", &seeds), Series::new("c", &[BTreeMap::from([(2, 0.6)])])];
        let curve = Curve { title: None, metric: "val_miou".into(), over: Over::Epochs, series };
        let expected = "series,epoch,mean,std,n\n\"a, b\",1,0.6,0.14142135623730948,2\nc,2,0.6,,1\n";
        assert_eq!(curve.csv().unwrap(), expected);
    }
}
