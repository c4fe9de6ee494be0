//! Characters that look like those of TOML, or cannot be seen: copied from a web page, a PDF or a word processor.

use super::diagnostic::Diagnostic;

/// What a character is, what TOML wants in its place, and how to say that.
fn known(c: char) -> Option<(&'static str, &'static str)> {
    Some(match c {
        '\u{a0}' => ("a no-break space", "delete it and type a space"),
        '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            ("a space that TOML does not know", "delete it and type a space")
        }
        '\u{200b}' => ("a zero-width space", "delete it: it cannot be seen"),
        '\u{feff}' => ("a byte order mark inside the file", "delete it: it cannot be seen"),
        '\u{200c}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}' | '\u{ad}' => {
            ("a character that cannot be seen", "delete it")
        }
        '“' | '”' | '„' | '‟' | '«' | '»' | '＂' => ("a curly quote", "type straight quotes: \"…\""),
        '‘' | '’' | '‚' | '‛' | '`' | '´' => {
            ("a quote that TOML does not know", "type straight quotes: \"…\"")
        }
        '–' | '—' | '−' | '‐' | '‑' => ("a dash that TOML does not know", "type a hyphen: -"),
        '＝' => ("a wide equals sign", "type ="),
        '，' | '、' => ("a wide comma", "type a comma: ,"),
        _ => return None,
    })
}

/// An error for each such character outside of strings and comments, where none is allowed.
pub(super) fn faults(text: &str) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    // The quotes that end the present string.
    let mut string: Option<&str> = None;
    let mut is_comment = false;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let mut width = c.len_utf8();
        match string {
            _ if c == '\n' => {
                is_comment = false;
                string = string.filter(|quotes| quotes.len() == 3);
            }
            _ if is_comment => {}
            Some(quotes) if rest.starts_with(quotes) => {
                string = None;
                width = quotes.len();
            }
            Some("\"" | "\"\"\"") if c == '\\' => width += rest[1..].chars().next().map_or(0, char::len_utf8),
            Some(_) => {}
            None => {
                let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| rest.starts_with(quotes));
                if let Some(quotes) = quotes {
                    string = Some(quotes);
                    width = quotes.len();
                } else if c == '#' {
                    is_comment = true;
                } else if let Some((what, cure)) = known(c) {
                    let message = format!("this is not TOML: {what} (U+{:04X})", u32::from(c));
                    faults.push(Diagnostic::new(at..at + width, message).label(cure));
                }
            }
        }
        at += width;
    }
    faults
}
