//! Which model an evaluation is of.

/// The label of `models` that an evaluation called `label` is of: the same, or the longest that `label` ends in.
///
/// # Errors
/// One line with the labels and the cure.
pub(super) fn model_of<'m>(models: &[&'m str], label: &str) -> Result<&'m str, String> {
    let is_of =
        |model: &&&str| label.strip_suffix(**model).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    let found = models.iter().filter(is_of).max_by_key(|model| model.len()).copied();
    found.ok_or_else(|| {
        format!(
            "{label:?} belongs to none of the models {}: give both the same label, as `rows = {{ A = \"…\" }}` and `scores = \
             {{ A = \"…\" }}`",
            models.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_belongs_to_the_model_that_its_label_ends_in() {
        let models = ["segment.a", "a", "other.segment.a"];
        assert_eq!(model_of(&models, "test.segment.a"), Ok("segment.a"));
        assert_eq!(model_of(&models, "a"), Ok("a"));
        assert_eq!(model_of(&models, "x.other.segment.a"), Ok("other.segment.a"));
        let refused = model_of(&["segment.a"], "test.segment.ba").unwrap_err();
        assert!(
            refused.starts_with("\"test.segment.ba\" belongs to none of the models segment.a: give both"),
            "{refused}"
        );
    }
}
