//! The forms in which reports are written.

/// The form of a report's file, which its extension tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileForm {
    /// Numbers for programs.
    Csv,
    /// A table for a repository or a note.
    Markdown,
    /// A table for a paper.
    Latex,
    /// A table for a terminal.
    Text,
    /// A figure of lines and text.
    Svg,
    /// A picture.
    Png,
}

impl FileForm {
    const ALL: [FileForm; 6] =
        [FileForm::Csv, FileForm::Markdown, FileForm::Latex, FileForm::Text, FileForm::Svg, FileForm::Png];

    fn extension(self) -> &'static str {
        match self {
            FileForm::Csv => "csv",
            FileForm::Markdown => "md",
            FileForm::Latex => "tex",
            FileForm::Text => "txt",
            FileForm::Svg => "svg",
            FileForm::Png => "png",
        }
    }

    /// The name of a file of this form, e.g. `table4.csv`.
    pub fn file(self, stem: &str) -> String {
        format!("{stem}.{}", self.extension())
    }

    /// A path without its extension, and the form of the file; `None` for any other extension.
    pub fn of(path: &str) -> Option<(&str, FileForm)> {
        let (stem, extension) = path.rsplit_once('.')?;
        let form = FileForm::ALL.into_iter().find(|form| form.extension() == extension)?;
        Some((stem, form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_extension() {
        for form in FileForm::ALL {
            assert_eq!(FileForm::of(&form.file("a/b.c")), Some(("a/b.c", form)));
        }
        assert_eq!(FileForm::of("a.json"), None);
        assert_eq!(FileForm::of("csv"), None);
    }
}
