"""Held-out pictures of shapes with the truth of their boxes, and what transformers finds in them.

    python tests/reference/shapes_detect_golden.py               # writes tests/golden/shapes-detect/: pictures, truth.json
    python tests/reference/shapes_detect_golden.py --measure     # there: fixture.safetensors, README.md

Needs the snapshot that train_detect_shapes.py leaves for `--measure` only.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from shapes import KINDS, Scene, instance_map, random_scene, render
from shapes_pool import write_json
from train_detect_shapes import detect, load, matched, measure as measure_scenes, truth_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "shapes-detect"
LIMIT = 300_000  # bytes of the folder
SIZES = [(200, 140), (128, 192), (280, 210), (90, 130), (160, 160), (400, 130), (150, 320), (180, 240)]
SCENES = 24
FIRST_SEED = 5_000  # below those of training, above those that training is watched with
ORIENTED = (5_113, 150, 100)  # seed, width, height
LARGE = (5_220, 1200, 900)
LARGE_RADII = (28, 55)  # pixels
QUALITY = 75  # of JPEG
# How a stored picture is made of the displayed one, by the value of the EXIF tag.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
FIXTURE = ("scene-04", "oriented-1")  # a high picture and a wide one

HEAD = """# Pictures of shapes, and their boxes

Drawn by `tests/reference/shapes_detect_golden.py` from seeds that no training sees. `truth.json` has for each picture
its shapes: class, and the box of what shows (left, top, right, bottom in pixels as displayed; right and bottom lie just
outside). `scene-NN.jpg` are of several sizes; `oriented-N.jpg` is one scene
stored in each of the eight EXIF orientations; `large.jpg` has shapes too small for one look.
`fixture.safetensors` has what transformers computes with `tests/models/shapes-detr` (f32) on two of the scenes, from
their decoded pixels (`picture.N`): `logits.N` and `pred_boxes.N`, and `labels.N`, `scores.N`, `boxes.N` of the image
processor at a score of 0.5.

What transformers finds with that snapshot (`--measure`; found: a box of the right class with an IoU of 0.5 or more and a
score of 0.5 or more; false: a box with that score on nothing):

"""


def save(name: str, picture: Image.Image, orientation: int = 1) -> Path:
    path = GOLDEN / f"{name}.jpg"
    stored = picture if orientation == 1 else picture.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x112] = orientation
    stored.save(path, quality=QUALITY, exif=exif if orientation != 1 else Image.Exif())
    return path


def entry(name: str, scene: Scene) -> dict:
    shapes = [{"class": KINDS[kind], "box": box} for kind, box in truth_of(scene, instance_map(scene))]
    return {"name": name, "width": scene.width, "height": scene.height, "shapes": shapes}


def drawn() -> list[tuple[str, Scene, int]]:
    """The name, the scene and the orientation of each picture."""
    pictures = []
    for number in range(SCENES):
        width, height = SIZES[number % len(SIZES)]
        pictures.append((f"scene-{number + 1:02}", held_out_scene(FIRST_SEED + number, width, height), 1))
    pictures += [(f"oriented-{value}", held_out_scene(*ORIENTED), value) for value in range(1, 9)]
    seed, width, height = LARGE
    radii = tuple(radius / math.sqrt(width * height) for radius in LARGE_RADII)
    large = random_scene(seed, width, height, count=(40, 40), radius=radii, overlap=0.0, inside=True)
    return [*pictures, ("large", large, 1)]


def held_out_scene(seed: int, width: int, height: int) -> Scene:
    """As `held_out` draws them: shapes lie inside and measure at least 40 of 300 pixels across."""
    smallest = 20 / 300 * max(width, height) / math.sqrt(width * height)
    return random_scene(seed, width, height, radius=(smallest, 0.25), inside=True)


def draw() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.glob("*.jpg"):
        old.unlink()
    scenes = []
    for name, scene, orientation in drawn():
        save(name, render(scene), orientation)
        scenes.append(entry(name, scene))
    lines = ",\n".join(json.dumps(scene) for scene in scenes)
    (GOLDEN / "truth.json").write_text(f'{{"scenes": [\n{lines}\n]}}\n')
    size = sum(path.stat().st_size for path in GOLDEN.iterdir())
    shapes = sum(len(scene["shapes"]) for scene in scenes)
    print(f"{len(scenes)} pictures, {shapes} shapes, {size} bytes")
    if size > LIMIT:
        raise SystemExit("too large: take other seeds")


def measure() -> None:
    model, processor = load()
    names = [scene["name"] for scene in json.loads((GOLDEN / "truth.json").read_text())["scenes"]]
    seen = []
    for name, scene, orientation in drawn():
        picture = Image.open(GOLDEN / f"{name}.jpg")
        if orientation != 1:
            picture = render(scene)  # what is displayed; the pixels of a turned JPEG are those of its tests
        seen.append((name, scene, picture.convert("RGB"), instance_map(scene)))
    assert [name for name, *_ in seen] == names
    rows = [["pictures", "shapes", "found", "false", "AP50", "AP"], ["---"] * 6]
    for title, prefix in (("`scene-NN`", "scene"), ("`large`, in one look", "large")):
        group = [rest for name, *rest in seen if name.startswith(prefix)]
        counts = [
            matched(truth_of(scene, instances), detect(picture, processor, model), 0.5)
            for scene, picture, instances in group
        ]
        found, all_, false = (sum(column) for column in zip(*counts))
        ap50, ap = measure_scenes(group, model, processor)
        rows.append([title, str(all_), str(found), str(false), f"{ap50:.4f}", f"{ap:.4f}"])
        if prefix == "scene":
            counted = {"ap50": round(ap50, 5), "found": found, "shapes": all_, "false": false}
            write_json(GOLDEN / "reference.json", counted)
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    (GOLDEN / "README.md").write_text(f"{HEAD}{table}\n")
    print(table)
    tensors = {}
    for number, wanted in enumerate(FIXTURE):
        [picture] = [picture for name, _, picture, _ in seen if name == wanted]
        with torch.no_grad():
            outputs = model(**processor(images=picture, return_tensors="pt"))
        found = processor.post_process_object_detection(outputs, threshold=0.5, target_sizes=[picture.size[::-1]])[0]
        assert 1 < len(found["scores"]), wanted
        tensors |= {
            f"picture.{number}": torch.from_numpy(np.array(picture)),
            f"logits.{number}": outputs.logits,
            f"pred_boxes.{number}": outputs.pred_boxes,
            f"labels.{number}": found["labels"].to(torch.int64),
            f"scores.{number}": found["scores"],
            f"boxes.{number}": found["boxes"],
        }
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, GOLDEN / "fixture.safetensors")
    print(sum(path.stat().st_size for path in GOLDEN.iterdir()), "bytes in all")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    if parser.parse_args().measure:
        measure()
    else:
        draw()
