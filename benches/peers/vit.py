"""ViT-B/16 on one image of 224 x 224: percept, torch and onnxruntime, taking turns in one run.

    cargo build --release -p percept-backbone --example vit
    python benches/peers/vit.py target/release/examples/vit [--folder KEEP] [--rounds 21]

Builds ViTModel at its published size with random weights, saves it as a snapshot, exports it to ONNX, and quantises
that dynamically (int8 weights, as onnxruntime's documentation does it). Then all cases take turns: a run that is not
counted, one that is, each turn when nobody else computes. The median of the rounds counts, ratios are medians of
ratios round by round. Also prints how far each case's last_hidden_state is from torch's in f32, as a part of its
largest value. Prints a JSON line, then tables.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

THREADS = int(os.environ.get("PEER_THREADS", "2"))
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before torch reads it

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from quiet import Quiet, Turn, median, ratio, verdict  # noqa: E402

# What is compared with what, and the ratio to reach.
TARGETS = [
    ("percept f32", "torch f32", 0.5),
    ("percept bf16", "torch bf16", 0.8),
    ("percept int8", "onnxruntime int8", 0.6),
    ("percept f32", "onnxruntime f32", None),
    ("percept bf16x3", "torch f32", None),
    ("percept bf16x3", "onnxruntime f32", None),
]


@dataclass
class Case:
    """`run` computes once and returns the seconds that it took; `states` is what it computes."""

    name: str
    run: Callable[[], float]
    states: Callable[[], np.ndarray]


def build(folder: Path) -> transformers.ViTModel:
    """A snapshot with random weights that keep their values in range, and the pixels of an image."""
    torch.manual_seed(0)
    model = transformers.ViTModel(transformers.ViTConfig(), add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif parameter.ndim == 1 or "embeddings.cls" in name or "position" in name:
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
    model.save_pretrained(folder)
    save_file({"pixel_values": torch.randn(1, 3, 224, 224)}, folder / "pixels.safetensors")
    return model


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def torch_cases(model: transformers.ViTModel, pixels: torch.Tensor) -> list[Case]:
    cases = []
    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        copy = transformers.ViTModel(model.config, add_pooling_layer=False).eval()
        copy.load_state_dict(model.state_dict())
        copy.to(dtype)
        image = pixels.to(dtype)

        def forward(copy=copy, image=image) -> torch.Tensor:
            with torch.inference_mode():
                return copy(pixel_values=image).last_hidden_state

        cases.append(
            Case(f"torch {name}", lambda f=forward: timed(f), lambda f=forward: f().float().numpy()),
        )
    return cases


class LastHiddenState(torch.nn.Module):
    """A model with one output, for the export."""

    def __init__(self, model: transformers.ViTModel):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=pixel_values).last_hidden_state


def onnx_cases(model: transformers.ViTModel, pixels: torch.Tensor, folder: Path) -> list[Case]:
    plain, quantised = folder / "vit.onnx", folder / "vit.int8.onnx"
    names = {"input_names": ["pixel_values"], "output_names": ["last_hidden_state"]}
    torch.onnx.export(LastHiddenState(model).eval(), (pixels,), plain, dynamo=True, verbose=False, **names)
    quantize_dynamic(plain, quantised, weight_type=QuantType.QInt8)
    cases = []
    for name, path in (("f32", plain), ("int8", quantised)):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = {"pixel_values": pixels.numpy()}

        def forward(session=session, inputs=inputs) -> np.ndarray:
            return session.run(None, inputs)[0]

        cases.append(Case(f"onnxruntime {name}", lambda f=forward: timed(f), forward))
    return cases


def percept_case(binary: Path, folder: Path, precision: str, threads: int) -> tuple[Case, subprocess.Popen]:
    states = folder / f"states.{precision}.{threads}.safetensors"
    command = [str(binary), str(folder), str(folder / "pixels.safetensors"), "--precision", precision]
    command += ["--threads", str(threads), "--output", str(states), "--serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())["ready"]

    def run() -> float:
        process.stdin.write("\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())["ms"] / 1e3

    name = f"percept {precision}" + (f", {threads} thread" if threads != THREADS else "")
    return Case(name, run, lambda: load_file(states)["last_hidden_state"].numpy()), process


def measure(cases: list[Case], rounds: int, quiet: Quiet) -> dict[str, list[Turn]]:
    times: dict[str, list[Turn]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            undisturbed = quiet.wait()
            case.run()
            times[case.name].append(Turn(case.run(), undisturbed))
    return times


def report(times: dict[str, list[Turn]], errors: dict[str, float]) -> str:
    lines = ["| case | median ms | best ms | error |", "|---|---:|---:|---:|"]
    for name, samples in times.items():
        best = min(turn.seconds for turn in samples)
        lines.append(f"| {name} | {median(samples) * 1e3:.1f} | {best * 1e3:.1f} | {errors[name]:.1e} |")
    lines += ["", "| percept | peer | ratio | at most | |", "|---|---|---:|---:|---|"]
    for own, peer, target in TARGETS:
        found = ratio(times[own], times[peer])
        reached = "" if target is None else "reached" if found <= target else "missed"
        lines.append(f"| {own} | {peer} | {found:.2f} | {target or ''} | {reached} |")
    lines += ["", "| percept | one thread to two: times faster | at least | |", "|---|---:|---:|---|"]
    for precision in ("f32", "bf16x3", "bf16", "int8"):
        found = ratio(times[f"percept {precision}, 1 thread"], times[f"percept {precision}"])
        lines.append(f"| {precision} | {found:.2f} | 1.8 | {'reached' if found >= 1.8 else 'missed'} |")
    return "\n".join([*lines, "", verdict(list(times.values()))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("percept", type=Path, help="the example vit")
    parser.add_argument("--folder", type=Path, help="where the models are built, to keep them")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for a quiet machine, in all")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(THREADS)
    with nullcontext(arguments.folder) if arguments.folder else tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model = build(folder)
        pixels = load_file(folder / "pixels.safetensors")["pixel_values"]
        cases = torch_cases(model, pixels) + onnx_cases(model, pixels, folder)
        processes = []
        for precision in ("f32", "bf16x3", "bf16", "int8"):
            for threads in sorted({1, THREADS}):
                case, process = percept_case(arguments.percept, folder, precision, threads)
                cases.append(case)
                processes.append(process)
        wanted = cases[0].states()
        errors = {case.name: float(abs(case.states() - wanted).max() / abs(wanted).max()) for case in cases}
        times = measure(cases, arguments.rounds, Quiet(arguments.patience))
        for process in processes:
            process.stdin.close()
            process.wait()
    versions = {m.__name__: m.__version__ for m in (torch, transformers, onnxruntime)}
    settings = {"threads": THREADS, "rounds": arguments.rounds, "load": os.getloadavg(), "versions": versions}
    turns = {name: [vars(turn) for turn in samples] for name, samples in times.items()}
    print(json.dumps(settings | {"errors": errors, "turns": turns}))
    print()
    print(report(times, errors))


if __name__ == "__main__":
    main()
