//! Links among the files of a data set.

use crate::format::files::images_in;
use std::os::unix::fs::symlink;

#[test]
fn links_to_nothing_are_errors_that_name_their_targets() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::fs::write(images.join("a.png"), "x").unwrap();
    symlink("a.png", images.join("b.png")).unwrap();
    assert_eq!(images_in(folder.path(), "images", "").unwrap().len(), 2, "a link to an image is one");
    symlink("../.dvc/cache/files/md5/ab/cd", images.join("c.tif")).unwrap();
    let error = images_in(folder.path(), "images", "").unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let expected =
        "c.tif: not there; it is a link to ../.dvc/cache/files/md5/ab/cd, and nothing is there: run `dvc pull`";
    assert!(error.to_string().ends_with(expected), "{error}");
    symlink("../.git/annex/objects/3F/SHA256E-s4.jpg", images.join("d.jpg")).unwrap();
    symlink("e.png", images.join("e.png")).unwrap();
    let text = images_in(folder.path(), "images", "").unwrap_err().to_string();
    assert!(text.starts_with("3 files of the data set cannot be used:"), "{text}");
    assert!(text.contains("SHA256E-s4.jpg, and nothing is there: run `git annex get` or `datalad get`"), "{text}");
    assert!(text.contains("a link to e.png"), "{text}");
}
