//! A table of data: what data sets hold, how many patches they give, and what was published about them.

mod columns;
mod csv;
mod forms;
mod holdings;
mod notes;
mod row;
mod rows;
#[cfg(test)]
mod tests;

pub use holdings::{Class, Holdings};
pub use row::{Cut, DataRow};
pub use rows::DataTable;
