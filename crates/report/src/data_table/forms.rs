//! The forms for people: Markdown, LaTeX, a terminal of 80 columns.

use super::super::table::{latex, markdown, terminal};
use super::{Cell, Column, DataRow, DataTable};
use crate::published::Quantity;
use std::fmt::Write;

/// Between the counts of a published table's row.
const BETWEEN: &str = " / ";

/// Above the labels.
const CORNER: &str = "data set";

impl DataTable {
    /// Title, pipe table, notes.
    pub fn markdown(&self) -> String {
        let columns = self.shown();
        let mut text = String::new();
        if let Some(title) = &self.title {
            let _ = write!(text, "### {}\n\n", markdown::escape(title));
        }
        let headings = columns.iter().map(|column| markdown::escape(&column.heading));
        markdown::line(&mut text, [CORNER.to_owned()].into_iter().chain(headings));
        let rules = columns.iter().map(|_| "---:".to_owned());
        markdown::line(&mut text, ["---".to_owned()].into_iter().chain(rules));
        for (number, row) in self.rows.iter().enumerate() {
            let cells = columns.iter().map(|column| markdown::escape(&shown(&column.cells[number], ", ")));
            markdown::line(&mut text, [markdown::escape(&label(row))].into_iter().chain(cells));
        }
        for note in self.notes() {
            let _ = write!(text, "\n{}\n", markdown::escape(&note));
        }
        text
    }

    /// A `table` with its caption and a `tabular` with booktabs' rules, the notes below.
    pub fn latex(&self) -> String {
        let columns = self.shown();
        let mut text = String::from("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n");
        if let Some(title) = &self.title {
            let _ = writeln!(text, "\\caption{{{}}}", latex::escape(title));
        }
        let _ = writeln!(text, "\\begin{{tabular}}{{l{}}}\n\\toprule", "r".repeat(columns.len()));
        latex::line(&mut text, CORNER, columns.iter().map(|column| latex::escape(&column.heading)));
        text.push_str("\\midrule\n");
        for (number, row) in self.rows.iter().enumerate() {
            let cells = columns.iter().map(|column| match &column.cells[number] {
                Cell::None => "--".to_owned(),
                cell => shown(cell, ", ").split(BETWEEN).map(tex_number).collect::<Vec<_>>().join(BETWEEN),
            });
            latex::line(&mut text, &latex::escape(&label(row)), cells);
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n");
        let notes: Vec<String> = self.notes().iter().map(|note| latex::escape(note)).collect();
        let _ = write!(text, "\n\\smallskip\n{{\\footnotesize\n{}\\par}}\n\\end{{table}}\n", notes.join("\n"));
        text
    }

    /// Title, one or more tables at most 80 columns wide, notes.
    pub fn terminal(&self) -> String {
        let mut text = String::new();
        if let Some(title) = &self.title {
            text += &terminal::paragraph(title);
            text.push('\n');
        }
        let labels = terminal::Printed {
            heading: CORNER.into(),
            cells: self.rows.iter().map(|row| terminal::wrap(&label(row), terminal::LABEL).join("\n")).collect(),
        };
        let printed = |column: &Column| terminal::Printed {
            heading: column
                .heading
                .replace(BETWEEN, "/ ")
                .split(' ')
                .flat_map(|word| terminal::wrap(word, terminal::HEADING))
                .collect::<Vec<_>>()
                .join("\n"),
            cells: column.cells.iter().map(|cell| shown(cell, "\n")).collect(),
        };
        let columns: Vec<terminal::Printed> = self.shown().iter().map(printed).collect();
        text += &terminal::blocks(&labels, &columns);
        for note in self.notes() {
            text += &terminal::paragraph(&note);
        }
        text
    }

    /// What people see: published counts and differences of all quantities in two columns.
    fn shown(&self) -> Vec<Column> {
        let mut columns = self.counted();
        let compared = self.compared();
        if let [first, ..] = compared[..] {
            let names: Vec<&str> = compared.iter().map(|quantity| quantity.name()).collect();
            let heading = format!("published {}", names.join(BETWEEN));
            let several = compared.len() > 1;
            let joined = |row: &DataRow, cell: &dyn Fn(Quantity) -> Option<Cell>| {
                if !several {
                    return cell(first);
                }
                let cells: Vec<Option<Cell>> = compared.iter().map(|&quantity| cell(quantity)).collect();
                let any = row.published.is_some() && cells.iter().any(Option::is_some);
                let text = |cell: Option<Cell>| shown(&cell.unwrap_or(Cell::None), "");
                any.then(|| Cell::Parts(vec![cells.into_iter().map(text).collect::<Vec<_>>().join(BETWEEN)]))
            };
            columns.push(
                self.column("", &heading, |row| joined(row, &|quantity| row.published(quantity).map(Cell::Count))),
            );
            columns.push(self.column("", "difference", |row| {
                joined(row, &|quantity| row.difference(quantity).map(Cell::Difference))
            }));
        }
        columns
    }
}

/// A cell in words, `between` its parts.
fn shown(cell: &Cell, between: &str) -> String {
    match cell {
        Cell::None => "–".into(),
        Cell::Count(count) => thousands(*count),
        Cell::Difference(0) => "0".into(),
        Cell::Difference(difference) => {
            format!("{}{}", if *difference < 0 { '-' } else { '+' }, thousands(difference.unsigned_abs()))
        }
        Cell::Parts(parts) => parts.join(between),
    }
}

/// A comma between thousands is no punctuation.
fn tex_number(text: &str) -> String {
    let escaped = latex::escape_number(text);
    if escaped.starts_with('$') { escaped.replace(',', "{,}") } else { escaped }
}

/// The label with its mark, if it has one.
fn label(row: &DataRow) -> String {
    if row.is_published_only() { format!("{} (published only)", row.label) } else { row.label.clone() }
}

/// `16,836`
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart_and_differences_have_signs() {
        let all = [0, 7, 999, 1_000, 16_836, 1_234_567].map(thousands);
        assert_eq!(all, ["0", "7", "999", "1,000", "16,836", "1,234,567"]);
        let signed = [0, 14, -3_824].map(|difference| shown(&Cell::Difference(difference), ""));
        assert_eq!(signed, ["0", "+14", "-3,824"]);
        assert_eq!(["16,836", "-3,824", "645×484"].map(tex_number), ["16,836", "$-3{,}824$", "645$\\times$484"]);
    }
}
