//! LaTeX, for `\input` into a paper: needs `\usepackage{booktabs}`.

use super::notes::Below;
use super::number::number;
use super::scores::Table;
use super::sheet::Cell;
use std::fmt::Write;

impl Table {
    /// A `table`: caption, `tabular` with booktabs' rules and the best values in bold, notes.
    pub fn latex(&self) -> String {
        let sheets = self.sheets();
        let mut text = String::from("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n");
        if let Some(title) = &self.title {
            let _ = writeln!(text, "\\caption{{{}}}", escape(title));
        }
        let _ = writeln!(text, "\\begin{{tabular}}{{l{}}}\n\\toprule", "r".repeat(sheets.len()));
        line(&mut text, "method", sheets.iter().map(|sheet| escape(&sheet.heading)));
        text.push_str("\\midrule\n");
        for (number, row) in self.rows.iter().enumerate() {
            line(&mut text, &escape(&row.marked_label()), sheets.iter().map(|sheet| cell(&sheet.cells[number])));
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n");
        let notes: Vec<String> = self.notes(Below::Columns("Bold")).iter().map(|note| escape(note)).collect();
        let _ = write!(text, "\n\\smallskip\n{{\\footnotesize\n{}\\par}}\n\\end{{table}}\n", notes.join("\n"));
        text
    }
}

/// One row of a `tabular`; label and cells are LaTeX.
pub(crate) fn line(text: &mut String, label: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(text, "{label} & {} \\\\", cells.join(" & "));
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::None => "--".into(),
        Cell::Score { of, best } => {
            let mean = number(of.mean);
            let mean = if *best { format!("\\textbf{{{mean}}}") } else { mean };
            of.std.map_or(mean.clone(), |std| format!("{mean} $\\pm$ {}", number(std)))
        }
        Cell::Interval([low, high]) => format!("[{low}, {high}]"),
        Cell::Difference(difference, [low, high]) => format!("${difference}$ [${low}$, ${high}$]"),
        Cell::Plain(text) => escape_number(text),
    }
}

/// A number; with a sign it is set in mathematics.
pub(crate) fn escape_number(text: &str) -> String {
    match text.as_bytes().first() {
        Some(b'-' | b'+' | b'<') => format!("${text}$"),
        _ => escape(text),
    }
}

/// Text without LaTeX commands.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '"' => escaped.push_str("\\textquotedbl{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => escaped.extend(['\\', c]),
            // A bracket that follows the end of a line would be read as its optional argument.
            '[' | ']' => escaped.extend(['{', c, '}']),
            '±' => escaped.push_str("$\\pm$"),
            '†' => escaped.push_str("\\textdagger{}"),
            '×' => escaped.push_str("$\\times$"),
            '–' => escaped.push_str("--"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_holds_no_commands() {
        assert_eq!(
            escape("a_b & 50 % {x} \\input{y} $z$ #1 ~ ^ [k] †"),
            "a\\_b \\& 50 \\% \\{x\\} \\textbackslash{}input\\{y\\} \\$z\\$ \\#1 \\textasciitilde{} \\textasciicircum{} \
             {[}k{]} \\textdagger{}"
        );
        assert_eq!(escape("line\nbreak"), "line break");
        assert_eq!(escape_number("-1.20"), "$-1.20$");
    }
}
