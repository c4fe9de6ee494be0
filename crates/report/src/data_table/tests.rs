use super::*;
use crate::published::CountsId;
use matssl_data::Split;
use matssl_data::patches::Edge;
use std::collections::BTreeMap;

fn holdings(
    splits: &[(Split, usize)],
    sizes: &[((usize, usize), usize)],
    classes: &[(&str, bool)],
) -> Option<Holdings> {
    Some(Holdings {
        splits: splits.iter().copied().collect(),
        sizes: sizes.iter().copied().collect(),
        classes: classes.iter().map(|(name, ignored)| ((*name).to_owned(), *ignored)).collect(),
    })
}

fn ids(pairs: &[(&str, &str)]) -> BTreeMap<String, CountsId> {
    pairs.iter().map(|(label, id)| ((*label).to_owned(), CountsId::try_from((*id).to_owned()).unwrap())).collect()
}

/// Table 1 with the published image sizes.
fn corpora() -> DataTable {
    let mut rows = Vec::new();
    for (edge, patches) in [(Edge::Drop, 12), (Edge::Shift, 20)] {
        rows.push(DataRow {
            label: "UHCS".into(),
            holdings: holdings(&[(Split::Unlabeled, 956)], &[((645, 484), 956)], &[]),
            cut: Some(Cut { size: 256, overlap: Some(0.6), edge: Some(edge), patches: 956 * patches }),
            published: None,
        });
    }
    for edge in [Edge::Drop, Edge::Shift] {
        rows.push(DataRow {
            label: "Aachen".into(),
            holdings: holdings(&[(Split::Train, 1403)], &[((1024, 768), 1403)], &[]),
            cut: Some(Cut { size: 256, overlap: Some(0.0), edge: Some(edge), patches: 1403 * 12 }),
            published: None,
        });
    }
    DataTable { title: Some("Corpora".into()), rows }
        .with_published(&ids(&[("UHCS", "table1.uhcs"), ("Aachen", "table1.aachen")]))
}

/// Table 3, with a row that is only published.
fn splits() -> DataTable {
    let all = [(Split::Train, 15), (Split::Val, 3), (Split::Test, 6)];
    let rows = vec![
        DataRow {
            label: "EBC-3".into(),
            holdings: holdings(&all, &[((1024, 1024), 24)], &[("rest", false), ("oxide", false)]),
            cut: None,
            published: None,
        },
        DataRow {
            label: "steel".into(),
            holdings: holdings(
                &all[..1],
                &[((1024, 703), 9), ((1280, 895), 5), ((1024, 702), 1)],
                &[("matrix", false), ("precipitate", true)],
            ),
            cut: None,
            published: None,
        },
    ];
    DataTable { title: None, rows }.with_published(&ids(&[("EBC-3", "table3.ebc-3"), ("Aachen", "table2.aachen")]))
}

