//! Changes what a model folder says of itself.

use super::description::ModelDescription;
use super::error::ModelWriteError;
use super::folder::{ModelFolder, hash_of};
use super::publish::write_description;
use super::readme::readme;

impl ModelFolder {
    /// Takes the file `name`, which was written into the folder, into `model.json` with its hash, and into `README.md`.
    ///
    /// # Errors
    /// The file cannot be read, or `model.json` cannot be written.
    pub fn add_file(&mut self, name: &str) -> Result<(), ModelWriteError> {
        let file = self.path.join(name);
        let hash = hash_of(&file).map_err(ModelWriteError::io(&file))?;
        self.description.files.insert(name.to_owned(), hash);
        let file = self.path.join(Self::README);
        std::fs::write(&file, readme(&self.description)).map_err(ModelWriteError::io(&file))?;
        self.digest = write_description(&self.path, &self.description)?;
        Ok(())
    }

    /// Gives the folder another description of the same files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn describe_as(&mut self, description: ModelDescription) -> Result<(), ModelWriteError> {
        let description = ModelDescription { files: self.description.files.clone(), ..description };
        if description != self.description {
            let file = self.path.join(Self::README);
            std::fs::write(&file, readme(&description)).map_err(ModelWriteError::io(&file))?;
            self.digest = write_description(&self.path, &description)?;
            self.description = description;
        }
        Ok(())
    }
}
