"""Waiting until nobody else computes, on a machine that is shared."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 0.05
IDLE_SHARE = 0.9  # of all processors, while this program sleeps
FEWEST = 5  # quiet rounds that are enough to leave the others out


@dataclass
class Turn:
    """What was measured, and whether the machine was quiet when it began."""

    seconds: float
    quiet: bool


@dataclass
class Quiet:
    """Lets turns begin when the processors are idle, until the patience of the whole run is used up."""

    patience: float

    def wait(self) -> bool:
        """Whether the machine is quiet. At least one look long: the last turn's threads stop spinning meanwhile."""
        while True:
            began = time.perf_counter()
            before = idle_and_total()
            time.sleep(LOOK_SECONDS)
            idle, total = (after - start for after, start in zip(idle_and_total(), before))
            if idle >= IDLE_SHARE * total:
                return True
            self.patience -= time.perf_counter() - began
            if self.patience < 0.0:
                return False


def take_turns(cases: dict[str, Callable[[], float]], rounds: int, quiet: Quiet) -> dict[str, list[Turn]]:
    """Seconds of each case. The machine changes its pace from minute to minute: within a round all are measured close to each
    other."""
    turns: dict[str, list[Turn]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case, run in cases.items():
            undisturbed = quiet.wait()
            turns[case].append(Turn(run(), undisturbed))
    return turns


def median(turns: list[Turn]) -> float:
    """Of the quiet turns, where there are enough of them."""
    quiet = [turn.seconds for turn in turns if turn.quiet]
    return statistics.median(quiet if len(quiet) >= FEWEST else [turn.seconds for turn in turns])


def ratio(ours: list[Turn], theirs: list[Turn]) -> float:
    """The median of the ratios round by round, of the rounds that were quiet for both, where there are enough."""
    rounds = list(zip(ours, theirs))
    quiet = [(one, other) for one, other in rounds if one.quiet and other.quiet]
    chosen = quiet if len(quiet) >= FEWEST else rounds
    return statistics.median(one.seconds / other.seconds for one, other in chosen)


def verdict(all_turns: list[list[Turn]]) -> str:
    """How far the numbers can be trusted."""
    quiet = [sum(turn.quiet for turn in turns) for turns in all_turns]
    enough = sum(count >= FEWEST for count in quiet)
    return f"{enough} of {len(quiet)} cases had at least {FEWEST} turns on a quiet machine; the others mean nothing"


def idle_and_total() -> tuple[int, int]:
    """Ticks of all processors since the start of the machine (proc_stat(5))."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
