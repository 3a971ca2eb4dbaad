//! The classes that were asked for, by name or number.

use std::collections::HashSet;

use percept_core::segment::Label;
use percept_core::{Error, Result};

/// The classes that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassFilter(Option<HashSet<u32>>);

impl ClassFilter {
    /// Of names, whatever their case, and numbers; none mean all. A text that is both is the name.
    ///
    /// # Errors
    /// `Argument` where a class is not in the vocabulary, with the nearest names.
    pub fn new(classes: &[String], vocabulary: &[Label]) -> Result<Self> {
        if classes.is_empty() {
            return Ok(Self(None));
        }
        if vocabulary.is_empty() {
            return Err(Error::Argument {
                message: format!("class `{}` cannot be chosen: this model has no classes", classes[0]),
                hint: Some("models for whole pictures have classes; so do texts".into()),
            });
        }
        let mut ids = HashSet::new();
        for class in classes {
            let wanted = class.trim().to_lowercase();
            let named = vocabulary.iter().filter(|label| label.name.trim().to_lowercase() == wanted);
            let mut found: Vec<u32> = named.map(|label| label.id).collect();
            if found.is_empty() {
                let number = wanted.parse().ok();
                found.extend(vocabulary.iter().map(|label| label.id).filter(|id| Some(*id) == number));
            }
            if found.is_empty() {
                return Err(unknown(class, &wanted, vocabulary));
            }
            ids.extend(found);
        }
        Ok(Self(Some(ids)))
    }

    /// Whether an instance with this class comes out; one without a class only if all do.
    pub fn keeps(&self, label: Option<&Label>) -> bool {
        match &self.0 {
            None => true,
            Some(ids) => label.is_some_and(|label| ids.contains(&label.id)),
        }
    }
}

fn unknown(class: &str, wanted: &str, vocabulary: &[Label]) -> Error {
    let likeness = |label: &Label| {
        let name = label.name.to_lowercase();
        // A part of a name is nearer than any slip of the fingers.
        if name.contains(wanted) { 2.0 } else { strsim::jaro_winkler(&name, wanted) }
    };
    let mut names: Vec<(f64, &str)> =
        vocabulary.iter().map(|label| (likeness(label), label.name.as_str())).collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<String> =
        names.iter().filter(|(near, _)| *near > 0.7).take(3).map(|(_, name)| format!("`{name}`")).collect();
    let hint = if near.is_empty() {
        let some: Vec<&str> = vocabulary.iter().take(5).map(|label| label.name.as_str()).collect();
        format!("its {} classes begin with {}", vocabulary.len(), some.join(", "))
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    Error::Argument { message: format!("this model has no class `{class}`"), hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vec<Label> {
        [(0, "person"), (7, "Traffic light"), (9, "stop sign"), (11, "7")]
            .map(|(id, name)| Label { id, name: name.into() })
            .to_vec()
    }

    fn kept(classes: &[&str]) -> Result<Vec<u32>> {
        let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
        let filter = ClassFilter::new(&classes, &vocabulary())?;
        Ok(vocabulary().iter().filter(|label| filter.keeps(Some(label))).map(|label| label.id).collect())
    }

    #[test]
    fn classes_have_names_and_numbers() {
        assert_eq!(kept(&[]).unwrap(), [0, 7, 9, 11]);
        assert_eq!(kept(&["PERSON", "9"]).unwrap(), [0, 9]);
        assert_eq!(kept(&[" traffic LIGHT "]).unwrap(), [7]);
        assert_eq!(kept(&["7"]).unwrap(), [11], "a name wins over a number");
        assert!(!ClassFilter::new(&["person".into()], &vocabulary()).unwrap().keeps(None));
    }

    #[test]
    fn unknown_classes_name_the_nearest() {
        let hint = |class: &str| kept(&[class]).unwrap_err().hint().unwrap();
        assert!(hint("persn").contains("`person`"));
        assert!(hint("light").contains("`Traffic light`"));
        assert!(hint("12").contains("4 classes"), "{}", hint("12"));
        assert!(ClassFilter::new(&["x".into()], &[]).is_err());
    }
}
