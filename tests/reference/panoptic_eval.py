"""Panoptic segments drawn at random, and their quality by COCO's panopticapi: `tests/golden/panoptic-eval`.

    python tests/reference/panoptic_eval.py PANOPTICAPI tests/golden/panoptic-eval

PANOPTICAPI is a checkout of https://github.com/cocodataset/panopticapi, which is not on PyPI. Truth and results are in its
form; `answers/` are the same results as `percept segment -f json` has them (masks by pycocotools).
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

sys.path.insert(0, sys.argv[1])
from panopticapi.evaluation import pq_compute  # noqa: E402
from panopticapi.utils import id2rgb  # noqa: E402

CATEGORIES = [
    {"id": 3, "name": "person", "isthing": 1},
    {"id": 1, "name": "car", "isthing": 1},
    {"id": 90, "name": "sky", "isthing": 0},
    {"id": 91, "name": "grass, cut", "isthing": 0},
    {"id": 92, "name": "never", "isthing": 0},
]


def picture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Stripes of stuff, 1 to 3 (3 is nothing), and boxes of things on them, from 10."""
    ids = np.repeat(random.integers(1, 4, (height + 7) // 8), 8)[:height, None] * np.ones((1, width), int)
    for index in range(int(random.integers(3, 9))):
        y, x = random.integers(0, height - 6), random.integers(0, width - 6)
        h, w = random.integers(4, 18, 2)
        ids[y : y + h, x : x + w] = 10 + index
    ids[ids == 3] = 0
    return ids


def main() -> None:
    folder = Path(sys.argv[2])
    for name in ("truth", "results", "answers"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    names = {category["id"]: category["name"] for category in CATEGORIES}
    images, truths, results = [], [], []
    for image in range(8):
        height, width = (int(size) for size in random.integers(30, 60, 2))
        truth = picture(random, height, width)
        shift = random.integers(-2, 3, 2)
        found = np.roll(truth, shift, (0, 1))
        found[random.random(found.shape) < 0.02] = 0
        # Some things are not found, some are found where there is none, some are of another class.
        for value in np.unique(found[found >= 10]):
            if random.random() < 0.2:
                found[found == value] = 0
        y, x = random.integers(0, height - 10), random.integers(0, width - 10)
        found[y : y + 9, x : x + 9] = 30
        large = 1000 + 7 * image  # more than a byte
        found[found == 30] = large
        classes = {1: 90, 2: 91} | {10 + index: (3, 1)[index % 2] for index in range(20)}
        infos = [[], []]
        for side, ids in enumerate((truth, found)):
            for value in np.unique(ids[ids > 0]).tolist():
                kind = classes.get(value, 3)
                if side == 1 and value >= 10 and random.random() < 0.15:
                    kind = 1 if kind == 3 else 3
                info = {"id": value, "category_id": kind, "area": int((ids == value).sum())}
                if side == 0:
                    info["iscrowd"] = int(value >= 10 and random.random() < 0.25)
                infos[side].append(info)
        file = f"{image:03}.png"
        images.append({"id": image + 40, "file_name": f"{image:03}.jpg", "width": width, "height": height})
        for name, ids, annotations, info in (("truth", truth, truths, infos[0]), ("results", found, results, infos[1])):
            Image.fromarray(id2rgb(ids.astype(np.uint32))).save(folder / name / file)
            annotations.append({"image_id": image + 40, "file_name": file, "segments_info": info})
        instances = []
        for number, info in enumerate(infos[1], 1):
            rle = coco_mask.encode(np.asfortranarray(found == info["id"]).astype(np.uint8))
            label = {"id": info["category_id"] + 5, "name": names[info["category_id"]]}
            rle = {"size": rle["size"], "counts": rle["counts"].decode()}
            instances.append({"id": number, "label": label, "score": 0.5, "box": [0, 0, 1, 1], "area": 1, "rle": rle})
        answer = {"schema": "percept/1", "task": "segment", "input": {"path": f"photos/{image:03}.jpg"}}
        answer["result"] = {"kind": "panoptic", "width": width, "height": height, "instances": instances}
        (folder / "answers" / f"{image:03}.segment.json").write_text(json.dumps(answer, separators=(",", ":")) + "\n")
    for name, annotations in (("truth", truths), ("results", results)):
        whole = {"images": images, "annotations": annotations, "categories": CATEGORIES}
        (folder / f"{name}.json").write_text(json.dumps(whole, separators=(",", ":")) + "\n")
    os.chdir(folder)
    numbers = pq_compute("truth.json", "results.json")
    classes = {str(key): value for key, value in numbers.pop("per_class").items() if value["pq"] or key != 92}
    Path("numbers.json").write_text(json.dumps(numbers | {"classes": classes}) + "\n")


if __name__ == "__main__":
    main()