#[test]
fn the_rule_that_gives_the_published_count_is_named() {
    insta::assert_snapshot!(corpora().markdown(), @r"
    ### Corpora

    | data set | images | train | unlabelled | image size | patch size | overlap | edge | patches | published images / patches | difference |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | UHCS | 956 | 0 | 956 | 645×484 | 256 | 0.60 | drop | 11,472 | 956 / 15,296 | 0 / -3,824 |
    | UHCS | 956 | 0 | 956 | 645×484 | 256 | 0.60 | shift | 19,120 | 956 / 15,296 | 0 / +3,824 |
    | Aachen | 1,403 | 1,403 | 0 | 1024×768 | 256 | 0.00 | drop | 16,836 | 1,403 / 16,836 | 0 / 0 |
    | Aachen | 1,403 | 1,403 | 0 | 1024×768 | 256 | 0.00 | shift | 16,836 | 1,403 / 16,836 | 0 / 0 |

    Edges: drop leaves out the rest that patches do not fill; shift moves the last patch back to the edge.

    Rules that give the published number of patches: UHCS: none; Aachen: drop, shift.

    Published: MatSSL, arXiv 2507.18184, Table 1. Patches of 256 x 256 pixels; the rule for the rest at an image's edge is not given. Quoted from notes on the paper, not checked against its text.

    On UHCS: 16 patches per image; no rule gives this number for 645 x 484 pixels at an overlap of 0.6. The database lists 961 micrographs.

    On Aachen: 12 patches per image of 1024 x 768 pixels without overlap, with every rule for edges.
    ");
    insta::assert_snapshot!(corpora().csv().unwrap(), @r"
    data_set,images,train,unlabeled,sizes,patch_size,overlap,edge,patches,published_images,difference_images,published_patches,difference_patches,published_id,published_only
    UHCS,956,0,956,645×484,256,0.60,drop,11472,956,0,15296,-3824,table1.uhcs,false
    UHCS,956,0,956,645×484,256,0.60,shift,19120,956,0,15296,3824,table1.uhcs,false
    Aachen,1403,1403,0,1024×768,256,0.00,drop,16836,1403,0,16836,0,table1.aachen,false
    Aachen,1403,1403,0,1024×768,256,0.00,shift,16836,1403,0,16836,0,table1.aachen,false
    ");
}

#[test]
fn with_another_number_of_images_than_published_nothing_is_concluded() {
    let mut table = corpora();
    for row in &mut table.rows[..2] {
        *row.holdings.as_mut().unwrap().splits.get_mut(&Split::Unlabeled).unwrap() = 961;
    }
    let text = table.markdown();
    assert!(text.contains("UHCS: not comparable (961 images here, 956 published); Aachen: drop, shift."), "{text}");
}

#[test]
fn splits_are_next_to_the_published_ones() {
    insta::assert_snapshot!(splits().markdown(), @r"
    | data set | images | train | val | test | image size | classes | published train / val / test | difference |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | EBC-3 | 24 | 15 | 3 | 6 | 1024×1024 | 2 | 1 / 3 / 3 | +14 / 0 / +3 |
    | steel | 15 | 15 | 0 | 0 | 1024×703 (9), 1280×895 (5), 1024×702 (1) | 2 | – | – |
    | Aachen (published only) | – | – | – | – | – | – | 1,403 / – / 302 | – |

    Classes of EBC-3: rest, oxide.

    Classes of steel: matrix, precipitate (left out of means).

    Published: MatSSL, arXiv 2507.18184, Table 3. Only the counts of EBC-3 are quoted in our notes; those of EBC-1 and EBC-2 are missing. Not checked against the paper's text.

    Published: MatSSL, arXiv 2507.18184, on fine-tuning MetalDAM and Aachen. That these counts are in Table 2 is an assumption. Quoted from notes on the paper, not checked against its text; which images are in which split was not published.

    On EBC-3: NASA's folder EBC3, which the authors' code scores, holds 15, 3 and 6 images. 1, 3 and 3 are the counts of CS-UNet's one-shot experiment: one image to train on, and validation and test images of EBC-1.

    Published only: not counted here.
    ");
    insta::assert_snapshot!(splits().csv().unwrap(), @r"
    data_set,images,train,val,test,sizes,classes,published_train,difference_train,published_val,difference_val,published_test,difference_test,published_id,published_only
    EBC-3,24,15,3,6,1024×1024,2,1,14,3,0,3,3,table3.ebc-3,false
    steel,15,15,0,0,1024×703 (9); 1280×895 (5); 1024×702 (1),2,,,,,,,,false
    Aachen,,,,,,,1403,,,,302,,table2.aachen,true
    ");
}

#[test]
fn latex_and_the_terminal_show_the_same() {
    insta::assert_snapshot!(splits().latex(), @r"
    % needs \usepackage{booktabs}
    \begin{table}
    \centering
    \begin{tabular}{lrrrrrrrr}
    \toprule
    data set & images & train & val & test & image size & classes & published train / val / test & difference \\
    \midrule
    EBC-3 & 24 & 15 & 3 & 6 & 1024$\times$1024 & 2 & 1 / 3 / 3 & $+14$ / 0 / $+3$ \\
    steel & 15 & 15 & 0 & 0 & 1024$\times$703 (9), 1280$\times$895 (5), 1024$\times$702 (1) & 2 & -- & -- \\
    Aachen (published only) & -- & -- & -- & -- & -- & -- & 1,403 / -- / 302 & -- \\
    \bottomrule
    \end{tabular}

    \smallskip
    {\footnotesize
    Classes of EBC-3: rest, oxide.
    Classes of steel: matrix, precipitate (left out of means).
    Published: MatSSL, arXiv 2507.18184, Table 3. Only the counts of EBC-3 are quoted in our notes; those of EBC-1 and EBC-2 are missing. Not checked against the paper's text.
    Published: MatSSL, arXiv 2507.18184, on fine-tuning MetalDAM and Aachen. That these counts are in Table 2 is an assumption. Quoted from notes on the paper, not checked against its text; which images are in which split was not published.
    On EBC-3: NASA's folder EBC3, which the authors' code scores, holds 15, 3 and 6 images. 1, 3 and 3 are the counts of CS-UNet's one-shot experiment: one image to train on, and validation and test images of EBC-1.
    Published only: not counted here.\par}
    \end{table}
    ");
    let text = corpora().terminal();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text, @r"
    Corpora

    ───────────────────────────────────────────────────────────────────────────────
     data set  images  train  unlabelled     image  patch  overlap   edge  patches
                                              size   size
    ───────────────────────────────────────────────────────────────────────────────
     UHCS         956      0         956   645×484    256     0.60   drop   11,472
     UHCS         956      0         956   645×484    256     0.60  shift   19,120
     Aachen     1,403  1,403           0  1024×768    256     0.00   drop   16,836
     Aachen     1,403  1,403           0  1024×768    256     0.00  shift   16,836
    ───────────────────────────────────────────────────────────────────────────────

    ──────────────────────────────────────
     data set       published  difference
                      images/
                      patches
    ──────────────────────────────────────
     UHCS        956 / 15,296  0 / -3,824
     UHCS        956 / 15,296  0 / +3,824
     Aachen    1,403 / 16,836       0 / 0
     Aachen    1,403 / 16,836       0 / 0
    ──────────────────────────────────────
    Edges: drop leaves out the rest that patches do not fill; shift moves the last
    patch back to the edge.
    Rules that give the published number of patches: UHCS: none; Aachen: drop,
    shift.
    Published: MatSSL, arXiv 2507.18184, Table 1. Patches of 256 x 256 pixels; the
    rule for the rest at an image's edge is not given. Quoted from notes on the
    paper, not checked against its text.
    On UHCS: 16 patches per image; no rule gives this number for 645 x 484 pixels at
    an overlap of 0.6. The database lists 961 micrographs.
    On Aachen: 12 patches per image of 1024 x 768 pixels without overlap, with every
    rule for edges.
    ");
}

#[test]
fn images_of_several_data_sets_add_up() {
    let mut both = corpora().rows[0].holdings.clone().unwrap();
    both.add(corpora().rows[2].holdings.clone().unwrap());
    both.add(splits().rows[1].holdings.clone().unwrap());
    assert_eq!(both.splits, [(Split::Train, 1403 + 15), (Split::Unlabeled, 956)].into());
    assert_eq!(both.sizes[&(645, 484)], 956);
    assert_eq!(both.classes.len(), 2);
}
