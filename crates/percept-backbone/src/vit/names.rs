//! How published checkpoints name the tensors of a Vision Transformer.

use crate::attention::AttentionNames;
use crate::block::BlockNames;
use crate::weights::Weights;

/// The names of a checkpoint's tensors, below the prefix of the image encoder (`vision_model`, say).
#[derive(Clone, Debug)]
pub struct VitNames {
    /// The patch embedding: a convolution's `weight` `[dim, 3, patch, patch]`, perhaps with a `bias`.
    pub patches: &'static str,
    /// `[positions, dim]`, with any leading dimensions of 1.
    pub positions: &'static str,
    /// `[dim]`, with any leading dimensions of 1, as the two below.
    pub class_token: &'static str,
    /// The distillation token.
    pub distillation_token: &'static str,
    /// The register tokens, `[registers, dim]`.
    pub registers: &'static str,
    /// The tokens behind those of the patches, `[trailing, dim]`.
    pub trailing: &'static str,
    /// The norm between embedding and layers, where there is one.
    pub norm_before: Option<&'static str>,
    /// The list of layers.
    pub layers: &'static str,
    /// Inside a layer.
    pub block: BlockNames,
    /// The last norm.
    pub norm_after: &'static str,
    /// Matrices that are stored in one and wanted apart.
    pub splits: &'static [Split],
}

/// Matrices of one shape that are stored one below the other.
#[derive(Clone, Copy, Debug)]
pub struct Split {
    /// The name of the whole, inside a layer.
    pub whole: &'static str,
    /// The names of the parts, inside a layer, in their order.
    pub parts: &'static [&'static str],
}

/// `attention.attention.query` and so on, as Google's ViT was converted.
const BERT_LIKE: AttentionNames = AttentionNames {
    query: "attention.query",
    key: "attention.key",
    value: "attention.value",
    output: "output.dense",
};

impl VitNames {
    /// `ViTModel` and `DeiTModel`.
    pub const VIT: Self = Self {
        patches: "embeddings.patch_embeddings.projection",
        positions: "embeddings.position_embeddings",
        class_token: "embeddings.cls_token",
        distillation_token: "embeddings.distillation_token",
        registers: "embeddings.register_tokens",
        trailing: "embeddings.detection_tokens",
        norm_before: None,
        layers: "encoder.layer",
        block: BlockNames {
            attention: "attention",
            attention_norm: "layernorm_before",
            cross: None,
            up: "intermediate.dense",
            down: "output.dense",
            gate: None,
            mlp_norm: "layernorm_after",
            scales: None,
            matrices: BERT_LIKE,
        },
        norm_after: "layernorm",
        splits: &[],
    };

    /// `Dinov2Model` and `Dinov2WithRegistersModel`.
    pub const DINOV2: Self = Self {
        block: BlockNames {
            attention_norm: "norm1",
            up: "mlp.fc1",
            down: "mlp.fc2",
            mlp_norm: "norm2",
            scales: Some(("layer_scale1.lambda1", "layer_scale2.lambda1")),
            ..Self::VIT.block
        },
        ..Self::VIT
    };

    /// `BeitBackbone`: ViT's own, with scales.
    pub const BEIT: Self =
        Self { block: BlockNames { scales: Some(("lambda_1", "lambda_2")), ..Self::VIT.block }, ..Self::VIT };

    /// `EomtForUniversalSegmentation`: DINOv2's layers under other names.
    pub const EOMT: Self = Self {
        positions: "embeddings.position_embeddings.weight",
        layers: "layers",
        block: BlockNames { matrices: AttentionNames::PROJ, ..Self::DINOV2.block },
        ..Self::VIT
    };

    /// `YolosModel`: ViT's own.
    pub const YOLOS: Self = Self::VIT;

    /// `VitPoseBackbone`.
    pub const VITPOSE: Self =
        Self { block: BlockNames { up: "mlp.fc1", down: "mlp.fc2", ..Self::VIT.block }, ..Self::VIT };

