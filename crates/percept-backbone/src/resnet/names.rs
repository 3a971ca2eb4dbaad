//! How checkpoints name the tensors of a residual network: as transformers does (`encoder.stages.0.layers.1.layer.2`),
//! which is ours too, or as timm does (`layer1.1.conv3`), which DETR has been published with.

use crate::weights::Weights;

/// The same weights under the names of transformers.
pub(super) fn renamed(weights: &Weights) -> Weights {
    if !weights.has("conv1.weight") {
        return weights.clone();
    }
    weights.renamed(|name, shape| {
        let new = new_name(name).unwrap_or_else(|| name.to_owned());
        vec![(new, 0..shape[0])]
    })
}

/// The new name of a tensor that may have an old one.
fn new_name(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let (start, layer, part) = match parts[..] {
        [ref before @ .., stage, layer, "downsample", part, _] if number(stage, "layer").is_some() => {
            let part = ["shortcut.convolution", "shortcut.normalization"].get(part.parse::<usize>().ok()?)?;
            (before.len(), Some((stage, layer)), (*part).to_owned())
        }
        [ref before @ .., stage, layer, part, _] if number(stage, "layer").is_some() => {
            (before.len(), Some((stage, layer)), format!("layer.{}", convolution(part)?))
        }
        [ref before @ .., "conv1", _] => (before.len(), None, "embedder.embedder.convolution".to_owned()),
        [ref before @ .., "bn1", _] => (before.len(), None, "embedder.embedder.normalization".to_owned()),
        _ => return None,
    };
    let stage = match layer {
        Some((stage, layer)) => format!("encoder.stages.{}.layers.{layer}.", number(stage, "layer")?),
        None => String::new(),
    };
    let mut new = parts[..start].join(".");
    if start > 0 {
        new.push('.');
    }
    Some(format!("{new}{stage}{part}.{}", parts.last()?))
}

/// `conv2` and `bn2` inside a layer.
fn convolution(part: &str) -> Option<String> {
    let of = |start: &str, what: &str| Some(format!("{}.{what}", number(part, start)?));
    of("conv", "convolution").or_else(|| of("bn", "normalization"))
}

/// What follows `start`, from 1, as from 0.
fn number(part: &str, start: &str) -> Option<usize> {
    part.strip_prefix(start)?.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::new_name;

    #[test]
    fn names_of_timm_become_those_of_transformers() {
        for (old, new) in [
            ("conv1.weight", "embedder.embedder.convolution.weight"),
            ("a.model.bn1.running_mean", "a.model.embedder.embedder.normalization.running_mean"),
            ("a.layer1.2.conv3.weight", "a.encoder.stages.0.layers.2.layer.2.convolution.weight"),
            ("a.layer4.0.bn1.bias", "a.encoder.stages.3.layers.0.layer.0.normalization.bias"),
            ("a.layer2.0.downsample.0.weight", "a.encoder.stages.1.layers.0.shortcut.convolution.weight"),
            ("a.layer2.0.downsample.1.weight", "a.encoder.stages.1.layers.0.shortcut.normalization.weight"),
        ] {
            assert_eq!(new_name(old).as_deref(), Some(new));
        }
        assert_eq!(new_name("model.encoder.layers.0.fc1.weight"), None);
    }
}
