//! Histories of trainings.

use anyhow::Context as _;
use std::collections::BTreeMap;

/// The column that counts epochs.
const EPOCH: &str = "epoch";

/// The values of one column of a `history.csv`, by epoch. Epochs whose value is missing (an empty field) or not finite are left
/// out.
///
/// # Errors
/// If the text is not CSV with the columns `epoch` and `metric`. The message lists the columns that it has.
pub fn read_history(csv: &str, metric: &str) -> anyhow::Result<BTreeMap<u64, f64>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().context("reading the header")?.clone();
    let column = |name: &str| {
        header.iter().position(|field| field == name).with_context(|| {
            let names: Vec<&str> = header.iter().filter(|&field| field != EPOCH).collect();
            format!("there is no column {name:?}; there are {}", names.join(", "))
        })
    };
    let (epoch, value) = (column(EPOCH)?, column(metric)?);
    let mut values = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| record.get(column).unwrap_or_default().trim();
        if field(value).is_empty() {
            continue;
        }
        let number: f64 =
            field(value).parse().with_context(|| format!("line {line}: {:?} is not a number", field(value)))?;
        let epoch = field(epoch).parse().with_context(|| format!("line {line}: {:?} is not an epoch", field(epoch)))?;
        if number.is_finite() {
            values.insert(epoch, number);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_read_and_an_unknown_column_is_refused_with_those_there_are() {
        let csv = "epoch,train_loss,val_miou\n1,0.9,\n2,0.8,0.5\n3,NaN,0.6\n";
        assert_eq!(read_history(csv, "val_miou").unwrap(), BTreeMap::from([(2, 0.5), (3, 0.6)]));
        assert_eq!(read_history(csv, "train_loss").unwrap(), BTreeMap::from([(1, 0.9), (2, 0.8)]));
        let error = read_history(csv, "val_mIoU").unwrap_err().to_string();
        assert_eq!(error, "there is no column \"val_mIoU\"; there are train_loss, val_miou");
        let error = read_history("epoch,a\n1,x\n", "a").unwrap_err().to_string();
        assert_eq!(error, "line 2: \"x\" is not a number");
    }
}
