//! A metric over the epochs, as in the paper's Figs. 3 to 6: a line for each method, a band where it has several seeds, a mark at
//! the best epoch; or over the number of labelled images, with a mark at each of these numbers.

// The drawing is our own, not plotters' chart layer. That layer lacks: a legend that avoids the curves or goes below the plot (it
// has nine fixed positions), legend entries with the best value in grey, wrapped titles and shortened labels, dash patterns of
// more than one length (lines must differ in grey, too), and positions between whole pixels. Coordinates, grid and tick labels,
// which it has, take less code here than the backend that would bring them into a `Scene`, where tests check that no texts
// overlap.

mod draw;
mod figure;
mod history;
mod legend;
mod metric;
mod over;
mod plot;
mod series;
mod style;
#[cfg(test)]
mod tests;

pub use figure::Curve;
pub use history::read_history;
pub use over::Over;
pub use series::{Point, Series};
