//! Connected components in a stream of rows.

use super::Object;
use super::region::Region;
use petgraph::unionfind::UnionFind;
use rstar::RTree;
use rstar::primitives::GeomWithData;

/// Smallest number of labels at which unused ones are dropped.
const LABELS: usize = 512;

/// Finds the objects of one class (connected components, 8 neighbours) in rows of labels that come from top to bottom. It holds
/// the objects and the last row's runs, not the pixels.
///
/// Runs of a row are joined with those of the row above (He, Chao and Suzuki 2008); the sets are petgraph's. Crates that label
/// components (imageproc, and others) need the whole image in memory.
#[derive(Clone, Debug)]
pub struct ObjectMeter {
    class: u8,
    width: usize,
    /// Number of rows so far.
    rows: usize,
    /// Runs of the last row: first column, the column after the last, label.
    open: Vec<(usize, usize, usize)>,
    /// Labels of one component have one root.
    labels: UnionFind<usize>,
    /// By label; those of a component are at its root.
    regions: Vec<Option<Region>>,
    finished: Vec<Region>,
}

impl ObjectMeter {
    /// No rows yet, of an image `width` pixels wide.
    pub fn new(class: u8, width: usize) -> Self {
        let labels = UnionFind::new_empty();
        ObjectMeter { class, width, rows: 0, open: Vec::new(), labels, regions: Vec::new(), finished: Vec::new() }
    }

    /// Adds rows of labels, `[rows, width]`.
    pub fn add(&mut self, labels: &[u8]) {
        if self.width > 0 {
            labels.chunks_exact(self.width).for_each(|row| self.add_row(row));
        }
    }

    fn add_row(&mut self, row: &[u8]) {
        let above = std::mem::take(&mut self.open);
        let mut open = Vec::with_capacity(above.len());
        // The first run above that can still touch a run of this row.
        let mut next = 0;
        let mut column = 0;
        while let Some(start) = row[column..].iter().position(|&label| label == self.class) {
            let from = column + start;
            let to =
                row[from..].iter().position(|&label| label != self.class).map_or(row.len(), |length| from + length);
            column = to;
            let touches_edge = self.rows == 0 || from == 0 || to == self.width;
            let run = Region::run(self.rows, from, to, touches_edge);
            while next < above.len() && above[next].1 < from {
                next += 1;
            }
            let mut label = None;
            for &(_, _, other) in above[next..].iter().take_while(|&&(start, ..)| start <= to) {
                label = Some(match label {
                    None => self.labels.find_mut(other),
                    Some(label) => self.join(label, other),
                });
            }
            let label = match label {
                Some(label) => {
                    self.regions[label].as_mut().expect("a root has a region").merge(&run);
                    label
                }
                None => {
                    self.regions.push(Some(run));
                    self.labels.new_set()
                }
            };
            open.push((from, to, label));
        }
        self.open = open;
        self.rows += 1;
        if self.regions.len() >= LABELS.max(4 * self.open.len()) {
            self.drop_unused();
        }
    }

    /// Makes the components of two labels one, and returns its root.
    fn join(&mut self, a: usize, b: usize) -> usize {
        let (a, b) = (self.labels.find_mut(a), self.labels.find_mut(b));
        if a == b {
            return a;
        }
        self.labels.union(a, b);
        let root = self.labels.find_mut(a);
        let other = if root == a { b } else { a };
        let region = self.regions[other].take().expect("a root has a region");
        self.regions[root].as_mut().expect("a root has a region").merge(&region);
        root
    }

    /// Moves components without an open run to the finished ones, and numbers the others anew.
    fn drop_unused(&mut self) {
        let mut labels = UnionFind::new_empty();
        let mut regions = Vec::new();
        let mut numbers = vec![None; self.regions.len()];
        for run in &mut self.open {
            let root = self.labels.find_mut(run.2);
            run.2 = *numbers[root].get_or_insert_with(|| {
                regions.push(self.regions[root].take());
                labels.new_set()
            });
        }
        self.finished.extend(self.regions.iter().flatten());
        self.labels = labels;
        self.regions = regions;
    }

    /// The objects, in the order of their first pixels by rows. Lengths are in pixels.
    pub fn finish(self) -> Vec<Object> {
        self.finish_in([1.0, 1.0])
    }

    /// The objects, in the order of their first pixels by rows. `pixel` is the size of a pixel, `[across, down]`; lengths are in
    /// its unit.
    pub fn finish_in(mut self, pixel: [f64; 2]) -> Vec<Object> {
        for &(_, _, label) in &self.open {
            let root = self.labels.find_mut(label);
            self.regions[root].as_mut().expect("a root has a region").touches_edge = true;
        }
        self.open.clear();
        self.drop_unused();
        self.finished.sort_unstable_by_key(|region| region.first);
        let mut objects: Vec<Object> = self.finished.iter().map(|region| region.object(pixel)).collect();
        let place = |(index, object): (usize, &Object)| GeomWithData::new(object.centroid, index);
        let tree = RTree::bulk_load(objects.iter().enumerate().map(place).collect());
        for (index, object) in objects.iter_mut().enumerate() {
            // Concentric objects have one centroid, so the first neighbour need not be the object itself.
            let mut neighbours = tree.nearest_neighbor_iter_with_distance_2(object.centroid);
            object.nearest = neighbours.find(|(other, _)| other.data != index).map(|(_, squared)| squared.sqrt());
        }
        objects
    }
}
