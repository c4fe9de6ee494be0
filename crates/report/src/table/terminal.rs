//! Plain text for a terminal of 80 columns.
//!
//! In a table that is too wide, deviations go below their means. If that is not enough, the columns are split into several tables
//! below each other. Numbers are never cut. Intervals and tests are in the notes and in the CSV.

use super::notes::Below;
use super::number::{number, signed};
use super::scores::Table;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, LineStyle};
use std::fmt::Write;

const WIDTH: usize = 80;
/// Maximum width of a label; longer ones are broken.
pub(crate) const LABEL: usize = 24;
/// Maximum width of a word in a heading; longer ones are broken.
pub(crate) const HEADING: usize = 11;
const RULE: char = '─';

/// The texts of a column. Lines are separated by `\n`.
pub(crate) struct Printed {
    pub(crate) heading: String,
    pub(crate) cells: Vec<String>,
}

impl Printed {
    fn width(&self) -> usize {
        let lines = self.cells.iter().chain([&self.heading]).flat_map(|cell| cell.lines());
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    }
}

impl Table {
    /// Title, one or more tables of at most 80 columns with stars at the best values, notes.
    pub fn terminal(&self) -> String {
        let mut text = String::new();
        if let Some(title) = &self.title {
            text += &paragraph(title);
            text.push('\n');
        }
        let labels = Printed {
            heading: "method".into(),
            cells: self.rows.iter().map(|row| wrap(&row.marked_label(), LABEL).join("\n")).collect(),
        };
        let one_line = self.printed(" ± ");
        let wide: usize = one_line.iter().map(|column| column.width() + 2).sum();
        let columns = if labels.width() + 2 + wide <= WIDTH { one_line } else { self.printed("\n±") };

        text += &blocks(&labels, &columns);
        for note in std::iter::once("Scores in percent.".to_owned()).chain(self.notes(Below::Terminal)) {
            text += &paragraph(&note);
        }
        text
    }

    /// All columns except the labels; `between` separates a mean from its deviation.
    fn printed(&self, between: &str) -> Vec<Printed> {
        let scores = self.columns.iter().enumerate().map(|(at, column)| {
            let starred = self.rows.iter().any(|row| self.is_best(row, at));
            let cells = self.rows.iter().map(|row| {
                let Some(cell) = &row.cells[at] else { return if starred { "– ".into() } else { "–".into() } };
                // A blank in place of the star aligns the decimal points.
                let star = if !starred {
                    ""
                } else if self.is_best(row, at) {
                    "*"
                } else {
                    " "
                };
                let blank = if starred { " " } else { "" };
                match cell.std {
                    Some(std) if between.starts_with('\n') => {
                        format!("{}{star}{between}{}{blank}", number(cell.mean), number(std))
                    }
                    Some(std) => format!("{}{between}{}{star}", number(cell.mean), number(std)),
                    None => format!("{}{star}", number(cell.mean)),
                }
            });
            let words = column.heading.split(' ').flat_map(|word| wrap(word, HEADING));
            Printed { heading: words.collect::<Vec<_>>().join("\n"), cells: cells.collect() }
        });
        let seeds = self.rows.iter().map(|row| row.seeds.map_or("–".to_owned(), |n| n.to_string()));
        let seeds = Printed { heading: "seeds".into(), cells: seeds.collect() };
        let folds = self.rows.iter().map(|row| row.folds.map_or("–".to_owned(), |n| n.to_string()));
        let folds = Printed { heading: "folds".into(), cells: folds.collect() };
        let counts = self.several_seeds().then_some(seeds).into_iter().chain(self.has_folds().then_some(folds));
        let mut columns: Vec<Printed> = scores.chain(counts).collect();
        if self.has_published() {
            let none = || "–".to_owned();
            let published = self.rows.iter().map(|row| row.published.map_or_else(none, |value| number(value.score)));
            let difference = self.rows.iter().map(|row| row.difference().map_or_else(none, signed));
            let beside = [
                Printed { heading: "published".into(), cells: published.collect() },
                Printed { heading: "difference".into(), cells: difference.collect() },
            ];
            let after = 1.min(columns.len());
            columns.splice(after..after, beside);
        }
        columns
    }
}

/// One or more tables of at most 80 columns, one below the other, each with the labels.
pub(crate) fn blocks(labels: &Printed, columns: &[Printed]) -> String {
    let mut text = String::new();
    let mut block: Vec<&Printed> = Vec::new();
    let mut used = labels.width() + 2;
    for column in columns {
        if used + column.width() + 2 > WIDTH && !block.is_empty() {
            let _ = writeln!(text, "{}\n", draw(labels, &block));
            block.clear();
            used = labels.width() + 2;
        }
        used += column.width() + 2;
        block.push(column);
    }
    let _ = writeln!(text, "{}", draw(labels, &block));
    text
}

/// A sentence or a title in lines of at most 80 columns.
pub(crate) fn paragraph(sentence: &str) -> String {
    wrap(sentence, WIDTH).into_iter().map(|line| line + "\n").collect()
}

fn draw(labels: &Printed, columns: &[&Printed]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING.header_separator(LineStyle::none().fill(RULE)));
    let right = |text: &str| Cell::new(text).set_alignment(CellAlignment::Right);
    let header = std::iter::once(Cell::new(&labels.heading)).chain(columns.iter().map(|column| right(&column.heading)));
    table.set_header(header);
    for (row, label) in labels.cells.iter().enumerate() {
        table.add_row(std::iter::once(Cell::new(label)).chain(columns.iter().map(|column| right(&column.cells[row]))));
    }
    // comfy-table puts a blank on either side of each column: its own outer rules would have gaps.
    let lines: Vec<String> = table.lines().collect();
    let rule = lines.iter().find(|line| line.starts_with(RULE)).cloned().unwrap_or_default();
    let lines = [rule.clone()].into_iter().chain(lines).chain([rule]).map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// `text` in lines of at most `room` characters, broken after a blank or one of `. - + / _` if there is one.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while rest.len() > room {
        let number = |at: usize| rest[at - 1] == '.' && rest.get(at).is_some_and(char::is_ascii_digit);
        let cut = (1..=room).rev().find(|&at| {
            let after_mark = ".-+/_".contains(rest[at - 1]) && !number(at);
            rest[at - 1] == ' ' || (at < rest.len() && rest[at] == ' ') || after_mark
        });
        let tail = rest.split_off(cut.unwrap_or(room));
        lines.push(rest.into_iter().collect::<String>().trim().to_owned());
        rest = tail;
        while rest.first() == Some(&' ') {
            rest.remove(0);
        }
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_never_in_numbers() {
        assert_eq!(
            wrap("segment-metaldam.ssl.matssl.aachen+uhcs", 24),
            ["segment-metaldam.ssl.", "matssl.aachen+uhcs"]
        );
        assert_eq!(wrap("majority class (austenite)", 24), ["majority class", "(austenite)"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("random p = 0.214.", 13), ["random p =", "0.214."], "numbers are not cut");
        assert_eq!(wrap("martensite/austenite", 11), ["martensite/", "austenite"]);
    }
}
