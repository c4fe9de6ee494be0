//! Model folders: written, opened, refused.

mod made;

use made::{SMALL, description, weights_file};
use matssl_metrics::{Calibration, Confusion, Reliability};
use matssl_predict::model::{
    FORMAT_VERSION, ModelDescription, ModelFiles, ModelFolder, ModelWriteError, SplitScores, update_ensemble,
    write_ensemble,
};
use std::fs;
use std::path::Path;

fn bins() -> Reliability {
    Reliability {
        pixels: vec![1; Reliability::BINS],
        confidence: vec![0.5; Reliability::BINS],
        accuracy: vec![0.25; Reliability::BINS],
    }
}

/// With every field that can be left out.
fn complete() -> ModelDescription {
    let matrix = Confusion::try_from(vec![vec![5, 1, 0], vec![0, 7, 1], vec![1, 0, 3]]).unwrap();
    ModelDescription {
        calibration: Some(Calibration {
            temperature: 1.3,
            pixels: 15,
            log_loss: [0.7, 0.6],
            expected_error: [0.1, 0.05],
            before: bins(),
            after: bins(),
        }),
        validation: vec![matrix.clone()],
        scores: vec![SplitScores {
            split: "val".into(),
            dataset: "micrographs".into(),
            content: "abc".into(),
            images: 1,
            miou: Some(0.75),
            iou: vec![Some(0.5), None, Some(1.0)],
            confusion: Some(matrix),
        }],
        ..description(SMALL, "segment.matssl@0")
    }
}

fn written(folder: &Path, seed: u64) -> ModelFolder {
    let reference = folder.join("reference");
    fs::write(&reference, b"what the training images look like").unwrap();
    let weights = weights_file(folder, SMALL, seed);
    ModelFolder::write(&folder.join(format!("model-{seed}")), &complete(), &weights, Some(&reference)).unwrap()
}

/// The error without the temporary folder's name.
fn refused(path: &Path, root: &Path) -> String {
    ModelFolder::open_all(path).unwrap_err().to_string().replace(&format!("{}/", root.display()), "")
}

#[test]
fn a_written_folder_is_opened_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path(), 0);
    let mut names: Vec<_> = fs::read_dir(&folder.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["README.md", "model.json", "model.safetensors", "reference.safetensors"]);
    let opened = ModelFolder::open(&folder.path).unwrap();
    assert_eq!((&opened.description, &opened.digest), (&folder.description, &folder.digest));
    let ModelDescription { files, .. } = &opened.description;
    assert_eq!(ModelDescription { files: files.clone(), ..complete() }, opened.description);
    let hash = |name: &str| blake3::hash(&fs::read(folder.path.join(name)).unwrap()).to_hex().to_string();
    assert_eq!(files["model.safetensors"], hash("model.safetensors"));
    assert_eq!(files["reference.safetensors"], hash("reference.safetensors"));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(folder.path.join("model.json")).unwrap()).unwrap();
    assert_eq!(json["digest"], opened.digest);
    assert_eq!(opened.reference().unwrap(), folder.path.join("reference.safetensors"));
    // The same model again gives the same bytes.
    let before = fs::read(folder.path.join("model.json")).unwrap();
    let again = written(root.path(), 0);
    assert_eq!((fs::read(again.path.join("model.json")).unwrap(), again.digest), (before, opened.digest));
    let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn a_file_is_added_with_its_hash() {
    let root = tempfile::tempdir().unwrap();
    let mut folder = written(root.path(), 0);
    let alone = folder.digest.clone();
    fs::write(folder.path.join("model.onnx"), b"a graph").unwrap();
    folder.add_file("model.onnx").unwrap();
    let opened = ModelFolder::open(&folder.path).unwrap();
    assert_eq!((&opened.digest, opened.description.files.len()), (&folder.digest, 3));
    // No prediction depends on it.
    assert_eq!(folder.digest, alone);
    let readme = fs::read_to_string(folder.path.join("README.md")).unwrap();
    assert!(readme.contains("| `model.onnx` | the network for ONNX; its input is pixels from 0 to 255"), "{readme}");
    fs::remove_file(folder.path.join("model.onnx")).unwrap();
    assert_eq!(ModelFolder::open(&folder.path).unwrap().digest, alone);
    fs::write(folder.path.join("model.onnx"), b"a graph!").unwrap();
    assert_eq!(
        refused(&folder.path, root.path()),
        "model-0/model.onnx: is damaged, or of another model: its hash is not the one in model.json; export the model again"
    );
    // A folder with it is replaced as a whole.
    let weights = weights_file(root.path(), SMALL, 0);
    let folder = ModelFolder::write(&folder.path, &complete(), &weights, None).unwrap();
    assert!(!folder.path.join("model.onnx").exists() && folder.reference().is_none());
}

