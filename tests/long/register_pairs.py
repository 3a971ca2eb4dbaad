"""Success rates of registration without a guess on 200 drawn pairs: percept, Open3D (FPFH+RANSAC, FGR), small_gicp from identity.

    pip install small_gicp==1.0.1 open3d-cpu==0.20.0 numpy
    cargo build --release -p percept-register --example pair
    python tests/long/register_pairs.py --pair target/release/examples/pair [--pairs 200] [--no-peers]

A pair is two views of a drawn scene of 10 by 8 m (`--scene`): of an overlap of 30 to 100%, with noise of 0 to 2 cm, up to 60% of points
anywhere in the view's box instead of on a surface, and densities that differ up to tenfold; the source is turned by any angle about any
axis and shifted up to 20 m. Success: within 2 degrees and 0.1 m of the truth. small_gicp has no search; it begins at identity
like the others, which is no start for it. `percept global` is `--method auto`, `features` is `--method fpfh`. The learned matcher was
trained on scenes of the same kinds as `irregular` among others (`tests/reference/register_scenes.py`), of other numbers.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches" / "peers"))
from motions import errors, motion, run_pair, trusted  # noqa: E402


def flat(random: np.random.Generator, count: int, faces) -> np.ndarray:
    """Points on parallelograms (corner, side, side), evenly by area."""
    origin, u, v = (np.array([face[at] for face in faces], float) for at in range(3))
    area = np.linalg.norm(np.cross(u, v), axis=1)
    which = random.choice(len(faces), count, p=area / area.sum())
    s, t = random.uniform(size=(2, count, 1))
    return origin[which] + s * u[which] + t * v[which]


def block(x, y, angle, w, d, h):
    a = np.array([np.cos(angle) * w, np.sin(angle) * w, 0])
    b = np.array([-np.sin(angle) * d, np.cos(angle) * d, 0])
    o, up = np.array([x, y, 0]), np.array([0, 0, h])
    return [(o + up, a, b), (o, a, up), (o, b, up), (o + a, b, up), (o + b, a, up)]


def rectangular(random: np.random.Generator, counts):
    """A room of 10 by 8 by 3 m with nine boxes. Turned round by half a turn, its floor and walls come to lie on themselves."""
    faces = [((0, 0, 0), (10, 0, 0), (0, 8, 0)), ((0, 0, 0), (10, 0, 0), (0, 0, 3)), ((0, 8, 0), (10, 0, 0), (0, 0, 3))]
    faces += [((0, 0, 0), (0, 8, 0), (0, 0, 3)), ((10, 0, 0), (0, 8, 0), (0, 0, 3))]
    for _ in range(9):
        low, high = [0.5, 0.5, 0, 0.3, 0.3, 0.3], [8.5, 6.5, np.pi, 2.0, 1.5, 2.2]
        faces += block(*random.uniform(low, high))
    return [flat(random, count, faces) for count in counts]


def irregular(random: np.random.Generator, counts):
    """Hilly ground of 10 by 8 m with ten boxes, eight columns and eight balls."""
    phase, slope = random.uniform(0, 6, 4), random.uniform(-0.05, 0.05, 2)
    faces = sum((block(*random.uniform([0, 0, 0, 0.3, 0.3, 0.5], [9, 7, np.pi, 1.5, 1.2, 2.5])) for _ in range(10)), [])
    columns = random.uniform([0.5, 0.5, 0.1, 1.0], [9.5, 7.5, 0.4, 3.0], (8, 4))
    balls = random.uniform([0.5, 0.5, 0.3, 0.3], [9.5, 7.5, 2.0, 0.8], (8, 4))
    views = []
    for count in counts:
        x, y = random.uniform(0, 10, count // 3), random.uniform(0, 8, count // 3)
        z = 0.35 * np.sin(0.8 * x + phase[0]) * np.cos(0.9 * y + phase[1]) + 0.15 * np.sin(1.9 * y + phase[2] + 0.7 * x)
        parts = [np.stack([x, y, z + slope[0] * x + slope[1] * y], 1), flat(random, count // 3, faces)]
        which, angle, u = random.integers(0, 8, count // 6), random.uniform(0, 2 * np.pi, count // 6), random.uniform(size=count // 6)
        cx, cy, r, h = columns[which].T
        parts.append(np.stack([cx + r * np.cos(angle), cy + r * np.sin(angle), h * u], 1))
        which, direction = random.integers(0, 8, count // 6), random.normal(size=(count // 6, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        parts.append(balls[which, :3] + balls[which, 3:] * direction)
        points = np.concatenate(parts)
        views.append(points[random.permutation(len(points))])
    return views


SCENES = {"irregular": irregular, "rectangular": rectangular}


def pair(seed: int, scene=irregular):
    random = np.random.default_rng(seed)
    overlap, outliers = random.uniform(0.3, 1.0), random.uniform(0.0, 0.6)
    noise, ratio = random.uniform(0.0, 0.02), 10 ** random.uniform(0, 1)
    views = []
    direction = random.uniform(0, 2 * np.pi)
    counts = [20000, int(20000 / ratio)]
    for side, count, points in zip((1, -1), counts, scene(random, [3 * count for count in counts])):
        along = side * (points[:, 0] * np.cos(direction) + points[:, 1] * np.sin(direction))
        # Each view has the same share of the scene, from either end; `overlap` of it is in both.
        points = points[along <= np.quantile(along, 1 / (2 - overlap))][:count]
        points = points + random.normal(scale=noise, size=points.shape)
        wrong = random.uniform(size=len(points)) < outliers
        low, high = points.min(0), points.max(0)
        points[wrong] = random.uniform(low, high, (wrong.sum(), 3))
        views.append(points)
    q = random.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    truth = np.eye(4)
    truth[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    truth[:3, 3] = random.uniform(-20, 20, 3) / np.sqrt(3)
    source = (views[0] - truth[:3, 3]) @ truth[:3, :3]
    return source, views[1], truth, overlap, outliers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", default="target/release/examples/pair")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--scene", choices=SCENES, default="irregular")
    parser.add_argument("--no-peers", action="store_true", help="percept alone")
    parser.add_argument("--methods", nargs="+", default=["global", "features", "learned", "ransac"])
    options = parser.parse_args()
    if not options.no_peers:
        from register import gicp, open3d
    peers = {} if options.no_peers else {
        "Open3D FPFH+RANSAC": open3d("ransac", 0.15), "Open3D FGR": open3d("fgr", 0.15), "small_gicp": gicp(0.1),
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("source.npy", "target.npy")]
        for seed in range(options.pairs):
            source, target, truth, overlap, outliers = pair(seed, SCENES[options.scene])
            found = {name: run(source, target) for name, run in peers.items()}
            for path, points in zip(paths, (source, target)):
                np.save(path, points)
            for method in options.methods:
                (line,) = run_pair([options.pair, *paths, method, "1"])
                found[f"percept {method}"] = motion(line)
                found[f"percept {method} trusted"] = trusted(line)
            right = {}
            for name, value in found.items():
                if isinstance(value, bool):
                    right[name] = value
                else:
                    metres, degrees = errors(value, truth)
                    right[name] = metres < 0.1 and degrees < 2.0
            rows.append((overlap, outliers, right))
            print(seed, f"overlap {overlap:.2f} outliers {outliers:.2f}", right, file=sys.stderr, flush=True)
    names = [*peers, *(f"percept {method}" for method in options.methods)]
    parts = {
        "all": lambda overlap, outliers: True,
        "overlap 0.3-0.5": lambda overlap, outliers: overlap < 0.5,
        "overlap 0.5-0.75": lambda overlap, outliers: 0.5 <= overlap < 0.75,
        "overlap 0.75-1": lambda overlap, outliers: overlap >= 0.75,
        "outliers < 0.3": lambda overlap, outliers: outliers < 0.3,
        "outliers >= 0.3": lambda overlap, outliers: outliers >= 0.3,
    }
    print("| pairs | number |" + "".join(f" {name} |" for name in names))
    print("|---|---:|" + "---:|" * len(names))
    for part, belongs in parts.items():
        chosen = [right for overlap, outliers, right in rows if belongs(overlap, outliers)]
        cells = [f" {100 * np.mean([right[name] for right in chosen]):.0f}% |" for name in names]
        print(f"| {part} | {len(chosen)} |" + "".join(cells))
    for method in options.methods:
        wrong = [right for *_, right in rows if not right[f"percept {method}"]]
        believed = sum(right[f"percept {method} trusted"] for right in wrong)
        doubted = sum(right[f"percept {method}"] and not right[f"percept {method} trusted"] for *_, right in rows)
        print(f"percept {method}: {len(wrong)} wrong, {believed} of them trusted; {doubted} right ones doubted")


if __name__ == "__main__":
    main()
