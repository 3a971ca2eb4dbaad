"""Segmentation models at a published size with random weights: percept's `--raw` against transformers.

    python tests/reference/full_size_segment.py --percept target/release/percept [--only sam,segformer] [--folder KEEP]

Builds each snapshot (config, weights, preparation), runs `percept segment IMAGE --model DIR --raw OUT.safetensors` on a
drawn picture and compares `pixel_values` with the image processor's (in grey levels) and the outputs with the
model's on the same pixels. Exit code 1 when one is off.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    EomtConfig,
    EomtForUniversalSegmentation,
    EomtImageProcessor,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessor,
    Sam2Config,
    Sam2ImageProcessor,
    Sam2Model,
    SamConfig,
    SamImageProcessor,
    SamModel,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    SwinConfig,
    ViTImageProcessor,
)

from clipseg import END, MERGES, vocabulary

TOLERANCE = 2e-4  # of the largest reference value
GREY_LEVELS = 2.0
POINT = (300, 200)
SIZE = (800, 600)  # of the picture


@dataclass
class Case:
    """How a model is built, asked and compared."""

    model: Callable[[], torch.nn.Module]
    processor: Callable[[], object]
    outputs: list[str]
    ask: list[str] = field(default_factory=list)
    inputs: Callable[[dict[str, torch.Tensor]], dict] = lambda raw: {}
    files: Callable[[Path], None] = lambda folder: None


def clipseg() -> torch.nn.Module:
    # As the published rd64-refined, but for the words that its tokenizer knows.
    return CLIPSegForImageSegmentation(
        CLIPSegConfig(
            vision_config={"patch_size": 16, "image_size": 224},
            text_config={"eos_token_id": vocabulary(specials_first=False)[END]},
            extract_layers=[3, 6, 9],
            reduce_dim=64,
            use_complex_transposed_convolution=True,
        )
    )


def clip_tokenizer(folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps(vocabulary(specials_first=False)))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")


def mask2former() -> torch.nn.Module:
    # Swin tiny, COCO panoptic.
    backbone = SwinConfig(
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        drop_path_rate=0.3,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return Mask2FormerForUniversalSegmentation(Mask2FormerConfig(backbone_config=backbone, num_labels=133))


def eomt() -> torch.nn.Module:
    # Small, COCO panoptic, 640. Training ends without masked attention, so published ones have none.
    model = EomtForUniversalSegmentation(
        EomtConfig(
            hidden_size=384,
            num_hidden_layers=12,
            num_attention_heads=6,
            image_size=640,
            patch_size=16,
            num_blocks=3,
            num_labels=133,
        )
    )
    model.attn_mask_probs.zero_()
    return model


def prompt(scale: tuple[float, float]) -> Callable[[dict[str, torch.Tensor]], dict]:
    """The point on a canvas that is the picture times `scale`, which the answer of three masks is asked for."""
    point = torch.tensor([[[[POINT[0] * scale[0], POINT[1] * scale[1]]]]])
    return lambda raw: {"input_points": point, "input_labels": torch.ones(1, 1, 1, dtype=torch.long)}


POINTED = ["--point", f"{POINT[0]},{POINT[1]}"]
CASES = {
    "sam-vit-base": Case(
        lambda: SamModel(SamConfig()), SamImageProcessor, ["iou_scores", "pred_masks"], POINTED, prompt((1.28, 1.28))
    ),
    "sam2.1-hiera-tiny": Case(
        lambda: Sam2Model(Sam2Config()),
        Sam2ImageProcessor,
        ["iou_scores", "pred_masks"],
        POINTED,
        # Not its shape, but its whole is the canvas.
        prompt((1024 / SIZE[0], 1024 / SIZE[1])),
    ),
    "eomt-small": Case(
        eomt,
        lambda: EomtImageProcessor(size={"shortest_edge": 640, "longest_edge": 640}, do_pad=True),
        ["masks_queries_logits", "class_queries_logits"],
    ),
    "mask2former-swin-tiny": Case(
        mask2former, Mask2FormerImageProcessor, ["masks_queries_logits", "class_queries_logits"]
    ),
    "clipseg-rd64": Case(
        clipseg,
        lambda: ViTImageProcessor(
            size={"height": 352, "width": 352}, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
        ),
        ["logits"],
        ["--text", "a red mug"],
        lambda raw: {"input_ids": raw["input_ids"]},
        clip_tokenizer,
    ),
    "segformer-b0": Case(
        lambda: SegformerForSemanticSegmentation(SegformerConfig(num_labels=150)), SegformerImageProcessor, ["logits"]
    ),
}


def randomise(model: torch.nn.Module) -> None:
    """Weights that keep values in range and of which each matters."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=random)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif parameter.ndim < 2 or any(part in name for part in ("embed", "token", "rel_pos", "position")):
                parameter.copy_(0.1 * noise)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)


def build(case: Case, folder: Path) -> torch.nn.Module:
    """The model, whose snapshot lies in `folder` afterwards."""
    torch.manual_seed(0)
    model = case.model().eval()
    randomise(model)
    model.config._attn_implementation = "eager"
    if not (folder / "config.json").exists():
        model.save_pretrained(folder)
        case.processor().save_pretrained(folder)
        case.files(folder)
    return model


def picture(path: Path, size: tuple[int, int] = SIZE) -> Image.Image:
    """Shapes on noise: every frequency is there."""
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(60, 190, (size[1], size[0], 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((200, 100, 420, 330), fill=(220, 40, 30))
    draw.rectangle((500, 250, 760, 560), fill=(20, 60, 200))
    image.save(path)
    return image


def compare(name: str, case: Case, percept: Path, folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    model = build(case, folder)
    image = picture(folder / "picture.png")
    out = folder / "raw.safetensors"
    command = [percept, "segment", folder / "picture.png", "--model", folder, "--raw", out, "--precision", "f32"]
    began = time.perf_counter()
    subprocess.run(
        [*map(str, command), *case.ask, "-f", "json", "-o", str(folder / "out.json"), "-y", "-q"], check=True
    )
    seconds = time.perf_counter() - began
    raw = load_file(out)
    processor = case.processor()
    wanted = processor(images=image, return_tensors="pt")["pixel_values"]
    levels = (raw["pixel_values"] - wanted).abs().max() * max(processor.image_std) * 255
    good = levels.item() <= GREY_LEVELS
    print(f"{name}: whole process {seconds:.2f} s, pixel_values within {levels.item():.2f} grey levels", flush=True)
    with torch.no_grad():
        result = model(pixel_values=raw["pixel_values"], **case.inputs(raw))
    for key in case.outputs:
        reference, ours = result[key].float(), raw[key]
        difference = ((ours.reshape(reference.shape) - reference).abs().max() / reference.abs().max()).item()
        verdict = "ok" if difference <= TOLERANCE else "OFF"
        good &= difference <= TOLERANCE
        print(f"  {key} {tuple(reference.shape)}: {difference:.2e} of the largest, {verdict}", flush=True)
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--percept", type=Path, required=True)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.folder or Path(temporary)
        results = [compare(name, CASES[name], arguments.percept, root / name) for name in arguments.only.split(",")]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
