"""Random truths and results with the numbers of pycocotools: `tests/golden/coco-eval`.

    python tests/reference/coco_eval.py tests/golden/coco-eval

Each file has `truth`, `results` (a results list), `file` (the same results as a COCO file with its own numbers of images
and classes), `stats` (COCOeval's, -1 for none), and `classes` (per class AP, AP50, AP75 and AR, from its arrays).
Among the cases: crowds, all sizes, equal scores, images without anything, classes without truths, truths and results
that touch thresholds exactly, more results than count, annotations of id 0.
"""

import contextlib
import copy
import io
import json
import sys
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def r(value: float, digits: int = 2) -> float:
    return round(float(value), digits)


def person(rng, box, rate):
    """17 keypoints in a box, some not labelled (0), some hidden (1)."""
    points = []
    for _ in range(17):
        x, y = box[0] + box[2] * rng.random(), box[1] + box[3] * rng.random()
        v = int(rng.integers(1, 3)) if rng.random() < rate else 0
        points += [r(x), r(y), v] if v else [0, 0, 0]
    return points


def near(rng, points, scale):
    return [r(p + rng.normal() * scale) if i % 3 < 2 else 2 for i, p in enumerate(points)]


def case(seed: int, pose: bool, images: int, classes: list[int], first_id: int, crowded: bool):
    rng = np.random.default_rng(seed)
    truth = {
        "images": [{"id": 7 * i + 3, "file_name": f"{i:03}.jpg", "width": 640, "height": 480} for i in range(images)],
        "annotations": [],
        "categories": [{"id": c, "name": f"class {c}"} for c in classes],
    }
    # The truth's images are not in the order of their numbers.
    rng.shuffle(truth["images"])
    results = []
    for at, image in enumerate(truth["images"]):
        if at == 0:
            continue  # An image without anything.
        only_results = at == 1
        for _ in range(int(rng.integers(1, 7))):
            size = float(np.exp(rng.uniform(np.log(8), np.log(300))))
            box = [r(rng.random() * 400), r(rng.random() * 300), r(size * rng.uniform(0.6, 1.4)), r(size)]
            # Never a truth of the last class: it has results only.
            c = int(rng.choice(classes[:-1] if len(classes) > 1 else classes))
            crowd = int(rng.random() < 0.12)
            annotation = {
                "id": len(truth["annotations"]) + first_id,
                "image_id": image["id"],
                "category_id": c,
                "bbox": box,
                # As with masks, the area is not that of the box; some are exactly on a limit of sizes.
                "area": [r(box[2] * box[3] * rng.uniform(0.5, 1.0)), 1024, 9216][int(rng.choice(3, p=[0.8, 0.1, 0.1]))],
                "iscrowd": crowd,
            }
            points = person(rng, box, rng.choice([0.9, 0.4]))
            if pose:
                if rng.random() < 0.1 or crowd:
                    points = [0] * 51
                annotation |= {"keypoints": points, "num_keypoints": sum(v > 0 for v in points[2::3])}
            if not only_results:
                truth["annotations"].append(annotation)
            for _ in range(int(rng.integers(0, 3 if not crowd else 5))):
                spread = float(rng.choice([0.02, 0.08, 0.3])) * size
                moved = [r(v + rng.normal() * spread) for v in box]
                moved[2:] = [max(v, 1.0) for v in moved[2:]]
                if rng.random() < 0.1:
                    moved = list(box)
                wrong = rng.random() < 0.1
                result = {
                    "image_id": image["id"],
                    "category_id": int(rng.choice(classes)) if wrong else c,
                    "bbox": moved,
                    # Few values, so that many are equal.
                    "score": r(rng.random(), 1),
                }
                if pose:
                    start = points if any(points) else person(rng, moved, 1.0)
                    result["keypoints"] = near(rng, start, spread * 0.4)
                results.append(result)
        if crowded and at == 2:
            for _ in range(130):
                box = [r(rng.random() * 500), r(rng.random() * 400), r(20 + rng.random() * 60), r(20 + rng.random() * 60)]
                result = {"image_id": image["id"], "category_id": classes[0], "bbox": box, "score": r(rng.random(), 2)}
                if pose:
                    result["keypoints"] = person(rng, box, 1.0)
                results.append(result)
    # On the threshold: 10 x 10 against 10 x 5, IoU exactly 0.5, and shifted, 0.75.
    if not pose:
        image = truth["images"][-1]["id"]
        for shift, wide in ((0, 5), (40, 7.5)):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + first_id,
                    "image_id": image,
                    "category_id": classes[0],
                    "bbox": [shift, 400, 10, 10],
                    "area": 100,
                    "iscrowd": 0,
                }
            )
            results.append(
                {"image_id": image, "category_id": classes[0], "bbox": [shift, 400, wide, 10], "score": 0.5}
            )
    rng.shuffle(results)
    return truth, results


def as_file(truth: dict, results: list) -> dict:
    """The results with other numbers, as a program writes them that has not seen the truth."""
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    images = [{"id": i + 1, "file_name": "pictures/" + name} for i, name in enumerate(sorted(names.values()))]
    ids = {image["file_name"].removeprefix("pictures/"): image["id"] for image in images}
    kinds = {c["id"]: i for i, c in enumerate(truth["categories"])}
    annotations = []
    for i, result in enumerate(results):
        box = result["bbox"]
        more = {"id": i + 1, "iscrowd": 0, "area": r(box[2] * box[3], 4)}
        annotations.append(
            result | more | {"image_id": ids[names[result["image_id"]]], "category_id": kinds[result["category_id"]]}
        )
    categories = [{"id": kinds[c["id"]], "name": c["name"]} for c in truth["categories"]]
    return {"images": images, "annotations": annotations, "categories": categories}


def scored(truth: dict, results: list, kind: str):
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(copy.deepcopy(results)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision, recall = evaluation.eval["precision"][..., 0, -1], evaluation.eval["recall"][..., 0, -1]

    def mean(values):
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    classes = []
    for k, c in enumerate(evaluation.params.catIds):
        p = precision[:, :, k]
        classes.append({"id": int(c), "AP": mean(p), "AP50": mean(p[0]), "AP75": mean(p[5]), "AR": mean(recall[:, k])})
    return [float(s) for s in evaluation.stats], classes


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    cases = {
        "boxes-1": (1, False, 12, [1, 2, 4, 9], 1, False),
        "boxes-2": (2, False, 6, [5, 6], 1, True),
        "boxes-id-0": (3, False, 6, [0, 3, 8], 0, False),
        "keypoints-1": (4, True, 14, [1], 1, False),
        "keypoints-2": (5, True, 6, [1, 3], 1, True),
    }
    for name, arguments in cases.items():
        pose = arguments[1]
        truth, results = case(*arguments)
        stats, classes = scored(truth, results, "keypoints" if pose else "bbox")
        data = {"truth": truth, "results": results, "file": as_file(truth, results), "stats": stats, "classes": classes}
        if pose:
            # Without boxes, areas are those of the keypoints' extents.
            bare = [{k: v for k, v in result.items() if k != "bbox"} for result in results]
            data["bare_stats"] = scored(truth, bare, "keypoints")[0]
        if name == "keypoints-2":
            del data["file"]
        (folder / f"{name}.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
        print(name, len(truth["annotations"]), len(results), [round(s, 3) for s in stats])


if __name__ == "__main__":
    main()
