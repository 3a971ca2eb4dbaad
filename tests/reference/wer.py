"""Word error rate after Whisper's English text normaliser.

    python tests/reference/wer.py REFERENCE HYPOTHESIS [--max RATE]

Both are files (.txt, .srt, .vtt, .json as percept or whisper write them) or, where no such file exists, the text
itself. Prints one JSON line; with --max the exit code is 1 when the rate is higher.
"""

import argparse
import json
import re
import sys
from importlib.resources import files
from pathlib import Path

import jiwer
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

TIMING = re.compile(r"^\s*(\d+|WEBVTT.*|[\d:.,]+\s+-->\s+[\d:.,]+.*)\s*$")


def json_text(document: dict) -> str:
    """The transcript in percept's envelope (`result`) or in whisper's JSON: `text`, else the segments' texts."""
    result = document.get("result", document)
    if isinstance(result.get("text"), str):
        return result["text"]
    return " ".join(segment["text"] for segment in result["segments"])


def read(argument: str) -> str:
    path = Path(argument)
    if len(argument) > 250 or not path.is_file():
        return argument
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json_text(json.loads(text))
    if path.suffix in (".srt", ".vtt"):
        return " ".join(line for line in text.splitlines() if not TIMING.match(line))
    return text


def normalizer() -> EnglishTextNormalizer:
    # transformers has the rules but not the list of British spellings; this package carries openai/whisper's file.
    spellings = files("whisper_normalizer") / "normalizers" / "english.json"
    return EnglishTextNormalizer(json.loads(spellings.read_text(encoding="utf-8")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference")
    parser.add_argument("hypothesis")
    parser.add_argument("--max", type=float, default=None)
    arguments = parser.parse_args()
    normalize = normalizer()
    reference, hypothesis = (normalize(read(a)).strip() for a in (arguments.reference, arguments.hypothesis))
    counts = jiwer.process_words(reference, hypothesis)
    report = {
        "wer": counts.wer,
        "words": len(reference.split()),
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        "reference": reference,
        "hypothesis": hypothesis,
    }
    print(json.dumps(report, ensure_ascii=False))
    return 1 if arguments.max is not None and counts.wer > arguments.max else 0


if __name__ == "__main__":
    sys.exit(main())
