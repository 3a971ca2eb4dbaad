"""Trains the ViTPose that finds the keypoints of drawn stick figures, from nothing, on the CPU, and measures it.

    OMP_NUM_THREADS=1 python tests/reference/train_pose_shapes.py            # writes tests/models/shapes-pose/
    python tests/reference/train_pose_shapes.py --measure                    # errors of the snapshot that is there
    python tests/reference/train_pose_shapes.py --golden                     # writes tests/golden/figures/

Published ViTPoses differ in sizes only. Over 120 held-out pictures 99.6 % of the visible keypoints lie within 2 % of the figure's
height, and none of 1,008 pairs of elbows, wrists, hips, knees and ankles is taken left for right. The snapshot came of two runs:
about 3,700 steps (`--minutes 80`, a core shared with others, ended by hand) on crops that never reached beyond their picture,
which left one figure in eight lost where real crops do; and 2,699 more with such crops (`--resume --seed 1 --rate 1.2e-3
--minutes 28`). Nobody has run it from nothing to the end in one piece. An earlier form with patches of 16 pixels stayed at 74 %.
The golden folder has pictures with boxes and the true keypoints (from the drawing, not from a model), and boxes and keypoints
as they are when it is mirrored.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessor

from figures import FLIP_PAIRS, NAMES, Figure, mirrored, random_figure, render
from shapes_pool import Schedule, start_positions, start_weights

TESTS = Path(__file__).resolve().parents[1]
MODEL, GOLDEN = TESTS / "models" / "shapes-pose", TESTS / "golden" / "figures"
HEIGHT, WIDTH, PATCH = 128, 96, 8
MAP = (64, 48)
SIGMA = 2.0  # of the peaks, in places of the map
EARLY = 3  # layers after which a head that is not kept tells the keypoints of each patch
POSITION = 0.5  # deviation of the position embeddings at the edges, to begin with
BATCH = 32


def configuration() -> VitPoseConfig:
    backbone = VitPoseBackboneConfig(
        image_size=[HEIGHT, WIDTH],
        patch_size=[PATCH, PATCH],
        hidden_size=96,
        num_hidden_layers=6,
        num_attention_heads=4,
        mlp_ratio=4,
        out_indices=[6],
    )
    return VitPoseConfig(
        backbone_config=backbone,
        use_simple_decoder=True,
        scale_factor=4,
        id2label=dict(enumerate(NAMES)),
        label2id={name: index for index, name in enumerate(NAMES)},
    )


def sample(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A crop as the image processor cuts it, drawn as it is: u8 `[3, HEIGHT, WIDTH]`, places in the map, and which are
    to be seen."""
    figure = random_figure(random)
    left, top, right, bottom = figure.box()
    width, height = right - left, bottom - top
    width = max(width, height * WIDTH / HEIGHT) * 1.25 * random.uniform(0.92, 1.08)
    height = width * HEIGHT / WIDTH
    centre = np.array([left + right, top + bottom]) / 2 + random.normal(0, 0.02, 2) * (width, height)
    # The first and the last pixel's centres lie on the edges of the crop (unbiased data processing).
    scale = (WIDTH - 1) / width
    figure = figure.moved(scale, 0.5 - (centre - np.array([width, height]) / 2) * scale)
    others = []
    if random.random() < 0.3:
        # Somebody else, most of whom is not in the crop.
        side = random.choice([-1, 1])
        other = random_figure(random).moved(scale * random.uniform(0.7, 1.2), np.zeros(2))
        others.append(other.moved(1.0, np.array([WIDTH / 2 + side * random.uniform(0.62, 0.8) * WIDTH, HEIGHT / 3])))
    picture = np.array(render([*others, figure], WIDTH, HEIGHT, random))
    # Where the picture ends the crop is black, and it often ends near the figure.
    left, top, right, bottom = figure.box() + np.array([-1, -1, 1, 1]) * random.uniform(0, 0.25, 4) * HEIGHT / 1.25
    left, top, right, bottom = np.where(random.random(4) < 0.6, [left, top, right, bottom], [0, 0, WIDTH, HEIGHT])
    ends = np.zeros((HEIGHT, WIDTH, 1), bool)
    ends[max(0, round(top)) : max(0, round(bottom)), max(0, round(left)) : max(0, round(right))] = True
    picture = picture * ends
    places = (figure.points - 0.5) * (np.array(MAP[::-1]) - 1) / (np.array([WIDTH, HEIGHT]) - 1)
    return picture.transpose(2, 0, 1), places, figure.visible


