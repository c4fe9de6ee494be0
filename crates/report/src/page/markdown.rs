//! A table's Markdown on the page, with marks on rows whose scores are not what they seem.

use super::TableLeaks;
use maud::{Markup, html};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html::push_html};

/// What stands behind the label of such a row.
const MARK: &str = "⚠";

/// What the Markdown says; raw HTML in it stays text. Rows of `leaks` carry a mark that leads to the data.
pub(super) fn from_markdown(markdown: &str, leaks: &[TableLeaks]) -> String {
    let mut events = Vec::new();
    // The text of a row's first cell, while that is read.
    let (mut label, mut in_body): (Option<String>, bool) = (None, false);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match &event {
            Event::Start(Tag::Table(_)) => in_body = false,
            Event::End(TagEnd::TableHead) => in_body = true,
            Event::Start(Tag::TableRow) if in_body => label = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(label) = &mut label {
                    label.push_str(text);
                }
            }
            // A row's first cell: the others have no label to be read.
            Event::End(TagEnd::TableCell) if label.take().is_some_and(|label| leaks_of(&label, leaks).is_some()) => {
                let link = format!(" <a class=\"leak\" href=\"#leaks\" title=\"see below\">{MARK}</a>");
                events.push(Event::InlineHtml(link.into()));
            }
            _ => {}
        }
        events.push(match event {
            // Of the Markdown's own; ours is pushed above.
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            other => other,
        });
    }
    let mut text = String::new();
    push_html(&mut text, events.into_iter());
    text
}

/// Labels carry marks in tables: the longest that the cell begins with.
fn leaks_of<'a>(cell: &str, leaks: &'a [TableLeaks]) -> Option<&'a TableLeaks> {
    let rest = |row: &&TableLeaks| cell.strip_prefix(row.label.as_str()).map(str::trim_start);
    let whole = |row: &&TableLeaks| rest(row).is_some_and(|rest| rest.chars().all(|c| !c.is_alphanumeric()));
    leaks.iter().filter(whole).max_by_key(|row| row.label.len())
}

/// The note below.
pub(super) fn marked(leaks: &[TableLeaks]) -> Markup {
    let most = leaks.iter().map(|row| row.images).max().unwrap_or(0);
    let images = if most == 1 { "1 of the images".to_owned() } else { format!("up to {most} of the images") };
    html! {
        @if !leaks.is_empty() {
            p.leak {
                (MARK) " Scored on images that its own model was trained on, whole or in part (" (images)
                "): such a score is too good. See " a href="#leaks" { "the data" } "."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_leaked_images_are_marked_and_no_others() {
        let markdown =
            "| method | mIoU |\n| --- | ---: |\n| a † | 1.00 |\n| a b | 2.00 |\n| c\\_d | 3.00 |\n\na, not marked\n";
        let leaks = ["a", "c_d"].map(|label| TableLeaks { label: label.into(), images: 2 });
        let html = from_markdown(markdown, &leaks);
        assert_eq!(html.matches(MARK).count(), 2, "{html}");
        assert!(html.contains("<td>a † <a class=\"leak\"") && html.contains("<td>c_d <a class=\"leak\""), "{html}");
        assert!(html.contains("<td>a b</td>"), "{html}");
        assert!(marked(&leaks).into_string().contains("up to 2 of the images"));
        assert_eq!(marked(&[]).into_string(), "");
        let raw = from_markdown("| m |\n| --- |\n| <i>a</i> |\n", &leaks);
        assert!(raw.contains("&lt;i&gt;a"), "{raw}");
    }
}