    /// `SiglipVisionModel`.
    pub const SIGLIP: Self = Self {
        patches: "embeddings.patch_embedding",
        positions: "embeddings.position_embedding.weight",
        class_token: "embeddings.class_embedding",
        layers: "encoder.layers",
        block: BlockNames {
            attention: "self_attn",
            attention_norm: "layer_norm1",
            up: "mlp.fc1",
            down: "mlp.fc2",
            mlp_norm: "layer_norm2",
            matrices: AttentionNames::PROJ,
            ..Self::VIT.block
        },
        norm_after: "post_layernorm",
        ..Self::VIT
    };

    /// `CLIPVisionModel`; the misspelling is the checkpoint's.
    pub const CLIP: Self = Self { norm_before: Some("pre_layrnorm"), ..Self::SIGLIP };

    /// open_clip's `VisionTransformer`, its matrices taken apart by [`crate::projections_apart`].
    pub const OPEN_CLIP: Self = Self {
        patches: "conv1",
        positions: "positional_embedding",
        class_token: "class_embedding",
        norm_before: Some("ln_pre"),
        layers: "transformer.resblocks",
        block: BlockNames {
            attention: "attn",
            attention_norm: "ln_1",
            up: "mlp.c_fc",
            down: "mlp.c_proj",
            mlp_norm: "ln_2",
            matrices: AttentionNames::PROJ,
            ..Self::VIT.block
        },
        norm_after: "ln_post",
        ..Self::VIT
    };

    /// `BlipVisionModel`.
    pub const BLIP: Self = Self {
        positions: "embeddings.position_embedding",
        block: BlockNames {
            matrices: AttentionNames { output: "projection", ..AttentionNames::PROJ },
            ..Self::SIGLIP.block
        },
        splits: &[Split {
            whole: "self_attn.qkv",
            parts: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        }],
        ..Self::SIGLIP
    };

    /// The image encoder of `SamModel`, without its neck.
    pub const SAM: Self = Self {
        patches: "patch_embed.projection",
        positions: "pos_embed",
        layers: "layers",
        block: BlockNames {
            attention: "attn",
            attention_norm: "layer_norm1",
            up: "mlp.lin1",
            down: "mlp.lin2",
            mlp_norm: "layer_norm2",
            matrices: AttentionNames { output: "proj", ..AttentionNames::PROJ },
            ..Self::VIT.block
        },
        splits: &[Split { whole: "attn.qkv", parts: &["attn.q_proj", "attn.k_proj", "attn.v_proj"] }],
        ..Self::VIT
    };

    /// The same layers with DINOv2's gated MLP.
    pub(super) fn gated(self) -> Self {
        let block =
            BlockNames { up: "mlp.up", down: "mlp.weights_out", gate: Some("mlp.gate"), ..self.block };
        Self { block, splits: &[Split { whole: "mlp.weights_in", parts: &["mlp.gate", "mlp.up"] }], ..self }
    }

    /// The same layers without scales.
    pub(super) fn unscaled(self) -> Self {
        Self { block: BlockNames { scales: None, ..self.block }, ..self }
    }

    /// The same weights with all matrices apart.
    pub(super) fn apart(&self, weights: &Weights) -> Weights {
        Split::apart(self.splits, weights)
    }
}

impl Split {
    /// The same weights with all of these matrices apart.
    pub(crate) fn apart(splits: &[Self], weights: &Weights) -> Weights {
        if splits.is_empty() {
            return weights.clone();
        }
        weights.renamed(|name, shape| {
            for Self { whole, parts } in splits {
                let Some((before, after)) = name.split_once(whole) else { continue };
                // `qkv` is no part of `qkv_other`.
                if !before.ends_with('.') || !after.starts_with('.') {
                    continue;
                }
                let rows = shape[0] / parts.len();
                let part =
                    |(index, part)| (format!("{before}{part}{after}"), index * rows..(index + 1) * rows);
                return parts.iter().enumerate().map(part).collect();
            }
            vec![(name.to_owned(), 0..shape[0])]
        })
    }
}
