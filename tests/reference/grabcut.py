"""Reference masks of GrabCut, written to tests/golden/grabcut/fixture.safetensors: OpenCV's grabCut, five iterations.

    python tests/reference/grabcut.py

With a picture, a box and percept's mask (a binary PNG) it prints how far both agree:

    python tests/reference/grabcut.py PICTURE LEFT,TOP,RIGHT,BOTTOM MASK.png
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[1] / "golden" / "grabcut"


def disc(scene: np.ndarray) -> None:
    """One colour on a gradient."""
    scene[:] = np.linspace(30, 120, scene.shape[1])[None, :, None] * np.array([0.3, 1.0, 0.5])
    cv2.circle(scene, (46, 36), 21, (200, 70, 40), -1)


def hollow(scene: np.ndarray) -> None:
    """A two-coloured frame with the background in its middle."""
    scene[:] = (40, 90, 160)
    cv2.rectangle(scene, (20, 15), (74, 60), (220, 200, 60), -1)
    cv2.rectangle(scene, (48, 15), (74, 60), (180, 60, 120), -1)
    cv2.rectangle(scene, (34, 28), (60, 47), (40, 90, 160), -1)


def striped(scene: np.ndarray) -> None:
    """A checked background of two colours, and a bent shape of three."""
    y, x = np.indices(scene.shape[:2])
    scene[:] = np.where(((x // 8 + y // 8) % 2 == 0)[..., None], (70, 120, 60), (120, 150, 90))
    cv2.ellipse(scene, (50, 38), (30, 16), 30, 0, 360, (200, 60, 60), -1)
    cv2.ellipse(scene, (58, 44), (12, 8), 30, 0, 360, (240, 220, 210), -1)
    cv2.circle(scene, (36, 30), 6, (60, 40, 160), -1)


def two(scene: np.ndarray) -> None:
    """Two discs, one of which is not meant."""
    scene[:] = (128, 128, 120)
    cv2.circle(scene, (30, 36), 16, (210, 80, 60), -1)
    cv2.circle(scene, (70, 36), 12, (60, 80, 190), -1)


# Name, drawing, noise, box (left, top, right, bottom), background points.
SCENES = [
    ("disc", disc, 6, [18, 8, 76, 66], []),
    ("hollow", hollow, 8, [12, 8, 84, 68], []),
    ("striped", striped, 12, [14, 12, 88, 66], []),
    ("two", two, 8, [8, 12, 90, 60], [[70, 36]]),
]


def segment(scene: np.ndarray, box: list[int], points: list[list[int]]) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros(scene.shape[:2], np.uint8)
    mask[top:bottom, left:right] = cv2.GC_PR_FGD
    y, x = np.indices(mask.shape) + 0.5
    for px, py in points:
        mask[np.hypot(x - px, y - py) <= max(2, 0.01 * min(mask.shape))] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    cv2.grabCut(scene, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def write() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    tensors, cases = {}, []
    for name, draw, noise, box, points in SCENES:
        random = np.random.default_rng(len(name))
        canvas = np.zeros((76, 100, 3), np.float64)
        draw(canvas)
        scene = np.clip(canvas + random.normal(0, noise, canvas.shape), 0, 255).round().astype(np.uint8)
        mask = segment(scene, box, points)
        tensors |= {f"{name}.rgb": scene, f"{name}.mask": mask}
        cases.append({"name": name, "box": box, "points": [[*point, 0] for point in points]})
        print(name, int(mask.sum()))
    save_file(tensors, OUT / "fixture.safetensors", {"cases": json.dumps(cases)})


def compare(picture: str, box: str, mask_file: str) -> None:
    scene = cv2.imread(picture)
    want = segment(scene, [int(corner) for corner in box.split(",")], [])
    ours = cv2.imread(mask_file, cv2.IMREAD_GRAYSCALE) > 0
    print("IoU", (ours & (want > 0)).sum() / (ours | (want > 0)).sum())


if __name__ == "__main__":
    compare(*sys.argv[1:]) if len(sys.argv) == 4 else write()
