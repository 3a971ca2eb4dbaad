//! The network that is part of the program against PyTorch (`tests/reference/register_matcher_export.py`).

use std::collections::BTreeMap;

use percept_backbone::{Device, Tensor};
use percept_golden::{error, fixture, numbers};

use super::network::{Given, WIDTH};
use super::similarity::Similarity;

const MOST: f32 = 2e-5;

fn given(fixture: &BTreeMap<String, Tensor>, side: &str) -> Given {
    let values = |name: &str| numbers(&fixture[&format!("{side}.{name}")]);
    let places = |name: &str| values(name).into_iter().map(|value| value as u32).collect();
    Given {
        points: values("points").as_chunks().0.to_vec(),
        normals: values("normals").as_chunks().0.to_vec(),
        features: values("features").as_chunks().0.to_vec(),
        nodes: places("nodes"),
        patches: places("patches"),
    }
}

#[test]
fn the_plan_and_the_features_are_pytorchs() {
    let fixture = fixture("register-matcher");
    let [source, target] = ["source", "target"].map(|side| given(&fixture, side));
    let network = super::load().unwrap();
    let told = network.run([&source, &target]).unwrap().unwrap();
    let matches = Similarity::new([&source, &target], &told, network.histograms).mutual();
    let want: Vec<_> = numbers(&fixture["matches"])
        .as_chunks()
        .0
        .iter()
        .map(|[one, other]| (*one as usize, *other as usize))
        .collect();
    assert!(want.len() > 10, "{}", want.len());
    assert_eq!(matches, want);
    let shape = (source.nodes.len() + 1, target.nodes.len() + 1);
    let plan = Tensor::from_vec(told.plan, shape, &Device::Cpu).unwrap();
    let off = error(&plan, &fixture["plan"]);
    assert!(off < MOST, "plan: {off}");
    for (found, side) in told.features.into_iter().zip(["source", "target"]) {
        let found = Tensor::from_vec(found.clone(), (found.len() / WIDTH, WIDTH), &Device::Cpu).unwrap();
        let off = error(&found, &fixture[&format!("{side}.found")]);
        assert!(off < MOST, "{side}: {off}");
    }
}
