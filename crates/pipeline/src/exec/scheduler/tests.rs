//! Small graphs by hand, and random ones.

use super::counts::Phase;
use super::*;
use crate::plan::Dag;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PLAIN: Requirements = Requirements {
    role: Role::Other,
    computes: false,
    is_submitted: false,
    eager: false,
    threads: None,
    memory: 0,
    cost: 1.0,
};

fn resources(threads: usize, jobs: usize, gpus: usize) -> Resources {
    Resources { threads, jobs, gpus, memory: None, submitted: 0 }
}

fn start(stage: usize, threads: usize) -> Decision {
    Decision::Start { stage, threads, gpu: None }
}

fn scheduler(nodes: usize, edges: &[(usize, usize)], threads: usize, jobs: usize, keep_going: bool) -> Scheduler {
    let dag = Dag::from_edges(nodes, edges.iter().copied());
    Scheduler::new(dag, &vec![true; nodes], vec![PLAIN; nodes], resources(threads, jobs, 0), keep_going)
}

#[test]
fn a_lone_stage_gets_all_threads_and_two_share_them() {
    let mut s = scheduler(3, &[(0, 1), (0, 2)], 4, 8, false);
    assert_eq!(s.decide(), [Decision::Look(0)]);
    s.on(Event::Miss(0));
    assert_eq!(s.decide(), [start(0, 4)]);
    s.on(Event::Finished(0));
    assert_eq!(s.decide(), [Decision::Look(1), Decision::Look(2)]);
    s.on(Event::Miss(1));
    assert!(s.decide().is_empty(), "not before the other lookup is answered");
    s.on(Event::Miss(2));
    assert_eq!(s.decide(), [start(1, 2), start(2, 2)]);
}

#[test]
fn a_stage_whose_files_are_downloaded_holds_no_other_back() {
    for keep_going in [false, true] {
        let mut s = scheduler(4, &[(0, 2)], 4, 4, keep_going);
        s.decide();
        s.on(Event::Fetching(0));
        s.on(Event::Miss(1));
        assert!(s.decide().is_empty() && !s.is_checked(), "3 is still looked up");
        s.on(Event::Miss(3));
        assert_eq!(s.decide(), [start(1, 2), start(3, 2)]);
        s.on(Event::Finished(1));
        s.on(Event::Failed(3));
        // After a failure a run waits for no download, unless it goes on.
        assert_eq!((s.decide().len(), s.is_over()), (0, !keep_going));
        s.on(Event::Miss(0));
        let next = if keep_going { vec![start(0, 4)] } else { vec![] };
        assert_eq!(s.decide(), next);
    }
}

#[test]
fn the_longest_path_goes_first() {
    let mut s = scheduler(4, &[(1, 2), (2, 3)], 1, 1, false);
    assert_eq!(s.decide(), [Decision::Look(0), Decision::Look(1)]);
    s.on(Event::Miss(0));
    s.on(Event::Miss(1));
    assert_eq!(s.decide(), [start(1, 1)]);
}

#[test]
fn a_failure_skips_dependents_and_stops_the_rest_unless_keep_going() {
    for keep_going in [false, true] {
        let mut s = scheduler(4, &[(0, 1), (2, 3)], 2, 1, keep_going);
        s.decide();
        s.on(Event::Miss(0));
        s.on(Event::Miss(2));
        assert_eq!(s.decide(), [start(0, 2)]);
        s.on(Event::Failed(0));
        assert_eq!(s.states()[1], Phase::Skipped(0));
        let next = if keep_going { vec![start(2, 2)] } else { vec![] };
        assert_eq!(s.decide(), next);
        assert_eq!(s.is_over(), !keep_going);
    }
}

#[test]
fn no_training_starts_before_the_last_check_has_ended() {
    // 0 (check) → 2 (training) → 3, and 1 (check) that nothing reads.
    let roles = [Role::Check, Role::Check, Role::Training, Role::Other];
    let dag = Dag::from_edges(4, [(0, 2), (2, 3)]);
    let requirements = roles.map(|role| Requirements { role, ..PLAIN }).to_vec();
    let mut s = Scheduler::new(dag, &[true; 4], requirements, resources(2, 2, 0), true);
    s.decide();
    s.on(Event::Hit(0));
    s.on(Event::Miss(1));
    assert_eq!(s.decide(), [Decision::Look(2)]);
    s.on(Event::Miss(2));
    assert_eq!(s.decide(), [start(1, 2)], "the check, though the training is deeper");
    assert!(s.decide().is_empty() && !s.is_over());
    s.on(Event::Failed(1));
    assert_eq!(s.decide(), [start(2, 2)], "told to keep going");
}

