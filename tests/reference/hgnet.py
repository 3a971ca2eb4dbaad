"""Tiny random HGNetV2s and what transformers makes of them.

    python tests/reference/hgnet.py        # writes tests/golden/hgnet/

`images.safetensors` has two images of an odd size. A snapshot each (config.json, model.safetensors) with
fixture.safetensors: the maps of the stem and of all stages. `affine` has a factor and a summand behind each activation
(as the small sizes of D-FINE), `plain` has none, and another activation in the stem.
"""

import shutil
from pathlib import Path

import torch
from resnet import randomise_norms
from safetensors.torch import save_file
from transformers import HGNetV2Backbone, HGNetV2Config

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "hgnet"
IMAGE = (2, 3, 51, 69)  # maps of 13 x 18, 13 x 18, 7 x 9, 4 x 5, 2 x 3
SHAPE = dict(
    stem_channels=[3, 8, 6],
    stage_in_channels=[6, 12, 16, 20],
    stage_mid_channels=[4, 6, 8, 8],
    stage_out_channels=[12, 16, 20, 24],
    stage_num_blocks=[1, 2, 1, 2],
    stage_downsample=[False, True, True, True],
    stage_light_block=[False, False, True, True],
    stage_kernel_size=[3, 3, 5, 5],
    stage_numb_of_layers=[3, 2, 3, 2],
)


def randomise_affine(model: torch.nn.Module, seed: int) -> None:
    """Factors of both signs are possible, so one is negative."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lab.scale"):
                parameter.uniform_(0.7, 1.3, generator=random)
            elif name.endswith("lab.bias"):
                parameter.uniform_(-0.2, 0.2, generator=random)


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    image = torch.randn(IMAGE, generator=torch.Generator().manual_seed(321))
    save_file({"pixel_values": image}, GOLDEN / "images.safetensors")
    cases = {"affine": dict(use_learnable_affine_block=True), "plain": dict(hidden_act="silu")}
    for seed, (name, more) in enumerate(cases.items()):
        torch.manual_seed(330 + seed)
        config = HGNetV2Config(**SHAPE, **more, embedding_size=6, hidden_sizes=[12, 16, 20, 24], out_indices=[0, 1, 2, 3, 4])
        model = HGNetV2Backbone(config).eval()
        randomise_norms(model, 340 + seed)
        randomise_affine(model, 350 + seed)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if parameter.dim() == 4:
                    parameter.mul_(1.7)  # nothing fades
                if key == "embedder.stem1.lab.scale":
                    parameter.neg_()
        model.save_pretrained(GOLDEN / name)
        with torch.no_grad():
            maps = model(image).feature_maps
        for item in maps:
            assert item.std() > 0.05, (name, item.std())
        tensors = {f"feature_maps.{i}": value.contiguous() for i, value in enumerate(maps)}
        save_file(tensors, GOLDEN / name / "fixture.safetensors")


if __name__ == "__main__":
    main()
