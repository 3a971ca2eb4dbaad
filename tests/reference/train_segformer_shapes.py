"""Trains the SegFormer that tells drawn shapes apart, from nothing, on the CPU, and measures it.

    OMP_NUM_THREADS=1 python tests/reference/train_segformer_shapes.py            # writes tests/models/shapes-segformer/
    python tests/reference/train_segformer_shapes.py --measure                    # IoU of the snapshot that is there

Published SegFormers differ in sizes only (and in the names of their classes). About 25 minutes on one core (these
layers are too small for two).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import (
    AutoImageProcessor,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
)

from shapes import CLASSES, class_map
from shapes_pool import (
    Schedule,
    TrainingPool,
    held_out,
    intersection_over_union,
    resize,
    start_weights,
    vary_colours,
)

MODEL = Path(__file__).resolve().parents[1] / "models" / "shapes-segformer"
SIDE = 192  # pixels of the square that every picture is made into
LOSS_SIDE = SIDE // 2  # the logits are SIDE // 4: between cells they have to be right as well
COARSE_SIDE = 128  # most is learned on small pictures, in less than half the time of large ones
COARSE_SHARE = 0.5  # of the training
BATCH = 8


def configuration() -> SegformerConfig:
    return SegformerConfig(
        depths=[1, 2, 2, 2],
        hidden_sizes=[16, 32, 64, 96],
        num_attention_heads=[1, 2, 2, 4],
        mlp_ratios=[2, 3, 3, 3],
        decoder_hidden_size=48,
        drop_path_rate=0.0,
        classifier_dropout_prob=0.0,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: number for number, name in enumerate(CLASSES)},
    )


def load_batch(pool: TrainingPool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures as the image processor resizes them, u8 `[BATCH, 3, SIDE, SIDE]`, and classes, `[BATCH, SIDE, SIDE]`."""
    pictures, classes = [], []
    for _ in range(BATCH):
        picture, instances, kinds = pool.pick(generator)
        pictures.append(resize(picture, [SIDE, SIDE], "bilinear"))
        classes.append(kinds[resize(instances, [SIDE, SIDE], "nearest-exact").long()])
    return torch.stack(pictures), torch.stack(classes)


def train(steps: int, rate: float, minutes: float, cache: Path, resume: bool) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    pool = TrainingPool(cache)
    model = load() if resume else SegformerForSemanticSegmentation(configuration())
    if not resume:
        start_weights(model)
    model.train()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters", flush=True)
    processor = SegformerImageProcessor(size={"height": SIDE, "width": SIDE}, do_reduce_labels=False)
    mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (processor.image_mean, processor.image_std))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = Schedule(optimizer, steps, minutes)
    for step in range(steps):
        last = schedule.advance(step)
        side = COARSE_SIDE if schedule.done < COARSE_SHARE and not resume else SIDE
        batch, truth = load_batch(pool, generator)
        batch = (vary_colours(batch, generator) - mean) / deviation
        if side != SIDE:
            batch = F.interpolate(batch, size=(side, side), mode="bilinear", antialias=True)
        wanted = F.one_hot(truth, len(CLASSES)).permute(0, 3, 1, 2).float()
        wanted = F.avg_pool2d(wanted, SIDE // LOSS_SIDE)  # the part of each cell that is of a class
        logits = model(batch).logits
        logits = F.interpolate(logits, size=(LOSS_SIDE, LOSS_SIDE), mode="bilinear", align_corners=False)
        loss = F.cross_entropy(logits, wanted) + dice(logits, wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"{step} {schedule.elapsed():.0f} s loss {loss.item():.4f}", flush=True)
        if step % 250 == 249 or last:
            model.eval().save_pretrained(MODEL)
            processor.save_pretrained(MODEL)
            print(f"{step} IoU {measure(24):.4f}", flush=True)
            model.train()
        if last:
            break


def dice(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """1 - Dice coefficient of each class over the batch: weighs a small class like a large one."""
    found = logits.softmax(1)
    overlap = (found * wanted).sum((0, 2, 3))
    return 1 - ((2 * overlap + 1) / (found.sum((0, 2, 3)) + wanted.sum((0, 2, 3)) + 1)).mean()


@torch.no_grad()
def segment(picture: Image.Image, processor, model: SegformerForSemanticSegmentation) -> np.ndarray:
    """The class of each pixel, as transformers finds it."""
    outputs = model(**processor(images=picture, return_tensors="pt"))
    return processor.post_process_semantic_segmentation(outputs, target_sizes=[picture.size[::-1]])[0].numpy()


def class_scores(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """IoU of each shape's class that is in the truth."""
    present = np.unique(truth[truth > 0])
    return {CLASSES[number]: intersection_over_union(found == number, truth == number) for number in present}


def measure(count: int, report: bool = False) -> float:
    """Mean over held-out scenes of the mean IoU of their classes."""
    processor, model = AutoImageProcessor.from_pretrained(MODEL), load()
    scores = []
    for scene, picture, instances in held_out(count):
        by_class = class_scores(segment(picture, processor, model), class_map(scene, instances))
        scores.append(np.mean(list(by_class.values())))
        if report:
            print(f"{scene.width}x{scene.height} {scores[-1]:.3f} {by_class}")
    if report:
        print(f"least {min(scores):.4f}, a tenth below {np.quantile(scores, 0.1):.4f}")
    return float(np.mean(scores))


def load() -> SegformerForSemanticSegmentation:
    return SegformerForSemanticSegmentation.from_pretrained(MODEL).eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--minutes", type=float, default=30, help="where the rate reaches zero even if steps are left")
    parser.add_argument("--resume", action="store_true", help="go on from the snapshot, on large pictures only")
    parser.add_argument("--pool", type=Path, default=Path("/tmp/shapes-pool.npz"))
    arguments = parser.parse_args()
    if arguments.measure:
        print(f"IoU {measure(120, report=True):.4f}")
    else:
        train(arguments.steps, arguments.rate, arguments.minutes, arguments.pool, arguments.resume)
