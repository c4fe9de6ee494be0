//! Tables on the page.

use super::markdown::{MARK, html_of};
use super::plural::plural;
use maud::{Markup, PreEscaped, html};
use serde::Serialize;
use std::collections::BTreeMap;

/// A table as its stage left it.
#[derive(Clone, Debug, Serialize)]
pub struct TableView {
    /// The name of its files, without extension.
    pub file: String,
    /// Its Markdown.
    #[serde(skip)]
    pub markdown: String,
    /// The rows of its CSV, by column.
    pub rows: Vec<BTreeMap<String, String>>,
    /// The stages behind each label, by seed.
    pub stages: Vec<(String, Vec<String>)>,
    /// Rows whose models were trained on some of the images that they are scored on.
    pub leaks: Vec<TableLeaks>,
}

/// A row whose model was trained on some of the images that it is scored on.
#[derive(Clone, Debug, Serialize)]
pub struct TableLeaks {
    /// The row's label.
    pub label: String,
    /// Number of these images.
    pub images: usize,
}

impl TableView {
    pub(super) fn markup(&self) -> Markup {
        let leaked = |cell: &str| self.is_leaked(cell);
        html! {
            article.table data-table=(self.file) {
                h3 { (self.file) }
                (PreEscaped(html_of(&self.markdown, &leaked)))
                (self.note())
            }
        }
    }

    /// Whether `cell` is the label of a row with leaks. Labels in cells may be followed by marks.
    fn is_leaked(&self, cell: &str) -> bool {
        self.leaks.iter().any(|row| {
            let marks = cell.strip_prefix(row.label.as_str());
            marks.is_some_and(|marks| marks.trim_start().chars().all(|c| !c.is_alphanumeric()))
        })
    }

    /// What the mark means, below the table.
    fn note(&self) -> Markup {
        let most = self.leaks.iter().map(|row| row.images).max().unwrap_or(0);
        let images = if most == 1 { "1 image".to_owned() } else { format!("up to {}", plural(most, "image")) };
        html! {
            @if !self.leaks.is_empty() {
                p.leak {
                    (MARK) " The model was trained on some of the images that it is scored on, in whole or in part ("
                    (images) "): its scores are too high. See " a href="#leaks" { "Data" } "."
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_leaks_are_marked_and_no_others() {
        let markdown =
            "| method | mIoU |\n| --- | ---: |\n| a † | 1.00 |\n| a b | 2.00 |\n| c\\_d | 3.00 |\n\na, not marked\n";
        let leaks = ["a", "c_d"].map(|label| TableLeaks { label: label.into(), images: 2 });
        let mut table = TableView {
            file: "t".into(),
            markdown: markdown.into(),
            rows: Vec::new(),
            stages: Vec::new(),
            leaks: leaks.into(),
        };
        let html = table.markup().into_string();
        let (above, note) = html.split_once("<p class=\"leak\">").unwrap();
        assert_eq!(above.matches(MARK).count(), 2, "{html}");
        assert!(html.contains("<td>a † <a class=\"leak\"") && html.contains("<td>c_d <a class=\"leak\""), "{html}");
        assert!(html.contains("<td>a b</td>"), "{html}");
        assert!(note.contains("up to 2 images"), "{note}");
        table.leaks.clear();
        assert!(!table.markup().into_string().contains(MARK));
        table.markdown = "| m |\n| --- |\n| <i>a</i> |\n".into();
        let raw = table.markup().into_string();
        assert!(raw.contains("&lt;i&gt;a"), "{raw}");
    }
}
