"""Detectors and pose models at a published size with random weights: percept's `--raw` against transformers.

    python tests/reference/full_size_detect.py --percept target/release/percept [--only yolos-tiny,...] [--folder KEEP]

Builds each snapshot, runs `percept detect` (or `pose --whole`) IMAGE --model DIR --raw OUT.safetensors on a drawn picture
and compares `pixel_values` and the outputs with the model's on the same pixels. Queries of two-stage detectors are ranked by
scores that random weights make nearly equal, so some change places: they are paired by their boxes. Exit code 1 when one is off.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from resnet import randomise_norms
from vit import randomise

TOLERANCE = 2e-4
# With others two queries of RF-DETR may change their ranks, which other queries see.
SEEDS = {"rf-detr-base": 31}
SIZE = (800, 600)


def picture(path: Path) -> Image.Image:
    random = np.random.default_rng(3)
    image = Image.fromarray(random.integers(0, 80, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, side = random.integers(0, 700), random.integers(0, 500), random.integers(30, 160)
        color = tuple(int(v) for v in random.integers(0, 256, 3))
        (draw.ellipse if random.random() < 0.5 else draw.rectangle)([x, y, x + side, y + side], fill=color)
    image.save(path)
    return image


def yolos_tiny():
    config = transformers.YolosConfig(
        hidden_size=192, num_attention_heads=3, intermediate_size=768, num_labels=91, image_size=[800, 1333],
        use_mid_position_embeddings=False,
    )
    size = {"shortest_edge": 512, "longest_edge": 1333}
    return transformers.YolosForObjectDetection(config), transformers.YolosImageProcessor(size=size)


def detr_resnet50():
    config = transformers.DetrConfig(num_labels=91, backbone="resnet50", use_timm_backbone=True)
    return transformers.DetrForObjectDetection(config), transformers.DetrImageProcessor()


def rt_detr_v2_r18():
    backbone = transformers.RTDetrResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", out_features=["stage2", "stage3", "stage4"]
    )
    config = transformers.RTDetrV2Config(
        backbone_config=backbone, encoder_in_channels=[128, 256, 512], decoder_layers=3, hidden_expansion=0.5, num_labels=80
    )
    return transformers.RTDetrV2ForObjectDetection(config), transformers.RTDetrImageProcessor()


def rf_detr_base():
    from transformers.models.rf_detr import RfDetrConfig, RfDetrForObjectDetection, RfDetrImageProcessor

    backbone = dict(
        model_type="rf_detr_dinov2", hidden_size=384, num_attention_heads=6, num_hidden_layers=12, image_size=518,
        patch_size=14, num_windows=4, out_features=["stage2", "stage5", "stage8", "stage11"],
    )
    config = RfDetrConfig(backbone_config=backbone, num_labels=91)
    return RfDetrForObjectDetection(config), RfDetrImageProcessor(size={"height": 560, "width": 560})


def vitpose_base():
    backbone = transformers.VitPoseBackboneConfig(out_features=["stage12"])
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)
    return transformers.VitPoseForPoseEstimation(config), transformers.VitPoseImageProcessor()


CASES = {
    "yolos-tiny": yolos_tiny,
    "detr-resnet-50": detr_resnet50,
    "rt-detr-v2-r18": rt_detr_v2_r18,
    "rf-detr-base": rf_detr_base,
    "vitpose-base": vitpose_base,
}


def build(name: str, folder: Path):
    """The model, its processor and the picture; the snapshot lies in the folder."""
    torch.manual_seed(7)
    model, processor = CASES[name]()
    model = model.eval()
    # New heads say the same of every query, and new norms tell nothing apart: what is chosen among equals is chance.
    randomise(model, SEEDS.get(name, 11))
    randomise_norms(model, 12)
    for part in model.modules():
        if "FrozenBatchNorm" in type(part).__name__:
            part.running_var.uniform_(0.5, 2.0)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor, picture(folder / "picture.png")


def differences(name: str, folder: Path, percept: Path) -> dict[str, float]:
    model, processor, image = build(name, folder)
    pose = name.startswith("vitpose")
    task = ["pose", "--whole"] if pose else ["detect"]
    out = folder / "raw.safetensors"
    command = [percept, *task, folder / "picture.png", "--model", folder, "--raw", out, "--precision", "f32", "-q"]
    subprocess.run([*map(str, command), "-o", str(folder / "out.json"), "-y"], check=True)
    raw = load_file(out)
    if pose:
        pixels = processor(images=image, boxes=[[[0.0, 0.0, *map(float, SIZE)]]], return_tensors="pt")["pixel_values"]
    else:
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        found = model(pixel_values=raw["pixel_values"])
    result = {"pixel_values": float((raw["pixel_values"] - pixels).abs().max() / pixels.abs().max())}
    if pose:
        return result | {"heatmaps": float((raw["heatmaps"] - found.heatmaps).abs().max() / found.heatmaps.abs().max())}
    ours, theirs = raw["pred_boxes"][0], found.pred_boxes[0]
    pairs = torch.cdist(theirs, ours, p=float("inf")).argmin(1)
    result["moved queries"] = float((pairs != torch.arange(len(pairs))).sum())
    for key in ("logits", "pred_boxes"):
        error = (raw[key][0][pairs] - found[key][0]).abs().amax(1) / found[key].abs().max()
        result[key] = float(error.max())
        result[f"{key} 95%"] = float(error.quantile(0.95))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--percept", type=Path, required=True)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    off = False
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.only.split(","):
            folder = (arguments.folder or Path(temporary)) / name
            found = differences(name, folder, arguments.percept.resolve())
            judged = [value for key, value in found.items() if key.endswith("95%") or key in ("heatmaps", "pixel_values")]
            off |= any(not value <= TOLERANCE for value in judged)
            print(name, {key: float(f"{value:.2g}") for key, value in found.items()}, flush=True)
    sys.exit(int(off))


if __name__ == "__main__":
    main()
