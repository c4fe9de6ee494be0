//! Metadata as microscopes write them, after published files and the readers that are named in each module.

use super::*;
use crate::test_tiff::{TestTiff, Value};
use proptest::prelude::*;
use std::fs;

const FEI: &str = "[User]\r\nDate=03/12/2019\r\nTime=10:22:13 AM\r\nUser=supervisor\r\n\r\n[System]\r\nType=DualBeam\r\n\
    SystemType=Helios G4 UX\r\nDisplayWidth=0.4\r\n\r\n[Beam]\r\nHV=5000\r\nBeam=EBeam\r\n\r\n[EBeam]\r\nHFW=2.0833e-006\r\n\
    WD=0.00412\r\n\r\n[Scan]\r\nInternalScan=true\r\nDwelltime=3e-006\r\nPixelWidth=2.0345e-009\r\nPixelHeight=2.0345e-009\r\n\
    HorFieldsize=2.0833e-006\r\nVerFieldsize=1.7985e-006\r\n\r\n[Image]\r\nDigitalContrast=1\r\nResolutionX=1024\r\n\
    ResolutionY=884\r\n\r\n[PrivateFei]\r\nBitShift=0\r\nDataBarSelected=\r\nDatabarHeight=59\r\n";

/// The first lines have no names. µ is Latin-1.
const ZEISS: &[u8] = b"\r\n0\r\n0\r\n2.635e-008\r\n5\r\n1024\r\nDP_IMAGE_STORE\r\nStore resolution = 1024 * 768\r\n\
    AP_WIDTH\r\nWidth = 27.00 \xb5m\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 26.37 nm\r\nAP_PIXEL_SIZE\r\n\
    Pixel Size = 26.35 nm\r\nAP_MAG\r\nMag = 10.00 K X\r\nAP_DATE\r\nDate :22 Jan 2026\r\n";

const TESCAN: &[u8] =
    b"\x01\x00\x00\x00\xff\xfe\x00\x07[MAIN]\r\nAccFrames=1\r\nCompany=TESCAN\r\nDevice=MIRA3 LMH\r\n\
    ImageStripSize=80\r\nMagnification=5000.0\r\nPixelSizeX=4.1e-008\r\nPixelSizeY=4.1e-008\r\n[SEM]\r\nHV=15000.0\r\n";

const JEOL: &str = "$SEM_DATA_VERSION 1\r\n$CM_FORMAT JEOL-SEM\r\n$CM_MAG 430\r\n$CM_ACCEL_VOLT 15.00\r\n$$SM_WD 10.74\r\n\
    $CM_FULL_SIZE 1280 960\r\n$$SM_MICRON_BAR 180\r\n$$SM_MICRON_MARKER 5um\r\n$CM_TITLE 20190930_001\r\n";

const HITACHI: &str = "[SemImageFile]\r\nInstructName=SU8230\r\nSerialNumber=8230-01\r\nImageName=img.tif\r\n\
    Date=2019/03/12\r\nDataSize=1280x960\r\nPixelSize=9.921875\r\nMagnification=10000\r\nWorkingDistance=8100 um\r\n";

fn with_text(tag: u16, text: &[u8]) -> Vec<u8> {
    TestTiff::flat(4, 3).with(tag, Value::Text(text.into())).bytes()
}

/// The size of a pixel across, and the rows of the bar.
fn found(instrument: &Instrument) -> (Option<f64>, Option<usize>) {
    let rows = match &instrument.bar {
        Bar::Rows(rows) => Some(*rows),
        Bar::Unknown(_) => None,
    };
    (instrument.pixel_size.map(|[across, _]| across), rows)
}

fn reason(instrument: Instrument) -> String {
    match instrument.bar {
        Bar::Unknown(reason) => reason,
        Bar::Rows(rows) => panic!("{rows} rows"),
    }
}

fn fei(text: &str, size: (usize, usize)) -> Instrument {
    read(&with_text(34_682, text.as_bytes()), None, size)
}

