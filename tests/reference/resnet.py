"""Tiny random residual networks, and what transformers and timm make of them.

    python tests/reference/resnet.py        # writes tests/golden/resnet/

`images.safetensors` has two images of an odd size. A snapshot each (config.json, model.safetensors) with
fixture.safetensors: the maps of the stem (not of timm's) and of all stages. `plain` and `basic` are `ResNetBackbone` (the latter halves in the first stage too), `early`
is one that halves in the first convolution of a layer, `deep` and `deep-basic` are `RTDetrResNetBackbone`. `timm` and
`timm-dilated` are networks of timm as DETR has been published with, under its names below `backbone.model`, the second
one with `output_stride=16` (DC5).
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.models.resnet import Bottleneck, ResNet
from transformers import ResNetBackbone, ResNetConfig, RTDetrResNetBackbone, RTDetrResNetConfig

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "resnet"
IMAGE = (2, 3, 51, 69)  # maps of 13 x 18, 7 x 9, 4 x 5, 2 x 3
ALL = [0, 1, 2, 3, 4]


def randomise_norms(model: torch.nn.Module, seed: int) -> None:
    """Statistics, scales and shifts of batch norms as after training, so that none of them can be left out."""
    random = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if "BatchNorm" in type(module).__name__:
            for name, low, high in (
                ("weight", 0.5, 1.5),
                ("bias", -0.3, 0.3),
                ("running_mean", -0.3, 0.3),
                ("running_var", 0.5, 2.0),
            ):
                tensor = getattr(module, name)
                with torch.no_grad():
                    tensor.copy_(torch.empty(tensor.shape).uniform_(low, high, generator=random))


def write(name: str, maps: list[torch.Tensor]) -> None:
    for item in maps:
        assert item.std() > 0.05 and (item > 0).float().mean() > 0.1, (name, item.std())
    tensors = {f"feature_maps.{i}": value.contiguous() for i, value in enumerate(maps)}
    save_file(tensors, GOLDEN / name / "fixture.safetensors")


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    image = torch.randn(IMAGE, generator=torch.Generator().manual_seed(301))
    GOLDEN.mkdir(parents=True)
    save_file({"pixel_values": image}, GOLDEN / "images.safetensors")
    small = dict(embedding_size=8, hidden_sizes=[12, 16, 20, 24], depths=[2, 2, 1, 2], out_indices=ALL)
    basic = dict(embedding_size=8, hidden_sizes=[8, 12, 16, 20], depths=[2, 1, 1, 2], out_indices=ALL, layer_type="basic")
    models = {
        "plain": ResNetBackbone(ResNetConfig(**small)),
        "basic": ResNetBackbone(ResNetConfig(**basic, downsample_in_first_stage=True)),
        "early": ResNetBackbone(ResNetConfig(**small, downsample_in_bottleneck=True, hidden_act="silu")),
        "deep": RTDetrResNetBackbone(RTDetrResNetConfig(**small)),
        "deep-basic": RTDetrResNetBackbone(RTDetrResNetConfig(**basic)),
    }
    for seed, (name, model) in enumerate(models.items()):
        torch.manual_seed(seed)
        model.eval().init_weights()
        randomise_norms(model, 310 + seed)
        model.save_pretrained(GOLDEN / name)
        with torch.no_grad():
            write(name, list(model(image).feature_maps))
    for name, stride in (("timm", 32), ("timm-dilated", 16)):
        torch.manual_seed(stride)
        model = ResNet(Bottleneck, [2, 1, 1, 2], num_classes=0, channels=(2, 3, 4, 5), output_stride=stride).eval()
        randomise_norms(model, stride)
        state = model.state_dict().items()
        weights = {f"backbone.model.{key}": value for key, value in state if value.dim() > 0}
        (GOLDEN / name).mkdir()
        save_file(weights, GOLDEN / name / "model.safetensors")
        (GOLDEN / name / "config.json").write_text(json.dumps({"output_stride": stride}) + "\n")
        with torch.no_grad():
            x = model.maxpool(model.act1(model.bn1(model.conv1(image))))
            maps = []
            for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
                maps.append(x := layer(x))
        write(name, maps)


if __name__ == "__main__":
    main()
