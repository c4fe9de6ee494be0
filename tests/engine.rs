//! The engine through its command line, on stages that run programs: caching, reasons, limits, failures, several runs at once.

mod common;
use common::Project;
use std::time::{Duration, Instant};

/// Two programs, one after the other.
const CHAIN: &str = r#"
name = "chain"

[stages.first]
kind = "command"
command = ["sh", "-c", "head -n 1 data.txt > out; echo first >> out"]
files = ["data.txt"]
outputs = ["out"]

[stages.second]
kind = "command"
command = ["sh", "-c", "cat inputs/first/out > out; echo second >> out"]
inputs = "first"
outputs = ["out"]
"#;

fn chain() -> Project {
    let project = Project::new(CHAIN);
    project.write("data.txt", "one\ntwo\n");
    project
}

/// One stage that runs `script`, with more lines of TOML.
fn one(script: &str, more: &str) -> Project {
    let script = serde_json::to_string(script).unwrap();
    Project::new(&format!(
        "name = \"one\"\n[stages.it]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", {script}]\noutputs = [\"out\"]\n{more}\n"
    ))
}

fn text_of(project: &Project, stage: &str) -> String {
    let (_, _, digest) = project.outputs().into_iter().find(|(name, ..)| name.ends_with(stage)).unwrap();
    let object = project.path(&format!("cache/objects/{}/{}", &digest[..2], &digest[2..]));
    std::fs::read_to_string(object).unwrap()
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn nothing_is_left(project: &Project) {
    wait_until("the end of all processes", || project.processes().is_empty());
}

#[test]
fn commands_are_cached_by_content_and_an_equal_output_stops_the_rerun() {
    let project = chain();
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 2);
    assert_eq!(text_of(&project, "second"), "one\nfirst\nsecond\n");
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 0);
    project.write("data.txt", "one\nthree\n");
    let explained = project.run(&["explain", "experiment.toml", "first"]).ok().stdout;
    assert!(explained.contains("file data.txt: "), "{explained}");
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 1, "the first leaves the same bytes");
    project.write("data.txt", "four\n");
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 2);
    // How it is run is no part of what it is.
    project.edit(
        "inputs = \"first\"",
        "inputs = \"first\"\ntimeout = \"1 h\"\nretries = 3\nthreads = 1\nmemory = \"1 GiB\"",
    );
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 0);
    wait_until("the end of its folders", || project.names("cache/work").is_empty());
}

#[test]
fn a_seed_in_an_argument_repeats_the_stage_and_what_reads_it() {
    let project = Project::new(
        r#"
name = "seeds"
seeds = [3, 5]
[stages.draw]
kind = "command"
command = ["sh", "-c", "echo $0 > out", "{seed}"]
outputs = ["out"]
[stages.read]
kind = "command"
command = ["sh", "-c", "cat inputs/draw/out > out"]
inputs = "draw"
outputs = ["out"]
"#,
    );
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 4);
    assert_eq!((text_of(&project, "read@3"), text_of(&project, "read@5")), ("3\n".into(), "5\n".into()));
}

#[test]
fn a_failure_shows_its_last_lines_and_the_skipped_stages_and_the_next_run_starts_there() {
    let project = chain();
    project.edit("cat inputs/first/out > out;", "echo boom >&2; exit 7; cat inputs/first/out > out;");
    project.edit("[stages.second]", "[stages.third]\nkind = \"command\"\ncommand = [\"true\"]\ninputs = \"second\"\noutputs = [\"x\"]\n\n[stages.second]");
    let failed = project.run(&["experiment.toml"]);
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    for part in [
        "error: second: `sh` ended with exit code 7",
        "  | boom",
        "\n  log: ",
        "\n  key: ",
        "skipped because second failed: third",
    ] {
        assert!(failed.stderr.contains(part), "no {part:?} in {}", failed.stderr);
    }
    project.edit("exit 7; ", "");
    let next = project.run(&["experiment.toml", "--only", "second"]).ok();
    assert_eq!(next.ran(), 1, "{}", next.stderr);
    let left_nothing = project.run(&["experiment.toml"]);
    assert!(left_nothing.stderr.contains("`true` succeeded but did not write x"), "{}", left_nothing.stderr);
}

#[test]
fn a_missing_program_is_reported_before_anything_runs() {
    let project = chain();
    project.edit("inputs = \"first\"", "inputs = \"first\"\nenvironment = { PATH = \"/nowhere\" }");
    let done = project.run(&["experiment.toml"]);
    assert_eq!(done.code, Some(4));
    assert_eq!(done.stderr, "error: second: program `sh` not found; install it, or correct `command`\n");
    assert!(project.outputs().is_empty());
    std::fs::remove_file(project.path("data.txt")).unwrap();
    let done = project.run(&["experiment.toml", "--only", "first"]);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert!(done.stderr.contains("data.txt: "), "{}", done.stderr);
}

