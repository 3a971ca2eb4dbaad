"""Motions that `examples/pair` of percept-register prints, and how far motions are apart. Needs numpy alone."""

import re
import subprocess

import numpy as np


def orthonormal(matrix: np.ndarray) -> np.ndarray:
    u, _, v = np.linalg.svd(matrix[:3, :3])
    out = matrix.copy()
    out[:3, :3] = u @ v
    return out


def errors(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Metres and degrees."""
    turn = truth[:3, :3].T @ orthonormal(found)[:3, :3]
    skew = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    angle = np.degrees(np.arctan2(np.linalg.norm(skew), (np.trace(turn) - 1) / 2))
    return float(np.linalg.norm(found[:3, 3] - truth[:3, 3])), float(angle)


def run_pair(command: list) -> list[str]:
    """The lines that `examples/pair` prints, one a run."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def milliseconds(line: str) -> float:
    return float(line.split(" ms")[0])


def motion(line: str) -> np.ndarray:
    """Source to target, [4, 4]."""
    return np.array(eval(re.search(r"\[\[.*?\]\]", line).group(0)))  # noqa: S307, our own program's numbers


def trusted(line: str) -> bool:
    return "doubts []" in line
