//! Medians, ratios, and the tables they are printed in.

use crate::workers::Side;
use crate::workloads::Workload;
use std::fmt::Write as _;

/// The share of the processors that others may take. PyTorch's threads wait for each other spinning, so that it loses
/// far more than its share on a busy machine, and a ratio flatters us.
pub(crate) const QUIET: f64 = 0.02;

/// All rounds of one side.
pub(crate) struct Timed {
    /// Whose they are.
    pub(crate) side: Side,
    /// Seconds, by round, then by pass.
    pub(crate) rounds: Vec<Vec<f64>>,
    /// The share of the processors that other processes took, of the rounds long enough to tell.
    pub(crate) others: Vec<f64>,
    /// Peak memory of a process that did this workload alone.
    pub(crate) peak_kib: Option<u64>,
    /// What the program says beforehand that it will be at most.
    pub(crate) estimate_kib: Option<u64>,
    /// Why there are no rounds, in a word.
    pub(crate) missing: Option<&'static str>,
}

impl Timed {
    /// No rounds yet.
    pub(crate) fn new(side: Side) -> Self {
        Timed { side, rounds: Vec::new(), others: Vec::new(), peak_kib: None, estimate_kib: None, missing: None }
    }

    /// Seconds of one pass, by round.
    pub(crate) fn pass(&self, pass: usize) -> Vec<f64> {
        self.rounds.iter().map(|round| round[pass]).collect()
    }
}

/// All sides of one workload.
pub(crate) struct Measured {
    /// What was done.
    pub(crate) workload: Workload,
    /// Ours first.
    pub(crate) sides: Vec<Timed>,
}

impl Measured {
    /// The most that our side took, by what the program says beforehand.
    fn of_estimate(&self) -> Option<f64> {
        let ours = self.sides.iter().find(|timed| timed.side == Side::Ours)?;
        Some(ours.peak_kib? as f64 / ours.estimate_kib? as f64)
    }

    fn estimate_kib(&self) -> Option<u64> {
        self.sides.iter().find_map(|timed| timed.estimate_kib)
    }
}

/// What is to be reached of [`Measured::of_estimate`]: the program must not promise that a step fits which does not.
const OF_ESTIMATE: f64 = 1.0;

/// The value below which the part `q` of `values` lies, between neighbours in proportion.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len().saturating_sub(1)) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    match (sorted.get(low), sorted.get(low + 1)) {
        (Some(low), Some(high)) => low + part * (high - low),
        (Some(last), None) => *last,
        _ => f64::NAN,
    }
}

/// The middle of `values`.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The share of the processors that other processes took in the median round.
pub(crate) fn others(all: &[Measured]) -> Option<f64> {
    let shares: Vec<f64> = all.iter().flat_map(|m| &m.sides).flat_map(|timed| timed.others.iter().copied()).collect();
    (!shares.is_empty()).then(|| median(&shares))
}

/// What a pass comes to.
struct Summary {
    /// Of the sides that did it.
    medians: Vec<(Side, f64, [f64; 2])>,
    /// Ours by the quicker of PyTorch's formats.
    best: Option<Ratio>,
    /// Ours by compiled PyTorch.
    compiled: Option<Ratio>,
}

struct Ratio {
    side: Side,
    /// Median over rounds of ours ÷ PyTorch's in that round.
    paired: f64,
    of_medians: f64,
    memory: Option<f64>,
}

fn summary(measured: &Measured, pass: usize) -> Summary {
    let medians = measured.sides.iter().filter(|timed| !timed.rounds.is_empty()).map(|timed| {
        let seconds = timed.pass(pass);
        (timed.side, median(&seconds), [quantile(&seconds, 0.25), quantile(&seconds, 0.75)])
    });
    let medians: Vec<_> = medians.collect();
    let side = |side: Side| measured.sides.iter().find(|timed| timed.side == side);
    let best_of = |is_peer: fn(Side) -> bool| {
        let &(best, theirs, _) =
            medians.iter().filter(|(side, ..)| is_peer(*side)).min_by(|a, b| a.1.total_cmp(&b.1))?;
        let (ours, other) = (side(Side::Ours).filter(|ours| ours.missing.is_none())?, side(best)?);
        let pairs: Vec<f64> = ours.pass(pass).iter().zip(other.pass(pass)).map(|(a, b)| a / b).collect();
        // PyTorch's quickest format and its smallest need not be one; the stricter of the two is the peer.
        let smallest = measured.sides.iter().filter(|t| is_peer(t.side)).filter_map(|t| t.peak_kib).min();
        Some(Ratio {
            side: best,
            paired: median(&pairs),
            of_medians: median(&ours.pass(pass)) / theirs,
            memory: ours.peak_kib.zip(smallest).map(|(a, b)| a as f64 / b as f64),
        })
    };
    let (best, compiled) = (best_of(Side::is_peer), best_of(|side| side == Side::PytorchCompiled));
    Summary { medians, best, compiled }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 0.9995 => format!("{s:.2} s"),
        s if s >= 0.0999 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// Two columns that may be empty.
pub(crate) fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".into(), show)
}

