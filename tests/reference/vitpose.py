"""Tiny random ViTPoses, and what transformers makes of boxes in two pictures with them.

    python -m pip install pycocotools               # for oks.json alone
    python tests/reference/vitpose.py               # writes tests/golden/vitpose/

`simple` (simple decoder), `classic` (deconvolutions) and `moe` (six experts, classic decoder) are snapshots with a
`fixture.safetensors` each: `heatmaps` of all boxes (`boxes.N`, left, top, right, bottom, in `picture.N`) and the
reference's post-processing of them (`keypoints`, `scores`). `simple` also has the `pixel_values`, which are the same for
all three, and `classic` the same results of a flip test (`.flipped`). `moe` has a decoder for each other data set too
(`associate_heads.N`, see vitpose_heads.py), and the heat maps of each with its expert (`heatmaps.NAME`).

`peaks` has heat maps of the published size with the keypoints that the post-processor finds in them, and `oks` the
similarity of poses by pycocotools and what mmpose's rule for duplicates leaves of them.

The classic decoder has 256 filters in the reference; here its layers are replaced by narrower ones, so that the files
are small. `forward` is the reference's.
"""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import (
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
    VitPoseImageProcessor,
)

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden" / "vitpose"
SETS = json.loads((TESTS / "golden" / "keypoint-sets" / "sets.json").read_text())
# As in the published configurations.
NAMES = [
    "Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist",
    "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle",
]  # fmt: skip
IMAGE = (40, 24)  # height, width: 5 by 3 patches
BACKBONE = dict(
    image_size=list(IMAGE), patch_size=[8, 8], hidden_size=24, num_hidden_layers=3, num_attention_heads=3, mlp_ratio=2
)
FILTERS = 12
PICTURES = [(47, 61), (33, 20)]  # height, width
# Left, top, right, bottom: wide, high, beyond each edge, the whole picture, and one of a few pixels.
BOXES = [
    [[10.25, 8.5, 40.75, 20.0], [20.0, 3.0, 33.0, 44.5], [-6.5, -9.0, 17.0, 30.0], [48.0, 30.0, 75.5, 60.25]],
    [[0.0, 0.0, 20.0, 33.0], [7.3, 11.1, 9.9, 16.2]],
]


def classic_head(keypoints: int) -> nn.Module:
    """The reference's decoder with fewer filters."""
    head = VitPoseForPoseEstimation(
        VitPoseConfig(
            backbone_config=VitPoseBackboneConfig(**BACKBONE, out_indices=[3]),
            use_simple_decoder=False,
            id2label={index: str(index) for index in range(keypoints)},
        )
    ).head
    head.deconv1 = nn.ConvTranspose2d(BACKBONE["hidden_size"], FILTERS, 4, stride=2, padding=1, bias=False)
    head.deconv2 = nn.ConvTranspose2d(FILTERS, FILTERS, 4, stride=2, padding=1, bias=False)
    head.batchnorm1, head.batchnorm2 = nn.BatchNorm2d(FILTERS), nn.BatchNorm2d(FILTERS)
    head.conv = nn.Conv2d(FILTERS, keypoints, 1)
    return head


def randomise(model: nn.Module, seed: int) -> None:
    """Every weight matters: no bias is zero, no norm is one."""
    random = torch.Generator().manual_seed(seed)
    noise = lambda shape: torch.randn(shape, generator=random)  # noqa: E731
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise(parameter.shape))
            elif "position" in name:
                parameter.copy_(0.7 * noise(parameter.shape))
            elif parameter.dim() < 2:
                parameter.copy_(0.2 * noise(parameter.shape))
            else:
                parameter.copy_(1.3 * noise(parameter.shape) / parameter[0].numel() ** 0.5)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(0.3 * noise(module.running_mean.shape))
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=random))


