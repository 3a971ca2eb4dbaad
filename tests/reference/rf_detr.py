"""Tiny random RF-DETRs, what transformers makes of them, and what their image processor prepares and answers.

    python tests/reference/rf_detr.py        # writes tests/golden/rf-detr/

`boxes` is an `RfDetrForObjectDetection`, `masks` an `RfDetrForInstanceSegmentation`; each has a snapshot (in the names of
Roboflow's checkpoints, which is how transformers saves it) and fixture.safetensors: two images at once that are not
square, with the map that queries look at, the chosen boxes and the answers; and pictures, what the processor
prepares of them, and the answers of its post-processing.
"""

import shutil
from pathlib import Path

import numpy
import torch
from preparation import picture
from safetensors.torch import save_file
from transformers import RfDetrConfig, RfDetrForInstanceSegmentation, RfDetrForObjectDetection, RfDetrImageProcessor
from transformers.models.rf_detr.configuration_rf_detr import RfDetrDinov2Config
from vit import randomise

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "rf-detr"
NAMES = ["lamp", "chair", "table", "window", "door"]
BACKBONE = dict(hidden_size=24, num_attention_heads=3, mlp_ratio=2)
SHARED = dict(d_model=16, decoder_ffn_dim=20, decoder_layers=2, num_labels=5, id2label=dict(enumerate(NAMES)))
PICTURES = {"wide": (61, 43), "high": (37, 90)}

CASES = {
    # The last layer is not needed, layers 1 and 3 see all windows, positions grow, two groups of queries.
    "boxes": dict(
        model=RfDetrForObjectDetection,
        backbone=dict(num_hidden_layers=4, image_size=56, patch_size=8, num_windows=2, out_indices=[1, 3]),
        config=dict(
            decoder_self_attention_heads=2, decoder_cross_attention_heads=4, decoder_n_points=3, num_queries=9, group_detr=2
        ),
        # Maps of 8 x 12: windows that are not square.
        image=(2, 3, 64, 96),
        size={"height": 48, "width": 48},
    ),
    # No windows, positions shrink, a map so wide that the pixels at its ends are no proposals.
    "masks": dict(
        model=RfDetrForInstanceSegmentation,
        backbone=dict(
            num_hidden_layers=3, image_size=32, patch_size=4, num_windows=1, out_features=["stage1", "stage3"]
        ),
        config=dict(
            decoder_self_attention_heads=4,
            decoder_cross_attention_heads=2,
            decoder_n_points=2,
            num_queries=7,
            group_detr=1,
            c2f_num_blocks=1,
            hidden_expansion=0.25,
            activation_function="gelu",
            decoder_activation_function="silu",
            segmentation_head_activation_function="relu",
            intermediate_size=28,
            mask_downsample_ratio=2,
            layer_norm_eps=1e-3,
        ),
        image=(2, 3, 16, 208),
        size={"height": 32, "width": 40},
    ),
}


def build(case: dict, seed: int) -> torch.nn.Module:
    config = RfDetrConfig(backbone_config=RfDetrDinov2Config(**BACKBONE, **case["backbone"]), **SHARED, **case["config"])
    config._attn_implementation = "eager"
    model = case["model"](config).eval()
    randomise(model, seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Points a few pixels away, boxes that differ, masks of which both sides are seen, and scores about a half.
            if "sampling_offsets" in name:
                parameter.mul_(2)
            if "reference_point_embed" in name or "query_feat" in name:
                parameter.copy_(1.5 * torch.randn(parameter.shape, generator=random))
            if "query_features_proj" in name:
                parameter.mul_(3)
    return model


def answers(model: torch.nn.Module, image: torch.Tensor) -> dict[str, torch.Tensor]:
    detector = model if isinstance(model, RfDetrForObjectDetection) else model.model
    with torch.no_grad():
        inner = detector.model(image)
        found = model(image)
    tensors = {
        "features": inner.backbone_features,
        "references": inner.init_reference_points,
        "logits": found.logits,
        "pred_boxes": found.pred_boxes,
    }
    # Queries are told apart by their rank: no two may be so near that the other order is as right.
    scores = found.enc_outputs_class.amax(-1) if "enc_outputs_class" in found else None
    if scores is not None:
        assert (scores[:, :-1] - scores[:, 1:]).min() > 1e-4, scores
    if "pred_masks" in found:
        tensors["pred_masks"] = found.pred_masks
        inside = (found.pred_masks > 0).float().mean((-1, -2))
        assert ((inside > 0.05) & (inside < 0.95)).float().mean() > 0.5, inside
    return tensors


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for seed, (name, case) in enumerate(CASES.items()):
        folder = GOLDEN / name
        model = build(case, 200 + seed)
        processor = RfDetrImageProcessor(size=case["size"])
        processor.save_pretrained(folder)
        image = torch.randn(case["image"], generator=torch.Generator().manual_seed(210 + seed))
        if name == "masks":
            with torch.no_grad():
                model.segmentation_bias.sub_(model(image).pred_masks.median())
        model.save_pretrained(folder)
        tensors = {"pixel_values": image} | answers(model, image)
        labels = set()
        for number, (kind, size) in enumerate(PICTURES.items()):
            pixels = picture(*size, 220 + number)
            prepared = processor(pixels.permute(2, 0, 1).contiguous(), return_tensors="pt")["pixel_values"]
            with torch.no_grad():
                outputs = model(prepared)
            sizes = [(size[1], size[0])]
            # Between two scores, so that some are left out.
            best = outputs.logits.sigmoid().flatten().sort(descending=True).values
            gaps = best[2:6] - best[3:7]
            cut = 2 + int(gaps.argmax())
            threshold = float(best[cut] + best[cut + 1]) / 2
            assert gaps.max() > 1e-3 and (best[:cut] - best[1 : cut + 1]).min() > 1e-5, best[:9]
            found = processor.post_process_object_detection(outputs, threshold, sizes)[0]
            assert 2 <= len(found["scores"]) < model.config.num_queries, found["scores"]
            assert len(found["boxes"].unique(dim=0)) > 1
            labels |= set(found["labels"].tolist())
            tensors[f"{kind}.threshold"] = torch.tensor([threshold])
            tensors[f"{kind}.picture"] = pixels
            tensors[f"{kind}.pixel_values"] = prepared
            tensors |= {f"{kind}.{key}": value for key, value in found.items()}
            if "pred_masks" in outputs:
                found = processor.post_process_instance_segmentation(
                    outputs, threshold, target_sizes=sizes, return_binary_maps=True
                )[0]
                assert len(found["segments_info"]) == len(tensors[f"{kind}.scores"])
                tensors[f"{kind}.masks"] = found["segmentation"].to(torch.uint8)
        assert len(labels) > 1
        if name == "masks":
            # A picture that is left as large as it is.
            exact = torch.from_numpy(numpy.arange(32 * 40 * 3).reshape(32, 40, 3).astype(numpy.uint8))
            tensors["exact.picture"] = exact
            prepared = processor(exact.permute(2, 0, 1).contiguous(), return_tensors="pt")["pixel_values"]
            tensors["exact.pixel_values"] = prepared
        save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / "fixture.safetensors")


if __name__ == "__main__":
    main()
