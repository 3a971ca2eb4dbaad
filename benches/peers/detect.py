"""Detectors and a pose model on one picture: percept, torch and ONNX Runtime, taking turns in one run.

    cargo build --release -p percept-cli
    python benches/peers/detect.py target/release/percept [--folder KEEP] [--rounds 5] [--only rf-detr-base]

Builds each model of tests/reference/full_size_detect.py with random weights. percept's time is the `model` of the
answers of a `percept worker` that is warm; torch's is the forward pass on the prepared pixels, with fused attention.
ViTPose is asked for one subject and for eight. Each turn begins when nobody else computes. Medians of the rounds; ratios are
medians of ratios round by round. Prints a table and, for whole processes, seconds from a cold start.
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
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

THREADS = int(os.environ.get("PEER_THREADS", "2"))
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before torch reads it
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "reference"))

import torch  # noqa: E402
import transformers  # noqa: E402

from full_size_detect import build  # noqa: E402
from onnx_peer import cases as onnx_cases  # noqa: E402
from quiet import Quiet, Turn, median, ratio, take_turns, verdict  # noqa: E402

CASES = ["rf-detr-base", "rt-detr-v2-r18", "yolos-tiny", "detr-resnet-50", "vitpose-base", "vitpose-base-8"]
PRECISIONS = ("f32", "bf16x3", "bf16", "int8")
TARGETS = [("percept f32", "torch f32", 0.5), ("percept bf16x3", "torch f32", 0.5), ("percept bf16", "torch bf16", 1.0)]
TARGETS += [("percept f32", "onnxruntime f32", 0.5), ("percept int8", "onnxruntime int8", 1.0)]


class Worker:
    """A `percept worker` that has answered once."""

    def __init__(self, binary: Path, folder: Path, precision: str, task: list):
        command = [binary, "worker", *task, "--model", folder, "--precision", precision, "--threads", THREADS]
        self.path = folder / "picture.png"
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen(list(map(str, [*command, "-j", 1, "-q"])), text=True, **pipes)
        self.turn()
        self.turn()

    def turn(self) -> float:
        self.process.stdin.write(json.dumps(str(self.path)) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["result"]["timings_ms"]["model"] / 1e3

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def torch_turn(model, pixels: torch.Tensor) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        model(pixel_values=pixels)
        return time.perf_counter() - start


def measure(case: str, binary: Path, folder: Path, rounds: int, quiet: Quiet) -> dict[str, list[Turn]]:
    name, people = (case[:-2], 8) if case.endswith("-8") else (case, 1)
    model, processor, image = build(name, folder)
    boxes = None
    if name.startswith("vitpose"):
        listed = [[10.0 * i, 8.0 * i, 300.0, 400.0] for i in range(people)]
        boxes = folder / f"boxes-{people}.json"
        boxes.write_text(json.dumps([{"bbox": box} for box in listed]))
        pixels = processor(images=image, boxes=[listed], return_tensors="pt")["pixel_values"]
    else:
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    cases = {}
    for precision, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        peer = copy.deepcopy(model).to(dtype)
        try:
            torch_turn(peer, pixels.to(dtype))
        except RuntimeError as error:
            print(f"{case}: torch {precision} does not run: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        cases[f"torch {precision}"] = functools.partial(torch_turn, peer, pixels.to(dtype))
    cases |= onnx_cases(model, pixels, folder, THREADS)
    task = ["pose", "--boxes", boxes] if boxes else ["detect"]
    return turns_with_workers(cases, binary, folder, task, rounds, quiet)


def turns_with_workers(
    peers: dict, binary: Path, folder: Path, task: list, rounds: int, quiet: Quiet
) -> dict[str, list[Turn]]:
    """Those of peers and of a worker of each precision."""
    workers = {f"percept {precision}": Worker(binary, folder, precision, task) for precision in PRECISIONS}
    turns = take_turns(peers | {key: worker.turn for key, worker in workers.items()}, rounds, quiet)
    for worker in workers.values():
        worker.end()
    return turns


def cold(binary: Path, folder: Path) -> tuple[float, float]:
    """Seconds of a whole percept process, and of a Python that imports torch and transformers."""
    start = time.perf_counter()
    command = [binary, "detect", folder / "picture.png", "--model", folder, "-o", folder / "cold.json", "-y", "-q"]
    subprocess.run(list(map(str, command)), check=True)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch; from transformers import AutoModelForObjectDetection"], check=True)
    return ours, time.perf_counter() - start


def compare(about: str, cases: list[str], measure: Callable, behind: Callable[[str, Path, Path], None] | None = None) -> None:
    """What a benchmark of models does from its command line to its table. `behind` is called with the case, the program and
    the model's folder when a case was measured."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("percept", type=Path)
    parser.add_argument("--folder", type=Path, help="where the models are built, to keep them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(cases))
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a quiet machine, in all")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(THREADS)
    quiet = Quiet(arguments.patience)
    binary = arguments.percept.resolve()
    names = ["torch f32", "torch bf16", "onnxruntime f32", "onnxruntime int8", *(f"percept {precision}" for precision in PRECISIONS)]
    lines = [f"| model | {' | '.join(names)} | " + " | ".join(f"{a} / {b}" for a, b, _ in TARGETS) + " |"]
    lines.append("|---|" + "---:|" * (len(names) + len(TARGETS)))
    last = {}
    with nullcontext(arguments.folder) if arguments.folder else tempfile.TemporaryDirectory() as folder:
        for name in arguments.only.split(","):
            home = Path(folder) / name
            turns = measure(name, binary, home, arguments.rounds, quiet)
            cells = [f"{median(turns[key]) * 1e3:.0f}" if key in turns else "-" for key in names]
            cells += [f"{ratio(turns[a], turns[b]):.2f}" if b in turns else "-" for a, b, _ in TARGETS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
            last |= {f"{name} {key}": samples for key, samples in turns.items()}
            if behind:
                behind(name, binary, home)
    print("\n".join(lines))
    print("\nmilliseconds; the bar: " + ", ".join(f"{a} / {b} at most {t}" for a, b, t in TARGETS if t))
    print(verdict(list(last.values())))
    print({"threads": THREADS, "rounds": arguments.rounds, "torch": torch.__version__, "transformers": transformers.__version__})


def tell_cold(name: str, binary: Path, folder: Path) -> None:
    if not name.startswith("vitpose"):
        ours, imports = cold(binary, folder)
        print(f"{name}: a whole process {ours:.2f} s, the imports of a Python peer {imports:.2f} s")


if __name__ == "__main__":
    compare(__doc__.splitlines()[0], CASES, measure, tell_cold)
