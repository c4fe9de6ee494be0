//! A table's Markdown as HTML.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html::push_html};

/// Stands behind the label of a row with leaks.
pub(super) const MARK: &str = "⚠";

/// `markdown` as HTML; HTML in it stays text. Rows whose first cell is `leaked` get a mark that links to the data.
pub(super) fn html_of(markdown: &str, leaked: &dyn Fn(&str) -> bool) -> String {
    let mut events = Vec::new();
    // The text of a row's first cell, while it is being read.
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
            // `take` leaves no label for the other cells of the row.
            Event::End(TagEnd::TableCell) if label.take().is_some_and(|label| leaked(&label)) => {
                let link = format!(" <a class=\"leak\" href=\"#leaks\" title=\"leaks: see Data\">{MARK}</a>");
                events.push(Event::InlineHtml(link.into()));
            }
            _ => {}
        }
        events.push(match event {
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            other => other,
        });
    }
    let mut text = String::new();
    push_html(&mut text, events.into_iter());
    text
}
