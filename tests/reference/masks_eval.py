"""Index pictures of all depths, and their IoU by numpy's confusion matrix: `tests/golden/masks-eval`.

    python tests/reference/masks_eval.py tests/golden/masks-eval

`boundary` is DAVIS's `db_eval_boundary` with its default tolerance, written here from its published source
(davis2017-evaluation is on GitHub only, and needs OpenCV), with SciPy's dilation for OpenCV's.

The matrix is the `fast_hist` of FCN's and most later evaluations: one bincount over truth * classes + result.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation


def save(path: Path, values: np.ndarray, mode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "16":
        Image.fromarray(values.astype(np.uint16)).save(path)
        return
    picture = Image.fromarray(values.astype(np.uint8), "L")
    if mode != "grey":
        picture = Image.fromarray(values.astype(np.uint8), "P")
        picture.putpalette([v for i in range(256) for v in (i * 37 % 256, i * 91 % 256, i)])
    picture.save(path, **({"bits": int(mode)} if mode in ("1", "2", "4") else {}))


def outline(mask: np.ndarray) -> np.ndarray:
    """`_seg2bmap` without a change of size."""
    e, s, se = (np.zeros_like(mask) for _ in range(3))
    e[:, :-1], s[:-1, :], se[:-1, :-1] = mask[:, 1:], mask[1:, :], mask[1:, 1:]
    b = mask ^ e | mask ^ s | mask ^ se
    b[-1, :] = mask[-1, :] ^ e[-1, :]
    b[:, -1] = mask[:, -1] ^ s[:, -1]
    b[-1, -1] = 0
    return b


def f_measure(found: np.ndarray, truth: np.ndarray, tolerance: float = 0.008) -> float:
    radius = int(np.ceil(tolerance * np.linalg.norm(found.shape)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = x**2 + y**2 <= radius**2
    found, truth = outline(found), outline(truth)
    n_found, n_truth = found.sum(), truth.sum()
    if n_found == 0 and n_truth > 0:
        precision, recall = 1, 0
    elif n_found > 0 and n_truth == 0:
        precision, recall = 0, 1
    elif n_found == 0 and n_truth == 0:
        precision, recall = 1, 1
    else:
        precision = (found & binary_dilation(truth, disk)).sum() / n_found
        recall = (truth & binary_dilation(found, disk)).sum() / n_truth
    return 0.0 if precision + recall == 0 else float(2 * precision * recall / (precision + recall))


def boundaries(truths, results, ignore):
    scores = {}
    for truth, result in zip(truths, results):
        keep = ~np.isin(truth, ignore)
        for c in np.union1d(truth[keep], result[keep]):
            scores.setdefault(int(c), []).append(f_measure((result == c) & keep, (truth == c) & keep))
    means = {str(c): float(np.mean(s)) for c, s in sorted(scores.items())}
    return {"boundary": float(np.mean(list(means.values()))), "boundaries": means}


def scored(truths, results, ignore):
    classes = 1 + max(int(v.max()) for v in truths + results)
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for truth, result in zip(truths, results):
        keep = ~np.isin(truth, ignore)
        matrix += np.bincount(truth[keep] * classes + result[keep], minlength=classes**2).reshape(classes, classes)
    with np.errstate(invalid="ignore"):
        iou = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))
    return {
        "mIoU": float(np.nanmean(iou)),
        "accuracy": float(np.diag(matrix).sum() / matrix.sum()),
        "IoU": {str(c): float(v) for c, v in enumerate(iou) if not np.isnan(v)},
    }


def main() -> None:
    folder = Path(sys.argv[1])
    rng = np.random.default_rng(3)
    truths, results = {}, {}
    kinds = {"a.png": ("grey", 6), "deep/b.png": ("8", 6), "c.png": ("4", 6), "d.png": ("2", 4), "e.png": ("1", 2), "f.png": ("16", 700)}
    for name, (mode, classes) in kinds.items():
        height, width = int(rng.integers(9, 20)), int(rng.integers(9, 20))
        truth = np.kron(rng.integers(0, classes, (height, width)), np.ones((3, 4), dtype=np.int64))[:, :-1]
        result = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, classes, truth.shape), truth)
        if name == "a.png":
            truth[:5] = 255
        truths[name], results[name] = truth, result
        save(folder / "truth" / name, truth, mode)
        save(folder / "results" / name, result, mode if name != "c.png" else "grey")
    Image.fromarray(np.zeros((2, 2, 3), dtype=np.uint8)).save(folder / "colour.png")
    # Large enough for a radius of several pixels: a disk, and the same moved and dented.
    y, x = np.mgrid[:330, :417]
    truths["g.png"] = ((x - 200) ** 2 + (y - 160) ** 2 < 120**2).astype(np.int64)
    results["g.png"] = ((x - 205) ** 2 + (y - 158) ** 2 < (118 + 9 * np.sin(x / 11.0)) ** 2).astype(np.int64)
    for side, pictures in (("truth", truths), ("results", results)):
        save(folder / side / "g.png", pictures["g.png"], "1")
    kinds["g.png"] = ("1", 2)
    cases = []
    for names, ignore in ((["a.png", "deep/b.png"], [255]), (["a.png"], []), (list(kinds), [255, 0]), (["f.png"], []), (["g.png"], [])):
        case = scored([truths[n] for n in names], [results[n] for n in names], ignore)
        case |= boundaries([truths[n] for n in names], [results[n] for n in names], ignore)
        cases.append({"pictures": names, "ignore": ignore} | case)
    (folder / "cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print([(round(case["mIoU"], 3), round(case["boundary"], 3)) for case in cases])


if __name__ == "__main__":
    main()
