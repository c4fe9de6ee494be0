//! Where published data sets come from and what they contain, as far as their publishers say.

/// A published data set. `None` stands for what its publisher does not say.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Name of its format.
    pub format: &'static str,
    /// Its name, publishers and year.
    pub name: &'static str,
    /// Where it is published.
    pub url: &'static str,
    /// Which files to fetch from there, and their folders in the data set's `path`.
    pub fetch: &'static str,
    /// Its size as its publisher states it.
    pub counts: &'static str,
    /// Number of bytes to fetch.
    pub bytes: Option<u64>,
    /// SHA-256 of the file to fetch, in hex.
    pub sha256: Option<&'static str>,
    /// Its licence.
    pub licence: &'static str,
    /// Number of patches in Table 1 of the MatSSL paper (arXiv 2507.18184).
    pub paper_patches: Option<usize>,
    /// Which images the paper uses.
    pub paper: &'static str,
}

/// All published data sets that have a reader.
pub const SOURCES: [Source; 4] = [
    Source {
        format: "metaldam",
        name: "MetalDAM (ArcelorMittal and DaSCI; Luengo et al. 2022)",
        url: "https://github.com/ari-dasci/OD-MetalDAM/releases",
        fetch: "both archives, labelled and unlabelled, unpacked into one folder: images, labels, \
                Additive_unlabeled_publish",
        counts: "42 labelled images, 164 unlabelled ones",
        bytes: None,
        sha256: None,
        licence: "none stated",
        paper_patches: Some(14_566),
        paper: "42 labelled (33 to train, 9 to test) and 178 unlabelled images",
    },
    Source {
        format: "uhcs",
        name: "UltraHigh Carbon Steel micrographs (DeCost et al. 2017)",
        url: "https://hdl.handle.net/11256/940",
        fetch: "micrographs.zip, unpacked into one flat folder, and microstructures.sqlite beside it",
        counts: "961 images",
        bytes: None,
        sha256: None,
        licence: "CC BY 3.0 US",
        paper_patches: Some(15_296),
        paper: "956 images of 645×484, 16 patches each",
    },
    Source {
        format: "aachen",
        name: "Aachen–Heerlen annotated steel microstructures (Iren et al. 2021)",
        url: "https://doi.org/10.6084/m9.figshare.c.5185004",
        fetch: "the png images, nature_scidata_heerlen_aachen_steel_annotations_polygon.csv and \
                nature_scidata_steel_metadata.csv",
        counts: "1,705 images of 1024×768 with 8,909 polygons",
        bytes: None,
        sha256: None,
        licence: "CC0",
        paper_patches: Some(16_836),
        paper: "1,403 images to train, 12 patches each, and 302 to test",
    },
    Source {
        format: "ebc",
        name: "environmental barrier coatings (NASA; Stuckner et al. 2022)",
        url: "https://github.com/nasa/pretrained-microscopy-models",
        fetch: "the folder benchmark_segmentation_data/EBC1, EBC2 or EBC3 as it is: train, train_annot, val, …",
        counts: "EBC1: 18 training, 3 validation, 3 test images; EBC2: 4, 3, 3; EBC3: 15, 3, 6",
        bytes: None,
        sha256: None,
        licence: "MIT",
        paper_patches: None,
        paper: "no pretraining; EBC-3 with 1, 3 and 3 images (Table 3: `preset = \"oneshot\"`), but scored by its authors on the folder EBC3",
    },
];

/// The source of a format's data set; `None` for `folder`.
pub fn source(format: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.format == format)
}
