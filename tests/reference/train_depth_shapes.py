"""Trains the Depth Anything that tells how far away drawn shapes are, from nothing, on the CPU, and measures it.

    OMP_NUM_THREADS=1 python tests/reference/train_depth_shapes.py            # writes tests/models/shapes-depth/
    python tests/reference/train_depth_shapes.py --measure                    # errors of the snapshot that is there

Published Depth Anythings differ in sizes only. Rooms are those of depth_scenes.py; depth is metric. Trained in two runs
on a busy core: 3,126 steps from nothing in f32 (`--minutes 33`; in its rooms a nearer shape could hide a foot), and 787
more with `--resume --rate 6e-4 --minutes 15`. Then of 240 held-out rooms (HELD_OUT_SIZES; those of 300 x 200, 640 x 480
and 333 x 251 come to the model in a shape that is not in SHAPES): AbsRel 0.0468, delta1 0.9737, the depth of a shape
(median over what shows) wrong by 5.6 % in the mean, the order of 97.3 % of 1,349 pairs right, pairs that differ by 10 %
among them. The highest pictures are the worst (220 x 391: AbsRel 0.085, delta1 0.887; others 0.032 to 0.075).
"""

import argparse
import copy
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor, pipeline

from depth_scenes import Room, depth_map, instance_map, random_scene, render
from shapes_pool import FIRST_HELD_OUT_SEED, FIRST_TRAINING_SEED, Schedule, start_weights, vary_colours

MODEL = Path(__file__).resolve().parents[1] / "models" / "shapes-depth"
PATCH = 14
SIDE = 9 * PATCH  # pixels of the shorter side, for the model
MAX_DEPTH = 10  # metres
# (height, width) of training, for the model
SHAPES = [(126, 126), (126, 154), (168, 126), (126, 182), (196, 126), (126, 224), (224, 126), (210, 126)]
SCENES = 8_000
BATCH = 16
GRADIENT = 0.5  # weight of the differences between neighbours
HELD_OUT_SIZES = [(300, 200), (640, 480), (220, 391), (500, 640), (256, 256), (391, 220), (333, 251), (180, 150)]


def configuration() -> DepthAnythingConfig:
    backbone = Dinov2Config(
        hidden_size=96,
        num_hidden_layers=5,
        num_attention_heads=4,
        mlp_ratio=4,
        image_size=SIDE,
        patch_size=PATCH,
        out_indices=[2, 3, 4, 5],
        reshape_hidden_states=False,
    )
    return DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=PATCH,
        reassemble_hidden_size=96,
        neck_hidden_sizes=[24, 32, 48, 64],
        fusion_hidden_size=32,
        head_hidden_size=16,
        depth_estimation_type="metric",
        max_depth=MAX_DEPTH,
    )


def image_processor() -> DPTImageProcessor:
    """As published for Depth Anything, at our size."""
    return DPTImageProcessor(
        size={"height": SIDE, "width": SIDE},
        keep_aspect_ratio=True,
        ensure_multiple_of=PATCH,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )


def _sample(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A room drawn larger than the model sees it: u8 `[3, height, width]` and depth, f16 `[height, width]`."""
    height, width = SHAPES[number % len(SHAPES)]
    seed = FIRST_TRAINING_SEED + number
    scale = np.random.default_rng([31, seed]).uniform(1.05, 1.8)
    room = random_scene(seed, round(width * scale), round(height * scale))
    picture = render(room).resize((width, height), Image.Resampling.BICUBIC)
    depth = Image.fromarray(depth_map(room)).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(picture).transpose(2, 0, 1), np.asarray(depth, np.float16)


class Pool:
    """Training rooms by shape, drawn once and kept in the file `cache` between runs."""

    def __init__(self, cache: Path) -> None:
        if not cache.exists():
            started = time.monotonic()
            with multiprocessing.Pool(os.cpu_count()) as workers:
                samples = workers.map(_sample, range(SCENES), chunksize=32)
            parts = [np.stack(column) for which in range(len(SHAPES)) for column in zip(*samples[which :: len(SHAPES)])]
            np.savez(cache, *parts)
            print(f"drew {SCENES} rooms in {time.monotonic() - started:.0f} s", flush=True)
        with np.load(cache) as stored:
            parts = [torch.from_numpy(stored[name]) for name in stored.files]
        self.groups = list(zip(parts[::2], parts[1::2]))

    def batch(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """u8 `[BATCH, 3, height, width]` and metres `[BATCH, height, width]`, of one shape, half of them mirrored."""
        which = int(torch.randint(len(self.groups), (1,), generator=generator))
        pictures, depths = self.groups[which]
        numbers = torch.randint(len(pictures), (BATCH,), generator=generator)
        pictures, depths = pictures[numbers], depths[numbers].float()
        mirrored = torch.rand(BATCH, generator=generator) < 0.5
        pictures = torch.where(mirrored.view(-1, 1, 1, 1), pictures.flip(-1), pictures)
        return pictures, torch.where(mirrored.view(-1, 1, 1), depths.flip(-1), depths)


def loss_of(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of logarithms, and of their differences between neighbours."""
    error = found.clamp(min=0.05).log() - truth.log()
    edges = (error[:, 1:] - error[:, :-1]).abs().mean() + (error[..., 1:] - error[..., :-1]).abs().mean()
    return error.abs().mean() + GRADIENT * edges


def train(rate: float, minutes: float, cache: Path, resume: bool) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(int(resume))
    pool = Pool(cache)
    model = load() if resume else DepthAnythingForDepthEstimation(configuration())
    if not resume:
        start_weights(model)
        torch.nn.init.normal_(model.backbone.embeddings.position_embeddings, std=0.1)
    model.train()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters", flush=True)
    processor = image_processor()
    mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (processor.image_mean, processor.image_std))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = Schedule(optimizer, 1_000_000, minutes, clock=time.monotonic)
    step, shown, last, losses = 0, 0.0, False, []
    while not last:
        last = schedule.advance(step)
        pictures, truth = pool.batch(generator)
        with torch.autocast("cpu", torch.bfloat16):  # half the time
            found = model((vary_colours(pictures, generator) - mean) / deviation).predicted_depth
        loss = loss_of(found.float(), truth)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 49:
            print(f"{step + 1} {schedule.elapsed():.0f} s loss {np.mean(losses):.4f}", flush=True)
            losses.clear()
        step += 1
        if last or schedule.elapsed() > shown + 240:
            shown = schedule.elapsed()
            save(model, processor)
            print(f"{step}: {described(measure(48))}", flush=True)


