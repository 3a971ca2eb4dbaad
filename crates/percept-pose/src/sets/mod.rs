//! The keypoints of data sets, a file each: their names, lines, mirror images and sigmas, as mmpose defines them
//! (`tests/reference/keypoint_sets.py`).

mod aic;
mod ap10k;
mod apt36k;
mod coco;
mod mpii;
mod wholebody;

use std::sync::Arc;

use percept_core::pose::{KeypointScheme, KeypointSet, Side};

/// A [`KeypointScheme`] as data.
struct Table {
    names: &'static [&'static str],
    /// Left, right.
    flip_pairs: &'static [[usize; 2]],
    skeleton: &'static [[usize; 2]],
    sigmas: &'static [f32],
}

fn table(set: KeypointSet) -> &'static Table {
    match set {
        KeypointSet::Coco => &coco::COCO,
        KeypointSet::Aic => &aic::AIC,
        KeypointSet::Mpii => &mpii::MPII,
        KeypointSet::Ap10k => &ap10k::AP10K,
        KeypointSet::Apt36k => &apt36k::APT36K,
        KeypointSet::WholeBody => &wholebody::WHOLE_BODY,
    }
}

/// What the keypoints of a data set are.
pub fn scheme(set: KeypointSet) -> Arc<KeypointScheme> {
    let table = table(set);
    Arc::new(KeypointScheme {
        set: Some(set),
        names: table.names.iter().map(|name| (*name).to_owned()).collect(),
        skeleton: table.skeleton.to_vec(),
        flip_pairs: table.flip_pairs.to_vec(),
        sides: table.names.iter().map(|name| side(name)).collect(),
        sigmas: table.sigmas.to_vec(),
    })
}

/// What keypoints are of which only names and lines are known. A mirror exchanges those whose names differ in left and
/// right.
pub(crate) fn scheme_of_names(names: Vec<String>, skeleton: Vec<[usize; 2]>) -> KeypointScheme {
    let words: Vec<String> = names.iter().map(|name| words(name)).collect();
    let mirrored = |name: &String| {
        let other = name.strip_prefix("left_").map(|rest| format!("right_{rest}"))?;
        words.iter().position(|name| *name == other)
    };
    let pairs = words.iter().enumerate().filter_map(|(left, name)| Some([left, mirrored(name)?]));
    KeypointScheme {
        set: None,
        skeleton,
        flip_pairs: pairs.collect(),
        sides: names.iter().map(|name| side(name)).collect(),
        sigmas: Vec::new(),
        names,
    }
}

/// The data sets whose keypoints bear these names, in this order. `L_Eye` is `left_eye`, as transformers abbreviates it.
pub(crate) fn sets_of_names(names: &[String]) -> Vec<KeypointSet> {
    let wanted: Vec<String> = names.iter().map(|name| words(name)).collect();
    let bears = |set: &KeypointSet| {
        wanted.iter().eq(table(*set).names.iter().map(|name| words(name)).collect::<Vec<_>>().iter())
    };
    KeypointSet::ALL.into_iter().filter(bears).collect()
}

/// The data sets with so many keypoints.
pub(crate) fn sets_of_count(count: usize) -> Vec<KeypointSet> {
    KeypointSet::ALL.into_iter().filter(|set| table(*set).names.len() == count).collect()
}

/// A name in lower case with its words written out and joined by underscores.
fn words(name: &str) -> String {
    let name = name.to_lowercase();
    let words = name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let whole = words.map(|word| match word {
        "l" => "left",
        "r" => "right",
        "f" => "front",
        "b" => "back",
        word => word,
    });
    whole.collect::<Vec<_>>().join("_")
}

/// By the name. Points of a face bear numbers: they are in the middle, and a drawing gives them one colour.
fn side(name: &str) -> Side {
    match words(name) {
        name if name.starts_with("left_") => Side::Left,
        name if name.starts_with("right_") => Side::Right,
        _ => Side::Centre,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Definition {
        names: Vec<String>,
        flip_pairs: Vec<[usize; 2]>,
        skeleton: Vec<[usize; 2]>,
        sigmas: Vec<f32>,
    }

    #[test]
    fn tables_are_those_of_mmpose() {
        let path = percept_golden::folder("keypoint-sets").join("sets.json");
        let wanted: BTreeMap<String, Definition> =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(wanted.len(), KeypointSet::ALL.len());
        for set in KeypointSet::ALL {
            let (found, wanted) = (scheme(set), &wanted[set.name()]);
            assert_eq!(found.names, wanted.names, "{set}");
            assert_eq!(found.skeleton, wanted.skeleton, "{set}");
            assert_eq!(found.sigmas, wanted.sigmas, "{set}");
            let sorted = |mut pair: [usize; 2]| {
                pair.sort_unstable();
                pair
            };
            assert_eq!(
                found.flip_pairs.iter().map(|pair| sorted(*pair)).collect::<Vec<_>>(),
                wanted.flip_pairs
            );
            for [left, right] in &found.flip_pairs {
                let sides = [left, right].map(|index| found.sides[*index]);
                let of_face = found.names[*left].starts_with("face");
                assert!(of_face || sides == [Side::Left, Side::Right], "{set} {left} {right}");
            }
        }
    }

    #[test]
    fn a_set_is_known_by_its_names() {
        let of = |set: KeypointSet| sets_of_names(&scheme(set).names);
        assert_eq!(of(KeypointSet::Coco), [KeypointSet::Coco]);
        assert_eq!(of(KeypointSet::WholeBody), [KeypointSet::WholeBody]);
        assert_eq!(of(KeypointSet::Apt36k), [KeypointSet::Ap10k, KeypointSet::Apt36k]);
        assert!(sets_of_names(&["Nose".into()]).is_empty());
        let own = scheme_of_names(["R_Hand", "hat", "L-hand"].map(String::from).to_vec(), vec![[0, 1]]);
        assert_eq!((own.flip_pairs, own.sides), (vec![[2, 0]], vec![Side::Right, Side::Centre, Side::Left]));
    }
}
