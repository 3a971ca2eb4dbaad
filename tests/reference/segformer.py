"""A tiny random SegFormer, and what transformers makes of two pictures with it.

    python tests/reference/segformer.py        # writes tests/golden/segformer/

The folder is a snapshot (config.json, preprocessor_config.json, model.safetensors with the names of published
checkpoints, model-5.safetensors with those of transformers 5) and `fixture.safetensors`: pictures (uint8 `[height,
width, 3]`), `pixel_values`, `hidden_states.0` to `3`, `logits`, and for each picture the class of each pixel
(`segmentation.N`) and the mean softmax probability over each class's pixels (`scores.N`, 0 where a class is absent).
"""

import json
import re
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "segformer"
CLASSES = ["background", "wall", "sky", "tree", "road", "car", "person"]
# Not square, no multiple of 32, and a first map (11 by 18) with tokens left over by its reduction of 4.
CANVAS = {"height": 44, "width": 70}
PICTURES = [(53, 97), (61, 40)]  # height, width


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Every weight matters: no bias is zero, no norm is one."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=random)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif parameter.dim() < 2:
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(noise * 1.2 / parameter[0].numel() ** 0.5)
        norm = model.decode_head.batch_norm
        norm.running_mean.copy_(0.3 * torch.randn(norm.running_mean.shape, generator=random))
        norm.running_var.copy_(0.5 + torch.rand(norm.running_var.shape, generator=random))


def published(name: str) -> str:
    """A name of transformers 5 as checkpoints on the Hub have it (the reverse of its `conversion_mapping.py`)."""
    name = re.sub(r"stages\.(\d+)\.patch_embeddings\.", r"encoder.patch_embeddings.\1.", name)
    name = re.sub(r"stages\.(\d+)\.blocks\.", r"encoder.block.\1.", name)
    name = re.sub(r"stages\.(\d+)\.layer_norm", r"encoder.layer_norm.\1", name)
    for new, old in {
        "attention.q_proj": "attention.self.query",
        "attention.k_proj": "attention.self.key",
        "attention.v_proj": "attention.self.value",
        "attention.sequence_reduction.sequence_reduction": "attention.self.sr",
        "attention.sequence_reduction.layer_norm": "attention.self.layer_norm",
        "attention.o_proj": "attention.output.dense",
        "mlp.fc1": "mlp.dense1",
        "mlp.fc2": "mlp.dense2",
        "layernorm_before": "layer_norm_1",
        "layernorm_after": "layer_norm_2",
        "decode_head.linear_projections": "decode_head.linear_c",
    }.items():
        name = name.replace(new, old)
    return name


def picture(height: int, width: int, seed: int) -> numpy.ndarray:
    generator = numpy.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3))
    return numpy.kron(coarse, numpy.ones((9, 9, 1)))[:height, :width].astype(numpy.uint8)


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    config = SegformerConfig(
        depths=[1, 2, 1, 1],
        sr_ratios=[4, 2, 1, 1],
        hidden_sizes=[16, 24, 40, 48],
        num_attention_heads=[1, 2, 5, 3],
        mlp_ratios=[2, 3, 2, 2],
        decoder_hidden_size=28,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )
    model = SegformerForSemanticSegmentation(config).eval()
    randomise(model, 11)
    processor = SegformerImageProcessor(size=CANVAS)
    pictures = [picture(*size, seed) for seed, size in enumerate(PICTURES)]
    inputs = processor(pictures, return_tensors="pt")
    with torch.no_grad():
        # So that every class is the likeliest somewhere.
        model.decode_head.classifier.weight.mul_(4.0)
        model.decode_head.classifier.bias.sub_(model(**inputs).logits.mean((0, 2, 3)))
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, GOLDEN / "model-5.safetensors")
    save_file({published(name): tensor for name, tensor in state.items()}, GOLDEN / "model.safetensors")
    config.architectures = ["SegformerForSemanticSegmentation"]
    config.save_pretrained(GOLDEN)
    # As published: a feature extractor, whose size is one number for squares or has keys.
    (GOLDEN / "preprocessor_config.json").write_text(
        json.dumps({"feature_extractor_type": "SegformerFeatureExtractor", "size": CANVAS, "reduce_labels": True})
    )
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
    fixture = {"pixel_values": inputs["pixel_values"], "logits": output.logits}
    for index, states in enumerate(output.hidden_states):
        fixture[f"hidden_states.{index}"] = states
    answers = processor.post_process_semantic_segmentation(output, PICTURES, return_segmentation_scores=True)
    for index, answer in enumerate(answers):
        classes = answer.segmentation
        probabilities = answer.segmentation_scores.softmax(0)
        fixture[f"picture.{index}"] = torch.from_numpy(pictures[index])
        fixture[f"segmentation.{index}"] = classes.to(torch.uint8)
        inside = [classes == number for number in range(len(CLASSES))]
        # The mean over no pixel is no number.
        means = [plane[mask].mean().nan_to_num(0.0) for plane, mask in zip(probabilities, inside)]
        fixture[f"scores.{index}"] = torch.stack(means)
        print(index, [int(mask.sum()) for mask in inside], torch.stack(means).tolist())
    save_file({name: tensor.contiguous() for name, tensor in fixture.items()}, GOLDEN / "fixture.safetensors")
    for name, tensor in fixture.items():
        print(name, tuple(tensor.shape), float(tensor.float().abs().max()))


if __name__ == "__main__":
    main()