#[test]
fn a_stage_that_takes_too_long_is_ended_with_all_its_processes() {
    let project = one("sleep 1000 & setsid sleep 1000 & wait", "timeout = \"0.3 s\"");
    let done = project.run(&["experiment.toml"]);
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("it: took longer than its `timeout` of 0.3 s"), "{}", done.stderr);
    nothing_is_left(&project);
}

#[test]
fn whether_a_stage_is_retried_depends_on_the_cause() {
    // Each attempt leaves a mark outside of its folder.
    let attempts = |script: &str, more: &str| {
        let project = one(&format!("echo x >> \"$MARKS\"; {script}"), more);
        let marks = project.path("marks");
        let done = project.run_with(&[("MARKS", marks.to_str().unwrap())], &["experiment.toml"]);
        (std::fs::read_to_string(marks).unwrap().lines().count(), done)
    };
    let (count, done) = attempts("exit 1", "");
    assert_eq!((count, done.code), (1, Some(3)), "a program that says no would say it again");
    let (count, done) = attempts("exit 1", "retries = 2");
    assert_eq!((count, done.code), (3, Some(3)));
    let (count, done) = attempts("test $(wc -l < \"$MARKS\") = 2 || kill -9 $$; echo > out", "");
    assert_eq!((count, done.code), (2, Some(0)), "one that was killed is tried once more: {}", done.stderr);
    assert!(done.stderr.contains("starting attempt 2"), "{}", done.stderr);
    let (count, done) = attempts("kill -9 $$", "retries = 0");
    assert_eq!((count, done.code), (1, Some(3)));
}

#[test]
fn background_processes_of_a_program_end_with_it() {
    let project = one("setsid sh -c 'sleep 1000' & sleep 1000 & echo > out", "");
    project.run(&["experiment.toml"]).ok();
    nothing_is_left(&project);
}

