//! Time left of a run: from the forecast, the time that its finished stages took, and the progress of running ones.

use crate::plan::{Dag, Plan, makespan};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What is known about the times of a run's stages.
pub(super) struct TimeLeft {
    dag: Dag,
    /// By name.
    index: HashMap<String, usize>,
    /// Of each stage. Members of a family take similar times, more so than stages of the same kind.
    families: Vec<String>,
    expected: Vec<Option<f64>>,
    state: Vec<State>,
    /// Maximum number of stages at a time.
    slots: usize,
    /// Family → (total seconds of its finished stages, their number).
    took: HashMap<String, (f64, usize)>,
    /// Seconds that finished stages took, and seconds that they were expected to take.
    against: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Running {
        since: Instant,
        /// Progress from 0 to 1.
        done: f64,
    },
    /// Finished, cached, failed or skipped.
    Closed,
}

impl TimeLeft {
    /// For the stages that `must_run`; `expected` are the seconds that the forecast gives each stage.
    pub(super) fn new(plan: &Plan, expected: Vec<Option<f64>>, must_run: &[bool]) -> Self {
        let instances = &plan.experiment.instances;
        let state = must_run.iter().map(|run| if *run { State::Open } else { State::Closed });
        TimeLeft {
            dag: plan.dag.clone(),
            index: instances.iter().enumerate().map(|(stage, instance)| (instance.name.clone(), stage)).collect(),
            families: instances.iter().map(|instance| instance.family.clone()).collect(),
            expected,
            state: state.collect(),
            slots: 1,
            took: HashMap::new(),
            against: (0.0, 0.0),
        }
    }

    /// Sets the maximum number of stages at a time.
    pub(super) fn set_slots(&mut self, slots: usize) {
        self.slots = slots.max(1);
    }

    pub(super) fn started(&mut self, stage: &str, now: Instant) {
        self.set(stage, State::Running { since: now, done: 0.0 });
    }

    /// Notes the progress of a running stage, from 0 to 1.
    pub(super) fn progressed(&mut self, stage: &str, done: f64) {
        if let Some(State::Running { done: before, .. }) = self.index.get(stage).map(|&stage| &mut self.state[stage]) {
            *before = done.clamp(0.0, 1.0);
        }
    }

    pub(super) fn finished(&mut self, stage: &str, seconds: f64) {
        let Some(&at) = self.index.get(stage) else { return };
        self.state[at] = State::Closed;
        let took = self.took.entry(self.families[at].clone()).or_default();
        *took = (took.0 + seconds, took.1 + 1);
        if let Some(expected) = self.expected[at] {
            self.against = (self.against.0 + seconds, self.against.1 + expected);
        }
    }

    /// Notes that a stage will not run (any more): cached, failed, or skipped.
    pub(super) fn closed(&mut self, stage: &str) {
        self.set(stage, State::Closed);
    }

    fn set(&mut self, stage: &str, state: State) {
        if let Some(&stage) = self.index.get(stage) {
            self.state[stage] = state;
        }
    }

    /// Time left of the run; none while no stage's time is known.
    pub(super) fn at(&self, now: Instant) -> Option<Duration> {
        let (seconds, count) = self.took.values().fold((0.0, 0), |sum, took| (sum.0 + took.0, sum.1 + took.1));
        let known: Vec<f64> = (0..self.state.len()).filter_map(|stage| self.total(stage)).collect();
        let average = match (count, known.len()) {
            (0, 0) => return None,
            (0, all) => known.iter().sum::<f64>() / all as f64,
            (count, _) => seconds / count as f64,
        };
        let rest: Vec<Option<f64>> = (0..self.state.len())
            .map(|stage| {
                let total = self.total(stage).unwrap_or(average);
                match self.state[stage] {
                    State::Closed => None,
                    State::Open => Some(total),
                    State::Running { since, done } => {
                        let so_far = now.saturating_duration_since(since).as_secs_f64();
                        // The further a stage is, the more its own speed counts.
                        let own = if done > 0.0 { so_far * (1.0 - done) / done } else { 0.0 };
                        Some(done * own + (1.0 - done) * (total - so_far).max(0.1 * total))
                    }
                }
            })
            .collect();
        makespan(&self.dag, &rest, self.slots).map(Duration::from_secs_f64)
    }

