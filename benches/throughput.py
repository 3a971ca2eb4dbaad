"""Items a second of a folder, against one after the other: python benches/throughput.py target/release/percept

Needs Pillow, torch and transformers (tests/reference/requirements.txt): the model is SegFormer-B0 with random weights.
With --speech FILE copies of a recording are transcribed instead, with whisper-tiny.en. Three ways take turns, medians are
printed with their ratios:

    processes   `percept TASK ONE` in a loop, a process an item
    one         the folder with -j 1: all threads on one item after the other
    folder      the folder as it is by default
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "reference"))
from full_size_segment import CASES, build  # noqa: E402


def pictures(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    random = np.random.default_rng(0)
    paths = []
    for index in range(count):
        low = random.integers(0, 256, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8)
        image = Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)
        paths.append(folder / f"{index:04}.jpg")
        image.save(paths[-1], quality=90)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("percept", type=Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(1600, 1200))
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "in").mkdir()
        (root / "out").mkdir()
        if arguments.speech:
            names = [root / "in" / f"{index:04}{arguments.speech.suffix}" for index in range(arguments.count)]
            paths = [Path(shutil.copy(arguments.speech, name)) for name in names]
            common = ["transcribe", "--model", "whisper-tiny.en", "-f", "json"]
        else:
            (root / "model").mkdir()
            build(CASES["segformer-b0"], root / "model")
            paths = pictures(root / "in", arguments.count, tuple(arguments.size))
            common = ["segment", "--model", root / "model", "-f", "json,png"]

        def percept(inputs: list[Path], *more: str) -> None:
            command = [arguments.percept.resolve(), *common, *inputs, "--precision", arguments.precision]
            command += ["-q", "-o", root / "out", "-y", *more]
            subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)

        ways = {
            "processes": lambda: [percept([path]) for path in paths],
            "one": lambda: percept([root / "in"], "-j", "1"),
            "folder": lambda: percept([root / "in"]),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for round_number in range(arguments.rounds):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - began)
            print(f"round {round_number}: {({name: round(times[-1], 2) for name, times in seconds.items()})}", file=sys.stderr)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        result = {f"{name}_items_a_second": round(arguments.count / median, 2) for name, median in medians.items()}
        result |= {f"folder_over_{name}": round(medians[name] / medians["folder"], 2) for name in ("processes", "one")}
        print(json.dumps(result))


if __name__ == "__main__":
    main()
