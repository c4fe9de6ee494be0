//! Leaves out stages whose files are not there, where all that needs them can do without them.

use super::{Experiment, InputRef, Instance};
use crate::stage::Places;
use std::collections::{BTreeMap, BTreeSet};

/// Stages that are left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What is missing, and where to get it.
    pub reason: String,
    /// The stages that read it, or depend on one that does.
    pub stages: Vec<String>,
}

/// An instance that cannot run, for these reasons.
type Reasons = BTreeSet<String>;

impl Experiment {
    /// Leaves out the stages that cannot run because published files are missing ([`StageKind::wants`]), those that depend on
    /// them, and those that nothing else needs, if each path from them ends at a stage that
    /// [can do without](StageKind::without). Otherwise nothing is left out, and the run says what is missing.
    ///
    /// [`StageKind::wants`]: crate::stage::StageKind::wants
    /// [`StageKind::without`]: crate::stage::StageKind::without
    pub fn leave_out_missing(&mut self, places: &Places) -> Vec<LeftOut> {
        if !self.instances.iter().any(|instance| instance.stage.tolerates()) {
            return Vec::new();
        }
        let mut reasons: Vec<Reasons> = Vec::with_capacity(self.instances.len());
        let mut replaced = Vec::new();
        for (at, instance) in self.instances.iter().enumerate() {
            let mut own: Reasons = instance.stage.wants(places).into_iter().collect();
            let lost = |input: &&InputRef| !reasons[input.instance].is_empty();
            if own.is_empty() && instance.inputs.iter().any(|input| lost(&input)) {
                let mut absent: BTreeMap<&str, Reasons> = BTreeMap::new();
                for input in instance.inputs.iter().filter(lost) {
                    absent.entry(&input.label).or_default().extend(reasons[input.instance].iter().cloned());
                }
                // Some input stays for each parameter that loses any.
                let kept = instance.inputs.iter().filter(lost).all(|gone| {
                    let same = |input: &&InputRef| input.role == gone.role;
                    instance.inputs.iter().filter(same).any(|input| !absent.contains_key(input.label.as_str()))
                });
                let absent = absent.into_iter().map(|(label, why)| (label.to_owned(), joined(&why))).collect();
                match instance.stage.without(&absent).filter(|_| kept) {
                    Some(decoded) => replaced.push((at, decoded, absent)),
                    None => own = instance.inputs.iter().flat_map(|input| reasons[input.instance].clone()).collect(),
                }
            }
            reasons.push(own);
        }
        let stays = |(instance, reasons): (&Instance, &Reasons)| instance.stage.tolerates() && reasons.is_empty();
        if !self.instances.iter().zip(&reasons).any(stays) || self.is_needed(&reasons) {
            return Vec::new();
        }
        let left_out = by_reason(&self.instances, &reasons);
        for (at, decoded, absent) in replaced {
            let instance = &mut self.instances[at];
            instance.inputs.retain(|input| !absent.contains_key(&input.label));
            (instance.stage, instance.params) = (decoded.stage, decoded.params);
        }
        self.remove(&reasons.iter().map(|reasons| !reasons.is_empty()).collect::<Vec<_>>());
        left_out
    }

    /// Whether a stage that cannot run is read by no other, so that its output is wanted itself; unless it tolerates that.
    fn is_needed(&self, reasons: &[Reasons]) -> bool {
        let mut is_read = vec![false; self.instances.len()];
        for input in self.instances.iter().flat_map(|instance| &instance.inputs) {
            is_read[input.instance] = true;
        }
        let needed = |at: usize| !reasons[at].is_empty() && !is_read[at] && !self.instances[at].stage.tolerates();
        (0..reasons.len()).any(needed)
    }

    /// Removes the stages `gone`, and those that were read by them alone.
    fn remove(&mut self, gone: &[bool]) {
        let mut gone = gone.to_vec();
        let (mut was_read, mut is_read) = (vec![false; gone.len()], vec![false; gone.len()]);
        // Readers come after what they read.
        for at in (0..gone.len()).rev() {
            gone[at] |= was_read[at] && !is_read[at];
            for input in &self.instances[at].inputs {
                is_read[input.instance] |= !gone[at];
                was_read[input.instance] |= gone[at];
            }
        }
        let mut place = Vec::with_capacity(gone.len());
        let mut kept = 0;
        for gone in &gone {
            place.push(kept);
            kept += usize::from(!gone);
        }
        let mut at = 0..gone.len();
        self.instances.retain(|_| at.next().is_some_and(|at| !gone[at]));
        for input in self.instances.iter_mut().flat_map(|instance| &mut instance.inputs) {
            input.instance = place[input.instance];
        }
    }
}

fn joined(reasons: &Reasons) -> String {
    reasons.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
}

fn by_reason(instances: &[Instance], reasons: &[Reasons]) -> Vec<LeftOut> {
    let mut all: Vec<LeftOut> = Vec::new();
    for (instance, reasons) in instances.iter().zip(reasons).filter(|(_, reasons)| !reasons.is_empty()) {
        let reason = joined(reasons);
        match all.iter_mut().find(|left_out| left_out.reason == reason) {
            Some(left_out) => left_out.stages.push(instance.name.clone()),
            None => all.push(LeftOut { reason, stages: vec![instance.name.clone()] }),
        }
    }
    all
}
