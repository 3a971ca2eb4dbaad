"""Numbers of captions by pycocoevalcap 1.2 (PyPI), for percept-eval.

    python tests/reference/caption_eval.py      # writes tests/golden/caption-eval/

Its tokenizer is a Java program and does not run here: sentences are written so that words are what lies between blanks, in small
letters and without punctuation, and go to its scorers as they are.
"""

import json
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "caption-eval"
CASES = [
    ("a red square left of a blue circle", ["a red square left of a blue circle", "a blue circle right of a red square"]),
    ("a green star", ["a large green star on a dark ground", "a star that is green"]),
    ("two dogs run on the the the beach", ["two dogs are running along the beach", "dogs on the beach", "a pair of dogs run"]),
    ("a man riding a horse", ["a woman rides a bicycle down a long empty street in the rain", "someone on a bicycle"]),
    ("the cat sat", ["the cat sat on the mat", "there is a cat on the mat"]),
    ("a plate of food with rice and beans next to a fork and a knife", ["a plate of rice and beans", "food on a plate"]),
]


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    annotations = [
        {"image_id": index, "caption": reference.capitalize() + "."}
        for index, (_, references) in enumerate(CASES)
        for reference in references
    ]
    results = [{"image_id": index, "caption": caption} for index, (caption, _) in enumerate(CASES)]
    (GOLDEN / "truth.json").write_text(json.dumps({"annotations": annotations}, indent=1) + "\n")
    (GOLDEN / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    said = {index: references for index, (_, references) in enumerate(CASES)}
    found = {index: [caption] for index, (caption, _) in enumerate(CASES)}
    numbers = {"exact": sum(caption in references for caption, references in CASES) / len(CASES)}
    bleu, _ = Bleu(4).compute_score(said, found, verbose=0)
    numbers |= {f"BLEU-{length}": value for length, value in enumerate(bleu, 1)}
    numbers["ROUGE-L"] = float(Rouge().compute_score(said, found)[0])
    numbers["CIDEr"] = float(Cider().compute_score(said, found)[0])
    (GOLDEN / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
