"""Pictures, and what the image processors of transformers make of them, for percept_backbone::image_processor.

    python tests/reference/preparation.py        # writes tests/golden/preparation/

`pictures.safetensors` has the pictures, uint8 `[height, width, 3]`; `prepared.safetensors` the `pixel_values` of each
case, f32 `[parts, 3, height, width]`; `cases.json` says for each case which picture and which configuration, and has
the classes' own configurations (`defaults`) and the sizes that rules give to many pictures (`sizes`).

The torchvision processors (`backend="torchvision"`, the default) are the reference; torchvision has no box and Hamming
filter of bytes, so these two come from the Pillow processors.
"""

import json
import random
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from transformers import (
    CLIPImageProcessor,
    DetrImageProcessor,
    DPTImageProcessor,
    EomtImageProcessor,
    Mask2FormerImageProcessor,
    RTDetrImageProcessor,
    Sam2ImageProcessor,
    SamImageProcessor,
    SegformerImageProcessor,
    ViTImageProcessor,
    YolosImageProcessor,
)
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "preparation"
CLASSES = [
    CLIPImageProcessor,
    DetrImageProcessor,
    DPTImageProcessor,
    EomtImageProcessor,
    Mask2FormerImageProcessor,
    RTDetrImageProcessor,
    Sam2ImageProcessor,
    SamImageProcessor,
    SegformerImageProcessor,
    ViTImageProcessor,
    YolosImageProcessor,
]
BOX, HAMMING = 4, 5

# (width, height): a wide, a high, a tiny and a flat one.
PICTURES = {"wide": (61, 43), "high": (37, 90), "tiny": (5, 7), "flat": (70, 6)}


