//! A shared cache through the command line. What can go wrong on a server is tested in `crates/remote/tests`.

mod common;
use common::{Done, Project};

/// Two programs, one after the other, and a copy of what the second leaves in the reports.
const CHAIN: &str = r#"
name = "chain"

[stages.first]
kind = "command"
command = ["sh", "-c", "echo first > out"]
outputs = ["out"]

[stages.second]
kind = "command"
command = ["sh", "-c", "cat inputs/first/out > out; echo second >> out"]
inputs = "first"
outputs = ["out"]

[[files]]
file = "copies"
rows = { "all" = "second" }
names = ["out"]
"#;

/// A machine of the group with a cache of its own.
struct Machine<'g> {
    project: Project,
    group: &'g Project,
}

impl<'g> Machine<'g> {
    fn new(group: &'g Project) -> Self {
        Machine { project: Project::new(CHAIN), group }
    }

    fn url(&self) -> String {
        self.group.path("shared").to_str().unwrap().to_owned()
    }

    fn with_remote(&self, args: &[&str]) -> Done {
        self.project.run_with(&[("MATSSL_REMOTE", &self.url())], args)
    }
}

#[test]
fn what_one_machine_ran_another_has_and_its_reports_too() {
    let group = Project::new("");
    let (first, second, third) = (Machine::new(&group), Machine::new(&group), Machine::new(&group));
    let ran = first.with_remote(&["experiment.toml"]).ok();
    assert_eq!(ran.ran(), 3);
    assert!(ran.stderr.contains("pushed 3 records"), "{}", ran.stderr);
    let again = second.with_remote(&["experiment.toml"]).ok();
    assert_eq!(again.ran(), 0);
    assert_eq!(second.project.files("reports"), first.project.files("reports"));
    assert!(!first.project.files("reports").is_empty());
    // Only what was read is here; `pull` brings the rest.
    let records = |machine: &Machine<'_>| machine.project.files("cache/records").len();
    assert!(records(&second) < 3);
    let dry = second.with_remote(&["cache", "pull", "experiment.toml", "--dry-run"]).ok();
    assert!(dry.stdout.starts_with("would pull"), "{}", dry.stdout);
    assert!(records(&second) < 3);
    second.with_remote(&["cache", "pull", "experiment.toml"]).ok();
    assert_eq!(records(&second), 3);
    second.project.run(&["cache", "verify"]).ok();
    // Without it everything runs.
    assert_eq!(third.with_remote(&["experiment.toml", "--no-remote"]).ok().ran(), 3);
    let pushed = third.with_remote(&["cache", "push", "experiment.toml"]).ok();
    assert!(pushed.stdout.contains("there already: 3"), "{}", pushed.stdout);
}

#[test]
fn push_gc_and_readonly_through_the_command_line() {
    let group = Project::new("");
    let machine = Machine::new(&group);
    machine.project.run(&["experiment.toml"]).ok();
    let url = machine.url();
    let push = |more: &[&str]| {
        machine.project.run(&[&["cache", "push", "experiment.toml", "--remote", url.as_str()], more].concat())
    };
    let dry = push(&["--dry-run"]).ok();
    assert!(dry.stdout.starts_with("would push 3 records"), "{}", dry.stdout);
    assert!(!group.path("shared").exists());
    assert_eq!(push(&["--remote-readonly"]).code, Some(2));
    assert!(push(&["--only", "first"]).ok().stdout.starts_with("pushed 1 record "));
    assert!(push(&[]).ok().stdout.contains("there already: 1"));
    let gc = |more: &[&str]| machine.project.run(&[&["cache", "gc", "--remote", url.as_str()], more].concat());
    assert!(gc(&[]).ok().stdout.starts_with("would delete 0 records"));
    assert_eq!(gc(&["--older-than", "1m", "--yes"]).code, Some(2), "a grace period of a minute");
    assert_eq!(machine.project.run(&["cache", "gc", "--forget", "chain"]).code, Some(2), "only with --remote");
    // A run that only reads pushes nothing.
    let other = Project::new("");
    let reader = Machine::new(&other);
    reader.with_remote(&["experiment.toml", "--remote-readonly"]).ok();
    assert!(!other.path("shared").exists());
}

