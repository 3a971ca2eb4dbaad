"""Reference results of layers on feature maps, written to tests/golden/feature-maps/.

`torch.nn` and `torch.nn.functional` give convolutions, normalisations, pooling, resizing and grid sampling;
transformers gives the frozen batch normalisation of RT-DETR and multi-scale deformable attention. `fixture.safetensors`
holds inputs and outputs, and in its metadata, under `cases`, a JSON list that says what each output is; the test runs
whatever is in the list. `model.safetensors` holds weights under the names that PyTorch gives them.

    python tests/reference/feature_maps.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from transformers.models.deformable_detr.modeling_deformable_detr import MultiScaleDeformableAttention
from transformers.models.rt_detr.modeling_rt_detr import RTDetrFrozenBatchNorm2d
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import multi_scale_deformable_attention_v2

OUT = Path(__file__).resolve().parents[1] / "golden" / "feature-maps"


class Fixture:
    """Tensors by name, weights by name, and the list of cases."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.weights: dict[str, torch.Tensor] = {}
        self.cases: list[dict] = []

    def add(self, operation: str, inputs: dict[str, torch.Tensor], output: torch.Tensor, **parameters) -> None:
        name = f"{operation}.{sum(case['operation'] == operation for case in self.cases)}"
        for key, tensor in {**inputs, "output": output}.items():
            self.tensors[f"{name}.{key}"] = tensor.detach().to(torch.float32).contiguous().clone()
        self.cases.append({"name": name, "operation": operation, **parameters})

    def next(self, operation: str) -> str:
        return f"{operation}.{sum(case['operation'] == operation for case in self.cases)}"

    def keep(self, name: str, module: nn.Module) -> None:
        for key, tensor in module.state_dict().items():
            self.weights[f"{name}.{key}"] = tensor.detach().contiguous().clone()

    def save(self) -> None:
        OUT.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors, OUT / "fixture.safetensors", {"cases": json.dumps(self.cases)})
        save_file(self.weights, OUT / "model.safetensors")


def randomise(module: nn.Module) -> nn.Module:
    """Weights, and running statistics, that are not what a fresh module has."""
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.rand_like(tensor) + 0.2)
        elif tensor.is_floating_point():
            tensor.copy_(torch.randn_like(tensor) * 0.5)
    return module.eval()


def convolutions(fixture: Fixture) -> None:
    x = torch.randn(2, 6, 9, 13)
    for bias, norm, activation, parameters in [
        (True, None, None, dict(kernel_size=3, padding=1)),
        (False, "batch", "relu", dict(kernel_size=3, stride=2, padding=1)),
        (True, "batch", "silu", dict(kernel_size=1)),
        (False, "frozen", "gelu", dict(kernel_size=(3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1), groups=3)),
        (False, "batch", None, dict(kernel_size=5, padding=2, groups=6)),
    ]:
        outputs = 6 if parameters.get("groups") == 6 else 9
        convolution = randomise(nn.Conv2d(6, outputs, bias=bias, **parameters))
        convolve("conv2d", fixture, x, convolution, norm, activation, parameters)
    for bias, norm, activation, parameters in [
        (True, None, "gelu", dict(kernel_size=2, stride=2)),
        (True, "batch", None, dict(kernel_size=4, stride=2, padding=1)),
        (False, "frozen", "relu", dict(kernel_size=3, stride=2, padding=1, output_padding=1, groups=3)),
        (True, None, None, dict(kernel_size=(4, 3), stride=(4, 1), padding=(0, 1), dilation=(1, 2))),
        (True, None, None, dict(kernel_size=3, stride=3, groups=6)),
    ]:
        outputs = 6 if parameters.get("groups") == 6 else 9
        convolution = randomise(nn.ConvTranspose2d(6, outputs, bias=bias, **parameters))
        convolve("conv_transpose2d", fixture, x, convolution, norm, activation, parameters)


def convolve(operation, fixture, x, convolution, norm, activation, parameters) -> None:
    name = fixture.next(operation)
    fixture.keep(f"{name}.convolution", convolution)
    y = convolution(x)
    eps = 1e-5
    if norm:
        outputs = y.shape[1]
        # RT-DETR's frozen normalisation always adds 1e-5; torch's own is given another value.
        eps = 1e-5 if norm == "frozen" else 1e-3
        layer = RTDetrFrozenBatchNorm2d(outputs) if norm == "frozen" else nn.BatchNorm2d(outputs, eps=eps)
        randomise(layer)
        fixture.keep(f"{name}.normalization", layer)
        y = layer(y)
    y = {None: lambda y: y, "relu": F.relu, "silu": F.silu, "gelu": F.gelu}[activation](y)
    pairs = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
    shape = {key: parameters.get(key, default) for key, default in pairs.items()}
    shape = {key: list(value) if isinstance(value, tuple) else [value, value] for key, value in shape.items()}
    fixture.add(
        operation, {"input": x}, y, **shape, groups=parameters.get("groups", 1), in_channels=x.shape[1],
        out_channels=y.shape[1], norm=norm, eps=eps, activation=activation,
    )


