//! Windows of a grid of tokens, cut from it after a roll (Liu et al., *Swin Transformer*, 2021).

use candle_core::{Result, bail};

/// Attention inside of square windows, as Swin's: `heads` heads, windows of `window` × `window` tokens, on a grid that is rolled
/// by `shift` tokens up and to the left. On a grid whose shorter side is at most `window`, windows have that side and nothing
/// is rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAttention {
    /// Number of heads, which divides the channels.
    pub heads: usize,
    /// Side of a window in tokens.
    pub window: usize,
    /// Tokens by which the grid is rolled, fewer than `window`: 0 or, in every second block, half of it.
    pub shift: usize,
}

/// The windows of a grid, row by row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Of a window.
    pub(super) side: usize,
    pub(super) shift: usize,
}

impl Windows {
    /// Of a grid of `height` × `width` tokens.
    ///
    /// # Errors
    /// If the grid has no whole number of windows, or the shift is not shorter than a window.
    pub(super) fn new([height, width]: [usize; 2], options: &WindowAttention) -> Result<Self> {
        let WindowAttention { window, shift, .. } = *options;
        if window == 0 || shift >= window {
            bail!("window_attention: a shift of {shift} for windows of side {window}; choose one below the side");
        }
        let (side, shift) = match height.min(width) {
            shorter if shorter <= window => (shorter, 0),
            _ => (window, shift),
        };
        if side == 0 || height % side != 0 || width % side != 0 {
            bail!(
                "window_attention: {height} × {width} tokens are no whole number of windows of {side} × {side}; \
                 choose another side of the images or of the windows"
            );
        }
        Ok(Windows { height, width, side, shift })
    }

    /// Number of windows.
    pub(super) fn count(&self) -> usize {
        (self.height / self.side) * (self.width / self.side)
    }

    /// Tokens of a window.
    pub(super) fn tokens(&self) -> usize {
        self.side * self.side
    }

    /// Row and column of a window.
    fn at(&self, window: usize) -> [usize; 2] {
        let across = self.width / self.side;
        [window / across, window % across]
    }

    /// Where the tokens of a window lie in the grid.
    pub(super) fn places(&self, window: usize) -> Vec<usize> {
        let [row, column] = self.at(window).map(|at| at * self.side + self.shift);
        let line =
            |y: usize| (0..self.side).map(move |x| (row + y) % self.height * self.width + (column + x) % self.width);
        (0..self.side).flat_map(line).collect()
    }

    /// The region of each of a window's tokens, from 0 to 3; none where all are in one. Tokens of different regions were apart
    /// before the roll.
    pub(super) fn regions(&self, window: usize) -> Option<Vec<usize>> {
        let [row, column] = self.at(window);
        let (is_last_row, is_last_column) =
            ((row + 1) * self.side == self.height, (column + 1) * self.side == self.width);
        if self.shift == 0 || !(is_last_row || is_last_column) {
            return None;
        }
        let edge = self.side - self.shift;
        let region = |token: usize| {
            let [y, x] = [token / self.side, token % self.side];
            2 * usize::from(is_last_row && y >= edge) + usize::from(is_last_column && x >= edge)
        };
        Some((0..self.tokens()).map(region).collect())
    }

    /// Deals out the tokens of `grids` `[batch, height, width, channels]` to their windows: for each window of each image, runs of
    /// tokens that lie together and the index in the window of the first.
    pub(super) fn deal<'g, T>(&self, grids: &'g mut [T], channels: usize) -> Vec<Vec<(usize, &'g mut [T])>> {
        let images = grids.len() / (self.height * self.width * channels).max(1);
        let across = self.width / self.side;
        let mut windows: Vec<Vec<(usize, &mut [T])>> = Vec::new();
        windows.resize_with(images * self.count(), Vec::new);
        for (line, mut tokens) in grids.chunks_exact_mut(self.width * channels).enumerate() {
            let (image, y) = (line / self.height, (line % self.height + self.height - self.shift) % self.height);
            let first = image * self.count() + y / self.side * across;
            let begin = y % self.side * self.side;
            let mut x = 0;
            while x < self.width {
                let rolled = (x + self.width - self.shift) % self.width;
                let run = (self.side - rolled % self.side).min(self.width - x);
                let (taken, rest) = tokens.split_at_mut(run * channels);
                windows[first + rolled / self.side].push((begin + rolled % self.side, taken));
                tokens = rest;
                x += run;
            }
        }
        windows
    }
}
