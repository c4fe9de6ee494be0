//! Losses, weights of classes, and augmentation by presets.

use super::*;

fn few(more: &str) -> String {
    format!("{}{more}\n", TOY.replace("epochs = 6", "epochs = 2"))
}

/// The columns of the history whose names are given, row by row.
fn columns(history: &str, names: [&str; 2]) -> [Vec<f64>; 2] {
    let history = History::from_csv(history).unwrap();
    names.map(|name| history.column(name).unwrap().into_iter().flatten().collect())
}

#[test]
fn every_loss_trains_and_validates_with_itself() {
    let (_, dice, _) = run(TOY, &ALL).unwrap();
    let mut seen = vec![dice];
    for loss in [
        "'cross-entropy'",
        "'jaccard'",
        "'lovasz-softmax'",
        "'nasa-dice-bce'",
        "{ name = 'focal', gamma = 1.5 }",
        "{ name = 'tversky', beta = 0.9 }",
        "'focal-tversky'",
        "{ dice = 0.5, cross-entropy = { weight = 0.5, label_smoothing = 0.1 } }",
    ] {
        let (_, history, _) = run(&format!("{TOY}loss = {loss}\n"), &ALL).unwrap();
        let [train, validation] = columns(&history, ["train_loss", "val_loss"]);
        assert!(train[5] < train[0] && validation.iter().all(|loss| loss.is_finite()), "{loss}: {history}");
        assert!(!seen.contains(&history), "{loss}");
        seen.push(history);
    }
}

#[test]
fn weights_of_classes_change_the_model_and_equal_ones_do_not() {
    let with = |more: &str| run(&few(&format!("loss = 'cross-entropy'\n{more}")), &ALL).unwrap();
    let (plain, history, _) = with("");
    let [losses, validation] = columns(&history, ["train_loss", "val_loss"]);
    for more in ["'inverse'", "'effective'", "{ bright = 3.0 }"] {
        let (model, history, _) = with(&format!("class_weights = {more}"));
        let [_, weighted] = columns(&history, ["train_loss", "val_loss"]);
        assert!(model != plain && weighted != validation, "{more}");
    }
    // The same loss up to rounding.
    let (_, history, _) = with("class_weights = { dark = 2.0, bright = 2.0 }");
    let [same, _] = columns(&history, ["train_loss", "val_loss"]);
    assert!((same[0] - losses[0]).abs() < 1e-5, "{same:?} {losses:?}");
    // A class without weight costs nothing: the rest is easy.
    let long =
        |more: &str| columns(&run(&format!("{TOY}loss = 'cross-entropy'\n{more}"), &ALL).unwrap().1, ["train_loss"; 2]);
    let ([both, _], [dark, _]) = (long(""), long("class_weights = { bright = 0.0 }\n"));
    assert!(dark[5] < both[5], "{dark:?} {both:?}");
}

#[test]
fn losses_that_do_not_fit_are_refused() {
    for (more, expected) in [
        ("loss = 'dicee'", "dice"),
        ("loss = { name = 'focal', gamma = -1.0 }", "`gamma` of the loss focal is -1.0; expected 0 to 10"),
        ("loss = { dice = 0.0 }", "the weight of the loss dice is 0.0; expected a number above 0"),
        ("loss = { dise = 0.5 }", "dise"),
        ("class_weights = 'invers'", "inverse"),
        ("class_weights = {}", "an empty table weighs no class"),
        ("class_weights = { dark = -2 }", "the weight of dark is -2; expected 0 or more"),
        (
            "loss = 'nasa-dice-bce'\nclass_weights = 'inverse'",
            "the loss nasa-dice-bce has no class weights: leave them",
        ),
    ] {
        let error = refused::<Finetune>(&few(more));
        assert!(error.contains(expected), "{more}: {error}");
    }
    let error = run(&few("class_weights = { drak = 2 }"), &ALL).unwrap_err().to_string();
    let expected = "`class_weights` for data set dataset: there is no class \"drak\"; the data set has dark, bright";
    assert_eq!(error, expected);
}

#[test]
fn what_a_gpu_cannot_do_is_named_and_old_keys_stay() {
    let setting = |more: &str| parse::<Finetune>(&few(more)).unwrap().needs_cpu();
    for (more, expected) in [
        ("", None),
        ("loss = { dice = 0.5, cross-entropy = 0.5 }", None),
        ("loss = 'jaccard'", Some("loss = \"jaccard\"")),
        ("class_weights = 'inverse'", Some("class_weights")),
        ("loss = { name = 'cross-entropy', label_smoothing = 0.1 }", Some("loss = \"cross-entropy\"")),
        ("layer_decay = 0.8", Some("layer_decay")),
        ("encoder_learning_rate = 1e-4", Some("encoder_learning_rate")),
        ("freeze_epochs = 1", Some("freeze_epochs")),
    ] {
        assert_eq!(setting(more).as_deref(), expected, "{more}");
    }
    let json = |more: &str| serde_json::to_value(parse::<Finetune>(&few(more)).unwrap()).unwrap();
    assert_eq!(json("")["loss"], "dice");
    assert_eq!(json("loss = 'cross-entropy'")["loss"], "cross-entropy");
    assert!(json("").get("class_weights").is_none());
}

#[test]
fn a_strong_preset_trains() {
    let (plain, ..) = run(&few(""), &ALL).unwrap();
    let (preset, ..) = run(&few("augment = 'nnunet'"), &ALL).unwrap();
    let (own, ..) = run(&few("augment = { preset = 'nnunet', noise = 5 }"), &ALL).unwrap();
    assert!(plain != preset && preset != own);
    let json = |more: &str| serde_json::to_value(parse::<Finetune>(&few(more)).unwrap()).unwrap();
    assert_eq!(json("augment = { preset = 'nnunet', noise = 5 }")["augment"]["noise"], 5.0);
    assert_eq!(json("augment = 'light'")["augment"]["rotation"], 15.0);
}
