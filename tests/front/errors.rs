//! Every error of a wrong experiment file as it is shown, to the letter: `errors.txt`.
//!
//! A case is a title, what it adds to [`FILE`], and what the program then says: each error with the lines of the file
//! that it shows, without line numbers. A case `in the stage` adds to [`STAGE`] too, which then lacks what the case
//! itself sets; a case `alone` is the file. Lines that start with `--set` are flags.

use matssl_run::{experiment, stage};
use std::path::Path;

const FILE: &str = "name = \"x\"\n[datasets.d]\nformat = \"metaldam\"\npath = \"d\"\n\
                    [stages.patches]\nkind = \"patchify\"\ndataset = \"d\"\nsize = 64\n";

const STAGE: [(&str, &str); 5] = [
    ("kind", "[stages.ssl]\nkind = \"pretrain\"\n"),
    ("patches", "patches = \"patches\"\n"),
    ("encoder", "encoder = { arch = \"resnet18\", weights = \"random\" }\n"),
    ("method", "method = \"matssl\"\n"),
    ("epochs", "epochs = 3\n"),
];

struct Case {
    title: &'static str,
    text: &'static str,
    shown: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |text: &'static str| {
        let (title, rest) = text.split_once('\n').unwrap();
        let (text, shown) = rest.split_once("---\n").unwrap();
        Case { title, text, shown: shown.trim_end() }
    };
    include_str!("errors.txt").split("### ").skip(1).map(case).collect()
}

impl Case {
    /// The file, and the flags.
    fn file(&self) -> (String, Vec<String>) {
        let (flags, lines): (Vec<&str>, Vec<&str>) = self.text.lines().partition(|line| line.starts_with("--set "));
        let flags = flags.iter().map(|flag| flag["--set ".len()..].to_owned()).collect();
        let own: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if self.title.ends_with(" alone") {
            return (own, flags);
        }
        let mut text = FILE.to_owned();
        if self.title.ends_with(" in the stage") {
            let own = || lines.iter().take_while(|line| !line.starts_with('['));
            let sets = |key: &str| {
                own().any(|line| {
                    let word = line.split([' ', '=']).next().unwrap_or_default();
                    let included = word == "matrix.include" && line.contains(&format!("{key} ="));
                    word == key || word.strip_prefix("matrix.") == Some(key) || included
                })
            };
            text.extend(STAGE.iter().filter(|(key, _)| !sets(key)).map(|(_, line)| *line));
        }
        (text + &own, flags)
    }

    fn judged(&self) -> String {
        let (text, flags) = self.file();
        match experiment::parse_text(Path::new("a.toml"), text, &flags, stage::KINDS) {
            Ok(_) => "it is right".into(),
            Err(wrong) => without_numbers(&wrong.render(false)),
        }
    }
}

/// Drops the numbers of lines, and what only aligns them.
fn without_numbers(shown: &str) -> String {
    let line = |line: &str| {
        let bare = line.trim_start();
        if bare.starts_with("--> ") || bare.starts_with("::: ") {
            return None;
        }
        let bare = bare.strip_prefix("= ").unwrap_or(bare);
        let bare = match bare.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().strip_prefix('|') {
            Some(piece) => piece.strip_prefix(' ').unwrap_or(piece),
            None => bare,
        };
        (!bare.trim().is_empty()).then(|| format!("{}\n", bare.trim_end()))
    };
    let lines: String = shown.lines().filter_map(line).collect();
    lines.trim_end().to_owned()
}

#[test]
fn every_error_is_shown_to_the_letter() {
    let mut changed = String::new();
    for case in cases() {
        let shown = case.judged();
        if shown != case.shown {
            changed += &format!("### {}\n{}---\n{shown}\n\n", case.title, case.text);
        }
    }
    assert!(changed.is_empty(), "these cases have changed:\n{changed}");
    assert!(cases().len() > 80);
}