def calm(head: nn.Module, heatmaps: torch.Tensor) -> None:
    """Maps about 0.35 high with peaks near 1, as those of trained networks, by keypoint."""
    deviation, mean = heatmaps.std((0, 2, 3)), heatmaps.mean((0, 2, 3))
    with torch.no_grad():
        head.conv.weight.mul_((0.2 / deviation)[:, None, None, None])
        head.conv.bias.copy_((head.conv.bias - mean) * 0.2 / deviation + 0.35)


def picture(height: int, width: int, seed: int) -> numpy.ndarray:
    generator = numpy.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3))
    noise = generator.integers(-20, 21, (height, width, 3))
    return (numpy.kron(coarse, numpy.ones((5, 5, 1)))[:height, :width] + noise).clip(0, 255).astype(numpy.uint8)


def xywh(boxes: list[list[float]]) -> list[list[float]]:
    boxes = numpy.float32(boxes).astype(float).tolist()
    return [[left, top, right - left, bottom - top] for left, top, right, bottom in boxes]


def processed(processor: VitPoseImageProcessor, heatmaps: torch.Tensor, boxes: list) -> tuple[torch.Tensor, torch.Tensor]:
    results = processor.post_process_pose_estimation(SimpleNamespace(heatmaps=heatmaps), boxes=boxes)
    results = [result for picture in results for result in picture]
    return torch.stack([r["keypoints"] for r in results]), torch.stack([r["scores"] for r in results])


def pairs(name: str) -> torch.Tensor:
    return torch.tensor(SETS[name]["flip_pairs"])


def network(name: str, seed: int, experts: int, simple: bool) -> None:
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    more = dict(num_experts=experts, part_features=6) if experts > 1 else {}
    config = VitPoseConfig(
        # The simple one stops a layer before the last.
        backbone_config=VitPoseBackboneConfig(**BACKBONE, **more, out_indices=[2 if simple else 3]),
        use_simple_decoder=simple,
        id2label=dict(enumerate(NAMES)),
        label2id={label: index for index, label in enumerate(NAMES)},
        edges=SETS["coco"]["skeleton"],
    )
    model = VitPoseForPoseEstimation(config)
    if not simple:
        model.head = classic_head(len(NAMES))
    model.eval()
    randomise(model, seed)
    processor = VitPoseImageProcessor(size={"height": IMAGE[0], "width": IMAGE[1]})
    pictures = [picture(*size, seed) for seed, size in enumerate(PICTURES)]
    boxes = [xywh(each) for each in BOXES]
    pixels = processor(pictures, boxes=boxes, return_tensors="pt")["pixel_values"]

    def run(images: torch.Tensor, expert: int, flip_pairs: torch.Tensor | None = None) -> torch.Tensor:
        index = torch.full((len(images),), expert)
        with torch.no_grad():
            return model(images, dataset_index=index, flip_pairs=flip_pairs).heatmaps

    calm(model.head, run(pixels, 0))
    heatmaps = run(pixels, 0)
    flipped = (heatmaps + run(pixels.flip(3), 0, pairs("coco"))) * 0.5
    fixture = {"pixel_values": pixels} if simple else {}
    for suffix, maps in {"": heatmaps, ".flipped": flipped}.items():
        if suffix == "" or name == "classic":
            fixture[f"heatmaps{suffix}"] = maps
            fixture[f"keypoints{suffix}"], fixture[f"scores{suffix}"] = processed(processor, maps, boxes)
    for index in range(len(PICTURES)):
        fixture[f"picture.{index}"] = torch.from_numpy(pictures[index])
        fixture[f"boxes.{index}"] = torch.tensor(BOXES[index])
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if experts > 1:
        state = dict(model.state_dict())
        for index, other in enumerate(["aic", "mpii", "ap10k", "apt36k", "wholebody"]):
            model.head = classic_head(len(SETS[other]["names"])).eval()
            randomise(model.head, seed + 10 + index)
            calm(model.head, run(pixels, index + 1))
            state |= {f"associate_heads.{index}.{key}": value for key, value in model.head.state_dict().items()}
            # Of two boxes, and of a flip test: for pairs are the set's own.
            some = pixels[:2]
            maps = (run(some, index + 1) + run(some.flip(3), index + 1, pairs(other))) * 0.5
            # 133 maps are large; a third of them will do.
            fixture[f"heatmaps.{other}"] = maps[:, ::3]
        save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors")
    save_file({key: value.contiguous() for key, value in fixture.items()}, folder / "fixture.safetensors")
    print(name, heatmaps.min().item(), heatmaps.max().item(), flipped.min().item(), flipped.max().item())


