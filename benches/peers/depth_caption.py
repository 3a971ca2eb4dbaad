"""Depth of a picture and a caption: percept and torch, taking turns in one run.

    cargo build --release -p percept-cli
    python benches/peers/depth_caption.py target/release/percept [--folder KEEP] [--rounds 5] [--only depth-anything-v2-small]

Builds each model with random weights. percept's time is the `model` of the answers of a `percept worker` that is warm; torch's is
the forward pass on the prepared pixels, with fused attention. A caption is greedy and 20 tokens long, or 1: the picture's encoder and
little more. Each turn begins when nobody else computes. Medians of the rounds; ratios are medians of ratios round by round.
"""

import copy
import functools
import time
from pathlib import Path

from detect import THREADS, compare, torch_turn, turns_with_workers  # sets threads before torch reads them

import numpy as np
import torch
from PIL import Image
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipTextConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTImageProcessor,
)

from onnx_peer import cases as onnx_cases
from quiet import Quiet, Turn

CASES = ["depth-anything-v2-small", "blip-base-1", "blip-base-20"]


def depth_anything(folder: Path):
    backbone = Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14,
        out_indices=[3, 6, 9, 12], apply_layernorm=True, reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=384, neck_hidden_sizes=[48, 96, 192, 384], fusion_hidden_size=64
    )
    processor = DPTImageProcessor(
        size={"height": 518, "width": 518}, keep_aspect_ratio=True, ensure_multiple_of=14, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    return DepthAnythingForDepthEstimation(config).eval(), processor


def blip(folder: Path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{index}" for index in range(30_522 - len(words))]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join([*words, "[DEC]", "[ENC]"]) + "\n")
    BertTokenizerFast(vocab_file=str(vocabulary)).save_pretrained(folder)
    config = BlipConfig(text_config=BlipTextConfig(bos_token_id=30_522, sep_token_id=102, pad_token_id=0).to_dict())
    model = BlipForConditionalGeneration(config).eval()
    return model, BlipImageProcessor(size={"height": 384, "width": 384})


def caption_turn(model, tokens: int, pixels: torch.Tensor) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        model.generate(pixel_values=pixels, max_new_tokens=tokens, min_new_tokens=tokens, num_beams=1, do_sample=False)
        return time.perf_counter() - start


def measure(case: str, binary: Path, folder: Path, rounds: int, quiet: Quiet) -> dict[str, list[Turn]]:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    captions = case.startswith("blip")
    model, processor = (blip if captions else depth_anything)(folder)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 255, (518, 518, 3), np.uint8))
    image.save(folder / "picture.png")
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    tokens = case.rsplit("-", 1)[-1]
    turn = functools.partial(caption_turn, tokens=int(tokens)) if captions else None
    task = ["caption", "--beams", 1, "--min-tokens", tokens, "--max-tokens", tokens] if captions else ["depth"]
    cases = {}
    for precision, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        peer = copy.deepcopy(model).to(dtype)
        run = functools.partial(turn or torch_turn, peer, pixels=pixels.to(dtype))
        run()
        cases[f"torch {precision}"] = run
    if not captions:
        cases |= onnx_cases(model, pixels, folder, THREADS)
    return turns_with_workers(cases, binary, folder, task, rounds, quiet)


if __name__ == "__main__":
    compare(__doc__.splitlines()[0], CASES, measure)
