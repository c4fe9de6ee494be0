//! Confusion matrices as tables: of all images together, and of each image.

use super::Confusion;
use super::file_error::FileError;
use std::io;
use std::path::Path;

impl Confusion {
    /// The table that a stage leaves: pixels, truth down, prediction across.
    pub const FILE: &'static str = "confusion.csv";

    /// Writes [`Confusion::FILE`] into `folder`: `truth,CLASS,…`, a row for each class of the truth.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn write(&self, folder: &Path, classes: &[String]) -> Result<(), FileError> {
        let path = folder.join(Confusion::FILE);
        let write = || -> csv::Result<()> {
            let mut writer = csv::Writer::from_path(&path)?;
            writer.write_record(std::iter::once("truth").chain(classes.iter().map(String::as_str)))?;
            for (truth, class) in classes.iter().enumerate() {
                writer.write_record(std::iter::once(class.clone()).chain(self.row(truth)))?;
            }
            Ok(writer.flush()?)
        };
        write().map_err(|error| FileError::of(&path)(error.into()))
    }

    /// The cells of one class of the truth.
    fn row(&self, truth: usize) -> impl Iterator<Item = String> + '_ {
        (0..self.classes()).map(move |prediction| self.count(truth, prediction).to_string())
    }
}

/// The matrix of each image, with the image's path inside the data set, in the order of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfusions(pub Vec<(String, Confusion)>);

impl ImageConfusions {
    /// The table that a stage leaves.
    pub const FILE: &'static str = "per_image_confusion.csv";

    /// Writes [`ImageConfusions::FILE`] into `folder`: `image,truth,CLASS,…`, the rows of one image after those of another.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn write(&self, folder: &Path, classes: &[String]) -> Result<(), FileError> {
        let path = folder.join(ImageConfusions::FILE);
        let write = || -> csv::Result<()> {
            let mut writer = csv::Writer::from_path(&path)?;
            writer.write_record(["image", "truth"].into_iter().chain(classes.iter().map(String::as_str)))?;
            for (image, confusion) in &self.0 {
                for (truth, class) in classes.iter().enumerate() {
                    writer.write_record([image.clone(), class.clone()].into_iter().chain(confusion.row(truth)))?;
                }
            }
            Ok(writer.flush()?)
        };
        write().map_err(|error| FileError::of(&path)(error.into()))
    }

    /// Reads the file `path`, which [`ImageConfusions::write`] wrote.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be read or has another content.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let read = || -> io::Result<Self> {
            let mut reader = csv::Reader::from_path(path)?;
            let classes = reader.headers()?.len().saturating_sub(2);
            let mut rows: Vec<(String, Vec<u64>)> = Vec::new();
            for record in reader.records() {
                let record = record?;
                let counts = record.iter().skip(2).map(str::parse).collect::<Result<_, _>>().map_err(invalid)?;
                rows.push((record.get(0).unwrap_or_default().to_owned(), counts));
            }
            let matrix = |rows: &[(String, Vec<u64>)]| {
                let counts = rows.iter().flat_map(|(_, counts)| counts.iter().copied()).collect();
                let confusion = Confusion::from_counts(classes, counts);
                let not_square = || invalid(format!("the matrix of {} is not square", rows[0].0));
                Ok((rows[0].0.clone(), confusion.ok_or_else(not_square)?))
            };
            rows.chunks(classes.max(1)).map(matrix).collect::<io::Result<_>>().map(ImageConfusions)
        };
        read().map_err(FileError::of(path))
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(truth: &[u8], prediction: &[u8]) -> Confusion {
        let mut confusion = Confusion::new(2);
        confusion.add(truth, prediction, None).unwrap();
        confusion
    }

    #[test]
    fn tables_have_a_row_for_each_class_and_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let classes = ["matrix", "austenite"].map(String::from);
        let (a, b) = (confusion(&[0, 0, 1], &[0, 1, 1]), confusion(&[1, 1], &[0, 1]));
        a.write(folder.path(), &classes).unwrap();
        assert_eq!(read("confusion.csv"), "truth,matrix,austenite\nmatrix,1,1\naustenite,0,1\n");
        let images = ImageConfusions(vec![("x/a.png".into(), a), ("x/b.png".into(), b)]);
        images.write(folder.path(), &classes).unwrap();
        assert_eq!(
            read("per_image_confusion.csv"),
            "image,truth,matrix,austenite\nx/a.png,matrix,1,1\nx/a.png,austenite,0,1\nx/b.png,matrix,0,0\n\
             x/b.png,austenite,1,1\n"
        );
        let path = folder.path().join(ImageConfusions::FILE);
        assert_eq!(ImageConfusions::read(&path).unwrap(), images);
        for (text, problem) in [
            ("image,truth,a,b\nx.png,a,1,2\n", "per_image_confusion.csv: the matrix of x.png is not square"),
            ("image,truth,a\nx.png,a,one\n", "per_image_confusion.csv: invalid digit found in string"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = ImageConfusions::read(&path).unwrap_err().to_string();
            assert!(error.ends_with(problem), "{error}");
        }
    }
}
