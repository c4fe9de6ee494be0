//! The stages of one family.

use crate::palette::{Colour, GREEN, ORANGE, SKY_BLUE, VERMILION};

/// Whether a stage has to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its output is in the cache.
    Cached,
    /// It will run.
    Run,
    /// Its inputs have to be made first.
    Waits,
    /// A data set that it reads is not there.
    Missing,
}

impl Standing {
    /// All, in the order of the legend.
    pub(super) const ALL: [Standing; 4] = [Standing::Cached, Standing::Run, Standing::Waits, Standing::Missing];

    /// The word of `matssl-run plan`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Standing::Cached => "cached",
            Standing::Run => "run",
            Standing::Waits => "waits",
            Standing::Missing => "missing",
        }
    }

    /// What the word means, for the legend.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Standing::Cached => "in the cache",
            Standing::Run => "will run",
            Standing::Waits => "waits for its inputs",
            Standing::Missing => "its data is missing",
        }
    }

    pub(super) fn colour(self) -> Colour {
        match self {
            Standing::Cached => GREEN,
            Standing::Run => ORANGE,
            Standing::Waits => SKY_BLUE,
            Standing::Missing => VERMILION,
        }
    }
}

/// A family of stages.
pub(super) struct Node {
    pub(super) family: String,
    pub(super) kind: String,
    /// Number of stages of each [`Standing::ALL`].
    pub(super) counts: [usize; 4],
    /// Number of edges on the longest path to it.
    pub(super) layer: usize,
}

/// Advance of a character at 12 pixels an em in a wide sans-serif, and in bold.
pub(super) const CHARACTER: usize = 7;
pub(super) const BOLD: usize = 8;
/// Longer names are shortened in the box. The tooltip has all of them.
const LONGEST: usize = 36;
/// Room left and right of the text.
const PADDING: usize = 24;

impl Node {
    pub(super) fn size(&self) -> usize {
        self.counts.iter().sum()
    }

    /// `ssl × 100`; the name alone for one stage.
    pub(super) fn heading(&self) -> String {
        if self.size() == 1 { self.family.clone() } else { format!("{} × {}", self.family, self.size()) }
    }

    /// The heading, shortened for the box.
    pub(super) fn short_heading(&self) -> String {
        shortened(&self.heading())
    }

    /// `4 cached, 2 run`.
    pub(super) fn states(&self) -> String {
        let alone = self.size() == 1;
        let part = |(standing, count): (Standing, usize)| {
            if alone { standing.word().to_owned() } else { format!("{count} {}", standing.word()) }
        };
        self.parts().map(part).collect::<Vec<_>>().join(", ")
    }

    /// The states that occur, each with its number of stages.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Standing, usize)> + '_ {
        Standing::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// Width of its box in pixels.
    pub(super) fn width(&self) -> usize {
        let characters = |text: &str| text.chars().count().min(LONGEST + 8);
        let text = (BOLD * characters(&self.short_heading()))
            .max(CHARACTER * characters(&self.kind))
            .max(CHARACTER * characters(&self.states()));
        text.max(60) + PADDING
    }
}

/// Beginning and end of a long text: names of one experiment often begin alike.
fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let half = (LONGEST - 1) / 2;
    let (start, end): (String, String) =
        (text.chars().take(half).collect(), text.chars().skip(length - half).collect());
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        let name = "a".repeat(30) + &"b".repeat(30);
        assert_eq!(shortened(&name), format!("{}…{}", "a".repeat(17), "b".repeat(17)));
        assert_eq!(shortened("short"), "short");
    }
}
