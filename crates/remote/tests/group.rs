//! Machines of a group that share a cache on a real S3 server, with all that can go wrong there. No wrong hit, nothing lost.

mod common;

use common::{Answer, Faults, Machine, S3Server, experiment, proxy};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const GREY: &[&str] = &["grey and white grains"];

#[test]
fn two_machines_share_what_they_make_and_a_third_only_pulls() {
    let server = S3Server::start();
    let (first, second, third) = (Machine::new(server.port), Machine::new(server.port), Machine::readonly(server.port));
    let one = first.run(&experiment(GREY, 3));
    assert_eq!((one.ran(), one.out.contains("pushed 3 records")), (3, true), "{one:?}");
    // The second machine computes only what is new, and the number that both texts have in common not at all.
    let both = experiment(&["grey and white grains", "pearlite and ferrite too"], 3);
    let two = second.run(&both);
    assert!(two.out.contains("d0: 30") && two.out.contains("d1: 30"), "{two:?}");
    assert_eq!(two.ran(), 2, "a text and its count; its double is known by its content: {two:?}");
    assert_eq!(first.run(&both).ran(), 0);
    let three = third.run(&both);
    assert_eq!((three.ran(), three.out.contains("pushed")), (0, false));
    assert!(third.records() < 5, "objects are fetched only when something reads them");
    let pulled = third.call("pull", &both);
    assert!(pulled.is_success && third.records() == 5, "{pulled:?}");
    // Without the server all is here.
    let alone = Machine { remote: "none".into(), ..third };
    assert_eq!(alone.run(&both).ran(), 0);
    [&first, &second, &alone].into_iter().for_each(Machine::assert_intact);
    // What was pushed is what is on disk, and says who made it and who pushed it.
    let key = server.files_below("records")[0].file_stem().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(server.files_below("records")[0].clone()).unwrap();
    let (record, pusher) = text.split_once('\n').unwrap();
    assert_eq!(record, fs::read_to_string(alone.cache().join("records").join(format!("{key}.json"))).unwrap());
    assert!(record.contains("\"host\"") && pusher.contains("\"user\"") && pusher.contains("\"host\""), "{pusher}");
}

#[test]
fn two_machines_at_once_lose_nothing() {
    let server = S3Server::start();
    let machines = [Machine::new(server.port), Machine::new(server.port)];
    let texts: Vec<String> = (0..12).map(|number| format!("text {number}")).collect();
    let text = experiment(&texts.iter().map(String::as_str).collect::<Vec<_>>(), 2);
    let children = machines.each_ref().map(|machine| machine.start("run", &text));
    for child in children {
        let answer = Answer::of(&child.wait_with_output().unwrap());
        assert!(answer.is_success && answer.err.is_empty(), "{answer:?}");
    }
    let third = Machine::readonly(server.port);
    assert_eq!(third.run(&text).ran(), 0);
    assert!(third.call("pull", &text).is_success);
    third.assert_intact();
}

/// What is damaged on the server: after it, a run on another machine must give the right numbers, name the damage, and repair it.
fn damaged(what: &str, damage: impl Fn(&S3Server)) {
    let server = S3Server::start();
    let text = experiment(GREY, 100);
    let first = Machine::new(server.port);
    first.run(&text);
    damage(&server);
    let second = Machine::new(server.port);
    // Everything is read.
    let pulled = second.call("pull", &text);
    assert!(pulled.err.contains("damaged"), "{what}: {pulled:?}");
    let run = second.run(&text);
    assert!(run.out.contains("d0: 1000\n"), "{what}: {run:?}");
    assert!(run.ran() > 0, "{what}: computed again: {run:?}");
    second.assert_intact();
    // What was computed again took the place of what was damaged.
    let third = Machine::readonly(server.port);
    let repaired = third.call("pull", &text);
    assert!(repaired.is_success && !repaired.err.contains("damaged"), "{what}: {repaired:?}");
    assert_eq!(third.run(&text).ran(), 0, "{what}");
    third.assert_intact();
}