#[test]
fn what_is_no_model_folder_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let export = "`matssl-run export FILE STAGE -o DIR` writes a model folder";
    let is = |name: &str, expected: &str| assert_eq!(refused(&path(name), root.path()), expected);
    is("gone", &format!("gone: is not there; {export}"));
    assert!(ModelFolder::open(&path("gone")).unwrap_err().is_missing);
    fs::write(path("alone.safetensors"), b"").unwrap();
    is(
        "alone.safetensors",
        &format!(
            "alone.safetensors: is a file of weights alone, which says nothing of classes and normalisation; give a model \
             folder; {export}"
        ),
    );
    fs::write(path("picture.png"), b"").unwrap();
    is("picture.png", &format!("picture.png: is a file, not a model folder; {export}"));
    fs::create_dir_all(path("cache/objects")).unwrap();
    fs::create_dir_all(path("cache/records")).unwrap();
    is("cache", &format!("cache: is a cache, not a model folder; {export}"));
    fs::create_dir_all(path("empty")).unwrap();
    is("empty", &format!("empty: is no model folder: it holds no model.json; {export}"));
    let folder = written(root.path(), 0);
    is("model-0/model.json", "model-0/model.json: is a file of a model folder; give the folder that holds it");
    written(root.path(), 1);
    fs::create_dir_all(path("models")).unwrap();
    fs::rename(&folder.path, path("models/a")).unwrap();
    let inside = refused(&path("models"), root.path());
    assert_eq!(inside, "models: is no model folder, but holds one: a; give models/a, or several for an ensemble");
    fs::rename(path("model-1"), path("models/b")).unwrap();
    let inside = refused(&path("models"), root.path());
    assert_eq!(inside, "models: is no model folder, but holds some: a, b; give models/a, or several for an ensemble");
    fs::remove_file(path("models/a/model.json")).unwrap();
    is("models/a", "models/a/model.json: is missing; export the model again");
    assert!(ModelFolder::open(&path("models/a")).unwrap_err().is_missing);
}

#[test]
fn a_damaged_or_newer_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path(), 0);
    let json = folder.path.join("model.json");
    let text = fs::read_to_string(&json).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        fs::write(&json, text.replacen(from, to, 1)).unwrap();
        refused(&folder.path, root.path())
    };
    assert_eq!(
        with(&format!("\"format_version\": {FORMAT_VERSION}"), "\"format_version\": 7"),
        "model-0/model.json: has the format version 7; this program reads versions up to 1; use a newer matssl-run, or export \
         the model with this one"
    );
    assert!(with("\"ferrite\"", "\"ferrita\"").contains("its `digest` is that of another content"));
    assert!(with("\"digest\"", "\"digesd\"").contains("unknown field `digesd`"));
    fs::write(&json, &text[..text.len() / 2]).unwrap();
    assert!(refused(&folder.path, root.path()).starts_with("model-0/model.json: is damaged (EOF while parsing"));
    fs::write(&json, "[]").unwrap();
    assert!(
        refused(&folder.path, root.path()).contains("is damaged (it holds no JSON object); export the model again")
    );
    // What a user may write himself has no digest.
    let own: serde_json::Value = serde_json::from_str(&text).unwrap();
    let changed = |path: &str, value: serde_json::Value| {
        let mut own = own.clone();
        own.as_object_mut().unwrap().remove("digest");
        *own.pointer_mut(path).unwrap() = value;
        fs::write(&json, serde_json::to_vec(&own).unwrap()).unwrap();
        ModelFolder::open(&folder.path).map(drop).map_err(|error| format!("{}; {}", error.problem, error.cure))
    };
    changed("/name", "mine".into()).unwrap();
    let again = |problem: &str| Err(format!("{problem}; export the model again"));
    assert_eq!(
        changed("/format_version", 7.into()),
        Err("has the format version 7; this program reads versions up to 1; use a newer matssl-run, or export the model \
             with this one"
            .into())
    );
    assert_eq!(changed("/format_version", 0.into()), again("says no `format_version`, so it describes no model"));
    assert_eq!(changed("/tile", 65.into()), again("has tiles of 65 pixels; expected a multiple of 32 up to 4096"));
    assert_eq!(changed("/overlap", 1.5.into()), again("has an overlap of 1.5; expected 0 to below 1"));
    let std = "needs a finite `mean` and a positive `std` for each of the network's channels, of which there are 3";
    assert_eq!(changed("/normalisation/std/1", 0.into()), again(std));
    assert_eq!(changed("/normalisation/mean", vec![0.5].into()), again(std));
    assert_eq!(changed("/network/classes", 2.into()), again("lists 3 classes, but the network has 2 outputs"));
    assert_eq!(changed("/classes/1/name", "ferrite".into()), again("has two classes called \"ferrite\""));
    assert_eq!(changed("/classes/1/value", 0.into()), again("has two classes with the value 0"));
    assert_eq!(changed("/pixel_size_nm", (-1).into()), again("has a pixel size of -1 nm"));
    assert_eq!(changed("/calibration/temperature", 0.into()), again("has a calibration with the temperature 0"));
    assert_eq!(changed("/calibration/after/pixels", vec![1].into()), again("has a calibration without 15 bins"));
    let bits = changed("/read_as", serde_json::json!({ "bits": 40 })).unwrap_err();
    assert!(bits.starts_with("has a wrong `bits`: "), "{bits}");
    let matrix = serde_json::json!([[[1, 0], [0, 1]]]);
    assert_eq!(changed("/validation", matrix), again("has a confusion matrix of 2 classes for a network of 3"));
    assert_eq!(
        changed("/classes/0/name", "Ferrit".into()),
        again("was trained on the classes ferrite, austenite, pore, but model.json lists Ferrit, austenite, pore")
    );
    assert_eq!(
        changed("/network/encoder/width", 8.into()),
        again("holds the weights of another network than model.json says")
    );
    assert_eq!(changed("/files", serde_json::json!({})), again("has no hash of model.safetensors"));
    assert_eq!(
        changed("/files", serde_json::json!({ "model.safetensors": "", "../x": "" })),
        again("names the file \"../x\", which is not in its folder")
    );
    fs::write(&json, &text).unwrap();
    let weights = folder.path.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, &bytes).unwrap();
    assert_eq!(
        refused(&folder.path, root.path()),
        "model-0/model.safetensors: is damaged, or of another model: its hash is not the one in model.json; export the model \
         again"
    );
    fs::remove_file(&weights).unwrap();
    assert_eq!(refused(&folder.path, root.path()), "model-0/model.safetensors: is missing; export the model again");
}

