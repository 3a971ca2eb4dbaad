"""The learned matcher against FPFH with mutual matching, on drawn pairs that its training never saw (`tests/reference/register_scenes.py`).

    cargo build --release -p percept-register --examples
    python tests/long/register_matcher.py [--pairs 300]

Both kinds of matches are of the same key points and go through the same solver (`features at the same points` is one of them), beside
what `--method fpfh`, `--method learned` and `--method auto` make of the files. Right matches: within 1.5 voxels of the key
points after the true motion. Success: within 2 degrees, and 1% of the scene's size at the middle of the source.
"""

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/reference"), str(ROOT / "benches/peers")]
import register_pool  # noqa: E402
import register_scenes  # noqa: E402
from motions import errors, milliseconds, motion, run_pair, trusted  # noqa: E402

METHODS = ("features", "learned", "global")


def right_matches(clouds, matches, truth) -> list[tuple[int, float]]:
    source, target = (cloud["points"] for cloud in clouds)
    moved = source @ truth[:3, :3].T + truth[:3, 3]
    far = [np.linalg.norm(moved[pairs[:, 0]] - target[pairs[:, 1]], axis=1) / clouds[1]["unit"] for pairs in matches]
    return [(len(far), float(np.mean(far < 1.5)) if len(far) else 0.0) for far in far]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=Path, default=ROOT / "target/release/examples")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--first", type=int, default=register_pool.FIRST_OF_COMPARISON)
    parser.add_argument("--overlap", type=float, nargs=2, default=(0.0, 1.0), help="only pairs of such an overlap")
    parser.add_argument("--matches-only", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("source.npy", "target.npy")]
        for seed in itertools.count(options.first):
            if len(rows) == options.pairs:
                break
            source, target, truth, about = register_scenes.pair(seed)
            if not options.overlap[0] <= about["overlap"] < options.overlap[1]:
                continue
            clouds, matches = register_pool.see({0: (source, target)}, options.examples / "matcher_inputs", True)[0]
            row = dict(about, matches=right_matches(clouds, matches, truth))
            for path, points in zip(paths, (source, target)):
                np.save(path, points)
            for method in () if options.matches_only else METHODS:
                (line,) = run_pair([options.examples / "pair", *paths, method, "1"])
                found = motion(line)
                _, angle = errors(found, truth)
                middle = np.append(source.mean(0), 1)
                right = angle < 2 and np.linalg.norm(((found - truth) @ middle)[:3]) < 0.01 * about["size"]
                row[method] = (bool(right), trusted(line), milliseconds(line))
            rows.append(row)
            print(seed, row, file=sys.stderr, flush=True)
    parts = {
        "all": lambda row: True, "overlap 0.1-0.2": lambda row: row["overlap"] < 0.2, "overlap 0.2-0.5": lambda row: 0.2 <= row["overlap"] < 0.5,
        "overlap 0.5-0.75": lambda row: 0.5 <= row["overlap"] < 0.75, "overlap 0.75-1": lambda row: row["overlap"] >= 0.75,
    }
    print("| pairs | number | right matches, FPFH | right matches, learned |" + "".join(f" {name} |" for name in METHODS))
    print("|---|---:|---:|---:|" + "---:|" * len(METHODS))
    for part, belongs in parts.items():
        chosen = [row for row in rows if belongs(row)]
        if not chosen:
            continue
        cells = [f" {100 * np.mean([row['matches'][kind][1] for row in chosen]):.1f}% of {np.mean([row['matches'][kind][0] for row in chosen]):.0f} |" for kind in (0, 1)]
        cells += [f" {100 * np.mean([row[name][0] for row in chosen]):.0f}% |" for name in METHODS if name in chosen[0]]
        print(f"| {part} | {len(chosen)} |" + "".join(cells))
    for name in METHODS if not options.matches_only else ():
        wrong = [row for row in rows if not row[name][0]]
        times = [row[name][2] for row in rows]
        print(f"{name}: {len(wrong)} wrong, {sum(row[name][1] for row in wrong)} of them trusted; {sum(row[name][0] and not row[name][1] for row in rows)} right ones doubted; {np.median(times):.0f} ms, at most {max(times):.0f}")


if __name__ == "__main__":
    main()
