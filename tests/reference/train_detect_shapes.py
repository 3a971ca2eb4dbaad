"""Trains the RT-DETRv2 that finds drawn shapes, from nothing, on the CPU, and measures it.

    OMP_NUM_THREADS=1 python tests/reference/train_detect_shapes.py            # writes tests/models/shapes-detr/
    python tests/reference/train_detect_shapes.py --measure                    # AP50 of the snapshot that is there

Published RT-DETRs differ in sizes only (and in the names of their classes). The loss is that of transformers, with its
denoising queries. About half an hour on one core.
"""

import argparse
import contextlib
import copy
import io
import re
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from transformers import RTDetrImageProcessor, RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

from shapes import KINDS, Scene
from shapes_pool import Schedule, TrainingPool, held_out, mask_box, resize, start_weights, vary_colours

MODEL = Path(__file__).resolve().parents[1] / "models" / "shapes-detr"
SIDE = 160  # pixels of the square that every picture is made into
COARSE_SIDE = 128  # most is learned on smaller pictures
COARSE_SHARE = 0.6  # of the training
BATCH = 16
SLIVER = 6  # pixels of the pool: what shows less of itself, across or down, is no object to find
# Where transformers begins with values that mean something (no box is moved, points lie around a box's centre).
MEANT = re.compile(r"class_embed|enc_score_head|bbox_(embed\.\d+|head)\.layers\.2|sampling_offsets|attention_weights")


def configuration() -> RTDetrV2Config:
    backbone = RTDetrResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 32, 64, 96],
        depths=[1, 2, 2, 1],
        layer_type="basic",
        out_indices=[2, 3, 4],
    )
    return RTDetrV2Config(
        backbone_config=backbone,
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[32, 64, 96],
        encoder_hidden_dim=64,
        encoder_ffn_dim=128,
        encoder_attention_heads=4,
        hidden_expansion=0.5,
        d_model=64,
        decoder_in_channels=[64, 64, 64],
        decoder_ffn_dim=128,
        decoder_layers=2,
        decoder_attention_heads=4,
        num_queries=30,
        num_denoising=24,
        initializer_bias_prior_prob=0.02,
        id2label=dict(enumerate(KINDS)),
        label2id={name: number for number, name in enumerate(KINDS)},
    )


