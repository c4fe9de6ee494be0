use super::notes::Below;
use super::*;
use crate::metrics::Confusion;

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

/// A table whose rows were scored on two sets of images with other classes.
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

    Bold: best of its column.

    Mean ± sample standard deviation over seeds.

    Majority class: always answers the most frequent class of the training masks.

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
    *: best of its column.
    Mean ± sample standard deviation over seeds.
    Majority class: always answers the most frequent class of the training masks.
    Left out of the means: defect.
    † Epoch chosen on the test images: these scores are optimistic.
    ");
}

#[test]
fn rows_compare_only_with_rows_on_the_same_images() {
    insta::assert_snapshot!(two_sets().markdown(), @r"
    | method | mIoU (%) | IoU matrix (%) | IoU austenite (%) | IoU background (%) | IoU crack (%) | Dice (%) | pixel accuracy (%) | seeds |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | metaldam a | **72.16** | **81.82** | **62.50** | – | – | **83.46** | **82.35** | 1 |
    | ebc a | **100.00** | – | – | **100.00** | – | **100.00** | **100.00** | 1 |
    | metaldam b | 64.14 | 72.73 | 55.56 | – | – | 77.82 | 76.47 | 1 |
    | ebc b | 25.00 | – | – | 50.00 | 0.00 | 33.33 | 50.00 | 1 |
    | majority class (matrix) | 29.41 | 58.82 | 0.00 | – | – | 37.04 | 58.82 | – |

    Bold: best of its column among the rows scored on the same images.

    Majority class: always answers the most frequent class of the training masks.

    Left out of the means: defect.
    ");
}

#[test]
fn images_that_are_not_for_testing_are_named_and_an_epoch_chosen_on_them_is_marked() {
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
            "† Epoch chosen on the images that are scored: these scores are optimistic."
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
fn a_wide_table_stays_in_80_columns_and_loses_no_number() {
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
fn the_three_forms_hold_the_same_numbers() {
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
