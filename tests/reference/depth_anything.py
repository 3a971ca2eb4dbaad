"""Tiny random Depth Anything models, and what transformers makes of pictures with them.

    python tests/reference/depth_anything.py        # writes tests/golden/depth-anything/

`config.json` is relative; with `config-metric.json` the same weights are a metric model (`metric.*` in the fixture).
"""

import json

import torch
from depth_case import answers, folder, lift, randomise, write
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor


def main() -> None:
    path = folder("depth-anything")
    backbone = Dinov2Config(
        hidden_size=24,
        num_hidden_layers=5,
        num_attention_heads=3,
        mlp_ratio=2,
        image_size=70,
        patch_size=14,
        out_indices=[1, 3, 4, 5],
        reshape_hidden_states=False,
    )
    sizes = dict(
        backbone_config=backbone,
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 12, 16, 20],
        fusion_hidden_size=14,
        head_hidden_size=10,
    )
    model = DepthAnythingForDepthEstimation(DepthAnythingConfig(**sizes)).eval()
    randomise(model, 1)
    processor = DPTImageProcessor(
        size={"height": 70, "width": 70},
        ensure_multiple_of=14,
        keep_aspect_ratio=True,
        resample=3,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    # Another grid than the one that positions were learned for, and not square.
    image = torch.randn(2, 3, 56, 84, generator=torch.Generator().manual_seed(2))
    lift(model.head.conv3, lambda: model(pixel_values=image))
    model.save_pretrained(path)
    processor.save_pretrained(path)
    tensors = answers(model, processor, image)
    metric = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(**sizes, depth_estimation_type="metric", max_depth=20)
    ).eval()
    metric.load_state_dict(model.state_dict())
    found = answers(metric, processor, image)
    tensors |= {f"metric.{name}": found[name] for name in ["predicted_depth", "depth.0", "depth.1"]}
    config = json.loads((path / "config.json").read_text())
    config |= {"depth_estimation_type": "metric", "max_depth": 20}
    (path / "config-metric.json").write_text(json.dumps(config, indent=2) + "\n")
    write(path, tensors)


if __name__ == "__main__":
    main()
