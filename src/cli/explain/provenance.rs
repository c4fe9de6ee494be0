//! Where, when and by which program a record was made, as text.

use super::super::wording::{plural, utc};
use crate::cache::{Provenance, Record};
use serde_json::Value;

/// In one line.
pub(super) fn line(made: &Provenance) -> String {
    format!(
        "made for {} by {} on {} ({}, {}) in {:.1} s, finished {}",
        made.stage,
        made.program,
        made.host,
        made.device,
        plural(made.threads, "thread"),
        made.seconds,
        utc(made.finished_at)
    )
}

/// In full: program, machine, cost, inputs, outputs.
pub(super) fn lines(record: &Record, indent: &str) -> String {
    let (mut text, made, material) = (making(&record.made, indent), &record.made, &record.material);
    let mut say = |what: &str, value: String| text += &format!("{indent}{what}: {value}\n");
    say(
        "key",
        format!("{} (schema {}, {} version {})", record.key, material.schema, material.kind, material.code_version),
    );
    if let Some(seed) = material.seed {
        say("seed", seed.to_string());
    }
    say("wall time", format!("{:.3} s", made.seconds));
    for (name, value) in &record.telemetry {
        say(name, plain(value));
    }
    for (role, inputs) in &material.inputs {
        for input in inputs {
            let label = input.label.as_ref().map(|(label, _)| format!(" ({label})")).unwrap_or_default();
            say("input", format!("{role} {}{label}", input.content));
        }
    }
    for (name, digest) in &material.files {
        say("read", format!("{name} {digest}"));
    }
    for output in &record.outputs {
        say("left", format!("{} {} ({} bytes)", output.path, output.digest, output.size));
    }
    say("content", record.content.to_string());
    text
}

/// Program and machine.
pub(super) fn making(made: &Provenance, indent: &str) -> String {
    let mut text = String::new();
    let mut say = |what: &str, value: &str| text += &format!("{indent}{what}: {value}\n");
    say("program", &made.program);
    if let Some(build) = &made.build {
        if let Some(commit) = &build.commit {
            say("commit", commit);
        }
        if let Some(build_id) = &build.build_id {
            say("build", build_id);
        }
        if let Some(executable) = build.executable {
            say("executable", &executable.to_string());
        }
        say("built by", &format!("{} for {} ({})", build.compiler, build.target, build.profile));
    }
    say("host", &made.host);
    say("processor", &made.cpu);
    if !made.cpu_features.is_empty() {
        say("vectors", &made.cpu_features.join(" "));
    }
    say("device", &made.device);
    say("threads", &made.threads.to_string());
    text
}

/// Words without their quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
