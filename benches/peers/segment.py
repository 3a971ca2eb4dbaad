"""Encoders of segmentation models on one picture: percept and torch, taking turns in one run.

    cargo build --release -p percept-cli
    python benches/peers/segment.py target/release/percept [--folder KEEP] [--rounds 5] [--only segformer-b0]

Builds each model of tests/reference/full_size_segment.py at its published size with random weights. percept's time is
that of a stage of `percept bench` (its second run), torch's that of the same part of the network on the prepared
picture. Each turn begins when nobody else computes. Medians of the rounds; ratios are medians of ratios round by
round. Prints a JSON line, then a table.
"""

import argparse
import copy
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

THREADS = int(os.environ.get("PEER_THREADS", "2"))
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before torch reads it
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "reference"))

import torch  # noqa: E402
import transformers  # noqa: E402

from full_size_segment import CASES, build, picture  # noqa: E402
from quiet import Quiet, Turn, median, ratio, take_turns, verdict  # noqa: E402

# The stage of percept that is compared, and the part of the reference that does the same.
PARTS = {
    "sam-vit-base": ("encoder", lambda model: model.get_image_embeddings),
    "sam2.1-hiera-tiny": ("encoder", lambda model: model.get_image_embeddings),
    "eomt-small": ("model", lambda model: model),
    "segformer-b0": ("model", lambda model: model),
}
PRECISIONS = ("f32", "bf16x3", "bf16", "int8")
TARGETS = [("percept f32", "torch f32", 0.5), ("percept bf16x3", "torch f32", 0.5), ("percept bf16", "torch bf16", 1.0)]
TARGETS += [("percept int8", "torch bf16", None)]


def torch_turn(part, pixels: torch.Tensor) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        part(pixels)
        return time.perf_counter() - start


def percept_turn(binary: Path, folder: Path, precision: str, stage: str) -> float:
    command = [binary, "bench", folder, "--input", folder / "picture.png", "--precision", precision, "--runs", "1"]
    command += ["--threads", THREADS, "-q"]
    printed = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
    return json.loads(printed)["median_ms"][stage] / 1e3


def measure(name: str, binary: Path, folder: Path, rounds: int, quiet: Quiet) -> dict[str, list[Turn]]:
    folder.mkdir(parents=True, exist_ok=True)
    model = build(CASES[name], folder)
    model.set_attn_implementation("sdpa")
    image = picture(folder / "picture.png")
    pixels = CASES[name].processor()(images=image, return_tensors="pt")["pixel_values"]
    stage, part = PARTS[name]
    cases = {}
    for precision, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        peer, input_ = part(copy.deepcopy(model).to(dtype)), pixels.to(dtype)
        torch_turn(peer, input_)
        cases[f"torch {precision}"] = functools.partial(torch_turn, peer, input_)
    for precision in PRECISIONS:
        cases[f"percept {precision}"] = functools.partial(percept_turn, binary, folder, precision, stage)
    return take_turns(cases, rounds, quiet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("percept", type=Path)
    parser.add_argument("--folder", type=Path, help="where the models are built, to keep them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for a quiet machine, in all")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(THREADS)
    quiet = Quiet(arguments.patience)
    names = [*(f"torch {precision}" for precision in ("f32", "bf16")), *(f"percept {precision}" for precision in PRECISIONS)]
    lines = [f"| model | {' | '.join(names)} | " + " | ".join(f"{a} / {b}" for a, b, _ in TARGETS) + " |"]
    lines.append("|---|" + "---:|" * (len(names) + len(TARGETS)))
    every, last = {}, {}
    with nullcontext(arguments.folder) if arguments.folder else tempfile.TemporaryDirectory() as folder:
        for name in arguments.only.split(","):
            turns = measure(name, arguments.percept.resolve(), Path(folder) / name, arguments.rounds, quiet)
            every[name] = {case: [vars(turn) for turn in samples] for case, samples in turns.items()}
            cells = [f"{median(turns[case]) * 1e3:.0f}" for case in names]
            cells += [f"{ratio(turns[ours], turns[theirs]):.2f}" for ours, theirs, _ in TARGETS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
            last |= {f"{name} {case}": samples for case, samples in turns.items()}
    versions = {module.__name__: module.__version__ for module in (torch, transformers)}
    settings = {"threads": THREADS, "rounds": arguments.rounds, "load": os.getloadavg(), "versions": versions}
    print(json.dumps(settings | {"turns": every}))
    print("\n" + "\n".join(lines))
    print("\nmilliseconds; the bar: " + ", ".join(f"{a} / {b} at most {t}" for a, b, t in TARGETS if t))
    print(verdict(list(last.values())))


if __name__ == "__main__":
    main()
