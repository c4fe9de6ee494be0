//! Rows that should have been run.

use super::*;

#[test]
fn rows_that_were_not_run_say_what_to_fetch_in_every_form() {
    let published =
        ids(&[("CS-UNet", "table5.ebc-3.cs-unet.micronet+microlite"), ("random", "table4.metaldam.imagenet")]);
    let reasons =
        [("CS-UNet", "a.pth from https://x"), ("MicroNet", "b.pth from https://y"), ("Z", "a.pth from https://x")];
    let reasons = reasons.map(|(label, reason)| (label.to_owned(), reason.to_owned())).into();
    let table = small().with_not_run(&reasons).with_published(&published);
    let labels: Vec<String> = table.rows.iter().map(Row::marked_label).collect();
    assert_eq!(labels[4..], ["CS-UNet (not run)", "MicroNet (not run)", "Z (not run)", "majority class (matrix)"]);
    for text in [table.markdown(), table.terminal().split_whitespace().collect::<Vec<_>>().join(" "), table.latex()] {
        assert!(text.contains("Not run: CS-UNet; Z. To be fetched: a.pth from https://x."), "{text}");
        assert!(text.contains("45.69") && !text.contains("Published only"), "{text}");
    }
    let csv = table.csv().unwrap();
    assert!(csv.lines().next().unwrap().ends_with(",published_only,not_run"), "{csv}");
    assert!(csv.contains(",45.69,,table5.ebc-3.cs-unet.micronet+microlite,false,a.pth from https://x\n"), "{csv}");
    // A table without such rows is as it was.
    assert_eq!(small().with_not_run(&BTreeMap::new()), small());
}
