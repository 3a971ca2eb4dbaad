//! The names of a model's classes.

use percept_core::segment::Label;
use serde_json::Value;

/// `id2label` of a `config.json`.
#[derive(Clone, Debug)]
pub struct ClassNames(Vec<Label>);

impl ClassNames {
    /// Of a model that has `count` classes. Those that the configuration does not name are called by their number.
    pub fn of(config: &Value, count: usize) -> Self {
        let label = |id: usize| {
            let name = config["id2label"][id.to_string()].as_str();
            Label { id: id as u32, name: name.map_or_else(|| format!("class {id}"), str::to_owned) }
        };
        Self((0..count).map(label).collect())
    }

    /// How many classes there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All.
    pub fn labels(&self) -> &[Label] {
        &self.0
    }

    /// A class by its number, which is below [`ClassNames::count`].
    pub fn label(&self, id: usize) -> Label {
        self.0[id].clone()
    }

    /// Whether class 0 stands for what is no object at all, which is so where it is called `background`.
    pub fn has_background(&self) -> bool {
        self.0.first().is_some_and(|first| first.name.eq_ignore_ascii_case("background"))
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