def peaks() -> None:
    """Gaussian peaks on noise, at the size of published heat maps, some near an edge."""
    random = numpy.random.default_rng(7)
    (rows, columns), count = (64, 48), 6
    y, x = numpy.mgrid[:rows, :columns]
    at = random.uniform((-0.4, -0.4), (columns - 0.6, rows - 0.6), (2, count, 2))
    at[0, 0], at[0, 1] = (0.2, 0.3), (columns - 1.2, rows - 1.1)
    height, width = random.uniform(0.2, 1.0, (2, count)), random.uniform(1.5, 2.5, (2, count))
    distance = (x - at[..., 0, None, None]) ** 2 + (y - at[..., 1, None, None]) ** 2
    maps = height[..., None, None] * numpy.exp(-distance / 2 / width[..., None, None] ** 2)
    maps += random.normal(0, 0.01, maps.shape)
    maps = torch.from_numpy(maps.astype(numpy.float32))
    boxes = [[10.5, 20.25, 300.0, 200.0], [-20.0, 5.0, 31.0, 403.5]]
    keypoints, scores = processed(VitPoseImageProcessor(), maps, [xywh(boxes)])
    tensors = {"heatmaps": maps, "boxes": torch.tensor(boxes), "keypoints": keypoints, "scores": scores}
    folder = GOLDEN / "peaks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "fixture.safetensors")


def oks() -> None:
    """Poses about a few people: pairwise similarity by pycocotools, and what mmpose's oks_nms leaves."""
    from pycocotools.cocoeval import COCOeval

    random = numpy.random.default_rng(3)
    people = random.uniform(0, 200, (4, 17, 2))
    poses, areas, scores = [], [], []
    for index in range(14):
        poses.append((people[index % 4] + random.normal(0, 1.5 + 4 * (index // 4), (17, 2))).tolist())
        areas.append(float(random.uniform(3000, 9000)))
        scores.append(float(random.uniform(0.2, 1)))
    ev = COCOeval(iouType="keypoints")
    ev.params.kpt_oks_sigmas = numpy.array(SETS["coco"]["sigmas"])
    flat = [numpy.c_[numpy.array(pose), numpy.full(17, 2)].flatten().tolist() for pose in poses]

    def similarity(a: int, b: int) -> float:
        # The area is the mean of both: mmpose's for two detections.
        truth = {"keypoints": flat[a], "area": (areas[a] + areas[b]) / 2, "bbox": [0, 0, 1, 1]}
        ev._gts[0, 1], ev._dts[0, 1] = [truth], [{"keypoints": flat[b], "score": 1.0}]
        return float(ev.computeOks(0, 1)[0, 0])

    table = [[similarity(a, b) for b in range(len(poses))] for a in range(len(poses))]
    kept = {}
    for threshold in (0.3, 0.5, 0.7, 0.9):
        order, keep = numpy.argsort(scores)[::-1].tolist(), []
        while order:
            best = order.pop(0)
            keep.append(best)
            order = [other for other in order if table[best][other] <= threshold]
        kept[str(threshold)] = sorted(keep)
    print("kept", kept)
    text = json.dumps({"poses": poses, "areas": areas, "scores": scores, "oks": table, "kept": kept})
    (GOLDEN / "oks.json").write_text(text + "\n")


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    network("simple", 1, 1, simple=True)
    network("classic", 2, 1, simple=False)
    network("moe", 3, 6, simple=False)
    peaks()
    oks()


if __name__ == "__main__":
    main()
