//! Markdown, as GitHub and pandoc read it.

use super::{Table, number};
use crate::metrics::Summary;
use std::fmt::Write;

impl Table {
    /// Title, pipe table with the best values in bold, notes.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if let Some(title) = &self.title {
            let _ = write!(text, "### {}\n\n", escape(title));
        }
        let headings = self.columns.iter().map(|column| format!("{} (%)", escape(&column.heading)));
        line(&mut text, std::iter::once("method".to_owned()).chain(headings).chain(["seeds".to_owned()]));
        let rules = vec!["---:".to_owned(); self.columns.len() + 1];
        line(&mut text, std::iter::once("---".to_owned()).chain(rules));
        for row in &self.rows {
            let cells = row.cells.iter().enumerate().map(|(column, cell)| match cell {
                Some(cell) if self.is_best(row, column) => format!("**{}**", value(cell)),
                Some(cell) => value(cell),
                None => "–".to_owned(),
            });
            let seeds = row.seeds.map_or("–".to_owned(), |n| n.to_string());
            line(&mut text, std::iter::once(escape(&row.marked_label())).chain(cells).chain([seeds]));
        }
        for note in self.notes("Bold") {
            let _ = write!(text, "\n{}\n", escape(&note));
        }
        text
    }
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn value(cell: &Summary) -> String {
    match cell.std {
        Some(std) => format!("{} ± {}", number(cell.mean), number(std)),
        None => number(cell.mean),
    }
}

/// Names are shown as they are written, not as markup.
fn escape(text: &str) -> String {
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
