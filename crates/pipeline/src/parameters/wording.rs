//! Parts of messages: quotes, lists of alternatives, the most similar word.

/// `text` without control characters, so that a file cannot control the terminal; cut after 80 characters.
pub(crate) fn escape(text: &str) -> String {
    escape_to(text, 80)
}

/// [`escape`] for a sentence: cut after 500 characters.
pub(crate) fn escape_long(text: &str) -> String {
    escape_to(text, 500)
}

fn escape_to(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        // Bidirectional overrides reorder the following text, but are not in the class of control characters.
        if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// `` `text` ``, escaped.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", escape(text))
}

/// `` `a`, `b` and 7 more ``.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let shown: Vec<String> = words.iter().take(most).map(|word| quote(word)).collect();
    let rest = words.len() - shown.len();
    if rest > 0 { format!("{} and {rest} more", shown.join(", ")) } else { shown.join(", ") }
}

/// ``expected `a` `` or ``expected one of `a`, `b` ``; `None` if there is nothing to choose from.
pub(crate) fn expected_one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let words: Vec<&str> = words.into_iter().collect();
    match words.len() {
        0 => None,
        1 => Some(format!("expected {}", quote(words[0]))),
        _ => Some(format!("expected one of {}", list(words, 30))),
    }
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn or_list(words: &[&str]) -> String {
    match words {
        [] => "nothing".into(),
        [one] => quote(one),
        [first @ .., last] => format!("{} or {}", list(first.iter().copied(), 12), quote(last)),
    }
}

/// The candidate that `word` probably means: at most a third of the letters differ.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let length = lower.chars().count();
    if length > 100 {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let most = (length.max(other.chars().count()) / 3).max(1);
            if candidate.is_empty() || other.len().abs_diff(lower.len()) > 4 * most {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&lower, &other);
            let likeness = strsim::jaro_winkler(&lower, &other);
            (distance <= most && distance < length).then_some((distance, likeness, candidate))
        })
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))
        .map(|(_, _, candidate)| candidate)
}

/// `1 stage`, `2 stages`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Whether `text` can name a stage: letters, digits, `_` and `-` only.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Whether `text` can name a folder or file: letters, digits, `.`, `_`, `-`, no dot in front.
pub fn is_file_name(text: &str) -> bool {
    !text.starts_with('.')
        && !text.is_empty()
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_similar_or_missing() {
        let words = ["epochs", "batch_size", "method", "optimizer"];
        assert_eq!(nearest("epoch", words), Some("epochs"));
        assert_eq!(nearest("batchsize", words), Some("batch_size"));
        assert_eq!(nearest("METHOD", words), Some("method"));
        assert_eq!(nearest("temperature", words), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn a_file_cannot_control_the_terminal() {
        assert_eq!(quote("a\u{1b}[31m\n"), "`a\\u{1b}[31m\\u{a}`");
    }
}
