"""Drawn rooms whose depth is known: a floor, a wall at its back and flat shapes that stand upright on the floor.

    scene = random_scene(seed=7, width=300, height=200)
    picture = render(scene)             # PIL image, RGB
    metres = depth_map(scene)           # f32 [height, width]
    numbers = instance_map(scene)       # 0 where there is no shape, k + 1 for shape k

Everything follows from the seed. The camera looks along the floor, CAMERA_HEIGHT above it; its focal length is FOCAL of
the picture's shorter side, its axis the picture's middle. So a pixel's distance below the middle tells how far away the
floor is there, and a shape is as far away as the floor under its foot; sizes tell nothing for certain. Depth is along
the axis of the camera (z, not the length of the ray), in metres. Shapes, colours and the wall are those of shapes.py,
edges anti-aliased; the truth of a pixel is that of its centre, or of the shape that covers more than half of it.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

import shapes
from shapes import KINDS, MIDDLE, Background, Colour, Scene, Shape

FOCAL = 0.5 / math.tan(math.radians(30))  # 60 degrees from side to side, or from top to bottom where that is shorter
CAMERA_HEIGHT = 1.4  # metres
WALL = (3.5, 9.0)  # metres
RADIUS = (0.4, 0.65)  # metres
RATIO = 1.1  # least between the depths of two shapes of a scene
VISIBLE = 0.4  # least part of a shape that no other hides
FOOT = 0.25  # of the radius: the height of what is called foot, of which most shows
APART = 16.0  # least difference of luminance between floor and wall
FLOOR_SAMPLES = 3  # a side


@dataclass(frozen=True)
class Floor:
    """`checks` (squares of `tile` metres), `planks` (`tile` metres wide, going away) or `flat`."""

    kind: str
    colours: tuple[Colour, Colour]
    tile: float
    offset: tuple[float, float]


@dataclass(frozen=True)
class Standing:
    """A shape as the picture has it (pixels), and its depth in metres."""

    shape: Shape
    depth: float


@dataclass(frozen=True)
class Room:
    width: int
    height: int
    wall: float
    background: Background
    floor: Floor
    standing: tuple[Standing, ...]  # the farthest first

    @property
    def focal(self) -> float:
        """Pixels."""
        return FOCAL * min(self.width, self.height)

    def flat(self) -> Scene:
        return Scene(self.width, self.height, self.background, tuple(one.shape for one in self.standing))


def instance_map(room: Room) -> np.ndarray:
    return shapes.instance_map(room.flat())


def depth_map(room: Room) -> np.ndarray:
    """f32 `[height, width]`, metres."""
    rows = np.arange(room.height) + 0.5 - room.height / 2
    floor = np.minimum(_floor_depth(room, rows), room.wall).astype(np.float32)
    metres = np.repeat(floor[:, None], room.width, 1)
    table = np.array([0.0] + [one.depth for one in room.standing], np.float32)
    numbers = instance_map(room)
    return np.where(numbers > 0, table[numbers], metres)


def render(room: Room) -> Image.Image:
    """The picture, RGB of 8 bits."""
    wall = shapes.render(Scene(room.width, room.height, room.background))
    colours, part = _floor(room)
    canvas = np.asarray(wall, np.float32)
    canvas = canvas + part * (colours - canvas)
    for one in room.standing:
        covered, window = shapes.coverage(one.shape, room.width, room.height)
        canvas[window] += covered[..., None] * (np.array(one.shape.colour, np.float32) - canvas[window])
    if room.background.noise > 0:
        generator = np.random.default_rng(room.background.seed + 1)
        canvas += generator.standard_normal((room.height, room.width, 1), dtype=np.float32) * room.background.noise / 2
    return Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))


def _floor_depth(room: Room, rows: np.ndarray) -> np.ndarray:
    """Metres to the floor at `rows` pixels below the middle; infinite above it."""
    with np.errstate(divide="ignore"):
        return np.where(rows > 0, room.focal * CAMERA_HEIGHT / np.maximum(rows, 0), np.inf)


def _floor(room: Room) -> tuple[np.ndarray, np.ndarray]:
    """Its colours, f32 `[height, width, 3]`, and the part of each row of pixels that is floor and not wall."""
    samples = FLOOR_SAMPLES
    across, rows = (
        ((np.arange(length * samples) + 0.5) / samples - length / 2).astype(np.float32)
        for length in (room.width, room.height)
    )
    top = np.searchsorted(_floor_depth(room, rows) < room.wall, True) // samples  # the first row of pixels with floor
    away = _floor_depth(room, rows[top * samples :])[:, None]
    is_floor = away < room.wall
    away = np.minimum(away, room.wall).astype(np.float32)
    column = np.floor((across * (away / room.focal) + room.floor.offset[0]) / room.floor.tile)
    line = np.floor((away + room.floor.offset[1]) / room.floor.tile)
    match room.floor.kind:
        case "checks":
            second = (column + line) % 2
        case "planks":
            second = column % 2
        case _:
            second = np.zeros_like(column)

    def pixels(fine: np.ndarray) -> np.ndarray:
        means = fine.reshape(room.height - top, samples, -1, samples if fine.shape[1] > 1 else 1).mean((1, 3))
        return np.pad(means, ((top, 0), (0, 0)))[..., None]

    part = pixels(is_floor.astype(np.float32))
    mix = pixels(second * is_floor) / np.maximum(part, 1e-6)
    first, other = (np.array(colour, np.float32) for colour in room.floor.colours)
    return first + mix * (other - first), part


def random_scene(seed: int, width: int, height: int, count: tuple[int, int] = (1, 6)) -> Room:
    """A room with `count` shapes (least, most; fewer where they find no room) whose feet are in the picture."""
    generator = np.random.default_rng([30, seed])
    # What stands on the wall of shapes.py's scenes: nothing.
    background = shapes.random_scene(seed, width, height, count=(0, 0)).background
    wall = float(generator.uniform(*WALL))
    focal = FOCAL * min(width, height)
    nearest = focal * CAMERA_HEIGHT / (0.47 * height)
    standing: list[Standing] = []
    wanted = int(generator.integers(count[0], count[1] + 1))
    for _ in range(20 * wanted):
        if len(standing) == wanted:
            break
        # As many near ones as far ones in the picture, not on the floor.
        depth = math.exp(generator.uniform(math.log(nearest), math.log(0.95 * wall)))
        if any(max(depth / one.depth, one.depth / depth) < RATIO for one in standing):
            continue
        one = _stand(generator, depth, width, height, standing)
        room = Room(width, height, wall, background, _no_floor(), tuple(sorted([*standing, one], key=_farthest)))
        if _all_visible(room):
            standing = list(room.standing)
    return Room(width, height, wall, background, _random_floor(generator, background), tuple(standing))


def _farthest(one: Standing) -> float:
    return -one.depth


def _stand(
    generator: np.random.Generator, depth: float, width: int, height: int, others: list[Standing]
) -> Standing:
    scale = FOCAL * min(width, height) / depth  # pixels of a metre
    radius = scale * float(generator.uniform(*RADIUS))
    middle = float(generator.uniform(0.04, 0.96)) * width
    near = [one.shape for one in others if abs(one.shape.centre[0] - middle) < 1.1 * (one.shape.radius + radius)]
    shape = Shape(
        kind=str(generator.choice(KINDS)),
        colour=shapes._shape_colour(generator, [shape.colour for shape in near]),
        centre=(middle, 0.0),
        radius=radius,
        angle=float(generator.uniform(0, 360)),
        aspect=float(generator.uniform(0.5, 1.0)),
    )
    foot = max(y for _, y in shapes.outline(shape)[0])
    floor = height / 2 + scale * CAMERA_HEIGHT
    return Standing(Shape(**{**shape.__dict__, "centre": (middle, floor - foot)}), depth)


def _all_visible(room: Room) -> bool:
    """Whether enough shows of each shape, and its foot: without it nobody can tell how far away it is."""
    numbers = instance_map(room)
    for number, one in enumerate(room.standing, 1):
        seen = numbers == number
        covered, window = shapes.coverage(one.shape, room.width, room.height)
        whole = np.zeros_like(seen)
        whole[window] = covered > 0.5
        if seen.sum() < max(VISIBLE * whole.sum(), 12):
            return False
        x, foot = max(shapes.outline(one.shape)[0], key=lambda corner: corner[1])
        low = slice(round(foot - FOOT * one.shape.radius), None)
        if not 0 < x < room.width or seen[low].sum() < 0.6 * max(whole[low].sum(), 1):
            return False
    return True


def _no_floor() -> Floor:
    return Floor("flat", ((0, 0, 0), (0, 0, 0)), 1.0, (0.0, 0.0))


def _random_floor(generator: np.random.Generator, background: Background) -> Floor:
    """Of middle luminance, as the wall is, but apart from it."""
    wall = [shapes.luminance(colour) for colour in background.colours]
    if background.kind == "flat":
        wall = wall[:1]
    least, wide = APART, 15
    while True:
        lights = (MIDDLE[0] - wide, MIDDLE[1] + wide)
        first, second = (shapes._random_colour(generator, lights) for _ in range(2))
        mean = (shapes.luminance(first) + shapes.luminance(second)) / 2
        if abs(mean - np.mean(wall)) >= least:
            break
        least *= 0.95
    return Floor(
        kind=str(generator.choice(["checks", "planks", "flat"])),
        colours=(first, second),
        tile=float(generator.uniform(0.4, 0.9)),
        offset=(float(generator.uniform(0, 10)) + 100, float(generator.uniform(0, 10))),
    )
