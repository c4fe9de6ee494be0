//! Where the boxes of a drawing stand, and how the edges run between them.

use super::node::Node;
use std::collections::BTreeSet;

/// Height of a box, in pixels.
pub(super) const HEIGHT: usize = 62;
/// Height of a box with the room below it.
const ROW: usize = 80;
/// Room between two columns.
pub(super) const GAP: usize = 90;
/// Height that an edge takes where it passes through a column.
const LANE: usize = 22;
pub(super) const MARGIN: usize = 24;
/// Height of title and legend.
pub(super) const HEAD: usize = 64;

/// Where everything stands, in pixels.
pub(super) struct Layout {
    /// The upper left corner of each node's box.
    pub(super) corners: Vec<(usize, usize)>,
    pub(super) lanes: Vec<Lane>,
    /// Width of all columns.
    pub(super) width: usize,
    /// Height of the highest column.
    pub(super) height: usize,
}

/// A piece of an edge, from one column to the next.
pub(super) struct Lane {
    /// Where it starts, if it passes through a column of boxes before.
    pub(super) through: Option<usize>,
    pub(super) from: (usize, usize),
    pub(super) to: (usize, usize),
}

impl Layout {
    /// Layers from left to right (Sugiyama, Tagawa and Toda 1981). An edge over several layers passes between the boxes of the
    /// layers in between; all such edges of one node share a lane.
    pub(super) fn of(nodes: &[Node], edges: &BTreeSet<(usize, usize)>) -> Layout {
        let count = nodes.len();
        let (layer_of, links) = with_lanes(nodes, edges);
        let layers = in_layers(&layer_of, &links);
        let width_of = |item: usize| nodes.get(item).map_or(0, Node::width);
        let height_of = |item: usize| if item < count { ROW } else { LANE };
        let widths: Vec<usize> =
            layers.iter().map(|layer| layer.iter().map(|&item| width_of(item)).max().unwrap_or(0)).collect();
        let heights: Vec<usize> = layers.iter().map(|layer| layer.iter().map(|&item| height_of(item)).sum()).collect();
        let height = heights.iter().copied().max().unwrap_or(0);
        let mut corners = vec![(0, 0); layer_of.len()];
        let mut x = MARGIN;
        for ((layer, width), own) in layers.iter().zip(&widths).zip(&heights) {
            // Short columns are centred.
            let mut y = HEAD + (height - own) / 2;
            for &item in layer {
                corners[item] = (x, y);
                y += height_of(item);
            }
            x += width + GAP;
        }
        let middle = |item: usize| corners[item].1 + if item < count { HEIGHT } else { LANE } / 2;
        let lane = |&(from, to): &(usize, usize)| {
            let left = corners[from].0;
            let (through, right) = match nodes.get(from) {
                Some(node) => (None, left + node.width()),
                None => (Some(left), left + widths[layer_of[from]]),
            };
            Lane { through, from: (right, middle(from)), to: (corners[to].0, middle(to)) }
        };
        let lanes = links.iter().map(lane).collect();
        corners.truncate(count);
        Layout { corners, lanes, width: x.saturating_sub(MARGIN + GAP), height }
    }
}

/// The layer of each node and, after these, of each item that stands for an edge in a layer that it passes; and the links between
/// items of neighbouring layers.
fn with_lanes(nodes: &[Node], edges: &BTreeSet<(usize, usize)>) -> (Vec<usize>, Vec<(usize, usize)>) {
    let mut last: Vec<usize> = nodes.iter().map(|node| node.layer).collect();
    for &(input, reader) in edges {
        last[input] = last[input].max(nodes[reader].layer);
    }
    let passed = |node: usize| last[node].saturating_sub(nodes[node].layer + 1);
    // A long chain whose ends are joined to everything would need too many items: then edges go straight.
    let all: usize = (0..nodes.len()).map(passed).sum();
    let has_lanes = all <= 4 * (nodes.len() + edges.len());
    let mut layer_of: Vec<usize> = nodes.iter().map(|node| node.layer).collect();
    // The first item of each node's lane.
    let mut first = vec![0; nodes.len()];
    let mut links = Vec::with_capacity(edges.len());
    for node in (0..nodes.len()).filter(|_| has_lanes) {
        first[node] = layer_of.len();
        for step in 0..passed(node) {
            links.push((if step == 0 { node } else { layer_of.len() - 1 }, layer_of.len()));
            layer_of.push(nodes[node].layer + 1 + step);
        }
    }
    for &(input, reader) in edges {
        let span = nodes[reader].layer - nodes[input].layer;
        links.push((if span > 1 && has_lanes { first[input] + span - 2 } else { input }, reader));
    }
    (layer_of, links)
}

/// Items by layer. In each, an item is near the mean position of those it is linked from, so that few links cross.
fn in_layers(layer_of: &[usize], links: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let count = layer_of.iter().map(|layer| layer + 1).max().unwrap_or(0);
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (item, &layer) in layer_of.iter().enumerate() {
        layers[layer].push(item);
    }
    let mut inputs: Vec<Vec<usize>> = vec![Vec::new(); layer_of.len()];
    for &(from, to) in links {
        inputs[to].push(from);
    }
    // The position of each item in its layer, from 0 (top) to 1.
    let mut position = vec![0.5; layer_of.len()];
    for layer in &mut layers {
        let mean = |item: usize| {
            let read = &inputs[item];
            let sum: f64 = read.iter().map(|&input| position[input]).sum();
            if read.is_empty() { 0.5 } else { sum / read.len() as f64 }
        };
        let mut ranked: Vec<(f64, usize)> = layer.iter().map(|&item| (mean(item), item)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (row, (_, item)) in ranked.iter().enumerate() {
            position[*item] = (row as f64 + 0.5) / ranked.len() as f64;
        }
        *layer = ranked.into_iter().map(|(_, item)| item).collect();
    }
    layers
}