#[test]
fn fei_has_metres_and_the_height_of_its_bar() {
    let whole = fei(FEI, (1024, 943));
    assert_eq!(whole.vendor, Some("FEI"));
    assert_eq!(whole.pixel_size, Some([2.0345, 2.0345]));
    assert_eq!(whole.bar, Bar::Rows(59));
    // The older tag, another type of tag, UTF-16, other line ends, decimal commas.
    for bytes in [
        with_text(34_680, FEI.as_bytes()),
        TestTiff::flat(4, 3).with(34_682, Value::Bytes(FEI.into())).bytes(),
        TestTiff::flat(4, 3).with(34_682, Value::Text(FEI.into())).big_endian().bytes(),
        TestTiff::flat(4, 3).with(34_682, Value::Text(FEI.into())).big_tiff().bytes(),
        with_text(34_682, FEI.replace("\r\n", "\n").as_bytes()),
        with_text(34_682, FEI.replace("\r\n", "\r").as_bytes()),
        with_text(34_682, FEI.replace('.', ",").as_bytes()),
        TestTiff::flat(4, 3).with(34_682, Value::Bytes(utf_16(FEI))).bytes(),
    ] {
        assert_eq!(found(&read(&bytes, None, (1024, 943))), (Some(2.0345), Some(59)));
    }
    // Saved without the bar.
    let without = FEI.replace("DatabarHeight=59", "DatabarHeight=0");
    assert_eq!(fei(&without, (1024, 884)).bar, Bar::Rows(0));
    // Only one of the two says how high it is.
    assert_eq!(fei(&FEI.replace("DatabarHeight=59", ""), (1024, 943)).bar, Bar::Rows(59));
    assert_eq!(
        fei("[Scan]\nPixelWidth=1e-9\nPixelHeight=1e-9\n[PrivateFei]\nDatabarHeight=59\n", (96, 943)).bar,
        Bar::Rows(59)
    );
    // They contradict each other, or what is left would be the smaller part.
    assert_eq!(fei(FEI, (1024, 884)).bar, Bar::Rows(0), "saved without its bar");
    assert_eq!(reason(fei(FEI, (1024, 900))), "its FEI metadata say 884 scanned rows and 59 of a bar, and it has 900");
    assert_eq!(reason(fei("[PrivateFei]\nDatabarHeight=59\n", (96, 64))), "its FEI metadata say 59 rows of 64");
    // Without a size of a pixel, from the field.
    let field = FEI.replace("PixelWidth", "x").replace("PixelHeight", "y");
    let [across, down] = fei(&field, (1024, 943)).pixel_size.unwrap();
    assert!((across - 2083.3 / 1024.0).abs() < 1e-9 && (down - 1798.5 / 884.0).abs() < 1e-9, "{across} {down}");
}

#[test]
fn metadata_of_another_width_are_no_size_of_a_pixel() {
    let half = fei(FEI, (512, 471));
    assert_eq!((half.pixel_size, half.vendor), (None, Some("FEI")));
    assert_eq!(half.doubt.as_deref(), Some("its FEI metadata are of an image 1024 pixels wide, and this one has 512"));
    let turned = TestTiff::flat(4, 3).with(34_682, Value::Text(FEI.replace("PixelHeight=2", "PixelHeight=4").into()));
    let turned = turned.with(274, Value::Short(6)).bytes();
    assert_eq!(
        read(&turned, None, (943, 1024)).pixel_size,
        Some([4.0345, 2.0345]),
        "a quarter turn exchanges the sides"
    );
}

