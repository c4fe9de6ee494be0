//! CSV, one row a method, means and standard deviations in columns of their own.

use super::{Table, number};
use crate::metrics::SelectedOn;

impl Table {
    /// `method,seeds,selected_on,miou,miou_std,…`: percent, the numbers of the other forms; a score or deviation that
    /// does not exist is empty. The baseline has neither seeds nor a choice of epoch.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header = vec!["method".to_owned(), "seeds".into(), "selected_on".into()];
        for column in &self.columns {
            header.push(column.key.clone());
            header.push(format!("{}_std", column.key));
        }
        writer.write_record(&header)?;
        for row in &self.rows {
            let selected_on = match row.selected_on {
                Some(SelectedOn::Val) => "val",
                Some(SelectedOn::Test) => "test",
                Some(SelectedOn::Last) => "last",
                None => "",
            };
            let mut record =
                vec![row.label.clone(), row.seeds.map(|n| n.to_string()).unwrap_or_default(), selected_on.into()];
            for cell in &row.cells {
                record.push(cell.map(|c| number(c.mean)).unwrap_or_default());
                record.push(cell.and_then(|c| c.std).map(number).unwrap_or_default());
            }
            writer.write_record(&record)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}
