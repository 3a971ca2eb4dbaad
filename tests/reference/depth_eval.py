"""Numbers of depth maps, as numpy computes them, for percept-eval.

    python tests/reference/depth_eval.py      # writes tests/golden/depth-eval/

Metrics are those of Eigen et al. 2014 as the evaluation of MiDaS and Depth Anything computes them; alignment is
numpy's least squares on the design matrix [prediction, 1], as in MiDaS' `compute_scale_and_shift`.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "depth-eval"


def aligned(found, said, unit, alignment, most):
    if alignment == "median":
        return found * np.median(said) / np.median(found)
    if alignment == "scale-shift":
        target = said if unit == "metres" else 1 / said
        solution = np.linalg.lstsq(np.stack([found, np.ones_like(found)], 1), target, rcond=None)[0]
        found = found * solution[0] + solution[1]
        if unit == "metres":
            return np.clip(found, said.min(), most or np.inf)
        return 1 / np.maximum(found, 1 / (most or said.max()))
    return found


def relation(ratio):
    return np.where(ratio >= 1.03, 1, np.where(ratio <= 1 / 1.03, -1, 0))


def ordinal(said, found):
    count = len(said)
    a, b = (int(count * part) | 1 for part in ((5**0.5 - 1) / 2, ((5**0.5 - 1) / 2) ** 0.5))
    n = np.arange(1, 50_001)
    one, other = n * a % count, n * b % count
    one, other = one[n * a % count != n * b % count], other[n * a % count != n * b % count]
    return float(np.mean(relation(said[one] / said[other]) != relation(found[one] / found[other])))


def numbers(truth, result, unit, alignment, most):
    valid = np.isfinite(truth) & (truth > 0) & (truth <= (most or np.inf))
    said, found = truth[valid].astype(np.float64), result[valid].astype(np.float64)
    found = aligned(found, said, unit, alignment, most)
    ratio = np.maximum(said / found, found / said)
    return {
        "AbsRel": float(np.mean(np.abs(said - found) / said)),
        "SqRel": float(np.mean((said - found) ** 2 / said)),
        "RMSE": float(np.sqrt(np.mean((said - found) ** 2))),
        "RMSE-log": float(np.sqrt(np.mean((np.log(said) - np.log(found)) ** 2))),
        "log10": float(np.mean(np.abs(np.log10(said) - np.log10(found)))),
        "delta1": float(np.mean(ratio < 1.25)),
        "delta2": float(np.mean(ratio < 1.25**2)),
        "delta3": float(np.mean(ratio < 1.25**3)),
        "ordinal-error": ordinal(said, found),
    }


def main() -> None:
    random = np.random.default_rng(0)
    cases = []
    for index, (height, width) in enumerate([(24, 31), (40, 20)]):
        y, x = np.mgrid[:height, :width]
        truth = (1.0 + 0.2 * x + 3.0 * (y > height / 2) + random.uniform(0, 0.3, x.shape)).astype(np.float32)
        # Millimetres, as a PNG has them; 0 is not measured.
        steps = np.round(truth * 1000).astype(np.uint16)
        steps[random.random(steps.shape) < 0.1] = 0
        folder = GOLDEN / "truth"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(steps).save(folder / f"{index}.png")
        metres = (truth * random.lognormal(0, 0.2, truth.shape)).astype(np.float32)
        inverse = (3 / truth * random.lognormal(0, 0.1, truth.shape) + 0.7).astype(np.float32)
        for unit, result in (("metres", metres), ("relative_inverse", inverse)):
            (GOLDEN / unit).mkdir(exist_ok=True)
            np.save(GOLDEN / unit / f"{index}.npy", result)
    for unit, alignment, most in [
        ("metres", "none", None),
        ("metres", "median", None),
        ("metres", "scale-shift", 6.0),
        ("relative_inverse", "scale-shift", None),
        ("relative_inverse", "scale-shift", 5.0),
    ]:
        rows = []
        for index in (0, 1):
            steps = np.asarray(Image.open(GOLDEN / "truth" / f"{index}.png")).astype(np.float64)
            truth = (steps * 0.001).astype(np.float32)
            rows.append(numbers(truth, np.load(GOLDEN / unit / f"{index}.npy"), unit, alignment, most))
        metrics = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        cases.append({"unit": unit, "alignment": alignment, "max_depth": most, "metrics": metrics})
    (GOLDEN / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
