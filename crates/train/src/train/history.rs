//! `history.csv`: one row per epoch, without times.

use anyhow::{Context, Result, ensure};

/// The numbers of a training so far. Epochs count from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    columns: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl History {
    /// A history without epochs; `columns` come after `epoch`.
    pub fn new(columns: Vec<String>) -> Self {
        History { columns, rows: Vec::new() }
    }

    /// Adds an epoch. Values that were not measured (`None`) or are not finite stay empty.
    ///
    /// # Errors
    /// If the numbers of values and columns differ: an error of the program.
    pub fn push(&mut self, row: Vec<Option<f64>>) -> Result<()> {
        ensure!(row.len() == self.columns.len(), "{} values for {} columns", row.len(), self.columns.len());
        self.rows.push(row.into_iter().map(|value| value.filter(|value| value.is_finite())).collect());
        Ok(())
    }

    /// Number of epochs.
    pub fn epochs(&self) -> usize {
        self.rows.len()
    }

    /// The names of the columns, without `epoch`.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The values of all columns, epoch by epoch.
    pub fn rows(&self) -> impl Iterator<Item = &[Option<f64>]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// The values of one column, one per epoch; `None` if there is no such column.
    pub fn column(&self, name: &str) -> Option<Vec<Option<f64>>> {
        let index = self.columns.iter().position(|column| column == name)?;
        Some(self.rows.iter().map(|row| row[index]).collect())
    }

    /// The file's text. Numbers are the shortest that read back as the same bits.
    ///
    /// # Errors
    /// Never in practice: writing to memory.
    pub fn to_csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(std::iter::once("epoch").chain(self.columns.iter().map(String::as_str)))?;
        for (epoch, row) in self.rows.iter().enumerate() {
            let values = row.iter().map(|value| value.map_or_else(String::new, |value| value.to_string()));
            writer.write_record(std::iter::once((epoch + 1).to_string()).chain(values))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    /// Reads the text of [`History::to_csv`], bit for bit.
    ///
    /// # Errors
    /// If the text is no history.
    pub fn from_csv(text: &str) -> Result<Self> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = reader.headers()?.iter().skip(1).map(str::to_owned).collect();
        let mut history = History::new(columns);
        for record in reader.records() {
            let record = record?;
            let cell = |cell: &str| match cell {
                "" => Ok(None),
                _ => cell.parse().map(Some).with_context(|| format!("`{cell}` in a history")),
            };
            history.push(record.iter().skip(1).map(cell).collect::<Result<_>>()?)?;
        }
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_of_two_epochs() {
        let mut history = History::new(vec!["loss".into(), "iou_a, b".into()]);
        history.push(vec![Some(0.1), None]).unwrap();
        history.push(vec![Some(1e-7), Some(f64::NAN)]).unwrap();
        assert_eq!(history.to_csv().unwrap(), "epoch,loss,\"iou_a, b\"\n1,0.1,\n2,0.0000001,\n");
        assert_eq!(history.column("loss"), Some(vec![Some(0.1), Some(1e-7)]));
        assert!(history.push(vec![None]).is_err());
    }

    proptest! {
        #[test]
        fn reads_back_bit_for_bit(rows in prop::collection::vec((any::<f64>(), prop::option::of(any::<f64>())), 0..5)) {
            let mut history = History::new(vec!["a".into(), "b \"c\"".into()]);
            for (a, b) in rows {
                history.push(vec![Some(a), b]).unwrap();
            }
            prop_assert_eq!(History::from_csv(&history.to_csv().unwrap()).unwrap(), history);
        }
    }
}