/// `quiet`: whether the figure deserves a verdict.
fn verdict(measured: &Measured, ratio: Option<f64>, target: Option<f64>, quiet: bool) -> String {
    let missing = measured.sides.iter().find_map(|timed| Some((timed.side, timed.missing?)));
    match (ratio, target) {
        (None, Some(target)) if missing.is_some_and(|(side, _)| side == Side::Ours) => {
            format!("≤ {target}: **missed**")
        }
        (Some(_), Some(target)) if !quiet => format!("≤ {target}: machine too busy"),
        (Some(ratio), Some(target)) if ratio <= target => format!("≤ {target}: met"),
        (Some(_), Some(target)) => format!("≤ {target}: **missed**"),
        (None, Some(target)) => format!("≤ {target}"),
        (_, None) => "–".into(),
    }
}

/// Adds a row to a Markdown table.
pub(crate) fn row(table: &mut String, cells: &[String]) {
    // Writing to a string does not fail.
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}

/// Begins a Markdown table: the first column on the left, all others on the right.
pub(crate) fn header(table: &mut String, cells: &[&str]) {
    row(table, &cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>());
    row(
        table,
        &cells.iter().enumerate().map(|(i, _)| if i == 0 { "---" } else { "---:" }.to_owned()).collect::<Vec<_>>(),
    );
}

/// The sides that have a column each.
fn columns(all: &[&Measured]) -> &'static [Side] {
    let has = |side| all.iter().flat_map(|measured| &measured.sides).any(|timed| timed.side == side);
    match (has(Side::PytorchCompiled), has(Side::PytorchNchw) || !has(Side::PytorchChannelsLast)) {
        (true, _) => &[Side::Ours, Side::PytorchChannelsLast, Side::PytorchCompiled],
        (false, true) => &[Side::Ours, Side::PytorchNchw, Side::PytorchChannelsLast],
        (false, false) => &[Side::Ours, Side::PytorchChannelsLast],
    }
}

/// `show` of a side that did the work; a dash, or why it did not.
fn cell<T>(measured: &Measured, side: Side, value: Option<T>, show: impl Fn(T) -> String) -> String {
    let missing = measured.sides.iter().find(|timed| timed.side == side).and_then(|timed| timed.missing);
    missing.map_or_else(|| or_dash(value, show), str::to_owned)
}

/// The whole steps: time, then memory.
pub(crate) fn steps(all: &[&Measured]) -> String {
    let mut table = String::new();
    let columns = columns(all);
    let compiles = columns.contains(&Side::PytorchCompiled);
    let mut words = vec!["work", "ours, median [quartiles]"];
    words.extend(columns[1..].iter().map(|side| side.name()));
    words.extend(["ours ÷ best, paired", "of medians"]);
    words.extend(compiles.then_some("÷ compiled"));
    words.extend(["to reach", "rounds", "taken by others"]);
    header(&mut table, &words);
    for measured in all {
        let summary = summary(measured, 0);
        let of = |&side: &Side| {
            let found = summary.medians.iter().find(|(other, ..)| *other == side);
            cell(measured, side, found, |(_, median, [low, high])| {
                format!("{} [{} – {}]", seconds(*median), seconds(*low), seconds(*high))
            })
        };
        let best = summary.best.as_ref();
        let mut cells = vec![measured.workload.name.clone()];
        cells.extend(columns.iter().map(of));
        cells.push(or_dash(best, |ratio| format!("{:.2} ({})", ratio.paired, short(ratio.side))));
        cells.push(or_dash(best, |ratio| format!("{:.2}", ratio.of_medians)));
        if compiles {
            cells.push(or_dash(summary.compiled.as_ref(), |ratio| format!("{:.2}", ratio.paired)));
        }
        let others = others(std::slice::from_ref(*measured));
        let quiet = others.is_none_or(|others| others <= QUIET);
        cells.push(verdict(measured, best.map(|ratio| ratio.paired), measured.workload.target.time, quiet));
        cells.push(measured.sides[0].rounds.len().to_string());
        cells.push(or_dash(others, |others| format!("{:.0} %", 100.0 * others)));
        row(&mut table, &cells);
    }
    table.push('\n');
    let mut words = vec!["peak memory"];
    words.extend(columns.iter().map(|side| side.name()));
    words.extend([if columns.contains(&Side::PytorchNchw) { "ours ÷ smaller" } else { "ours ÷ eager" }, "to reach"]);
    words.extend(["our estimate", "ours ÷ estimate"]);
    header(&mut table, &words);
    for measured in all {
        let peak = |side: Side| measured.sides.iter().find(|timed| timed.side == side).and_then(|timed| timed.peak_kib);
        let memory = summary(measured, 0).best.and_then(|ratio| ratio.memory);
        let mut cells = vec![measured.workload.name.clone()];
        cells.extend(columns.iter().map(|&side| cell(measured, side, peak(side), gib)));
        cells.push(or_dash(memory, |ratio| format!("{ratio:.2}")));
        cells.push(verdict(measured, memory, measured.workload.target.memory, true));
        cells.push(or_dash(measured.estimate_kib(), gib));
        cells.push(or_dash(measured.of_estimate(), |ratio| format!("{ratio:.2}")));
        row(&mut table, &cells);
    }
    table
}

