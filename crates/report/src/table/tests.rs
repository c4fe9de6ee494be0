use super::notes::Below;
use super::number::number;
use super::*;
use crate::published::PublishedId;
use matssl_metrics::{Averaging, Confusion, Evaluation, Sampled, SelectedOn};
use std::collections::BTreeMap;

mod further;
mod not_run;

/// Three classes, the last left out of the means; `right` of the 100 + 60 pixels of the first two are right.
fn evaluation(right: (u8, u8), selected_on: SelectedOn) -> Evaluation {
    let mut confusion = Confusion::new(3);
    let truth: Vec<u8> = (0..170)
        .map(|i| {
            if i < 100 {
                0
            } else if i < 160 {
                1
            } else {
                2
            }
        })
        .collect();
    let prediction: Vec<u8> = (0..170)
        .map(|i| match i {
            0..100 => u8::from(i >= right.0),
            100..160 => u8::from(i - 100 < right.1),
            _ => 1,
        })
        .collect();
    confusion.add(&truth, &prediction, None).unwrap();
    let classes = ["matrix", "austenite", "defect"].map(String::from);
    Evaluation::new(&confusion, &classes, &[2], &[900, 500, 10], "test", 3, selected_on)
}

fn small() -> Table {
    let several = [(90, 50), (92, 48), (95, 52)].map(|right| evaluation(right, SelectedOn::Val)).to_vec();
    let methods = [
        ("MatSSL".to_owned(), several),
        ("ImageNet|v1".to_owned(), vec![evaluation((91, 51), SelectedOn::Test)]),
        ("random".to_owned(), vec![evaluation((91, 51), SelectedOn::Last)]),
        ("weak".to_owned(), vec![evaluation((0, 60), SelectedOn::Val)]),
    ];
    Table::new(Some("mIoU (%) on made-up steel".into()), &methods).unwrap()
}

/// A table whose rows were scored on two sets of images with different classes.
fn two_sets() -> Table {
    let other = |right: u8| {
        let mut confusion = Confusion::new(2);
        let prediction: Vec<u8> = (0..20).map(|i| u8::from(i >= right)).collect();
        confusion.add(&[0; 20], &prediction, None).unwrap();
        let classes = ["background", "crack"].map(String::from);
        Evaluation::new(&confusion, &classes, &[], &[], "test", 1, SelectedOn::Val)
    };
    let methods = [
        ("metaldam a".to_owned(), vec![evaluation((90, 50), SelectedOn::Val)]),
        ("ebc a".to_owned(), vec![other(20)]),
        ("metaldam b".to_owned(), vec![evaluation((80, 50), SelectedOn::Val)]),
        ("ebc b".to_owned(), vec![other(10)]),
    ];
    Table::new(None, &methods).unwrap()
}

