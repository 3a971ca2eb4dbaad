"""Tiny random ZoeDepths, and what transformers makes of pictures with them.

    python tests/reference/zoedepth.py        # writes tests/golden/zoedepth/ and zoedepth-two/

`zoedepth` has one metric head with unbounded bins, as published; `zoedepth-two` has two with bounded bins, between which
a router chooses: of the fixture's pictures each goes to another one.
"""

import torch
from depth_case import PICTURES, answers, folder, lift, prepared, randomise, write
from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation, ZoeDepthImageProcessor
from transformers.models.zoedepth.modeling_zoedepth import ZoeDepthMLPClassifier


def config(**more) -> ZoeDepthConfig:
    backbone = BeitConfig(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=3,
        intermediate_size=40,
        image_size=32,
        patch_size=8,
        use_relative_position_bias=True,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    return ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[8, 10, 12, 14],
        fusion_hidden_size=12,
        bottleneck_features=12,
        num_relative_features=6,
        num_attractors=[5, 4, 3, 1],
        bin_embedding_dim=10,
        **more,
    )


def processor() -> ZoeDepthImageProcessor:
    return ZoeDepthImageProcessor(size={"height": 48, "width": 64}, ensure_multiple_of=8)


def check(model, tensors: dict) -> None:
    """Depths lie inside of their bounds and differ."""
    for index in range(len(PICTURES)):
        depth = tensors[f"depth.{index}"]
        print("depth", float(depth.min()), float(depth.max()), float(depth.std()))


def one() -> None:
    path = folder("zoedepth")
    model = ZoeDepthForDepthEstimation(
        config(bin_configurations=[{"n_bins": 9, "min_depth": 0.001, "max_depth": 10.0}], max_temp=3.0)
    ).eval()
    randomise(model, 5)
    image = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(2))
    lift(model.relative_head.conv3, lambda: model(pixel_values=image))
    model.save_pretrained(path)
    processor().save_pretrained(path)
    tensors = answers(model, processor(), image, also=["source_sizes"])
    check(model, tensors)
    write(path, tensors)


def two() -> None:
    path = folder("zoedepth-two")
    both = [
        {"name": "nyu", "n_bins": 9, "min_depth": 0.001, "max_depth": 10.0},
        {"name": "kitti", "n_bins": 7, "min_depth": 0.001, "max_depth": 80.0},
    ]
    model = ZoeDepthForDepthEstimation(
        config(
            bin_configurations=both,
            bin_centers_type="normed",
            attractor_kind="sum",
            max_temp=3.0,
            num_patch_transformer_layers=4,
            patch_transformer_hidden_size=32,
            patch_transformer_intermediate_size=24,
            patch_transformer_num_attention_heads=4,
        )
    ).eval()
    # The class has one of 128 channels only: too many for a small file.
    model.metric_head.mlp_classifier = ZoeDepthMLPClassifier(32, 2)
    randomise(model, 6)
    image = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        lift(model.relative_head.conv3, lambda: model(pixel_values=image))
        # So that the two pictures are of other domains.
        logits = [model(pixel_values=prepared(processor(), index)).domain_logits for index in range(2)]
        difference = torch.cat([part[:, 0] - part[:, 1] for part in logits])
        last = model.metric_head.mlp_classifier.linear2
        last.weight.mul_(2.0 / (difference[0] - difference[1]).abs())
        last.bias.mul_(2.0 / (difference[0] - difference[1]).abs())
        logits = [model(pixel_values=prepared(processor(), index)).domain_logits for index in range(2)]
        last.bias[0] -= torch.cat([part[:, 0] - part[:, 1] for part in logits]).mean()
        logits = [model(pixel_values=prepared(processor(), index)).domain_logits for index in range(2)]
    print("domains", [part.tolist() for part in logits])
    assert len({int(part.argmax()) for part in logits}) == 2
    model.save_pretrained(path)
    processor().save_pretrained(path)
    tensors = answers(model, processor(), image, also=["source_sizes"])
    check(model, tensors)
    write(path, tensors)


if __name__ == "__main__":
    one()
    two()