class Crops(torch.utils.data.IterableDataset):
    """Batches without end: crops u8 `[BATCH, 3, HEIGHT, WIDTH]` and the maps of their keypoints `[BATCH, 17, *MAP]`."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        random = np.random.default_rng(self.seed)
        y, x = np.mgrid[: MAP[0], : MAP[1]]
        while True:
            pictures, places, visible = (np.stack(part) for part in zip(*(sample(random) for _ in range(BATCH))))
            distance = (x - places[..., 0, None, None]) ** 2 + (y - places[..., 1, None, None]) ** 2
            truth = np.exp(-distance / 2 / SIGMA**2) * visible[..., None, None]
            yield torch.from_numpy(pictures), torch.from_numpy(truth.astype(np.float32))


def vary_light(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """u8 to f32 0 to 1: brightness and contrast changed. No negatives: a face is light."""
    contrast, light = (torch.rand(len(pictures), 1, 1, 1, generator=generator) - 0.5 for _ in range(2))
    return ((pictures.float() / 255 - 0.5) * (1 + 0.4 * contrast) + 0.5 + 0.12 * light).clamp(0, 1)


def train(rate: float, minutes: float, seed: int, resume: bool) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(seed)
    model = load() if resume else VitPoseForPoseEstimation(configuration())
    if not resume:
        start_weights(model)
        positions = model.backbone.embeddings.position_embeddings
        torch.nn.init.normal_(positions, std=0.1)
        start_positions(positions.data[:, 1:], (HEIGHT // PATCH, WIDTH // PATCH), POSITION)
    model.set_attn_implementation("eager")  # faster than the other on so few patches
    # The early layers tell the mean of each keypoint's map under each patch.
    early, states = torch.nn.Linear(model.config.backbone_config.hidden_size, len(NAMES)), []
    model.backbone.encoder.layer[EARLY - 1].register_forward_hook(lambda *call: states.append(call[-1]))
    model.train()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters", flush=True)
    processor = VitPoseImageProcessor(size={"height": HEIGHT, "width": WIDTH})
    mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (processor.image_mean, processor.image_std))
    parameters = [*model.parameters(), *early.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = Schedule(optimizer, 1_000_000, minutes, clock=time.monotonic)
    crops = iter(torch.utils.data.DataLoader(Crops(seed), batch_size=None, num_workers=1, prefetch_factor=4))
    step, shown, last, losses = 0, 0.0, False, []
    while not last:
        last = schedule.advance(step)
        pictures, truth = next(crops)
        states.clear()
        with torch.autocast("cpu", torch.bfloat16):  # half the time
            heatmaps = model((vary_light(pictures, generator) - mean) / deviation).heatmaps
            first = early(states[0])
        # Peaks are a small part of a map: what lies on them weighs more.
        loss = ((heatmaps.float() - truth) ** 2 * (1 + 9 * truth)).sum((2, 3)).mean()
        coarse = F.avg_pool2d(truth, MAP[0] * PATCH // HEIGHT).flatten(2).transpose(1, 2)
        coarse = ((first.float() - coarse) ** 2 * (1 + 9 * coarse)).sum(1).mean()
        optimizer.zero_grad()
        (loss + 16 * coarse).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append([loss.item(), coarse.item()])
        if step % 50 == 49:
            means = " ".join(f"{loss:.3f}" for loss in np.mean(losses, 0))
            print(f"{step + 1} {schedule.elapsed():.0f} s loss of maps, patches: {means}", flush=True)
            losses.clear()
        step += 1
        if last or schedule.elapsed() > shown + 180:
            shown = schedule.elapsed()
            copy.deepcopy(model).eval().half().save_pretrained(MODEL)
            processor.save_pretrained(MODEL)
            print(f"{step} within 2 % of the height: {measure(24):.4f}", flush=True)
            model.train()


def scene(seed: int) -> tuple[np.ndarray, list[Figure]]:
    """A held-out picture of one or two figures, of any size and shape."""
    random = np.random.default_rng(1_000_000 + seed)
    width, height = (int(size) for size in random.integers(110, 210, 2))
    figures = []
    for index in range(count := int(random.integers(1, 3)) if width > 150 else 1):
        figure = random_figure(random)
        left, top, right, bottom = figure.box()
        scale = random.uniform(0.75, 0.95) * min(width / count / (right - left), height / (bottom - top))
        middle = np.array([(index + 0.5) * width / count, height / 2])
        figures.append(figure.moved(scale, middle - scale * np.array([left + right, top + bottom]) / 2))
    return np.asarray(render(figures, width, height, random)), figures


@torch.no_grad()
def find(picture: np.ndarray, boxes: list[np.ndarray], processor, model) -> list[tuple[np.ndarray, np.ndarray]]:
    """Keypoints and scores as transformers finds them, on the axes of figures.py."""
    boxes = [[[left, top, right - left, bottom - top] for left, top, right, bottom in boxes]]
    outputs = model(**processor(picture, boxes=boxes, return_tensors="pt"))
    results = processor.post_process_pose_estimation(outputs, boxes=boxes)[0]
    return [(result["keypoints"].numpy() + 0.5, result["scores"].numpy()) for result in results]


def measure(count: int, report: bool = False) -> float:
    """The part of visible keypoints that are within 2 % of their figure's height."""
    processor, model = VitPoseImageProcessor.from_pretrained(MODEL), load()
    near, scores, unseen, swapped = [], [], [], []
    for seed in range(count):
        picture, figures = scene(seed)
        for figure, (points, score) in zip(figures, find(picture, [f.box() for f in figures], processor, model)):
            left, top, right, bottom = figure.box()
            off = np.linalg.norm(points - figure.points, axis=1) / (bottom - top)
            near += (off[figure.visible] < 0.02).tolist()
            scores += score[figure.visible].tolist()
            unseen += score[~figure.visible].tolist()
            for a, b in FLIP_PAIRS[2:]:
                own = np.linalg.norm(points[a] - figure.points[a]) + np.linalg.norm(points[b] - figure.points[b])
                other = np.linalg.norm(points[a] - figure.points[b]) + np.linalg.norm(points[b] - figure.points[a])
                swapped.append(other < own)
    if report:
        print(f"scores: a hundredth below {np.quantile(scores, 0.01):.2f}; of what is not there 99 % below {np.quantile(unseen, 0.99):.2f}")
        print(f"left taken for right: {np.mean(swapped):.4f} of {len(swapped)} pairs")
    return float(np.mean(near))


