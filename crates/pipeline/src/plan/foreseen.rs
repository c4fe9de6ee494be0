//! What can be known of the stages of a plan before they run: the problems that would make them fail.

use super::Plan;
use crate::cache::{Record, Store};
use crate::stage::{Foresight, Known, KnownInput, KnownOutput, Places, Prospect};
use std::collections::BTreeMap;

/// A problem or a warning, with the stages that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Indices of the stages, ascending.
    pub stages: Vec<usize>,
    /// The text, complete but for the names of the stages.
    pub text: String,
}

/// What was foreseen, each text once, in the order of the first stage that has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// These stages must fail.
    pub problems: Vec<Finding>,
    /// These will run, but perhaps not as intended.
    pub warnings: Vec<Finding>,
}

impl Plan {
    /// Asks each stage that `judged` marks, inputs first, what it foresees. `finished` returns the record of a finished
    /// stage. `given` says what stages leave that were looked at by other means.
    pub fn foresee<'r>(
        &self,
        judged: &[bool],
        finished: impl Fn(usize) -> Option<&'r Record>,
        given: &BTreeMap<usize, Prospect>,
        store: &Store,
        places: &Places,
    ) -> Foreseen {
        let asked: Vec<usize> = (0..judged.len()).filter(|&stage| judged[stage]).collect();
        let needed = self.dag.with_ancestors(&asked);
        let mut prospects: Vec<Option<Prospect>> = vec![None; judged.len()];
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        for stage in self.dag.topological().into_iter().filter(|&stage| needed[stage]) {
            if let Some(prospect) = given.get(&stage) {
                prospects[stage] = Some(prospect.clone());
                continue;
            }
            let instance = &self.experiment.instances[stage];
            let record = if instance.inputs.is_empty() { finished(stage) } else { None };
            let output = record.map(|record| KnownOutput::new(record, store));
            let inputs = instance.inputs.iter().map(|input| KnownInput {
                role: input.role,
                label: &input.label,
                seed: self.experiment.instances[input.instance].seed,
                leaves: self.experiment.instances[input.instance].kind.leaves,
                prospect: prospects[input.instance].clone(),
            });
            let seed = instance.seed.filter(|_| instance.stage.draws()).unwrap_or(0);
            let Foresight { prospect, problems: own, warnings: dubious } =
                instance.stage.foresee(&Known { output, inputs: inputs.collect(), seed, places });
            prospects[stage] = prospect;
            if judged[stage] {
                own.into_iter().for_each(|text| note(&mut problems, stage, text));
                dubious.into_iter().for_each(|text| note(&mut warnings, stage, text));
            }
        }
        Foreseen { problems: in_order(problems), warnings: in_order(warnings) }
    }
}

/// Adds `stage` to the finding `text`.
fn note(findings: &mut Vec<Finding>, stage: usize, text: String) {
    match findings.iter_mut().find(|finding| finding.text == text) {
        Some(finding) => finding.stages.push(stage),
        None => findings.push(Finding { stages: vec![stage], text }),
    }
}

fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.iter_mut().for_each(|finding| finding.stages.sort_unstable());
    findings.sort_by_key(|finding| finding.stages[0]);
    findings
}
