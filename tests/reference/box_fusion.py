"""Boxes and what the authors' package makes of them by weighted box fusion.

    pip install ensemble-boxes==1.0.9
    python tests/reference/box_fusion.py        # writes tests/golden/box-fusion/cases.json
"""

import json
from pathlib import Path

import numpy
from ensemble_boxes import weighted_boxes_fusion

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "box-fusion"


def main() -> None:
    random = numpy.random.default_rng(5)
    cases = []
    for count, iou in [(1, 0.5), (12, 0.3), (60, 0.55), (120, 0.7)]:
        things = random.random((max(1, count // 4), 4)) * [0.7, 0.7, 0.25, 0.25]
        boxes, labels = [], []
        for _ in range(count):
            which = random.integers(len(things))
            x, y, w, h = things[which] + random.normal(0, 0.012, 4)
            boxes.append([max(x, 0), max(y, 0), min(max(x, 0) + abs(w) + 0.05, 1), min(max(y, 0) + abs(h) + 0.05, 1)])
            labels.append(int(which % 3))
        boxes = numpy.float32(boxes).round(5)
        scores = numpy.float32(random.random(count) * 0.9 + 0.05).round(5)
        fused = weighted_boxes_fusion([boxes.tolist()], [scores.tolist()], [labels], iou_thr=iou, skip_box_thr=0.0)
        listed = lambda boxes, scores, labels: {
            "boxes": [[round(float(v), 7) for v in box] for box in boxes],
            "scores": [round(float(v), 7) for v in scores],
            "labels": [int(label) for label in labels],
        }
        cases.append({"iou": iou, "input": listed(boxes, scores, labels), "output": listed(*fused)})
        print(count, len(fused[0]))
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "cases.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