#[test]
fn a_gpu_serves_one_stage_at_a_time_and_cpu_stages_do_not_wait_for_it() {
    let requirements = |computes| Requirements { computes, ..PLAIN };
    let requirements = vec![requirements(true), requirements(true), requirements(true), requirements(false)];
    let dag = Dag::from_edges(4, []);
    let mut s = Scheduler::new(dag, &[true; 4], requirements, resources(8, 8, 2), true);
    s.decide();
    (0..4).for_each(|stage| drop(s.on(Event::Miss(stage))));
    let start = |stage, threads, gpu| Decision::Start { stage, threads, gpu };
    assert_eq!(s.decide(), [start(0, 3, Some(0)), start(1, 3, Some(1)), start(3, 2, None)]);
    s.on(Event::Failed(1));
    assert_eq!(s.decide(), [start(2, 3, Some(1))]);
}

#[test]
fn memory_and_thread_limits_hold_and_no_stage_overtakes_one_that_waits_for_memory() {
    let needs = |memory, threads| Requirements { memory, threads, ..PLAIN };
    let requirements = vec![needs(6, Some(1)), needs(6, None), needs(1, None), needs(20, None)];
    let all = Resources { memory: Some(10), ..resources(4, 4, 0) };
    let mut s = Scheduler::new(Dag::from_edges(4, []), &[true; 4], requirements, all, true);
    s.decide();
    (0..4).for_each(|stage| drop(s.on(Event::Miss(stage))));
    assert_eq!(s.decide(), [start(0, 1)], "the next would need too much, and 2 does not overtake it");
    s.on(Event::Computed(0));
    assert_eq!(s.decide(), [start(1, 2), start(2, 1)], "the slot and its memory are free before the record is");
    s.on(Event::Finished(1));
    assert!(s.decide().is_empty());
    s.on(Event::Finished(2));
    assert_eq!(s.decide(), [start(3, 4)], "a lone one may need more than there is");
    s.on(Event::Finished(3));
    assert!(!s.is_over(), "the first is not recorded yet");
    s.on(Event::Finished(0));
    assert!(s.is_over());
}

#[test]
fn the_most_expensive_path_goes_first() {
    let costs = [1.0, 5.0, 1.0].map(|cost| Requirements { cost, ..PLAIN }).to_vec();
    let mut s = Scheduler::new(Dag::from_edges(3, [(0, 2)]), &[true; 3], costs, resources(1, 1, 0), true);
    s.decide();
    s.on(Event::Miss(0));
    s.on(Event::Miss(1));
    assert_eq!(s.decide(), [start(1, 1)]);
}

#[test]
fn a_stage_waits_for_a_gpu_of_another_run_and_starts_again_when_lost() {
    let requirements = vec![Requirements { computes: true, ..PLAIN }; 2];
    let mut s = Scheduler::new(Dag::from_edges(2, []), &[true; 2], requirements, resources(2, 2, 1), true);
    s.decide();
    (0..2).for_each(|stage| drop(s.on(Event::Miss(stage))));
    let start = |stage| Decision::Start { stage, threads: 2, gpu: Some(0) };
    assert_eq!(s.decide(), [start(0)]);
    s.on(Event::GpuTaken(0));
    assert!(s.decide().is_empty() && !s.is_over());
    s.on(Event::GpuFree(0));
    assert_eq!(s.decide(), [start(0)]);
    s.on(Event::Again(0));
    assert_eq!(s.decide(), [start(0)]);
    // Its record cannot be written: it is computed again.
    s.on(Event::Computed(0));
    s.on(Event::Again(0));
    assert_eq!(s.decide(), [start(0)]);
    s.on(Event::Finished(0));
    assert_eq!(s.decide(), [start(1)]);
}

#[test]
fn a_stage_computed_twice_releases_its_readers_once() {
    // 2 reads 0 and 1, within this process.
    let requirements = vec![Requirements { eager: true, ..PLAIN }; 3];
    let dag = Dag::from_edges(3, [(0, 2), (1, 2)]);
    let mut s = Scheduler::new(dag, &[true; 3], requirements, resources(2, 2, 0), true);
    s.decide();
    (0..2).for_each(|stage| drop(s.on(Event::Miss(stage))));
    assert_eq!(s.decide(), [start(0, 1), start(1, 1)]);
    s.on(Event::Computed(0));
    s.on(Event::Again(0));
    assert_eq!(s.decide(), [start(0, 1)]);
    s.on(Event::Computed(0));
    s.on(Event::Finished(0));
    assert!(s.decide().is_empty(), "not before the other input");
    s.on(Event::Computed(1));
    assert_eq!(s.decide(), [Decision::Look(2)]);
}

