//! The report of `data` as text.

use super::super::wording::plural;
use super::report::{DatasetLine, Report, WeightsLine};
use crate::data::format::PassedOver;
use crate::data::leaks::Pair;
use crate::data::survey::Survey;
use crate::machine::Bytes;
use std::fmt::Write;

pub(super) fn of(report: &Report) -> String {
    let mut text = summary(report);
    for line in &report.datasets {
        text.push('\n');
        dataset(&mut text, line);
    }
    if !report.weights.is_empty() {
        text += "\nweights\n";
        report.weights.iter().for_each(|line| weights(&mut text, line));
    }
    if !report.patches.is_empty() {
        text += "\npatches\n";
        text += &patches(report);
    }
    for (heading, lines) in [("stages that must fail", &report.must_fail), ("warnings", &report.warnings)] {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{heading}");
            lines.iter().for_each(|line| text.push_str(&format!("        {}\n", line.text())));
        }
    }
    if let Some(leaks) = &report.leaks {
        text += &leaks_text(leaks, report.compared);
        let absent = report.datasets.iter().filter(|line| line.state != "found");
        let absent: Vec<&str> = absent.map(|line| line.name.as_str()).collect();
        if !absent.is_empty() {
            let _ = writeln!(text, "        not compared, because missing: {}", absent.join(", "));
        }
    }
    if let Some(specimens) = &report.specimens {
        let rows = specimens.iter().map(|line| {
            let side = |images: usize, split: &str| format!("{images} {split}");
            vec![
                format!("warning {}", line.dataset),
                line.specimen.clone(),
                side(line.scored_images, line.scored.name()),
                "and".into(),
                side(line.trained_images, line.trained.name()),
                format!("({})", line.how),
            ]
        });
        let _ = write!(
            text,
            "\nspecimens that are both trained on and scored on: {}\n{}",
            none_or(specimens.len()),
            aligned(rows.collect())
        );
    }
    if let Some(preview) = &report.preview {
        let rows = preview.datasets.iter().map(|line| vec![format!("        {}", line.name), line.note.clone()]);
        let _ = write!(
            text,
            "\npreview: {} in {}\n{}",
            plural(preview.pictures, "picture"),
            preview.page,
            aligned(rows.collect())
        );
    }
    text
}

fn none_or(count: usize) -> String {
    if count == 0 { "none".into() } else { count.to_string() }
}

fn summary(report: &Report) -> String {
    let states: Vec<&str> =
        report.datasets.iter().map(|line| line.state).chain(report.weights.iter().map(|line| line.state)).collect();
    let mut text = format!("{}: {}", report.experiment, plural(report.datasets.len(), "data set"));
    match report.weights.len() {
        0 => {}
        1 => text += ", 1 file of weights",
        more => {
            let _ = write!(text, ", {more} files of weights");
        }
    }
    for (state, words) in [("found", "found"), ("drawn", "drawn by a stage"), ("missing", "missing"), ("bad", "bad")] {
        let count = states.iter().filter(|&&other| other == state).count();
        if count > 0 {
            let _ = write!(text, ", {count} {words}");
        }
    }
    text + "\n"
}

fn dataset(text: &mut String, line: &DatasetLine) {
    let folder = line.folder.as_deref().unwrap_or("");
    let _ = writeln!(text, "{}", format!("{:<8}{}  {}  {folder}", line.state, line.name, line.format).trim_end());
    let mut say = |what: &str, value: String| {
        let _ = writeln!(text, "        {what:<10}{value}");
    };
    if let Some(problem) = &line.problem {
        say("problem", problem.replace('\n', &format!("\n{:18}", "")));
    }
    if let Some(passed_over) = line.passed_over.as_ref().and_then(PassedOver::in_words) {
        say("passed over: ", passed_over);
    }
    if let Some(source) = &line.source {
        say("from", format!("{}: {}", source.name, source.url));
    }
    if let (Some(source), true) = (&line.source, line.state != "found") {
        say("fetch", source.fetch.into());
        let size = source.bytes.map_or("size unknown".into(), |bytes| Bytes(bytes).to_string());
        let hash = source.sha256.map_or("hash unknown".into(), |hash| format!("SHA-256 {hash}"));
        say("holds", format!("{}; {size}, {hash}; licence: {}", source.counts, source.licence));
    }
    let Some(survey) = &line.survey else { return };
    say("images", survey.images_in_words());
    if let Some(source) = &line.source {
        say("published", format!("{}; the paper: {}", source.counts, source.paper));
    }
    say("sizes", survey.sizes_in_words());
    say("stored", survey.stored_in_words());
    if let Some(crops) = survey.crops_in_words() {
        say("cropped", crops);
    }
    if let Some(sizes) = survey.pixel_sizes_in_words() {
        say("pixel", sizes);
    }
    if !line.classes.is_empty() {
        say("classes", "share of pixels (images that have it)".into());
        *text += &indented(&aligned(classes(line, survey)), 18);
    }
}

