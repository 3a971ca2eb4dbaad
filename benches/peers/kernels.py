"""Kernels one by one: percept-kernels against torch, taking turns in one run.

    cargo build --release -p percept-kernels --example peer_kernels
    python benches/peers/kernels.py target/release/examples/peer_kernels [--rounds 21] [--only SUBSTRING]

In each round every case has a turn of each side: a call that is not counted, then some that are, whose median is the
turn's time; the median of the turns counts. A turn begins when nobody else computes.
torch keeps freed memory (glibc's thresholds are raised), so that kernels are compared and not allocators; element-wise
results go to a buffer that is there. Prints a JSON line, then a table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

THREADS = int(os.environ.get("PEER_THREADS", "2"))
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
if any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):
    # glibc reads them when a process starts.
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_MEMORY | {"OMP_NUM_THREADS": str(THREADS)})

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from quiet import Quiet, Turn, median, ratio, verdict  # noqa: E402

TURN_SECONDS = 0.03  # timed calls of one turn take about this long
MOST_CALLS = 15
BF16, F32 = torch.bfloat16, torch.float32


@dataclass
class Case:
    """`name` is peer_kernels' case; `peer` computes the same in `peer_precision`; `target` is the ratio to reach."""

    name: str
    peer_precision: str
    peer: Callable[[], object]
    target: float | None


def numbers(*shape: int, dtype: torch.dtype = F32) -> torch.Tensor:
    return (torch.rand(shape) * 2 - 1).to(dtype)


def linear_cases(rows: int, depth: int, channels: int) -> list[Case]:
    def layer(dtype: torch.dtype) -> Callable[[], object]:
        x, w, b = (numbers(*s, dtype=dtype) for s in ((rows, depth), (channels, depth), (channels,)))
        return lambda: F.linear(x, w, b)

    f32, bf16 = layer(F32), layer(BF16)
    name = f"linear {rows}x{depth}x{channels}"
    return [
        Case(f"{name} f32", "f32", f32, 0.55),
        Case(f"{name} bf16x3", "f32", f32, None),
        Case(f"{name} bf16", "bf16", bf16, 1.0),
        Case(f"{name} int8", "bf16", bf16, 0.6),
    ]


def conv_case(name: str, channels: int, outputs: int, kernel: int, size: int, **options: int) -> Case:
    x, b = numbers(1, channels, size, size), numbers(outputs)
    w = numbers(outputs, channels // options.get("groups", 1), kernel, kernel)
    return Case(name, "f32", lambda: F.conv2d(x, w, b, padding=kernel // 2, **options), 1.0)


def attention_cases(heads: int, tokens: int, dim: int) -> list[Case]:
    def attend(dtype: torch.dtype) -> Callable[[], object]:
        # Laid out as a model has them after its projections.
        q, k, v = (numbers(1, tokens, heads, dim, dtype=dtype).transpose(1, 2) for _ in range(3))
        return lambda: F.scaled_dot_product_attention(q, k, v)

    name = f"attention {heads}x{tokens}x{dim}"
    return [Case(f"{name} f32", "f32", attend(F32), None), Case(f"{name} bf16", "bf16", attend(BF16), None)]


def row_cases() -> list[Case]:
    x, weight, bias = numbers(1500, 384), numbers(384), numbers(384)
    hidden, hidden_out = numbers(1500, 1536), torch.empty(1500, 1536)
    scores, scores_out = numbers(9000, 1500), torch.empty(9000, 1500)
    return [
        Case("layer_norm 1500x384 f32", "f32", lambda: F.layer_norm(x, (384,), weight, bias, 1e-5), None),
        Case("gelu 1500x1536 f32", "f32", lambda: torch._C._nn.gelu(hidden, out=hidden_out), None),
        Case("softmax 9000x1500 f32", "f32", lambda: torch.softmax(scores, -1, out=scores_out), None),
    ]


def cases() -> list[Case]:
    shapes = ((1500, 384, 1536), (197, 768, 3072), (4096, 768, 3072))
    return (
        [case for shape in shapes for case in linear_cases(*shape)]
        + [
            conv_case("conv 3x3 64-64 160x160 f32", 64, 64, 3, 160),
            conv_case("conv 3x3 64-64 160x160 bf16x3", 64, 64, 3, 160),
            conv_case("conv 7x7/2 3-64 640x640 f32", 3, 64, 7, 640, stride=2),
            conv_case("conv 7x7/2 3-64 640x640 bf16x3", 3, 64, 7, 640, stride=2),
            conv_case("depthwise 3x3 256 80x80 f32", 256, 256, 3, 80, groups=256),
        ]
        + attention_cases(6, 1500, 64)
        + attention_cases(12, 197, 64)
        + row_cases()
    )


class Percept:
    """The example peer_kernels, which runs a case when it is asked."""

    def __init__(self, binary: Path):
        command = [str(binary), str(THREADS)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.greeting = json.loads(self.process.stdout.readline())

    def seconds(self, case: str, calls: int) -> float:
        self.process.stdin.write(f"{case}\t{calls}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def peer_seconds(run: Callable[[], object], calls: int) -> float:
    def once() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    once()
    return statistics.median(once() for _ in range(calls))


def measure(percept: Percept, chosen: list[Case], rounds: int, quiet: Quiet) -> tuple[list[dict], str]:
    def calls(seconds: float) -> int:
        return max(1, min(MOST_CALLS, int(TURN_SECONDS / seconds)))

    ours: list[list[Turn]] = [[] for _ in chosen]
    theirs: list[list[Turn]] = [[] for _ in chosen]
    counts = [(calls(percept.seconds(case.name, 1)), calls(peer_seconds(case.peer, 1))) for case in chosen]
    for _ in range(rounds):
        for case, (our_calls, their_calls), own, peer in zip(chosen, counts, ours, theirs):
            undisturbed = quiet.wait()
            own.append(Turn(percept.seconds(case.name, our_calls), undisturbed))
            undisturbed = quiet.wait()
            peer.append(Turn(peer_seconds(case.peer, their_calls), undisturbed))
    rows = [
        {"case": case.name, "peer": f"torch {case.peer_precision}", "target": case.target}
        | {"ms": median(own) * 1e3, "peer_ms": median(peer) * 1e3, "ratio": ratio(own, peer)}
        for case, own, peer in zip(chosen, ours, theirs)
    ]
    return rows, verdict(ours + theirs)


def table(rows: list[dict]) -> str:
    lines = ["| case | peer | percept ms | peer ms | ratio | at most | |", "|---|---|---:|---:|---:|---:|---|"]
    for row in rows:
        target, ratio = row["target"], row["ratio"]
        verdict = "" if target is None else "reached" if ratio <= target else "missed"
        wanted = "" if target is None else f"{target:.2f}"
        numbers = f"{row['ms']:.3f} | {row['peer_ms']:.3f} | {ratio:.2f} | {wanted}"
        lines.append(f"| {row['case']} | {row['peer']} | {numbers} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("percept", type=Path, help="the example peer_kernels")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for a quiet machine, in all")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    percept = Percept(arguments.percept)
    chosen = [case for case in cases() if arguments.only in case.name]
    rows, trust = measure(percept, chosen, arguments.rounds, Quiet(arguments.patience))
    percept.close()
    settings = {"threads": THREADS, "rounds": arguments.rounds, "isa": percept.greeting["isa"]}
    settings["trust"] = trust
    print(json.dumps(settings | {"load": os.getloadavg(), "torch": torch.__version__, "rows": rows}))
    print()
    print(table(rows))
    print(f"\n{trust}")


if __name__ == "__main__":
    main()
