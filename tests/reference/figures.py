"""Drawn stick figures whose keypoints are known: what the demonstration model of poses is trained on and tested with.

    figure = random_figure(generator)            # COCO's keypoints about the neck, 1 is about the figure's height
    picture = render(figures, width, height, generator)

A figure stands before or with its back to the viewer: only then has its left arm a side of the picture, and only the head
tells which, as with people. From the front it has a light face with eyes and a nose; from behind it has neither, and
these keypoints are not in the truth. A mirrored picture of a figure is one of another figure, whose left is the first's
right. Coordinates are as in shapes.py: a pixel's centre lies at +0.5.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

import shapes

SUPERSAMPLING = 4
NAMES = [
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
]  # fmt: skip
HIDDEN_FROM_BEHIND = [0, 1, 2]
FLIP_PAIRS = [(left, left + 1) for left in range(1, 17, 2)]


@dataclass
class Figure:
    points: np.ndarray  # [17, 2]
    head: np.ndarray  # [2], its centre
    radius: float  # of the head
    front: bool
    width: float  # of limbs
    colours: list[tuple[int, int, int]]  # torso, upper arms, forearms, thighs, shins, face, hair

    @property
    def visible(self) -> np.ndarray:
        """[17], bool."""
        visible = np.ones(17, bool)
        visible[HIDDEN_FROM_BEHIND] = self.front
        return visible

    def moved(self, scale: float, shift: np.ndarray) -> "Figure":
        return Figure(
            self.points * scale + shift,
            self.head * scale + shift,
            self.radius * scale,
            self.front,
            self.width * scale,
            self.colours,
        )

    def box(self) -> np.ndarray:
        """Left, top, right, bottom of what is drawn."""
        ends = np.concatenate([self.points, [self.head - self.radius, self.head + self.radius]])
        half = self.width / 2
        return np.concatenate([ends.min(0) - half, ends.max(0) + half])


def random_figure(random: np.random.Generator) -> Figure:
    front = bool(random.random() < 0.6)
    # From the front the left side is to the right.
    left = 1.0 if front else -1.0
    shoulder, hip = random.uniform(0.1, 0.13), random.uniform(0.065, 0.09)
    points = np.zeros((17, 2))
    radius = random.uniform(0.07, 0.085)
    head = np.array([random.uniform(-0.02, 0.02), -radius - 0.045])
    points[0] = head + (0, 0.15 * radius)
    torso = random.uniform(0.26, 0.3)
    lengths = [random.uniform(0.15, 0.18), random.uniform(0.14, 0.17), random.uniform(0.21, 0.25), random.uniform(0.2, 0.24)]

    def along(angle: float, length: float, side: float) -> np.ndarray:
        """Downwards at 0, outwards to its side at 90 degrees."""
        angle = np.radians(angle)
        return length * np.array([np.sin(angle) * side, np.cos(angle)])

    for index, side in ((1, left), (2, -left)):
        points[index] = head + (0.42 * radius * side, -0.2 * radius)
        points[index + 2] = head + (radius * side, 0)
        points[index + 4] = (shoulder * side, 0.02)
        upper = random.uniform(-10, 150)
        points[index + 6] = points[index + 4] + along(upper, lengths[0], side)
        points[index + 8] = points[index + 6] + along(upper + random.uniform(-30, 110), lengths[1], side)
        points[index + 10] = (hip * side, torso)
        thigh = random.uniform(-8, 55)
        points[index + 12] = points[index + 10] + along(thigh, lengths[2], side)
        points[index + 14] = points[index + 12] + along(thigh - random.uniform(-5, 60), lengths[3], side)
    turn = np.radians(random.normal(0, 12))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    dark = random.random() < 0.5
    near, far = (shapes.DARK, shapes.LIGHT) if dark else (shapes.LIGHT, shapes.DARK)
    colours = [shapes._random_colour(random, near) for _ in range(5)]
    colours += [shapes._random_colour(random, shapes.LIGHT), shapes._random_colour(random, shapes.DARK)]
    return Figure(points @ matrix.T, head @ matrix.T, radius, front, random.uniform(0.03, 0.045), colours)


def mirrored(figure: Figure, width: float) -> Figure:
    """As it is in a mirrored picture of that width."""
    other = figure.moved(1.0, np.zeros(2))
    other.points[:, 0] = width - other.points[:, 0]
    other.head[0] = width - other.head[0]
    for left, right in FLIP_PAIRS:
        other.points[[left, right]] = other.points[[right, left]]
    return other


def draw(draw: ImageDraw.ImageDraw, figure: Figure) -> None:
    """On a canvas `SUPERSAMPLING` times as large."""
    torso, upper, fore, thigh, shin, face, hair = figure.colours
    big = figure.moved(SUPERSAMPLING, np.zeros(2))
    points, half = big.points, big.width / 2

    def disc(centre: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
        draw.ellipse([*(centre - radius), *(centre + radius)], fill=colour)

    def limb(start: int, end: int, colour: tuple[int, int, int], thick: float = 1.0) -> None:
        ends = [tuple(points[start]), tuple(points[end])]
        draw.line(ends, fill=colour, width=max(1, round(2 * half * thick)))
        for index in (start, end):
            disc(points[index], half * thick, colour)

    for side in (0, 1):
        limb(13 + side, 15 + side, shin, 0.8)
        limb(11 + side, 13 + side, thigh)
    corners = [tuple(points[index]) for index in (5, 6, 12, 11)]
    draw.polygon(corners, fill=torso)
    for start, end in ((5, 6), (11, 12), (5, 11), (6, 12)):
        limb(start, end, torso)
    neck = (points[5] + points[6]) / 2
    draw.line([tuple(neck), tuple(big.head)], fill=face if big.front else hair, width=max(1, round(1.6 * half)))
    for side in (0, 1):
        limb(7 + side, 9 + side, fore, 0.8)
        limb(5 + side, 7 + side, upper)
    for ear in (3, 4):
        disc(points[ear], 0.25 * big.radius, face)
    disc(big.head, big.radius, face if big.front else hair)
    if big.front:
        for eye in (1, 2):
            disc(points[eye], 0.2 * big.radius, hair)
        disc(points[0], 0.16 * big.radius, (200, 40, 40))


def render(figures: list[Figure], width: int, height: int, random: np.random.Generator) -> Image.Image:
    """Figures on a background of shapes.py, RGB of 8 bits."""
    background = shapes._random_background(random, width, height)
    picture = shapes.render(shapes.Scene(width, height, background))
    picture = picture.resize((width * SUPERSAMPLING, height * SUPERSAMPLING), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(picture)
    for figure in figures:
        draw(pen, figure)
    return picture.resize((width, height), Image.Resampling.BOX)