#[test]
fn zeiss_has_lengths_with_units() {
    let zeiss = |text: &[u8], size: (usize, usize)| read(&with_text(34_118, text), None, size);
    let image = zeiss(ZEISS, (1024, 768));
    assert_eq!((image.vendor, image.pixel_size), (Some("Zeiss"), Some([26.37, 26.37])));
    assert_eq!(reason(image), "Zeiss draws the info bar over scanned rows, and its metadata do not say over how many");
    assert_eq!(zeiss(ZEISS, (1024, 819)).bar, Bar::Rows(51));
    assert_eq!(zeiss(ZEISS, (512, 384)).pixel_size, None);
    let text = |from: &str, to: &str| ZEISS.iter().copied().map(char::from).collect::<String>().replace(from, to);
    for (written, size) in
        [("26,37 nm", 26.37), ("558.2 pm", 0.5582), ("1.117 µm", 1117.0), ("1.117 μm", 1117.0), ("2 mm", 2e6)]
    {
        let text = text("26.37 nm", written);
        assert_eq!(zeiss(text.as_bytes(), (1024, 768)).pixel_size, Some([size, size]), "{written} in UTF-8");
        if !text.contains('μ') {
            let latin_1: Vec<u8> = text.chars().map(|c| c as u8).collect();
            assert_eq!(zeiss(&latin_1, (1024, 768)).pixel_size, Some([size, size]), "{written} in Latin-1");
        }
    }
    // Older software has only the number without a name, which belongs to a screen of 1024 pixels.
    let old = text("AP_IMAGE_PIXEL_SIZE", "AP_SOMETHING").replace("1024 * 768", "2048 * 1536");
    let [size, _] = zeiss(old.as_bytes(), (2048, 1536)).pixel_size.unwrap();
    assert!((size - 13.175).abs() < 1e-9, "{size}");
    let oldest = "AP_PIXEL_SIZE\r\nPixel Size = 26.35 nm\r\n";
    assert_eq!(zeiss(oldest.as_bytes(), (1024, 768)).pixel_size, Some([26.35, 26.35]));
}

#[test]
fn tescan_has_metres_and_the_height_of_its_strip() {
    let tag = TestTiff::flat(4, 3).with(50_431, Value::Bytes(TESCAN.into())).bytes();
    let image = read(&tag, None, (1024, 1104));
    assert_eq!((image.vendor, found(&image)), (Some("TESCAN"), (Some(41.0), Some(80))));
    let short = b"\x00ImageStripSize=25\nMagnification=500\nPixelSizeX=1e-6\nPixelSizeY=2e-6\n";
    let tag = TestTiff::flat(4, 3).with(50_431, Value::Bytes(short.to_vec())).bytes();
    let image = read(&tag, None, (200, 180));
    assert_eq!((image.pixel_size, image.bar), (Some([1000.0, 2000.0]), Bar::Rows(25)));
    // Beside a png.
    let image = read(b"\x89PNG", Some(&TESCAN[8..]), (1024, 1104));
    assert_eq!(found(&image), (Some(41.0), Some(80)));
}

#[test]
fn jeol_has_a_scale_bar_and_the_scanned_size() {
    let jeol = |text: &[u8], size: (usize, usize)| read(b"BM", Some(text), size);
    let image = jeol(JEOL.as_bytes(), (1280, 1024));
    assert_eq!(image.vendor, Some("JEOL"));
    assert_eq!(image.pixel_size, Some([5000.0 / 180.0; 2]));
    assert_eq!(image.bar, Bar::Rows(64));
    assert_eq!(jeol(JEOL.as_bytes(), (1280, 960)).bar, Bar::Rows(0));
    assert_eq!(jeol(&utf_16(JEOL), (1280, 1024)).pixel_size, Some([5000.0 / 180.0; 2]));
    for (marker, size) in [("500nm", 500.0), ("10µm", 10_000.0), ("1mm", 1e6), ("2.5 um", 2500.0)] {
        let text = JEOL.replace("5um", marker);
        assert_eq!(jeol(text.as_bytes(), (1280, 1024)).pixel_size, Some([size / 180.0; 2]), "{marker}");
    }
    // The bar of a scan of 2560 pixels is given in these pixels (JXA-8530F).
    let large = JEOL.replace("1280 960", "2560 1920").replace("BAR 180", "BAR 91").replace("5um", "10um");
    assert_eq!(jeol(large.as_bytes(), (2560, 2048)).pixel_size, Some([10_000.0 / 91.0; 2]));
    assert_eq!(jeol(large.as_bytes(), (1280, 1024)).pixel_size, None);
}

