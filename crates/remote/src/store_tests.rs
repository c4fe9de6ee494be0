//! A shared cache over stores that behave as those of a network can.

use crate::address::Address;
use crate::observer::Observer;
use crate::{NoObserver, Push, Settings, SharedCache};
use matssl_pipeline::cache::{
    Digest, Download, DownloadError, KEY_SCHEMA, Key, KeyMaterial, Output, Provenance, Record, Remote as _, Store,
};
use object_store::http::HttpBuilder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// Remembers what is said.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

impl Observer for Said {
    fn say(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }

    fn progress(&self, _: u64, _: u64) {}
}

/// The shared cache in `store`, which sends objects to `uploads`.
fn over(store: &Arc<dyn ObjectStore>, uploads: &Arc<dyn ObjectStore>, observer: Arc<dyn Observer>) -> Arc<SharedCache> {
    let address = Address {
        store: Arc::clone(store),
        uploads: Arc::clone(uploads),
        prefix: Path::from("cache"),
        shown: "memory".into(),
        is_web: false,
        folder: None,
        hint: None,
    };
    SharedCache::at(address, &Settings::default(), observer).unwrap()
}

fn in_memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// A cache with one finished stage, which leaves `a`.
fn cache_with(text: &str) -> (tempfile::TempDir, Store, Record) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let material = KeyMaterial {
        schema: KEY_SCHEMA,
        kind: "toy".into(),
        code_version: 1,
        params: serde_json::json!({ "text": text }),
        seed: None,
        inputs: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    let private = store.private_folder().unwrap();
    std::fs::write(private.out().join("a"), text).unwrap();
    let made = Provenance { stage: "e/s".into(), ..Provenance::default() };
    let record = store.publish(material, &private.out(), made, BTreeMap::new(), false).unwrap();
    (folder, store, record)
}

#[test]
fn processes_that_list_parts_of_an_experiment_at_a_time_lose_no_key() {
    let (_folder, store, _) = cache_with("text");
    // All have read the list before the first writes it.
    let slow = ThrottleConfig { wait_put_per_call: Duration::from_millis(50), ..ThrottleConfig::default() };
    let memory: Arc<dyn ObjectStore> = Arc::new(ThrottledStore::new(InMemory::new(), slow));
    let shared = over(&memory, &memory, Arc::new(NoObserver));
    shared.make().unwrap();
    let keys: Vec<Key> = (0..8_u8).map(|number| Key(Digest::of(&[number]))).collect();
    let together = Barrier::new(keys.len());
    std::thread::scope(|scope| {
        for key in &keys {
            let (shared, store, together) = (&shared, &store, &together);
            scope.spawn(move || {
                together.wait();
                shared.list(store, "e", &[*key], false).unwrap();
            });
        }
    });
    let lists = shared.runtime.block_on(shared.lists()).unwrap();
    assert_eq!(lists.len(), 1);
    assert_eq!(lists[0].1.keys, keys.into_iter().collect::<BTreeSet<_>>());
}

#[test]
fn a_list_that_is_damaged_begins_anew_and_the_user_is_told() {
    let (_folder, store, record) = cache_with("text");
    let (memory, said) = (in_memory(), Arc::new(Said::default()));
    let shared = over(&memory, &memory, said.clone());
    shared.make().unwrap();
    shared.list(&store, "e", &[record.key], false).unwrap();
    let path = shared.runtime.block_on(shared.lists()).unwrap().remove(0).0;
    shared.runtime.block_on(memory.put(&path, "{".into())).unwrap();
    shared.list(&store, "e", &[record.key], false).unwrap();
    assert!(said.0.lock().unwrap().concat().contains("is damaged and begins anew"));
    assert_eq!(shared.runtime.block_on(shared.lists()).unwrap()[0].1.keys, [record.key].into());
}

