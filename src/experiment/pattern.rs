//! How a parameter names stages.
//!
//! A name is a family (`ssl`) or a member's label (`ssl.matssl.all`). A pattern has `*`, `?`, `[…]` or `{…}` in it:
//! what stands before the first dot is matched against families, what stands after it against the rest of a
//! member's label, where `*` runs over dots too. `ssl*` is every member of every family whose name starts with `ssl`;
//! `ssl.*.all` is every member of `ssl` whose label ends in `.all`; `0.07` in a label is matched as text.

use globset::{GlobBuilder, GlobMatcher};

/// A parsed name or pattern.
pub(super) enum Pattern<'t> {
    /// The name of a family or of one member.
    Exact(&'t str),
    /// A pattern over families, and over the labels of their members.
    Glob { family: GlobMatcher, label: Option<GlobMatcher> },
}

impl<'t> Pattern<'t> {
    /// # Errors
    /// What is wrong with the pattern.
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        if !text.contains(['*', '?', '[', '{']) {
            return Ok(Pattern::Exact(text));
        }
        let compile = |part: &str| {
            let glob = GlobBuilder::new(part).literal_separator(false).backslash_escape(false).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
        };
        let (family, label) = match text.split_once('.') {
            Some((family, label)) => (family, Some(label)),
            None => (text, None),
        };
        Ok(Pattern::Glob { family: compile(family)?, label: label.map(compile).transpose()? })
    }

    /// Could it name a member of `family`?
    pub(super) fn reaches(&self, family: &str) -> bool {
        match self {
            Pattern::Exact(text) => {
                text.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            Pattern::Glob { family: glob, .. } => glob.is_match(family),
        }
    }

    /// Does it name this member of `family`, a family that it reaches?
    pub(super) fn matches(&self, family: &str, label: &str) -> bool {
        match self {
            Pattern::Exact(text) => *text == family || *text == label,
            Pattern::Glob { label: None, .. } => true,
            Pattern::Glob { label: Some(glob), .. } => {
                label.get(family.len() + 1..).is_some_and(|rest| glob.is_match(rest))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, family: &str, label: &str) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        pattern.reaches(family) && pattern.matches(family, label)
    }

    #[test]
    fn stars_run_over_dots_after_the_family_but_not_into_it() {
        assert!(matches("ssl.*.all", "ssl", "ssl.matssl.0.07.all"));
        assert!(matches("segment.*", "segment", "segment.ssl.matssl"));
        assert!(!matches("segment.*", "segment", "segment"));
        assert!(matches("ss*", "ssl", "ssl.a"));
        assert!(!matches("s*a", "ssl", "ssl.a"));
        assert!(matches("*.all", "ssl", "ssl.all"));
        assert!(!matches("ssl.*", "ssl2", "ssl2.a"));
        assert!(matches("ssl.{mocov2,densecl}.a+b", "ssl", "ssl.densecl.a+b"));
        assert!(matches("ssl", "ssl", "ssl.a"));
        assert!(!matches("ssl.a", "ssl", "ssl.a.b"));
        assert!(Pattern::parse("ssl.[").is_err());
    }
}