/// Every byte of `model.json`, changed in one of three ways: either the folder is refused, or it says the same as before.
#[test]
fn no_changed_byte_of_a_description_is_accepted_in_silence() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path(), 0);
    let json = folder.path.join("model.json");
    let text = fs::read(&json).unwrap();
    let mut accepted = 0;
    for at in 0..text.len() {
        let mask = [1, 0x20, 0x80][at % 3];
        let mut changed = text.clone();
        changed[at] ^= mask;
        fs::write(&json, &changed).unwrap();
        if let Ok(opened) = ModelFolder::open(&folder.path) {
            accepted += 1;
            assert_eq!(opened.description, folder.description, "byte {at}, mask {mask}");
        }
    }
    assert!(accepted < text.len() / 100, "{accepted}");
    for end in (0..text.len() - 2).step_by(7) {
        fs::write(&json, &text[..end]).unwrap();
        ModelFolder::open(&folder.path).unwrap_err();
    }
}

#[test]
fn nothing_but_models_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let weights = weights_file(root.path(), SMALL, 0);
    let write = |name: &str| {
        let written = ModelFolder::write(&root.path().join(name), &complete(), &weights, None);
        written.map(drop).map_err(|error| error.to_string().replace(&format!("{}/", root.path().display()), ""))
    };
    fs::create_dir(root.path().join("empty")).unwrap();
    write("empty").unwrap();
    write("empty").unwrap();
    write("new/inside").unwrap();
    fs::write(root.path().join("empty/notes.txt"), b"mine").unwrap();
    let lost = "which is no part of a model folder and would be lost; name another folder";
    assert_eq!(write("empty"), Err(format!("empty holds notes.txt, {lost}")));
    assert_eq!(fs::read(root.path().join("empty/notes.txt")).unwrap(), b"mine");
    fs::write(root.path().join("file"), b"mine").unwrap();
    assert_eq!(write("file"), Err("file is a file; name another folder".into()));
    fs::create_dir_all(root.path().join("other/images")).unwrap();
    fs::write(root.path().join("other/images/README.md"), b"mine").unwrap();
    assert_eq!(write("other"), Err(format!("other holds images/README.md, {lost}")));
    std::os::unix::fs::symlink("empty", root.path().join("link")).unwrap();
    assert_eq!(write("link"), Err("link is a link; name another folder".into()));
    // What is no model leaves what is there.
    let other = weights_file(root.path(), &SMALL.replace("\"width\":4", "\"width\":8"), 1);
    let error = ModelFolder::write(&root.path().join("new/inside"), &complete(), &other, None).unwrap_err();
    assert!(matches!(error, ModelWriteError::NoModel(_)), "{error}");
    assert!(error.to_string().ends_with(
        "weights-1.safetensors: holds the weights of another network than model.json says; export the model again"
    ));
    ModelFolder::open(&root.path().join("new/inside")).unwrap();
    assert_eq!(fs::read_dir(root.path().join("new")).unwrap().count(), 1);
}

