"""Tiny random Vision Transformers of every kind that percept_backbone::vit serves, and what transformers makes of them.

    python tests/reference/vit.py        # writes tests/golden/vit/

Each folder has a snapshot (config.json, model.safetensors) and fixture.safetensors: images of the checkpoint's size
and, two at a time, of another one that is neither square nor a multiple of the patch, with the embedding
(`hidden_states.0`), the states behind each layer, and `last_hidden_state`.
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    BlipVisionConfig,
    BlipVisionModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    DeiTConfig,
    DeiTModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    PreTrainedModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
    VitPoseBackbone,
    VitPoseBackboneConfig,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "vit"
PATCH = 6
SIDE = 4  # patches in the checkpoint's image
NATIVE = (1, 3, SIDE * PATCH, SIDE * PATCH)
OTHER = (2, 3, 20, 44)  # a grid of 3 by 7: one axis shrinks, one grows, pixels are left over
POSE_IMAGE = (30, 18)
SHAPE = dict(hidden_size=36, num_hidden_layers=2, num_attention_heads=3, patch_size=PATCH)
INTERPOLATE = {"interpolate_pos_encoding": True}


def cases() -> dict[str, tuple[PreTrainedModel, dict, list[tuple[int, ...]]]]:
    """By folder: a model, what its forward needs for an image of another size, and the shapes of the images."""
    plain = SHAPE | dict(image_size=SIDE * PATCH, intermediate_size=52)
    ratio = SHAPE | dict(image_size=SIDE * PATCH, mlp_ratio=2)
    both = [NATIVE, OTHER]
    pose = SHAPE | dict(image_size=list(POSE_IMAGE), patch_size=[PATCH, PATCH], mlp_ratio=2)
    return {
        "vit": (ViTModel(ViTConfig(**plain), add_pooling_layer=False), INTERPOLATE, both),
        "deit": (DeiTModel(DeiTConfig(**plain), add_pooling_layer=False), INTERPOLATE, both),
        "dinov2": (Dinov2Model(Dinov2Config(**ratio)), {}, both),
        "dinov2-swiglu": (Dinov2Model(Dinov2Config(**ratio, use_swiglu_ffn=True, qkv_bias=False)), {}, both),
        "dinov2-registers": (
            Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**ratio, num_register_tokens=5)),
            {},
            both,
        ),
        "clip": (CLIPVisionModel(CLIPVisionConfig(**plain)), INTERPOLATE, both),
        "siglip": (SiglipVisionModel(SiglipVisionConfig(**plain, vision_use_head=False)), INTERPOLATE, both),
        "blip": (BlipVisionModel(BlipVisionConfig(**plain)), INTERPOLATE, both),
        # Its forward refuses other sizes.
        "vitpose": (VitPoseBackbone(VitPoseBackboneConfig(**pose)), {}, [(2, 3, *POSE_IMAGE)]),
    }


def randomise(model: PreTrainedModel, seed: int) -> None:
    """Every weight matters: no bias is zero, no factor is one, positions are as strong as what they are added to."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=random)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif "lambda" in name:
                parameter.copy_(0.6 + 0.3 * noise)
            elif any(part in name for part in ("position", "token", "class_embedding")):
                parameter.copy_(0.7 * noise)
            elif parameter.ndim == 1:
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(1.3 * noise / parameter[0].numel() ** 0.5)


def outputs(model: PreTrainedModel, image: torch.Tensor, extra: dict) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        result = model(pixel_values=image, output_hidden_states=True, **extra)
    states = result.hidden_states
    assert len(states) == SHAPE["num_hidden_layers"] + 1
    # A backbone gives its last states, normalised, as a feature map.
    last = result.last_hidden_state if "last_hidden_state" in result else result.feature_maps[-1]
    return {f"hidden_states.{i}": state for i, state in enumerate(states)} | {"last_hidden_state": last}


def main() -> None:
    for seed, (name, (model, extra, shapes)) in enumerate(cases().items()):
        model.eval()
        model.config._attn_implementation = "eager"
        randomise(model, seed)
        folder = GOLDEN / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        random = torch.Generator().manual_seed(1000 + seed)
        tensors = {}
        for size, shape in zip(("native", "other"), shapes):
            image = torch.randn(shape, generator=random)
            found = outputs(model, image, extra if size == "other" else {})
            # Clones, since safetensors refuses two names of one tensor.
            tensors |= {f"{size}.{key}": value.contiguous().clone() for key, value in found.items()}
            tensors[f"{size}.pixel_values"] = image
        save_file(tensors, folder / "fixture.safetensors")


if __name__ == "__main__":
    main()
