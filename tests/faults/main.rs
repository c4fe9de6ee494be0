//! Whatever befalls runs and caches: no wrong hit, no finished stage lost, no process left, no deadlock, and in the end
//! the files of an undisturbed run.
//!
//! `MATSSL_FAULTS=60 cargo test --release --test faults -- --nocapture` does sixty rounds and prints what it did.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod disk;
mod pipeline;
mod processes;
mod reports;
mod strikes;
mod tally;
mod world;

use damage::Blow;
use matssl_run::random::Stream;
use pipeline::Pipeline;
use processes::Part;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tally::Tally;
use world::World;

/// Rounds of the long form.
fn rounds() -> Option<u64> {
    std::env::var("MATSSL_FAULTS").ok()?.parse().ok()
}

type Fault = (&'static str, fn(&mut World));

const FAULTS: [Fault; 22] = [
    ("kill -9: run", strikes::kill_run),
    ("kill -9: run, again", strikes::kill_run),
    ("kill -9: program", |world| strikes::kill_part(world, Part::Program)),
    ("kill -9: program, then run", |world| strikes::kill_part_and_run(world, Part::Program)),
    ("kill -9: worker", |world| strikes::kill_part(world, Part::Worker)),
    ("kill -9: worker, then run", |world| strikes::kill_part_and_run(world, Part::Worker)),
    ("kill -9: guard, then run", |world| strikes::kill_part_and_run(world, Part::Guard)),
    ("kill -9: one of two racing runs", |world| strikes::race(world, 2)),
    ("kill -9: one of three racing runs", |world| strikes::race(world, 3)),
    ("SIGINT: run", |world| strikes::interrupt(world, libc::SIGINT)),
    ("SIGTERM: run", |world| strikes::interrupt(world, libc::SIGTERM)),
    ("hangs: program", |world| strikes::hang(world, Part::Program)),
    ("hangs: worker", |world| strikes::hang(world, Part::Worker)),
    ("flipped bit: record", |world| damage::damage(world, "records", Blow::Flip)),
    ("flipped bit: object", |world| damage::damage(world, "objects", Blow::Flip)),
    ("truncated: record", |world| damage::damage(world, "records", Blow::Truncate)),
    ("truncated: object", |world| damage::damage(world, "objects", Blow::Truncate)),
    ("removed: object", |world| damage::damage(world, "objects", Blow::Remove)),
    ("flipped bits: indexes, last keys, logs", |world| damage::damage_memory(world, Blow::Flip)),
    ("truncated: indexes, last keys, logs", |world| damage::damage_memory(world, Blow::Truncate)),
    ("clock jumps: cache and data", damage::jump),
    ("clock jumps: data changed, its time put back", damage::change_data),
];

/// A pipeline, and some of the faults, one after the other.
fn round(faults: impl Iterator<Item = Fault>, mut stream: Stream, tally: &Tally) {
    let pipeline = Pipeline::random(&mut stream, true);
    let mut world = World::new(&pipeline, stream, tally);
    for (name, fault) in faults {
        world.fault = name;
        fault(&mut world);
    }
    world.clean_run();
    world.all_is_whole();
    world.nothing_is_left();
}

#[test]
fn whatever_befalls_a_run_the_next_ends_as_an_undisturbed_one() {
    let tally = Tally::default();
    let seed = std::env::var("MATSSL_FAULTS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    println!("MATSSL_FAULTS_SEED={seed}");
    let started = Instant::now();
    let (rounds, each, at_once) = match rounds() {
        None => (2, FAULTS.len().div_ceil(2), 2),
        Some(rounds) => (rounds, FAULTS.len(), 3),
    };
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= rounds {
                        return;
                    }
                    // Every fault in its turn, in another order each time.
                    let order = Stream::new(seed, "order", 0, number * each as u64 / FAULTS.len() as u64)
                        .permutation(FAULTS.len());
                    let first = if each < FAULTS.len() { number as usize * each } else { 0 };
                    let faults = order.into_iter().skip(first).take(each).map(|fault| FAULTS[fault]);
                    round(faults, Stream::new(seed, "faults", 0, number), &tally);
                }
            });
        }
    });
    if let Some(rounds) = self::rounds() {
        disk::full((0..rounds).map(|step| 8 + 4 * (step % 120)), &Stream::new(seed, "full", 0, 0), &tally);
        disk::read_only(&tally);
        reports::damage(rounds as usize, &mut Stream::new(seed, "reports", 0, 0), &tally);
        let (struck, seconds) = (tally.struck("kill -9"), started.elapsed().as_secs_f64());
        println!(
            "{rounds} rounds in {seconds:.0} s; {struck} times `kill -9` struck what was alive\n\n{}",
            tally.table()
        );
    }
    tally.nothing_went_wrong();
}

#[test]
fn a_full_disk_is_said_and_what_is_half_done_does_not_count() {
    if rounds().is_none() {
        let tally = Tally::default();
        let seed = std::process::id().into();
        let mut stream = Stream::new(seed, "full", 0, 0);
        let rooms: Vec<u64> = (0..5).map(|step| 8 + 64 * step + stream.below(64)).collect();
        disk::full(rooms.into_iter(), &stream, &tally);
        tally.nothing_went_wrong();
    }
}

#[test]
fn a_cache_that_cannot_be_written_still_gives_what_is_in_it() {
    if rounds().is_none() {
        let tally = Tally::default();
        disk::read_only(&tally);
        tally.nothing_went_wrong();
    }
}

#[test]
fn a_damaged_number_is_not_shown() {
    if rounds().is_none() {
        let tally = Tally::default();
        reports::damage(1, &mut Stream::new(std::process::id().into(), "reports", 0, 0), &tally);
        tally.nothing_went_wrong();
    }
}
