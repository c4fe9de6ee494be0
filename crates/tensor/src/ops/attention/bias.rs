//! The bias of attention by relative position, from a table and back.
//!
//! For a query in row y, column x of a window and a key in row v, column u, it is element
//! (y - v + s - 1) · (2s - 1) + x - u + s - 1 of the head's table, where s is the side of the windows that the table is for. So for one
//! key, the queries of a row find theirs beside each other.

use crate::ops::host::{Element, filled};
use crate::ops::vector::vectorized;
use rayon::prelude::*;

/// The shape of the tables and of what is made from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positions {
    /// Side of a window.
    pub(super) side: usize,
    /// Side of the windows that the tables are for, not less than `side`.
    pub(super) table_side: usize,
    /// Elements of a row `[queries]`, not fewer than queries.
    pub(super) stride: usize,
}

impl Positions {
    /// Elements of a head's table.
    pub(super) fn table(&self) -> usize {
        (2 * self.table_side - 1).pow(2)
    }

    /// Elements of a head's `[keys, queries]`.
    pub(super) fn scores(&self) -> usize {
        self.side * self.side * self.stride
    }

    /// For each key and each row of queries: where they begin, and where theirs in the table begin.
    #[inline(always)]
    fn lines(self) -> impl Iterator<Item = (usize, usize)> {
        let Positions { side, table_side, stride } = self;
        (0..side * side).flat_map(move |key| {
            let [v, u] = [key / side, key % side];
            (0..side).map(move |y| {
                (key * stride + y * side, (y + table_side - 1 - v) * (2 * table_side - 1) + table_side - 1 - u)
            })
        })
    }

    /// The bias of all heads times `factor`, `[heads, keys, queries]`, from the table `[positions, heads]`. Columns beyond the
    /// queries are 0.
    pub(super) fn spread<T: Element>(&self, table: &[T], heads: usize, factor: T) -> Vec<T> {
        filled(heads * self.scores(), |bias| {
            bias.par_chunks_exact_mut(self.scores()).enumerate().for_each(|(head, bias)| {
                let table: Vec<T> = table.iter().skip(head).step_by(heads).map(|bias| *bias * factor).collect();
                bias.fill(T::zero());
                for (to, from) in self.lines() {
                    bias[to..to + self.side].copy_from_slice(&table[from..from + self.side]);
                }
            });
        })
    }

    /// Adds the gradient of a head's bias to that of its table, in double precision.
    pub(super) fn gather<T: Element>(&self, bias: &[T], table: &mut [f64]) {
        vectorized(
            #[inline(always)]
            || {
                for (from, to) in self.lines() {
                    for (to, from) in table[to..to + self.side].iter_mut().zip(&bias[from..]) {
                        *to += from.widen();
                    }
                }
            },
        );
    }
}
