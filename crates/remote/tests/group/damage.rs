//! What is damaged on the server is named, never used, and replaced.

use super::GREY;
use super::common::{Machine, S3Server, experiment};
use std::fs;

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