#[test]
fn each_wrong_remote_has_its_exit_code_and_a_run_goes_on() {
    let group = Project::new("");
    let Machine { project, .. } = Machine::new(&group);
    let code = |args: &[&str]| project.run(args).code;
    assert_eq!(code(&["cache", "push", "experiment.toml"]), Some(2), "no remote is named");
    assert_eq!(code(&["experiment.toml", "--remote", "ftp://host/x"]), Some(2));
    assert_eq!(code(&["cache", "pull", "experiment.toml", "--remote", "./nowhere"]), Some(4));
    assert_eq!(code(&["cache", "push", "experiment.toml", "--remote", "http://127.0.0.1:1/x"]), Some(2), "only read");
    assert_eq!(code(&["cache", "push", "experiment.toml", "--remote", "./not/mounted"]), Some(4));
    assert!(!project.path("not").exists() && !project.path("nowhere").exists());
    let variables =
        [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    let with = |args: &[&str]| project.run_with(&variables, args);
    assert_eq!(with(&["cache", "push", "experiment.toml", "--remote", "s3://bucket/x"]).code, Some(4));
    let run = with(&["experiment.toml", "--remote", "s3://bucket/x"]).ok();
    assert_eq!((run.ran(), run.stderr.matches("warning:").count()), (3, 1), "{}", run.stderr);
    assert!(run.stderr.contains("not pushed: 3 records"), "{}", run.stderr);
}

#[test]
fn the_site_file_names_the_remote_and_its_keys() {
    let group = Project::new("");
    let (signing, strict) = (Machine::new(&group), Machine::new(&group));
    let public = signing.project.run(&["cache", "keygen", "group.key"]).ok().stdout;
    assert_eq!(signing.project.run(&["cache", "keygen", "group.key"]).code, Some(2), "it is not overwritten");
    let url = signing.url();
    signing.project.write("site.toml", format!("[remote]\nurl = \"{url}\"\nsigning_key = \"group.key\"\n"));
    let site = |text: &str| format!("[remote]\nurl = \"{url}\"\nrequire_signature = true\n{text}\n");
    strict.project.write("site.toml", site(&format!("trusted_keys = [\"{}\"]", public.trim())));
    let run = |machine: &Machine<'_>| machine.project.run_with(&[("MATSSL_CONFIG", "site.toml")], &["experiment.toml"]);
    assert_eq!(run(&signing).ok().ran(), 3);
    assert_eq!(run(&strict).ok().ran(), 0);
    strict.project.write("site.toml", site(""));
    assert_eq!(run(&strict).code, Some(2), "no key to trust");
    strict.project.write("site.toml", "[remote]\nurl = \"x\"\nsigning-key = \"group.key\"\n");
    let wrong = run(&strict);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("site.toml:3 ") && wrong.stderr.contains("signing-key"), "{}", wrong.stderr);
}

/// Nonsense in the variable stops every verb that reads it, and what looks like credentials is never shown.
#[test]
fn a_wrong_address_is_refused_with_where_it_stands_and_without_its_secrets() {
    let group = Project::new("");
    let Machine { project, .. } = Machine::new(&group);
    for url in
        ["nonsense", "s3:/bucket/x", "s3://key:secret@bucket/x", "key:secret@bucket", "https://host/x?sig=secret"]
    {
        for verb in [&["experiment.toml"][..], &["plan", "experiment.toml"], &["explain", "experiment.toml", "first"]] {
            let done = project.run_with(&[("MATSSL_REMOTE", url)], verb);
            assert_eq!(done.code, Some(2), "{url}: {}", done.stderr);
            assert!(done.stderr.contains("MATSSL_REMOTE: "), "{}", done.stderr);
            assert!(!format!("{}{}", done.stdout, done.stderr).contains("secret"), "{}", done.stderr);
        }
        let help = project.run_with(&[("MATSSL_REMOTE", url)], &["cache", "push", "--help"]).ok();
        assert!(!help.stdout.contains("secret"), "{}", help.stdout);
        let flag = project.run(&["experiment.toml", "--remote", url]);
        assert!(flag.code == Some(2) && flag.stderr.contains("--remote: "), "{}", flag.stderr);
        assert!(!flag.stderr.contains("secret"), "{}", flag.stderr);
    }
    project.write("site.toml", "[remote]\nurl = \"nonsense\"\n");
    let site = project.run_with(&[("MATSSL_CONFIG", "site.toml")], &["experiment.toml"]);
    assert!(site.code == Some(2) && site.stderr.contains("`url` of `[remote]`"), "{}", site.stderr);
    assert!(!project.path("nonsense").exists() && project.files("cache/records").is_empty());
}

