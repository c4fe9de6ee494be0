//! No text makes the front end panic, hang, or change its verdict.

use super::*;
use proptest::prelude::*;

/// Reads the text and renders its errors.
fn judge(text: &str, flags: &[&str]) {
    if let Err(wrong) = parsed(text, flags) {
        assert!(wrong.count() > 0);
        assert!(wrong.render(true).contains("error"));
        assert!(wrong.render(false).starts_with("error"));
    }
}

fn shuffled(text: &str, order: &[usize]) -> String {
    // Blocks are a header and its keys; the head stays first, keys move within their block.
    let mut blocks: Vec<Vec<String>> = vec![Vec::new()];
    let mut depth = 0i32;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let continues = depth > 0;
        if line.starts_with('[') && !continues {
            blocks.push(Vec::new());
        }
        depth += line.matches('[').count() as i32 - line.matches(']').count() as i32;
        let block = blocks.last_mut().unwrap();
        match block.last_mut() {
            Some(last) if continues => *last += &format!("\n{line} # still the same"),
            _ => block.push(line.to_string()),
        }
    }
    let mut turn = order.iter().cycle();
    for block in &mut blocks {
        let header = usize::from(block[0].starts_with('['));
        // The order of a matrix's keys is that of the labels in a name; it stays.
        let keys = &mut block[header..];
        for at in (1..keys.len()).rev() {
            let other = turn.next().unwrap() % (at + 1);
            let matrices = keys[other..=at].iter().filter(|key| key.starts_with("matrix")).count();
            if matrices < 2 {
                keys.swap(at, other);
            }
        }
    }
    blocks.iter().flatten().map(|line| format!("# a comment\n{line} # and another\n\n")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_of_keys_and_comments_change_nothing(order in prop::collection::vec(0usize..1000, 1..40)) {
        prop_assert_eq!(right(&shuffled(TABLE4, &order), &[]), right(TABLE4, &[]));
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        judge(&String::from_utf8_lossy(&bytes), &[]);
    }

    #[test]
    fn toml_like_text_never_panics(text in r#"([a-z]{0,3}|[\[\]{}=.,"'\\#*@ \n\r\u{feff}é]|name|stages|matrix|kind|"ssl\.\*"){0,60}"#) {
        judge(&text, &[]);
        judge(TABLE4, &[&text]);
        judge(TABLE4, &[&format!("stages.ssl.{text}={text}")]);
    }

    #[test]
    fn an_edit_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, r#"[a-z0-9.*"'\[\]{}=,\n #é]{0,6}"#), 1..4),
    ) {
        let mut text: Vec<char> = TABLE4.chars().collect();
        for (start, length, piece) in edits {
            let start = start.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        judge(&text.into_iter().collect::<String>(), &[]);
    }

    #[test]
    fn a_replaced_word_never_panics(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let words: Vec<&str> = TABLE4.split_whitespace().collect();
        let (from, to) = (from.get(&words), to.get(&words));
        judge(&TABLE4.replacen(from, to, 1), &[]);
        judge(&TABLE4.replace(from, to), &[]);
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for text in [
        "a=".to_string() + &"[".repeat(100_000),
        "a.".repeat(100_000) + "a=1",
        "[".to_string() + &"a.".repeat(100_000) + "a]",
    ] {
        judge(&text, &[]);
        judge(TABLE4, &[&text]);
        judge(TABLE4, &[&format!("{}=1", text.replace(['[', '='], ""))]);
    }
}

#[test]
fn a_huge_product_is_refused_before_it_is_built() {
    let list = format!("[{}]", (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    let keys: String = (0..40).map(|n| format!("matrix.k{n} = {list}\n")).collect();
    let text = format!("name = \"x\"\n[stages.s]\nkind = \"synthesize\"\n{keys}");
    assert!(wrong(&text, &[]).contains("the matrix of `s` makes more stages than can be counted"));
}

#[test]
fn of_thousands_of_errors_the_first_are_shown() {
    let text: String = (0..5000).map(|n| format!("[stages.s{n}]\nkind = \"patchfy\"\ndataset = \"x{n}\"\n")).collect();
    let shown = wrong(&text, &[]);
    assert!(shown.ends_with("error: 5001 errors in all (4951 not shown)\n"), "{}", &shown[shown.len() - 100..]);
}

/// `count` stages in chains of ten that take the one before, by its name or by a pattern.
fn many(count: usize, pattern: &str) -> String {
    let family = |n: usize| match (n / 10, n % 10) {
        (chain, 0) => format!("[stages.c{chain}-s0]\nkind = \"synthesize\"\nimages = {n}\n"),
        (chain, 1) => format!("[stages.c{chain}-s1]\nkind = \"patchify\"\ndataset = \"c{chain}-s0\"\nsize = {n}\n"),
        (chain, step) => format!(
            "[stages.c{chain}-s{step}]\nkind = \"pretrain\"\npatches = \"c{chain}-s1{pattern}\"\nmethod = \"matssl\"\n\
             encoder = {{ arch = \"resnet18\" }}\n"
        ),
    };
    "name = \"many\"\n".to_string() + &(0..count).map(family).collect::<String>()
}

#[test]
fn ten_thousand_families_are_read_quickly() {
    let start = std::time::Instant::now();
    assert_eq!(right(&many(10_000, ""), &[]).instances.len(), 10_000);
    // A release build on an idle machine takes a fifteenth of this; quadratic time would be far longer.
    assert!(start.elapsed().as_secs_f64() < if cfg!(debug_assertions) { 20.0 } else { 1.5 });
    assert!(wrong(&many(10_001, ""), &[]).contains("too many stages"));
}

/// `cargo test --release --lib experiment -- --ignored --nocapture how_long`
#[test]
#[ignore = "prints times"]
fn how_long_it_takes_to_read() {
    for (count, pattern) in [(1_000, ""), (10_000, ""), (1_000, "*"), (10_000, "*")] {
        let text = many(count, pattern);
        let mut times: Vec<_> = (0..11)
            .map(|_| {
                let start = std::time::Instant::now();
                let experiment = right(&text, &[]);
                let time = start.elapsed();
                drop(experiment);
                time
            })
            .collect();
        times.sort();
        println!("{count} families, inputs by name{pattern}: {:.2?} (median of 11)", times[5]);
    }
}
