//! Parts of the table: what one test holds, computed when it is first asked for, in the table's order.

use crate::section::{Section, attempt};
use crate::table::{self, Table};
use crate::{methods, networks, ops};
use std::sync::OnceLock;

/// Takes a section that is done.
pub(crate) type Done<'a> = &'a mut dyn FnMut(Section);

/// The sections that `compute` makes, one after the other.
pub(crate) struct Part {
    name: &'static str,
    compute: fn(Done<'_>),
    sections: OnceLock<Vec<Section>>,
}

/// All parts in the table's order: operations, which are the quickest to say what is wrong, then networks, then methods.
pub(crate) fn all() -> Vec<&'static Part> {
    [&ops::PARTS[..], &networks::PARTS, &[&methods::PART]].concat()
}

impl Part {
    pub(crate) const fn new(name: &'static str, compute: fn(Done<'_>)) -> Self {
        Part { name, compute, sections: OnceLock::new() }
    }

    /// Its sections. Where a table is written, all earlier parts are computed first, whichever test asks: so the table
    /// grows in its order, and what a run that is stopped has done by then is in it.
    pub(crate) fn sections(&'static self) -> &'static [Section] {
        match table::written() {
            Some(table) => in_order(&all(), self, table),
            None => self.made(&mut |_| ()),
        }
    }

    /// Computes the sections unless they are there, and tells `each` of every one as it is done.
    fn made(&self, each: &mut dyn FnMut(&Section)) -> &[Section] {
        self.sections.get_or_init(|| {
            let mut sections = Vec::new();
            let mut done = |section: Section| {
                each(&section);
                sections.push(section);
            };
            let outcome = attempt(|| {
                (self.compute)(&mut done);
                Ok::<_, String>(())
            });
            // The rest of the part is lost, and nothing else.
            if let Err(why) = outcome {
                done(Section::failed(self.name, why));
            }
            sections
        })
    }
}

/// The sections of `part`, after those of all of `parts` before it, each written to `table` when it is done.
fn in_order<'a>(parts: &[&'a Part], part: &'a Part, table: &Table) -> &'a [Section] {
    let write = &mut |section: &Section| table.append(section);
    for earlier in parts.iter().take_while(|&&other| !std::ptr::eq(other, part)) {
        earlier.made(write);
    }
    part.made(write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Measured;
    use crate::section::{Held, hold};
    use std::cell::RefCell;
    use std::fs;
    use std::path::PathBuf;

    thread_local! {
        static FILE: RefCell<PathBuf> = RefCell::default();
        static SEEN: RefCell<String> = RefCell::default();
    }

    fn section(name: &str) -> Section {
        let tensor = Measured { name: "y".into(), float64: 1e-15, ours: 1e-7, theirs: 1e-7, limit: 2.0 };
        Section::of::<String>(name, Held::Each, || Ok(vec![tensor]))
    }

    fn operations(done: Done<'_>) {
        done(section("convolution"));
        done(Section::of("pooling", Held::Each, || Err("refused")));
        panic!("a fixture that cannot be read");
    }

    /// What a run that is killed here would leave.
    fn networks(done: Done<'_>) {
        SEEN.set(FILE.with_borrow(|file| fs::read_to_string(file).unwrap()));
        done(section("ResNet"));
    }

    #[test]
    fn the_table_is_written_in_order_section_by_section_whatever_fails_and_whichever_test_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parity.md");
        FILE.set(path.clone());
        let table = Table::create(&path).unwrap();
        let [first, second] = [Part::new("operations", operations), Part::new("networks", networks)];
        let parts = [&first, &second];
        // As the harness does: `networks::` before `ops::`.
        assert_eq!(in_order(&parts, &second, &table).len(), 1);
        let sections = in_order(&parts, &first, &table);
        let [convolution, pooling, rest] = sections else { panic!("{} sections", sections.len()) };
        hold(std::slice::from_ref(convolution));
        assert_eq!(pooling.failed, ["refused"]);
        assert_eq!(
            (rest.name.as_str(), &rest.failed[..]),
            ("operations", &["panicked: a fixture that cannot be read".to_owned()][..])
        );
        let text = fs::read_to_string(&path).unwrap();
        let rows: Vec<&str> = text.lines().skip(2).collect();
        let begins = [
            "| convolution | 1 |",
            "| pooling | failed: refused |",
            "| operations | failed: panicked: a fix",
            "| ResNet | 1 |",
        ];
        assert_eq!(rows.len(), begins.len(), "{text}");
        assert!(rows.iter().zip(begins).all(|(row, begin)| row.starts_with(begin)), "{text}");
        assert_eq!(SEEN.take(), text.lines().take(5).map(|line| format!("{line}\n")).collect::<String>());
    }

    #[test]
    fn operations_come_first_and_methods_last() {
        let names: Vec<&str> = all().iter().map(|part| part.name).collect();
        assert_eq!((names[0], names[names.len() - 1]), ("convolutions", "methods"));
        let place = |name: &str| names.iter().position(|&other| other == name).unwrap();
        assert!(place("losses") < place("encoders"));
    }
}
