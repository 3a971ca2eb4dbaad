"""A folder through percept on Ray: each actor keeps one `percept worker` with its model loaded.

    pip install ray
    python examples/ray/folder.py photos/ --workers 2 -- segment --model segformer-b0-ade > results.jsonl

What stands behind `--` is a task of `percept worker` with its options. One line of JSON a file comes out, in the order
of the files' names, whatever actor did it; failed files are lines too, and make the exit code 1.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import ray
from ray.util import ActorPool


@ray.remote(num_cpus=1)
class Percept:
    """A worker process: a request is a line in, an answer a line out."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self, path: str) -> dict:
        self.process.stdin.write(json.dumps({"path": path, "id": path}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"percept ended with code {self.process.wait()}")
        return json.loads(line)

    def identity(self) -> int:
        return self.process.pid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--percept", default="percept", help="the program")
    parser.add_argument("task", nargs="+", help="a task of `percept worker`, with its options")
    arguments = parser.parse_args()

    ray.init(num_cpus=arguments.workers, include_dashboard=False, log_to_driver=False)
    # One thread each: actors share the machine by being many.
    command = [arguments.percept, "worker", *arguments.task, "--threads", "1", "-j", "1"]
    actors = [Percept.remote(command) for _ in range(arguments.workers)]
    files = sorted(str(path) for path in arguments.folder.rglob("*") if path.is_file())
    failed = 0
    for answer in ActorPool(actors).map(lambda actor, path: actor.answer.remote(path), files):
        failed += answer["status"] != "done"
        print(json.dumps(answer), flush=True)
    processes = ray.get([actor.identity.remote() for actor in actors])
    print(f"{len(files)} files, {failed} failed, {len(set(processes))} workers", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
