//! Who works when: warm-up, rounds, and the workers of each workload.

use crate::Arguments;
use crate::table::{Measured, Timed};
use crate::workers::{OutOfMemory, Pytorch, Side, Worker};
use crate::workloads::Workload;
use anyhow::{Error, Result, ensure};

/// Rounds that are not counted.
const WARM_UP: usize = 2;

/// A side of the operations: its worker, until that fails.
type Slot = (Side, Option<Worker>);

/// Times all workloads; `so_far` is called with all that is measured as each one ends.
///
/// # Errors
/// If a worker fails on a CPU's whole step (anywhere else the side is left out instead), or `so_far` does.
pub(crate) fn measure(
    chosen: Vec<Workload>,
    pytorch: Option<&Pytorch>,
    arguments: &Arguments,
    mut so_far: impl FnMut(&[Measured]) -> Result<()>,
) -> Result<Vec<Measured>> {
    let mut sides = vec![Side::Ours];
    match pytorch {
        Some(_) if arguments.setting.on_gpu() => {
            sides.push(Side::PytorchChannelsLast);
            sides.extend((!arguments.eager).then_some(Side::PytorchCompiled));
        }
        Some(_) => sides.extend([Side::PytorchNchw, Side::PytorchChannelsLast]),
        None => {}
    }
    let start = |side| Worker::start(side, pytorch, arguments.threads, &arguments.setting);
    // The operations share one process a side.
    let mut shared: Vec<Slot> = sides.iter().map(|&side| (side, None)).collect();
    let mut all = Vec::new();
    let count = chosen.len();
    for (number, workload) in chosen.into_iter().enumerate() {
        eprintln!("{}/{count} {}", number + 1, workload.name);
        let rounds = arguments.rounds.unwrap_or(workload.rounds);
        let sides = if !workload.whole {
            operation(&mut shared, start, &workload, rounds)
        } else if arguments.setting.on_gpu() {
            sides.iter().map(|&side| alone(side, start, &workload, rounds)).collect()
        } else {
            // Processes of their own, so that the peak memory is its own.
            let mut own: Vec<Worker> = sides.iter().map(|&side| start(side)).collect::<Result<_>>()?;
            let mut timed = in_turn(&mut own, &workload, rounds)?;
            for (timed, worker) in timed.iter_mut().zip(own) {
                timed.peak_kib = Some(worker.end()?);
            }
            timed
        };
        all.push(Measured { workload, sides });
        so_far(&all)?;
    }
    Ok(all)
}

fn warm_up(worker: &mut Worker, workload: &Workload) -> Result<()> {
    worker.set(&workload.spec)?;
    // An operation's worker has warmed up while it found out how often to repeat.
    for _ in 0..if workload.whole { WARM_UP } else { 1 } {
        worker.go()?;
    }
    Ok(())
}

fn round(worker: &mut Worker, workload: &Workload, timed: &mut Timed) -> Result<()> {
    let (seconds, others) = worker.go()?;
    ensure!(seconds.len() == workload.passes.len(), "{} numbers of {}", seconds.len(), workload.name);
    timed.rounds.push(seconds);
    timed.others.extend(others);
    Ok(())
}

/// Alternates the sides, one at work at a time; who begins changes from round to round.
fn in_turn(workers: &mut [Worker], workload: &Workload, rounds: usize) -> Result<Vec<Timed>> {
    let mut all: Vec<Timed> = workers.iter().map(|worker| Timed::new(worker.side)).collect();
    for (worker, timed) in workers.iter_mut().zip(&mut all) {
        timed.estimate_kib = estimate(worker, workload)?;
        warm_up(worker, workload)?;
    }
    let sides = workers.len();
    for number in 0..rounds {
        for place in 0..sides {
            let side = (place + number) % sides;
            round(&mut workers[side], workload, &mut all[side])?;
        }
    }
    Ok(all)
}

/// What our side says beforehand that it will take; asked before the work, so that it is not part of its peak.
fn estimate(worker: &mut Worker, workload: &Workload) -> Result<Option<u64>> {
    if worker.side == Side::Ours { worker.estimate(&workload.spec) } else { Ok(None) }
}

/// An operation, the sides in turn as in [`in_turn`]. A side that fails is left out of this operation and has a new worker
/// for the next.
fn operation(
    slots: &mut [Slot],
    start: impl Fn(Side) -> Result<Worker>,
    workload: &Workload,
    rounds: usize,
) -> Vec<Timed> {
    let attempt = |slot: &mut Slot, timed: &mut Timed, work: &dyn Fn(&mut Worker, &mut Timed) -> Result<()>| {
        if timed.missing.is_some() {
            return;
        }
        let (side, worker) = slot;
        let done = match worker.take().map_or_else(|| start(*side), Ok) {
            Ok(started) => work(worker.insert(started), timed),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            *timed = failed(*side, workload, &error);
            // Its worker goes on after that.
            if !error.is::<OutOfMemory>() {
                *worker = None;
            }
        }
    };
    let mut all: Vec<Timed> = slots.iter().map(|(side, _)| Timed::new(*side)).collect();
    for (slot, timed) in slots.iter_mut().zip(&mut all) {
        attempt(slot, timed, &|worker, _| warm_up(worker, workload));
    }
    let sides = slots.len();
    for number in 0..rounds {
        for place in 0..sides {
            let side = (place + number) % sides;
            attempt(&mut slots[side], &mut all[side], &|worker, timed| round(worker, workload, timed));
        }
    }
    all
}

/// A side without times, and the reason on standard error.
fn failed(side: Side, workload: &Workload, error: &Error) -> Timed {
    eprintln!("{}, {}: {error:#}", workload.name, side.name());
    let missing = if error.is::<OutOfMemory>() { "out of memory" } else { "failed" };
    Timed { missing: Some(missing), ..Timed::new(side) }
}

/// One side from first to last, in a process that ends before the next one's begins: a GPU's memory does not hold the
/// work of several, and its speed does not drift as a shared CPU's.
fn alone(side: Side, start: impl Fn(Side) -> Result<Worker>, workload: &Workload, rounds: usize) -> Timed {
    // Known even if the work itself runs out of memory.
    let mut estimate_kib = None;
    let mut work = || -> Result<Timed> {
        let (mut worker, mut timed) = (start(side)?, Timed::new(side));
        estimate_kib = estimate(&mut worker, workload)?;
        warm_up(&mut worker, workload)?;
        for _ in 0..rounds {
            round(&mut worker, workload, &mut timed)?;
        }
        // What the CPU does beside a GPU takes nothing from it.
        timed.others.clear();
        timed.peak_kib = Some(worker.end()?);
        Ok(timed)
    };
    let timed = work().unwrap_or_else(|error| failed(side, workload, &error));
    Timed { estimate_kib, ..timed }
}
