//! Adds a file to a model folder.

use super::error::ModelWriteError;
use super::folder::{ModelFolder, hash_of};
use super::publish::write_description;

impl ModelFolder {
    /// Takes the file `name`, which was written into the folder, into `model.json` with its hash.
    ///
    /// # Errors
    /// The file cannot be read, or `model.json` cannot be written.
    pub fn add_file(&mut self, name: &str) -> Result<(), ModelWriteError> {
        let file = self.path.join(name);
        let hash = hash_of(&file).map_err(ModelWriteError::io(&file))?;
        self.description.files.insert(name.to_owned(), hash);
        self.digest = write_description(&self.path, &self.description)?;
        Ok(())
    }
}
