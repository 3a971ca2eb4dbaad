"""Held-out pictures of rooms with their true depth, and what transformers makes of them.

    python tests/reference/shapes_depth_golden.py             # writes tests/golden/shapes-depth/: pictures, truth
    python tests/reference/shapes_depth_golden.py --measure   # there: reference.safetensors, reference.json, README.md

Needs the snapshot that train_depth_shapes.py leaves for `--measure` only.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

from depth_scenes import CAMERA_HEIGHT, Room, depth_map, instance_map, random_scene, render
from shapes_pool import inner_point, mask_box, write_json
from train_depth_shapes import estimator, shape_depths

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "shapes-depth"
LIMIT = 900_000  # bytes of the folder
FIRST_SEED = 7_000  # below those of training, above those that training is watched with
SIZES = {"wide": (280, 158), "high": (150, 210), "square": (180, 180), "landscape": (240, 160)}
LEAST = 3  # shapes of a picture
STEP, OFFSET = 8, 4  # pixels from point to point, and to the first
FULL_FRAME = math.hypot(36, 24)  # millimetres
TURNED = {"turned-3": (3, Image.Transpose.ROTATE_180), "turned-6": (6, Image.Transpose.ROTATE_90)}  # of "landscape"
QUALITY = 92  # of JPEG
ORIENTATION, EXIF_FOLDER, FOCAL_35MM = 0x112, 0x8769, 0xA405  # tags

HEAD = """# Pictures of rooms, and how far away what is in them is

Drawn by `tests/reference/shapes_depth_golden.py` from seeds that no training sees. `truth.json` has for each picture,
as it is displayed: its size, the focal length (pixels) and the horizontal field of view (degrees) of the camera that it
was drawn with, its height above the floor and the distance of the wall (metres), and its shapes, the farthest first:
class, colour, depth (metres, along the axis of the camera), the box of what shows (left, top, right, bottom; right and
bottom lie just outside) and a pixel deep inside it. `truth.safetensors` has the true depth in metres, f16: `depth.NAME`
`[height, width]`. `turned-N.jpg` are `landscape` stored in EXIF orientation N, with the focal length in its EXIF data
as that of a full frame of the same diagonal (whole millimetres, as the tag has it).

`reference.safetensors` has what transformers' pipeline makes of the pictures with `tests/models/shapes-depth` (f32,
metres): `predicted.NAME` at the pixels `points.NAME` `[points, (x, y)]`, every eighth in both directions;
`reference.json` AbsRel and delta1 over all pixels, and for each shape the median over what shows of it:

"""


def drawn() -> dict[str, Room]:
    rooms, seed = {}, FIRST_SEED
    for name, size in SIZES.items():
        while True:
            room = random_scene(seed, *size, count=(LEAST, LEAST + 2))
            seed += 1
            # Noise would fill the folder.
            if room.background.noise == 0 and len(room.standing) >= LEAST:
                rooms[name] = room
                break
    return rooms


def files(rooms: dict[str, Room]) -> dict[str, Room]:
    """By the name of the file."""
    turned = {f"{name}.jpg": rooms["landscape"] for name in TURNED}
    return {f"{name}.png": room for name, room in rooms.items()} | turned


def draw() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    rooms = drawn()
    for name, room in rooms.items():
        render(room).save(GOLDEN / f"{name}.png", optimize=True)
    landscape = rooms["landscape"]
    millimetres = round(landscape.focal / math.hypot(landscape.width, landscape.height) * FULL_FRAME)
    for name, (orientation, turn) in TURNED.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        exif.get_ifd(EXIF_FOLDER)[FOCAL_35MM] = millimetres
        picture = render(landscape).transpose(turn)
        picture.save(GOLDEN / f"{name}.jpg", quality=QUALITY, subsampling=0, exif=exif)
    scenes = [
        {
            "file": file,
            "truth": next(name for name, one in rooms.items() if one is room),
            "width": room.width,
            "height": room.height,
            "focal": round(room.focal, 3),
            "focal_35mm": millimetres if file.endswith(".jpg") else None,
            "field_of_view": round(2 * math.degrees(math.atan(room.width / 2 / room.focal)), 3),
            "camera_height": CAMERA_HEIGHT,
            "wall": round(room.wall, 4),
            "shapes": shapes_of(room),
        }
        for file, room in files(rooms).items()
    ]
    lines = ",\n".join(json.dumps(scene) for scene in scenes)
    (GOLDEN / "truth.json").write_text(f'{{"scenes": [\n{lines}\n]}}\n')
    depths = {f"depth.{name}": torch.from_numpy(depth_map(room)).half() for name, room in rooms.items()}
    save_file(depths, GOLDEN / "truth.safetensors")


def shapes_of(room: Room) -> list[dict]:
    numbers = instance_map(room)
    return [
        {
            "class": one.shape.kind,
            "colour": one.shape.colour,
            "depth": round(one.depth, 4),
            "box": mask_box(numbers == number),
            "point": [int(value) for value in inner_point(numbers == number)],
        }
        for number, one in enumerate(room.standing, 1)
    ]


def measure() -> None:
    look, rooms = estimator(), drawn()
    truths = load_file(GOLDEN / "truth.safetensors")
    tensors, results = {}, []
    rows = [["picture", "AbsRel", "delta1", "shapes: true depth -> median found"], ["---"] * 4]
    for scene in json.loads((GOLDEN / "truth.json").read_text())["scenes"]:
        truth, room = truths[f"depth.{scene['truth']}"].float().numpy(), rooms[scene["truth"]]
        picture = ImageOps.exif_transpose(Image.open(GOLDEN / scene["file"])).convert("RGB")
        assert picture.size == (scene["width"], scene["height"])
        found = look(picture)["predicted_depth"].float().numpy()
        y, x = (axis.ravel() for axis in np.mgrid[OFFSET : room.height : STEP, OFFSET : room.width : STEP])
        name = scene["file"].rsplit(".", 1)[0]
        tensors[f"points.{name}"] = torch.from_numpy(np.stack([x, y], 1))
        tensors[f"predicted.{name}"] = torch.from_numpy(found[y, x])
        medians = shape_depths(found, instance_map(room))
        result = {
            "file": scene["file"],
            "absrel": round(float(np.mean(np.abs(found - truth) / truth)), 5),
            "delta1": round(float(np.mean(np.maximum(found / truth, truth / found) < 1.25)), 5),
            "shapes": [round(depth, 4) for depth in medians],
        }
        results.append(result)
        pairs = [f"{shape['depth']:.2f} -> {depth:.2f}" for shape, depth in zip(scene["shapes"], medians)]
        rows.append([scene["file"], f"{result['absrel']:.4f}", f"{result['delta1']:.4f}", ", ".join(pairs)])
    save_file(tensors, GOLDEN / "reference.safetensors")
    write_json(GOLDEN / "reference.json", {"pictures": results})
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    (GOLDEN / "README.md").write_text(f"{HEAD}{table}\n")
    size = sum(path.stat().st_size for path in GOLDEN.iterdir())
    print(f"{table}\n{size} bytes in all")
    if size > LIMIT:
        raise SystemExit("too large: take other seeds")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    if parser.parse_args().measure:
        measure()
    else:
        draw()
