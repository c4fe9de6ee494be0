//! Limits of stages: read, shared by a family, kept from its kind.

use super::*;
use std::time::Duration;

fn with(limits: &str) -> String {
    format!("name = \"x\"\n[stages.s]\nkind = \"synthesize\"\nimages = 1\n{limits}\n")
}

#[test]
fn limits_are_read_and_are_no_parameters() {
    let text = with("timeout = \"1.5 h\"\nretries = 2\nthreads = 4\nmemory = \"4 GiB\"\nmatrix.images = [1, 2]");
    let experiment = right(&text.replacen("images = 1\n", "", 1), &["stages.s.threads=3"]);
    let limits =
        Limits { timeout: Some(Duration::from_secs(5400)), retries: Some(2), threads: Some(3), memory: Some(4 << 30) };
    assert_eq!(experiment.instances.len(), 2);
    for instance in &experiment.instances {
        assert_eq!(instance.limits, limits);
        assert_eq!(instance.params.as_object().unwrap().keys().collect::<Vec<_>>(), ["images"]);
    }
    assert_eq!(right(&with(""), &[]).instances[0].limits, Limits::default());
    let data = "name = \"x\"\n[datasets.d]\nformat = \"folder\"\npath = \"d\"\ntimeout = 90";
    assert_eq!(right(data, &[]).instances[0].limits.timeout, Some(Duration::from_secs(90)));
}

#[test]
fn the_space_before_a_unit_is_optional() {
    let limits = |limits: &str, flag: &str| right(&with(limits), &[flag]).instances[0].limits.clone();
    for (time, seconds) in
        [("90s", 90.0), ("30 min", 1800.0), ("2h", 7200.0), ("1.5 d", 129_600.0), ("2 m", 120.0), ("0.5", 0.5)]
    {
        let expected = Some(Duration::from_secs_f64(seconds));
        assert_eq!(limits("", &format!("stages.s.timeout={time}")).timeout, expected, "{time}");
    }
    for (size, bytes) in
        [("512MiB", 512 << 20), ("1.5 GiB", 3 << 29), ("2 MB", 2_000_000), ("3GB", 3_000_000_000), ("4g", 4 << 30)]
    {
        assert_eq!(limits(&format!("memory = \"{size}\""), "title=a").memory, Some(bytes), "{size}");
    }
    assert_eq!(limits("retries = 0\nthreads = 0x10", "title=a").threads, Some(16));
}

#[test]
fn all_wrong_limits_are_reported() {
    let shown = wrong(&with("timeout = \"2 hours\"\nretries = 101\nthreads = 0\nmemory = 4"), &[]);
    let expected = r#"
error: wrong value for `timeout`
 --> a.toml:5:11
  |
5 | timeout = "2 hours"
  |           ^^^^^^^^^ `hours` is not a known unit
  |
  = help: did you mean `h`?
  = help: for example "90 s", "30 min", "2 h"
  = note: the units are `s`, `min`, `h`, `d`, `w`

error: `retries` is out of range
 --> a.toml:6:11
  |
6 | retries = 101
  |           ^^^ expected a whole number from 0 to 100

error: `threads` is out of range
 --> a.toml:7:11
  |
7 | threads = 0
  |           ^ expected a whole number from 1 to 65536

error: wrong type for `memory`
 --> a.toml:8:10
  |
8 | memory = 4
  |          ^ expected a size in quotes with its unit, as `"4 GiB"`, found the whole number `4`
  |
  = note: the units are `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`, `B`

error: 4 errors in all
"#;
    assert!(shown == expected[1..], "{shown}");
    for limit in [
        "timeout = 0",
        "timeout = -1",
        "timeout = inf",
        "timeout = nan",
        "timeout = \"\"",
        "timeout = \"h\"",
        "timeout = \"1e300 d\"",
        "timeout = 99999999999999999999",
        "timeout = [1]",
        "retries = \"2\"",
        "retries = 1.5",
        "retries = -1",
        "threads = 99999999",
        "memory = \"4\"",
        "memory = \"-4 GiB\"",
        "memory = \"0 GB\"",
        "memory = \"1e30 GB\"",
        "memory = \"nan GB\"",
    ] {
        let shown = wrong(&with(limit), &[]);
        assert!(shown.contains("a.toml:5:") && shown.matches("error:").count() == 1, "{limit}: {shown}");
    }
}

#[test]
fn a_matrix_cannot_set_a_limit() {
    let expected = r#"
error: a matrix cannot set `timeout`
 --> a.toml:5:8
  |
5 | matrix.timeout = [1, 2]
  |        ^^^^^^^ it is the same for all members of a family
  |
  = help: write `timeout = …` beside the matrix of `s`; to vary it, write two families
"#;
    let shown = wrong(&with("matrix.timeout = [1, 2]"), &[]);
    assert!(shown == expected[1..], "{shown}");
    let shown = wrong(&with("matrix.include = [{ threads = 2 }]"), &[]);
    assert!(shown.contains("a matrix cannot set `threads`"), "{shown}");
}

#[test]
fn misspelt_limits_are_suggested() {
    assert!(wrong(&with("timeuot = 3"), &[]).contains("did you mean `timeout`?"));
    let data = "name = \"x\"\n[datasets.d]\nformat = \"folder\"\npath = \"d\"\nretrys = 90";
    assert!(wrong(data, &[]).contains("did you mean `retries`?"));
}
