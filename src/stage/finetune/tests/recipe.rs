//! The recipe of a fine-tuning.

use super::*;

/// What the key of a stage holds.
fn material(text: &str) -> serde_json::Value {
    serde_json::to_value(parse::<Finetune>(text).unwrap()).unwrap()
}

#[test]
fn a_recipe_is_what_it_stands_for_and_the_stage_has_the_last_word() {
    let base = TOY.replace("optimizer = { name = 'adam', learning_rate = 0.01 }\n", "");
    let written = "loss = { dice = 1, cross-entropy = 1 }\naugment = 'nnunet'\nsampling = { rare = 0.33 }\n\
         optimizer = { name = 'adamw', learning_rate = 0.001, weight_decay = 0.01 }\n\
         schedule = { name = 'polynomial', power = 0.9 }\n";
    let robust = material(&format!("{base}recipe = 'robust'\n"));
    assert_eq!(robust, material(&format!("{base}{written}")));
    assert_ne!(robust, material(&base));
    let own = material(&format!("{base}recipe = 'robust'\nloss = 'dice'\naugment = 'none'\n"));
    assert_eq!(
        own,
        material(&format!(
            "{base}{}",
            written.replace("{ dice = 1, cross-entropy = 1 }", "'dice'").replace("nnunet", "none")
        ))
    );
    let (_, history, _) = run(&format!("{base}recipe = 'robust'\n"), &ALL).unwrap();
    assert_eq!(History::from_csv(&history).unwrap().column("val_miou").unwrap().len(), 6);
    let errors = parse::<Finetune>(&format!("{base}recipe = 'robst'\n")).unwrap_err();
    assert!(format!("{errors:?}").contains("robust"), "{errors:?}");
}