def normalisations(fixture: Fixture) -> None:
    for channels, groups, size in [(6, 3, (5, 7)), (8, 1, (4, 4)), (4, 4, (1, 9))]:
        x = torch.randn(2, channels, *size) * 2 + 3
        layer = randomise(nn.GroupNorm(groups, channels, eps=1e-4))
        fixture.keep(fixture.next("group_norm"), layer)
        fixture.add("group_norm", {"input": x}, layer(x), channels=channels, groups=groups, eps=1e-4)
    x = torch.randn(2, 5, 3, 7)
    layer = randomise(RTDetrFrozenBatchNorm2d(5))
    fixture.keep(fixture.next("batch_norm"), layer)
    fixture.add("batch_norm", {"input": x}, layer(x), channels=5, eps=1e-5)
    x = torch.randn(2, 3, 7)
    x[0, 0] = 0
    fixture.add("l2_norm", {"input": x}, F.normalize(x, dim=-1), eps=1e-12)


def pooling(fixture: Fixture) -> None:
    x = torch.randn(2, 3, 8, 11)
    for kernel, stride, padding, ceil in [(3, 2, 1, False), (3, 2, 1, True), ((2, 4), (3, 1), (1, 2), True), (2, 2, 0, True)]:
        pair = lambda value: list(value) if isinstance(value, tuple) else [value, value]
        shape = dict(kernel_size=pair(kernel), stride=pair(stride), padding=pair(padding), ceil_mode=ceil)
        y = F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
        fixture.add("pool", {"input": x}, y, kind="max", **shape)
        for include in (True, False):
            y = F.avg_pool2d(x, kernel, stride, padding, ceil_mode=ceil, count_include_pad=include)
            fixture.add("pool", {"input": x}, y, kind="average" if include else "average_inside", **shape)


def resizing(fixture: Fixture) -> None:
    x = torch.randn(2, 2, 7, 10)
    for mode in ("nearest", "bilinear", "bicubic"):
        corners = {} if mode == "nearest" else {"align_corners": False}
        for size in [(14, 20), (7, 10), (4, 3), (11, 31), (1, 1), (5, 20)]:
            y = F.interpolate(x, size=size, mode=mode, **corners)
            fixture.add("resize", {"input": x}, y, mode=mode, size=list(size), factor=None, corners=False)
            if corners:
                y = F.interpolate(x, size=size, mode=mode, align_corners=True)
                fixture.add("resize", {"input": x}, y, mode=mode, size=list(size), factor=None, corners=True)
        # 1.07 and 1.05 leave the sizes as they are, but not the steps; 2.1 doubles one.
        for factor in [(2.0, 2.0), (1.5, 0.7), (0.33, 2.9), (1.07, 1.05), (2.1, 2.04)]:
            y = F.interpolate(x, scale_factor=factor, mode=mode, **corners)
            parameters = dict(mode=mode, size=list(y.shape[2:]), factor=list(factor), corners=False)
            fixture.add("resize", {"input": x}, y, **parameters)
    # As DINOv2 resizes its position table.
    x = torch.randn(1, 3, 37, 37)
    y = F.interpolate(x, size=(17, 22), mode="bicubic", align_corners=False)
    fixture.add("resize", {"input": x}, y, mode="bicubic", size=[17, 22], factor=None, corners=False)


def sampling(fixture: Fixture) -> None:
    x = torch.randn(2, 3, 6, 9)
    grid = torch.randn(2, 4, 7, 2) * 0.8
    grid[0, 0, 0] = torch.tensor([-1.0, 1.0])
    grid[0, 0, 1] = torch.tensor([1.0, -1.0])
    grid[1, 0, 2] = torch.tensor([5.0, 0.1])
    for mode in ("nearest", "bilinear"):
        for padding in ("zeros", "border"):
            for corners in (False, True):
                y = F.grid_sample(x, grid, mode, padding, corners)
                inputs = {"input": x, "grid": grid}
                fixture.add("grid_sample", inputs, y, mode=mode, padding=padding, corners=corners)


def deformable(fixture: Fixture) -> None:
    levels = [(8, 11), (4, 6), (2, 3)]
    batch, heads, dim, queries = 2, 3, 5, 7
    value = torch.randn(batch, sum(h * w for h, w in levels), heads, dim)
    shapes = torch.tensor(levels)
    starts = torch.tensor([0, 88, 112])
    locations = torch.randn(batch, queries, heads, 3, 4, 2) * 0.4 + 0.5
    weights = torch.softmax(torch.randn(batch, queries, heads, 12), -1)
    y = MultiScaleDeformableAttention()(
        value, shapes, levels, starts, locations, weights.view(batch, queries, heads, 3, 4), 64
    )
    inputs = {"value": value, "locations": locations.flatten(3, 4), "weights": weights}
    fixture.add("deformable", inputs, y, levels=levels, points=[4, 4, 4], method="default")
    # D-FINE's number of points differs from level to level.
    points = [3, 6, 2]
    locations = torch.randn(batch, queries, heads, 11, 2) * 0.4 + 0.5
    weights = torch.softmax(torch.randn(batch, queries, heads, 11), -1)
    for method in ("default", "discrete"):
        y = multi_scale_deformable_attention_v2(value, levels, locations, weights, points, method)
        inputs = {"value": value, "locations": locations, "weights": weights}
        fixture.add("deformable", inputs, y, levels=levels, points=points, method=method)


def main() -> None:
    torch.manual_seed(20)
    fixture = Fixture()
    with torch.no_grad():
        for part in (convolutions, normalisations, pooling, resizing, sampling, deformable):
            part(fixture)
    fixture.save()


if __name__ == "__main__":
    main()
