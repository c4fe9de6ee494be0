//! A reader of its own, strict where TensorBoard's is lenient.

use super::*;

#[derive(Debug, PartialEq)]
enum Value {
    Integer(u64),
    Double(f64),
    Bytes(Vec<u8>),
    Float(f32),
}

/// Removes and returns the first `count` bytes.
fn take<'d>(data: &mut &'d [u8], count: usize) -> &'d [u8] {
    let (taken, rest) = data.split_at(count);
    *data = rest;
    taken
}

fn varint(data: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(data, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}

/// (number, value) of each field.
fn fields(mut data: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !data.is_empty() {
        let key = varint(&mut data);
        let value = match key & 7 {
            0 => Value::Integer(varint(&mut data)),
            1 => Value::Double(f64::from_le_bytes(take(&mut data, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut data) as usize;
                Value::Bytes(take(&mut data, length).to_vec())
            }
            5 => Value::Float(f32::from_le_bytes(take(&mut data, 4).try_into().unwrap())),
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn inside(value: &Value) -> Vec<(u64, Value)> {
    let Value::Bytes(bytes) = value else { panic!("{value:?} is no message") };
    fields(bytes)
}

/// The data of each record, its checksums verified.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let (mut rest, mut records) = (&file[..], Vec::new());
    while !rest.is_empty() {
        let length = take(&mut rest, 8);
        assert_eq!(take(&mut rest, 4), masked_crc32c(length).to_le_bytes());
        let data = take(&mut rest, u64::from_le_bytes(length.try_into().unwrap()) as usize);
        assert_eq!(take(&mut rest, 4), masked_crc32c(data).to_le_bytes());
        records.push(data.to_vec());
    }
    records
}

/// (epoch, tag, value) of each scalar, in the file's order.
fn scalars(path: &Path) -> Vec<(u64, String, f32)> {
    let mut records = records(path).into_iter().map(|record| fields(&record));
    let at = |event: &[(u64, Value)]| match event[0] {
        (1, Value::Double(at)) => at,
        ref other => panic!("{other:?} is no time"),
    };
    let first = records.next().unwrap();
    let now = since_1970().as_secs_f64();
    assert!((now - 60.0..=now).contains(&at(&first)));
    assert_eq!(first[1..], [(3, Value::Bytes(b"brain.Event:2".to_vec()))]);
    let second = records.next().unwrap();
    assert_eq!(second[1..], [(7, Value::Bytes(vec![1 << 3, 1]))]);
    let mut scalars = Vec::new();
    for event in records {
        assert!((at(&first)..=now).contains(&at(&event)));
        let [_, (2, Value::Integer(epoch)), (5, summary)] = &event[..] else { panic!("{event:?}") };
        for (field, value) in inside(summary) {
            assert_eq!(field, 1);
            let value = inside(&value);
            let [(1, Value::Bytes(tag)), (2, Value::Float(value))] = &value[..] else { panic!("{value:?}") };
            scalars.push((*epoch, String::from_utf8(tag.clone()).unwrap(), *value));
        }
    }
    scalars
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A falling loss over `epochs` epochs, and a score in every other epoch.
fn history(epochs: u32) -> History {
    let mut history = History::new(vec!["loss".into(), "iou_α-Eisen".into()]);
    for epoch in 1..=epochs {
        history.push(vec![Some(1.0 / f64::from(epoch)), (epoch % 2 == 0).then_some(0.7)]).unwrap();
    }
    history
}

#[test]
fn checksums_are_those_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(b""), 0);
}

#[test]
fn numbers_of_any_size_are_read_back() {
    for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        let Message(data) = Message::default().integer(2, value);
        assert_eq!(fields(&data), [(2, Value::Integer(value))]);
    }
}

#[test]
fn each_epoch_is_in_the_file_as_soon_as_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("toy/ssl@0");
    let mut file = EventFile::new(folder.clone());
    assert!(!folder.exists());
    file.follow(&history(0)).unwrap();
    let [path] = &files(&folder)[..] else { panic!("not one file") };
    assert_eq!(scalars(path), []);
    let loss = |epoch: u64| (epoch, "loss".to_owned(), 1.0 / epoch as f32);
    file.follow(&history(1)).unwrap();
    assert_eq!(scalars(path), [loss(1)]);
    file.follow(&history(2)).unwrap();
    assert_eq!(scalars(path), [loss(1), loss(2), (2, "iou_α-Eisen".to_owned(), 0.7)]);
    // Lengths and epochs that need more than one byte.
    file.follow(&history(300)).unwrap();
    let all = scalars(path);
    assert_eq!((all.len(), &all[all.len() - 2]), (450, &loss(300)));
}

#[test]
fn a_later_attempt_has_all_epochs_and_replaces_the_earlier_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut killed = EventFile::new(dir.path().to_owned());
    killed.follow(&history(4)).unwrap();
    // Its last checkpoint was that of epoch 3.
    let mut resumed = EventFile::new(dir.path().to_owned());
    resumed.follow(&history(3)).unwrap();
    resumed.follow(&history(4)).unwrap();
    // TensorBoard reads them in this order.
    let [earlier, later] = &files(dir.path())[..] else { panic!("not two files") };
    assert_eq!(fs::metadata(earlier).unwrap().len(), 0);
    let epochs: Vec<u64> = scalars(later).iter().filter(|scalar| scalar.1 == "loss").map(|scalar| scalar.0).collect();
    assert_eq!(epochs, [1, 2, 3, 4]);
    EventFile::new(dir.path().to_owned()).follow(&history(1)).unwrap();
    assert!(files(dir.path()).len() == 2 && !earlier.exists(), "empty files do not pile up");
}

#[test]
fn files_of_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["events.out.tfevents.1700000000.node.1.0", "notes.matssl-run"] {
        fs::write(dir.path().join(name), "theirs").unwrap();
    }
    EventFile::new(dir.path().to_owned()).follow(&history(1)).unwrap();
    assert_eq!(files(dir.path()).len(), 3);
    assert_eq!(fs::read(dir.path().join("notes.matssl-run")).unwrap(), b"theirs");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("file/stage");
    fs::write(dir.path().join("file"), "in the way").unwrap();
    let error = EventFile::new(folder.clone()).follow(&history(1)).unwrap_err();
    assert!(format!("{error:#}").contains(folder.to_str().unwrap()), "{error:#}");
}
