//! Notes below a table of data.

use super::holdings::Class;
use super::row::{DataRow, edge_name};
use super::rows::DataTable;
use crate::published::{self, Quantity};
use crate::table::number::thousands;
use matssl_data::patches::Edge;
use std::collections::BTreeMap;

impl DataTable {
    /// One or two sentences each.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.class_notes();
        notes.extend(self.edge_note());
        notes.extend(self.rules_note());
        let mut add = |note: String| {
            if !notes.contains(&note) {
                notes.push(note);
            }
        };
        let published: Vec<_> = self.rows.iter().filter_map(|row| row.published).collect();
        for counts in &published {
            if let Some(source) = published::source(&counts.source) {
                add(format!("Published: {}. {}", source.cite, source.about));
            }
        }
        for counts in &published {
            counts.note.iter().for_each(|note| add(format!("On {}: {note}", counts.dataset)));
        }
        if self.rows.iter().any(DataRow::is_published_only) {
            add("Published only: not counted here.".into());
        }
        notes
    }

    /// The names of classes: one sentence for all rows with the same classes.
    fn class_notes(&self) -> Vec<String> {
        let mut sets: Vec<(&[Class], Vec<&str>)> = Vec::new();
        for row in &self.rows {
            let Some(holdings) = row.holdings.as_ref().filter(|holdings| !holdings.classes.is_empty()) else {
                continue;
            };
            match sets.iter_mut().find(|(classes, _)| *classes == holdings.classes) {
                Some((_, labels)) if labels.contains(&row.label.as_str()) => {}
                Some((_, labels)) => labels.push(&row.label),
                None => sets.push((&holdings.classes[..], vec![&row.label])),
            }
        }
        let name = |(name, ignored): &Class| match ignored {
            true => format!("{name} (left out of means)"),
            false => name.clone(),
        };
        let sentence = |(classes, labels): (&[Class], Vec<&str>)| {
            format!("Classes of {}: {}.", labels.join(", "), classes.iter().map(name).collect::<Vec<_>>().join(", "))
        };
        sets.into_iter().map(sentence).collect()
    }

    /// The meaning of the rules for edges.
    fn edge_note(&self) -> Option<String> {
        let meanings = [
            (Edge::Drop, "drop leaves out the rest that patches do not fill"),
            (Edge::Shift, "shift moves the last patch back to the edge"),
            (Edge::Pad, "pad extends the last patch beyond the edge"),
        ];
        let used = |edge: Edge| self.rows.iter().any(|row| row.cut.is_some_and(|cut| cut.edge == Some(edge)));
        let used: Vec<&str> = meanings.iter().filter(|(edge, _)| used(*edge)).map(|(_, words)| *words).collect();
        (!used.is_empty()).then(|| format!("Edges: {}.", used.join("; ")))
    }

    /// The rules that give the published number of patches. With another number of images, nothing can be concluded.
    fn rules_note(&self) -> Option<String> {
        let mut labels: Vec<&str> = Vec::new();
        let mut giving: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            let (Some(edge), Some(difference)) = (row.cut.and_then(|cut| cut.edge), row.difference(Quantity::Patches))
            else {
                continue;
            };
            if !labels.contains(&row.label.as_str()) {
                labels.push(&row.label);
            }
            let rules = giving.entry(&row.label).or_default();
            if difference == 0 {
                rules.push(edge_name(edge));
            }
        }
        let other_images = |label: &str| {
            let row = self.rows.iter().find(|row| row.label == label)?;
            let (here, there) = (row.count(Quantity::Images)?, row.published(Quantity::Images)?);
            let (here, there) = (thousands(here), thousands(there));
            (here != there).then(|| format!("{label}: not comparable ({here} images here, {there} published)"))
        };
        let each = |label: &&str| match (other_images(label), giving.get(label).map_or(&[][..], Vec::as_slice)) {
            (Some(other), _) => other,
            (None, []) => format!("{label}: none"),
            (None, rules) => format!("{label}: {}", rules.join(", ")),
        };
        let each: Vec<String> = labels.iter().map(each).collect();
        (!each.is_empty()).then(|| format!("Rules that give the published number of patches: {}.", each.join("; ")))
    }
}
