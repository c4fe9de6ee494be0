//! Where the boxes of a drawing stand, and how the edges get from one to the next.

use super::{Drawing, GAP, HEAD, HEIGHT, LANE, MARGIN, ROW};

/// Where everything stands, in pixels.
pub(super) struct Layout {
    /// The upper left corner of each node's box.
    pub(super) place: Vec<(usize, usize)>,
    pub(super) lanes: Vec<Lane>,
    /// Of all boxes.
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A piece of an edge, from one column to the next.
pub(super) struct Lane {
    /// Where it starts, if it comes through a column of boxes.
    pub(super) through: Option<usize>,
    pub(super) from: (usize, usize),
    pub(super) to: (usize, usize),
}

/// Items by layer; in each, near the middle of what they are linked from, so that few links cross.
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
    // Where an item stands in its layer, from 0 to 1.
    let mut height = vec![0.5; layer_of.len()];
    for layer in &mut layers {
        let middle = |item: usize| {
            let read = &inputs[item];
            let sum: f64 = read.iter().map(|&input| height[input]).sum();
            if read.is_empty() { 0.5 } else { sum / read.len() as f64 }
        };
        let mut ranked: Vec<(f64, usize)> = layer.iter().map(|&item| (middle(item), item)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (row, (_, item)) in ranked.iter().enumerate() {
            height[*item] = (row as f64 + 0.5) / ranked.len() as f64;
        }
        *layer = ranked.into_iter().map(|(_, item)| item).collect();
    }
    layers
}

impl Drawing {
    /// Layers from left to right (Sugiyama, Tagawa and Toda 1981). An edge over several layers has a place in each, one
    /// for all such edges of a node, so that it passes between boxes, not behind them.
    pub(super) fn layout(&self) -> Layout {
        let count = self.nodes.len();
        let mut last: Vec<usize> = self.nodes.iter().map(|node| node.layer).collect();
        for &(input, reader) in &self.edges {
            last[input] = last[input].max(self.nodes[reader].layer);
        }
        let passed = |node: usize| last[node].saturating_sub(self.nodes[node].layer + 1);
        // In a long chain whose ends are joined to everything these would be too many: then edges go straight.
        let all: usize = (0..count).map(passed).sum();
        let has_places = all <= 4 * (count + self.edges.len());
        let mut layer_of: Vec<usize> = self.nodes.iter().map(|node| node.layer).collect();
        let mut first = vec![0; count];
        let mut links = Vec::with_capacity(self.edges.len());
        for node in (0..count).filter(|_| has_places) {
            first[node] = layer_of.len();
            for place in 0..passed(node) {
                links.push((if place == 0 { node } else { layer_of.len() - 1 }, layer_of.len()));
                layer_of.push(self.nodes[node].layer + 1 + place);
            }
        }
        for &(input, reader) in &self.edges {
            let span = self.nodes[reader].layer - self.nodes[input].layer;
            links.push((if span > 1 && has_places { first[input] + span - 2 } else { input }, reader));
        }
        let layers = in_layers(&layer_of, &links);
        let widths: Vec<usize> = layers
            .iter()
            .map(|layer| layer.iter().filter_map(|&item| Some(self.nodes.get(item)?.width())).max().unwrap_or(0))
            .collect();
        let tall = |item: usize| if item < count { ROW } else { LANE };
        let heights: Vec<usize> = layers.iter().map(|layer| layer.iter().map(|&item| tall(item)).sum()).collect();
        let height = heights.iter().copied().max().unwrap_or(0);
        let mut place = vec![(0, 0); layer_of.len()];
        let mut x = MARGIN;
        for ((layer, width), own) in layers.iter().zip(&widths).zip(&heights) {
            // Short columns stand in the middle.
            let mut y = HEAD + (height - own) / 2;
            for &item in layer {
                place[item] = (x, y);
                y += tall(item);
            }
            x += width + GAP;
        }
        let middle = |item: usize| place[item].1 + if item < count { HEIGHT } else { LANE } / 2;
        let lanes = links.iter().map(|&(from, to)| {
            let (x, right) = match self.nodes.get(from) {
                Some(node) => (None, place[from].0 + node.width()),
                None => (Some(place[from].0), place[from].0 + widths[layer_of[from]]),
            };
            Lane { through: x, from: (right, middle(from)), to: (place[to].0, middle(to)) }
        });
        let lanes = lanes.collect();
        place.truncate(count);
        Layout { place, lanes, width: x.saturating_sub(MARGIN + GAP), height }
    }
}