#[test]
fn hitachi_has_nanometres() {
    let hitachi = |text: &str, size: (usize, usize)| read(b"BM", Some(text.as_bytes()), size);
    let image = hitachi(HITACHI, (1280, 960));
    assert_eq!((image.vendor, image.pixel_size), (Some("Hitachi"), Some([9.921875; 2])));
    assert!(reason(image).starts_with("Hitachi draws the info bar over scanned rows"));
    assert_eq!(hitachi(HITACHI, (1280, 1030)).bar, Bar::Rows(70));
    assert_eq!(hitachi(&HITACHI.replace("9.921875", "24,8"), (1280, 960)).pixel_size, Some([24.8; 2]));
    assert_eq!(hitachi("[SemImageFile]\nPixelSize=24.8\n", (96, 64)).pixel_size, Some([24.8; 2]));
}

#[test]
fn image_j_has_pixels_per_unit() {
    let image_j = |unit: &str, x: (u32, u32), y: (u32, u32)| {
        let description = format!("ImageJ=1.54f\nimages=1\n{unit}\nmin=0.0\nmax=255.0\n");
        let tiff = TestTiff::flat(4, 3).with(270, Value::Text(description.into_bytes()));
        let tiff = tiff.with(282, Value::Fraction(x.0, x.1)).with(283, Value::Fraction(y.0, y.1));
        read(&tiff.with(296, Value::Short(1)).bytes(), None, (4, 3))
    };
    for unit in ["unit=um", "unit=µm", "unit=μm", "unit=\\u00B5m", "unit=micron", "unit=microns"] {
        let image = image_j(unit, (20, 1), (20, 1));
        assert_eq!((image.vendor, image.pixel_size), (Some("ImageJ"), Some([50.0, 50.0])), "{unit}");
    }
    assert_eq!(image_j("unit=nm", (1, 8), (1, 4)).pixel_size, Some([8.0, 4.0]));
    assert_eq!(image_j("unit=nm\nyunit=um", (1, 8), (50, 1)).pixel_size, Some([8.0, 20.0]));
    assert_eq!(image_j("unit=cm", (200_000, 1), (200_000, 1)).pixel_size, Some([50.0, 50.0]));
    assert_eq!(image_j("unit=cm", (11_811, 100), (11_811, 100)), Instrument::unknown(), "300 dpi");
    for unit in ["", "unit=pixel", "unit=inch", "spacing=1"] {
        assert_eq!(image_j(unit, (7000, 1), (7000, 1)), Instrument::unknown(), "{unit}");
    }
}

