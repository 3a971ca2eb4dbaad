//! How checkpoints name the tensors of RT-DETR and D-FINE: published ones have the names of transformers 4
//! (`encoder.encoder.0.layers.0.fc1`), which are ours too and what version 5 still writes; inside, version 5 has others
//! (`encoder.aifi.0.layers.0.mlp.fc1`).

use percept_backbone::Weights;

/// A part of a name inside of attention and MLPs: the new one, the old one.
const PARTS: [(&str, &str); 5] = [
    (".o_proj.", ".out_proj."),
    (".mlp.fc1.", ".fc1."),
    (".mlp.fc2.", ".fc2."),
    (".mlp.layers.0.", ".fc1."),
    (".mlp.layers.1.", ".fc2."),
];

/// The same weights under the published names.
pub(crate) fn renamed(weights: &Weights) -> Weights {
    weights.renamed(|name, shape| vec![(published(name), 0..shape[0])])
}

/// The published name of a tensor.
pub(crate) fn published(name: &str) -> String {
    let mut name = name.replace(".encoder.aifi.", ".encoder.encoder.");
    for (new, old) in PARTS {
        name = name.replace(new, old);
    }
    name
}

/// The weights of a head of each layer of the decoder: where the decoder has them, or where the whole model has them,
/// which are the same and of which a file may have left out either.
pub(crate) fn head(weights: &Weights, name: &str, layer: usize) -> Weights {
    let first = if name == "class_embed" { "weight" } else { "layers.0.weight" };
    let here = weights.at(format!("model.decoder.{name}.{layer}"));
    let there = weights.at(format!("{name}.{layer}"));
    if here.has(first) || !there.has(first) { here } else { there }
}
