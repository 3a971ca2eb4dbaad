"""A tiny random Mask2Former, what transformers makes of it, and what its image processor makes of logits.

    python tests/reference/mask2former.py        # writes tests/golden/mask2former/

The snapshot (config.json, model.safetensors) with fixture.safetensors: two images at once of an odd size, with the
maps of the backbone and of the pixel decoder, the queries' last states, and the logits. `post.safetensors` and
`post.json` hold logits and the answers of `Mask2FormerImageProcessor` to them.
"""

import json
import shutil
from pathlib import Path

import torch
from eomt import blobs, classes, described
from safetensors.torch import save_file
from swin import IMAGE, SHAPE, STAGES, randomise_swin
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor, SwinConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mask2former"


def network() -> None:
    config = Mask2FormerConfig(
        backbone_config=SwinConfig(**SHAPE, depths=[1, 2, 1, 1], out_features=STAGES),
        feature_size=64,
        mask_feature_size=24,
        hidden_dim=32,
        encoder_feedforward_dim=48,
        encoder_layers=2,
        decoder_layers=5,
        num_attention_heads=4,
        dim_feedforward=40,
        num_queries=7,
        num_labels=5,
    )
    model = Mask2FormerForUniversalSegmentation(config).eval()
    randomise_swin(model, 100)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Points a few pixels away, as in a trained model, and masks of which both sides are seen.
            if "sampling_offsets.bias" in name:
                parameter.mul_(10)
            if "mask_projection.weight" in name:
                parameter.mul_(3)
    shutil.rmtree(GOLDEN, ignore_errors=True)
    model.save_pretrained(GOLDEN)
    image = torch.randn(IMAGE, generator=torch.Generator().manual_seed(101))
    with torch.no_grad():
        found = model(pixel_values=image, output_hidden_states=True)
    tensors = {f"encoder_hidden_states.{i}": state for i, state in enumerate(found.encoder_hidden_states)}
    tensors |= {f"pixel_decoder_hidden_states.{i}": state for i, state in enumerate(found.pixel_decoder_hidden_states)}
    for name in (
        "pixel_decoder_last_hidden_state",
        "transformer_decoder_last_hidden_state",
        "masks_queries_logits",
        "class_queries_logits",
    ):
        tensors[name] = found[name]
    inside = (found.masks_queries_logits > 0).float().mean((-1, -2))
    assert ((inside > 0.02) & (inside < 0.98)).float().mean() > 0.5, inside
    tensors["pixel_values"] = image
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, GOLDEN / "fixture.safetensors")


def post_processing(seed: int = 110) -> None:
    random = torch.Generator().manual_seed(seed)
    count, labels = 6, [4, 0, 4, 1, 5, 6, 2, 5, 4, 3, 0, 4, 2]
    sizes = [(37, 83), (95, 61), (64, 64)]
    masks = torch.stack([blobs(len(labels), 20, random) for _ in sizes])
    logits = torch.stack([classes(labels, count, random) for _ in sizes])
    outputs = Mask2FormerForUniversalSegmentationOutput(masks_queries_logits=masks, class_queries_logits=logits)
    processor = Mask2FormerImageProcessor(size={"height": 40, "width": 60}, size_divisor=32)
    processor.save_pretrained(GOLDEN)
    tensors = {"masks_queries_logits": masks, "class_queries_logits": logits}
    answers: dict = {"target_sizes": sizes, "stuff_classes": [4, 5]}
    panoptic = processor.post_process_panoptic_segmentation
    answers["panoptic"] = described(panoptic(outputs, target_sizes=sizes), tensors, "panoptic")
    fused = panoptic(outputs, target_sizes=sizes, label_ids_to_fuse={4, 5})
    answers["fused"] = described(fused, tensors, "fused")
    sure = panoptic(outputs, target_sizes=sizes, threshold=0.97)
    answers["sure"] = described(sure, tensors, "sure")
    instances = processor.post_process_instance_segmentation(outputs, target_sizes=sizes, return_binary_maps=True)
    answers["instance"] = [result["segments_info"] for result in instances]
    for index, result in enumerate(instances):
        tensors[f"instance.{index}"] = result["segmentation"].to(torch.int32)
    for index, item in enumerate(processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)):
        tensors[f"semantic.{index}"] = item.to(torch.int32)
        assert len(item.unique()) > 2
    for plain, fused in zip(answers["panoptic"], answers["fused"]):
        assert len(plain) > 3 and len(plain) < len(labels) - 1
        assert len({item["id"] for item in fused}) < len(plain)
    assert any(len(a) < len(b) for a, b in zip(answers["sure"], answers["panoptic"]))
    assert all(len(a) > 2 for a in answers["instance"])
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, GOLDEN / "post.safetensors")
    (GOLDEN / "post.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    network()
    post_processing()
