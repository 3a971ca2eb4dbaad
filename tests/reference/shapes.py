"""Drawn scenes of coloured shapes whose truth is known: what the demonstration models are trained on and tested with.

    scene = random_scene(seed=7, width=300, height=200)
    picture = render(scene)        # PIL image, RGB
    truth = masks(scene)           # bool [shapes, height, width], visible parts

Everything follows from the seed. Coordinates are pixels, x to the right and y downwards, with the origin at the
top-left corner of the picture (a pixel's centre lies at +0.5). Shapes are drawn in order: a later one hides an earlier
one. Edges are anti-aliased; the truth of a pixel is the shape that covers more than half of it. Backgrounds are of middle
luminance and shapes dark or light, whatever their hue: a picture made grey, or a negative, shows the same shapes, and a
small model learns in minutes what is shape and what is not.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("circle", "rectangle", "triangle", "star", "ring")
CLASSES = ("background", *KINDS)  # index = class number in the truth
SUPERSAMPLING = 4
DARK, MIDDLE, LIGHT = (0, 60), (100, 155), (195, 255)  # ranges of luminance: shapes, backgrounds, shapes
CONTRAST = 45.0  # least difference of luminance between shapes that touch
STAR_INNER = 0.5  # inner over outer radius
RING_INNER = 0.45

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """One shape, inscribed in a circle of `radius` pixels around `centre`, turned by `angle` degrees."""

    kind: str
    colour: Colour
    centre: Point
    radius: float
    angle: float
    aspect: float = 1.0  # short over long side; rectangles only


@dataclass(frozen=True)
class Line:
    """Clutter: a thin line that belongs to the background."""

    start: Point
    end: Point
    colour: Colour
    width: int


@dataclass(frozen=True)
class Background:
    """`flat`, `linear` or `radial` (between two colours), or `texture`; `noise` is the deviation of white noise."""

    kind: str
    colours: tuple[Colour, Colour]
    noise: float
    seed: int
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Scene:
    width: int
    height: int
    background: Background
    shapes: tuple[Shape, ...] = field(default=())


def outline(shape: Shape) -> list[list[Point]]:
    """The polygons of a shape: its edge and, for a ring, the edge of its hole."""
    turn = math.radians(shape.angle)

    def corner(angle: float, radius: float) -> Point:
        return (
            shape.centre[0] + radius * math.cos(angle + turn),
            shape.centre[1] + radius * math.sin(angle + turn),
        )

    def regular(corners: int, radius: float) -> list[Point]:
        return [corner(2 * math.pi * k / corners, radius) for k in range(corners)]

    match shape.kind:
        case "circle":
            return [regular(96, shape.radius)]
        case "ring":
            return [regular(96, shape.radius), regular(96, shape.radius * RING_INNER)]
        case "triangle":
            return [regular(3, shape.radius)]
        case "star":
            return [[corner(math.pi * k / 5, shape.radius * (STAR_INNER if k % 2 else 1.0)) for k in range(10)]]
        case "rectangle":
            half = math.atan(shape.aspect)
            return [[corner(angle, shape.radius) for angle in (half, math.pi - half, math.pi + half, -half)]]
    raise ValueError(f"no such kind of shape: {shape.kind}")


def coverage(shape: Shape, width: int, height: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The part of each pixel that the shape covers (0 to 1), in the window (rows, columns) where it is not zero."""
    left, right = (round(shape.centre[0] + side * (shape.radius + 1)) for side in (-1, 1))
    top, bottom = (round(shape.centre[1] + side * (shape.radius + 1)) for side in (-1, 1))
    left, right = (min(max(x, 0), width) for x in (left, right))
    top, bottom = (min(max(y, 0), height) for y in (top, bottom))
    if right <= left or bottom <= top:
        return np.zeros((0, 0), np.float32), (slice(0, 0), slice(0, 0))
    size = (right - left, bottom - top)
    fine = Image.new("L", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    draw = ImageDraw.Draw(fine)
    for polygon, value in zip(outline(shape), (255, 0)):
        # Pillow draws on pixel centres; ours are corners of cells.
        draw.polygon([((x - left) * SUPERSAMPLING - 0.5, (y - top) * SUPERSAMPLING - 0.5) for x, y in polygon], value)
    covered = np.asarray(fine.resize(size, Image.Resampling.BOX), np.float32) / 255
    return covered, (slice(top, bottom), slice(left, right))


def masks(scene: Scene) -> np.ndarray:
    """bool `[shapes, height, width]`: the visible part of each shape, in the order of `scene.shapes`."""
    index = instance_map(scene)
    return index[None] == np.arange(1, len(scene.shapes) + 1)[:, None, None]


def instance_map(scene: Scene) -> np.ndarray:
    """uint8 `[height, width]`: 0 for the background, k + 1 for shape k."""
    index = np.zeros((scene.height, scene.width), np.uint8)
    for number, shape in enumerate(scene.shapes, 1):
        covered, window = coverage(shape, scene.width, scene.height)
        index[window][covered > 0.5] = number
    return index


def class_map(scene: Scene, instances: np.ndarray | None = None) -> np.ndarray:
    """uint8 `[height, width]`: indices into CLASSES."""
    table = np.array([0] + [CLASSES.index(shape.kind) for shape in scene.shapes], np.uint8)
    return table[instance_map(scene) if instances is None else instances]


def render(scene: Scene) -> Image.Image:
    """The picture, RGB of 8 bits."""
    canvas = _background(scene)
    for shape in scene.shapes:
        covered, window = coverage(shape, scene.width, scene.height)
        canvas[window] += covered[..., None] * (np.array(shape.colour, np.float32) - canvas[window])
    if scene.background.noise > 0:
        generator = np.random.default_rng(scene.background.seed)
        grain = generator.standard_normal((scene.height, scene.width, 1), dtype=np.float32)
        canvas += grain * scene.background.noise
    return Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))


