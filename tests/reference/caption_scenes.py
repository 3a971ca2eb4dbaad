"""Drawn scenes of one or two shapes with a sentence that is true of them.

    drawing = random_drawing(seed=7, width=300, height=200)
    picture = render(drawing.scene)        # PIL image, RGB (shapes.py)
    drawing.sentence()                     # "a red square left of a blue circle"

Everything follows from the seed. Colours have names; backgrounds are greyish and of middle luminance. Of two shapes the
one whose colour comes first in COLOURS is spoken of first, so that a picture has one sentence, and where it is (left
of, right of, above or below the other) follows from the larger difference of their middles: clearly larger, in pixels
and in parts of the picture, so that a picture squeezed into a square has the same sentence. Shapes stand upright within
TILT degrees.
"""

from dataclasses import dataclass, replace

import numpy as np

from shapes import Background, Colour, Scene, Shape, luminance, random_scene, render

__all__ = ["COLOURS", "NAMES", "Drawing", "random_drawing", "render"]

# What the name of a colour may look like: hue in degrees, saturation, value (least and most).
COLOURS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((-8, 6), (0.85, 1), (0.75, 1)),
    "orange": ((26, 36), (0.9, 1), (0.92, 1)),
    "yellow": ((55, 63), (0.8, 1), (0.9, 1)),
    "green": ((110, 140), (0.75, 1), (0.5, 0.85)),
    "blue": ((215, 240), (0.8, 1), (0.7, 1)),
    "purple": ((275, 295), (0.7, 1), (0.5, 0.8)),
    "white": ((0, 360), (0, 0.03), (0.96, 1)),
    "black": ((0, 360), (0, 0.3), (0, 0.1)),
}
KINDS = {"circle": "circle", "square": "rectangle", "triangle": "triangle", "star": "star", "ring": "ring"}
NAMES = tuple(KINDS)  # as sentences have them; the values are those of shapes.py
RADIUS = (0.12, 0.24)  # of the square root of the area
UPRIGHT, TILT = {"triangle": -90.0, "star": -90.0}, 25.0  # degrees: a corner is on top
CLEARLY = 1.6  # the larger over the smaller difference of the middles
PAIRS = 0.75  # the part of drawings that have two shapes


@dataclass(frozen=True)
class Drawing:
    scene: Scene
    names: tuple[tuple[str, str], ...]  # colour and kind of each shape, in the order of the sentence

    def things(self) -> list[str]:
        return [f"{article(colour)} {colour} {kind}" for colour, kind in self.names]

    def relation(self) -> str | None:
        """Where the first shape is, seen from the second."""
        if len(self.names) < 2:
            return None
        (x, y), (other_x, other_y) = (shape.centre for shape in self.scene.shapes)
        if abs(x - other_x) > abs(y - other_y):
            return "left of" if x < other_x else "right of"
        return "above" if y < other_y else "below"

    def sentence(self) -> str:
        relation = self.relation()
        return f" {relation} ".join(self.things()) if relation else self.things()[0]


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def random_drawing(seed: int, width: int, height: int) -> Drawing:
    generator = np.random.default_rng([40, seed])
    background = _muted(random_scene(seed, width, height, count=(0, 0)).background)
    side = (width * height) ** 0.5
    count = 2 if generator.random() < PAIRS else 1
    while True:
        colours = sorted(generator.choice(len(COLOURS), count, replace=False))
        names = tuple((tuple(COLOURS)[index], str(generator.choice(NAMES))) for index in colours)
        shapes = tuple(_shape(generator, colour, kind, width, height, side) for colour, kind in names)
        if all(_inside(shape, width, height) for shape in shapes) and (count == 1 or _clear(*shapes, width, height)):
            return Drawing(Scene(width, height, background, shapes), names)


def _shape(generator: np.random.Generator, colour: str, kind: str, width: int, height: int, side: float) -> Shape:
    return Shape(
        kind=KINDS[kind],
        colour=_named(generator, colour),
        centre=(float(generator.uniform(0, width)), float(generator.uniform(0, height))),
        radius=side * float(generator.uniform(*RADIUS)),
        angle=UPRIGHT.get(kind, 0.0) + float(generator.uniform(-TILT, TILT)),
    )


def _inside(shape: Shape, width: int, height: int) -> bool:
    margin = shape.radius + 1
    return margin <= shape.centre[0] <= width - margin and margin <= shape.centre[1] <= height - margin


def _clear(first: Shape, second: Shape, width: int, height: int) -> bool:
    """Apart from each other, and one of the four relations and no other."""
    across, down = (abs(a - b) for a, b in zip(first.centre, second.centre))
    if (across**2 + down**2) ** 0.5 < 1.05 * (first.radius + second.radius):
        return False
    return any(
        one > CLEARLY * other and one / length > CLEARLY * other / other_length
        for one, other, length, other_length in ((across, down, width, height), (down, across, height, width))
    )


def _named(generator: np.random.Generator, name: str) -> Colour:
    hue, saturation, value = (float(generator.uniform(*limits)) for limits in COLOURS[name])
    sector, rest = divmod(hue % 360 / 60, 1)
    low, falling, rising = (
        value * (1 - part) for part in (saturation, saturation * rest, saturation * (1 - rest))
    )
    channels = [
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    ][int(sector)]
    red, green, blue = (round(255 * channel) for channel in channels)
    return red, green, blue


def _muted(background: Background) -> Background:
    """Its colours, and those of its lines, drawn towards grey."""

    def muted(colour: Colour) -> Colour:
        grey = luminance(colour)
        red, green, blue = (round(grey + 0.2 * (channel - grey)) for channel in colour)
        return red, green, blue

    lines = tuple(replace(line, colour=muted(line.colour)) for line in background.lines)
    return replace(background, colours=tuple(muted(colour) for colour in background.colours), lines=lines)
