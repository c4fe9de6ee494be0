//! The graph of stages.

use crate::experiment::Experiment;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// The graph of stages. Nodes are stages by their index in the experiment; edges go from input to reader.
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
    /// On a cycle; the front end rejects cycles.
    pub fn from_edges(nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut graph = DiGraph::with_capacity(nodes, nodes);
        for _ in 0..nodes {
            graph.add_node(());
        }
        for (input, reader) in edges {
            graph.update_edge(NodeIndex::new(input), NodeIndex::new(reader), ());
        }
        let order = toposort(&graph, None).expect("the front end rejects cycles");
        Dag { graph, order: order.into_iter().map(NodeIndex::index).collect() }
    }

    /// Number of stages.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there are no stages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All stages, each after its inputs.
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

    /// For each stage the cost of the most expensive path from it to the end, itself included.
    pub fn remaining(&self, cost: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut ahead = vec![0.0; self.len()];
        for &stage in self.order.iter().rev() {
            ahead[stage] = cost(stage) + self.readers(stage).map(|reader| ahead[reader]).fold(0.0, f64::max);
        }
        ahead
    }

    /// Marks `stages` and all stages they depend on.
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
        assert_eq!(dag.remaining(|stage| if stage == 3 { 5.0 } else { 1.0 }), [6.0, 2.0, 1.0, 5.0]);
        assert_eq!(dag.with_ancestors(&[3]), [true, false, false, true]);
        assert_eq!(dag.inputs(3).collect::<Vec<_>>(), [0]);
    }
}
