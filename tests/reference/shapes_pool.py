"""Drawn scenes in numbers, as training wants them: rendered once by all cores, then varied batch by batch.

Seeds below FIRST_TRAINING_SEED are held out.
"""

import json
import math
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from shapes import CLASSES, Scene, instance_map, random_scene, render

FIRST_TRAINING_SEED = 100_000
FIRST_HELD_OUT_SEED = 1_000
HELD_OUT_SIZES = [(300, 200), (500, 640), (333, 251), (220, 391), (640, 480), (256, 256)]
SCENES = 3_000
SIDE = 256  # the longer edge of a picture of the pool


def training_scene(seed: int) -> tuple[Scene, np.ndarray, np.ndarray]:
    """A scene of random size with its picture and instance map; half of them are cut out of a larger one, as tiles
    are."""
    generator = np.random.default_rng([21, seed])
    long = int(generator.integers(200, 420))
    short = int(long * generator.uniform(0.6, 1.0))
    width, height = (long, short) if generator.random() < 0.5 else (short, long)
    scene = random_scene(seed, width, height)
    picture, instances = np.asarray(render(scene)), instance_map(scene)
    if generator.random() < 0.4:
        part = generator.uniform(0.45, 0.95)
        window_width, window_height = (math.ceil(part * length) for length in (width, height))
        left = int(generator.integers(0, width - window_width + 1))
        top = int(generator.integers(0, height - window_height + 1))
        window = (slice(top, top + window_height), slice(left, left + window_width))
        picture, instances = picture[window], instances[window]
    return scene, picture, instances


