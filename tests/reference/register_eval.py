"""Transforms with errors, and these errors by SciPy and numpy: `tests/golden/register-eval`.

    python tests/reference/register_eval.py tests/golden/register-eval

Relative rotation error is the angle of `Rotation.magnitude`; recall, means and medians are numpy's.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation


def matrix(rotation: Rotation, translation: np.ndarray) -> np.ndarray:
    whole = np.eye(4)
    whole[:3, :3], whole[:3, 3] = rotation.as_matrix(), translation
    return whole


def rows(transform: np.ndarray) -> str:
    return "\n".join(" ".join(repr(float(value)) for value in row) for row in transform) + "\n"


def tum(at: int, transform: np.ndarray) -> str:
    numbers = [at, *transform[:3, 3], *Rotation.from_matrix(transform[:3, :3]).as_quat()]
    return " ".join(repr(float(number)) for number in numbers) + "\n"


def summary(errors: list[tuple[float, ...] | None], degrees: float, distance: float, names: list[str]) -> dict:
    found = [error for error in errors if error is not None]
    right = [error for error in found if error[0] <= degrees and error[1] <= distance]
    numbers = {"recall": len(right) / len(errors)}
    for at, name in enumerate(names):
        values = np.array([error[at] for error in found])
        numbers |= {name: values.mean(), f"{name}-median": np.median(values), f"{name}-max": values.max()}
        numbers[f"{name}-registered"] = np.mean([error[at] for error in right])
    return numbers


def error(truth: np.ndarray, result: np.ndarray) -> tuple[float, float]:
    turn = Rotation.from_matrix(result[:3, :3]) * Rotation.from_matrix(truth[:3, :3]).inv()
    return float(np.degrees(turn.magnitude())), float(np.linalg.norm(result[:3, 3] - truth[:3, 3]))


def main() -> None:
    folder = Path(sys.argv[1])
    random = np.random.default_rng(9)
    pairs = []
    for index in range(9):
        truth = matrix(Rotation.random(random_state=index), random.uniform(-20, 20, 3))
        # Small errors, one of a hundred-millionth of a degree, and two that are lost.
        size = [1e-8, 0.01, 0.5, 2.0, 4.0, 0.1, 0.2, 60.0, 179.0][index]
        axis = random.normal(size=3)
        off = Rotation.from_rotvec(np.radians(size) * axis / np.linalg.norm(axis))
        pairs.append((truth, matrix(off * Rotation.from_matrix(truth[:3, :3]), truth[:3, 3] + random.normal(0, size / 10, 3))))
    for name, at in (("truth", 0), ("results", 1)):
        all_of = [pair[at] for pair in pairs]
        (folder / f"{name}.txt").write_text("\n".join(map(rows, all_of)))
        (folder / f"{name}.kitti").write_text("".join(" ".join(repr(float(v)) for v in m[:3].flatten()) + "\n" for m in all_of))
        (folder / f"{name}.tum").write_text("".join(tum(index, m) for index, m in enumerate(all_of)))
        (folder / f"{name}.json").write_text(json.dumps([{"matrix": m.tolist()} for m in all_of]) + "\n")
        order = list(range(9)) if at == 0 else [8, 3, 1, 0, 2, 4, 7, 6]
        (folder / f"{name}.log").write_text("".join(f"0 {index + 1}\t10\n{rows(all_of[index])}" for index in order))
    errors = [error(*pair) for pair in pairs]
    lost = [error if index != 5 else None for index, error in enumerate(errors)]
    numbers = {name: summary(of, 5.0, 0.5, ["RRE", "RTE"]) for name, of in (("all", errors), ("log", lost))}

    for name in ("truths", "answers", "sources"):
        (folder / name).mkdir(exist_ok=True)
    of_folder: list = []
    for name, index, trusted in (("a", 2, True), ("b", 7, True), ("c", 0, None)):
        truth, result = (pair.copy() for pair in pairs[index])
        if name == "a":  # map coordinates
            centre = np.array([6e5, 5e6, 100.0])
            for m in (truth, result):
                m[:3, 3] += centre - m[:3, :3] @ centre
        else:
            centre = np.zeros(3)
        (folder / "truths" / f"{name}.txt").write_text(rows(truth))
        points = np.round(centre + random.uniform(-10, 10, (40, 3)), 3)
        (folder / "sources" / f"{name}.xyz").write_text("\n".join(" ".join(map(str, p)) for p in points) + "\n")
        if trusted is None:
            of_folder.append(None)
            continue
        answer = {"task": "register", "result": {"trusted": trusted, "transform": {"matrix": result.tolist()}}}
        (folder / "answers" / f"{name}.register.json").write_text(json.dumps(answer) + "\n")
        both = [points @ m[:3, :3].T + m[:3, 3] for m in (truth, result)]
        rmse = float(np.sqrt(((both[0] - both[1]) ** 2).sum(1).mean()))
        of_folder.append((*error(truth, result), rmse))
    # The first's translation is off by metres, where the map's zero is: only its points tell how well it fits.
    numbers["folder"] = {"recall": 0.0, "false-trust": 1.0}
    numbers["folder"]["RMSE"] = float(np.mean([error[2] for error in of_folder if error]))
    numbers["folder"]["RTE"] = float(np.mean([error[1] for error in of_folder if error]))
    (folder / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