proptest! {
    /// Any graph, any outcome of each stage: the run ends, inputs are done before readers start, no training
    /// starts before a check has ended, threads, jobs, memory and GPUs are never oversubscribed, and with
    /// `keep_going` every stage is done, failed or depends on a failed one.
    #[test]
    fn every_run_ends_and_respects_its_limits(
        nodes in 1..12usize,
        raw in prop::collection::vec((0..12usize, 0..12usize), 0..30),
        outcomes in prop::collection::vec(0..7u8, 12),
        kinds in prop::collection::vec(0..3u8, 12),
        needs in prop::collection::vec((0..8u64, prop::option::of(1..3usize)), 12),
        threads in 1..5usize,
        jobs in 1..4usize,
        gpus in 0..3usize,
        memory in prop::option::of(1..12u64),
        submits in prop::collection::vec(any::<bool>(), 12),
        submitted in 1..4usize,
        keep_going: bool,
    ) {
        let edges: Vec<_> = raw.into_iter().map(|(a, b)| (a % nodes, b % nodes)).filter(|(a, b)| a < b).collect();
        let role = |stage: usize| match kinds[stage] {
            0 => Role::Check,
            1 => Role::Training,
            _ => Role::Other,
        };
        let is_check = |stage: usize| kinds[stage] == 0 && edges.iter().all(|&(_, reader)| reader != stage);
        let dag = Dag::from_edges(nodes, edges.iter().copied());
        let computes = |stage: usize| role(stage) == Role::Training;
        let requirements = |stage: usize| {
            let (memory, threads) = needs[stage];
            let is_submitted = submits[stage] && kinds[stage] != 0;
            let (role, computes, eager) = (role(stage), computes(stage), kinds[stage] == 2 && !is_submitted);
            Requirements { role, computes, is_submitted, eager, threads, memory, cost: memory as f64 }
        };
        let all = Resources { memory, submitted, ..resources(threads, jobs, gpus) };
        let mut s = Scheduler::new(dag, &vec![true; nodes], (0..nodes).map(requirements).collect(), all, keep_going);
        let mut running: Vec<usize> = Vec::new();
        let mut jobs_out: Vec<usize> = Vec::new();
        let mut settling: Vec<usize> = Vec::new();
        let mut fetching: Vec<usize> = Vec::new();
        let mut troubled = vec![false; nodes];
        let mut gpu_of = BTreeMap::new();
        for _ in 0..20 * nodes {
            for decision in s.decide() {
                match decision {
                    Decision::Look(stage) => {
                        match outcomes[stage] {
                            0 => drop(s.on(Event::Hit(stage))),
                            6 => {
                                s.on(Event::Fetching(stage));
                                fetching.push(stage);
                            }
                            _ => drop(s.on(Event::Miss(stage))),
                        }
                    }
                    Decision::Start { stage, threads, gpu } => {
                        prop_assert!(!submits[stage] || kinds[stage] == 0);
                        prop_assert!(threads >= 1 && needs[stage].1.is_none_or(|most| threads <= most));
                        prop_assert_eq!(gpu.is_some(), computes(stage) && gpus > 0);
                        if let Some(gpu) = gpu {
                            prop_assert!(gpu < gpus && gpu_of.values().all(|&other| other != gpu));
                            // Another run holds the GPU when this run first wants it.
                            if outcomes[stage] == 4 && !std::mem::replace(&mut troubled[stage], true) {
                                s.on(Event::GpuTaken(stage));
                                s.on(Event::GpuFree(gpu));
                                continue;
                            }
                            gpu_of.insert(stage, gpu);
                        }
                        for check in (0..nodes).filter(|&check| role(stage) == Role::Training && is_check(check)) {
                            prop_assert!(matches!(s.states()[check], Phase::Done(_) | Phase::Failed));
                        }
                        for &(input, reader) in &edges {
                            let settling = kinds[stage] == 2 && !submits[stage] && s.states()[input] == Phase::Settling;
                            prop_assert!(reader != stage || settling || matches!(s.states()[input], Phase::Done(_)));
                        }
                        running.push(stage);
                    }
                    Decision::Submit(stage) => {
                        prop_assert!(submits[stage] && kinds[stage] != 0);
                        for check in (0..nodes).filter(|&check| role(stage) == Role::Training && is_check(check)) {
                            prop_assert!(matches!(s.states()[check], Phase::Done(_) | Phase::Failed));
                        }
                        for &(input, _) in edges.iter().filter(|(_, reader)| *reader == stage) {
                            prop_assert!(matches!(s.states()[input], Phase::Done(_)), "jobs read durable records only");
                        }
                        jobs_out.push(stage);
                    }
                }
            }
            prop_assert!(jobs_out.len() <= submitted);
            let used: usize =
                s.states().iter().map(|state| if let Phase::Running(n) = state { *n } else { 0 }).sum();
            prop_assert!(used <= threads && running.len() <= jobs);
            let held: u64 = running.iter().map(|&stage| needs[stage].0).sum();
            prop_assert!(memory.is_none_or(|memory| held <= memory) || running.len() == 1);
            if s.is_over() {
                break;
            }
            if let Some(stage) = jobs_out.pop() {
                match outcomes[stage] {
                    3 => drop(s.on(Event::Failed(stage))),
                    5 if !std::mem::replace(&mut troubled[stage], true) => drop(s.on(Event::Withdrawn(stage))),
                    _ => drop(s.on(Event::Finished(stage))),
                }
            } else if !running.is_empty() {
                let stage = running.remove(0);
                gpu_of.remove(&stage);
                match outcomes[stage] {
                    3 => drop(s.on(Event::Failed(stage))),
                    5 if !std::mem::replace(&mut troubled[stage], true) => drop(s.on(Event::Again(stage))),
                    2 => {
                        s.on(Event::Computed(stage));
                        settling.push(stage);
                    }
                    _ => drop(s.on(Event::Finished(stage))),
                }
            } else if let Some(stage) = settling.pop() {
                s.on(Event::Finished(stage));
            } else if let Some(stage) = fetching.pop() {
                s.on(if stage % 2 == 0 { Event::Hit(stage) } else { Event::Miss(stage) });
            }
        }
        prop_assert!(s.is_over());
        if keep_going {
            for state in s.states() {
                prop_assert!(matches!(state, Phase::Done(_) | Phase::Failed | Phase::Skipped(_)));
            }
        }
    }
}