#[test]
fn plan_and_explain_say_what_the_shared_cache_has_and_who_made_it() {
    let group = Project::new("");
    let (first, second) = (Machine::new(&group), Machine::new(&group));
    first.with_remote(&["experiment.toml", "--only", "second"]).ok();
    let plan = second.with_remote(&["plan", "experiment.toml"]).ok().stdout;
    assert!(plan.starts_with("chain: 3 stages, 2 in the shared cache, 1 to run\n"), "{plan}");
    assert!(plan.contains("  shared  first") && plan.contains("fetched, not run; made in "), "{plan}");
    let json: serde_json::Value =
        serde_json::from_str(&second.with_remote(&["plan", "experiment.toml", "--json"]).ok().stdout).unwrap();
    let states: Vec<_> =
        json["stages"].as_array().unwrap().iter().map(|stage| stage["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["shared", "shared", "run"]);
    assert_eq!(
        (&json["stages"][0]["forecast"], json["forecast"]["stages"].as_u64()),
        (&serde_json::Value::Null, Some(1))
    );
    let explain = second.with_remote(&["explain", "experiment.toml", "first"]).ok().stdout;
    assert!(explain.starts_with("first is in the shared cache: key "), "{explain}");
    assert!(explain.contains("made for chain/first by ") && explain.contains("pushed to "), "{explain}");
    assert!(explain.contains("; not signed") && !explain.contains("record: "), "{explain}");
    let json: serde_json::Value =
        serde_json::from_str(&second.with_remote(&["explain", "experiment.toml", "first", "--json"]).ok().stdout)
            .unwrap();
    let stage = &json["stages"][0];
    assert_eq!((&stage["state"], &stage["record"]), (&"shared".into(), &serde_json::Value::Null));
    assert_eq!(stage["shared"]["cache"].as_str(), Some(second.url().as_str()));
    assert!(stage["shared"]["user"].is_string() && stage["shared"]["host"].is_string(), "{stage}");
    // Nothing was fetched, and without the shared cache everything is to run.
    assert!(second.project.files("cache/objects").is_empty() && second.project.files("cache/records").is_empty());
    let alone = second.project.run(&["plan", "experiment.toml"]).ok().stdout;
    assert!(alone.starts_with("chain: 3 stages, 1 to run, 2 waiting for these\n"), "{alone}");
    assert!(second.with_remote(&["plan", "experiment.toml", "--no-remote"]).ok().stdout == alone);
}

#[test]
fn without_network_plan_and_explain_say_so_in_one_line_and_go_on() {
    let group = Project::new("");
    let Machine { project, .. } = Machine::new(&group);
    let variables = [
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("MATSSL_REMOTE", "s3://bucket/x"),
    ];
    let local = project.run(&["plan", "experiment.toml"]).ok().stdout;
    let plan = project.run_with(&variables, &["plan", "experiment.toml"]).ok();
    assert_eq!((plan.stdout, plan.stderr.lines().count()), (local, 1), "{}", plan.stderr);
    assert!(plan.stderr.starts_with("warning: the shared cache s3://bucket/x cannot be reached"), "{}", plan.stderr);
    let explain = project.run_with(&variables, &["explain", "experiment.toml", "first"]).ok();
    assert!(explain.stdout.starts_with("first would run: no stage of this name"), "{}", explain.stdout);
    assert_eq!(explain.stderr.lines().count(), 1, "{}", explain.stderr);
}