fn gib(kib: u64) -> String {
    format!("{:.2} GiB", kib as f64 / f64::from(1 << 20))
}

/// What is to be reached, and whether it is, a line each for programs to read; ratios to compiled PyTorch and ours
/// alone beside them.
pub(crate) fn verdicts(all: &[&Measured]) -> String {
    let mut lines = String::new();
    for measured in all {
        let (summary, target) = (summary(measured, 0), measured.workload.target);
        let name = &measured.workload.name;
        let mut line = |what: &str, figure: Option<f64>, target: Option<f64>| {
            let verdict = match (figure, target) {
                (Some(figure), Some(target)) if figure <= target => "met",
                (Some(_), Some(_)) => "missed",
                _ => "–",
            };
            let target = or_dash(target, |target| format!("≤ {target}"));
            let figure = or_dash(figure, |figure| format!("{figure:.2}"));
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{name}\t{what}\t{figure}\t{target}\t{verdict}");
        };
        line("time ÷ PyTorch's", summary.best.as_ref().map(|ratio| ratio.paired), target.time);
        line("memory ÷ PyTorch's", summary.best.as_ref().and_then(|ratio| ratio.memory), target.memory);
        if measured.estimate_kib().is_some() {
            line("memory ÷ estimate", measured.of_estimate(), Some(OF_ESTIMATE));
        }
        if let Some(ratio) = &summary.compiled {
            line("time ÷ compiled PyTorch's", Some(ratio.paired), None);
        }
        if let Some(kib) = measured.sides.iter().find(|timed| timed.side == Side::Ours).and_then(|timed| timed.peak_kib)
        {
            let _ = writeln!(lines, "{name}\tpeak memory\t{}\t–\t–", gib(kib));
        }
        if let Some(passes) = &measured.workload.operations {
            let _ = writeln!(lines, "{name}\toperations\t{:.0} GFLOP\t–\t–", passes.iter().sum::<f64>() / 1e9);
        }
        for timed in &measured.sides {
            let word = timed.missing.map_or_else(|| seconds(median(&timed.pass(0))), str::to_owned);
            let _ = writeln!(lines, "{name}\t{}\t{word}\t–\t–", timed.side.name());
        }
    }
    lines
}

fn short(side: Side) -> &'static str {
    match side {
        Side::Ours => "ours",
        Side::PytorchNchw => "NCHW",
        Side::PytorchChannelsLast => "c-last",
        Side::PytorchCompiled => "compiled",
    }
}

/// Single operations, a row a pass.
pub(crate) fn operations(all: &[&Measured]) -> String {
    let mut table = String::new();
    let columns = columns(all);
    let mut words = vec!["operation", "pass", "ours"];
    words.extend(columns[1..].iter().map(|side| side.name()));
    words.extend(["ours ÷ best, paired", "ours, GFLOP/s", "best PyTorch, GFLOP/s"]);
    header(&mut table, &words);
    for measured in all {
        for (pass, name) in measured.workload.passes.iter().enumerate() {
            let summary = summary(measured, pass);
            let of =
                |side: Side| summary.medians.iter().find(|(other, ..)| *other == side).map(|(_, median, _)| *median);
            let rate = |side: Option<Side>| {
                let operations = measured.workload.operations.as_ref().map(|passes| passes[pass]);
                or_dash(operations.zip(side.and_then(of)), |(operations, seconds)| {
                    format!("{:.0}", operations / seconds / 1e9)
                })
            };
            let mut cells = vec![measured.workload.name.clone(), (*name).to_owned()];
            cells.extend(columns.iter().map(|&side| cell(measured, side, of(side), seconds)));
            let best = summary.best.as_ref();
            cells.push(or_dash(best, |ratio| format!("{:.2} ({})", ratio.paired, short(ratio.side))));
            cells.push(rate(Some(Side::Ours)));
            cells.push(rate(best.map(|ratio| ratio.side)));
            row(&mut table, &cells);
        }
    }
    table
}

/// Every round of everything, one a line.
pub(crate) fn csv(all: &[Measured]) -> String {
    let mut csv = String::from("workload,pass,side,round,seconds,peak_kib\n");
    for measured in all {
        for timed in &measured.sides {
            for (number, round) in timed.rounds.iter().enumerate() {
                for (pass, seconds) in measured.workload.passes.iter().zip(round) {
                    let peak = timed.peak_kib.map(|kib| kib.to_string()).unwrap_or_default();
                    let (name, side) = (&measured.workload.name, timed.side.name());
                    let _ = writeln!(csv, "{name},{pass},{side},{},{seconds},{peak}", number + 1);
                }
            }
        }
    }
    csv
}
