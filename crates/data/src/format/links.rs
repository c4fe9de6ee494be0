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