/// One row for each class, one column for each split.
fn classes(line: &DatasetLine, survey: &Survey) -> Vec<Vec<String>> {
    let splits: Vec<_> = survey.splits.iter().filter(|split| !split.shares.is_empty()).collect();
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(splits.iter().map(|split| split.split.name().to_owned()));
    for (class, name) in line.classes.iter().enumerate() {
        let mut row = vec![name.clone()];
        for split in &splits {
            let (share, images) = (split.shares[class], split.images_with[class]);
            row.push(format!("{:.2} % ({images})", 100.0 * share));
        }
        if line.ignore_classes.iter().any(|&ignored| usize::from(ignored) == class) {
            row.push("not in the mean".into());
        }
        rows.push(row);
    }
    rows
}

fn weights(text: &mut String, line: &WeightsLine) {
    let path = line.file.as_deref().unwrap_or(&line.folder);
    let _ = writeln!(text, "{:<8}{}  {} {}  {path}", line.state, line.weights, line.arch, line.variant);
    let mut say = |what: &str, value: String| {
        let _ = writeln!(text, "        {what:<10}{value}");
    };
    if let Some(problem) = &line.problem {
        say("problem", first_line(problem));
        for published in &line.published {
            let size = published.kib.map_or("size unknown".into(), |kib| Bytes(kib << 10).to_string());
            let hash = published.sha256.map_or("hash unknown".into(), |hash| format!("SHA-256 {hash}…"));
            say("from", format!("{}: {size}, {hash}", published.url));
        }
        return;
    }
    let size = line.bytes.map(|bytes| Bytes(bytes).to_string()).unwrap_or_default();
    let hash = match line.sha256 {
        Some(hash) => format!("SHA-256 begins with {hash}, as published"),
        None => "no published hash to compare with".into(),
    };
    say("size", format!("{size}; {hash}"));
    if let Some(found) = &line.found {
        say("found", found.clone());
    }
    for (what, names) in [("beside it", &line.passed_over), ("missing", &line.missing)] {
        if !names.is_empty() {
            say(what, tensors(names));
        }
    }
}

/// `14 tensors: fc.bias, fc.weight, queue, …`.
fn tensors(names: &[String]) -> String {
    const NAMED: usize = 3;
    let count = if names.len() == 1 { "1 tensor".to_owned() } else { format!("{} tensors", names.len()) };
    let more = if names.len() > NAMED { ", …" } else { "" };
    format!("{count}: {}{more}", names[..names.len().min(NAMED)].join(", "))
}

fn patches(report: &Report) -> String {
    let rows = report.patches.iter().map(|line| {
        let word = |value: serde_json::Result<serde_json::Value>| {
            value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let (from, edge) = (word(serde_json::to_value(line.from)), word(serde_json::to_value(line.edge)));
        let rule = format!("{} of {}, {}² overlap {} {edge}", from, line.dataset, line.size, line.overlap);
        let count = line.patches.map_or("not known yet".into(), thousands);
        let paper = line.paper.map(|paper| format!("the paper counts {}", thousands(paper))).unwrap_or_default();
        vec![format!("        {}", line.stage), rule, count, paper]
    });
    aligned(rows.collect())
}

fn leaks_text(leaks: &[Pair], compared: Option<usize>) -> String {
    if leaks.is_empty() {
        let among = compared.map(|images| format!(" ({images} images compared)")).unwrap_or_default();
        return format!("\nleaks: none found{among}\n");
    }
    let pairs = if leaks.len() == 1 { "1 pair".to_owned() } else { format!("{} pairs", leaks.len()) };
    let mut text = format!("\nleaks: {pairs} of images show the same: one is scored on, the other trained on\n");
    let rows = leaks.iter().map(|pair| {
        let leak = &pair.leak;
        vec![
            format!("warning {}", pair.scored.words()),
            leak.kind.words().into(),
            format!("{} ({})", pair.trained.words(), pair.how),
            leak.place_in_words(),
            format!("{:.0} % of it", 100.0 * leak.share),
            format!("score {:.3}", leak.score),
        ]
    });
    text += &aligned(rows.collect());
    text
}

/// Columns side by side, padded to the same width; the last is not padded.
fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The first line of an error, and the number of the others: standard error has all of it.
fn first_line(problem: &str) -> String {
    let mut lines = problem.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => first.to_owned(),
        1 => format!("{first} (1 more line below)"),
        more => format!("{first} ({more} more lines below)"),
    }
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

/// `14,566`.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
