"""A tiny random Swin Transformer and what transformers makes of it.

    python tests/reference/swin.py        # writes tests/golden/swin/

The snapshot (config.json, model.safetensors) with fixture.safetensors: two images of a size that fills neither patches
nor windows nor pairs, with the feature maps of all stages. At the last stage the map is smaller than a window.

"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import SwinBackbone, SwinConfig
from vit import randomise

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "swin"
STAGES = ["stage1", "stage2", "stage3", "stage4"]
SHAPE = dict(embed_dim=8, num_heads=[2, 2, 4, 4], window_size=4, mlp_ratio=2.0, patch_size=4, image_size=32)
IMAGE = (2, 3, 50, 70)  # maps of 13 x 18, 7 x 9, 4 x 5, 2 x 3


def randomise_swin(model: torch.nn.Module, seed: int) -> None:
    """As `randomise`, and the biases of positions are as strong as the scores."""
    randomise(model, seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "relative_position_bias_table" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=random))


def main() -> None:
    model = SwinBackbone(SwinConfig(**SHAPE, depths=[2, 3, 1, 2], out_features=STAGES)).eval()
    model.config._attn_implementation = "eager"
    randomise_swin(model, 90)
    shutil.rmtree(GOLDEN, ignore_errors=True)
    model.save_pretrained(GOLDEN)
    image = torch.randn(IMAGE, generator=torch.Generator().manual_seed(91))
    with torch.no_grad():
        maps = model(pixel_values=image).feature_maps
    tensors = {f"feature_maps.{i}": value.contiguous() for i, value in enumerate(maps)} | {"pixel_values": image}
    save_file(tensors, GOLDEN / "fixture.safetensors")


if __name__ == "__main__":
    main()
