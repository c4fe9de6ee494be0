//! The inverse of a small matrix.

/// Smallest pivot: below it, a matrix of probabilities has no inverse that says anything.
const LEAST_PIVOT: f64 = 1e-3;

/// The inverse of the square matrix `rows` by Gauss-Jordan elimination with partial pivoting; `None` if it has none, or nearly so.
pub(super) fn inverse(mut rows: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = rows.len();
    for (index, row) in rows.iter_mut().enumerate() {
        row.extend((0..size).map(|column| if column == index { 1.0 } else { 0.0 }));
    }
    for column in 0..size {
        let pivot = (column..size).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, pivot);
        let value = rows[column][column];
        if value.abs() < LEAST_PIVOT {
            return None;
        }
        rows[column].iter_mut().for_each(|cell| *cell /= value);
        let pivot = rows[column].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|&(index, _)| index != column) {
            let factor = row[column];
            row.iter_mut().zip(&pivot).for_each(|(cell, pivot)| *cell -= factor * pivot);
        }
    }
    Some(rows.into_iter().map(|row| row[size..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let matrix = vec![vec![0.0, 0.7, 0.3], vec![0.9, 0.1, 0.0], vec![0.2, 0.3, 0.5]];
        let inverse = inverse(matrix.clone()).unwrap();
        for (i, row) in matrix.iter().enumerate() {
            let product = |j: usize| row.iter().zip(&inverse).map(|(cell, other)| cell * other[j]).sum::<f64>();
            assert!((0..3).all(|j| (product(j) - if i == j { 1.0 } else { 0.0 }).abs() < 1e-12));
        }
        assert_eq!(super::inverse(vec![vec![0.5, 0.5], vec![0.5, 0.5]]), None);
    }
}