def held_out(count: int) -> Iterator[tuple[Scene, Image.Image, np.ndarray]]:
    """Scenes that no training sees, in HELD_OUT_SIZES in turn, whose shapes lie inside and measure at least 40 of 300
    pixels across; with the picture and the instance map."""
    for number in range(count):
        width, height = HELD_OUT_SIZES[number % len(HELD_OUT_SIZES)]
        smallest = 20 / 300 * max(width, height) / math.sqrt(width * height)
        scene = random_scene(FIRST_HELD_OUT_SEED + number, width, height, radius=(smallest, 0.25), inside=True)
        if scene.shapes:
            yield scene, render(scene), instance_map(scene)


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scene, picture, instances = training_scene(seed)
    scale = SIDE / max(instances.shape)
    height, width = (int(length * scale + 0.5) for length in instances.shape)
    square, numbers = np.zeros((3, SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    square[:, :height, :width] = np.asarray(resized).transpose(2, 0, 1)
    numbers[:height, :width] = Image.fromarray(instances).resize((width, height), Image.Resampling.NEAREST)
    record = np.zeros(10, np.int64)  # height, width, the class of instance 0 (background), 1, 2...
    record[:2] = height, width
    record[3 : 3 + len(scene.shapes)] = [CLASSES.index(shape.kind) for shape in scene.shapes]
    return square, numbers, record


class TrainingPool:
    """Training scenes, rendered once and kept in the file `cache` between runs."""

    def __init__(self, cache: Path) -> None:
        if not cache.exists():
            started = time.monotonic()
            with multiprocessing.Pool(os.cpu_count()) as workers:
                samples = workers.map(_sample, range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + SCENES), chunksize=32)
            np.savez(cache, *[np.stack(column) for column in zip(*samples)])
            print(f"rendered {SCENES} scenes in {time.monotonic() - started:.0f} s", flush=True)
        with np.load(cache) as stored:
            self.pictures, self.instances, self.records = (torch.from_numpy(stored[name]) for name in stored.files)

    def pick(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A picture, u8 `[3, height, width]`, in one of the eight orientations; its instances, u8 `[height, width]`;
        and the class of each number in them."""
        which = int(torch.randint(len(self.pictures), (1,), generator=generator))
        height, width = self.records[which, :2].tolist()
        turned = int(torch.randint(8, (1,), generator=generator))
        picture, instances = (
            torch.rot90(all_[which, ..., :height, :width], turned % 4, (-2, -1))
            for all_ in (self.pictures, self.instances)
        )
        if turned >= 4:
            picture, instances = picture.flip(-1), instances.flip(-1)
        return picture, instances, self.records[which, 2:]


def resize(picture: torch.Tensor, size: list[int], mode: str) -> torch.Tensor:
    """u8 `[..., height, width]` to the height and width of `size`, `bilinear` or `nearest-exact`."""
    planes = picture.reshape(1, -1, *picture.shape[-2:]).float()
    resized = F.interpolate(planes, size=size, mode=mode, antialias=mode == "bilinear")
    return resized.round().to(torch.uint8).reshape(*picture.shape[:-2], *size)


def start_weights(model: torch.nn.Module) -> None:
    """Weights in proportion to the width of a layer; what transformers starts with suits layers of many hundreds."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.reset_parameters()


def start_positions(weights: torch.Tensor, grid: tuple[int, int], deviation: float) -> None:
    """Adds to the position embedding `[1, rows * columns, channels]` what is linear in a patch's place, with that
    deviation at the edges: which of two things is on the left is hard to learn from positions that have nothing in
    common."""
    down, across = ((torch.arange(count) + 0.5) / count * 2 - 1 for count in grid)
    down, across = torch.meshgrid(down, across, indexing="ij")
    towards = torch.randn(2, weights.shape[-1]) * deviation
    weights[0] += torch.stack([across.flatten(), down.flatten()], 1) @ towards


def vary_colours(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """u8 `[batch, 3, h, w]` to f32 0 to 1: some made grey, brightness, contrast and channels changed, some noise."""
    batch = len(pictures)

    def uniform(low: float, high: float, channels: int = 1) -> torch.Tensor:
        return low + (high - low) * torch.rand(batch, channels, 1, 1, generator=generator)

    varied = pictures.float() / 255
    grey = (varied * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    varied = torch.where(uniform(0, 1) < 0.3, grey, varied)
    varied = (varied - 0.5) * uniform(0.8, 1.15) + 0.5 + uniform(-0.06, 0.06)
    varied = torch.where(uniform(0, 1) < 0.2, 1 - varied, varied)
    noisy = uniform(0, 1) < 0.2
    if noisy.any():
        varied = varied + noisy * 0.03 * torch.randn(varied.shape, generator=generator)
    return varied.clamp(0, 1)


class Schedule:
    """The learning rate: linear warm-up, then a cosine down to nothing at the last step or minute of `clock` (of
    computing, as it is), what comes first."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, steps: int, minutes: float, warmup: int = 100, clock=time.process_time
    ) -> None:
        self.optimizer, self.steps, self.seconds, self.warmup = optimizer, steps, 60 * minutes, warmup
        self.peak = optimizer.param_groups[0]["lr"]
        self.clock, self.started, self.done = clock, clock(), 0.0

    def elapsed(self) -> float:
        return self.clock() - self.started

    def advance(self, step: int) -> bool:
        """Sets the rate for `step`; whether it is the last."""
        self.done = max((step + 1) / self.steps, self.elapsed() / self.seconds)
        rate = self.peak * min((step + 1) / self.warmup, 0.5 * (1 + math.cos(math.pi * min(self.done, 1))))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return self.done >= 1


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> float:
    union = np.logical_or(first, second).sum()
    return float(np.logical_and(first, second).sum() / union) if union else 1.0


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a mask marks; right and bottom lie just outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def inner_point(mask: np.ndarray) -> tuple[float, float]:
    """The pixel (x, y) of a mask that lies deepest inside, the one nearest to the mask's middle where several do."""
    left = np.pad(mask, 1)
    last = left
    while left.any():
        last = left
        left = left & np.roll(left, 1, 0) & np.roll(left, -1, 0) & np.roll(left, 1, 1) & np.roll(left, -1, 1)
    y, x = np.nonzero(last[1:-1, 1:-1])
    middle = [axis.mean() for axis in np.nonzero(mask)]
    nearest = np.argmin((y - middle[0]) ** 2 + (x - middle[1]) ** 2)
    return float(x[nearest]), float(y[nearest])
