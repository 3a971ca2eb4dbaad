//! The names of a model's classes.

use percept_core::segment::Label;
use serde_json::Value;

/// `id2label` of a `config.json`.
#[derive(Clone, Debug)]
pub(crate) struct ClassNames(Vec<Option<String>>);

impl ClassNames {
    /// Of a model that has `count` classes. Those that the configuration does not name are called by their number.
    pub(crate) fn of(config: &Value, count: usize) -> Self {
        let name = |id: usize| config["id2label"][id.to_string()].as_str().map(str::to_owned);
        Self((0..count).map(name).collect())
    }

    /// How many classes there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// A class by its number.
    pub(crate) fn label(&self, id: usize) -> Label {
        let name = self.0.get(id).cloned().flatten();
        Label { id: id as u32, name: name.unwrap_or_else(|| format!("class {id}")) }
    }

    /// Whether class 0 stands for what is no object at all, which is so where it is called `background`.
    pub(crate) fn has_background(&self) -> bool {
        let first = self.0.first().and_then(Option::as_ref);
        first.is_some_and(|name| name.eq_ignore_ascii_case("background"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes_have_their_names_or_numbers() {
        let names = ClassNames::of(&json!({"id2label": {"0": "Background", "2": "tree"}}), 3);
        assert_eq!(names.label(2), Label { id: 2, name: "tree".into() });
        assert_eq!(names.label(1).name, "class 1");
        assert!(names.has_background());
        assert!(!ClassNames::of(&json!({"id2label": {"0": "wall"}}), 1).has_background());
        assert_eq!(ClassNames::of(&Value::Null, 2).count(), 2);
    }
}
