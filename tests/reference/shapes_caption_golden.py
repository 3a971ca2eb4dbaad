"""Held-out pictures of shapes with the sentence that is true of them, and what transformers says of them.

    python tests/reference/shapes_caption_golden.py               # writes tests/golden/shapes-caption/: pictures, truth
    python tests/reference/shapes_caption_golden.py --measure     # there: reference.json, README.md

Needs the snapshot that train_caption_shapes.py leaves for `--measure` only.
"""

import argparse
import json
from pathlib import Path

import torch
from PIL import Image

from caption_scenes import Drawing, random_drawing, render
from train_caption_shapes import PROMPTS, load, say

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "shapes-caption"
LIMIT = 300_000  # bytes of the folder
FIRST_SEED = 9_000  # below those of training, above those that training is watched with
SIZES = [(150, 110), (96, 140), (128, 128), (180, 120), (110, 130), (200, 160)]
ALL_RELATIONS = ["left of", "right of", "above", "below"]
RELATIONS = [*ALL_RELATIONS, None, *ALL_RELATIONS, None, "above", "below"]
BEAMS = 3

HEAD = """# Pictures of shapes, and what they show

Drawn by `tests/reference/shapes_caption_golden.py` from seeds that no training sees. `truth.json` has for each picture
the sentence that is true of it, in the words and the order of `caption_scenes.py`, and its shapes: colour, kind and
centre (pixels). `reference.json` has what transformers says with `tests/models/shapes-caption` (f32, at most 20 new
tokens): token ids and text, greedily (with the natural logarithm of each new token's probability, after the softmax of
all), with three beams, and greedily after the prompt "a photo of" or "a picture of".

"""


def drawn() -> list[Drawing]:
    """One for each of RELATIONS, in SIZES in turn."""
    drawings, seed = [], FIRST_SEED
    for number, relation in enumerate(RELATIONS):
        while True:
            drawing = random_drawing(seed, *SIZES[number % len(SIZES)])
            seed += 1
            # Noise would fill the folder.
            if drawing.relation() == relation and drawing.scene.background.noise == 0:
                drawings.append(drawing)
                break
    return drawings


def names(count: int) -> list[str]:
    return [f"picture-{number:02}" for number in range(1, count + 1)]


def draw() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    drawings = drawn()
    scenes = []
    for name, drawing in zip(names(len(drawings)), drawings):
        render(drawing.scene).save(GOLDEN / f"{name}.png", optimize=True)
        shapes = [
            {"colour": colour, "kind": kind, "centre": [round(value, 2) for value in shape.centre]}
            for (colour, kind), shape in zip(drawing.names, drawing.scene.shapes)
        ]
        size = {"width": drawing.scene.width, "height": drawing.scene.height}
        scenes.append({"file": f"{name}.png", **size, "sentence": drawing.sentence(), "shapes": shapes})
    write_lines(GOLDEN / "truth.json", scenes)


def write_lines(path: Path, pictures: list[dict]) -> None:
    lines = ",\n".join(json.dumps(picture) for picture in pictures)
    path.write_text(f'{{"pictures": [\n{lines}\n]}}\n')


@torch.no_grad()
def log_probabilities(picture: Image.Image, ids: list[int], model, processor) -> list[float]:
    """Of each token after the first, given those before it."""
    logits = model(**processor(images=picture, return_tensors="pt"), input_ids=torch.tensor([ids])).logits[0]
    logarithms = logits.log_softmax(-1)
    return [round(float(logarithms[place, token]), 6) for place, token in enumerate(ids[1:])]


def measure() -> None:
    model, processor, tokenizer = load()
    results, rows = [], [["picture", "truth", "greedy", f"{BEAMS} beams", "after the prompt"], ["---"] * 5]
    for number, scene in enumerate(json.loads((GOLDEN / "truth.json").read_text())["pictures"]):
        picture, prompt = Image.open(GOLDEN / scene["file"]).convert("RGB"), PROMPTS[number % 2]
        greedy, text = say(picture, model, processor, tokenizer)
        beams, beam_text = say(picture, model, processor, tokenizer, beams=BEAMS)
        prompted, prompted_text = say(picture, model, processor, tokenizer, prompt)
        results.append(
            {
                "file": scene["file"],
                "greedy": {
                    "ids": greedy,
                    "text": text,
                    "log_probabilities": log_probabilities(picture, greedy, model, processor),
                },
                "beams": {"ids": beams, "text": beam_text},
                "prompted": {"prompt": prompt, "ids": prompted, "text": prompted_text},
            }
        )
        truth = scene["sentence"]
        said = [(text, truth), (beam_text, truth), (prompted_text, f"{prompt} {truth}")]
        rows.append([scene["file"], truth, *("right" if found == wanted else found for found, wanted in said)])
    write_lines(GOLDEN / "reference.json", results)
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
