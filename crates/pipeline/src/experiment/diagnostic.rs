//! The errors of an experiment file, and how they are shown.

use super::source::{Source, Sources};
use crate::parameters::wording;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// More errors than this are not shown.
const MOST_SHOWN: usize = 50;

/// One error: a message, the underlined piece of the file with a label, and remarks below it.
#[derive(Clone, Debug)]
pub(super) struct Diagnostic {
    message: String,
    span: Range<usize>,
    label: String,
    others: Vec<(Range<usize>, String)>,
    /// Below the snippet: help (`true`) and notes.
    remarks: Vec<(bool, String)>,
}

impl Diagnostic {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Diagnostic { message: message.into(), span, label: String::new(), others: Vec::new(), remarks: Vec::new() }
    }

    /// Where the underlined piece starts.
    pub(super) fn start(&self) -> usize {
        self.span.start
    }

    /// Sets the text beside the underlined piece.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another piece of the file, with its label.
    pub(super) fn other(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.others.push((span, label.into()));
        self
    }

    /// Adds a fact below the snippet.
    pub(super) fn note(mut self, note: impl Into<Option<String>>) -> Self {
        self.remarks.extend(note.into().map(|note| (false, note)));
        self
    }

    /// Adds a remedy below the snippet.
    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.remarks.extend(help.into().map(|help| (true, help)));
        self
    }

    /// Adds ``did you mean `…`?``, if there is such a word.
    pub(super) fn meant(self, word: Option<&str>) -> Self {
        self.help(word.map(|word| format!("did you mean {}?", wording::quote(word))))
    }

    /// The same error with spans that count from the start of all texts, where its own text starts at `by`.
    pub(super) fn shifted(mut self, by: usize) -> Self {
        let shift = |span: &mut Range<usize>| *span = span.start + by..span.end + by;
        shift(&mut self.span);
        self.others.iter_mut().for_each(|(span, _)| shift(span));
        self
    }

    fn snippets<'a>(&'a self, sources: &'a Sources) -> Vec<Snippet<'a, Annotation<'a>>> {
        let marks = std::iter::once((AnnotationKind::Primary, &self.span, &self.label))
            .chain(self.others.iter().map(|(span, label)| (AnnotationKind::Context, span, label)));
        let mut groups: Vec<(&Source, Vec<_>)> = Vec::new();
        for (kind, span, label) in marks {
            let (source, span) = sources.locate(span);
            let mark = (kind, first_line(&source.text, span), label);
            match groups.iter_mut().find(|(other, _)| std::ptr::eq(*other, source)) {
                Some((_, marks)) => marks.push(mark),
                None => groups.push((source, vec![mark])),
            }
        }
        groups
            .into_iter()
            .map(|(source, marks)| {
                // The renderer gets only the lines in question: its time grows with the text.
                let text = &source.text;
                let start = marks.iter().map(|(_, span, _)| span.start).min().unwrap_or(0);
                let end = marks.iter().map(|(_, span, _)| span.end).max().unwrap_or(0);
                let start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
                let end = text[end..].find('\n').map_or(text.len(), |length| end + length);
                let line = text[..start].matches('\n').count() + 1;
                Snippet::source(&text[start..end]).line_start(line).path(source.name.as_str()).annotations(
                    marks.into_iter().map(|(kind, span, label)| {
                        let annotation = kind.span(span.start - start..span.end - start);
                        if label.is_empty() { annotation } else { annotation.label(label.as_str()) }
                    }),
                )
            })
            .collect()
    }

    fn group<'a>(&'a self, sources: &'a Sources) -> Group<'a> {
        let remarks = |help| self.remarks.iter().filter(move |(is_help, _)| *is_help == help).map(|(_, text)| text);
        Level::ERROR
            .primary_title(&self.message)
            .elements(self.snippets(sources))
            .elements(remarks(true).map(|help| Level::HELP.message(help)))
            .elements(remarks(false).map(|note| Level::NOTE.message(note)))
    }
}

/// The part of `span` on its first line, at least one character where there is one: an underline over several lines
/// hides more than it shows.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let piece = &text[span.clone()];
    let end = span.start + piece.find('\n').map_or(piece.len(), |newline| piece[..newline].trim_end().len());
    if end > span.start {
        return span.start..end;
    }
    match text[span.start..].chars().next() {
        Some(next) if next != '\n' && next != '\r' => span.start..span.start + next.len_utf8(),
        _ => span.start..span.start,
    }
}

/// All errors of one experiment file, in the order of the file.
#[derive(Debug)]
pub struct Diagnostics {
    sources: Sources,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(super) fn new(sources: Sources, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by(|a, b| (a.span.start, a.span.end, &a.message).cmp(&(b.span.start, b.span.end, &b.message)));
        // Each member of a family has the errors that all of them have.
        list.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        Diagnostics { sources, list }
    }

    /// How many errors there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// All errors as rustc would show them, with colours or without; ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for diagnostic in self.list.iter().take(MOST_SHOWN) {
            text += &renderer(color).render(&[diagnostic.group(&self.sources)]);
            text += "\n\n";
        }
        if self.count() > 1 {
            let hidden = self.list.len().saturating_sub(MOST_SHOWN);
            let hidden = if hidden > 0 { format!(" ({hidden} not shown)") } else { String::new() };
            text += &render_unplaced(&format!("{} in all{hidden}", wording::count(self.count(), "error")), color);
        } else {
            text.pop();
        }
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.render(false).trim_end())
    }
}

/// An error without a piece of a file; ends with a newline.
pub(super) fn render_unplaced(message: &str, color: bool) -> String {
    renderer(color).render(&[Group::with_title(Level::ERROR.primary_title(message))]) + "\n"
}

fn renderer(color: bool) -> Renderer {
    if color { Renderer::styled() } else { Renderer::plain() }
}
