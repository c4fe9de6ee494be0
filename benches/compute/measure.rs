//! Who works when: warm-up, rounds, and the workers of each workload.

use crate::Arguments;
use crate::table::{Measured, Timed};
use crate::workers::{OutOfMemory, Pytorch, Side, Worker};
use crate::workloads::Workload;
use anyhow::{Result, ensure};

/// Rounds that are not counted.
const WARM_UP: usize = 2;

/// Times all workloads.
///
/// # Errors
/// If a worker fails; one that fails on a GPU is left out instead.
pub(crate) fn measure(
    chosen: Vec<Workload>,
    pytorch: Option<&Pytorch>,
    arguments: &Arguments,
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
    let mut shared: Option<Vec<Worker>> = None;
    let mut all = Vec::new();
    let count = chosen.len();
    for (number, workload) in chosen.into_iter().enumerate() {
        eprintln!("{}/{count} {}", number + 1, workload.name);
        let rounds = arguments.rounds.unwrap_or(workload.rounds);
        let sides = if arguments.setting.on_gpu() {
            sides.iter().map(|&side| alone(side, start, &workload, rounds)).collect()
        } else if workload.whole {
            // Processes of their own, so that the peak memory is its own.
            let mut own: Vec<Worker> = sides.iter().map(|&side| start(side)).collect::<Result<_>>()?;
            let mut timed = in_turn(&mut own, &workload, rounds)?;
            for (timed, worker) in timed.iter_mut().zip(own) {
                timed.peak_kib = Some(worker.end()?);
            }
            timed
        } else {
            // The operations share one process a side.
            let workers = match &mut shared {
                Some(workers) => workers,
                none => none.insert(sides.iter().map(|&side| start(side)).collect::<Result<_>>()?),
            };
            in_turn(workers, &workload, rounds)?
        };
        all.push(Measured { workload, sides });
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
    for worker in workers.iter_mut() {
        warm_up(worker, workload)?;
    }
    let mut all: Vec<Timed> = workers.iter().map(|worker| Timed::new(worker.side)).collect();
    let sides = workers.len();
    for number in 0..rounds {
        for place in 0..sides {
            let side = (place + number) % sides;
            round(&mut workers[side], workload, &mut all[side])?;
        }
    }
    Ok(all)
}

/// One side from first to last, in a process that ends before the next one's begins: a GPU's memory does not hold the
/// work of several, and its speed does not drift as a shared CPU's.
fn alone(side: Side, start: impl Fn(Side) -> Result<Worker>, workload: &Workload, rounds: usize) -> Timed {
    let work = || -> Result<Timed> {
        let (mut worker, mut timed) = (start(side)?, Timed::new(side));
        warm_up(&mut worker, workload)?;
        for _ in 0..rounds {
            round(&mut worker, workload, &mut timed)?;
        }
        // What the CPU does beside a GPU takes nothing from it.
        timed.others.clear();
        timed.peak_kib = Some(worker.end()?);
        Ok(timed)
    };
    work().unwrap_or_else(|error| {
        eprintln!("{}, {}: {error:#}", workload.name, side.name());
        let missing = if error.is::<OutOfMemory>() { "out of memory" } else { "failed" };
        Timed { missing: Some(missing), ..Timed::new(side) }
    })
}
