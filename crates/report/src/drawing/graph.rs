//! Nodes and edges.

use super::node::{Node, Standing};
use std::collections::{BTreeSet, HashMap};

/// The families of an experiment and what they read of each other.
pub struct Drawing {
    pub(super) title: String,
    pub(super) nodes: Vec<Node>,
    /// (input, reader), each once.
    pub(super) edges: BTreeSet<(usize, usize)>,
    by_family: HashMap<String, usize>,
}

impl Drawing {
    /// A drawing without stages.
    pub fn new(title: impl Into<String>) -> Drawing {
        Drawing { title: title.into(), nodes: Vec::new(), edges: BTreeSet::new(), by_family: HashMap::new() }
    }

    /// Adds a stage that reads stages of the families `inputs` (as returned here), and returns its family's number. Stages are
    /// added after all that they read.
    pub fn add(&mut self, family: &str, kind: &str, standing: Standing, inputs: impl Iterator<Item = usize>) -> usize {
        let node = *self.by_family.entry(family.to_owned()).or_insert_with(|| {
            self.nodes.push(Node { family: family.to_owned(), kind: kind.to_owned(), counts: [0; 4], layer: 0 });
            self.nodes.len() - 1
        });
        self.nodes[node].counts[standing as usize] += 1;
        // All paths to the inputs are known already, so that one pass finds the longest.
        for input in inputs.filter(|input| *input != node) {
            self.nodes[node].layer = self.nodes[node].layer.max(self.nodes[input].layer + 1);
            self.edges.insert((input, node));
        }
        node
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A family with this many stages of each standing.
    pub(in crate::drawing) fn family(
        drawing: &mut Drawing,
        name: &str,
        kind: &str,
        counts: [usize; 4],
        inputs: &[usize],
    ) {
        for (standing, count) in Standing::ALL.into_iter().zip(counts) {
            for _ in 0..count {
                drawing.add(name, kind, standing, inputs.iter().copied());
            }
        }
    }

    pub(in crate::drawing) fn small() -> Drawing {
        let mut drawing = Drawing::new("toy \"&\": 6 stages");
        family(&mut drawing, "micrographs", "synthesize", [1, 0, 0, 0], &[]);
        family(&mut drawing, "ssl", "pretrain", [3, 1, 0, 0], &[0]);
        family(&mut drawing, "tables.a<b", "table", [0, 0, 1, 0], &[0, 1]);
        drawing
    }

    #[test]
    fn stages_are_counted_by_family_and_layers_are_longest_paths() {
        let drawing = small();
        assert_eq!(drawing.nodes.iter().map(|node| node.layer).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(drawing.nodes[1].counts, [3, 1, 0, 0]);
        assert_eq!(drawing.edges, [(0, 1), (0, 2), (1, 2)].into());
        for (at, standing) in Standing::ALL.into_iter().enumerate() {
            assert_eq!(standing as usize, at);
        }
    }
}
