use super::*;

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

/// Table 3, with a row that nobody counted.
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
    ");
    insta::assert_snapshot!(corpora().csv().unwrap(), @r"
    ");
}

#[test]
fn splits_stand_beside_the_published_ones() {
    insta::assert_snapshot!(splits().markdown(), @r"
    ");
    insta::assert_snapshot!(splits().csv().unwrap(), @r"
    ");
}

#[test]
fn latex_and_the_terminal_show_the_same() {
    insta::assert_snapshot!(splits().latex(), @r"
    ");
    let text = corpora().terminal();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text, @r"
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
