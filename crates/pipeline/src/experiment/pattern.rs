//! The names and patterns by which a parameter names stages.
//!
//! A name is a family (`ssl`) or a member's label (`ssl.matssl.all`). A pattern has `*`, `?`, `[…]` or `{…}` in it:
//! what stands before the first dot is matched against families, what stands after it against the rest of a
//! member's label, where `*` runs over dots too. `ssl*` is every member of every family whose name starts with `ssl`;
//! `ssl.*.all` is every member of `ssl` whose label ends in `.all`; `0.07` in a label is matched as text.

use globset::{GlobBuilder, GlobMatcher};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A parsed name or pattern.
pub(super) enum Pattern<'t> {
    /// The name of a family or of one member.
    Exact(&'t str),
    /// A pattern over families, and over the labels of their members.
    Glob { family: Part<'t>, label: Option<Part<'t>> },
}

/// One side of a pattern. Compiling a glob takes longer than everything else about a stage, so common patterns do
/// without.
pub(super) enum Part<'t> {
    /// A word without wildcards.
    Word(&'t str),
    /// `word*`
    Prefix(&'t str),
    /// Any other pattern, with its part before the first wildcard.
    Glob { prefix: &'t str, glob: Box<GlobMatcher> },
}

impl Part<'_> {
    fn is_match(&self, text: &str) -> bool {
        match self {
            Part::Word(word) => *word == text,
            Part::Prefix(word) => text.starts_with(word),
            Part::Glob { glob, .. } => glob.is_match(text),
        }
    }
}

fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(false).backslash_escape(false).build();
    Ok(glob.map_err(|error| error.kind().to_string())?.compile_matcher())
}

const SPECIAL: [char; 6] = ['*', '?', '[', ']', '{', '}'];

impl<'t> Pattern<'t> {
    /// # Errors
    /// Says why the pattern is not valid.
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        if !text.contains(['*', '?', '[', '{']) {
            return Ok(Pattern::Exact(text));
        }
        let compile = |part: &'t str| -> Result<Part<'t>, String> {
            // Characters that are special only inside braces and brackets are left to globset.
            let prefix = part.split(SPECIAL).next().unwrap_or(part);
            match part.strip_prefix(prefix) {
                Some("") => return Ok(Part::Word(part)),
                Some("*") => return Ok(Part::Prefix(prefix)),
                _ => {}
            }
            Ok(Part::Glob { prefix, glob: Box::new(glob(part)?) })
        };
        let (family, label) = match text.split_once('.') {
            Some((family, label)) => (family, Some(label)),
            None => (text, None),
        };
        Ok(Pattern::Glob { family: compile(family)?, label: label.map(compile).transpose()? })
    }

    /// The start of the name of every family that it reaches.
    pub(super) fn prefix(&self) -> &'t str {
        match self {
            Pattern::Exact(text) => text.split('.').next().unwrap_or(text),
            Pattern::Glob { family: Part::Glob { prefix, .. } | Part::Word(prefix) | Part::Prefix(prefix), .. } => {
                prefix
            }
        }
    }

    /// The families of `by_name` that it reaches, in the order of the file. A pattern does not reach `asker`, the family
    /// that holds it.
    pub(super) fn reached(&self, by_name: &BTreeMap<&str, usize>, asker: usize) -> Vec<usize> {
        if let Pattern::Exact(name) = self {
            return by_name.get(name).or_else(|| by_name.get(self.prefix())).copied().into_iter().collect();
        }
        // Comparing each pattern with all families would take time in the square of their number.
        let prefix = self.prefix();
        let near = by_name.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let near = near.take_while(|(family, _)| family.starts_with(prefix));
        let mut reached: Vec<usize> =
            near.filter(|(family, index)| **index != asker && self.reaches(family)).map(|(_, index)| *index).collect();
        reached.sort_unstable();
        reached
    }

    /// Whether it could name a member of `family`.
    pub(super) fn reaches(&self, family: &str) -> bool {
        match self {
            Pattern::Exact(text) => {
                text.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            Pattern::Glob { family: glob, .. } => glob.is_match(family),
        }
    }

    /// Whether it names the member `label` of `family`, a family that it reaches.
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

/// A name or pattern as a user gives it on the command line: also the beginning of a label, up to a dot.
pub struct Named<'t> {
    text: &'t str,
    pattern: Pattern<'t>,
    /// The whole pattern, for whole labels of families with a dot in their name, as tables and figures have.
    dotted: Option<GlobMatcher>,
}

impl<'t> Named<'t> {
    /// # Errors
    /// Says why the pattern is not valid.
    pub fn parse(text: &'t str) -> Result<Self, String> {
        let pattern = Pattern::parse(text)?;
        let dotted = match &pattern {
            Pattern::Exact(_) => None,
            Pattern::Glob { .. } => Some(glob(text)?),
        };
        Ok(Named { text, pattern, dotted })
    }

    /// Whether the stage `label` of `family` is meant, whatever its seed.
    pub fn names(&self, family: &str, label: &str) -> bool {
        let Named { text, pattern, dotted } = self;
        let dotted = family.contains('.') && dotted.as_ref().is_some_and(|glob| glob.is_match(label));
        let begins = label.strip_prefix(text).is_some_and(|rest| rest.starts_with('.'));
        *text == family
            || *text == label
            || begins
            || dotted
            || (pattern.reaches(family) && pattern.matches(family, label))
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
    fn a_star_matches_dots_in_a_label_but_not_the_one_after_the_family() {
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

    #[test]
    fn on_the_command_line_a_pattern_also_names_families_with_a_dot() {
        let names = |pattern: &str, family: &str, label: &str| Named::parse(pattern).unwrap().names(family, label);
        assert!(names("tables.*", "tables.table4", "tables.table4"));
        assert!(names("*s.fig?", "figures.fig3", "figures.fig3"));
        assert!(!names("tables.*", "figures.fig3", "figures.fig3"));
        assert!(!names("*.fig3", "figures.fig4", "figures.fig4"));
        assert!(names("ssl.matssl", "ssl", "ssl.matssl.all"));
        assert!(!names("s*a", "ssl", "ssl.a"));
    }
}
