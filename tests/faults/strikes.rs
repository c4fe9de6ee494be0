//! What befalls a run while it lives.

use crate::pipeline::WORKERS;
use crate::processes::{Part, children, send, stands_still};
use crate::tally::Harm;
use crate::world::World;
use std::process::Child;
use std::time::Duration;

/// `kill -9` of the run.
pub(crate) fn kill_run(world: &mut World) {
    let mut run = begin(world);
    world.sleep();
    let struck = run.try_wait().unwrap().is_none();
    run.kill().unwrap();
    run.wait().unwrap();
    finish(world, struck);
}

/// `kill -9` of a program, or of a worker: it is tried again, and nobody notices.
pub(crate) fn kill_part(world: &mut World, part: Part) {
    let mut run = begin_with(world, part);
    let struck = strike(world, &mut run, part).is_some_and(|process| send(libc::SIGKILL, process));
    world.end(run, &[Some(0)]);
    finish(world, struck);
}

/// `kill -9` of a part and of the run; of the guard first, so that nobody is left to end what they started: the next
/// run's guard does.
pub(crate) fn kill_part_and_run(world: &mut World, part: Part) {
    let mut run = begin_with(world, part);
    let struck = strike(world, &mut run, part).is_some_and(|process| send(libc::SIGKILL, process));
    let struck = struck && run.try_wait().unwrap().is_none();
    run.kill().unwrap();
    run.wait().unwrap();
    if part == Part::Guard {
        world.look();
        // A run with nothing to do has no guard.
        world.undo(0.2, &["s0"]);
        world.clean_run();
    }
    finish(world, struck);
}

/// SIGINT or SIGTERM.
pub(crate) fn interrupt(world: &mut World, signal: i32) {
    let mut run = begin(world);
    world.sleep();
    let struck = run.try_wait().unwrap().is_none() && send(signal, run.id() as i32);
    // None: before it listened.
    world.end(run, &[Some(130), Some(0), None]);
    finish(world, struck);
}

/// A program or worker that stands still, in a run with limits: it fails in time.
pub(crate) fn hang(world: &mut World, part: Part) {
    prepare(world, part);
    let mut run = world.project.start(&["hasty.toml"]);
    let stopped = strike(world, &mut run, part).filter(|&process| send(libc::SIGSTOP, process));
    let struck = stopped.is_some_and(stands_still);
    // Three: on a busy machine others may take too long, too.
    let ended = world.end(run, if struck { &[Some(3)] } else { &[Some(0), Some(3)] });
    if let Some(ended) = ended.filter(|_| struck)
        && !ended.stderr.contains("took longer than its `timeout` of 1 s and was ended")
    {
        world.harm(Harm::Ended, ended.stderr);
    }
    finish(world, struck);
}

/// Several runs at once, one of which is killed: the others do it all.
pub(crate) fn race(world: &mut World, runs: usize) {
    prepare(world, Part::Program);
    let mut runs: Vec<Child> = (0..runs)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(world.stream.below(30)));
            world.project.start(&["experiment.toml"])
        })
        .collect();
    world.sleep();
    let mut killed = runs.swap_remove(world.stream.below(runs.len() as u64) as usize);
    let struck = killed.try_wait().unwrap().is_none();
    killed.kill().unwrap();
    killed.wait().unwrap();
    for run in runs {
        world.end(run, &[Some(0)]);
    }
    finish(world, struck);
    if world.missing() > 0 {
        world.harm(Harm::Lost, "the surviving runs did not do all stages".into());
    }
}

/// Sees to it that there is something to strike.
fn prepare(world: &mut World, part: Part) {
    if world.missing() < world.current.len() / 2 {
        world.undo(0.6, &[]);
    }
    if part == Part::Worker {
        world.undo(0.0, &WORKERS);
    }
}

fn begin(world: &mut World) -> Child {
    begin_with(world, Part::Program)
}

fn begin_with(world: &mut World, part: Part) -> Child {
    prepare(world, part);
    world.project.start(&["experiment.toml"])
}

/// Waits for a random moment and then for a `part` of the run; None if there is none until its end.
fn strike(world: &mut World, run: &mut Child, part: Part) -> Option<i32> {
    if part != Part::Worker {
        world.sleep();
    }
    let cache = world.cache();
    while run.try_wait().unwrap().is_none() {
        let found = children(run.id(), part, &cache);
        if !found.is_empty() {
            if part == Part::Worker {
                std::thread::sleep(Duration::from_millis(world.stream.below(30)));
            }
            return Some(found[world.stream.below(found.len() as u64) as usize]);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

fn finish(world: &mut World, struck: bool) {
    world.done(struck);
    world.nothing_is_left();
    world.look();
}
