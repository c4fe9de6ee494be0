//! Random experiments of small programs whose output is a function of what they read.

use crate::common::Project;
use matssl_run::random::Stream;

/// An experiment that can be put into any number of folders.
pub(crate) struct Pipeline {
    text: String,
    data: Vec<(String, String)>,
}

/// The stages that worker processes do.
pub(crate) const WORKERS: [&str; 2] = ["micrographs", "patches"];

const BUILT_IN: &str = r#"
[stages.micrographs]
kind = "synthesize"
size = 64
unlabeled = 4
train = 3
val = 1
test = 2

[stages.patches]
kind = "patchify"
dataset = "micrographs"
size = 32

[stages.listed]
kind = "command"
command = ["sh", "-c", "set -e; find -L inputs/patches -type f > names; LC_ALL=C sort names > sorted; xargs cat < sorted > all; cksum < all > out"]
inputs = "patches"
outputs = ["out"]
"#;

impl Pipeline {
    /// 10 to 20 programs, each reading up to three others, some with a file or a seed, some leaving children behind, each
    /// asleep for up to 60 ms; with `workers` also the smallest stages that run in worker processes.
    pub(crate) fn random(stream: &mut Stream, workers: bool) -> Pipeline {
        let mut text = String::from("name = \"faults\"\nseeds = [0, 1]\n");
        let mut data = Vec::new();
        for stage in 0..10 + stream.below(11) {
            let mut script = format!("set -e; echo s{stage} $0 > all; ");
            let mut lines = String::new();
            let inputs: Vec<u64> = (0..stage).rev().take(6).filter(|_| stream.chance(0.3)).take(3).collect();
            if !inputs.is_empty() {
                let names: Vec<String> = inputs.iter().map(|input| format!("\"s{input}\"")).collect();
                lines += &format!("inputs = [{}]\n", names.join(", "));
                script += "cat inputs/*/out >> all; ";
            }
            if stream.chance(0.3) {
                let name = format!("data{stage}.txt");
                lines += &format!("files = [\"{name}\"]\n");
                script += &format!("cat {name} >> all; ");
                data.push((name, format!("{:016x}\n", stream.next_u64())));
            }
            if stream.chance(0.3) {
                // Leaves its session, its group and its parents.
                script += "setsid sh -c 'sleep 1000; true' & sleep 1000 & ";
            }
            if !stream.chance(0.2) {
                script += &format!("sleep 0.0{}; ", 1 + stream.below(6));
            }
            // No pipes: a part of one that is killed is nothing that a shell would see.
            script += "cksum < all > out; head -c 3000 all >> out; ";
            let mut outputs = "\"out\"".to_owned();
            if stream.chance(0.3) {
                outputs += ", \"more/*.txt\"";
                script += "mkdir more; cksum < out > more/sum.txt; cp all more/all.txt; ";
            }
            let seed = if stream.chance(0.15) { ", \"{seed}\"" } else { "" };
            text += &format!(
                "[stages.s{stage}]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"{script}\"{seed}]\n{lines}outputs = [{outputs}]\n"
            );
        }
        if workers {
            text += BUILT_IN;
        }
        Pipeline { text, data }
    }

    /// Four programs, one after the other, which leave 48 KiB each.
    pub(crate) fn bulky() -> Pipeline {
        let mut text = String::from("name = \"faults\"\n");
        for stage in 0..4 {
            let inputs = if stage == 0 { String::new() } else { format!("inputs = \"s{}\"\n", stage - 1) };
            let read = if stage == 0 { "echo begin" } else { "cat inputs/*/out" };
            text += &format!(
                "[stages.s{stage}]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"set -e; {read} > all; \
                 yes s{stage} | head -c 49152 > out; cksum < all >> out\"]\n{inputs}outputs = [\"out\"]\n"
            );
        }
        Pipeline { text, data: Vec::new() }
    }

    /// In a folder of its own; `hasty.toml` is the same with a limit for each stage, which is no part of any key.
    pub(crate) fn project(&self) -> Project {
        let project = Project::new(&self.text);
        project.write("hasty.toml", self.text.replace("kind = \"", "timeout = \"1 s\"\nkind = \""));
        for (name, text) in &self.data {
            project.write(name, text);
        }
        project
    }

    /// Names of the files that programs read.
    pub(crate) fn data(&self) -> impl Iterator<Item = &str> {
        self.data.iter().map(|(name, _)| name.as_str())
    }
}
