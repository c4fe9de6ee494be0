//! What is known of an image from its metadata.

use crate::pixel_size::possible;

/// The statements of one vendor's metadata, not yet held against the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Statements {
    /// The vendor or convention, as a word of a sentence: "FEI".
    pub(super) vendor: &'static str,
    /// The size of a pixel across and down, in nm.
    pub(super) pixel_size: Option<[f64; 2]>,
    /// Columns and rows that were scanned.
    pub(super) scanned: Option<(usize, usize)>,
    /// Rows of the info bar below them.
    pub(super) bar: Option<usize>,
    /// Whether this vendor draws its info bar over the scanned rows. Then an image of as many rows may still have a bar.
    pub(super) draws_over: bool,
}

/// The rows of the info bar at the bottom of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// So many; 0 if the image has none.
    Rows(usize),
    /// The metadata do not say it, for this reason.
    Unknown(String),
}

/// What the metadata of an image say of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instrument {
    /// The vendor or convention, as a word of a sentence; `None` if there are no metadata.
    pub(crate) vendor: Option<&'static str>,
    /// The size of the file's pixels, across and down, in nm.
    pub(crate) pixel_size: Option<[f64; 2]>,
    /// Why there is no `pixel_size`, if there are metadata of one.
    pub(crate) doubt: Option<String>,
    /// The info bar.
    pub(crate) bar: Bar,
}

impl Instrument {
    /// Of an image without metadata.
    pub(super) fn unknown() -> Self {
        let bar = Bar::Unknown("its metadata say nothing of an info bar".into());
        Instrument { vendor: None, pixel_size: None, doubt: None, bar }
    }
}

impl Statements {
    /// Whether the metadata say something.
    pub(super) fn say_something(&self) -> bool {
        self.pixel_size.is_some() || self.scanned.is_some() || self.bar.is_some()
    }

    /// What the statements mean for an image of `width` × `height` pixels. Metadata that belong to an image of another width
    /// (it was scaled or cut afterwards, and the metadata kept) say neither the size of a pixel nor the height of a bar.
    pub(super) fn hold_against(self, (width, height): (usize, usize)) -> Instrument {
        let Statements { vendor, pixel_size, scanned, .. } = self;
        if let Some((columns, _)) = scanned.filter(|(columns, _)| *columns != width) {
            let doubt =
                format!("its {vendor} metadata are of an image {columns} pixels wide, and this one has {width}");
            return Instrument {
                vendor: Some(vendor),
                pixel_size: None,
                doubt: Some(doubt.clone()),
                bar: Bar::Unknown(doubt),
            };
        }
        let pixel_size = pixel_size.filter(|size| size.iter().all(|&size| possible(size).is_some()));
        let bar = match self.bar_rows(height) {
            Ok(rows) if 2 * rows < height => Bar::Rows(rows),
            Ok(rows) => Bar::Unknown(format!("its {vendor} metadata say {rows} rows of {height}")),
            Err(reason) => Bar::Unknown(reason),
        };
        Instrument { vendor: Some(vendor), pixel_size, doubt: None, bar }
    }

    /// The rows of the bar in an image of `height` rows, or why that is not known.
    fn bar_rows(&self, height: usize) -> Result<usize, String> {
        let vendor = self.vendor;
        let rows = self.scanned.map(|(_, rows)| rows);
        match (rows, self.bar) {
            (Some(rows), Some(bar)) if rows + bar == height => Ok(bar),
            // The file was saved without its bar, of which the metadata still have the height.
            (Some(rows), Some(_)) if rows == height && !self.draws_over => Ok(0),
            // Software that leaves the bar out of a file may keep the bar's height of the screen, and the other way round.
            (Some(rows), Some(bar)) if bar > 0 || rows > height => {
                Err(format!("its {vendor} metadata say {rows} scanned rows and {bar} of a bar, and it has {height}"))
            }
            (None, Some(bar)) => Ok(bar),
            (Some(rows), _) if rows > height => {
                Err(format!("its {vendor} metadata say {rows} scanned rows, and it has {height}"))
            }
            (Some(rows), _) if rows == height && self.draws_over => {
                Err(format!("{vendor} draws the info bar over scanned rows, and its metadata do not say over how many"))
            }
            (Some(rows), _) => Ok(height - rows),
            (None, None) => Err(format!("its {vendor} metadata say nothing of an info bar")),
        }
    }
}
