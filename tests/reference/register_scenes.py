"""Drawn scenes and pairs of partial views of them: what `train_register_matcher.py` trains and compares on.

A scene is a list of (area, sampler); a view is a part of it: an end of it, what a camera sees, what lies near a place, or what
a turning laser sees, with noise, points anywhere, things that stand in one view only, and a density of its own.
"""

import numpy as np
from scipy.spatial import cKDTree

KINDS = ("hills", "room", "rooms", "street", "object", "heap")


def rotation(random) -> np.ndarray:
    w, x, y, z = (lambda q: q / np.linalg.norm(q))(random.normal(size=4))
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])


def turned(random, tilt=0.0) -> np.ndarray:
    """A turn about z, and a little about another axis."""
    angle = random.uniform(0, 2 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    about = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    if tilt:
        a, b = random.normal(scale=tilt, size=2)
        about = about @ np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about = about @ np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return about


class Scene:
    """Surfaces that points are drawn from, evenly by area."""

    def __init__(self, random):
        self.random, self.faces, self.round, self.parts = random, [], [], []

    def face(self, origin, u, v):
        self.faces.append((np.asarray(origin, float), np.asarray(u, float), np.asarray(v, float)))

    def box(self, at, sides, turn=None, bottom=False):
        turn = turned(self.random) if turn is None else turn
        a, b, c = (turn * np.asarray(sides, float)).T
        o = np.asarray(at, float)
        self.face(o + c, a, b)
        for origin, u, v in ((o, a, c), (o, b, c), (o + a, b, c), (o + b, a, c)):
            self.face(origin, u, v)
        if bottom:
            self.face(o, a, b)

    def cylinder(self, at, radius, height, turn=None, top=None):
        """Or a cone, or a part of one: `top` is the radius at the other end."""
        top = radius if top is None else top
        turn = np.eye(3) if turn is None else turn
        at = np.asarray(at, float)

        def draw(n):
            h, angle = self.random.uniform(size=n), self.random.uniform(0, 2 * np.pi, n)
            r = radius + (top - radius) * h
            return np.stack([r * np.cos(angle), r * np.sin(angle), height * h], 1) @ turn.T + at

        self.parts.append((2 * np.pi * (radius + top) / 2 * height, draw))

    def ball(self, at, radii, turn=None):
        turn = np.eye(3) if turn is None else turn
        at, radii = np.asarray(at, float), np.broadcast_to(np.asarray(radii, float), (3,))

        def draw(n):
            d = self.random.normal(size=(n, 3))
            d /= np.linalg.norm(d, axis=1, keepdims=True)
            return (d * radii) @ turn.T + at

        self.parts.append((4 * np.pi * np.mean(radii) ** 2, draw))

    def crown(self, at, radius):
        """Leaves: points anywhere in a ball."""
        at = np.asarray(at, float)

        def draw(n):
            d = self.random.normal(size=(n, 3))
            d /= np.linalg.norm(d, axis=1, keepdims=True)
            return d * radius * self.random.uniform(0.3, 1, (n, 1)) ** (1 / 3) + at

        self.parts.append((3 * np.pi * radius**2, draw))

    def ground(self, wide, deep, waves, tilt=0.03):
        """waves: amplitude and frequency of each."""
        slope = self.random.normal(scale=tilt, size=2)
        ways = [(a, f * turned(self.random)[:2, 0], f * turned(self.random)[:2, 0], *self.random.uniform(0, 6, 2)) for a, f in waves]

        def height(x, y):
            z = slope[0] * x + slope[1] * y
            for a, p, q, one, two in ways:
                z = z + a * np.sin(p[0] * x + p[1] * y + one) * np.cos(q[0] * x + q[1] * y + two)
            return z

        def draw(n):
            x, y = self.random.uniform(0, wide, n), self.random.uniform(0, deep, n)
            return np.stack([x, y, height(x, y)], 1)

        self.parts.append((wide * deep, draw))
        return height

    def blob(self, at, size, bumps):
        """A ball with bumps and dents."""
        random, at = self.random, np.asarray(at, float)
        ways = random.normal(size=(bumps, 3))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        width, tall = random.uniform(2, 25, bumps), random.uniform(-0.35, 0.6, bumps)
        stretch = random.uniform(0.6, 1.4, 3)

        def draw(n):
            d = random.normal(size=(n, 3))
            d /= np.linalg.norm(d, axis=1, keepdims=True)
            r = 1 + (tall * np.exp(width * (d @ ways.T - 1))).sum(1)
            return d * np.clip(r, 0.3, None)[:, None] * size * stretch + at

        self.parts.append((4 * np.pi * size**2 * 1.3, draw))

    def points(self, count):
        parts = list(self.parts)
        if self.faces:
            origin, u, v = (np.array([face[at] for face in self.faces]) for at in range(3))
            area = np.linalg.norm(np.cross(u, v), axis=1)

            def draw(n):
                which = self.random.choice(len(area), n, p=area / area.sum())
                s, t = self.random.uniform(size=(2, n, 1))
                return origin[which] + s * u[which] + t * v[which]

            parts.append((area.sum(), draw))
        areas = np.array([area for area, _ in parts])
        counts = self.random.multinomial(count, areas / areas.sum())
        points = np.concatenate([draw(n) for n, (_, draw) in zip(counts, parts) if n])
        return points[self.random.permutation(len(points))]


def furniture(scene, x, y, z, size=1.0):
    """One thing that stands at a place."""
    random = scene.random
    turn = turned(random)
    at = np.array([x, y, z])
    kind = random.integers(0, 8)
    w, d, h = random.uniform([0.3, 0.3, 0.3], [1.8, 1.2, 2.2]) * size
    if kind in (0, 1):
        scene.box(at, (w, d, h), turn)
    elif kind == 2:  # a table
        h = random.uniform(0.5, 1.1) * size
        scene.box(at + [0, 0, h], (w + 0.3, d + 0.2, 0.05), turn, bottom=True)
        for i in (0.05, 0.9):
            for j in (0.05, 0.9):
                scene.box(at + turn @ [i * (w + 0.3), j * (d + 0.2), 0], (0.06, 0.06, h), turn)
    elif kind == 3:  # a chair
        s, h = random.uniform(0.35, 0.6) * size, random.uniform(0.35, 0.5) * size
        scene.box(at + [0, 0, h], (s, s, 0.06), turn, bottom=True)
        scene.box(at + [0, 0, h], (0.05, s, random.uniform(0.3, 0.8) * size), turn)
        for i in (0, 0.9):
            for j in (0, 0.9):
                scene.box(at + turn @ [i * s, j * s, 0], (0.05, 0.05, h), turn)
    elif kind == 4:  # shelves
        h = random.uniform(1.2, 2.4) * size
        boards = random.integers(3, 6)
        for board in range(boards):
            scene.face(at + [0, 0, h * board / (boards - 1)], turn @ [w, 0, 0], turn @ [0, 0.35, 0])
        scene.face(at, turn @ [0, 0.35, 0], [0, 0, h])
        scene.face(at + turn @ [w, 0, 0], turn @ [0, 0.35, 0], [0, 0, h])
        scene.face(at, turn @ [w, 0, 0], [0, 0, h])
    elif kind == 5:
        scene.cylinder(at, random.uniform(0.1, 0.5) * size, h, top=random.uniform(0.05, 0.5) * size)
    elif kind == 6:
        r = random.uniform(0.2, 0.7, 3) * size
        scene.ball(at + [0, 0, r[2] * random.uniform(0.3, 1)], r, turn)
    else:  # a sofa
        scene.box(at, (w + 0.5, 0.8, 0.4), turn)
        scene.box(at, (w + 0.5, 0.2, 0.9), turn)
        scene.box(at, (0.2, 0.8, 0.65), turn)
        scene.box(at + turn @ [w + 0.3, 0, 0], (0.2, 0.8, 0.65), turn)


def wall(scene, start, along, height, into):
    """With a window, a door or a cupboard now and then."""
    random = scene.random
    start, along, into = np.asarray(start, float), np.asarray(along, float), np.asarray(into, float)
    scene.face(start, along, [0, 0, height])
    length = np.linalg.norm(along)
    for _ in range(random.integers(0, 3)):
        a, wide = random.uniform(0.05, 0.8), random.uniform(0.6, 1.8)
        low, tall = random.uniform(0, 1.2), random.uniform(0.6, 1.8)
        if a * length + wide > length or low + tall > height:
            continue
        turn = np.stack([along / length, into, [0, 0, 1.0]], 1)
        scene.box(start + a * along + [0, 0, low] + (0 if random.uniform() < 0.6 else -0.3) * into, (wide, random.uniform(0.1, 0.5), tall), turn, bottom=True)


def room(scene, x, y, w, d, h, things):
    random = scene.random
    scene.face((x, y, 0), (w, 0, 0), (0, d, 0))
    if random.uniform() < 0.4:
        scene.face((x, y, h), (w, 0, 0), (0, d, 0))
    sides = [((x, y, 0), (w, 0, 0), (0, 1, 0)), ((x, y + d, 0), (w, 0, 0), (0, -1, 0)), ((x, y, 0), (0, d, 0), (1, 0, 0)), ((x + w, y, 0), (0, d, 0), (-1, 0, 0))]
    for start, along, into in sides:
        if random.uniform() < 0.85:
            wall(scene, start, along, h, into)
    for _ in range(things):
        furniture(scene, x + random.uniform(0.05, 0.9) * w, y + random.uniform(0.05, 0.9) * d, 0)


def draw(kind: str, random) -> tuple[Scene, float]:
    """A scene, and its size."""
    scene = Scene(random)
    if kind == "hills":
        w, d = random.uniform(7, 13), random.uniform(6, 11)
        height = scene.ground(w, d, [(random.uniform(0.1, 0.5), random.uniform(0.4, 1.0)), (random.uniform(0.03, 0.2), random.uniform(1.2, 2.6))])
        for _ in range(random.integers(6, 14)):
            x, y = random.uniform(0, w), random.uniform(0, d)
            scene.box((x, y, min(0, height(x, y))), random.uniform([0.3, 0.3, 0.5], [1.5, 1.2, 2.5]))
        for _ in range(random.integers(3, 12)):
            scene.cylinder((random.uniform(0, w), random.uniform(0, d), 0), random.uniform(0.1, 0.4), random.uniform(1, 3))
        for _ in range(random.integers(3, 12)):
            scene.ball(random.uniform([0, 0, 0.2], [w, d, 2.0]), random.uniform(0.25, 0.9))
        return scene, 10.0
    if kind == "room":
        w, d = random.uniform(3, 10), random.uniform(3, 8)
        room(scene, 0, 0, w, d, random.uniform(2.3, 3.2), random.integers(4, 14))
        return scene, (w + d) / 2
    if kind == "rooms":
        x = 0.0
        h = random.uniform(2.3, 3)
        for _ in range(random.integers(2, 4)):
            w, d = random.uniform(2.5, 5), random.uniform(3, 7)
            room(scene, x, random.uniform(-2, 2), w, d, h, random.integers(2, 8))
            x += w
        return scene, 9.0
    if kind == "street":
        w, d = random.uniform(25, 50), random.uniform(20, 40)
        scene.ground(w, d, [(random.uniform(0, 0.3), 0.15), (random.uniform(0, 0.05), 1.0)], 0.02)
        for _ in range(random.integers(3, 9)):
            turn = turned(random) if random.uniform() < 0.5 else np.eye(3)
            scene.box((random.uniform(-5, w), random.uniform(-5, d), -0.5), random.uniform([4, 3, 2.5], [15, 10, 9]), turn)
        for _ in range(random.integers(4, 14)):
            x, y, turn = random.uniform(0, w), random.uniform(0, d), turned(random)
            scene.box((x, y, 0.2), (random.uniform(3.5, 5), 1.8, 0.7), turn)
            scene.box((x + turn[0, 0], y + turn[1, 0], 0.9), (random.uniform(1.5, 2.8), 1.7, 0.6), turn)
        for _ in range(random.integers(4, 14)):
            x, y, h = random.uniform(0, w), random.uniform(0, d), random.uniform(2, 7)
            scene.cylinder((x, y, -0.3), random.uniform(0.08, 0.4), h)
            if random.uniform() < 0.6:
                scene.crown((x, y, h), random.uniform(0.8, 2.5))
        return scene, 30.0
    if kind == "object":
        scene.blob((0, 0, 0), 1.0, random.integers(6, 22))
        for _ in range(random.integers(0, 4)):
            at = random.normal(size=3)
            scene.blob(at / np.linalg.norm(at) * random.uniform(0.6, 1.3), random.uniform(0.2, 0.6), random.integers(3, 10))
        return scene, 2.5
    # A heap of simple things, as they lie in a box or make one machine.
    for _ in range(random.integers(5, 15)):
        at, turn = random.uniform(-1.2, 1.2, 3), rotation(random) if random.uniform() < 0.6 else np.eye(3)
        what = random.integers(0, 4)
        if what == 0:
            scene.box(at, random.uniform(0.2, 1.2, 3), turn, bottom=True)
        elif what == 1:
            scene.cylinder(at, random.uniform(0.1, 0.5), random.uniform(0.3, 1.5), turn, random.uniform(0.05, 0.5))
        elif what == 2:
            scene.ball(at, random.uniform(0.15, 0.6, 3), turn)
        else:
            scene.blob(at, random.uniform(0.2, 0.6), 5)
    return scene, 2.5


def seen(points, eye, cells):
    """What is not hidden from `eye`: the nearest of each cell of directions, and what is hardly farther."""
    d = points - eye
    r = np.linalg.norm(d, axis=1) + 1e-9
    d /= r[:, None]
    rows = max(int(np.sqrt(cells / np.pi)), 8)
    row = ((d[:, 2] + 1) / 2 * rows).astype(int).clip(0, rows - 1)
    column = ((np.arctan2(d[:, 1], d[:, 0]) / np.pi + 1) / 2 * rows * 3).astype(int)
    cell = row * (3 * rows + 1) + column
    least = np.full(cell.max() + 1, np.inf)
    np.minimum.at(least, cell, r)
    return r <= least[cell] * 1.06


def views(kind: str, random, least=0.1):
    """Two views of one scene, in its coordinates, which points lie anywhere, and the overlap; None where it is too little."""
    scene, size = draw(kind, random)
    ratio = 10 ** (random.uniform(0, 1) if random.uniform() < 0.5 else 0.0)
    counts = [int(n) for n in 10 ** random.uniform(3.9, 4.4) / np.array([1, ratio])]
    if random.uniform() < 0.5:
        counts.reverse()
    clouds = [scene.points(4 * count) for count in counts]
    middle = clouds[0].mean(0)
    way = random.choice(("end", "eye", "near", "laser"), p=(0.35, 0.3, 0.25, 0.1) if kind != "street" else (0.2, 0.2, 0.1, 0.5))
    if kind in ("object", "heap") and way == "laser":
        way = "eye"
    found = []
    wanted = random.uniform(0.15, 0.95) ** (1.0 if random.uniform() < 0.5 else 1.6)
    direction = random.normal(size=3) * ([1, 1, 0.1] if kind in ("hills", "room", "rooms", "street") else [1, 1, 1])
    direction /= np.linalg.norm(direction)
    flat = direction * [1, 1, 0] if kind != "object" else direction
    reach = np.quantile(np.linalg.norm(clouds[0] - middle, axis=1), 0.9)
    for side, points, count in zip((1, -1), clouds, counts):
        if way == "end":
            along = side * (points @ direction)
            keep = along <= np.quantile(along, 1 / (2 - wanted))
        elif way == "eye":
            far = reach * random.uniform(0.3, 1.6)
            apart = (1 - wanted) * 2.2
            angle = side * apart / 2
            c, s = np.cos(angle), np.sin(angle)
            ray = np.array([c * flat[0] - s * flat[1], s * flat[0] + c * flat[1], flat[2]]) + random.normal(scale=0.1, size=3)
            eye = middle + far * ray + [0, 0, abs(random.normal(scale=0.2)) * size * (kind not in ("object", "heap"))]
            keep = seen(points, eye, len(points) / 5)
            look = (points - eye) @ (middle - eye) / np.linalg.norm(middle - eye) / (np.linalg.norm(points - eye, axis=1) + 1e-9)
            keep &= look > random.uniform(0.3, 0.8)
        elif way == "near":
            r = reach * random.uniform(0.6, 1.0)
            at = middle + side * flat * r * (1 - wanted) * 0.9
            keep = np.linalg.norm((points - at) * [1, 1, 0.5], axis=1) < r
        else:
            eye = middle + side * flat * reach * (1 - wanted) * 0.8 + [0, 0, 0.06 * size]
            eye[2] = np.quantile(points[:, 2], 0.1) + 0.06 * size
            r = np.linalg.norm(points - eye, axis=1)
            keep = seen(points, eye, len(points) / 4)
            keep &= random.uniform(size=len(points)) < np.clip((0.12 * size / (r + 1e-9)) ** 1.5, 0.02, 1)
        points = points[keep][:count]
        if len(points) < 700:
            return None
        found.append(points)
    # What stands in one view only.
    low, high = found[0].min(0), found[0].max(0)
    for at in (0, 1):
        if random.uniform() < 0.4:
            other = Scene(random)
            for _ in range(random.integers(1, 4)):
                x, y = random.uniform(low[:2], high[:2])
                furniture(other, x, y, low[2], size / 8 if kind != "street" else 2.0)
            found[at] = np.concatenate([found[at], other.points(int(len(found[at]) * random.uniform(0.02, 0.15)))])
    spacing = [np.median(cKDTree(points).query(points[:1500], 2)[0][:, 1]) * 2 for points in found]
    near = 1.5 * max(spacing)
    there = np.mean(cKDTree(found[1]).query(found[0][:1500], distance_upper_bound=near)[0] < near)
    back = np.mean(cKDTree(found[0]).query(found[1][:1500], distance_upper_bound=near)[0] < near)
    overlap = (there + back) / 2
    if overlap < least:
        return None
    noise = size * random.uniform(0, 0.003) * random.integers(0, 2) + max(spacing) * random.uniform(0, 0.15)
    outliers = random.uniform(0, 0.6) * (random.uniform() < 0.5)
    masks = []
    for at in (0, 1):
        points = found[at] + random.normal(scale=noise, size=found[at].shape)
        wrong = random.uniform(size=len(points)) < outliers
        points[wrong] = random.uniform(points.min(0), points.max(0), (wrong.sum(), 3))
        found[at] = points
        masks.append(wrong)
    return found, masks, dict(kind=kind, way=str(way), overlap=float(overlap), outliers=float(outliers), noise=float(noise), ratio=float(ratio), size=float(size))


def pair(seed: int, kinds=KINDS, least=0.1):
    """Source, target, truth (source to target) and what is known of them."""
    random = np.random.default_rng(seed)
    while True:
        drawn = views(str(random.choice(kinds)), random, least)
        if drawn is not None:
            break
    (source, target), _, about = drawn
    truth = np.eye(4)
    truth[:3, :3] = rotation(random)
    truth[:3, 3] = random.uniform(-1, 1, 3) * about["size"]
    target = target - target.mean(0)
    # The views share the scene's coordinates but for the target's shift; the source is then taken away by the truth.
    source = source - drawn[0][1].mean(0)
    source = (source - truth[:3, 3]) @ truth[:3, :3]
    return source, target, truth, about
