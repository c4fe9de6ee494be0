//! The parity table.

use crate::measure::{Held, Section, together};
use crate::{methods, networks, ops};
use std::fmt::Write as _;

fn markdown(sections: &[Section]) -> String {
    let mut text = String::from(
        "| operation or network | tensors | worst float64 error | float32 error ÷ PyTorch's: worst | median | held to 2 |\n\
         | --- | ---: | ---: | ---: | ---: | --- |\n",
    );
    for section in sections {
        let held = match section.held {
            Held::Each => "each",
            Held::Median => "the median",
            Held::Together(_) => "together",
            Held::Float64 => "float64 only",
        };
        let (name, count) = (&section.name, section.tensors.len());
        let float64 = section.float64();
        let ratios = match section.held {
            Held::Float64 => "– | –".to_owned(),
            _ => format!("{:.2} | {:.2}", section.worst(), section.median()),
        };
        let _ = writeln!(text, "| {name} | {count} | {float64:.1e} | {ratios} | {held} |");
    }
    for (group, ratio) in together(sections) {
        let _ = writeln!(text, "| all networks together, {group} | | | | {ratio:.2} | median |");
    }
    text
}

/// Prints the table, and writes it where `MATSSL_PARITY_TABLE` says.
#[test]
fn table() {
    let text = markdown(&[ops::all(), networks::all(), methods::all()].concat());
    println!("{text}");
    if let Some(path) = std::env::var_os("MATSSL_PARITY_TABLE") {
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
