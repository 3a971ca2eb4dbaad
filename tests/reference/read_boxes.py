"""Reads what `percept detect` wrote with public readers: supervision (YOLO, Pascal VOC) and pycocotools (COCO).

    pip install supervision==0.31.2 pycocotools==2.0.11
    percept detect tests/golden/shapes-detect/scene-*.jpg -m tests/models/shapes-detr -o OUT/ -f json,yolo,voc,coco
    percept manifest export OUT/ -f coco -o OUT/all.json
    python tests/reference/read_boxes.py OUT tests/golden/shapes-detect tests/models/shapes-detr/config.json

Compares every box with the JSON results.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import supervision
from pycocotools.coco import COCO


def main() -> None:
    out, pictures, config = map(Path, sys.argv[1:4])
    names = json.loads(config.read_text())["id2label"]
    results = {path.name.removesuffix(".detect.json"): json.loads(path.read_text()) for path in out.glob("*.detect.json")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for stem, result in results.items():
            shutil.copy(pictures / Path(result["input"]["path"]).name, folder)
            for end in (".txt", ".xml"):
                shutil.copy(out / f"{stem}{end}", folder)
        (folder / "data.yaml").write_text(json.dumps({"names": [names[str(i)] for i in range(len(names))], "nc": len(names)}))
        sides = dict(images_directory_path=folder, annotations_directory_path=folder)
        read = {
            "yolo": supervision.DetectionDataset.from_yolo(**sides, data_yaml_path=folder / "data.yaml"),
            "voc": supervision.DetectionDataset.from_pascal_voc(**sides),
        }
        for form, data in read.items():
            boxes, worst = 0, 0.0
            for path, _, found in data:
                wanted = results[Path(path).stem]["result"]["detections"]
                assert len(found.xyxy) == len(wanted), path
                for one, corners, number in zip(wanted, found.xyxy, found.class_id):
                    assert data.classes[number] == one["label"]["name"]
                    worst = max(worst, *(abs(float(a) - b) for a, b in zip(corners, one["box_xyxy"])))
                    boxes += 1
            print(f"{form}: {boxes} boxes of {len(data)} pictures, at most {worst:.4f} pixels away")
    coco = COCO(str(out / "all.json"))
    assert len(coco.anns) == sum(len(result["result"]["detections"]) for result in results.values())
    rows = [{key: one[key] for key in ("image_id", "category_id", "bbox", "score")} for one in coco.anns.values()]
    print(f"coco: {len(coco.loadRes(rows).anns)} boxes of {len(coco.imgs)} pictures")


if __name__ == "__main__":
    main()