#[test]
fn of_a_remote_that_is_lost_no_object_is_asked_for() {
    let (folder, store, record) = cache_with("text");
    let memory = in_memory();
    let shared = over(&memory, &memory, Arc::new(NoObserver));
    let push = Push { store: &store, experiment: "e", keys: &[record.key], all: true, is_dry: false };
    assert_eq!(shared.push(&push, &|| false).unwrap().records, 1);
    let download = |name: &str| {
        let file = folder.path().join(name);
        let wanted = Download { digest: record.outputs[0].digest, size: 4, file: file.clone() };
        let mut result = None;
        shared.download(&[wanted], &mut |_, arrived| result = Some(arrived));
        (result.unwrap(), file.exists())
    };
    assert_eq!(download("one"), (Ok(()), true));
    shared.lose("the network is gone");
    let (result, exists) = download("two");
    assert!(matches!(result, Err(DownloadError::Failed(_))) && !exists);
}

/// A server that answers 403 to everything.
fn denying() -> Arc<dyn ObjectStore> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 16 << 10]);
            let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = HttpBuilder::new().with_url(url).with_config(ClientConfigKey::AllowHttp, "true");
    Arc::new(builder.with_config(ClientConfigKey::ProxyExcludes, "127.0.0.1").build().unwrap())
}

/// Credentials that may only read: the run goes on with what it finds, and is told once.
#[test]
fn a_store_that_refuses_to_be_written_is_still_read() {
    let (_folder, store, record) = cache_with("text");
    let (_other_folder, other, more) = cache_with("more");
    let memory = in_memory();
    let writer = over(&memory, &memory, Arc::new(NoObserver));
    let push = |shared: &SharedCache, store: &Store, key: Key| {
        shared.push(&Push { store, experiment: "e", keys: &[key], all: true, is_dry: false }, &|| false).unwrap()
    };
    assert_eq!(push(&writer, &store, record.key).records, 1);
    let said = Arc::new(Said::default());
    let reader = over(&memory, &denying(), said.clone());
    for _ in 0..2 {
        let pushed = push(&reader, &other, more.key);
        assert_eq!((pushed.records, pushed.failed.len() + pushed.left), (0, 1), "{pushed:?}");
    }
    let said = said.0.lock().unwrap().clone();
    assert!(
        said.len() == 1 && said[0].contains("cannot be written") && said[0].contains("--remote-readonly"),
        "{said:?}"
    );
    assert!(!reader.is_lost());
    assert_eq!(reader.find(&[record.key, more.key]), [Some(record), None]);
}

#[test]
fn a_layout_that_is_a_page_is_shown_without_what_moves_a_cursor() {
    let memory = in_memory();
    let shared = over(&memory, &memory, Arc::new(NoObserver));
    shared.runtime.block_on(memory.put(&Path::from("cache/layout"), "<html>\u{1b}[2J\n".into())).unwrap();
    let error = shared.connect().unwrap_err().to_string();
    assert!(error.contains("`<html> [2J `") && error.contains("another prefix"), "{error}");
}

#[test]
fn of_many_objects_a_list_says_which_are_there_and_a_long_one_is_given_up() {
    let memory = in_memory();
    let shared = over(&memory, &memory, Arc::new(NoObserver));
    let outputs: Vec<Output> = (0..1300_u32)
        .map(|number| Output { path: number.to_string(), digest: Digest::of(&number.to_le_bytes()), size: 4 })
        .collect();
    let put = |outputs: &[Output]| {
        for output in outputs {
            shared.runtime.block_on(memory.put(&shared.layout.object(output.digest), "text".into())).unwrap();
        }
    };
    put(&outputs[..2]);
    assert!(shared.present(10).is_none(), "so few are asked for one by one");
    let present = shared.present(64).unwrap();
    assert_eq!([0, 1, 2].map(|number| present.has(&outputs[number])), [true, true, false]);
    assert!(!present.has(&Output { size: 5, ..outputs[0].clone() }), "of another size");
    present.add(&outputs[2]);
    assert!(present.has(&outputs[2]));
    put(&outputs);
    assert!(shared.present(64).is_none(), "1300 entries are too many for 64 objects");
    assert!(shared.present(100).unwrap().has(&outputs[1299]));
}
