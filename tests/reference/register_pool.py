"""Drawn pairs as the learned matcher sees them, made once and kept in a folder: pairs from `register_scenes.py`, key points,
features, super-points and patches from percept itself (`examples/matcher_inputs.rs`), so that training sees what inference sees.

    cargo build --release -p percept-register --example matcher_inputs
    python tests/reference/register_pool.py POOL --pairs 4000
"""

import argparse
import os
import pickle
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import register_scenes

# Numbers of drawn pairs: training never sees those of the comparison.
FIRST_OF_TRAINING, FIRST_OF_COMPARISON = 1_000_000, 9_000_000
EXAMPLE = Path(os.environ.get("MATCHER_INPUTS", Path(__file__).resolve().parents[2] / "target/release/examples/matcher_inputs"))


def write(path, source, target) -> None:
    with open(path, "wb") as file:
        file.write(np.array([len(source), len(target)], "<u4").tobytes())
        file.write(source.astype("<f4").tobytes() + target.astype("<f4").tobytes())


def read(path, matches=False):
    """Both clouds: `unit`, `points` in the file's coordinates, `normals`, `features`, `nodes`; with `matches`, [k, 2] by FPFH and by the network."""
    raw, at, clouds = Path(path).read_bytes(), 0, []

    def take(kind, *shape):
        nonlocal at
        values = np.frombuffer(raw, kind, int(np.prod(shape)), at).reshape(shape)
        at += values.nbytes
        return values

    for _ in range(2):
        unit = float(take("<f8", 1)[0])
        n, m = (int(value) for value in take("<u4", 2))
        clouds.append(dict(
            unit=unit, points=take("<f4", n, 3).copy(), normals=take("<f4", n, 3).astype(np.float16),
            features=take("<f4", n, 33).astype(np.float16), nodes=take("<u4", m).astype(np.int16),
        ))
    if matches:
        return clouds, [take("<u4", int(take("<u4", 1)[0]), 2) for _ in range(2)]
    return clouds


def see(pairs: dict, example=EXAMPLE, matches=False) -> dict:
    """What percept sees of pairs of clouds, each under its name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (source, target) in pairs.items():
            write(f"{folder}/{name}.in", source, target)
        subprocess.run([example, folder, *["matches"] * matches], check=True, env=dict(os.environ, RAYON_NUM_THREADS="1"))
        return {name: read(f"{folder}/{name}.out", matches) for name in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--first", type=int, default=FIRST_OF_TRAINING)
    options = parser.parse_args()
    options.pool.mkdir(parents=True, exist_ok=True)
    for chunk in range(0, options.pairs, 50):
        path = options.pool / f"{options.first + chunk}.pickle"
        if path.exists():
            continue
        drawn = {seed: register_scenes.pair(seed) for seed in range(options.first + chunk, options.first + chunk + 50)}
        clouds = see({seed: pair[:2] for seed, pair in drawn.items()})
        pool = [(*clouds[seed], truth, about) for seed, (_, _, truth, about) in drawn.items()]
        path.with_suffix(".part").write_bytes(pickle.dumps(pool))
        path.with_suffix(".part").rename(path)


if __name__ == "__main__":
    main()
