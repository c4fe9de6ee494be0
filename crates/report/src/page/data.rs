//! A data set on the page and in `run.json`.

use matssl_data::survey::{SplitSurvey, Survey};
use maud::{Markup, html};
use serde::Serialize;

/// A data set.
#[derive(Clone, Debug, Serialize)]
pub struct DataView {
    /// Its name.
    pub name: String,
    /// The format that its reader reads.
    pub format: String,
    /// Whether its images are at hand.
    pub state: Availability,
    /// Its classes, in the order of the shares in `survey`.
    pub classes: Vec<String>,
    /// Labels of the classes that are left out of means.
    pub ignore_classes: Vec<u8>,
    /// What its publisher and the paper count.
    pub published: Option<PublishedView>,
    /// Images, sizes, bit depths, shares of classes; none if its images are not at hand.
    #[serde(flatten)]
    pub survey: Option<Survey>,
}

/// Whether the images of a data set are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Availability {
    /// Its files lie where the experiment says.
    #[serde(rename = "found")]
    Found,
    /// A stage has synthesised it.
    #[serde(rename = "synthesized by the run")]
    Synthesized,
    /// Its files are not there.
    #[serde(rename = "missing")]
    Missing,
    /// Its stage has not run yet.
    #[serde(rename = "not read yet")]
    NotRead,
}

impl Availability {
    /// The same words as in `run.json`.
    fn words(self) -> &'static str {
        match self {
            Availability::Found => "found",
            Availability::Synthesized => "synthesized by the run",
            Availability::Missing => "missing",
            Availability::NotRead => "not read yet",
        }
    }
}

/// A data set as published.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedView {
    /// Its published name.
    pub name: &'static str,
    /// The publisher's counts.
    pub counts: &'static str,
    /// The part of it that the paper uses.
    pub paper: &'static str,
}

impl DataView {
    pub(super) fn markup(&self) -> Markup {
        html! {
            h3 { (self.name) " (" (self.format) ")" @if self.survey.is_none() { ": " (self.state.words()) } }
            dl.facts {
                @if let Some(survey) = &self.survey {
                    dt { "images" } dd { (survey.images_in_words()) }
                    dt { "sizes" } dd { (survey.sizes_in_words()) }
                    dt { "stored as" } dd { (survey.stored_in_words()) }
                    @if let Some(crops) = survey.crops_in_words() { dt { "cropped" } dd { (crops) } }
                    @if let Some(sizes) = survey.pixel_sizes_in_words() { dt { "pixel size" } dd { (sizes) } }
                }
                @if let Some(published) = &self.published {
                    dt { "published" } dd { (published.name) ": " (published.counts) }
                    dt { "in the paper" } dd { (published.paper) }
                }
            }
            @if let Some(survey) = &self.survey { (self.classes(survey)) }
        }
    }

    /// One row per class, one column per split: the class's share of the pixels, and the number of images with it.
    fn classes(&self, survey: &Survey) -> Markup {
        let splits: Vec<&SplitSurvey> = survey.splits.iter().filter(|split| !split.shares.is_empty()).collect();
        let ignored = |class: usize| self.ignore_classes.iter().any(|&ignored| usize::from(ignored) == class);
        html! {
            @if !splits.is_empty() {
                div.scroll {
                    table {
                        thead {
                            tr {
                                th { "share of pixels (number of images)" }
                                @for split in &splits { th.number { (split.split.name()) } }
                            }
                        }
                        tbody {
                            @for (class, name) in self.classes.iter().enumerate() {
                                tr {
                                    td { (name) @if ignored(class) { " (left out of means)" } }
                                    @for split in &splits {
                                        td.number { (cell(split, class)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(split: &SplitSurvey, class: usize) -> String {
    match (split.shares.get(class), split.images_with.get(class)) {
        (Some(share), Some(images)) => format!("{:.2} % ({images})", 100.0 * share),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use matssl_data::Split;

    pub(in crate::page) fn steel() -> DataView {
        DataView {
            name: "steel".into(),
            format: "folder".into(),
            state: Availability::Found,
            classes: vec!["ferrite".into(), "defect".into()],
            ignore_classes: vec![1],
            published: None,
            survey: Some(Survey {
                images: 2,
                splits: vec![SplitSurvey {
                    split: Split::Train,
                    images: 2,
                    shares: vec![0.25, 0.75],
                    images_with: vec![2, 1],
                }],
                sizes: vec![((64, 64), 2)],
                stored: vec![("16-bit grey tif".into(), 2)],
                grey: 2,
                turned: Vec::new(),
                pixel_sizes: vec![("12.5 nm".into(), 1), ("unknown".into(), 1)],
                pixel_sizes_from: vec!["FEI".into()],
                crops: vec![("59 px at the bottom".into(), 2)],
            }),
        }
    }

    #[test]
    fn a_data_set_is_described_or_named_as_missing() {
        let text = steel().markup().into_string();
        for words in [
            "2: 2 train",
            "64×64",
            "16-bit grey tif; all are grey",
            "59 px at the bottom",
            "12.5 nm (1), unknown (1); from FEI metadata",
            "25.00 % (2)",
            "defect (left out of means)",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let absent = DataView { survey: None, state: Availability::Missing, ..steel() };
        assert!(absent.markup().into_string().contains("steel (folder): missing"));
        for state in [Availability::Found, Availability::Synthesized, Availability::Missing, Availability::NotRead] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.words());
        }
    }
}
