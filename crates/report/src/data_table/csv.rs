//! CSV.

use super::columns::Cell;
use super::row::DataRow;
use super::rows::DataTable;

impl DataTable {
    /// `data_set,images,train,…`: plain numbers; a missing value is empty. Published counts add `published_X` and `difference_X` for
    /// each published quantity X, `published_id` and `published_only`.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut columns = self.counted();
        let compared = self.compared();
        for &quantity in &compared {
            let name = quantity.name();
            let published = |row: &DataRow| row.published(quantity).map(Cell::Count);
            columns.push(self.column(&format!("published_{name}"), "", published));
            let difference = |row: &DataRow| row.difference(quantity).map(Cell::Difference);
            columns.push(self.column(&format!("difference_{name}"), "", difference));
        }
        if !compared.is_empty() {
            let id = |row: &DataRow| Some(Cell::Parts(vec![row.published?.id.clone()]));
            columns.push(self.column("published_id", "", id));
            let only = |row: &DataRow| Some(Cell::Parts(vec![row.is_published_only().to_string()]));
            columns.push(self.column("published_only", "", only));
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["data_set"].into_iter().chain(columns.iter().map(|column| column.key.as_str())))?;
        for (number, row) in self.rows.iter().enumerate() {
            let cells = columns.iter().map(|column| match &column.cells[number] {
                Cell::None => String::new(),
                Cell::Count(count) => count.to_string(),
                Cell::Difference(difference) => difference.to_string(),
                Cell::Parts(parts) => parts.join("; "),
            });
            writer.write_record([row.label.clone()].into_iter().chain(cells))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}