#[test]
fn a_script_in_the_experiments_folder_runs_and_its_environment_may_have_the_seed() {
    let project = Project::new(
        r#"
name = "script"
seeds = [3, 4]
[stages.it]
kind = "command"
command = ["./run.sh"]
files = ["run.sh"]
environment = { SEED = "seed {seed}" }
outputs = ["out"]
[stages.other]
kind = "command"
command = ["sh", "-c", "echo > out"]
outputs = ["out"]
"#,
    );
    project.write("run.sh", "#!/bin/sh\necho \"$SEED\" > out\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.path("run.sh"), mode).unwrap();
    let done = project.run(&["experiment.toml", "--only", "i*"]).ok();
    assert_eq!(done.ran(), 2, "{}", done.stderr);
    assert_eq!((text_of(&project, "it@3"), text_of(&project, "it@4")), ("seed 3\n".into(), "seed 4\n".into()));
    let done = project.run(&["experiment.toml", "--only", "ot[her"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.starts_with("error: --only: `ot[her`: "), "{}", done.stderr);
}

#[test]
fn a_file_that_cannot_be_read_or_named_is_an_error_with_its_path() {
    let project = chain();
    project.edit("files = [\"data.txt\"]", "files = [\"data.txt\", \"more\"]");
    project.write("more/a", "x");
    std::os::unix::fs::symlink("nowhere", project.path("more/gone")).unwrap();
    let plan = project.run(&["plan", "experiment.toml"]);
    assert!(format!("{}{}", plan.stdout, plan.stderr).contains("more/gone: No such file"), "{}", plan.stdout);
    std::fs::remove_file(project.path("more/gone")).unwrap();
    let pipe = std::ffi::CString::new(project.path("more/pipe").to_str().unwrap()).unwrap();
    // SAFETY: plain system call with a string that ends in NUL.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let done = project.run(&["experiment.toml"]);
    assert!(done.code == Some(4) && done.stderr.contains("more/pipe: neither a file nor a folder"), "{}", done.stderr);

    let names = one("mkdir out; touch out/$(printf 'x\\377') out/$(printf 'x\\376')", "");
    names.edit("outputs = [\"out\"]", "outputs = [\"out/*\"]");
    let done = names.run(&["experiment.toml"]);
    assert!(done.code == Some(3) && done.stderr.contains("its name is not UTF-8; rename it"), "{}", done.stderr);
}

/// Thousands of zombies would use up the number of processes that a user may have.
#[test]
fn finished_workers_do_not_stay_as_zombies() {
    let count = "sleep 0.5; for process in /proc/[0-9]*; do \
                 grep -q '^State:.Z' $process/status && grep -q \"^PPid:.$PPID$\" $process/status && echo zombie; \
                 done > out 2> /dev/null; true";
    let script = serde_json::to_string(count).unwrap();
    let project = Project::new(&format!(
        "name = \"zombies\"\n[stages.made]\nkind = \"synthesize\"\nsize = 64\nunlabeled = 1\ntrain = 1\nval = 1\ntest = 1\n\
         [stages.count]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", {script}]\ninputs = \"made\"\noutputs = [\"out\"]\n"
    ));
    project.run(&["experiment.toml"]).ok();
    assert_eq!(text_of(&project, "count"), "");
}

#[test]
fn nothing_outlives_a_run_that_is_killed_or_interrupted() {
    for signal in [libc::SIGKILL, libc::SIGINT, libc::SIGTERM] {
        let project = one("echo > started; setsid sh -c 'sleep 1000' & sleep 1000 & wait", "");
        let mut run = project.start(&["experiment.toml"]);
        wait_until("the program", || project.names("cache/work").iter().any(|name| name.ends_with("/started")));
        // SAFETY: plain system call on a child that has not been waited for.
        unsafe { libc::kill(run.id() as i32, signal) };
        let code = run.wait().unwrap().code();
        assert_eq!(code, if signal == libc::SIGKILL { None } else { Some(130) });
        nothing_is_left(&project);
        wait_until("the end of its folders", || project.names("cache/work").iter().all(|name| name.ends_with(".lock")));
    }
}

/// Eight runs on one cache: each stage is done once, by any of them, and no run waits for ever.
#[test]
fn eight_runs_at_once_do_each_stage_once() {
    let mut text = String::from("name = \"crowd\"\n");
    for stage in 0..12 {
        let inputs = if stage < 3 { String::new() } else { format!("inputs = \"s{}\"", stage - 3) };
        text += &format!(
            "[stages.s{stage}]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"echo {stage} >> $MARKS; sleep 0.05; \
             echo {stage} > out\"]\noutputs = [\"out\"]\n{inputs}\n"
        );
    }
    let project = Project::new(&text);
    let marks = project.path("marks");
    let mut runs: Vec<_> =
        (0..8).map(|_| project.start_with(&[("MARKS", marks.to_str().unwrap())], &["experiment.toml"])).collect();
    for run in &mut runs {
        assert!(run.wait().unwrap().success());
    }
    let mut done: Vec<u32> =
        std::fs::read_to_string(marks).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    done.sort_unstable();
    assert_eq!(done, (0..12).collect::<Vec<_>>());
    nothing_is_left(&project);
}

/// Number of GPUs that the program under test believes to have. It computes on the CPU.
const PRETENDED_GPUS: &str = "MATSSL_PRETENDED_GPUS";

/// Two runs and one pretended GPU: only one stage at a time uses it.
#[test]
fn two_runs_do_not_share_a_gpu() {
    let stage = |name: &str| {
        format!(
            "[stages.{name}]\nkind = \"command\"\ngpu = true\ncommand = [\"sh\", \"-c\", \"echo + $MATSSL_DEVICE >> $MARKS; \
             sleep 0.1; echo - >> $MARKS; echo {name} > out\"]\noutputs = [\"out\"]\n"
        )
    };
    let project = Project::new("");
    project.write("a.toml", format!("name = \"a\"\n{}{}", stage("a1"), stage("a2")));
    project.write("b.toml", format!("name = \"b\"\n{}{}", stage("b1"), stage("b2")));
    let (marks, locks) = (project.path("marks"), project.path("locks"));
    let variables =
        [("MARKS", marks.to_str().unwrap()), ("MATSSL_GPU_LOCKS", locks.to_str().unwrap()), (PRETENDED_GPUS, "1")];
    let mut runs: Vec<_> =
        ["a.toml", "b.toml"].iter().map(|file| project.start_with(&variables, &[file, "--jobs", "4"])).collect();
    for run in &mut runs {
        assert!(run.wait().unwrap().success());
    }
    let marks = std::fs::read_to_string(marks).unwrap();
    assert_eq!(marks, "+ pretended:0\n-\n".repeat(4));
    // Two GPUs are two slots.
    let project = Project::new(&format!("name = \"c\"\n{}{}", stage("c1"), stage("c2")));
    let (marks, locks) = (project.path("marks"), project.path("locks"));
    let variables =
        [("MARKS", marks.to_str().unwrap()), ("MATSSL_GPU_LOCKS", locks.to_str().unwrap()), (PRETENDED_GPUS, "2")];
    project.run_with(&variables, &["experiment.toml", "--jobs", "2"]).ok();
    let marks = std::fs::read_to_string(marks).unwrap();
    assert!(marks.contains("pretended:0") && marks.contains("pretended:1"), "{marks}");
}

/// A GPU's number counts within the list that the run inherited: a program gets the entry of that list.
#[test]
fn a_program_sees_its_gpu_by_the_entry_of_the_inherited_list() {
    let stage = |name: &str| {
        format!(
            "[stages.{name}]\nkind = \"command\"\ngpu = true\ncommand = [\"sh\", \"-c\", \"echo $MATSSL_DEVICE is \
             $CUDA_VISIBLE_DEVICES >> $MARKS; sleep 0.2; echo {name} > out\"]\noutputs = [\"out\"]\n"
        )
    };
    let project = Project::new(&format!("name = \"c\"\n{}{}", stage("c1"), stage("c2")));
    let (marks, locks) = (project.path("marks"), project.path("locks"));
    let variables = [
        ("MARKS", marks.to_str().unwrap()),
        ("MATSSL_GPU_LOCKS", locks.to_str().unwrap()),
        ("CUDA_VISIBLE_DEVICES", "GPU-6d5e9a3c, 7"),
        (PRETENDED_GPUS, "2"),
    ];
    project.run_with(&variables, &["experiment.toml", "--jobs", "2"]).ok();
    let marks = std::fs::read_to_string(marks).unwrap();
    let mut lines: Vec<&str> = marks.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["pretended:0 is GPU-6d5e9a3c", "pretended:1 is 7"]);
}

