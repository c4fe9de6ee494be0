//! Columns of scores that an evaluation has only where it is asked for them.

use super::row::Column;
use super::scores::{Table, summary};
use matssl_metrics::{Evaluation, FurtherScore};

/// Why rows have no column of a score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoColumn {
    /// An evaluation did not measure it.
    #[error(
        "{label} was evaluated without {}: set {} in the `evaluate` stage, or take {:?} out of `columns`",
        .score.heading(), .score.setting(), .score.key()
    )]
    NotMeasured {
        /// The row.
        label: String,
        /// The score.
        score: FurtherScore,
    },
    /// Two rows measured it by different definitions.
    #[error("{label} was evaluated with another {} than {first}: {theirs}, and {ours}", .score.heading())]
    OtherDefinition {
        /// The row.
        label: String,
        /// The first row.
        first: String,
        /// The score.
        score: FurtherScore,
        /// The definition of the first row.
        theirs: String,
        /// The definition of the row.
        ours: String,
    },
}

impl Table {
    /// Adds a column for each of `scores`, from the evaluations that the table was made of. Baselines have none of these scores.
    ///
    /// # Errors
    /// [`NoColumn`].
    pub fn with_scores(
        mut self,
        scores: &[FurtherScore],
        methods: &[(String, Vec<Evaluation>)],
    ) -> Result<Table, NoColumn> {
        let scored: Vec<&(String, Vec<Evaluation>)> = methods.iter().filter(|(_, runs)| !runs.is_empty()).collect();
        for &score in scores {
            if let Some(definition) = definition(score, &scored)? {
                self.definitions.push(format!("{}: {definition}.", score.heading()));
            }
            let (key, heading) = (score.key().to_owned(), score.heading().to_owned());
            self.columns.push(Column { key, heading, is_error: score.is_error() });
            // Rows of methods come first, in their order.
            let mut methods = scored.iter();
            for row in &mut self.rows {
                let runs = if row.seeds.is_some() { methods.next() } else { None };
                row.cells.push(runs.and_then(|(_, runs)| summary(runs, |run| score.of(run))));
            }
        }
        Ok(self)
    }
}

/// How all `methods` measured `score`; `None` without any.
fn definition(score: FurtherScore, methods: &[&(String, Vec<Evaluation>)]) -> Result<Option<String>, NoColumn> {
    let mut first: Option<(&str, String)> = None;
    for (label, run) in methods.iter().flat_map(|(label, runs)| runs.iter().map(move |run| (label, run))) {
        let Some(ours) = score.definition(run) else {
            return Err(NoColumn::NotMeasured { label: label.clone(), score });
        };
        let (of, theirs) = first.get_or_insert_with(|| (label, ours.clone()));
        if *theirs != ours {
            let (first, theirs) = (of.to_string(), theirs.clone());
            return Err(NoColumn::OtherDefinition { label: label.clone(), first, score, theirs, ours });
        }
    }
    Ok(first.map(|(_, definition)| definition))
}