def picture(width: int, height: int, seed: int) -> torch.Tensor:
    """Ramps, edges of full contrast (filters with negative lobes go beyond the bytes there) and noise."""
    generator = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    red = 255 * ((x // 5 + y // 3) % 2)
    green = (x * 255 / max(1, width - 1) + 20 * numpy.sin(y)).clip(0, 255)
    blue = generator.integers(0, 256, (height, width))
    return torch.from_numpy(numpy.stack([red, green, blue], -1).astype(numpy.uint8))


def cases() -> dict[str, tuple[type, dict, str]]:
    """By name: a class, its arguments, a picture."""
    sam = {"size": {"longest_edge": 34}, "pad_size": {"height": 34, "width": 34}}
    edges = {"size": {"shortest_edge": 22, "longest_edge": 33}}
    mask2former = {"size": {"shortest_edge": 21, "longest_edge": 43}, "size_divisor": 8}
    clip = {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}
    small = {"size": {"height": 19, "width": 34}}
    found: dict[str, tuple[type, dict, str]] = {}
    for name in PICTURES:
        found[f"sam-{name}"] = (SamImageProcessor, sam, name)
        found[f"segformer-{name}"] = (SegformerImageProcessor, small, name)
        found[f"mask2former-{name}"] = (Mask2FormerImageProcessor, mask2former, name)
    for name in ("wide", "high"):
        eomt = {"size": {"shortest_edge": 26, "longest_edge": 26}, "do_pad": True}
        found[f"eomt-{name}"] = (EomtImageProcessor, eomt, name)
        split = {"size": {"shortest_edge": 20}, "do_split_image": True}
        found[f"eomt-split-{name}"] = (EomtImageProcessor, split, name)
        found[f"clip-{name}"] = (CLIPImageProcessor, clip, name)
        found[f"dpt-{name}"] = (
            DPTImageProcessor,
            {"size": {"height": 26, "width": 26}, "keep_aspect_ratio": True, "ensure_multiple_of": 7},
            name,
        )
    found["sam2"] = (Sam2ImageProcessor, {"size": {"height": 33, "width": 33}}, "wide")
    found["eomt-square"] = (EomtImageProcessor, {"size": {"shortest_edge": 13}, "do_split_image": True}, "flat")
    for name in ("wide", "high"):
        found[f"rt-detr-{name}"] = (RTDetrImageProcessor, {"size": {"height": 32, "width": 32}}, name)
    found["detr"] = (DetrImageProcessor, edges, "high")
    found["yolos"] = (YolosImageProcessor, {"size": {"shortest_edge": 40, "longest_edge": 57}}, "wide")
    # A canvas larger than the picture: an odd number of pixels is missing in one direction only.
    found["clip-border"] = (
        CLIPImageProcessor,
        {"do_resize": False, "crop_size": {"height": 12, "width": 33}},
        "flat",
    )
    down, up = {"size": {"height": 17, "width": 31}}, {"size": {"height": 29, "width": 23}}
    for number in range(6):
        kind = ViTImageProcessorPil if number in (BOX, HAMMING) else ViTImageProcessor
        found[f"resample-{number}-down"] = (kind, down | {"resample": number}, "high")
        found[f"resample-{number}-up"] = (kind, up | {"resample": number}, "tiny")
    found["within"] = (ViTImageProcessor, {"size": {"max_height": 30, "max_width": 50}}, "high")
    found["untouched"] = (ViTImageProcessor, {"do_resize": False}, "tiny")
    found["bytes"] = (ViTImageProcessor, small | {"do_rescale": False, "do_normalize": False}, "wide")
    found["rescaled"] = (ViTImageProcessor, small | {"do_normalize": False}, "wide")
    found["normalised"] = (
        ViTImageProcessor,
        small | {"do_rescale": False, "image_mean": [120.0, 110.0, 100.0], "image_std": [50.0, 60.0, 70.0]},
        "wide",
    )
    return found


def sizes() -> list[dict]:
    """What published configurations make of pictures of many sizes: `[width, height, prepared width, height]`."""
    drawn = random.Random(4)
    pictures = [(drawn.randint(20, 2500), drawn.randint(20, 2500)) for _ in range(60)]
    pictures += [(640, 480), (480, 640), (1333, 800), (800, 1333), (800, 800), (427, 640), (4000, 3000), (30, 2000)]
    depth = {"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    rules = [
        (Mask2FormerImageProcessor, {}),
        (DetrImageProcessor, {}),
        (YolosImageProcessor, {}),
        (CLIPImageProcessor, {"do_center_crop": False}),
        (SamImageProcessor, {"do_pad": False}),
        (EomtImageProcessor, {}),
        (DPTImageProcessor, depth),
        (ViTImageProcessor, {"size": {"max_height": 700, "max_width": 500}}),
    ]
    found = []
    for kind, arguments in rules:
        processor = kind(**arguments)
        nearest = {"resample": 0, "do_rescale": False, "do_normalize": False, "return_tensors": "pt"}
        rows = []
        for width, height in pictures:
            image = torch.zeros((3, height, width), dtype=torch.uint8)
            made = processor(image, **nearest)["pixel_values"].shape
            rows.append([width, height, made[-1], made[-2]])
        found.append({"class": kind.__name__, "config": arguments, "rows": rows})
    return found


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    pictures = {name: picture(*size, seed) for seed, (name, size) in enumerate(PICTURES.items())}
    save_file(pictures, GOLDEN / "pictures.safetensors")
    prepared, listed = {}, {}
    for name, (kind, arguments, picture_name) in cases().items():
        processor = kind(**arguments)
        image = pictures[picture_name].permute(2, 0, 1).contiguous()
        output = processor(image, return_tensors="pt", input_data_format="channels_first")["pixel_values"]
        prepared[name] = output.to(torch.float32).contiguous()
        listed[name] = {"class": kind.__name__, "config": arguments, "picture": picture_name}
    save_file(prepared, GOLDEN / "prepared.safetensors")
    defaults = {kind.__name__: kind().to_dict() for kind in CLASSES}
    document = {"cases": listed, "defaults": defaults, "sizes": sizes()}
    # A line a case.
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            parts.append(f'"{key}": [\n' + ",\n".join(map(json.dumps, value)) + "\n]")
        else:
            lines = (f'"{name}": {json.dumps(one)}' for name, one in value.items())
            parts.append(f'"{key}": {{\n' + ",\n".join(lines) + "\n}")
    (GOLDEN / "cases.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()
