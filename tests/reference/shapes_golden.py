"""Held-out pictures of shapes with their truth, and what the reference pipelines make of them.

    python tests/reference/shapes_golden.py               # writes tests/golden/shapes/: pictures and truth.json
    python tests/reference/shapes_golden.py --measure     # writes tests/golden/shapes/README.md: IoU of the snapshots
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, SamProcessor

import train_sam_shapes
import train_segformer_shapes
from shapes import CLASSES, class_map, instance_map, random_scene, render
from shapes_pool import inner_point, mask_box, write_json

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "shapes"
LIMIT = 60_000  # bytes of a picture
# Colours of the instances in the index PNG; 0 is the background.
PALETTE = [(0, 0, 0), (230, 60, 60), (60, 180, 75), (0, 130, 200), (255, 225, 25), (145, 30, 180), (70, 240, 240)]
SCENES = {"landscape": (28, 300, 200), "portrait": (2, 251, 333), "large": (53, 640, 500), "small": (8, 173, 129)}

HEAD = """# Pictures of shapes

Drawn by `tests/reference/shapes_golden.py` from seeds that no training sees. Each `NAME.png` (RGB) has its truth in
`NAME-instances.png` (palette; 0 is the background, k the k-th shape of `truth.json`) and in `truth.json`: for each shape
its class, its box (left, top, right, bottom in pixels; right and bottom lie just outside), its centre (the middle of
the whole shape, in a ring not on the shape), a point deep inside it, and its area in pixels. A pixel belongs to a shape
that covers more than half of it.

What transformers makes of them with the snapshots in `tests/models/` (`shapes_golden.py --measure`), as intersection
over union: for `shapes-segformer` the least and the mean over the classes of the truth, for `shapes-sam` over the
shapes, of the mask with the highest predicted IoU. *Grey* is the same picture without its colours (Pillow's `L`).

"""


def draw() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    truth = {"classes": CLASSES, "scenes": []}
    for name, (seed, width, height) in SCENES.items():
        scene = random_scene(seed, width, height, count=(4, 6), radius=(0.11, 0.24), overlap=0.0, inside=True)
        picture, instances = GOLDEN / f"{name}.png", instance_map(scene)
        render(scene).save(picture, optimize=True)
        if picture.stat().st_size > LIMIT:
            raise SystemExit(f"{picture} has more than {LIMIT} bytes: take another seed")
        index = Image.fromarray(instances, "P")
        index.putpalette([channel for colour in PALETTE for channel in colour])
        index.save(GOLDEN / f"{name}-instances.png", optimize=True)
        shapes = []
        for number, shape in enumerate(scene.shapes, 1):
            mask = instances == number
            shapes.append(
                {
                    "class": shape.kind,
                    "box": mask_box(mask),
                    "centre": [round(value, 2) for value in shape.centre],
                    "point": inner_point(mask),
                    "area": int(mask.sum()),
                }
            )
        truth["scenes"].append({"name": name, "width": width, "height": height, "shapes": shapes})
    write_json(GOLDEN / "truth.json", truth)


def all_scores(picture: Image.Image, instances: np.ndarray, kinds: np.ndarray) -> dict[str, list[float]]:
    """IoU of what each snapshot that is there finds, by its name and prompt; `kinds` has the class of each instance."""
    scores = {}
    if train_segformer_shapes.MODEL.exists():
        processor, model = AutoImageProcessor.from_pretrained(train_segformer_shapes.MODEL), train_segformer_shapes.load()
        found = train_segformer_shapes.segment(picture, processor, model)
        scores["segformer"] = list(train_segformer_shapes.class_scores(found, kinds[instances]).values())
    if train_sam_shapes.MODEL.exists():
        processor, model = SamProcessor.from_pretrained(train_sam_shapes.MODEL), train_sam_shapes.load()
        masks = [instances == number for number in range(1, len(kinds))]
        cut = train_sam_shapes.prompt_scores(picture, masks, processor, model)
        scores |= {f"sam, {prompt}": values for prompt, values in cut.items()}
    return scores


def measure() -> None:
    rows = [["picture"]]
    for scene in json.loads((GOLDEN / "truth.json").read_text())["scenes"]:
        picture = Image.open(GOLDEN / f"{scene['name']}.png")
        instances = np.asarray(Image.open(GOLDEN / f"{scene['name']}-instances.png"))
        kinds = np.array([0] + [CLASSES.index(shape["class"]) for shape in scene["shapes"]])
        for title, shown in ((scene["name"], picture), (f"{scene['name']}, grey", picture.convert("L").convert("RGB"))):
            scores = all_scores(shown, instances, kinds)
            rows[0] = ["picture", *(f"{name}: {column}" for name in scores for column in ("least", "mean"))]
            rows.append([title, *(f"{of(values):.3f}" for values in scores.values() for of in (min, np.mean))])
    rows.insert(1, ["---"] * len(rows[0]))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    (GOLDEN / "README.md").write_text(f"{HEAD}{table}\n")
    print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    if parser.parse_args().measure:
        measure()
    else:
        draw()
