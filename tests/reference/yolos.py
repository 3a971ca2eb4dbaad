"""Tiny random YOLOS, and what transformers makes of them.

    python tests/reference/yolos.py        # writes tests/golden/yolos/

`plain` is the form of yolos-tiny; `mid` adds positions behind each layer but the last, as yolos-small and -base do. See
detect_case.py for what a folder has.
"""

import torch
from detect_case import detector, spread
from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor
from vit import randomise

SHAPE = dict(
    hidden_size=36,
    num_hidden_layers=3,
    num_attention_heads=3,
    intermediate_size=52,
    # Neither square nor what the pictures are made.
    image_size=[48, 64],
    patch_size=16,
    num_detection_tokens=11,
    num_labels=5,
    id2label={0: "cat", 1: "dog", 2: "cup", 3: "car", 4: "kite"},
)


def main() -> None:
    for seed, (name, mid) in enumerate([("plain", False), ("mid", True)]):
        model = YolosForObjectDetection(YolosConfig(**SHAPE, use_mid_position_embeddings=mid)).eval()
        model.config._attn_implementation = "eager"
        randomise(model, 20 + seed)
        processor = YolosImageProcessor(size={"shortest_edge": 64, "longest_edge": 100})
        spread(model, model.class_labels_classifier.layers[2], processor)
        image = torch.randn(2, 3, 48, 80, generator=torch.Generator().manual_seed(30 + seed))
        detector(f"yolos/{name}", model, processor, image, threshold=0.3)


if __name__ == "__main__":
    main()
