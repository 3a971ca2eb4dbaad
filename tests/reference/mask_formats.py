"""Reference results of COCO's mask code, written to tests/golden/mask-formats/formats.json.

pycocotools encodes masks of odd sizes, and rasterises polygons whose corners are whole pixels: those are the
convention of `percept_segment::format::polygon`. Of the picture code of OpenCV come connected regions.

    python tests/reference/mask_formats.py

With a COCO file of percept's and the run lengths of the same result, it compares what pycocotools makes of both:

    python tests/reference/mask_formats.py POLYGONS.json RLE.json
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco

OUT = Path(__file__).resolve().parents[1] / "golden" / "mask-formats"


def blobs(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth noise above its median: parts, holes, islands in holes, and pixels at every border."""
    noise = cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), 1.5)
    return (noise > np.median(noise)).astype(np.uint8)


def masks() -> list[np.ndarray]:
    random = np.random.default_rng(4)
    drawn = [
        np.zeros((1, 1), np.uint8),
        np.ones((1, 1), np.uint8),
        np.zeros((5, 7), np.uint8),
        np.ones((5, 7), np.uint8),
        np.indices((6, 9)).sum(axis=0).astype(np.uint8) % 2,
        np.eye(8, 5, dtype=np.uint8),
        np.ones((1, 40), np.uint8),
        (np.arange(600)[:, None] > 300).astype(np.uint8).repeat(3, axis=1),
    ]
    ring = np.zeros((40, 50), np.uint8)
    cv2.circle(ring, (24, 20), 17, 1, -1)
    cv2.circle(ring, (22, 20), 9, 0, -1)
    cv2.circle(ring, (22, 21), 4, 1, -1)
    drawn.append(ring)
    # Runs of millions of pixels: numbers of several groups, and negative differences.
    large = np.zeros((3000, 2000), np.uint8)
    large[10:20, 5:7] = 1
    large[100:2900, 1500:1502] = 1
    drawn.append(large)
    drawn += [blobs(random, height, width) for height, width in [(17, 23), (31, 8), (48, 64)]]
    drawn += [random.integers(0, 2, size, dtype=np.uint8) for size in [(13, 11), (20, 33)]]
    return drawn


def uncompressed(mask: np.ndarray) -> list[int]:
    """Run lengths by a plain loop over the columns."""
    counts, side, run = [], 0, 0
    for pixel in mask.T.reshape(-1):
        if pixel != side:
            counts.append(run)
            side, run = pixel, 0
        run += 1
    return [*counts, run]


def regions(mask: np.ndarray) -> dict:
    """Pixel counts of the connected regions of both sides, sorted, by connectivity."""
    sizes = {}
    for name, side in [("inside", mask), ("outside", 1 - mask)]:
        for connectivity in (4, 8):
            count, _, stats, _ = cv2.connectedComponentsWithStats(side, connectivity=connectivity)
            sizes[f"{name}{connectivity}"] = sorted(int(stats[i, -1]) for i in range(1, count))
    return sizes


def small_regions(mask: np.ndarray, threshold: int) -> dict:
    """What SAM's automatic mask generator makes of a mask: small holes, then small islands, with 8 neighbours both."""
    results = {}
    for mode in ("holes", "islands"):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            1 - mask if mode == "holes" else mask, connectivity=8
        )
        sizes = stats[1:, -1]
        small = [i + 1 for i in range(count - 1) if sizes[i] < threshold]
        if mode == "holes":
            result = mask | np.isin(labels, small)
        else:
            kept = [i + 1 for i in range(count - 1) if sizes[i] >= threshold]
            if small and not kept:
                kept = [int(np.argmax(sizes)) + 1]
            result = np.isin(labels, kept)
        results[mode] = uncompressed(result.astype(np.uint8))
    return results


def polygons() -> list[dict]:
    cases = [
        [[2, 1, 12, 1, 12, 9, 2, 9]],
        [[0, 0, 20, 0, 20, 15, 0, 15]],
        [[3, 2, 15, 4, 18, 13, 6, 14]],
        [[10, 0, 20, 15, 0, 15]],
        # A hole that hangs on a bridge, and a part that overlaps another.
        [[1, 1, 18, 1, 18, 14, 1, 14, 1, 1, 5, 5, 5, 9, 11, 9, 11, 5, 5, 5]],
        [[1, 1, 8, 1, 8, 8, 1, 8], [5, 5, 15, 5, 15, 12, 5, 12]],
    ]
    results = []
    for rings in cases:
        merged = coco.merge(coco.frPyObjects(rings, 15, 20))
        results.append({"size": [15, 20], "polygons": rings, "counts": uncompressed(coco.decode(merged))})
    return results


def write() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    cases = []
    for mask in masks():
        encoded = coco.encode(np.asfortranarray(mask))
        case = {
            "size": list(mask.shape),
            "uncompressed": uncompressed(mask),
            "compressed": encoded["counts"].decode("ascii"),
            "area": int(coco.area(encoded)),
            "box": [int(value) for value in coco.toBbox(encoded)],
        }
        if mask.size < 10_000:
            case |= {"regions": regions(mask), "small": [{"area": 6, **small_regions(mask, 6)}]}
            case["small"].append({"area": 100_000, **small_regions(mask, 100_000)})
        cases.append(case)
    lines = {name: ",\n".join(map(json.dumps, items)) for name, items in [("masks", cases), ("polygons", polygons())]}
    text = f'{{"masks": [\n{lines["masks"]}\n], "polygons": [\n{lines["polygons"]}\n]}}\n'
    (OUT / "formats.json").write_text(text)


def compare(polygon_file: str, rle_file: str) -> None:
    drawn, exact = (json.loads(Path(name).read_text()) for name in (polygon_file, rle_file))
    sizes = {image["id"]: (image["height"], image["width"]) for image in exact["images"]}
    worst = 0
    for annotation, truth in zip(drawn["annotations"], exact["annotations"], strict=True):
        size = sizes[truth["image_id"]]
        merged = coco.merge(coco.frPyObjects(annotation["segmentation"], *size))
        mask, want = coco.decode(merged), coco.decode(truth["segmentation"])
        assert coco.encode(want)["counts"].decode("ascii") == truth["segmentation"]["counts"]
        edge = cv2.dilate(want, np.ones((3, 3))) != cv2.erode(want, np.ones((3, 3)))
        wrong = mask != want
        print(annotation["id"], "pixels", int(want.sum()), "wrong", int(wrong.sum()), "off the boundary", int((wrong & ~edge).sum()))
        worst = max(worst, int(wrong.sum()))
    print("most wrong pixels:", worst)


if __name__ == "__main__":
    compare(*sys.argv[1:]) if len(sys.argv) == 3 else write()
