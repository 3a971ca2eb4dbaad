"""What the scripts of depth models share: a tiny random model becomes a folder with a snapshot and fixture.safetensors.

The fixture has two images at once (`pixel_values`, `predicted_depth`, for some `field_of_view` or `domain_logits`), and two
pictures of other sizes and what the whole way gives (`picture.N`, `depth.N` in the picture's size). What the image
processor prepares of the second is `prepared.1`, or the second of `pixel_values` where that is missing.
"""

import shutil
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
# (height, width): a wide one and a high one.
PICTURES = [(53, 97), (90, 53)]


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """Coloured blobs and noise, uint8 `[height, width, 3]`."""
    generator = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    image = generator.integers(0, 60, (height, width, 3)).astype(float)
    for _ in range(6):
        at, size = generator.random(2) * (height, width), 4 + generator.random() * 14
        inside = numpy.hypot(y - at[0], x - at[1]) < size
        image[inside] = generator.integers(0, 256, 3)
    return torch.from_numpy(image.clip(0, 255).astype(numpy.uint8))


@torch.no_grad()
def randomise(model: torch.nn.Module, seed: int) -> None:
    """Every weight matters: no bias is zero, no norm is one, no layer scale is tiny."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=random)
        if "lambda" in name:
            parameter.copy_(0.5 + 0.2 * noise)
        elif "norm" in name and name.endswith("weight"):
            parameter.copy_(1.0 + 0.2 * noise)
        elif parameter.dim() < 2 or "token" in name or "position" in name:
            parameter.copy_(0.2 * noise)
        else:
            parameter.copy_(noise * 1.2 / parameter[0].numel() ** 0.5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.3 * torch.randn(module.running_mean.shape, generator=random))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=random))


@torch.no_grad()
def lift(last: torch.nn.Conv2d, run) -> None:
    """Moves the values before the last rectifier up so far that nine in ten are above zero: `run` runs the model."""
    seen = []
    hook = last.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    run()
    hook.remove()
    values = torch.cat([part.flatten() for part in seen])
    last.bias.sub_(values.quantile(0.1))


def prepared(processor, index: int) -> torch.Tensor:
    """What the processor makes of a picture: `[1, 3, height, width]`."""
    drawn = picture(*PICTURES[index], seed=index).permute(2, 0, 1)
    return processor(images=drawn, return_tensors="pt", input_data_format="channels_first")["pixel_values"]


@torch.no_grad()
def answers(model, processor, image: torch.Tensor, **sizes) -> dict:
    """What the model says of two images at once, and of each picture. `sizes` names the size's argument of the
    post-processor."""
    outputs = model(pixel_values=image)
    named = ["predicted_depth", "field_of_view", "domain_logits"]
    tensors = {"pixel_values": image}
    tensors |= {name: outputs[name] for name in named if outputs.get(name) is not None}
    for index, size in enumerate(PICTURES):
        pixels = prepared(processor, index)
        found = model(pixel_values=pixels)
        both = {"target_sizes": [size]} | {name: [size] for name in sizes.get("also", [])}
        [result] = processor.post_process_depth_estimation(found, **both)
        depth = result["predicted_depth"]
        assert tuple(depth.shape) == size, depth.shape
        # It varies, and is not cut off everywhere.
        assert depth.std() > 0.02 * depth.abs().max(), (depth.std(), depth.abs().max())
        tensors |= {f"picture.{index}": picture(*size, seed=index), f"depth.{index}": depth}
        if index == 1 and not torch.equal(pixels, image[1:]):
            tensors["prepared.1"] = pixels
        if result.get("focal_length") is not None:
            tensors[f"focal.{index}"] = result["focal_length"].reshape(1)
    return tensors


def folder(name: str) -> Path:
    path = GOLDEN / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def write(path: Path, tensors: dict) -> None:
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path / "fixture.safetensors")
    for key, value in tensors.items():
        numbers = value.float()
        print(key, tuple(value.shape), float(numbers.min()), float(numbers.max()))
    print(path.name, sum(file.stat().st_size for file in path.iterdir()), "bytes")
