//! The parameter `recipe`: several options of a fine-tuning in one word.

use crate::experiment::SpannedTable;
use schemars::JsonSchema;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

/// Options that belong together. What the stage says itself counts instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Recipe {
    /// What makes nnU-Net hard to beat (Isensee et al. 2021), without any pretraining: cross-entropy and Dice, strong augmentation,
    /// crops that find rare classes, a polynomial schedule. The optimiser is AdamW, because a few hundred steps are too few for nnU-Net's
    /// SGD. With `folds = 5` it is nnU-Net's cross-validation, too.
    Robust,
}

impl Recipe {
    fn options(self) -> &'static str {
        match self {
            Recipe::Robust => {
                r#"
                loss      = { dice = 1.0, cross-entropy = 1.0 }
                augment   = "nnunet"
                sampling  = { rare = 0.33 }
                optimizer = { name = "adamw", learning_rate = 1e-3, weight_decay = 1e-2 }
                schedule  = { name = "polynomial", power = 0.9 }
                "#
            }
        }
    }

    /// The stage's table with the options of its recipe that it does not have itself. So the key of a stage holds the options and not
    /// their name.
    pub(super) fn filled(mut table: SpannedTable<'_>) -> SpannedTable<'_> {
        let named = table.get_ref().get("recipe").and_then(|word| word.get_ref().as_str());
        // The parameter's type refuses other words.
        let recipe = named.and_then(|word| Recipe::deserialize(StrDeserializer::<Error>::new(word)).ok());
        if let Some(Ok(options)) = recipe.map(|recipe| DeTable::parse(recipe.options())) {
            for (name, value) in options.into_inner() {
                table.get_mut().entry(name).or_insert(value);
            }
        }
        table
    }
}