/// The largest object: the text.
fn text_object(server: &S3Server) -> std::path::PathBuf {
    server.files_below("objects").into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

#[test]
fn a_flipped_object_is_never_used() {
    damaged("flipped", |server| {
        let path = text_object(server);
        let mut bytes = fs::read(&path).unwrap();
        bytes[700] ^= 1;
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn a_truncated_object_is_never_used() {
    damaged("truncated", |server| {
        let path = text_object(server);
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn a_missing_object_is_computed_again() {
    damaged("missing", |server| fs::remove_file(text_object(server)).unwrap());
}

#[test]
fn swapped_objects_are_never_used() {
    damaged("swapped", |server| {
        let mut objects = server.files_below("objects");
        objects.sort_by_key(|path| fs::metadata(path).unwrap().len());
        let (a, b) = (&objects[0], &objects[1]);
        let (one, other) = (fs::read(a).unwrap(), fs::read(b).unwrap());
        fs::write(a, other).unwrap();
        fs::write(b, one).unwrap();
    });
}

#[test]
fn swapped_records_are_never_used() {
    damaged("swapped records", |server| {
        let records = server.files_below("records");
        let (one, other) = (fs::read(&records[0]).unwrap(), fs::read(&records[1]).unwrap());
        fs::write(&records[0], other).unwrap();
        fs::write(&records[1], one).unwrap();
    });
}

#[test]
fn a_flipped_or_truncated_record_is_never_used() {
    damaged("flipped records", |server| {
        for path in server.files_below("records") {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replacen("\"code_version\":1", "\"code_version\":2", 1)).unwrap();
        }
    });
    damaged("truncated records", |server| {
        for path in server.files_below("records") {
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
        }
    });
}

#[test]
fn a_push_that_is_killed_leaves_no_record_without_objects_and_goes_on_later() {
    let server = S3Server::start();
    let faults = Arc::new(Faults::default());
    let slow = proxy(server.port, &faults);
    let texts: Vec<String> = (0..50).map(|number| format!("text number {number}")).collect();
    let text = experiment(&texts.iter().map(String::as_str).collect::<Vec<_>>(), 2000);
    let first = Machine { remote: "none".into(), ..Machine::new(slow) };
    first.run(&text);
    let first = Machine { remote: Machine::new(slow).remote, ..first };
    faults.delay.store(20, Ordering::Relaxed);
    let mut kills = 0;
    for wanted in [5, 15, 30, 45] {
        let mut push = first.start("push", &text);
        let since = Instant::now();
        while server.files_below("objects").len() < wanted && since.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        kills += usize::from(push.try_wait().unwrap().is_none());
        push.kill().unwrap();
        push.wait().unwrap();
        // Whatever is there is whole: what the records name is there, and a pull takes nothing else.
        let puller = Machine::readonly(server.port);
        let pulled = puller.call("pull", &text);
        assert!(pulled.is_success || pulled.err.contains("there is no shared cache"), "{pulled:?}");
        assert!(!pulled.err.contains("damaged"), "{pulled:?}");
        puller.assert_intact();
    }
    assert!(kills >= 2, "the pushes were too fast to be killed");
    faults.delay.store(0, Ordering::Relaxed);
    let pushed = first.call("push", &text);
    assert!(pushed.is_success, "{pushed:?}");
    let objects = fs::read_dir(first.cache().join("objects")).unwrap().count();
    assert!(objects > 0 && !pushed.out.contains(" 0 were there"), "what was there is not sent again: {pushed:?}");
    let third = Machine::readonly(server.port);
    assert_eq!(third.run(&text).ran(), 0);
    assert!(third.call("pull", &text).is_success && third.records() == first.records());
}

#[test]
fn a_pull_that_is_killed_leaves_a_whole_cache_and_goes_on_later() {
    let server = S3Server::start();
    let faults = Arc::new(Faults::default());
    let slow = proxy(server.port, &faults);
    let texts: Vec<String> = (0..30).map(|number| format!("text number {number}")).collect();
    let text = experiment(&texts.iter().map(String::as_str).collect::<Vec<_>>(), 2000);
    let first = Machine::new(server.port);
    first.run(&text);
    let puller = Machine::readonly(slow);
    faults.delay.store(30, Ordering::Relaxed);
    let objects = || fs::read_dir(puller.cache().join("objects")).into_iter().flatten().count();
    let mut pull = puller.start("pull", &text);
    let since = Instant::now();
    while objects() < 5 && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(pull.try_wait().unwrap().is_none(), "the pull was too fast to be killed");
    pull.kill().unwrap();
    pull.wait().unwrap();
    assert!(puller.records() < first.records());
    puller.assert_intact();
    faults.delay.store(0, Ordering::Relaxed);
    assert!(puller.call("pull", &text).is_success);
    assert_eq!((puller.records(), puller.run(&text).ran()), (first.records(), 0));
    puller.assert_intact();
}

#[test]
fn with_wrong_credentials_the_run_goes_on_alone_and_says_so_once() {
    let server = S3Server::start();
    Machine::new(server.port).run(&experiment(GREY, 1));
    let wrong = Machine { secret: "something-else-entirely".into(), ..Machine::new(server.port) };
    let run = wrong.run(&experiment(GREY, 1));
    assert_eq!(run.ran(), 3);
    assert_eq!(run.err.matches("warning").count(), 1, "{run:?}");
    assert!(run.err.contains("check the credentials"), "{run:?}");
    let push = wrong.call("push", &experiment(GREY, 1));
    assert!(!push.is_success && push.err.contains("check the credentials"), "{push:?}");
}

#[test]
fn without_a_server_the_run_goes_on_alone_and_says_so_once() {
    let machine = Machine::new(1);
    let since = Instant::now();
    let run = machine.run(&experiment(GREY, 1));
    assert_eq!((run.ran(), run.err.matches("warning").count()), (3, 1), "{run:?}");
    assert!(run.err.contains("cannot be reached"), "{run:?}");
    assert!(since.elapsed() < Duration::from_secs(30));
    assert!(!machine.call("push", &experiment(GREY, 1)).is_success);
}

#[test]
fn a_server_that_is_silent_keeps_a_run_waiting_for_seconds_only() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let since = Instant::now();
    let run = Machine::new(silent.local_addr().unwrap().port()).run(&experiment(GREY, 1));
    assert_eq!((run.ran(), run.err.matches("warning").count()), (3, 1), "{run:?}");
    assert!(since.elapsed() < Duration::from_secs(40), "{:?}", since.elapsed());
}

#[test]
fn a_server_that_dies_in_the_middle_costs_only_what_it_had() {
    let server = S3Server::start();
    let faults = Arc::new(Faults::default());
    let text = experiment(GREY, 1);
    Machine::new(server.port).run(&text);
    let machine = Machine::new(proxy(server.port, &faults));
    // It dies after the first few answers.
    faults.breaks_after.store(600, Ordering::Relaxed);
    let run = machine.run(&text);
    assert!(run.out.contains("d0: 10\n"), "{run:?}");
    machine.assert_intact();
}

#[test]
fn a_slow_server_that_drops_connections_loses_nothing() {
    let server = S3Server::start();
    let faults = Arc::new(Faults::default());
    let port = proxy(server.port, &faults);
    // A megabyte, for which a connection breaks many times.
    let text = experiment(&["a long text of many lines"], 30_000);
    faults.delay.store(1, Ordering::Relaxed);
    faults.refuses_each.store(3, Ordering::Relaxed);
    let first = Machine::new(port);
    first.run(&text);
    let pushed = first.call("push", &text);
    assert!(pushed.is_success, "{pushed:?}");
    faults.breaks_after.store(300_000, Ordering::Relaxed);
    let second = Machine::readonly(port);
    let pulled = second.call("pull", &text);
    assert!(pulled.is_success, "{pulled:?}");
    assert_eq!((second.records(), second.run(&text).ran()), (3, 0));
    second.assert_intact();
    assert!(faults.connections.load(Ordering::Relaxed) > 10);
}

#[test]
fn what_becomes_known_during_a_run_is_looked_for_then() {
    let server = S3Server::start();
    let first = Machine::new(server.port);
    first.run(&experiment(GREY, 1));
    // Another text with the same number of words: its count must be computed, then the double is in the remote.
    let second = Machine::new(server.port);
    let run = second.run(&experiment(&["four other words here"], 1));
    assert_eq!(run.ran(), 2, "{run:?}");
    assert!(run.out.contains("d0: 10\n"), "{run:?}");
    second.assert_intact();
}

#[test]
fn only_signed_records_count_where_signatures_are_required() {
    let server = S3Server::start();
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = keys.path().join(name);
        matssl_remote::SigningKey::generate(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (group, stranger) = (key("group"), key("stranger"));
    let text = experiment(GREY, 1);
    let strict = |key: &str| Machine::new(server.port).with("MATSSL_KEY", key).with("MATSSL_REQUIRE_SIGNATURE", "1");
    Machine::new(server.port).run(&text);
    let first = strict(&group);
    let run = first.run(&text);
    assert_eq!(run.ran(), 3, "unsigned: {run:?}");
    assert_eq!(run.err.matches("without a signature that is trusted").count(), 1, "{run:?}");
    assert_eq!(strict(&group).run(&text).ran(), 0, "signed by the group in the place of the unsigned ones");
    assert_eq!(strict(&stranger).run(&text).ran(), 3, "signed by a key that is not trusted");
    assert_eq!(Machine::readonly(server.port).run(&text).ran(), 0, "who requires no signature takes all");
    // A signature of another record does not fit.
    let records = server.files_below("records");
    let line = |path: &std::path::Path, number: usize| {
        fs::read_to_string(path).unwrap().lines().nth(number).unwrap().to_owned()
    };
    let mixed = format!("{}\n{}\n", line(&records[0], 0), line(&records[1], 1));
    fs::write(&records[0], mixed).unwrap();
    let answer = Machine::readonly(server.port).run(&text);
    assert!(answer.err.contains("a signature that does not fit"), "{answer:?}");
}

#[test]
fn a_shared_cache_of_another_layout_is_refused() {
    let server = S3Server::start();
    fs::create_dir_all(server.files()).unwrap();
    fs::write(server.files().join("layout"), "matssl-run shared cache 99").unwrap();
    let machine = Machine::new(server.port);
    let run = machine.run(&experiment(GREY, 1));
    assert!(run.ran() == 3 && run.err.contains("shared cache 99"), "{run:?}");
    assert!(server.files_below("records").is_empty());
}

#[test]
fn a_folder_is_shared_as_a_server_is() {
    let folder = tempfile::tempdir().unwrap();
    let machine = || Machine { remote: folder.path().join("shared").to_str().unwrap().to_owned(), ..Machine::new(1) };
    assert_eq!(machine().run(&experiment(GREY, 1)).ran(), 3);
    let second = machine();
    assert_eq!(second.run(&experiment(GREY, 1)).ran(), 0);
    assert!(second.call("pull", &experiment(GREY, 1)).is_success && second.records() == 3);
}