    /// Total seconds of a stage: the mean of its family's finished stages, or else the forecast, scaled by how wrong it was so
    /// far.
    fn total(&self, stage: usize) -> Option<f64> {
        if let Some((seconds, count)) = self.took.get(&self.families[stage]) {
            return Some(seconds / *count as f64);
        }
        let (took, expected) = self.against;
        let slower = if expected > 0.0 { took / expected } else { 1.0 };
        self.expected[stage].map(|seconds| seconds * slower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time_left(families: &[usize], edges: &[(usize, usize)], slots: usize) -> TimeLeft {
        let count = families.len();
        TimeLeft {
            dag: Dag::from_edges(count, edges.iter().copied()),
            index: (0..count).map(|stage| (stage.to_string(), stage)).collect(),
            families: families.iter().map(|family| format!("f{family}")).collect(),
            expected: vec![None; count],
            state: vec![State::Open; count],
            slots,
            took: HashMap::new(),
            against: (0.0, 0.0),
        }
    }

    #[test]
    fn there_is_no_estimate_without_a_known_time_and_the_forecast_is_scaled_by_the_run() {
        let now = Instant::now();
        let mut left = time_left(&[0, 1], &[], 1);
        assert_eq!(left.at(now), None);
        left.expected = vec![Some(10.0), Some(20.0)];
        assert_eq!(left.at(now), Some(Duration::from_secs(30)));
        left.finished("0", 20.0);
        assert_eq!(left.at(now), Some(Duration::from_secs(40)), "all is twice as slow");
        left.started("1", now);
        left.progressed("1", 0.5);
        assert_eq!(left.at(now + Duration::from_secs(10)).map(|left| left.as_secs()), Some(20));
    }

    proptest! {
        /// A sweep of three families on a few slots; each stage takes 0.7 to 1.4 times its family's time.
        #[test]
        fn at_half_time_the_estimate_is_right_within_a_factor_of_two(
            scale in prop::collection::vec(1.0..4.0f64, 3),
            noise in prop::collection::vec(0.7..1.4f64, 60),
            slots in 1..5usize,
        ) {
            // 20 columns of three stages each: family 0 → 1 → 2.
            let families: Vec<usize> = (0..60).map(|stage| stage % 3).collect();
            let edges: Vec<_> = (0..60).filter(|stage| stage % 3 < 2).map(|stage| (stage, stage + 1)).collect();
            let length = |stage: usize| scale[stage % 3] * noise[stage];
            // The run: each slot takes the first stage whose input is done, in the order of the file.
            let (mut free, mut ends) = (vec![0.0_f64; slots], vec![f64::INFINITY; 60]);
            let mut starts = vec![f64::INFINITY; 60];
            let mut open: Vec<usize> = (0..60).collect();
            while !open.is_empty() {
                let slot = (0..slots).min_by(|&a, &b| free[a].total_cmp(&free[b])).unwrap();
                let ready = |stage: usize| if stage.is_multiple_of(3) { 0.0 } else { ends[stage - 1] };
                let at = (0..open.len()).min_by(|&a, &b| ready(open[a]).max(free[slot]).total_cmp(&ready(open[b]).max(free[slot]))).unwrap();
                let stage = open.remove(at);
                starts[stage] = ready(stage).max(free[slot]);
                ends[stage] = starts[stage] + length(stage);
                free[slot] = ends[stage];
            }
            let whole = ends.iter().copied().fold(0.0, f64::max);
            let half = whole / 2.0;
            let (begin, mut left) = (Instant::now(), time_left(&families, &edges, slots));
            for stage in 0..60 {
                if ends[stage] <= half {
                    left.finished(&stage.to_string(), length(stage));
                } else if starts[stage] <= half {
                    left.started(&stage.to_string(), begin + Duration::from_secs_f64(starts[stage]));
                }
            }
            let told = left.at(begin + Duration::from_secs_f64(half)).unwrap().as_secs_f64();
            prop_assert!((half / 2.0..=half * 2.0).contains(&told), "{told} s at half-time of {whole} s");
        }
    }
}
