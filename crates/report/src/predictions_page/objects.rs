//! Sizes, shapes and distances of objects.

use super::content::{ClassObjects, PredictionsPage};
use super::image_table::swatch;
use super::number::{centre, counted, deviation, length};
use crate::histogram::Histogram;
use matssl_metrics::Object;
use maud::{Markup, PreEscaped, html};

/// A measure of objects: its name, whether it is a length, and its value.
type Measure = (&'static str, bool, fn(&Object) -> Option<f64>);

const MEASURES: [Measure; 3] = [
    ("equivalent diameter", true, |object| Some(object.equivalent_diameter)),
    ("aspect ratio", false, |object| Some(object.aspect_ratio)),
    ("distance to the nearest neighbour", true, |object| object.nearest),
];

impl PredictionsPage {
    /// For each class whose objects were measured: numbers and distributions.
    pub(super) fn objects(&self) -> Markup {
        html! {
            p.hint { "Objects are connected pixels of a class, at all images. Those that touch the edge of an image are counted, \
                      but are in no distribution, because part of them may be missing." }
            @for objects in &self.objects { (self.class_objects(objects)) }
        }
    }

    fn class_objects(&self, objects: &ClassObjects) -> Markup {
        let (name, colour) = self.classes.get(objects.class).map_or(("?", [0; 3]), |(name, colour)| (name, *colour));
        let inside: Vec<&Object> = objects.objects.iter().filter(|object| !object.touches_edge).collect();
        let at_edge = objects.objects.len() - inside.len();
        let measured: Vec<(String, bool, Vec<f64>)> = MEASURES
            .iter()
            .map(|&(measure, is_length, value)| {
                let unit = if is_length { format!(" ({})", objects.unit) } else { String::new() };
                (format!("{measure}{unit}"), is_length, inside.iter().filter_map(|object| value(object)).collect())
            })
            .filter(|(_, _, values): &(_, _, Vec<f64>)| !values.is_empty())
            .collect();
        html! {
            h3 { (swatch(colour)) (name) }
            p {
                (counted(objects.objects.len(), "object")) ", of which " (at_edge) " at the edge of an image."
                @if let Some(intercept) = objects.mean_intercept {
                    " Mean intercept length " (length(intercept)) " " (objects.unit) "."
                }
            }
            @if !measured.is_empty() {
                div.scroll {
                    table {
                        thead { tr { th { "measure" } th { "objects" } th { "mean" } th { "median" } th { "deviation" } } }
                        tbody {
                            @for (measure, _, values) in &measured {
                                @let (mean, median) = centre(values).unwrap_or_default();
                                tr {
                                    td { (measure) }
                                    td.number { (values.len()) }
                                    td.number { (length(mean)) }
                                    td.number { (length(median)) }
                                    td.number { (deviation(values).map_or_else(|| "–".to_owned(), length)) }
                                }
                            }
                        }
                    }
                }
                div.charts {
                    @for (measure, is_length, values) in &measured {
                        figure.paper { (PreEscaped(chart(name, measure, *is_length, values, colour))) }
                    }
                }
            }
        }
    }
}

fn chart(class: &str, measure: &str, is_length: bool, values: &[f64], colour: [u8; 3]) -> String {
    let (mean, median) = centre(values).unwrap_or_default();
    Histogram {
        title: class,
        note: format!("mean {}, median {}", length(mean), length(median)),
        values,
        axis: measure,
        counted: "objects",
        // An aspect ratio is at least 1.
        limits: (if is_length { 0.0 } else { 1.0 }, f64::INFINITY),
        colour,
    }
    .svg()
}
