"""Tiny random EoMTs, what transformers makes of them, and what its image processor makes of logits.

    python tests/reference/eomt.py        # writes tests/golden/eomt/

`plain` and `masked` have a snapshot (config.json, model.safetensors) and fixture.safetensors: two images at once, the
states behind each layer, and the logits. In `masked` one layer looks only where its queries' masks are, and its MLP is
gated. `post.safetensors` and `post.json` hold logits and the answers of `EomtImageProcessor` to them; `prepare`
holds pictures and what the processor prepares of them, with padding and in patches.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import EomtConfig, EomtForUniversalSegmentation, EomtImageProcessor
from transformers.models.eomt.modeling_eomt import EomtForUniversalSegmentationOutput
from vit import randomise

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "eomt"
SHAPE = dict(
    hidden_size=36,
    num_attention_heads=3,
    # Pixels are left over at two edges.
    image_size=50,
    patch_size=8,
    mlp_ratio=2,
    num_queries=7,
    num_register_tokens=2,
    num_labels=5,
)
CASES = {
    "plain": (dict(num_hidden_layers=4, num_blocks=2, num_upscale_blocks=2), [0.0, 0.0]),
    # The mask of one layer stays for those behind it that compute none.
    "masked": (
        dict(num_hidden_layers=5, num_blocks=4, num_upscale_blocks=1, use_swiglu_ffn=True),
        [0.0, 1.0, 0.0, 1.0],
    ),
}


def networks() -> None:
    for seed, (name, (shape, probabilities)) in enumerate(CASES.items()):
        model = EomtForUniversalSegmentation(EomtConfig(**SHAPE, **shape)).eval()
        model.config._attn_implementation = "eager"
        randomise(model, 50 + seed)
        model.attn_mask_probs.copy_(torch.tensor(probabilities))
        folder = GOLDEN / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        random = torch.Generator().manual_seed(60 + seed)
        image = torch.randn(2, 3, 50, 50, generator=random)
        with torch.no_grad():
            found = model(pixel_values=image, output_hidden_states=True)
        tensors = {f"hidden_states.{i}": state for i, state in enumerate(found.hidden_states)}
        tensors |= {
            "pixel_values": image,
            "last_hidden_state": found.last_hidden_state,
            "masks_queries_logits": found.masks_queries_logits,
            "class_queries_logits": found.class_queries_logits,
        }
        save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / "fixture.safetensors")


def blobs(queries: int, side: int, random: torch.Generator) -> torch.Tensor:
    """Logits of round masks here and there, with some noise: `[queries, side, side]`."""
    at = torch.linspace(0, 1, side)
    centre = torch.rand(queries, 2, generator=random)
    radius = 0.1 + 0.15 * torch.rand(queries, 1, 1, generator=random)
    distance = (
        (at[None, :, None] - centre[:, :1, None]) ** 2 + (at[None, None, :] - centre[:, 1:, None]) ** 2
    ).sqrt()
    return 60 * (radius - distance) + 0.7 * torch.randn(queries, side, side, generator=random)


def classes(labels: list[int], count: int, random: torch.Generator) -> torch.Tensor:
    """Logits by which each query is quite sure of its label; `count` is no object."""
    logits = torch.randn(len(labels), count + 1, generator=random)
    logits[torch.arange(len(labels)), torch.tensor(labels)] += 4.5 + 3 * torch.rand(len(labels), generator=random)
    return logits


def described(results: list[dict], tensors: dict, name: str) -> list[list[dict]]:
    for index, result in enumerate(results):
        tensors[f"{name}.{index}"] = result["segmentation"].to(torch.int32)
    return [result["segments_info"] for result in results]


def post_processing() -> None:
    random = torch.Generator().manual_seed(78)
    count, labels = 6, [4, 0, 4, 1, 5, 6, 2, 5, 4, 3, 0, 4, 2]
    # Landscape, portrait, and square: two of them were padded.
    sizes = [(37, 83), (95, 61), (64, 64)]
    masks = torch.stack([blobs(len(labels), 20, random) for _ in sizes])
    logits = torch.stack([classes(labels, count, random) for _ in sizes])
    outputs = EomtForUniversalSegmentationOutput(masks_queries_logits=masks, class_queries_logits=logits)
    processor = EomtImageProcessor(size={"shortest_edge": 80, "longest_edge": 80}, do_pad=True)
    tensors = {"masks_queries_logits": masks, "class_queries_logits": logits}
    answers = {"target_sizes": sizes, "stuff_classes": [4, 5]}
    panoptic = processor.post_process_panoptic_segmentation
    answers["panoptic"] = described(panoptic(outputs, sizes), tensors, "panoptic")
    answers["fused"] = described(panoptic(outputs, sizes, stuff_classes=[4, 5]), tensors, "fused")
    answers["sure"] = described(panoptic(outputs, sizes, threshold=0.97), tensors, "sure")
    instances = processor.post_process_instance_segmentation(outputs, sizes)
    answers["instance"] = described(instances, tensors, "instance")
    # Some are merged, some overlap too much, and something is left of the picture.
    assert all(len(a) > len(b) > 2 for a, b in zip(answers["panoptic"], answers["fused"])), answers
    assert all(len(a) < len(labels) - 1 for a in answers["panoptic"])
    assert any(len(a) < len(b) for a, b in zip(answers["sure"], answers["panoptic"]))
    assert all(len(a) > 1 for a in answers["instance"])

    # Semantic in patches: two pictures, cut along their longer side.
    pictures = [(48, 130), (75, 40)]
    processor = EomtImageProcessor(
        size={"shortest_edge": 32, "longest_edge": None}, do_split_image=True, do_pad=False
    )
    images = [torch.randint(0, 256, (3, *size), generator=random, dtype=torch.uint8) for size in pictures]
    prepared = processor(images=images, return_tensors="pt")
    offsets = prepared["patch_offsets"]
    masks = torch.stack([blobs(len(labels), 11, random) for _ in offsets])
    logits = torch.stack([classes(labels, count, random) for _ in offsets])
    outputs = EomtForUniversalSegmentationOutput(
        masks_queries_logits=masks, class_queries_logits=logits, patch_offsets=offsets
    )
    found = processor.post_process_semantic_segmentation(outputs, pictures, return_segmentation_scores=True)
    tensors |= {"patches.masks_queries_logits": masks, "patches.class_queries_logits": logits}
    for index, item in enumerate(found):
        tensors[f"semantic.{index}"] = item.segmentation.to(torch.int32)
        assert len(item.segmentation.unique()) > 2
    answers["patches"] = {"target_sizes": pictures, "patch_offsets": [offset.tolist() for offset in offsets]}

    # Semantic without patches, which the processor does not unpad: a square picture.
    outputs = EomtForUniversalSegmentationOutput(
        masks_queries_logits=tensors["masks_queries_logits"][2:], class_queries_logits=tensors["class_queries_logits"][2:]
    )
    processor = EomtImageProcessor(size={"shortest_edge": 80, "longest_edge": 80}, do_pad=True)
    tensors["semantic.whole"] = processor.post_process_semantic_segmentation(outputs, sizes[2:])[0].to(torch.int32)

    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, GOLDEN / "post.safetensors")
    (GOLDEN / "post.json").write_text(json.dumps(answers, indent=1) + "\n")


def preparation() -> None:
    random = torch.Generator().manual_seed(80)
    sizes = [(45, 130), (75, 40), (20, 20)]
    for name, options in {
        "padded": dict(size={"shortest_edge": 50, "longest_edge": 50}, do_pad=True),
        "split": dict(size={"shortest_edge": 32, "longest_edge": None}, do_split_image=True, do_pad=False),
    }.items():
        processor = EomtImageProcessor(**options)
        folder = GOLDEN / "prepare" / name
        shutil.rmtree(folder, ignore_errors=True)
        processor.save_pretrained(folder)
        tensors = {}
        for index, size in enumerate(sizes):
            # Smooth, as pictures are.
            coarse = torch.rand(1, 3, 6, 6, generator=random)
            image = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
            image = (image[0] * 255).round().to(torch.uint8)
            found = processor(images=[image], return_tensors="pt")
            tensors[f"image.{index}"] = image.permute(1, 2, 0).contiguous()
            tensors[f"pixel_values.{index}"] = found["pixel_values"].contiguous()
            if name == "split":
                tensors[f"offsets.{index}"] = torch.stack(list(found["patch_offsets"])).to(torch.int32)
        save_file(tensors, folder / "fixture.safetensors")


if __name__ == "__main__":
    networks()
    post_processing()
    preparation()