def _background(scene: Scene) -> np.ndarray:
    background, size = scene.background, (scene.width, scene.height)
    generator = np.random.default_rng(background.seed)
    first, second = (np.array(colour, np.float32) for colour in background.colours)
    y, x = np.mgrid[: scene.height, : scene.width].astype(np.float32)
    x, y = (x + 0.5) / scene.width, (y + 0.5) / scene.height
    match background.kind:
        case "flat":
            mix = np.zeros_like(x)
        case "linear":
            angle = generator.uniform(0, 2 * math.pi)
            mix = 0.5 + 0.7 * ((x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle))
        case "radial":
            middle = generator.uniform(0.2, 0.8, 2)
            mix = np.hypot(x - middle[0], y - middle[1]) / 1.2
        case "texture":
            cells = generator.integers(4, 40)
            coarse = generator.uniform(0, 255, (cells, cells)).astype(np.uint8)
            mix = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float32) / 255
        case _:
            raise ValueError(f"no such background: {background.kind}")
    canvas = first + np.clip(mix, 0, 1)[..., None] * (second - first)
    if background.lines:
        picture = Image.fromarray(np.rint(canvas).astype(np.uint8))
        draw = ImageDraw.Draw(picture)
        for line in background.lines:
            draw.line([line.start, line.end], line.colour, line.width)
        canvas = np.array(picture, np.float32)
    return canvas


def luminance(colour: Colour) -> float:
    """Rec. 601, as Pillow makes grey."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def random_scene(
    seed: int,
    width: int,
    height: int,
    count: tuple[int, int] = (1, 6),
    radius: tuple[float, float] = (0.07, 0.3),
    overlap: float = 0.25,
    inside: bool = False,
) -> Scene:
    """A scene of `count` shapes (least, most; fewer where they find no room) whose radius is a part of the square root
    of the area. In a part `overlap` of the scenes shapes may hide parts of each other; with `inside` none leaves the
    picture."""
    generator = np.random.default_rng([20, seed])
    background = _random_background(generator, width, height)
    side = math.sqrt(width * height)
    closeness = 0.75 if generator.random() < overlap else 1.1
    shapes: list[Shape] = []
    wanted = int(generator.integers(count[0], count[1] + 1))
    for _ in range(20 * wanted):
        if len(shapes) == wanted:
            break
        size = side * math.exp(generator.uniform(math.log(radius[0]), math.log(radius[1])))
        margin = size + 2 if inside else 0.4 * size
        if min(width, height) <= 2 * margin:
            continue
        centre = (float(generator.uniform(margin, width - margin)), float(generator.uniform(margin, height - margin)))
        distances = [math.dist(centre, other.centre) / (size + other.radius) for other in shapes]
        if any(distance < closeness for distance in distances):
            continue
        touched = [other.colour for other, distance in zip(shapes, distances) if distance < 1.1]
        shapes.append(
            Shape(
                kind=str(generator.choice(KINDS)),
                colour=_shape_colour(generator, touched),
                centre=centre,
                radius=size,
                angle=float(generator.uniform(0, 360)),
                aspect=float(generator.uniform(0.5, 1.0)),
            )
        )
    return Scene(width, height, background, tuple(shapes))


def _random_background(generator: np.random.Generator, width: int, height: int) -> Background:
    first, second = _random_colour(generator, MIDDLE), _random_colour(generator, MIDDLE)
    lines = tuple(
        Line(
            start=(float(generator.uniform(0, width)), float(generator.uniform(0, height))),
            end=(float(generator.uniform(0, width)), float(generator.uniform(0, height))),
            colour=_random_colour(generator, (0, 255)),
            width=int(generator.integers(1, 3)),
        )
        for _ in range(generator.integers(0, 7) if generator.random() < 0.5 else 0)
    )
    return Background(
        kind=str(generator.choice(["flat", "linear", "radial", "texture"])),
        colours=(first, second),
        noise=float(generator.uniform(2, 12)) if generator.random() < 0.5 else 0.0,
        seed=int(generator.integers(2**31)),
        lines=lines,
    )


def _random_colour(generator: np.random.Generator, lights: tuple[float, float]) -> Colour:
    while True:
        red, green, blue = generator.integers(0, 256, 3)
        colour = int(red), int(green), int(blue)
        if lights[0] <= luminance(colour) <= lights[1]:
            return colour


def _shape_colour(generator: np.random.Generator, touched: list[Colour]) -> Colour:
    """Dark or light, and apart from the shapes that it touches."""
    least = CONTRAST
    while True:
        colour = _random_colour(generator, DARK if generator.random() < 0.5 else LIGHT)
        if all(abs(luminance(colour) - luminance(other)) >= least for other in touched):
            return colour
        least *= 0.9  # between a dark one and a light one little room is left