#[test]
fn ome_has_a_physical_size() {
    let ome = |pixels: &str| {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- Warning --><OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\">\
             <Image ID=\"Image:0\"><Pixels BigEndian=\"true\" DimensionOrder=\"XYCZT\" ID=\"Pixels:0\" {pixels} SizeX=\"4\" \
             SizeY=\"3\" Type=\"uint8\"/></Image></OME>"
        );
        read(&with_text(270, xml.as_bytes()), None, (4, 3)).pixel_size
    };
    assert_eq!(ome(r#"PhysicalSizeX="0.05" PhysicalSizeY="0.05""#), Some([50.0, 50.0]), "µm by default");
    assert_eq!(
        ome(r#"PhysicalSizeX="12.5" PhysicalSizeXUnit="nm" PhysicalSizeY="25" PhysicalSizeYUnit="nm""#),
        Some([12.5, 25.0])
    );
    assert_eq!(ome(r#"PhysicalSizeX="1" PhysicalSizeXUnit="&#181;m""#), Some([1000.0, 1000.0]));
    assert_eq!(ome(r#"PhysicalSizeX="1" PhysicalSizeXUnit="pixel""#), None);
    assert_eq!(ome(r#"PhysicalSizeX="352.7777777777778" PhysicalSizeY="352.7777777777778""#), None, "72 dpi");
    assert_eq!(ome(r#"PhysicalSizeX="84.667" PhysicalSizeY="84.667""#), None, "300 dpi");
    assert_eq!(ome(""), None);
    // An entity is not expanded.
    let bomb = br#"<!DOCTYPE OME [<!ENTITY a "5">]><OME><Pixels PhysicalSizeX="&a;"/></OME>"#;
    assert_eq!(read(&with_text(270, bomb), None, (4, 3)), Instrument::unknown());
}

#[test]
fn a_resolution_for_printing_is_no_size_of_a_pixel() {
    let at = |per_unit: (u32, u32), unit: u16| {
        let tiff = TestTiff::flat(4, 3).with(282, Value::Fraction(per_unit.0, per_unit.1));
        let tiff = tiff.with(283, Value::Fraction(per_unit.0, per_unit.1)).with(296, Value::Short(unit));
        read(&tiff.bytes(), None, (4, 3)).pixel_size
    };
    for dpi in [1, 72, 96, 150, 300, 600, 1200, 2400, 4000, 4800, 7200, 9600, 19_200] {
        assert_eq!(at((dpi, 1), 2), None, "{dpi} dpi");
    }
    assert_eq!(at((11811, 100), 3), None, "300 dpi in cm");
    assert_eq!(at((200_000, 1), 3), Some([50.0, 50.0]), "pixels per cm");
    assert_eq!(at((508_000, 1), 2), Some([50.0, 50.0]), "pixels per inch");
    assert_eq!(at((508_000, 1), 1), None, "no unit");
    assert_eq!(at((0, 0), 2), None);
}

#[test]
fn what_is_in_the_file_comes_before_its_side_file() {
    let tag = with_text(34_118, ZEISS);
    assert_eq!(read(&tag, Some(HITACHI.as_bytes()), (1024, 768)).vendor, Some("Zeiss"));
    let printed = TestTiff::flat(4, 3).with(282, Value::Fraction(508_000, 1)).with(296, Value::Short(2)).bytes();
    assert_eq!(read(&printed, Some(HITACHI.as_bytes()), (1280, 960)).vendor, Some("Hitachi"));
    assert_eq!(read(&printed, None, (1280, 960)).vendor, Some("TIFF resolution"));
}

#[test]
fn side_files_are_found_by_name_and_content() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(root.path().join(name), text).unwrap();
    write("a.txt", JEOL.as_bytes());
    write("B.TXT", &utf_16(HITACHI));
    write("c.tif.txt", HITACHI.as_bytes());
    write("d-png.hdr", TESCAN);
    write("e.txt", b"0 0.5 0.5 0.1 0.1\n");
    write("f.hdr", b"ENVI\nsamples = 5\n");
    write("other.txt", JEOL.as_bytes());
    let images: Vec<_> = ["a.tif", "B.tif", "c.tif", "d.png", "e.jpg", "f.tif", "g.tif"]
        .iter()
        .map(|name| (format!("images/{name}"), root.path().join(name)))
        .collect();
    let found: Vec<String> = side_files(&images).into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, ["images/B.TXT", "images/a.txt", "images/c.tif.txt", "images/d-png.hdr"]);
    let sides = SideFiles::among(found.iter().map(String::as_str));
    let of = |image: &str| sides.of(image);
    assert_eq!(of("images/B.tif"), Some("images/B.TXT"));
    assert_eq!(of("images/c.tif"), Some("images/c.tif.txt"));
    assert_eq!(of("images/d.png"), Some("images/d-png.hdr"));
    assert_eq!([of("images/e.jpg"), of("a.tif"), of("masks/a.tif")], [None; 3]);
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

proptest! {
    /// Damaged files give nothing or something, and no panic.
    #[test]
    fn damaged_metadata_do_not_stop_the_program(
        at in prop::collection::vec((0usize..4000, any::<u8>()), 0..40),
        cut in 0usize..4000,
        which in 0usize..5,
        width in 1usize..2000,
    ) {
        let tiff = TestTiff::flat(4, 3);
        let mut bytes = match which {
            0 => tiff.with(34_682, Value::Text(FEI.into())).bytes(),
            1 => tiff.with(34_118, Value::Text(ZEISS.into())).big_tiff().bytes(),
            2 => tiff.with(50_431, Value::Bytes(TESCAN.into())).big_endian().bytes(),
            3 => tiff.with(270, Value::Text(b"ImageJ=1\nunit=nm\n".to_vec())).with(282, Value::Fraction(1, 8)).bytes(),
            _ => JEOL.into(),
        };
        for (at, value) in at {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        bytes.truncate(cut.max(bytes.len() / 2).min(bytes.len()));
        read(&bytes, Some(&bytes), (width, 943));
    }
}
