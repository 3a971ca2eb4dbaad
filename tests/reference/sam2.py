"""Tiny random SAM 2s and what transformers makes of them; see sam.py.

    python tests/reference/sam2.py        # writes tests/golden/sam2/
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model

from sam import add_outputs, prompts, temper
from vit import randomise

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "sam2"
CASES = {
    # Maps of 32, 16, 8, 4: windows of 6 and 3 leave tokens over; a global layer inside a stage and as its last.
    "stages": dict(
        image=128, blocks=[1, 2, 3, 2], dims=[8, 16, 24, 32], heads=[1, 2, 2, 4], windows=[8, 4, 6, 3], globals=[4, 5],
        background=[5, 5], threshold=0.98,
    ),
    # Another canvas, one layer a stage, no global layers, positions that are not a square; the one mask always stands.
    "plain": dict(
        image=96, blocks=[1, 1, 1, 1], dims=[8, 16, 24, 32], heads=[2, 2, 4, 4], windows=[6, 4, 4, 2], globals=[],
        background=[3, 4], threshold=0.0,
    ),
}
SHOWN = ["iou_scores", "pred_masks", "object_score_logits"]


def config_of(case: dict) -> Sam2Config:
    hidden, grid = 32, case["image"] // 16
    return Sam2Config(
        vision_config=dict(
            backbone_config=dict(
                model_type="sam2_hiera_det_model", hidden_size=case["dims"][0], num_attention_heads=case["heads"][0],
                image_size=[case["image"]] * 2, blocks_per_stage=case["blocks"], embed_dim_per_stage=case["dims"],
                num_attention_heads_per_stage=case["heads"], window_size_per_stage=case["windows"],
                global_attention_blocks=case["globals"], mlp_ratio=2.0,
                window_positional_embedding_background_size=case["background"],
            ),
            backbone_channel_list=case["dims"][::-1], fpn_hidden_size=hidden,
            backbone_feature_sizes=[[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
        ),
        prompt_encoder_config=dict(hidden_size=hidden, image_size=case["image"], patch_size=16, mask_input_channels=8),
        mask_decoder_config=dict(
            hidden_size=hidden, mlp_dim=40, num_hidden_layers=2, num_attention_heads=2, iou_head_hidden_dim=20,
            iou_head_depth=3, dynamic_multimask_stability_thresh=case["threshold"],
        ),
    )


def main() -> None:
    for seed, (name, case) in enumerate(CASES.items()):
        model = Sam2Model(config_of(case)).eval()
        model.config._attn_implementation = "eager"
        randomise(model, seed)
        temper(model, seed)
        generator = torch.Generator().manual_seed(50 + seed)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "pos_embed" in key or "no_memory" in key:
                    parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
            # Buffers, which are tied in published checkpoints.
            frequencies = 0.7 * torch.randn(model.shared_image_embedding.positional_embedding.shape, generator=generator)
            model.shared_image_embedding.positional_embedding.copy_(frequencies)
            model.prompt_encoder.shared_embedding.positional_embedding.copy_(frequencies)
        folder = GOLDEN / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        random = torch.Generator().manual_seed(100 + seed)
        side, grid = case["image"], case["image"] // 16
        pixels = torch.randn((2, 3, side, side), generator=random)
        tensors = {"pixel_values": pixels}
        with torch.no_grad():
            for level, found in enumerate(model.get_image_embeddings(pixels)):
                tensors[f"image_embeddings.{level}"] = found
        image = dict(image_embeddings=[tensors[f"image_embeddings.{level}"] for level in range(3)])
        for prompt, given in prompts(side, grid, random).items():
            if name != "stages" and prompt not in ("both", "one_point"):
                continue
            add_outputs(tensors, prompt, given, model, image, SHOWN)
        if name == "stages":
            masks = functional.avg_pool2d(tensors["one_point.several.pred_masks"][0, :1, 0], 3, 1, 1)[None]
            masks = masks - masks.median()  # half of it inside
            tensors["upsampled.pred_masks"] = masks
            for size in [(37, 91), (150, 61), (64, 64)]:
                (found,) = Sam2ImageProcessor().post_process_masks([masks], [size], binarize=False)
                tensors[f"upsampled.{size[0]}x{size[1]}"] = found
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "fixture.safetensors")


if __name__ == "__main__":
    main()
