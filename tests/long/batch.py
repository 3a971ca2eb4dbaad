"""A folder of ten thousand pictures, some of them broken in every way, killed again and again: is anything lost?

    cargo build --release -p percept-cli
    python tests/long/batch.py target/release/percept [--items 10000] [--broken 200] [--kills 20] [--folder KEEP]

Makes a tree of a drawn scene under names that tools stumble over (spaces, quotes, line breaks, bytes that are no UTF-8,
equal stems, paths of 300 characters, links that lead back), runs `percept segment` with the small SegFormer of
tests/models over it, and again with SIGKILL at random moments and `--resume`. Prints what it saw as JSON; exit code 1 if
the trees differ, a broken picture is not listed, or the memory grows with the number of items. Some minutes.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "tests" / "golden" / "shapes" / "small.png"
MODEL = ROOT / "tests" / "models" / "shapes-segformer"
MANIFEST = "percept-run.jsonl"


def names(count: int) -> list[bytes]:
    """As many paths below a folder; nothing is made of two of them that would be one file elsewhere."""
    odd = [b"a b", b"it's", b'say "x"', b"two\nlines", b"tab\there", b"\xff\xfe no text", "\u00e9\u4e2d".encode(), b"-o", b"{}", b"*"]
    listed = []
    for number in range(count):
        stem = odd[number % len(odd)] + b" %05d" % number if number % 7 == 0 else b"%05d" % number
        folder = [b"plain", b"deep/er/and/er", b"with space", b"long-" + b"x" * 200 + b"/" + b"y" * 80][number % 4]
        listed.append(folder + b"/" + stem + (b".jpg" if number % 5 == 0 else b".png"))
        if number % 50 == 1:
            listed.append(folder + b"/%05d.jpg" % number)  # an equal stem
    return listed[:count]


def broken(number: int, good: bytes) -> bytes:
    kinds = [
        b"",
        good[: len(good) // 3],
        b"this is no picture\n" * 20,
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe0" + random.Random(number).randbytes(3000),
        good[:50] + bytes(200) + good[250:],
        b"GIF89a" + b"\xff" * 30,
    ]
    return kinds[number % len(kinds)]


def make(folder: Path, count: int, broken_count: int) -> None:
    good = PICTURE.read_bytes()
    folder.mkdir(parents=True)
    first = None
    chosen = set(random.Random(1).sample(range(count), broken_count))
    for number, name in enumerate(names(count)):
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if number in chosen:
            with open(path, "wb") as file:
                file.write(broken(number, good))
        elif first is None:
            first = path
            with open(path, "wb") as file:
                file.write(good)
        else:
            os.link(first, path)
    os.symlink("..", folder / "plain" / "back")


def command(percept: Path, inputs: Path, out: Path, *more: str) -> list[str]:
    fixed = ["--model", MODEL, "--precision", "f32", "-f", "rle,png", "--no-timings", "-q"]
    return list(map(str, [percept, "segment", inputs, "-o", out, *fixed, *more]))


def run(arguments: list[str]) -> tuple[int, float, float, str]:
    """Exit code, seconds, the peak of its memory in MB, and what it said."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return process.returncode, time.perf_counter() - began, usage.ru_maxrss / 1024, text


def tree(folder: Path) -> dict[bytes, str]:
    found = {}
    for place, _, files in os.walk(os.fsencode(folder)):
        for name in files:
            path = os.path.join(place, name)
            if name != os.fsencode(MANIFEST):
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                found[os.path.relpath(path, os.fsencode(folder))] = digest
    return found


def statuses(out: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in (out / MANIFEST).read_text().splitlines():
        status = json.loads(line)["status"]
        counts[status] = counts.get(status, 0) + 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("percept", type=Path)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--broken", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    percept = arguments.percept.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.folder or Path(temporary)
        make(root / "few", arguments.items // 10, arguments.broken // 10)
        make(root / "many", arguments.items, arguments.broken)
        _, few_seconds, few_memory, _ = run(command(percept, root / "few", root / "few-out"))
        code, seconds, memory, said = run(command(percept, root / "many", root / "whole"))
        listed = said.count("failed:")

        moments = random.Random(2)
        killed = 0
        for _ in range(arguments.kills):
            process = subprocess.Popen(
                command(percept, root / "many", root / "again", "--resume"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                process.wait(moments.uniform(0.05, 1.5 * seconds / arguments.kills))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
        code_again, last_seconds, _, _ = run(command(percept, root / "many", root / "again", "--resume"))
        idle = run(command(percept, root / "many", root / "again", "--resume"))
        whole, again = tree(root / "whole"), tree(root / "again")
        report = {
            "items": arguments.items,
            "seconds": round(seconds, 1),
            "ms_an_item": round(1e3 * seconds / arguments.items, 2),
            "ms_an_item_of_a_tenth": round(1e4 * few_seconds / arguments.items, 2),
            "peak_mb": round(memory),
            "peak_mb_of_a_tenth": round(few_memory),
            "exit": [code, code_again, idle[0]],
            "listed": listed,
            "manifest": [statuses(root / "whole"), statuses(root / "again")],
            "killed": killed,
            "last_run_seconds": round(last_seconds, 1),
            "seconds_when_nothing_is_to_do": round(idle[1], 1),
            "outputs": [len(whole), len(again)],
            "equal": whole == again,
        }
    print(json.dumps(report, indent=1))
    good = report["equal"] and listed == arguments.broken and report["exit"] == [1, 1, 1]
    sys.exit(0 if good and memory <= 1.1 * few_memory else 1)


if __name__ == "__main__":
    main()