def start(model: RTDetrV2ForObjectDetection) -> None:
    meant = {name: value.clone() for name, value in model.state_dict().items() if MEANT.search(name)}
    start_weights(model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_parameters()
    model.load_state_dict(meant, strict=False)


def load_batch(pool: TrainingPool, generator: torch.Generator) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Pictures as the image processor resizes them, u8 `[BATCH, 3, SIDE, SIDE]`, and for each the classes and the boxes
    (centre, width and height as parts of the picture's) of what shows."""
    pictures, labels = [], []
    for _ in range(BATCH):
        picture, instances, kinds = pool.pick(generator)
        height, width = instances.shape
        pictures.append(resize(picture, [SIDE, SIDE], "bilinear"))
        numbers, boxes, classes = instances.numpy(), [], []
        for number in np.unique(numbers[numbers > 0]):
            left, top, right, bottom = mask_box(numbers == number)
            if min(right - left, bottom - top) < SLIVER:
                continue
            centre = [(left + right) / 2 / width, (top + bottom) / 2 / height]
            boxes.append([*centre, (right - left) / width, (bottom - top) / height])
            classes.append(int(kinds[number]) - 1)
        labels.append(
            {
                "class_labels": torch.tensor(classes, dtype=torch.long),
                "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            }
        )
    return torch.stack(pictures), labels


def train(steps: int, rate: float, minutes: float, cache: Path, resume: bool) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(int(resume))
    pool = TrainingPool(cache)
    model = load()[0] if resume else RTDetrV2ForObjectDetection(configuration())
    if not resume:
        start(model)
    model.train()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters", flush=True)
    processor = RTDetrImageProcessor(size={"height": SIDE, "width": SIDE})
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    schedule = Schedule(optimizer, steps, minutes, clock=time.monotonic)
    watched, shown = list(held_out(48)), 0.0
    for step in range(steps):
        last = schedule.advance(step)
        side = COARSE_SIDE if schedule.done < COARSE_SHARE and not resume else SIDE
        pictures, labels = load_batch(pool, generator)
        batch = vary_colours(pictures, generator)
        if side != SIDE:
            batch = F.interpolate(batch, size=(side, side), mode="bilinear", antialias=True)
        loss = model(pixel_values=batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"{step} {schedule.elapsed():.0f} s loss {loss.item():.4f}", flush=True)
        if last or schedule.elapsed() > shown + 180:
            shown = schedule.elapsed()
            save(model.eval(), processor)
            print(f"{step} AP50 {measure(watched, model, processor)[0]:.4f}", flush=True)
            model.train()
        if last:
            break


def save(model: RTDetrV2ForObjectDetection, processor: RTDetrImageProcessor) -> None:
    """Writes the snapshot, its weights in 16 bits, with the names of published files."""
    copy.deepcopy(model).half().save_pretrained(MODEL)
    processor.save_pretrained(MODEL)


@torch.no_grad()
def detect(
    picture: Image.Image, processor: RTDetrImageProcessor, model: RTDetrV2ForObjectDetection, threshold: float = 0.0
) -> dict[str, torch.Tensor]:
    """Scores, labels and boxes (left, top, right, bottom in pixels), as transformers finds them."""
    outputs = model(**processor(images=picture, return_tensors="pt"))
    sizes = [picture.size[::-1]]
    return processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)[0]


def truth_of(scene: Scene, instances: np.ndarray) -> list[tuple[int, tuple[int, int, int, int]]]:
    """The class and the box of what shows of each shape."""
    return [
        (KINDS.index(shape.kind), mask_box(instances == number))
        for number, shape in enumerate(scene.shapes, 1)
        if (instances == number).any()
    ]


def measure(
    scenes: list[tuple[Scene, Image.Image, np.ndarray]],
    model: RTDetrV2ForObjectDetection,
    processor: RTDetrImageProcessor,
    report: bool = False,
) -> tuple[float, float]:
    """AP50 and AP of COCO, 0 to 1."""
    images, annotations, results = [], [], []
    found_well, missed, wrong = 0, 0, 0
    for image, (scene, picture, instances) in enumerate(scenes, 1):
        images.append({"id": image, "width": scene.width, "height": scene.height})
        for kind, (left, top, right, bottom) in truth_of(scene, instances):
            box = [left, top, right - left, bottom - top]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": kind,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
        found = detect(picture, processor, model)
        for score, label, corners in zip(found["scores"], found["labels"], found["boxes"].tolist()):
            box = [corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]]
            results.append({"image_id": image, "category_id": int(label), "bbox": box, "score": float(score)})
        if report:
            well, all_, false = matched(truth_of(scene, instances), found, 0.5)
            found_well, missed, wrong = found_well + well, missed + all_ - well, wrong + false
            if well < all_ or false:
                print(f"scene {image} {scene.width}x{scene.height}: {well} of {all_} found, {false} false")
    if report:
        print(f"at a score of 0.5: {found_well} found, {missed} missed, {wrong} false")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        categories = [{"id": number, "name": name} for number, name in enumerate(KINDS)]
        coco.dataset = {"images": images, "annotations": annotations, "categories": categories}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1]), float(evaluation.stats[0])


def matched(truth, found: dict[str, torch.Tensor], least: float) -> tuple[int, int, int]:
    """How many of `truth` a box of `found` of the right class covers with an IoU of 0.5 or more, how many there are, and
    how many boxes are on nothing; boxes that score `least` or more."""
    left, false = list(truth), 0
    for score, label, corners in zip(found["scores"], found["labels"], found["boxes"].tolist()):
        if score < least:
            continue
        of_class = [entry for entry in left if entry[0] == int(label)]
        best = max(of_class, key=lambda entry: box_iou(entry[1], corners), default=None)
        if best and box_iou(best[1], corners) >= 0.5:
            left.remove(best)
        else:
            false += 1
    return len(truth) - len(left), len(truth), false


def box_iou(first, second) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return shared / (area - shared)


def load() -> tuple[RTDetrV2ForObjectDetection, RTDetrImageProcessor]:
    model = RTDetrV2ForObjectDetection.from_pretrained(MODEL, dtype=torch.float32).eval()
    return model, RTDetrImageProcessor.from_pretrained(MODEL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--minutes", type=float, default=30, help="where the rate reaches zero even if steps are left")
    parser.add_argument("--resume", action="store_true", help="go on from the snapshot, on large pictures only")
    parser.add_argument("--pool", type=Path, default=Path("/tmp/shapes-pool.npz"))
    arguments = parser.parse_args()
    if arguments.measure:
        ap50, ap = measure(list(held_out(240)), *load(), report=True)
        print(f"AP50 {ap50:.4f}, AP {ap:.4f}")
    else:
        train(arguments.steps, arguments.rate, arguments.minutes, arguments.pool, arguments.resume)