#[test]
fn status_shows_running_and_killed_runs() {
    let project = one("echo > started; sleep 1000", "");
    assert_eq!(project.run(&["status"]).ok().stdout, "no runs in this cache\n");
    let mut run = project.start(&["experiment.toml"]);
    wait_until("the program", || project.names("cache/work").iter().any(|name| name.ends_with("/started")));
    let status = project.run(&["status", "experiment.toml"]).ok().stdout;
    assert!(
        status.starts_with("one: running for ") && status.contains("0 of 1 stages done (0 ran, 0 cached), 1 running\n"),
        "{status}"
    );
    assert!(status.contains("\n  it "), "{status}");
    run.kill().unwrap();
    run.wait().unwrap();
    nothing_is_left(&project);
    let status = project.run(&["status"]).ok().stdout;
    assert!(status.starts_with("one: killed on "), "{status}");
    let json: serde_json::Value = serde_json::from_str(&project.run(&["status", "--json"]).ok().stdout).unwrap();
    assert_eq!((&json[0]["state"], &json[0]["stages"]), (&"died".into(), &1.into()));
    project.edit("echo > started; sleep 1000", "echo > out");
    project.run(&["experiment.toml"]).ok();
    let status = project.run(&["status"]).ok().stdout;
    assert!(status.starts_with("one: ended ") && status.contains("1 of 1 stages done (1 ran, 0 cached)\n"), "{status}");
}

#[test]
fn a_stage_that_runs_again_outside_the_cache_is_compared_byte_for_byte() {
    let project = chain();
    project.run(&["experiment.toml"]).ok();
    let before = project.files("cache/records");
    let same = project.run(&["experiment.toml", "--check-repro", "second"]).ok();
    assert_eq!(same.stdout, "second: its file is the same\n");
    project.write("coin", "0.5\n");
    project.edit("echo second >> out", "cat $COIN >> out");
    let coin = project.path("coin");
    let variables = [("COIN", coin.to_str().unwrap())];
    project.run_with(&variables, &["experiment.toml"]).ok();
    project.write("coin", "0.75\n");
    let other = project.run_with(&variables, &["experiment.toml", "--check-repro", "second"]);
    assert_eq!(other.code, Some(3), "{}", other.stderr);
    assert_eq!(other.stdout, "second: different files: 1\n  out: differs in numbers, by 2.500e-1 at most\n");
    assert_eq!(project.files("cache/records").len(), before.len() + 1);
}