#[test]
fn refused_stages_never_start_and_their_readers_are_skipped() {
    // 0 (check) → 1 (training) → 2 → 3, 4 (training, cached inputs only), and 5 that nothing concerns.
    for keep_going in [false, true] {
        let roles = [Role::Check, Role::Training, Role::Other, Role::Other, Role::Training, Role::Other];
        let dag = Dag::from_edges(6, [(0, 1), (1, 2), (2, 3)]);
        let requirements = roles.map(|role| Requirements { role, ..PLAIN }).to_vec();
        let mut s = Scheduler::new(dag, &[true; 6], requirements, resources(1, 1, 0), keep_going);
        s.decide();
        for stage in [0, 4, 5] {
            s.on(Event::Miss(stage));
        }
        assert_eq!(s.decide(), [start(0, 1)]);
        assert!(!s.is_checked(), "the check still runs");
        s.on(Event::Finished(0));
        // Its reader is unblocked, and the training 4 is held: both wait for the answer.
        assert!(s.is_checked() && [1, 2, 4].into_iter().all(|stage| s.is_to_start(stage)) && !s.is_to_start(0));
        // 2 has a problem of its own: it is not skipped because of 1.
        assert_eq!(s.refuse(&[1, 2, 4]), [(3, 2)]);
        let next = if keep_going { vec![start(5, 1)] } else { vec![] };
        assert_eq!(s.decide(), next);
        if keep_going {
            s.on(Event::Finished(5));
            assert!(s.decide().is_empty());
        }
        assert!(s.is_over());
    }
}

#[test]
fn a_refused_stage_that_was_ready_is_forgotten() {
    let mut s = scheduler(3, &[(0, 1)], 1, 1, true);
    s.decide();
    s.on(Event::Miss(0));
    s.on(Event::Miss(2));
    assert_eq!(s.refuse(&[0]), [(1, 0)]);
    assert_eq!(s.decide(), [start(2, 1)]);
    s.on(Event::Finished(2));
    assert!(s.decide().is_empty() && s.is_over());
}

#[test]
fn jobs_of_a_batch_system_need_no_slot_here_and_are_limited_by_their_own_number() {
    let requirements = vec![Requirements { is_submitted: true, computes: true, memory: 99, ..PLAIN }; 3];
    let all = Resources { submitted: 2, memory: Some(1), ..resources(1, 1, 0) };
    let mut s = Scheduler::new(Dag::from_edges(3, []), &[true; 3], requirements, all, false);
    s.decide();
    (0..3).for_each(|stage| drop(s.on(Event::Miss(stage))));
    assert_eq!(s.decide(), [Decision::Submit(0), Decision::Submit(1)]);
    s.on(Event::Finished(1));
    assert_eq!(s.decide(), [Decision::Submit(2)]);
    s.on(Event::Failed(0));
    assert!(!s.is_over(), "the other job runs");
    s.on(Event::Withdrawn(2));
    assert!(s.decide().is_empty() && s.is_over(), "a job that was taken back is not submitted again after a failure");
}
