//! `CUDA_VISIBLE_DEVICES` for a program that gets one GPU.

/// The variable that lists the GPUs a process may see: their numbers, UUIDs or MIG instances.
pub(super) const VARIABLE: &str = "CUDA_VISIBLE_DEVICES";

/// The value of [`VARIABLE`] that shows a program the GPU `ordinal` of this process and no other.
///
/// `inherited` is the value in this process. `ordinal` is an index into that list, and the program gets the entry
/// there. Without a list, `ordinal` is an index into all GPUs of the machine, and is the value itself.
///
/// # Errors
/// A sentence, if the list is too short.
pub(super) fn entry(inherited: Option<&str>, ordinal: usize) -> Result<String, String> {
    let Some(list) = inherited else { return Ok(ordinal.to_string()) };
    // The driver stops at the first empty entry.
    let entries: Vec<&str> = list.split(',').map(str::trim).take_while(|entry| !entry.is_empty()).collect();
    match entries.get(ordinal) {
        Some(entry) => Ok((*entry).to_owned()),
        None => Err(format!(
            "there is no GPU {ordinal} for the program, counted from 0: {VARIABLE} is \"{list}\", which lists {}",
            entries.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_the_nth_entry_of_the_inherited_list() {
        let gpu = "GPU-6d5e9a3c-1f0b-4c8e-9d55-0a1b2c3d4e5f";
        let mig = "MIG-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        let uuids = format!("{gpu},{mig}");
        for (inherited, ordinal, expected) in [
            (None, 0, "0"),
            (None, 3, "3"),
            (Some("2,0,1"), 0, "2"),
            (Some("2,0,1"), 1, "0"),
            (Some("2,0,1"), 2, "1"),
            (Some("5"), 0, "5"),
            (Some(" 3 , 1 "), 1, "1"),
            (Some(uuids.as_str()), 0, gpu),
            (Some(uuids.as_str()), 1, mig),
        ] {
            assert_eq!(entry(inherited, ordinal).as_deref(), Ok(expected), "{ordinal} of {inherited:?}");
        }
    }

    #[test]
    fn a_list_that_is_too_short_is_an_error_that_shows_it() {
        for (list, ordinal, count) in [("4,7", 2, "lists 2"), ("", 0, "lists 0"), ("1,,2", 1, "lists 1")] {
            let error = entry(Some(list), ordinal).unwrap_err();
            let parts = [format!("no GPU {ordinal} "), format!("\"{list}\""), count.to_owned()];
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
