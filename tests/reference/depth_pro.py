"""A tiny random Depth Pro, and what transformers makes of pictures with it.

    python tests/reference/depth_pro.py        # writes tests/golden/depth-pro/

Three sizes of a picture are cut into 1, 9 and 25 patches of 16 pixels, as published; with `config-fixed.json` the same
weights have no model of the field of view (`fixed.*` in the fixture).
"""

import json

import torch
from depth_case import PICTURES, answers, folder, prepared, randomise, write
from transformers import DepthProConfig, DepthProForDepthEstimation, DepthProImageProcessor


def main() -> None:
    path = folder("depth-pro")
    encoder = dict(
        model_type="dinov2",
        hidden_size=16,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=16,
        patch_size=4,
    )
    config = DepthProConfig(
        fusion_hidden_size=10,
        patch_size=16,
        intermediate_hook_ids=[2, 1],
        intermediate_feature_dims=[8, 10],
        scaled_images_ratios=[0.25, 0.5, 1],
        scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[12, 9, 8],
        merge_padding_value=1,
        use_fov_model=True,
        num_fov_head_layers=2,
        image_model_config=encoder | dict(num_hidden_layers=2),
        patch_model_config=encoder | dict(num_hidden_layers=4),
        fov_model_config=encoder | dict(num_hidden_layers=3),
    )
    model = DepthProForDepthEstimation(config).eval()
    randomise(model, 5)
    processor = DepthProImageProcessor(size={"height": 64, "width": 64})
    image = torch.cat([prepared(processor, 0), prepared(processor, 1)])
    with torch.no_grad():
        # Some 60 degrees, which differ between pictures, and inverse depths that are no more than a few.
        fov = model(pixel_values=image).field_of_view
        last = model.fov_model.head.layers[-1]
        factor = 20 / (fov.max() - fov.min())
        last.weight.mul_(factor)
        last.bias.copy_((last.bias - fov.mean()) * factor + 60)
        # Far from 0, whose depth is beyond all others.
        last = model.head.layers[4]
        last.bias.add_(1000)
        depth = model(pixel_values=image).predicted_depth
        spread = depth.max() - depth.min()
        last.bias.copy_((last.bias - depth.min()) / spread * 3 + 0.3)
        last.weight.mul_(3 / spread)
    model.save_pretrained(path)
    processor.save_pretrained(path)
    tensors = answers(model, processor, image)
    fixed = DepthProForDepthEstimation(DepthProConfig(**(config.to_dict() | {"use_fov_model": False}))).eval()
    fixed.load_state_dict(model.state_dict(), strict=False)
    found = answers(fixed, processor, image)
    assert "field_of_view" not in found
    tensors |= {f"fixed.{name}": found[name] for name in ["depth.0"]}
    # A focal length of 50 pixels, as if the model had said so.
    with torch.no_grad():
        given = model(pixel_values=prepared(processor, 0))
        width = PICTURES[0][1]
        given["field_of_view"] = torch.rad2deg(2 * torch.atan(torch.tensor([0.5 * width / 50])))
        [result] = processor.post_process_depth_estimation(given, target_sizes=[PICTURES[0]])
        assert abs(float(result["focal_length"]) - 50) < 1e-3
        tensors["given.depth.0"] = result["predicted_depth"]
    saved = json.loads((path / "config.json").read_text()) | {"use_fov_model": False}
    (path / "config-fixed.json").write_text(json.dumps(saved, indent=2) + "\n")
    write(path, tensors)


if __name__ == "__main__":
    main()
