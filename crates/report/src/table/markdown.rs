//! Markdown, as GitHub and pandoc read it.

use super::notes::Below;
use super::number::number;
use super::scores::Table;
use super::sheet::Cell;
use matssl_metrics::Summary;
use std::fmt::Write;

impl Table {
    /// Title, pipe table with the best values in bold, notes.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if let Some(title) = &self.title {
            let _ = write!(text, "### {}\n\n", escape(title));
        }
        let sheets = self.sheets();
        line(&mut text, std::iter::once("method".to_owned()).chain(sheets.iter().map(|sheet| escape(&sheet.heading))));
        let rules = vec!["---:".to_owned(); sheets.len()];
        line(&mut text, std::iter::once("---".to_owned()).chain(rules));
        for (number, row) in self.rows.iter().enumerate() {
            let cells = sheets.iter().map(|sheet| cell(&sheet.cells[number]));
            line(&mut text, std::iter::once(escape(&row.marked_label())).chain(cells));
        }
        for note in self.notes(Below::Columns("Bold")) {
            let _ = write!(text, "\n{}\n", escape(&note));
        }
        text
    }
}

/// One row of a pipe table.
pub(crate) fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::None => "–".to_owned(),
        Cell::Score { of, best: true } => format!("**{}**", value(of)),
        Cell::Score { of, best: false } => value(of),
        Cell::Interval([low, high]) => format!("{low} to {high}"),
        Cell::Difference(difference, [low, high]) => format!("{difference} ({low} to {high})"),
        Cell::Plain(text) => escape(text),
    }
}

fn value(cell: &Summary) -> String {
    match cell.std {
        Some(std) => format!("{} ± {}", number(cell.mean), number(std)),
        None => number(cell.mean),
    }
}

/// Text without Markdown markup.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '<' | '[' | ']' | '#' => escaped.extend(['\\', c]),
            '\n' | '\r' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