def golden() -> None:
    """Pictures, boxes `[left, top, right, bottom]`, keypoints `[x, y, 1 where it is to be seen]` of each figure, and those
    of the mirrored picture, which whoever reads them mirrors."""

    def told(figure: Figure) -> dict:
        points = np.column_stack([figure.points, figure.visible]).round(3).tolist()
        return {"box": figure.box().round(3).tolist(), "keypoints": points}

    GOLDEN.mkdir(parents=True, exist_ok=True)
    scenes = []
    for seed in range(12):
        picture, figures = scene(seed)
        name = f"{seed:02}"
        Image.fromarray(picture).save(GOLDEN / f"{name}.png", optimize=True)
        flipped = [told(mirrored(figure, picture.shape[1])) for figure in figures]
        scenes.append({"name": name, "figures": [told(figure) for figure in figures], "mirrored": flipped})
    truth = {"names": NAMES, "flip_pairs": FLIP_PAIRS, "scenes": scenes}
    (GOLDEN / "truth.json").write_text(json.dumps(truth, separators=(",", ":")) + "\n")


def load() -> VitPoseForPoseEstimation:
    return VitPoseForPoseEstimation.from_pretrained(MODEL, dtype=torch.float32).eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--minutes", type=float, default=35, help="of the clock, where the rate reaches zero")
    parser.add_argument("--resume", action="store_true", help="go on from the snapshot")
    parser.add_argument("--seed", type=int, default=0, help="of the drawings")
    arguments = parser.parse_args()
    if arguments.golden:
        golden()
    elif arguments.measure:
        print(f"within 2 % of the height: {measure(120, report=True):.4f}")
    else:
        train(arguments.rate, arguments.minutes, arguments.seed, arguments.resume)
