"""The default method of `percept register` on real clouds: a KITTI pair from many starts, and two bunny scans.

    python tests/long/register_starts.py PERCEPT ../shared/data/clouds [--starts 20]

The KITTI source is turned by up to 180 degrees about any axis and shifted by up to 20 m first; the found transform, taken back by
that, is compared with the given one. Wanted: within 0.02 m and 0.05 degrees every time.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np


def points(path: Path) -> np.ndarray:
    """Of a binary PLY whose vertices are nothing but three floats."""
    content = path.read_bytes()
    header, _, body = content.partition(b"end_header\n")
    assert b"binary_little_endian" in header and header.count(b"property float") == header.count(b"property"), header
    columns = header.count(b"property")
    return np.frombuffer(body, "<f4").reshape(-1, columns)[:, :3].astype(np.float64)


def random_motion(random: np.random.Generator) -> np.ndarray:
    axis = random.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    angle, shift = np.radians(random.uniform(0, 180)), random.normal(size=3)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    motion = np.eye(4)
    motion[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    motion[:3, 3] = shift / np.linalg.norm(shift) * random.uniform(0, 20)
    return motion


def register(percept: str, source: Path, target: Path, *more: str) -> dict:
    ran = subprocess.run([percept, "register", source, target, "-q", *more], capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    return json.loads(ran.stdout)["result"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("percept")
    parser.add_argument("clouds", type=Path)
    parser.add_argument("--starts", type=int, default=20)
    arguments = parser.parse_args()
    truth = np.loadtxt(arguments.clouds / "kitti_T_target_source.txt")
    source, target = points(arguments.clouds / "kitti_source.ply"), arguments.clouds / "kitti_target.ply"
    random, right, worst = np.random.default_rng(0), 0, [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        moved = Path(folder) / "moved.npy"
        for start in range(arguments.starts + 1):
            motion = np.eye(4) if start == 0 else random_motion(random)
            np.save(moved, source @ motion[:3, :3].T + motion[:3, 3])
            found = register(arguments.percept, moved, target)
            off = np.array(found["transform"]["matrix"]) @ motion @ np.linalg.inv(truth)
            distance = np.linalg.norm(off[:3, 3])
            angle = np.degrees(np.arcsin(min(1, np.linalg.norm(off[:3, :3] - np.eye(3)) / np.sqrt(8))) * 2)
            good = distance < 0.02 and angle < 0.05
            right += good
            worst = [max(worst[0], distance), max(worst[1], angle)]
            if not good or start == 0:
                print(f"start {start}: {distance:.4f} m, {angle:.4f} degrees, trusted {found['trusted']}")
    print(f"KITTI: {right} of {arguments.starts + 1} within 0.02 m and 0.05 degrees, worst {worst[0]:.4f} m, {worst[1]:.4f} degrees")
    fit = register(arguments.percept, arguments.clouds / "bun4.pcd", arguments.clouds / "bun0.pcd")["fit"]
    names = ("inlier_distance", "pairs", "rmse_after", "plane_rmse_after", "inlier_ratio_of_source", "overlap_of_source")
    print("bunny, 4 onto 0: " + ", ".join(f"{name} {fit[name]:.5g}" for name in names))
    fit = register(arguments.percept, arguments.clouds / "bun4.pcd", arguments.clouds / "bun0.pcd", "--inlier-distance", "0.004")["fit"]
    print("the same within 4 mm: " + ", ".join(f"{name} {fit[name]:.5g}" for name in names))


if __name__ == "__main__":
    main()
