//! How long a run will take yet: from the forecast, from what its own stages took, and from how far they are.

use crate::plan::{Dag, Plan, makespan};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What is known of the time that a run's stages take.
pub(super) struct TimeLeft {
    dag: Dag,
    /// By name.
    index: HashMap<String, usize>,
    /// Of each stage: its family's members resemble each other more than others of its kind.
    families: Vec<String>,
    expected: Vec<Option<f64>>,
    state: Vec<State>,
    /// Stages at a time.
    slots: usize,
    /// (family → seconds of its finished stages, how many).
    took: HashMap<String, (f64, usize)>,
    /// Seconds that finished stages took, and that they were expected to take.
    against: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Running {
        since: Instant,
        /// Of it, from 0 to 1, if it has said.
        done: f64,
    },
    /// Nothing more to do.
    Closed,
}

impl TimeLeft {
    /// For the stages that `must_run`, which are `expected` to take so many seconds.
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

    /// So many stages run at a time.
    pub(super) fn set_slots(&mut self, slots: usize) {
        self.slots = slots.max(1);
    }

    pub(super) fn started(&mut self, stage: &str, now: Instant) {
        self.set(stage, State::Running { since: now, done: 0.0 });
    }

    /// A running stage is so far, from 0 to 1, at least.
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

    /// It will not run (any more): found in the cache, failed, or skipped.
    pub(super) fn closed(&mut self, stage: &str) {
        self.set(stage, State::Closed);
    }

    fn set(&mut self, stage: &str, state: State) {
        if let Some(&stage) = self.index.get(stage) {
            self.state[stage] = state;
        }
    }

    /// The rest of the run; `None` while nothing is known of any stage.
    pub(super) fn at(&self, now: Instant) -> Option<Duration> {
        let (seconds, count) = self.took.values().fold((0.0, 0), |sum, took| (sum.0 + took.0, sum.1 + took.1));
        let known: Vec<f64> = (0..self.state.len()).filter_map(|stage| self.whole(stage)).collect();
        let average = match (count, known.len()) {
            (0, 0) => return None,
            (0, all) => known.iter().sum::<f64>() / all as f64,
            (count, _) => seconds / count as f64,
        };
        let rest: Vec<Option<f64>> = (0..self.state.len())
            .map(|stage| {
                let whole = self.whole(stage).unwrap_or(average);
                match self.state[stage] {
                    State::Closed => None,
                    State::Open => Some(whole),
                    State::Running { since, done } => {
                        let so_far = now.saturating_duration_since(since).as_secs_f64();
                        // Its own speed says more than others' the further it is.
                        let own = if done > 0.0 { so_far * (1.0 - done) / done } else { 0.0 };
                        Some(done * own + (1.0 - done) * (whole - so_far).max(0.1 * whole))
                    }
                }
            })
            .collect();
        makespan(&self.dag, &rest, self.slots).map(Duration::from_secs_f64)
    }

    /// Seconds that a stage takes in all, by its family's finished stages or by the forecast, which is held against what
    /// stages took so far.
    fn whole(&self, stage: usize) -> Option<f64> {
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
    fn nothing_is_said_until_something_is_known_and_a_forecast_is_held_against_the_run() {
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
        /// A sweep of layers of alike stages on a few slots, each up to a third quicker or slower than its family: at
        /// half-time the rest is right within a factor of two.
        #[test]
        fn at_half_time_it_is_right_within_a_factor_of_two(
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