#[test]
fn csv() {
    insta::assert_snapshot!(small().csv().unwrap(), @r"
    method,seeds,selected_on,miou,miou_std,iou_matrix,iou_matrix_std,iou_austenite,iou_austenite_std,dice,dice_std,pixel_accuracy,pixel_accuracy_std
    MatSSL,3,val,74.22,3.84,83.97,3.46,64.46,4.25,84.80,2.55,83.73,2.38
    ImageNet|v1,1,test,74.02,,83.49,,64.56,,84.73,,83.53,
    random,1,last,74.02,,83.49,,64.56,,84.73,,83.53,
    weak,1,val,17.65,,0.00,,35.29,,26.09,,35.29,
    majority class (matrix),,,29.41,,58.82,,0.00,,37.04,,58.82,
    ");
}

#[test]
fn markdown() {
    insta::assert_snapshot!(small().markdown(), @r"
    ### mIoU (%) on made-up steel

    | method | mIoU (%) | IoU matrix (%) | IoU austenite (%) | Dice (%) | pixel accuracy (%) | seeds |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: |
    | MatSSL | **74.22 ± 3.84** | **83.97 ± 3.46** | 64.46 ± 4.25 | **84.80 ± 2.55** | **83.73 ± 2.38** | 3 |
    | ImageNet\|v1 † | 74.02 | 83.49 | **64.56** | 84.73 | 83.53 | 1 |
    | random | 74.02 | 83.49 | **64.56** | 84.73 | 83.53 | 1 |
    | weak | 17.65 | 0.00 | 35.29 | 26.09 | 35.29 | 1 |
    | majority class (matrix) | 29.41 | 58.82 | 0.00 | 37.04 | 58.82 | – |

    Bold: best in its column.

    Mean ± sample standard deviation over seeds.

    Majority class: predicts the most frequent class of the training masks everywhere.

    Left out of the means: defect.

    † Epoch chosen on the test images: these scores are optimistic.
    ");
}

#[test]
fn terminal() {
    insta::assert_snapshot!(small().terminal(), @r"
    mIoU (%) on made-up steel

    ─────────────────────────────────────────────────────────────────────────────
     method                     mIoU     IoU        IoU    Dice     pixel  seeds
                                      matrix  austenite          accuracy
    ─────────────────────────────────────────────────────────────────────────────
     MatSSL                   74.22*  83.97*     64.46   84.80*    83.73*      3
                              ±3.84   ±3.46      ±4.25   ±2.55     ±2.38
     ImageNet|v1 †            74.02   83.49      64.56*  84.73     83.53       1
     random                   74.02   83.49      64.56*  84.73     83.53       1
     weak                     17.65    0.00      35.29   26.09     35.29       1
     majority class (matrix)  29.41   58.82       0.00   37.04     58.82       –
    ─────────────────────────────────────────────────────────────────────────────
    Scores in percent.
    *: best in its column.
    Mean ± sample standard deviation over seeds.
    Majority class: predicts the most frequent class of the training masks
    everywhere.
    Left out of the means: defect.
    † Epoch chosen on the test images: these scores are optimistic.
    ");
}

#[test]
fn rows_are_compared_only_with_rows_on_the_same_images() {
    insta::assert_snapshot!(two_sets().markdown(), @r"
    | method | mIoU (%) | IoU matrix (%) | IoU austenite (%) | IoU background (%) | IoU crack (%) | Dice (%) | pixel accuracy (%) | seeds |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | metaldam a | **72.16** | **81.82** | **62.50** | – | – | **83.46** | **82.35** | 1 |
    | ebc a | **100.00** | – | – | **100.00** | – | **100.00** | **100.00** | 1 |
    | metaldam b | 64.14 | 72.73 | 55.56 | – | – | 77.82 | 76.47 | 1 |
    | ebc b | 25.00 | – | – | 50.00 | 0.00 | 33.33 | 50.00 | 1 |
    | majority class (matrix) | 29.41 | 58.82 | 0.00 | – | – | 37.04 | 58.82 | – |

    Bold: best in its column among the rows scored on the same images.

    Majority class: predicts the most frequent class of the training masks everywhere.

    Left out of the means: defect.
    ");
}

#[test]
fn baselines_of_several_sets_of_images_name_their_set() {
    let of = |right: u8, images: usize| {
        let mut evaluation = evaluation((right, 50), SelectedOn::Val);
        evaluation.images = images;
        vec![evaluation]
    };
    let baselines = |labels: [&str; 4]| {
        let methods = labels.iter().zip([(90, 3), (80, 3), (90, 4), (80, 4)]);
        let methods: Vec<_> =
            methods.map(|(label, (right, images))| ((*label).to_owned(), of(right, images))).collect();
        let table = Table::new(None, &methods).unwrap();
        table.rows[4..].iter().map(|row| row.label.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        baselines(["EBC-1: U-Net++, MicroNet", "EBC-1: U-Net++, MatSSL", "EBC-2: U-Net++, MicroNet", "EBC-2: U-Net++"]),
        ["majority class (matrix), EBC-1", "majority class (matrix), EBC-2"]
    );
    assert_eq!(
        baselines(["test.segment.a.x", "test.segment.a.y", "test.segment.b.x", "test.segment.b.y"]),
        ["majority class (matrix), test.segment.a", "majority class (matrix), test.segment.b"]
    );
    // Nothing in common: the first row stands for its images.
    assert_eq!(
        baselines(["x", "y", "z", "w"]),
        ["majority class (matrix), images of x", "majority class (matrix), images of z"]
    );
    // One baseline needs no more than its class.
    assert_eq!(small().rows.last().unwrap().label, "majority class (matrix)");
}

#[test]
fn other_images_than_test_images_are_named_and_an_epoch_chosen_on_them_is_marked() {
    let on = |split: &str, selected_on| {
        let mut evaluation = evaluation((90, 50), selected_on);
        evaluation.split = split.into();
        evaluation
    };
    let methods = |split: &str| {
        [SelectedOn::Val, SelectedOn::Test].map(|on_| (format!("{on_:?}"), vec![on(split, on_)])).to_vec()
    };
    let val = Table::new(None, &methods("val")).unwrap();
    assert_eq!(val.rows.iter().map(|row| row.marked_label()).take(2).collect::<Vec<_>>(), ["Val †", "Test"]);
    assert_eq!(
        val.notes(Below::Columns("Bold"))[2..],
        [
            "Left out of the means: defect.",
            "Scored on the 3 val images.",
            "† Epoch chosen on the scored images: these scores are optimistic."
        ]
    );
    let mixed = Table::new(None, &[methods("train"), methods("test")].concat()).unwrap();
    let marked: Vec<bool> = mixed.rows.iter().map(|row| row.optimistic).collect();
    assert_eq!(marked[..4], [false, false, false, true]);
    assert!(
        mixed.notes(Below::Terminal).contains(&"Val, Test: scored on the 3 train images.".to_owned()),
        "{:?}",
        mixed.notes(Below::Terminal)
    );
}

#[test]
fn a_wide_table_is_within_80_columns_and_keeps_all_numbers() {
    let names: Vec<String> = (0..12).map(|i| format!("microconstituent-{i}")).collect();
    let labels: Vec<u8> = (0..12).collect();
    let seed = |shift: usize| {
        let mut confusion = Confusion::new(12);
        let mut prediction = labels.clone();
        prediction[shift] = 0;
        confusion.add(&labels, &prediction, None).unwrap();
        Evaluation::new(&confusion, &names, &[], &[1], "test", 1, SelectedOn::Val)
    };
    let label = "segment-metaldam.ssl.matssl.aachen+uhcs".to_owned();
    let table = Table::new(None, &[(label, vec![seed(3), seed(5)]), ("b".into(), vec![seed(4)])]).unwrap();
    let text = table.terminal();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let squeezed: String = text.split_whitespace().collect();
    for cell in table.rows.iter().flat_map(|row| &row.cells).flatten() {
        assert!(squeezed.contains(&number(cell.mean)), "{} is missing in\n{text}", number(cell.mean));
    }
    assert_eq!(text.matches("method").count(), 4, "one block more or less than needed:\n{text}");
}

#[test]
fn csv_markdown_and_terminal_hold_the_same_numbers() {
    let table = small();
    let numbers = |text: &str| {
        let mut numbers: Vec<String> = text
            .split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .filter(|word| word.len() > 3 && word.contains('.') && word.ends_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .collect();
        numbers.sort();
        numbers
    };
    let csv = numbers(&table.csv().unwrap());
    assert!(csv.len() > 20);
    assert_eq!(numbers(&table.markdown()), csv);
    assert_eq!(numbers(&table.terminal()), csv);
}

#[test]
fn seeds_on_different_images_have_no_mean() {
    let mut other = evaluation((90, 50), SelectedOn::Val);
    other.images += 1;
    let methods = [("x".to_owned(), vec![evaluation((90, 50), SelectedOn::Val), other])];
    assert_eq!(Table::new(None, &methods), Err(MixedImages("x".into())));
}

/// Runs of one label: by seed the matrix of each of six images, right in the given share of 50 + 50 pixels.
fn runs(label: &str, shares: &[[u8; 6]]) -> ((String, Vec<Evaluation>), (String, PerImage)) {
    let image = |share: u8| {
        let truth: Vec<u8> = (0..100).map(|i| i / 50).collect();
        let prediction: Vec<u8> = (0..100).map(|i| if i % 50 < share { i / 50 } else { 1 - i / 50 }).collect();
        let mut confusion = Confusion::new(2);
        confusion.add(&truth, &prediction, None).unwrap();
        confusion
    };
    let classes = ["matrix", "pore"].map(String::from);
    let images: Vec<Vec<Confusion>> = shares.iter().map(|seed| seed.map(image).to_vec()).collect();
    let evaluate = |images: &Vec<Confusion>| {
        let mut all = Confusion::new(2);
        images.iter().for_each(|image| all.merge(image));
        Evaluation::new(&all, &classes, &[], &[9, 1], "test", 6, SelectedOn::Val).with_images(images, 4)
    };
    let overlaps = |images: &Vec<Confusion>| images.iter().map(|image| image.overlaps(&[])).collect();
    let sampled = Sampled {
        seeds: (0..shares.len() as u64).map(Some).collect(),
        overlaps: images.iter().map(overlaps).collect(),
    };
    let names = (0..6).map(|i| format!("{i}.png")).collect();
    ((label.to_owned(), images.iter().map(evaluate).collect()), (label.to_owned(), PerImage { images: names, sampled }))
}

fn ids(pairs: &[(&str, &str)]) -> BTreeMap<String, PublishedId> {
    pairs.iter().map(|(label, id)| ((*label).to_owned(), PublishedId::try_from((*id).to_owned()).unwrap())).collect()
}

/// Three methods over two seeds, tested, beside published values.
fn tested(compare_with: Option<&str>) -> Table {
    let (methods, images): (Vec<_>, Vec<_>) = [
        runs("MatSSL", &[[40, 41, 42, 43, 44, 45], [42, 43, 44, 45, 46, 47]]),
        runs("ImageNet_v1", &[[40, 42, 41, 44, 43, 46], [43, 42, 45, 44, 47, 46]]),
        runs("random", &[[30, 31, 32, 33, 34, 35], [31, 32, 33, 34, 35, 36]]),
    ]
    .into_iter()
    .unzip();
    let published = ids(&[
        ("CS-UNet", "table5.ebc-3.cs-unet.micronet+microlite"),
        ("Transformer", "table5.ebc-3.transformer.microlite"),
        ("MatSSL", "table4.metaldam.matssl.aachen+uhcs"),
    ]);
    let table = Table::new(Some("50 % made-up".into()), &methods).unwrap();
    table.with_statistics(&images, compare_with).unwrap().with_published(&published)
}

#[test]
fn tested_csv() {
    assert!(tested(None).terminal().contains("ImageNet_v1 was chosen as the best row"));
    assert!(!tested(Some("MatSSL")).markdown().contains("was chosen as"));
    let csv = tested(None).csv().unwrap();
    let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<BTreeMap<String, String>> = reader
        .records()
        .map(|row| header.iter().map(str::to_owned).zip(row.unwrap().iter().map(str::to_owned)).collect())
        .collect();
    let labels: Vec<&str> = rows.iter().map(|row| row["method"].as_str()).collect();
    assert_eq!(labels, ["MatSSL", "ImageNet_v1", "random", "Transformer", "CS-UNet", "majority class (matrix)"]);
    let value = |row: usize, column: &str| rows[row][column].parse::<f64>().unwrap();
    // The best row is the one that the others are tested against.
    assert_eq!(rows[1]["compared_with"], "", "{csv}");
    assert_eq!([&rows[0]["compared_with"], &rows[2]["compared_with"]], ["ImageNet_v1", "ImageNet_v1"]);
    assert!(value(0, "p_bootstrap") > 0.05, "{csv}");
    // As small as six images allow.
    assert!((value(2, "p_bootstrap") - 2.0 / 64.0).abs() < 1e-12);
    assert_eq!(value(2, "p_bootstrap_holm"), 2.0 * value(2, "p_bootstrap"));
    let differences = ["difference_low", "difference_to_it", "difference_high"].map(|column| value(2, column));
    assert!(differences.is_sorted() && differences[1] < -10.0 && differences[0] < differences[2], "{csv}");
    // The same images and seeds are drawn for both, so a difference varies less than a score.
    let width = |low: &str, high: &str| value(0, high) - value(0, low);
    assert!(width("difference_low", "difference_high") < 0.5 * width("miou_low", "miou_high"), "{csv}");
    for (row, cells) in rows.iter().enumerate().take(3) {
        assert!(value(row, "miou_low") < value(row, "miou") && value(row, "miou") < value(row, "miou_high"), "{csv}");
        assert_eq!(cells["p_wilcoxon"], "", "two seeds are too few");
    }
    assert!((value(0, "difference") - (value(0, "miou") - 69.95)).abs() < 0.011);
    let published: Vec<[&str; 3]> =
        rows.iter().map(|row| ["miou", "published", "published_only"].map(|column| row[column].as_str())).collect();
    assert_eq!(published[3..5], [["", "56.72", "true"], ["", "45.69", "true"]]);
    assert_eq!((published[1][1], published[1][2], rows[5]["published"].as_str()), ("", "false", ""));
}

#[test]
fn tested_terminal() {
    let text = tested(Some("MatSSL")).terminal();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text, @r###"
    50 % made-up

    ─────────────────────────────────────────────────────────────────────────
     method                      mIoU  published  difference     IoU     IoU
                                                              matrix    pore
    ─────────────────────────────────────────────────────────────────────────
     MatSSL                    77.05       69.95       +7.10  77.05   77.05
                               ±4.43                          ±4.43   ±4.43
     ImageNet_v1               77.30*          –           –  77.30*  77.30*
                               ±4.07                          ±4.07   ±4.07
     random                    49.26           –           –  49.26   49.26
                               ±1.58                          ±1.58   ±1.58
     Transformer (published        –       56.72           –      –       –
     only)
     CS-UNet (published only)      –       45.69           –      –       –
     majority class (matrix)   25.00           –           –  50.00    0.00
    ─────────────────────────────────────────────────────────────────────────

    ───────────────────────────────────────────────────
     method                      Dice     pixel  seeds
                                       accuracy
    ───────────────────────────────────────────────────
     MatSSL                    87.00     87.00       2
                               ±2.83     ±2.83
     ImageNet_v1               87.17*    87.17*      2
                               ±2.59     ±2.59
     random                    66.00     66.00       2
                               ±1.41     ±1.41
     Transformer (published        –         –       –
     only)
     CS-UNet (published only)      –         –       –
     majority class (matrix)   33.33     50.00       –
    ───────────────────────────────────────────────────
    Scores in percent.
    *: best in its column.
    Mean ± sample standard deviation over seeds.
    95 % intervals of the mIoU (bootstrap over images and seeds, 2,000 resamples):
    MatSSL 71.43 to 82.93; ImageNet_v1 71.43 to 82.93; random 45.99 to 52.67.
    mIoU minus that of MatSSL, 95 % interval from resamples of the same images and
    seeds: ImageNet_v1 +0.25 (-2.14 to +2.19); random -27.78 (-30.64 to -25.09).
    mIoU against MatSSL, paired bootstrap, two-sided, Holm-corrected: ImageNet_v1 p
    = 0.799; random p = 0.062.
    Wilcoxon signed-rank test over seeds: too few common seeds (2; at least 8 are
    needed).
    Majority class: predicts the most frequent class of the training masks
    everywhere.
    Published: MatSSL, arXiv 2507.18184, Table 4.
    Published: MatSSL, arXiv 2507.18184, Table 5, rows taken from CS-UNet (arXiv
    2308.13917, CVPR Workshops 2024).
    On table4.metaldam.matssl.aachen+uhcs: The abstract says 69.13 for MatSSL on
    MetalDAM, but Table 4 has 69.95 and 69.02.
    On table5.ebc-3.transformer.microlite, table5.ebc-3.cs-unet.micronet+microlite:
    One-shot: 1 training image, and the validation and test images of EBC-1 (CS-
    UNet's figure). MatSSL's EBC-3 is another data set: NASA's folder EBC3 with 15
    training images and other test images.
    On table5.ebc-3.transformer.microlite: Which transformer is not published: CS-
    UNet's preprint has Swin-Unet, TransDeepLabV3+ and HiFormer, and the value may
    be one of them or an average. MatSSL cites ViT, which is none of them.
    Published only: not run here.
    "###);
}

#[test]
fn tested_latex() {
    insta::assert_snapshot!(tested(None).latex(), @r###"
    % needs \usepackage{booktabs}
    \begin{table}
    \centering
    \caption{50 \% made-up}
    \begin{tabular}{lrrrrrrrrrr}
    \toprule
    method & mIoU (\%) & 95 \% interval & published (\%) & difference & p & IoU matrix (\%) & IoU pore (\%) & Dice (\%) & pixel accuracy (\%) & seeds \\
    \midrule
    MatSSL & 77.05 $\pm$ 4.43 & [71.43, 82.93] & 69.95 & $+7.10$ & 0.799 & 77.05 $\pm$ 4.43 & 77.05 $\pm$ 4.43 & 87.00 $\pm$ 2.83 & 87.00 $\pm$ 2.83 & 2 \\
    ImageNet\_v1 & \textbf{77.30} $\pm$ 4.07 & [71.43, 82.93] & -- & -- & -- & \textbf{77.30} $\pm$ 4.07 & \textbf{77.30} $\pm$ 4.07 & \textbf{87.17} $\pm$ 2.59 & \textbf{87.17} $\pm$ 2.59 & 2 \\
    random & 49.26 $\pm$ 1.58 & [45.99, 52.67] & -- & -- & 0.062 & 49.26 $\pm$ 1.58 & 49.26 $\pm$ 1.58 & 66.00 $\pm$ 1.41 & 66.00 $\pm$ 1.41 & 2 \\
    Transformer (published only) & -- & -- & 56.72 & -- & -- & -- & -- & -- & -- & -- \\
    CS-UNet (published only) & -- & -- & 45.69 & -- & -- & -- & -- & -- & -- & -- \\
    majority class (matrix) & 25.00 & -- & -- & -- & -- & 50.00 & 0.00 & 33.33 & 50.00 & -- \\
    \bottomrule
    \end{tabular}

    \smallskip
    {\footnotesize
    Bold: best in its column.
    Mean $\pm$ sample standard deviation over seeds.
    95 \% interval of the mIoU: bootstrap over images and seeds, 2,000 resamples.
    p: mIoU against ImageNet\_v1, paired bootstrap, two-sided, Holm-corrected.
    ImageNet\_v1 was chosen as the best row by the same scores that are tested. The tests do not correct for this choice: p is too small. Name a row in compare\_with to avoid it.
    Wilcoxon signed-rank test over seeds: too few common seeds (2; at least 8 are needed).
    Majority class: predicts the most frequent class of the training masks everywhere.
    Published: MatSSL, arXiv 2507.18184, Table 4. U-Net++ with ResNet-50. By the authors' code: images resized to 256 x 256, mIoU as the mean over batches of 128, a class absent from a batch counting 0, MetalDAM without its class 3; the epoch was chosen on the test images, so the values are optimistic.
    Published: MatSSL, arXiv 2507.18184, Table 5, rows taken from CS-UNet (arXiv 2308.13917, CVPR Workshops 2024). Each value is an average over many networks, not one model. Scored on 512 x 512 pixels at (256, 356) of each test image, not resized (by the shapes in CS-UNet's figure). Not published: how they were trained, and whether IoU is of oxide alone (as in NASA's code) or the mean with the rest.
    On table4.metaldam.matssl.aachen+uhcs: The abstract says 69.13 for MatSSL on MetalDAM, but Table 4 has 69.95 and 69.02.
    On table5.ebc-3.transformer.microlite, table5.ebc-3.cs-unet.micronet+microlite: One-shot: 1 training image, and the validation and test images of EBC-1 (CS-UNet's figure). MatSSL's EBC-3 is another data set: NASA's folder EBC3 with 15 training images and other test images.
    On table5.ebc-3.transformer.microlite: Which transformer is not published: CS-UNet's preprint has Swin-Unet, TransDeepLabV3+ and HiFormer, and the value may be one of them or an average. MatSSL cites ViT, which is none of them.
    Published only: not run here.\par}
    \end{table}
    "###);
}

#[test]
fn tested_markdown_has_interval_p_and_published_value_next_to_the_miou() {
    let text = tested(None).markdown();
    let header = "| method | mIoU (%) | 95 % interval | published (%) | difference | p | IoU matrix (%) |";
    assert!(text.contains(header), "{text}");
    assert!(text.contains("| Transformer (published only) | – | – | 56.72 | – | – | – |"), "{text}");
    assert!(
        text.contains("Wilcoxon signed-rank test over seeds: too few common seeds (2; at least 8 are needed)."),
        "{text}"
    );
    assert!(text.contains("\nOn table4.metaldam.matssl.aachen+uhcs: The abstract says 69.13 for MatSSL"), "{text}");
}

#[test]
fn a_named_row_shows_how_much_better_the_others_are() {
    let row = |text: &str, label: &str| text.lines().find(|line| line.contains(label)).unwrap().to_owned();
    let (named, best) = (tested(Some("random")), tested(None));
    let cell = row(&named.markdown(), "| ImageNet");
    assert!(cell.contains(" | +28.04 (+"), "{cell}");
    let cell = row(&named.latex(), "ImageNet");
    assert!(cell.contains(" & $+28.04$ [$+"), "{cell}");
    let note =
        "Paired difference: mIoU minus that of random, 95 % interval from resamples of the same images and seeds.";
    assert!(named.markdown().contains(note), "{}", named.markdown());
    assert!(!best.markdown().contains("aired difference"), "the best row was chosen by the scores");
}

#[test]
fn from_eight_seeds_on_there_is_a_wilcoxon_test() {
    let seeds = |less: u8| (0..8u8).map(|seed| [40 + seed / 2 - less, 41, 42, 43, 44, 45]).collect::<Vec<_>>();
    let (methods, images): (Vec<_>, Vec<_>) = [runs("a", &seeds(0)), runs("b", &seeds(2))].into_iter().unzip();
    let table = Table::new(None, &methods).unwrap().with_statistics(&images, None).unwrap();
    let comparison = table.rows[1].comparison.clone().unwrap();
    assert_eq!((comparison.common_seeds, comparison.with.as_str()), (8, "a"));
    assert!((comparison.wilcoxon.unwrap() - 2.0 / 256.0).abs() < 1e-12, "b is below a with every seed");
    assert!(table.markdown().contains("| p (Wilcoxon) |"));
    let text = table.terminal().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("exact, two-sided, Holm-corrected: b p = 0.008."), "{text}");
}

#[test]
fn a_row_to_compare_with_must_exist() {
    let (method, images) = runs("a", &[[40; 6]]);
    let table = Table::new(None, &[method]).unwrap();
    let refused = table.clone().with_statistics(&[images], Some("b")).unwrap_err();
    assert_eq!(refused.to_string(), "there is no row \"b\" to compare with; there are a");
    // A row alone has an interval and no test, a row without images neither.
    let alone = table.with_statistics(&[], None).unwrap();
    assert_eq!((alone.rows[0].interval, &alone.rows[0].comparison), (None, &None));
    assert!(alone.markdown().contains("No intervals and tests: these need at least two scored images"));
}

#[test]
fn miou_is_averaged_as_requested() {
    let (method, _) = runs("a", &[[10, 20, 30, 40, 50, 50]]);
    let miou = |averaging| {
        let table = Table::averaged(None, std::slice::from_ref(&method), (averaging, 4)).unwrap();
        let mean = |row: usize| table.rows[row].cells[0].unwrap().mean;
        assert_eq!(table.markdown().contains("\nmIoU: mIoU of each "), averaging != Averaging::Pooled);
        (number(mean(0)), number(mean(1)))
    };
    // Shares s of both classes right: IoU s / (2 − s) of each class; the majority is right in half.
    let iou = |share: f64| 100.0 * share / (2.0 - share);
    let shares = [0.2, 0.4, 0.6, 0.8, 1.0, 1.0];
    assert_eq!(miou(Averaging::Pooled), (number(iou(4.0 / 6.0)), "25.00".into()));
    assert_eq!(miou(Averaging::Images), (number(shares.map(iou).iter().sum::<f64>() / 6.0), "25.00".into()));
    assert_eq!(miou(Averaging::Batches), (number((iou(0.5) + iou(1.0)) / 2.0), "25.00".into()));
}
