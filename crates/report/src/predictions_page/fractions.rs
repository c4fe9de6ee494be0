//! How the fractions of a class are distributed over the images.

use super::content::PredictionsPage;
use super::number::{centre, deviation};
use crate::histogram::Histogram;
use maud::{Markup, PreEscaped, html};

impl PredictionsPage {
    /// A histogram of the raw fractions for each class. `None` for fewer than two images.
    pub(super) fn histograms(&self) -> Option<Markup> {
        (self.images.len() > 1).then(|| {
            html! {
                div.charts {
                    @for (class, (name, colour)) in self.classes.iter().enumerate() {
                        figure.paper { (PreEscaped(self.histogram(class, name, *colour))) }
                    }
                }
            }
        })
    }

    fn histogram(&self, class: usize, name: &str, colour: [u8; 3]) -> String {
        let fractions = self.images.iter().filter_map(|image| image.fractions.get(class));
        let values: Vec<f64> = fractions.map(|fraction| fraction.raw.value * 100.0).collect();
        let spread = deviation(&values).unwrap_or(0.0);
        let note =
            centre(&values).map(|(mean, median)| format!("mean {mean:.2}, median {median:.2}, deviation {spread:.2}"));
        Histogram {
            title: name,
            note: note.unwrap_or_default(),
            values: &values,
            axis: "raw area fraction (%)",
            counted: "images",
            limits: (0.0, 100.0),
            colour,
        }
        .svg()
    }
}
