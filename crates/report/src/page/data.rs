//! What a data set holds, on the page and in `run.json`.

use matssl_data::survey::{SplitSurvey, Survey};
use maud::{Markup, html};
use serde::Serialize;

/// A data set.
#[derive(Clone, Debug, Serialize)]
pub struct DataView {
    /// Its name.
    pub name: String,
    /// Its reader.
    pub format: String,
    /// `found`, `drawn by the run`, `missing` or `not looked at`.
    pub state: &'static str,
    /// Its classes, in the order of shares.
    pub classes: Vec<String>,
    /// Those that are in no mean.
    pub ignore_classes: Vec<u8>,
    /// What its publisher and the paper count.
    pub published: Option<PublishedView>,
    /// Images, sizes, bit depths, shares of classes; none if it is not there.
    #[serde(flatten)]
    pub survey: Option<Survey>,
}

/// A data set as it is published.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedView {
    /// What it is called.
    pub name: &'static str,
    /// What its publisher counts.
    pub counts: &'static str,
    /// What the paper uses of it.
    pub paper: &'static str,
}

impl DataView {
    pub(super) fn markup(&self) -> Markup {
        html! {
            h3 { (self.name) " (" (self.format) ")" @if self.survey.is_none() { ": " (self.state) } }
            dl.facts {
                @if let Some(survey) = &self.survey {
                    dt { "images" } dd { (survey.images_in_words()) }
                    dt { "sizes" } dd { (survey.sizes_in_words()) }
                    dt { "stored as" } dd { (survey.stored_in_words()) }
                }
                @if let Some(published) = &self.published {
                    dt { "published" } dd { (published.name) ": " (published.counts) }
                    dt { "in the paper" } dd { (published.paper) }
                }
            }
            @if let Some(survey) = &self.survey { (self.classes(survey)) }
        }
    }

    /// A row a class, a column a split: its share of the pixels, and how many images have it.
    fn classes(&self, survey: &Survey) -> Markup {
        let splits: Vec<&SplitSurvey> = survey.splits.iter().filter(|split| !split.shares.is_empty()).collect();
        let ignored = |class: usize| self.ignore_classes.iter().any(|&ignored| usize::from(ignored) == class);
        html! {
            @if !splits.is_empty() {
                div.scroll {
                    table {
                        thead {
                            tr {
                                th { "share of the pixels (images that have it)" }
                                @for split in &splits { th.number { (split.split.name()) } }
                            }
                        }
                        tbody {
                            @for (class, name) in self.classes.iter().enumerate() {
                                tr {
                                    td { (name) @if ignored(class) { " (not in the mean)" } }
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

    pub(in super::super) fn steel() -> DataView {
        DataView {
            name: "steel".into(),
            format: "folder".into(),
            state: "found",
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
            }),
        }
    }

    #[test]
    fn a_data_set_says_what_it_holds_or_that_it_is_not_there() {
        let text = steel().markup().into_string();
        for words in ["2: 2 train", "64×64", "16-bit grey tif; all are grey", "25.00 % (2)", "defect (not in the mean)"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        let absent = DataView { survey: None, state: "missing", ..steel() };
        assert!(absent.markup().into_string().contains("steel (folder): missing"));
    }
}
