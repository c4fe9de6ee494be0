//! Machines of a group that share a cache on a real S3 server, with all that can go wrong there. No wrong hit, nothing lost.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod network;

use common::{Answer, Faults, Machine, S3Server, experiment, proxy, web_server};
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

/// An output that becomes known during the run is large: while it is on its way, the other stages run.
#[test]
fn a_download_during_a_run_holds_no_other_stage_back() {
    let server = S3Server::start();
    let list = "[stages.l0]\nkind = \"list\"\nof = \"c0\"\ntimes = 30000\n";
    Machine::new(server.port).run(&(experiment(GREY, 1) + list));
    let faults = Arc::new(Faults::default());
    let machine = Machine::new(proxy(server.port, &faults));
    faults.holds_after.store(50_000, Ordering::Relaxed);
    // The first has as many words as the text above, so its double and its list are there. The others are new.
    let texts = ["four other words here", "pearlite", "pearlite and", "a b c"];
    let mut run = machine.start("run", &(experiment(&texts, 1) + list));
    let since = Instant::now();
    let all_but_the_list = 3 * texts.len();
    while machine.records() < all_but_the_list && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    // It is still the first try to download the list: a client gives up a silent server after a while.
    let (records, is_running) = (machine.records(), run.try_wait().unwrap().is_none());
    let held = faults.held.load(Ordering::Relaxed);
    faults.holds_after.store(0, Ordering::Relaxed);
    assert_eq!((records, is_running, held), (all_but_the_list, true, 1));
    let answer = Answer::of(&run.wait_with_output().unwrap());
    assert!(answer.is_success && answer.out.contains("d0: 10\n"), "{answer:?}");
    machine.assert_intact();
}

/// Also one that sends only whole files, and whose connections break.
#[test]
fn a_web_server_passes_on_what_was_pushed_to_its_folder_and_is_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = experiment(GREY, 30_000);
    let remote = folder.path().join("shared").to_str().unwrap().to_owned();
    assert_eq!(Machine { remote, ..Machine::new(1) }.run(&text).ran(), 3);
    for breaks in [false, true] {
        let port = web_server::start(folder.path(), breaks);
        let third = Machine { remote: format!("http://127.0.0.1:{port}/shared"), ..Machine::new(1) };
        let run = third.run(&text);
        assert_eq!((run.ran(), run.out.contains("pushed")), (0, false), "{run:?}");
        let pulled = third.call("pull", &text);
        assert!(pulled.is_success && pulled.err.is_empty(), "{pulled:?}");
        assert_eq!(third.records(), 3);
        third.assert_intact();
        let push = third.call("push", &text);
        assert!(!push.is_success && push.err.contains("on a web server, which is only read"), "{push:?}");
    }
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
    assert_eq!(strict(&group).run(&text).ran(), 0, "a stranger with a key does not replace what the group has signed");
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
