//! The forms for people: Markdown, LaTeX, a terminal of 80 columns.

use super::columns::{Cell, Column};
use super::row::DataRow;
use super::rows::DataTable;
use crate::published::Quantity;
use crate::table::number::thousands;
use crate::table::{latex, markdown, terminal};
use std::fmt::Write;

/// Separates published counts of one row.
const BETWEEN: &str = " / ";

/// The heading of the labels.
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

    /// A `table`: caption, `tabular` with booktabs' rules, notes.
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

    /// Title, one or more tables of at most 80 columns, notes.
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

    /// The columns for people: published counts and differences of all quantities are in two columns.
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

/// A cell as text; `between` separates its parts.
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

/// A number. In mathematics, a comma in braces is not followed by a space.
fn tex_number(text: &str) -> String {
    let escaped = latex::escape_number(text);
    if escaped.starts_with('$') { escaped.replace(',', "{,}") } else { escaped }
}

/// The label with its mark, if it has one.
fn label(row: &DataRow) -> String {
    if row.is_published_only() { format!("{} (published only)", row.label) } else { row.label.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_signs() {
        let signed = [0, 14, -3_824].map(|difference| shown(&Cell::Difference(difference), ""));
        assert_eq!(signed, ["0", "+14", "-3,824"]);
        assert_eq!(["16,836", "-3,824", "645×484"].map(tex_number), ["16,836", "$-3{,}824$", "645$\\times$484"]);
    }
}
