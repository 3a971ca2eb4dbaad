"""Tiny random SAMs and what transformers makes of them.

    python tests/reference/sam.py        # writes tests/golden/sam/

Each folder has a snapshot (config.json, model.safetensors) and fixture.safetensors with the outputs of one forward for
each kind of prompt. Points, boxes and pixels are those of the canvas, before any resizing of a picture.
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import SamConfig, SamImageProcessor, SamModel

from vit import randomise

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "sam"
# 88 / 8 = 11 rows of patches, 80 / 8 = 10: windows of 5 and 4 leave tokens over.
CASES = {
    "windows": dict(image=88, window=5, layers=4, globals=[1, 3], bias=True, rel=True, absolute=True),
    # Not the published canvas, other heads, no biases, no absolute positions.
    "plain": dict(image=80, window=4, layers=2, globals=[0], bias=False, rel=True, absolute=False),
    # No relative positions, every layer in windows.
    "absolute": dict(image=80, window=4, layers=2, globals=[], bias=True, rel=False, absolute=True),
}


def config_of(case: dict) -> SamConfig:
    hidden = 32  # a norm over a quarter of them is not decided by rounding
    return SamConfig(
        vision_config=dict(
            hidden_size=24, output_channels=hidden, num_hidden_layers=case["layers"], num_attention_heads=2,
            image_size=case["image"], patch_size=8, mlp_ratio=2.0, window_size=case["window"],
            global_attn_indexes=case["globals"], num_pos_feats=hidden // 2, qkv_bias=case["bias"],
            use_rel_pos=case["rel"], use_abs_pos=case["absolute"],
        ),
        prompt_encoder_config=dict(
            hidden_size=hidden, image_size=case["image"], patch_size=8, mask_input_channels=8,
        ),
        mask_decoder_config=dict(
            hidden_size=hidden, mlp_dim=40, num_hidden_layers=2, num_attention_heads=2, iou_head_hidden_dim=20,
            iou_head_depth=4,
        ),
    )


def temper(model, seed: int) -> None:
    """Relative positions are as strong as in a trained model, and no attention of the decoder rests on one key alone:
    then rounding would decide, in the reference too."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "rel_pos" in key:
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=random))
            elif "mask_decoder" in key and "attn" in key and parameter.ndim > 1:
                parameter.mul_(0.5)


def prompts(side: int, grid: int, random: torch.Generator) -> dict[str, dict[str, torch.Tensor]]:
    """By name: what the model is asked, for two pictures and three objects in each."""
    points = torch.rand((2, 3, 2, 2), generator=random) * side
    boxes = torch.rand((2, 3, 4), generator=random) * side / 2
    boxes[..., 2:] += side / 2
    # 1: on the object, 0: not, -1: not a point, -10: padding.
    labels = torch.tensor([[[1, 0], [1, -10], [0, -1]], [[1, 1], [0, 0], [-10, 1]]])
    masks = torch.randn((2, 1, 4 * grid, 4 * grid), generator=random) * 3
    return {
        "points": dict(input_points=points, input_labels=labels),
        "one_point": dict(input_points=points[:, :, :1], input_labels=torch.ones((2, 3, 1), dtype=torch.int64)),
        "boxes": dict(input_boxes=boxes),
        "both": dict(input_points=points, input_labels=labels, input_boxes=boxes),
        "mask": dict(input_points=points, input_labels=labels, input_masks=masks),
    }


def add_outputs(tensors: dict[str, torch.Tensor], name: str, given: dict, model, image: dict, names: list[str]) -> None:
    """The prompt and what the model answers, with several candidates and with one."""
    tensors |= {f"{name}.{key}": value.float().clone() for key, value in given.items()}
    for several in (True, False) if name in ("points", "one_point") else (False,):
        with torch.no_grad():
            found = model(**image, **given, multimask_output=several)
        kind = "several" if several else "one"
        tensors |= {f"{name}.{kind}.{key}": getattr(found, key).clone() for key in names}


def upsampled(processor: SamImageProcessor, masks: torch.Tensor, side: int) -> dict[str, torch.Tensor]:
    """Logits of masks at the size of pictures, by the published post-processing."""
    tensors = {}
    for size in [(37, 91), (150, 61), (64, 64)]:
        scale = side / max(size)
        reshaped = tuple(int(length * scale + 0.5) for length in size)
        (found,) = processor.post_process_masks(
            [masks], [size], [reshaped], binarize=False, pad_size={"height": side, "width": side}
        )
        tensors[f"upsampled.{size[0]}x{size[1]}"] = found
    return tensors


def main() -> None:
    for seed, (name, case) in enumerate(CASES.items()):
        model = SamModel(config_of(case)).eval()
        model.config._attn_implementation = "eager"
        randomise(model, seed)
        temper(model, seed)
        folder = GOLDEN / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        random = torch.Generator().manual_seed(100 + seed)
        side, grid = case["image"], case["image"] // 8
        pixels = torch.randn((2, 3, side, side), generator=random)
        tensors = {"pixel_values": pixels}
        with torch.no_grad():
            states = model.vision_encoder(pixels)
            tensors["image_embeddings"] = states.last_hidden_state.clone()
            tensors["image_positions"] = model.get_image_wide_positional_embeddings().clone()
        image = dict(image_embeddings=states.last_hidden_state)
        for prompt, given in prompts(side, grid, random).items():
            if name != "windows" and prompt not in ("both", "one_point"):
                continue
            add_outputs(tensors, prompt, given, model, image, ["iou_scores", "pred_masks"])
        if name == "windows":
            with torch.no_grad():
                sparse, dense = model.prompt_encoder(**{
                    key: tensors[f"mask.{key}"] for key in ("input_points", "input_labels", "input_masks")
                }, input_boxes=None)
            tensors |= {"sparse_embeddings": sparse.clone(), "dense_embeddings": dense.clone()}
            masks = functional.avg_pool2d(tensors["one_point.several.pred_masks"][0, :1, 0], 3, 1, 1)[None]
            masks = masks - masks.median()  # half of it inside
            tensors["upsampled.pred_masks"] = masks
            tensors |= upsampled(SamImageProcessor(), masks, side)
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "fixture.safetensors")


if __name__ == "__main__":
    main()
