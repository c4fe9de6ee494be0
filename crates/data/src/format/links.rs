//! Links to files that are not there, as version control of data leaves them before the data is fetched.

use crate::DataError;
use std::path::Path;

/// The error of `file` if it is a link to nothing; `None` for every other file.
pub(super) fn broken_link(file: &Path) -> Option<DataError> {
    let target = std::fs::read_link(file).ok()?;
    // `metadata` follows the link.
    let error = std::fs::metadata(file).err()?;
    let target_text = target.display();
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        let problem = format!("a link to {target_text}, which cannot be reached ({error})");
        return Some(DataError::bad(file, problem, "check the permissions of the folders on the way"));
    }
    let is_under = |folder: &str| target.components().any(|part| part.as_os_str() == folder);
    let cure = if is_under(".dvc") {
        "run `dvc pull`"
    } else if is_under("annex") {
        "run `git annex get` or `datalad get`"
    } else {
        "put that file back (`dvc pull`, `git annex get` or `datalad get` fetch data that is linked), or remove the link"
    };
    Some(DataError::not_there(file, format!("it is a link to {target_text}, and nothing is there: {cure}")))
}

#[cfg(all(test, unix))]
mod tests {
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
}
