"""Moving boxes and the tracks that supervision's ByteTrack makes of them.

    pip install --no-deps supervision==0.26.1        # the last with the tracker; nothing else of it is imported
    python tests/reference/byte_track.py             # writes tests/golden/byte-track/cases.json

Each frame has its detections (left, top, right, bottom, score) and the confirmed tracks behind it: number, the box that
the Kalman filter holds, and which detection of this frame is in it (-1: none).
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "byte-track"


def tracker_module():
    """The tracker without the package's `__init__`, which wants OpenCV and Matplotlib."""
    root = Path(importlib.util.find_spec("supervision").submodule_search_locations[0])
    for name in ["", ".tracker", ".tracker.byte_tracker", ".detection", ".detection.utils"]:
        module = types.ModuleType("supervision" + name)
        module.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules["supervision" + name] = module
    for name, has in [("core", ["Detections"]), ("utils.converters", ["polygon_to_mask"]), ("utils.masks", ["resize_masks"])]:
        module = types.ModuleType("supervision.detection." + name)
        for attribute in has:
            setattr(module, attribute, object)
        sys.modules["supervision.detection." + name] = module
    from supervision.tracker.byte_tracker import core, single_object_track

    return core, single_object_track


CORE, TRACK = tracker_module()


def remember_detections() -> None:
    """Which detection went into a track is not kept by the package: its box says it."""
    update, again, begin = TRACK.STrack.update, TRACK.STrack.re_activate, TRACK.STrack.activate

    def remembered(method):
        def wrapped(self, new, frame_id):
            method(self, new, frame_id)
            self.measured = (frame_id, new._tlwh)

        return wrapped

    def begun(self, kalman, frame_id):
        begin(self, kalman, frame_id)
        self.measured = (frame_id, self._tlwh)

    TRACK.STrack.update, TRACK.STrack.re_activate, TRACK.STrack.activate = remembered(update), remembered(again), begun


class Thing:
    """Something that moves along a line, is seen in some frames, and is sometimes hard to see."""

    def __init__(self, random, start, velocity, size, growth=1.0, frames=(0, 10_000), hidden=(), dim=()):
        self.random, self.start, self.velocity = random, numpy.array(start, float), numpy.array(velocity, float)
        self.size, self.growth, self.frames, self.hidden, self.dim = numpy.array(size, float), growth, frames, hidden, dim

    def at(self, frame):
        if not self.frames[0] <= frame < self.frames[1] or any(a <= frame < b for a, b in self.hidden):
            return None
        centre = self.start + self.velocity * (frame - self.frames[0])
        size = self.size * self.growth ** (frame - self.frames[0])
        centre = centre + self.random.normal(0, 0.01, 2) * size
        size = size * (1 + self.random.normal(0, 0.015, 2))
        low = any(a <= frame < b for a, b in self.dim)
        score = self.random.uniform(0.15, 0.45) if low else self.random.uniform(0.65, 0.98)
        return [*(centre - size / 2), *(centre + size / 2), score]


def scenes():
    def scene(seed, frames, things, noise):
        random = numpy.random.default_rng(seed)
        things = [Thing(random, *args, **more) for args, more in things]
        listed = []
        for frame in range(frames):
            found = [box for thing in things if (box := thing.at(frame)) is not None]
            for _ in range(random.poisson(noise)):
                left, top = random.uniform(0, 560), random.uniform(0, 400)
                found.append([left, top, left + random.uniform(10, 60), top + random.uniform(20, 80), random.uniform(0.05, 0.9)])
            order = random.permutation(len(found))
            listed.append([[round(float(v), 3) for v in found[i]] for i in order])
        return listed

    # Two cross while one is not seen, one grows and grows dim, one appears late, one is gone for long.
    yield "crossing", scene(1, 120, [
        (((40, 200), (4, 0.3), (50, 110)), {"hidden": [(58, 66)], "dim": [(30, 36), (90, 93)]}),
        (((560, 215), (-4, 0), (54, 120)), {}),
        (((300, 60), (0.5, 1.5), (40, 50)), {"growth": 1.008, "dim": [(20, 45)]}),
        (((100, 400), (2, -1), (60, 60)), {"frames": (25, 200)}),
        (((500, 380), (-1, 0), (45, 90)), {"hidden": [(40, 85)]}),
    ], 0.3)
    # Gone for as long as a track is kept, give or take a frame.
    yield "buffer", scene(2, 90, [
        (((60, 100), (0, 0), (60, 60)), {"hidden": [(20, 50)]}),
        (((200, 100), (0, 0), (60, 60)), {"hidden": [(20, 51)]}),
        (((340, 100), (0, 0), (60, 60)), {"hidden": [(20, 52)]}),
        (((480, 100), (0, 0), (60, 60)), {"hidden": [(20, 53)]}),
    ], 0.0)
    # A crowd that walks both ways, much hidden and dim.
    random = numpy.random.default_rng(3)
    crowd = []
    for index in range(14):
        away = sorted(random.integers(0, 100, 2))
        dim = sorted(random.integers(0, 100, 2))
        crowd.append((
            (random.uniform(50, 590, 2) * [1, 0.7], random.uniform(-3, 3, 2), random.uniform(30, 90, 2)),
            {"hidden": [(away[0], min(away[1], away[0] + 25))], "dim": [(dim[0], min(dim[1], dim[0] + 20))],
             "frames": (int(random.integers(0, 30)), 100)},
        ))
    yield "crowd", scene(4, 100, crowd, 1.0)
    # Two detections of one thing, the second from frame 10 on: two tracks that come to lie on one another.
    yield "double", scene(5, 60, [
        (((100, 200), (3, 0), (80, 100)), {}),
        (((180, 200), (1, 0), (80, 100)), {"frames": (10, 52), "hidden": [(44, 47)]}),
        (((100, 205), (3, 0), (82, 98)), {"frames": (50, 60)}),
    ], 0.0)


def main() -> None:
    remember_detections()
    cases = []
    for name, frames in scenes():
        tracker = CORE.ByteTrack(track_activation_threshold=0.5)
        listed, numbers = [], set()
        for count, found in enumerate(frames, 1):
            tensors = numpy.array(found, numpy.float32).reshape(-1, 5)
            tracks = []
            for track in tracker.update_with_tensors(tensors):
                frame, measured = track.measured
                corners = numpy.concatenate([measured[:2], measured[:2] + measured[2:]])
                near = numpy.abs(tensors[:, :4] - corners).max(axis=1)
                which = int(near.argmin()) if frame == count else -1
                assert which < 0 or near[which] < 1e-3
                tracks.append([int(track.external_track_id), [round(float(v), 4) for v in track.tlbr], which])
                numbers.add(int(track.external_track_id))
            listed.append({"detections": found, "tracks": tracks})
        print(name, len(frames), "frames,", len(numbers), "tracks")
        cases.append({"name": name, "frames": listed})
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
