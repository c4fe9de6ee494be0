//! Medians and their ratio.

use crate::workers::{Round, Side};
use std::fmt::Write as _;

/// 1,500 pairs a second where lightly makes 143.
const TO_REACH: f64 = 1500.0 / 143.0;

/// All rounds of one side.
pub(crate) struct Timed {
    /// Whose they are.
    pub(crate) side: Side,
    /// In order.
    pub(crate) rounds: Vec<Round>,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

impl Timed {
    fn by_clock(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| round.by_clock).collect()
    }

    fn by_processor(&self) -> Option<Vec<f64>> {
        self.rounds.iter().map(|round| round.by_processor).collect()
    }
}

/// A row a number of channels; `all` has ours first and then, if it was timed, lightly.
pub(crate) fn markdown(all: &[(usize, Vec<Timed>)]) -> String {
    let mut text = String::from(
        "| patches | pairs/s: ours | lightly | ratio, median of rounds | pairs per processor second: ours | lightly | ratio | to reach |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    for (channels, sides) in all {
        let find = |side| sides.iter().find(|timed| timed.side == side);
        let (ours, lightly) = (find(Side::Ours), find(Side::Lightly));
        let cells = |values: &dyn Fn(&Timed) -> Option<Vec<f64>>| {
            let (ours, lightly) = (ours.and_then(values), lightly.and_then(values));
            let ratio = ours.as_ref().zip(lightly.as_ref()).map(|(ours, lightly)| {
                median(ours.iter().zip(lightly).map(|(ours, lightly)| ours / lightly).collect())
            });
            let figure =
                |values: Option<Vec<f64>>| values.map_or("–".into(), |values| format!("{:.0}", median(values)));
            (figure(ours), figure(lightly), ratio)
        };
        let (clock, processor) = (cells(&|timed| Some(timed.by_clock())), cells(&Timed::by_processor));
        let times = |ratio: Option<f64>| ratio.map_or("–".into(), |ratio| format!("{ratio:.1}"));
        let verdict = match clock.2 {
            Some(ratio) if ratio >= TO_REACH => "met",
            Some(_) => "**missed**",
            None => "–",
        };
        let kind = if *channels == 1 { "grey" } else { "RGB" };
        let _ = writeln!(
            text,
            "| {kind} | {} | {} | {} | {} | {} | {} | ≥ {TO_REACH:.1}: {verdict} |",
            clock.0,
            clock.1,
            times(clock.2),
            processor.0,
            processor.1,
            times(processor.2),
        );
    }
    text
}
