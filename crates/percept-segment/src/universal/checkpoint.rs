//! What a checkpoint says of its classes, and what it was made for.

use percept_backbone::WeightsError;
use percept_backbone::checkpoint::count;
use percept_core::LocalModel;
use percept_core::segment::{Label, SegmentationKind};
use serde_json::Value;

/// The classes of a checkpoint and its purpose.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    labels: Vec<Label>,
    stuff: Stuff,
    /// What it was trained for.
    pub(crate) purpose: SegmentationKind,
}

/// Classes that are no things, which no published configuration tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stuff {
    /// It is not known which: all are things.
    Unknown,
    /// 80 things, then 53 kinds of stuff.
    CocoPanoptic,
    /// 11 kinds of stuff, then 8 things.
    Cityscapes,
    /// [`ADE20K_STUFF`].
    Ade20k,
}

/// Numbers of the 50 of ADE20K's 150 classes that are stuff, as the authors of EoMT list them
/// (`configs/dinov2/ade20k/panoptic` of tue-mps/eomt).
const ADE20K_STUFF: [usize; 50] = [
    0, 1, 2, 3, 4, 5, 6, 9, 11, 13, 16, 17, 21, 25, 26, 28, 29, 34, 40, 46, 48, 51, 52, 54, 59, 60, 61, 63,
    68, 77, 79, 84, 91, 94, 96, 99, 100, 101, 105, 106, 109, 113, 114, 117, 122, 128, 131, 140, 141, 145,
];

impl Checkpoint {
    /// Of a model whose `config.json` is `config`; `in_parts` says whether its image processor cuts pictures.
    pub(crate) fn of(local: &LocalModel, config: &Value, in_parts: bool) -> Result<Self, WeightsError> {
        let labels = labels(config)?;
        let purpose = purpose(local, config, in_parts, labels.len());
        let stuff = match (labels.len(), labels.first().map(|label| label.name.to_lowercase()).as_deref()) {
            (133, Some("person")) => Stuff::CocoPanoptic,
            (150, Some(name)) if name.starts_with("wall") => Stuff::Ade20k,
            (19, Some("road")) => Stuff::Cityscapes,
            _ => Stuff::Unknown,
        };
        Ok(Self { labels, stuff, purpose })
    }

    /// How many classes it has.
    pub(crate) fn classes(&self) -> usize {
        self.labels.len()
    }

    /// Whether a class is no thing.
    pub(crate) fn is_stuff(&self, class: usize) -> bool {
        match self.stuff {
            Stuff::Unknown => false,
            Stuff::CocoPanoptic => class >= 80,
            Stuff::Cityscapes => class < 11,
            Stuff::Ade20k => ADE20K_STUFF.contains(&class),
        }
    }

    /// All classes, by number.
    pub(crate) fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// A class with its name.
    pub(crate) fn label(&self, class: usize) -> Label {
        self.labels[class].clone()
    }
}

/// `id2label` by number, or as many numbered names as `num_labels` says.
fn labels(config: &Value) -> Result<Vec<Label>, WeightsError> {
    let Some(names) = config["id2label"].as_object() else {
        let label = |class: usize| Label { id: class as u32, name: format!("LABEL_{class}") };
        return Ok((0..count(config, "num_labels", 2)?).map(label).collect());
    };
    let name = |class: usize| {
        let name = names.get(&class.to_string())?.as_str()?;
        Some(Label { id: class as u32, name: name.to_owned() })
    };
    (0..names.len()).map(name).collect::<Option<_>>().ok_or_else(|| {
        WeightsError::Format(format!(
            "config.json: `id2label` does not number its {} classes from 0",
            names.len()
        ))
    })
}

/// What the model's name says (published names do); else semantic where pictures are cut, instance where there are just
/// COCO's 80 things, and panoptic.
fn purpose(local: &LocalModel, config: &Value, in_parts: bool, classes: usize) -> SegmentationKind {
    let original = config["_name_or_path"].as_str().unwrap_or_default();
    let kinds = [
        ("panoptic", SegmentationKind::Panoptic),
        ("instance", SegmentationKind::Instance),
        ("semantic", SegmentationKind::Semantic),
    ];
    for name in [&local.id, &local.source, original] {
        // Not the folders above it.
        let name = name.trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_lowercase();
        if let Some((_, kind)) = kinds.iter().find(|(word, _)| name.contains(word)) {
            return *kind;
        }
    }
    match classes {
        _ if in_parts => SegmentationKind::Semantic,
        80 => SegmentationKind::Instance,
        _ => SegmentationKind::Panoptic,
    }
}

#[cfg(test)]
mod tests {
    use percept_core::SourceKind;
    use serde_json::json;

    use super::*;

    fn of(id: &str, source: &str, config: &Value, in_parts: bool) -> Checkpoint {
        let local = LocalModel {
            id: id.into(),
            kind: SourceKind::Directory,
            source: source.into(),
            revision: None,
            license: None,
            identifiers: vec![],
            files: Default::default(),
            sha256: String::new(),
        };
        Checkpoint::of(&local, config, in_parts).unwrap()
    }

    fn named(names: &[&str], more: usize) -> Value {
        let names = names.iter().map(|name| (*name).to_owned());
        let others = (0..more).map(|number| format!("other {number}"));
        let all = names.chain(others).enumerate().map(|(class, name)| (class.to_string(), json!(name)));
        json!({ "id2label": all.collect::<serde_json::Map<_, _>>() })
    }

    #[test]
    fn the_name_says_what_a_model_is_for() {
        let config = json!({"num_labels": 133});
        let hub = |name: &str| of("eomt", name, &config, false).purpose;
        assert_eq!(hub("hub:tue-mps/coco_panoptic_eomt_small_640_2x"), SegmentationKind::Panoptic);
        assert_eq!(hub("hub:facebook/mask2former-swin-tiny-coco-instance"), SegmentationKind::Instance);
        assert_eq!(hub("directory:/data/semantic/model/"), SegmentationKind::Panoptic);
        assert_eq!(of("a", "b", &json!({"num_labels": 80}), false).purpose, SegmentationKind::Instance);
        assert_eq!(of("a", "b", &json!({"num_labels": 80}), true).purpose, SegmentationKind::Semantic);
        let original = json!({"_name_or_path": "x/ade_semantic"});
        assert_eq!(of("a", "b", &original, false).purpose, SegmentationKind::Semantic);
    }

    #[test]
    fn stuff_is_known_by_the_data_set() {
        let stuff = |config: &Value| {
            let checkpoint = of("a", "b", config, false);
            (0..checkpoint.classes()).filter(|class| checkpoint.is_stuff(*class)).collect::<Vec<_>>()
        };
        assert_eq!(stuff(&named(&["person"], 132)), (80..133).collect::<Vec<_>>());
        assert_eq!(stuff(&named(&["road"], 18)), (0..11).collect::<Vec<_>>());
        assert_eq!(stuff(&named(&["wall"], 149)).len(), 50);
        assert_eq!(stuff(&named(&["circle"], 149)).len(), 0);
    }

    #[test]
    fn classes_must_be_numbered_from_0() {
        assert_eq!(of("a", "b", &named(&["cat"], 0), false).label(0), Label { id: 0, name: "cat".into() });
        assert!(labels(&json!({"id2label": {"1": "cat"}})).is_err());
    }
}
