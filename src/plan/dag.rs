//! The graph of stages.

use crate::experiment::Experiment;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// Who waits for whom. Nodes are stages by their index in the experiment; edges run from input to reader.
#[derive(Clone, Debug)]
pub struct Dag {
    graph: DiGraph<(), ()>,
    order: Vec<usize>,
}

impl Dag {
    /// The graph of an experiment's stages.
    pub fn of(experiment: &Experiment) -> Self {
        let edges = experiment
            .instances
            .iter()
            .enumerate()
            .flat_map(|(reader, instance)| instance.inputs.iter().map(move |input| (input.instance, reader)));
        Dag::from_edges(experiment.instances.len(), edges)
    }

    /// A graph of `nodes` stages with edges (input, reader).
    ///
    /// # Panics
    /// On a cycle: the front end refuses those.
    pub fn from_edges(nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut graph = DiGraph::with_capacity(nodes, nodes);
        for _ in 0..nodes {
            graph.add_node(());
        }
        for (input, reader) in edges {
            graph.update_edge(NodeIndex::new(input), NodeIndex::new(reader), ());
        }
        let order = toposort(&graph, None).expect("the front end lets no cycle through");
        Dag { graph, order: order.into_iter().map(NodeIndex::index).collect() }
    }

    /// Number of stages.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// No stages at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every stage after all that it reads.
    pub fn topological(&self) -> Vec<usize> {
        self.order.clone()
    }

    /// The stages that `stage` reads.
    pub fn inputs(&self, stage: usize) -> impl Iterator<Item = usize> + '_ {
        self.graph.edges_directed(NodeIndex::new(stage), petgraph::Incoming).map(|edge| edge.source().index())
    }

    /// The stages that read `stage`.
    pub fn readers(&self, stage: usize) -> impl Iterator<Item = usize> + '_ {
        self.graph.edges_directed(NodeIndex::new(stage), petgraph::Outgoing).map(|edge| edge.target().index())
    }

    /// For each stage the number of stages on the longest way from it to the end: what to start first.
    pub fn remaining_depth(&self) -> Vec<usize> {
        let mut depth = vec![0; self.len()];
        for &stage in self.order.iter().rev() {
            depth[stage] = 1 + self.readers(stage).map(|reader| depth[reader]).max().unwrap_or(0);
        }
        depth
    }

    /// `stages` and all that they rest on.
    pub fn with_ancestors(&self, stages: &[usize]) -> Vec<bool> {
        let mut wanted = vec![false; self.len()];
        for &stage in stages {
            wanted[stage] = true;
        }
        for &stage in self.order.iter().rev() {
            if wanted[stage] {
                for input in self.inputs(stage).collect::<Vec<_>>() {
                    wanted[input] = true;
                }
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_ancestors_follow_the_edges() {
        // 0 → 1 → 2, 0 → 3
        let dag = Dag::from_edges(4, [(0, 1), (1, 2), (0, 3), (0, 3)]);
        assert_eq!(dag.remaining_depth(), [3, 2, 1, 1]);
        assert_eq!(dag.with_ancestors(&[3]), [true, false, false, true]);
        assert_eq!(dag.inputs(3).collect::<Vec<_>>(), [0]);
    }
}
