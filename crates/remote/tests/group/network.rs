//! Processes that are killed, and servers that are slow, silent, gone, or refuse.

use super::GREY;
use super::common::{Faults, Machine, S3Server, experiment, proxy};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

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
fn a_server_without_conditional_puts_is_shared_all_the_same() {
    let server = S3Server::start();
    let machine = || Machine::new(server.port).with("AWS_CONDITIONAL_PUT", "disabled");
    let first = machine().run(&experiment(GREY, 1));
    assert!(first.out.contains("pushed 3 records"), "{first:?}");
    assert_eq!(machine().run(&experiment(GREY, 1)).ran(), 0);
}

#[test]
fn where_no_keys_are_named_the_error_says_so() {
    let server = S3Server::start();
    let nobody = Machine::new(server.port).with("AWS_ACCESS_KEY_ID", "");
    let push = nobody.call("push", &experiment(GREY, 1));
    assert!(!push.is_success && push.err.contains("names keys"), "{push:?}");
}