def save(model: DepthAnythingForDepthEstimation, processor: DPTImageProcessor) -> None:
    """Writes the snapshot, its weights in 16 bits, with the names of published files."""
    half = copy.deepcopy(model).eval().half()
    half.config.backbone_config.dtype = None  # that of the whole counts
    half.save_pretrained(MODEL)
    processor.save_pretrained(MODEL)


def held_out(count: int) -> Iterator[tuple[Room, Image.Image]]:
    """Rooms that no training sees, in HELD_OUT_SIZES in turn."""
    for number in range(count):
        room = random_scene(FIRST_HELD_OUT_SEED + number, *HELD_OUT_SIZES[number % len(HELD_OUT_SIZES)])
        yield room, render(room)


def shape_depths(depth: np.ndarray, numbers: np.ndarray) -> list[float]:
    """The median over what shows of each shape, in the order of the numbers."""
    return [float(np.median(depth[numbers == number])) for number in range(1, int(numbers.max(initial=0)) + 1)]


def measure(count: int, report: bool = False) -> dict[str, float]:
    """What transformers' pipeline makes of held-out rooms: AbsRel and delta1 (means over pictures), the mean relative
    error of the shapes' depths, and the part of all pairs of shapes of one picture whose order is right."""
    look = estimator()
    errors, deltas, shape_errors, right = [], [], [], []
    for room, picture in held_out(count):
        truth, numbers = depth_map(room), instance_map(room)
        found = look(picture)["predicted_depth"].float().numpy()
        errors.append(float(np.mean(np.abs(found - truth) / truth)))
        deltas.append(float(np.mean(np.maximum(found / truth, truth / found) < 1.25)))
        wanted, seen = [one.depth for one in room.standing], shape_depths(found, numbers)
        shape_errors += [abs(got - depth) / depth for got, depth in zip(seen, wanted)]
        pairs = [(a, b) for b in range(len(wanted)) for a in range(b)]  # the farther one is first
        right += [seen[a] > seen[b] for a, b in pairs]
        if report:
            wrong = [f"{wanted[a]:.2f} > {wanted[b]:.2f}" for a, b in pairs if seen[a] <= seen[b]]
            print(f"{room.width}x{room.height} AbsRel {errors[-1]:.4f} delta1 {deltas[-1]:.4f} {wrong or ''}")
    if report:
        print(f"{len(right)} pairs, {len(shape_errors)} shapes; the worst picture's AbsRel {max(errors):.4f}")
    return {
        "absrel": float(np.mean(errors)),
        "delta1": float(np.mean(deltas)),
        "shapes": float(np.mean(shape_errors)),
        "order": float(np.mean(right)),
    }


def described(scores: dict[str, float]) -> str:
    return (
        f"AbsRel {scores['absrel']:.4f}, delta1 {scores['delta1']:.4f}, of shapes {scores['shapes']:.4f}, "
        f"order {scores['order']:.4f}"
    )


def load() -> DepthAnythingForDepthEstimation:
    return DepthAnythingForDepthEstimation.from_pretrained(MODEL, dtype=torch.float32).eval()


def estimator():
    return pipeline("depth-estimation", model=load(), image_processor=DPTImageProcessor.from_pretrained(MODEL))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--minutes", type=float, default=30, help="where the rate reaches zero")
    parser.add_argument("--resume", action="store_true", help="go on from the snapshot")
    parser.add_argument("--pool", type=Path, default=Path("/tmp/depth-pool.npz"))
    arguments = parser.parse_args()
    if arguments.measure:
        print(described(measure(240, report=True)))
    else:
        train(arguments.rate, arguments.minutes, arguments.pool, arguments.resume)