#[test]
fn wrong_commands_are_refused_with_their_place() {
    let wrong = |from: &str, to: &str| {
        let project = chain();
        project.edit(from, to);
        let done = project.run(&["experiment.toml"]);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        done.stderr
    };
    assert!(
        wrong("outputs = [\"out\"]\n\n[stages.second]", "outputs = []\n\n[stages.second]")
            .contains("at least one file")
    );
    assert!(wrong("files = [\"data.txt\"]", "files = [\"../data.txt\"]").contains("without `..`"));
    assert!(
        wrong("inputs = \"first\"\noutputs = [\"out\"]", "inputs = \"first\"\noutputs = [\"/tmp/out\"]")
            .contains("inside the program's folder")
    );
    assert!(
        wrong("command = [\"sh\", \"-c\", \"head", "command = \"sh\" # [\"sh\", \"-c\", \"head").contains("expected a")
    );
    let message = wrong("inputs = \"first\"", "inputs = \"fist\"");
    assert!(message.contains("did you mean `first`"), "{message}");
}

/// Every line of a run's event log conforms to `schema --events`.
#[test]
fn events_conform_to_their_schema() {
    let project = chain();
    project.edit("cat inputs/first/out > out;", "exit 1;");
    project.run(&["experiment.toml"]);
    let schema: serde_json::Value = serde_json::from_str(&project.run(&["schema", "--events"]).ok().stdout).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    let log = project.names("cache/runs").into_iter().find(|name| name.ends_with("events.jsonl")).unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.lines().count() >= 5, "{text}");
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["at"].is_u64(), "{line}");
        let kind = kinds.iter().find(|kind| kind["properties"]["event"]["const"] == event["event"]);
        let kind = kind.unwrap_or_else(|| panic!("no such event: {line}"));
        for required in kind["required"].as_array().unwrap() {
            assert!(event.get(required.as_str().unwrap()).is_some(), "no {required} in {line}");
        }
        let known = |name: &str| kind["properties"].get(name).is_some() || name == "at";
        assert!(event.as_object().unwrap().keys().all(|name| known(name)), "{line}");
    }
}

/// Two stages that need more memory than the machine has run one after the other; neither is refused.
#[test]
fn a_stage_that_needs_all_the_memory_runs_alone() {
    let stage = |name: &str| {
        format!(
            "[stages.{name}]\nkind = \"command\"\nmemory = \"900000 GiB\"\ncommand = [\"sh\", \"-c\", \"echo + >> $MARKS; \
             sleep 0.1; echo - >> $MARKS; echo {name} > out\"]\noutputs = [\"out\"]\n"
        )
    };
    let project = Project::new(&format!("name = \"memory\"\n{}{}", stage("a"), stage("b")));
    let marks = project.path("marks");
    project.run_with(&[("MARKS", marks.to_str().unwrap())], &["experiment.toml", "--jobs", "2"]).ok();
    assert_eq!(std::fs::read_to_string(marks).unwrap(), "+\n-\n".repeat(2));
}

/// After the request to end a program may save its work and exit with 0: that is not its output.
#[test]
fn a_program_that_was_asked_to_end_is_not_done_even_if_it_succeeds() {
    let project =
        one("trap 'echo partial > out; exit 0' TERM; sleep 20 & wait; echo full > out", "timeout = \"0.3 s\"");
    let done = project.run(&["experiment.toml"]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("took longer than its `timeout`"), "{}", done.stderr);
    assert!(project.outputs().is_empty());
}

#[test]
fn a_program_sees_copies_of_the_users_files_and_must_not_write_to_its_inputs() {
    let project = chain();
    project.edit("head -n 1 data.txt > out;", "head -n 1 data.txt > out; echo gone > data.txt;");
    project.run(&["experiment.toml"]).ok();
    assert_eq!(std::fs::read_to_string(project.path("data.txt")).unwrap(), "one\ntwo\n");
    project.edit("echo second >> out", "chmod u+w inputs/first/out; echo evil >> inputs/first/out");
    let evil = project.run(&["experiment.toml"]);
    assert_eq!(evil.code, Some(3), "{}", evil.stderr);
    assert!(evil.stderr.contains("wrote to one of its inputs"), "{}", evil.stderr);
    let verified = project.run(&["cache", "verify"]);
    assert_eq!(verified.code, Some(3), "{}", verified.stdout);
    project.edit("chmod u+w inputs/first/out; echo evil >> inputs/first/out", "echo second >> out");
    project.run(&["experiment.toml"]).ok();
    assert_eq!(text_of(&project, "second"), "one\nfirst\nsecond\n");
    let shown = Project::new(CHAIN);
    shown
        .write("data.txt", "one\n")
        .edit("files = [\"data.txt\"]\noutputs = [\"out\"]", "files = [\"data.txt\"]\noutputs = [\"data.txt\"]");
    let refused = shown.run(&["experiment.toml"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("write to another name"), "{}", refused.stderr);
}
