//! The layers against the authors' code (`tests/reference/geotransformer.py`).

use std::collections::BTreeMap;

use percept_backbone::{Device, Tensor, Weights};
use percept_golden::{error, fixture, numbers, snapshot};

use super::embedding::GeometricEmbedding;
use super::*;

const MOST: f32 = 2e-5;

fn weights() -> Weights {
    Weights::open_safetensors(&snapshot("geometric", &[]), &Device::Cpu).unwrap()
}

fn shape(reduction: Reduction) -> TransformerShape {
    TransformerShape {
        input: 10,
        output: 14,
        heads: 3,
        looks: vec![Look::Own, Look::Other, Look::Other, Look::Own],
        embedding: EmbeddingShape { hidden: 24, sigma_d: 0.3, sigma_a: 15.0, angle_k: 3, reduction },
    }
}

fn points(fixture: &BTreeMap<String, Tensor>, side: &str) -> Vec<[f32; 3]> {
    numbers(&fixture[&format!("{side}.points")]).as_chunks().0.to_vec()
}

#[test]
fn embeddings_are_the_authors() {
    let fixture = fixture("geometric");
    for (name, reduction) in [("max", Reduction::Max), ("mean", Reduction::Mean)] {
        let embedding = weights().at(format!("{name}.embedding"));
        let embedding = GeometricEmbedding::load(&embedding, shape(reduction).embedding).unwrap();
        let points = points(&fixture, "second");
        let structure = embedding.of(&points).unwrap();
        let off = error(&structure.embeddings(), &fixture[&format!("{name}.embedding")]);
        assert!(off < MOST, "{name}: {off}");
    }
}

#[test]
fn two_clouds_features_are_the_authors() {
    let fixture = fixture("geometric");
    let [first, second] = ["first", "second"].map(|side| points(&fixture, side));
    let features = ["first.feats", "second.feats"].map(|name| &fixture[name]);
    for (name, reduction) in [("max", Reduction::Max), ("mean", Reduction::Mean)] {
        let transformer = GeometricTransformer::load(&weights().at(name), &shape(reduction)).unwrap();
        let found = transformer.forward([&first, &second], features).unwrap();
        for (found, side) in found.iter().zip(["first", "second"]) {
            let off = error(found, &fixture[&format!("{name}.{side}")]);
            assert!(off < MOST, "{name}, {side}: {off}");
        }
    }
}

#[test]
fn plans_are_the_authors() {
    let fixture = fixture("geometric");
    let transport = Transport::load(&weights().at("transport"), 40).unwrap();
    for name in ["gentle", "steep"] {
        let scores = &fixture[&format!("{name}.scores")];
        let plan = transport.plan(&numbers(scores), [9, 12]);
        let plan = Tensor::from_vec(plan, (10, 13), &Device::Cpu).unwrap();
        let off = error(&plan, &fixture[&format!("{name}.plan")]);
        assert!(off < 1e-6, "{name}: {off}");
    }
}

#[test]
fn few_points_and_far_ones_are_told() {
    let embedding = weights().at("max.embedding");
    let embedding = GeometricEmbedding::load(&embedding, shape(Reduction::Max).embedding).unwrap();
    assert!(embedding.of(&[[0.0; 3]]).is_err());
    let two = embedding.of(&[[0.0; 3], [1.0, 2.0, 0.0]]).unwrap().embeddings();
    assert!(numbers(&two).iter().all(|value| value.is_finite()));
    let far = embedding.of(&[[0.0; 3], [1e9, 0.0, 0.0], [0.0, 1.0, 0.0]]).unwrap_err();
    assert!(far.to_string().contains("unit"), "{far}");
    assert!(embedding.of(&[[f32::NAN; 3]; 3]).is_err());
    assert!(embedding.of(&vec![[0.0; 3]; MAX_POINTS + 1]).is_err());
}
