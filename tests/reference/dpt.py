"""Tiny random DPTs, and what transformers makes of pictures with them.

    python tests/reference/dpt.py [dpt|dpt-hybrid|dpt-dinov2|dpt-beit ...]   # writes tests/golden/dpt*/

`dpt` has its own ViT, whose readout token is projected; `dpt-hybrid` a BiT below it; `dpt-dinov2` a DINOv2, batch
normalisation in the residual units, `add_projection`, and a readout that is added (left out with `config-ignore.json`:
`ignore.*`); `dpt-beit` a BEiT.
"""

import json
import sys

import torch
from depth_case import answers, folder, lift, randomise, write
from transformers import BeitConfig, BitConfig, Dinov2Config, DPTConfig, DPTForDepthEstimation, DPTImageProcessor

NECK = dict(neck_hidden_sizes=[8, 12, 16, 20], fusion_hidden_size=14)
VIT = dict(hidden_size=24, num_hidden_layers=5, num_attention_heads=3, intermediate_size=40)


def made(name: str, config: DPTConfig, processor, size: tuple, ready=lambda model: None) -> tuple:
    path = folder(name)
    model = DPTForDepthEstimation(config).eval()
    ready(model)
    randomise(model, len(name))
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))
    lift(model.head.head[4], lambda: model(pixel_values=image))
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path, model, image


def square(side: int) -> DPTImageProcessor:
    return DPTImageProcessor(size={"height": side, "width": side}, resample=3)


def dpt() -> None:
    # Positions for 5 by 5 patches, images of 6 by 6.
    config = DPTConfig(**VIT, **NECK, image_size=40, patch_size=8, backbone_out_indices=[0, 2, 3, 4])
    processor = square(48)
    path, model, image = made("dpt", config, processor, (48, 48))
    write(path, answers(model, processor, image))


def hybrid() -> None:
    bit = BitConfig(
        embedding_size=8,
        hidden_sizes=[16, 24, 32],
        depths=[1, 2, 2],
        layer_type="bottleneck",
        global_padding="same",
        num_groups=4,
        embedding_dynamic_padding=True,
        out_features=["stage1", "stage2", "stage3"],
    )
    config = DPTConfig(
        **VIT,
        neck_hidden_sizes=[16, 24, 16, 20],
        fusion_hidden_size=14,
        is_hybrid=True,
        backbone_config=bit,
        backbone_featmap_shape=[1, 32, 4, 4],
        image_size=64,
        patch_size=16,
        reassemble_factors=[1, 1, 1, 0.5],
        backbone_out_indices=[0, 1, 2, 4],
    )
    processor = square(64)
    path, model, image = made("dpt-hybrid", config, processor, (64, 64))
    write(path, answers(model, processor, image))


def dinov2() -> None:
    backbone = Dinov2Config(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=3,
        mlp_ratio=2,
        image_size=28,
        patch_size=7,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=False,
    )
    config = DPTConfig(
        **NECK,
        backbone_config=backbone,
        readout_type="add",
        use_batch_norm_in_fusion_residual=True,
    )

    def projection(model) -> None:
        # The class has one of 256 channels only: too many for a small file.
        model.head.projection = torch.nn.Conv2d(14, 14, 3, padding=1)
        model.config.add_projection = True

    processor = DPTImageProcessor(
        size={"height": 42, "width": 42}, resample=3, keep_aspect_ratio=True, ensure_multiple_of=7
    )
    path, model, image = made("dpt-dinov2", config, processor, (28, 49), projection)
    tensors = answers(model, processor, image)
    model.config.readout_type = "ignore"
    found = answers(model, processor, image)
    tensors |= {f"ignore.{name}": found[name] for name in ["predicted_depth", "depth.0", "depth.1"]}
    (path / "config-ignore.json").write_text(
        json.dumps(json.loads((path / "config.json").read_text()) | {"readout_type": "ignore"}, indent=2) + "\n"
    )
    write(path, tensors)


def beit() -> None:
    backbone = BeitConfig(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=3,
        intermediate_size=40,
        image_size=32,
        patch_size=8,
        use_relative_position_bias=True,
        use_absolute_position_embeddings=True,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
    )
    config = DPTConfig(**NECK, backbone_config=backbone)
    processor = DPTImageProcessor(
        size={"height": 48, "width": 48}, resample=3, keep_aspect_ratio=True, ensure_multiple_of=8
    )
    path, model, image = made("dpt-beit", config, processor, (40, 56))
    write(path, answers(model, processor, image))


if __name__ == "__main__":
    every = {"dpt": dpt, "dpt-hybrid": hybrid, "dpt-dinov2": dinov2, "dpt-beit": beit}
    for name in sys.argv[1:] or every:
        every[name]()
