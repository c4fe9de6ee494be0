//! Time of a graph of stages on a given number of slots.

use super::Dag;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Total time of stages that take `seconds` each on `slots` slots. Each starts when its inputs are done, the longest
/// remaining path first (list scheduling: at most twice the optimum, R. L. Graham 1966). Stages without a time count as
/// 0. `None` if no stage has a time. Takes `O(n log n)`, and linear time in the edges.
pub fn makespan(dag: &Dag, seconds: &[Option<f64>], slots: usize) -> Option<f64> {
    if seconds.iter().all(Option::is_none) {
        return None;
    }
    let time = |stage: usize| seconds.get(stage).copied().flatten().filter(|time| *time > 0.0).unwrap_or(0.0);
    let order = dag.topological();
    let mut remaining = vec![0.0; dag.len()];
    for &stage in order.iter().rev() {
        let after = dag.readers(stage).map(|reader| remaining[reader]).fold(0.0, f64::max);
        remaining[stage] = time(stage) + after;
    }
    let mut missing: Vec<usize> = (0..dag.len()).map(|stage| dag.inputs(stage).count()).collect();
    let mut unblocked: Vec<usize> = order.into_iter().filter(|&stage| missing[stage] == 0).collect();
    let (mut ready, mut running) = (BinaryHeap::new(), BinaryHeap::new());
    let (mut now, mut free) = (0.0, slots.max(1));
    loop {
        // Stages that take no time finish at once.
        while let Some(stage) = unblocked.pop() {
            if time(stage) > 0.0 {
                ready.push(Ranked { rank: remaining[stage], stage });
                continue;
            }
            unblock(dag, stage, &mut missing, &mut unblocked);
        }
        while free > 0 {
            let Some(Ranked { stage, .. }) = ready.pop() else { break };
            running.push(Ranked { rank: -(now + time(stage)), stage });
            free -= 1;
        }
        let Some(Ranked { rank, stage }) = running.pop() else { return Some(now) };
        now = -rank;
        free += 1;
        unblock(dag, stage, &mut missing, &mut unblocked);
    }
}

fn unblock(dag: &Dag, stage: usize, missing: &mut [usize], unblocked: &mut Vec<usize>) {
    for reader in dag.readers(stage) {
        missing[reader] -= 1;
        if missing[reader] == 0 {
            unblocked.push(reader);
        }
    }
}

/// A stage in a heap: highest rank first, ties by order in the file.
struct Ranked {
    rank: f64,
    stage: usize,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then(other.stage.cmp(&self.stage))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_path_starts_first_and_stages_without_time_cause_no_wait() {
        // 0 → 1 → 2; 3 and 4 alone; 2 is a table that takes no time.
        let dag = Dag::from_edges(5, [(0, 1), (1, 2)]);
        let seconds = [Some(2.0), Some(3.0), None, Some(2.0), Some(3.0)];
        assert_eq!(makespan(&dag, &seconds, 1), Some(10.0));
        assert_eq!(makespan(&dag, &seconds, 2), Some(5.0));
        assert_eq!(makespan(&dag, &seconds, 0), Some(10.0), "at least one");
        assert_eq!(makespan(&dag, &[None; 5], 2), None);
    }

    proptest! {
        /// At least the longest path and the total work per slot; at most Graham's bound.
        #[test]
        fn the_makespan_is_within_its_bounds(
            edges in proptest::collection::vec((0usize..12, 0usize..12), 0..30),
            seconds in proptest::collection::vec(proptest::option::of(0.0f64..9.0), 12),
            slots in 1usize..5,
        ) {
            let dag = Dag::from_edges(12, edges.into_iter().filter(|(a, b)| a < b));
            let Some(time) = makespan(&dag, &seconds, slots) else { return Ok(()) };
            let work: f64 = seconds.iter().flatten().sum();
            let longest = makespan(&dag, &seconds, 12).unwrap();
            let least = longest.max(work / slots as f64);
            let most = work / slots as f64 + longest * (1.0 - 1.0 / slots as f64);
            prop_assert!(time >= least - 1e-9 && time <= most + 1e-9, "{least} <= {time} <= {most}");
        }
    }
}
