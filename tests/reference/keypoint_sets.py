"""The keypoints of the data sets that ViTPose++ was trained on, as mmpose defines them.

    git clone https://github.com/open-mmlab/mmpose
    python tests/reference/keypoint_sets.py mmpose      # writes tests/golden/keypoint-sets/sets.json

From `configs/_base_/datasets` (read at 759b39c13fea6ba094afc1fa932f51dc1b11cbf9): names, pairs that change places in a
mirror (`swap`), lines (`skeleton_info`) and sigmas. AP-10K's names and lines are those of its annotations
(`tests/data/ap10k/test_ap10k.json`), of which mmpose's are abbreviations. APT-36K has no definition there: ViTPose++
trains it with AP-10K's (`ViTPose+_*_coco+aic+mpii+ap10k+apt36k+wholebody_256x192_udp.py`).
"""

import json
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "golden" / "keypoint-sets"
FILES = {"coco": "coco", "aic": "aic", "mpii": "mpii", "ap10k": "ap10k", "wholebody": "coco_wholebody"}


def definition(file: Path) -> dict:
    scope: dict = {}
    exec(file.read_text(), scope)
    info = scope["dataset_info"]
    keypoints = [info["keypoint_info"][index] for index in range(len(info["keypoint_info"]))]
    number = {keypoint["name"]: index for index, keypoint in enumerate(keypoints)}
    swaps = [(number[point["name"]], number[point["swap"]]) for point in keypoints if point["swap"]]
    assert all((b, a) in swaps for a, b in swaps)
    links = [info["skeleton_info"][index]["link"] for index in range(len(info["skeleton_info"]))]
    return {
        "names": [keypoint["name"] for keypoint in keypoints],
        "flip_pairs": [list(pair) for pair in swaps if pair[0] < pair[1]],
        "skeleton": [[number[a], number[b]] for a, b in links],
        "sigmas": info["sigmas"],
    }


def main() -> None:
    root = Path(sys.argv[1])
    sets = {name: definition(root / f"configs/_base_/datasets/{file}.py") for name, file in FILES.items()}
    animal = json.loads((root / "tests/data/ap10k/test_ap10k.json").read_text())["categories"][0]
    links = [[a - 1, b - 1] for a, b in animal["skeleton"]]
    sets["ap10k"] |= {"names": animal["keypoints"], "skeleton": links}
    sets["apt36k"] = sets["ap10k"]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "sets.json").write_text(json.dumps(sets, indent=None).replace('"sigmas"', '\n"sigmas"') + "\n")


if __name__ == "__main__":
    main()
