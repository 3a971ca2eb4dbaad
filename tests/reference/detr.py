"""Tiny random DETRs, and what transformers makes of them.

    python tests/reference/detr.py        # writes tests/golden/detr/

`sine` has basic layers and tensors under the names of published checkpoints, `learned` has bottlenecks, learned positions
and the names of transformers 5. Published backbones are timm's, whose smallest is too large for a fixture: resnet.py
compares them by themselves. See detect_case.py for what a folder has.
"""

import torch
from safetensors.torch import save_file
from detect_case import GOLDEN, detector, spread
from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig
from vit import randomise

SHAPE = dict(
    d_model=32,
    encoder_layers=2,
    decoder_layers=2,
    encoder_ffn_dim=40,
    decoder_ffn_dim=48,
    encoder_attention_heads=4,
    decoder_attention_heads=2,
    num_queries=9,
    num_labels=5,
    id2label={0: "cat", 1: "dog", 2: "cup", 3: "car", 4: "kite"},
)


def frozen(model: torch.nn.Module, seed: int) -> None:
    """Batch norms of DETR are buffers."""
    random = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if "FrozenBatchNorm" in type(module).__name__:
            module.weight.uniform_(0.5, 1.5, generator=random)
            module.bias.uniform_(-0.3, 0.3, generator=random)
            module.running_mean.uniform_(-0.3, 0.3, generator=random)
            module.running_var.uniform_(0.5, 2.0, generator=random)


def main() -> None:
    small = dict(embedding_size=8, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 2, 1], out_features=["stage4"])
    kinds = {
        "sine": dict(backbone_config=ResNetConfig(**small, layer_type="basic")),
        "learned": dict(position_embedding_type="learned", backbone_config=ResNetConfig(**small)),
    }
    cases = {name: DetrConfig(**SHAPE, use_timm_backbone=False, **kind) for name, kind in kinds.items()}
    for seed, (name, config) in enumerate(cases.items()):
        model = DetrForObjectDetection(config).eval()
        randomise(model, 40 + seed)
        frozen(model, 48 + seed)
        image = torch.randn(2, 3, 70, 110, generator=torch.Generator().manual_seed(50 + seed))
        processor = DetrImageProcessor(size={"shortest_edge": 80, "longest_edge": 140})
        spread(model, model.class_labels_classifier, processor)
        detector(f"detr/{name}", model, processor, image, threshold=0.3)
        if name == "learned":
            state = {key: value.contiguous() for key, value in model.state_dict().items() if value.dim() > 0}
            save_file(state, GOLDEN / "detr" / name / "model.safetensors")


if __name__ == "__main__":
    main()
