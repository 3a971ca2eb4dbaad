"""Reference results of box non-maximum suppression, written to tests/golden/nms/nms.json: torchvision.

    python tests/reference/nms.py
"""

import json
from pathlib import Path

import torch
from torchvision.ops import batched_nms, nms

OUT = Path(__file__).resolve().parents[1] / "golden" / "nms"


def main() -> None:
    torch.manual_seed(0)
    cases = []
    for count, threshold in [(1, 0.5), (12, 0.3), (40, 0.5), (40, 0.0), (60, 0.7), (60, 1.0)]:
        corner = torch.rand(count, 2) * 40
        boxes = torch.cat([corner, corner + torch.rand(count, 2) * 30 + 1], 1)
        # Whole numbers: overlaps that equal the threshold, and boxes that are equal.
        boxes = boxes.round() if count == 40 else boxes
        # No two scores are equal: torchvision does not say which comes first.
        scores = torch.randperm(count) / count
        classes = torch.randint(0, 3, (count,))
        cases.append(
            {
                "boxes": boxes.tolist(),
                "scores": scores.tolist(),
                "classes": classes.tolist(),
                "threshold": threshold,
                "kept": nms(boxes, scores, threshold).tolist(),
                "kept_by_class": batched_nms(boxes, scores, classes, threshold).tolist(),
            }
        )
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "nms.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
