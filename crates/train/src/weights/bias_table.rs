//! Tables of relative position biases for windows of another size.

use candle_core::{DType, Result, Tensor};

/// How the name of such a table ends.
const TABLE: &str = "relative_position_bias_table";
/// Buffers of a Swin transformer that are computed from its sizes and hold nothing that was learnt.
const COMPUTED: [&str; 3] = ["relative_position_index", "attn_mask", "relative_coords_table"];

/// Whether the tensor `name` of a file is computed from the network's sizes, so that it needs not be read.
pub(super) fn is_computed(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| COMPUTED.contains(&last))
}

/// The side of the windows of a table with `rows` rows: (2 side - 1)² = rows.
fn window(rows: usize) -> Option<usize> {
    let side = rows.isqrt();
    (side * side == rows && side % 2 == 1).then_some(side.div_ceil(2))
}

/// The sides of the windows of the file's table and of the network's, if the tensor `name` is a table of biases (`[(2w - 1)²,
/// heads]`) and both differ in nothing else.
pub(super) fn differs_in_window(name: &str, found: &[usize], expected: &[usize]) -> Option<(usize, usize)> {
    let (&[from, heads], &[to, heads2]) = (found, expected) else { return None };
    (name.ends_with(TABLE) && heads == heads2 && from != to).then_some((window(from)?, window(to)?))
}

/// The table `[(2w - 1)², heads]` for windows of the side `to`, interpolated bicubically as `load_pretrained` of
/// `microsoft/Swin-Transformer` (`utils.py`) does: `F.interpolate(mode="bicubic")`, a = -0.75, corners not aligned, no antialiasing.
///
/// # Errors
/// If it is no table of such windows.
pub(super) fn resized(table: &Tensor, to: usize) -> Result<Tensor> {
    let (rows, heads) = table.dims2()?;
    let (from, to) = (rows.isqrt(), 2 * to - 1);
    let values: Vec<f64> = table.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    let taps: Vec<[(usize, f64); 4]> = (0..to).map(|at| cubic(at, from, to)).collect();
    let mut resized = Vec::with_capacity(to * to * heads);
    for (y, x) in (0..to).flat_map(|y| (0..to).map(move |x| (y, x))) {
        resized.extend((0..heads).map(|head| {
            let row = |y: usize| {
                taps[x].iter().map(|(x, weight)| weight * values[(y * from + x) * heads + head]).sum::<f64>()
            };
            taps[y].iter().map(|(y, weight)| weight * row(*y)).sum::<f64>()
        }));
    }
    Tensor::from_vec(resized, (to * to, heads), table.device())?.to_dtype(table.dtype())
}

/// The four places of `from` that make the place `at` of `to`, with their weights (Keys 1981, a = -0.75).
fn cubic(at: usize, from: usize, to: usize) -> [(usize, f64); 4] {
    const A: f64 = -0.75;
    let centre = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let (before, t) = (centre.floor(), centre - centre.floor());
    let near = |d: f64| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f64| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    let place = |tap: usize| (before as isize + tap as isize - 1).clamp(0, from as isize - 1) as usize;
    [0, 1, 2, 3].map(|tap| (place(tap), weights[tap]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn tables_are_known_by_name_and_shape() {
        let name = "layers.0.blocks.1.attn.relative_position_bias_table";
        assert_eq!(differs_in_window(name, &[169, 3], &[225, 3]), Some((7, 8)));
        assert_eq!(differs_in_window(name, &[169, 3], &[169, 3]), None);
        assert_eq!(differs_in_window(name, &[169, 3], &[225, 6]), None);
        assert_eq!(differs_in_window(name, &[170, 3], &[225, 3]), None);
        assert_eq!(differs_in_window("layers.0.blocks.1.attn.qkv.weight", &[169, 3], &[225, 3]), None);
        assert!(is_computed("layers.0.blocks.1.attn_mask") && is_computed("a.attn.relative_position_index"));
        assert!(!is_computed(name));
    }

    /// PyTorch 2.11: `F.interpolate(t.view(1, 1, 3, 3), size=(5, 5), mode="bicubic")` in float64.
    #[test]
    fn they_are_interpolated_as_pytorch_does() {
        let table =
            Tensor::from_vec(vec![0.0, 1.0, 4.0, 2.0, -1.0, 3.0, 5.0, 2.0, -2.0f64], (9, 1), &Device::Cpu).unwrap();
        let found = resized(&table, 3).unwrap();
        assert_eq!(found.dims(), [25, 1]);
        let found: Vec<f64> = found.flatten_all().unwrap().to_vec1().unwrap();
        let expected = [
            -0.32486400000000015,
            0.13590399999999767,
            1.1919999999999997,
            3.068895999999996,
            4.374783999999998,
            0.6129919999999968,
            0.06041599999999576,
            0.007999999999999008,
            2.3942239999999977,
            4.352544000000002,
            2.2879999999999994,
            0.5479999999999984,
            -1.0,
            1.2319999999999984,
            3.3840000000000012,
            4.295647999999995,
            2.7635839999999967,
            0.6919999999999988,
            -0.04902399999999651,
            -0.21110399999999607,
            5.575999999999998,
            4.467296,
            2.2880000000000007,
            -0.8460159999999962,
            -2.9377280000000017,
        ];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        // Two heads side by side are two tables.
        let both = Tensor::cat(&[&table, &(&table * 2.0).unwrap()], 1).unwrap();
        let both: Vec<Vec<f64>> = resized(&both, 3).unwrap().to_vec2().unwrap();
        assert!(both.iter().zip(&found).all(|(row, one)| (row[0] - one).abs() + (row[1] - 2.0 * one).abs() < 1e-12));
    }
}