#[test]
fn an_ensemble_is_opened_as_its_members() {
    let root = tempfile::tempdir().unwrap();
    let weights = [0, 1].map(|seed| weights_file(root.path(), SMALL, seed));
    let files = |seed: usize| {
        let description = ModelDescription { name: format!("segment@{seed}"), ..complete() };
        (format!("segment-{seed}"), ModelFiles { description, weights: &weights[seed], reference: None })
    };
    let folder = root.path().join("both");
    let made = write_ensemble(&folder, "segment", &[files(0), files(1)]).unwrap();
    let opened = ModelFolder::open_all(&folder).unwrap();
    assert_eq!(opened.iter().map(|model| &model.digest).collect::<Vec<_>>(), [&made[0].digest, &made[1].digest]);
    assert_eq!(opened[1].path, folder.join("segment-1"));
    let one = ModelFolder::open_all(&folder.join("segment-0")).unwrap();
    assert_eq!((one.len(), &one[0].digest), (1, &made[0].digest));
    let error = ModelFolder::open(&folder).unwrap_err();
    assert_eq!(error.problem, "holds an ensemble of 2 models, and one is expected");
    // It is replaced as a whole, with fewer members.
    write_ensemble(&folder, "segment", &[files(1)]).unwrap();
    assert!(!folder.join("segment-0").exists());
    write_ensemble(&folder, "segment", &[files(0), files(1)]).unwrap();
    // The network for other programs changes no model.
    fs::write(folder.join("segment-0/model.onnx"), b"a graph").unwrap();
    ModelFolder::open(&folder.join("segment-0")).unwrap().add_file("model.onnx").unwrap();
    assert_eq!(ModelFolder::open_all(&folder).unwrap()[0].description.files.len(), 2);
    let renamed = ModelDescription { name: "renamed".into(), ..complete() };
    ModelFolder::write(&folder.join("segment-0"), &renamed, &weights[0], None).unwrap();
    assert!(
        refused(&folder, root.path()).starts_with("both/segment-0: is not the model that the ensemble was made of")
    );
    update_ensemble(&folder).unwrap();
    assert_eq!(ModelFolder::open_all(&folder).unwrap()[0].description.name, "renamed");
    assert!(update_ensemble(&folder.join("segment-0")).is_err());
    // A member that was exchanged is noticed.
    fs::rename(folder.join("segment-1"), root.path().join("aside")).unwrap();
    assert_eq!(
        refused(&folder, root.path()),
        "both/segment-1: is not there; `matssl-run export FILE STAGE -o DIR` writes a model folder"
    );
    ModelFolder::write(&folder.join("segment-1"), &complete(), &weights[1], None).unwrap();
    assert_eq!(
        refused(&folder, root.path()),
        "both/segment-1: is not the model that the ensemble was made of; export the model again"
    );
    let mut other = files(1);
    other.1.description.classes[0].value = 7;
    let error = write_ensemble(&root.path().join("new"), "segment", &[files(0), other]).unwrap_err().to_string();
    assert!(error.contains("has other classes (names, values or colours) than segment@0"), "{error}");
    assert!(!root.path().join("new").exists());
}

#[test]
fn what_a_killed_export_left_is_removed_by_the_next_one() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path(), 0);
    let name = folder.path.file_name().unwrap().to_str().unwrap();
    let made = |left: String| {
        let path = root.path().join(left);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("model.safetensors"), b"half").unwrap();
        path
    };
    let dead = [made(format!(".{name}.new-Ab3dEf")), made(format!(".{name}.old-123456"))];
    // Of a process that lives, of another model, of somebody else.
    let alive = made(format!(".{name}.new-aaaaaa"));
    let held = fs::File::open(&alive).unwrap();
    held.lock().unwrap();
    let others =
        [made(".other.new-Ab3dEf".into()), made(format!(".{name}.new-mine")), made(format!(".{name}.news-Ab3dEf"))];
    written(root.path(), 0);
    assert!(dead.iter().all(|path| !path.exists()));
    assert!(alive.exists() && others.iter().all(|path| path.exists()));
}
