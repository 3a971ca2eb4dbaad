"""A checkpoint of ViTPose++ as its authors publish it, with all six decoders, to a snapshot that percept reads.

    python tests/reference/vitpose_heads.py vitpose+_base.pth OUT
    python tests/reference/vitpose_heads.py --check          # there and back on a tiny random model

The snapshots on the Hub have one decoder, COCO's: transformers' model has room for one. Here the others are kept as
`associate_heads.0` to `.4` (AI Challenger, MPII, AP-10K, APT-36K, COCO-WholeBody: the order of
`associate_keypoint_head` in the authors' configurations), beside what the conversion of transformers gives. Everything
else is a snapshot of `VitPoseForPoseEstimation`, and transformers reads it (and says that it leaves those out).
"""

import argparse
import re
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessor

from vitpose import NAMES, SETS

OTHERS = ["aic", "mpii", "ap10k", "apt36k", "wholebody"]
# The width says which it is; heads are published nowhere but in the configurations.
HEADS = {384: 12, 768: 12, 1024: 16, 1280: 16}
RENAMED = [
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("blocks", "encoder.layer"),
    ("attn.proj", "attention.output.dense"),
    ("norm1", "layernorm_before"),
    ("norm2", "layernorm_after"),
    ("last_norm", "layernorm"),
    ("associate_keypoint_heads", "associate_heads"),
    ("keypoint_head", "head"),
    ("final_layer", "conv"),
    ("deconv_layers.0", "deconv1"),
    ("deconv_layers.1", "batchnorm1"),
    ("deconv_layers.3", "deconv2"),
    ("deconv_layers.4", "batchnorm2"),
]


def converted(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, value in state.items():
        if name == "backbone.cls_token":
            continue
        for old, new in RENAMED:
            name = name.replace(old, new)
        if match := re.fullmatch(r"(.*)attn\.qkv\.(weight|bias)", name):
            for part, rows in zip(("query", "key", "value"), value.chunk(3)):
                tensors[f"{match[1]}attention.attention.{part}.{match[2]}"] = rows.contiguous()
            continue
        if match := re.match(r"associate_heads\.(\d)\.conv\.", name):
            # Decoders may have more channels than their set has keypoints (the authors' model_split.py cuts them too).
            value = value[: len(SETS[OTHERS[int(match[1])]]["names"])]
        tensors[name] = value.contiguous()
    return tensors


def configuration(tensors: dict[str, torch.Tensor], heads: int | None = None) -> VitPoseConfig:
    dim, _, patch, _ = tensors["backbone.embeddings.patch_embeddings.projection.weight"].shape
    layers = 1 + max(int(m[1]) for m in (re.search(r"encoder\.layer\.(\d+)\.", name) for name in tensors) if m)
    experts = sum(bool(re.search(r"layer\.0\.mlp\.experts\.\d+\.bias", name)) for name in tensors)
    backbone = VitPoseBackboneConfig(
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=heads or HEADS[dim],
        patch_size=[patch, patch],
        num_experts=experts,
        part_features=len(tensors["backbone.encoder.layer.0.mlp.experts.0.bias"]),
        mlp_ratio=len(tensors["backbone.encoder.layer.0.mlp.fc1.bias"]) // dim,
        out_indices=[layers],
    )
    return VitPoseConfig(
        backbone_config=backbone,
        use_simple_decoder=False,
        id2label=dict(enumerate(NAMES)),
        label2id={name: index for index, name in enumerate(NAMES)},
        edges=SETS["coco"]["skeleton"],
    )


def write(state: dict[str, torch.Tensor], out: Path, config: VitPoseConfig | None = None) -> None:
    tensors = converted(state)
    config = config or configuration(tensors)
    config.architectures = ["VitPoseForPoseEstimation"]
    out.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(out)
    VitPoseImageProcessor().save_pretrained(out)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    missing = VitPoseForPoseEstimation.from_pretrained(out, output_loading_info=True)[1]["missing_keys"]
    assert not missing, missing


def check() -> None:
    """The names of the authors' files, made of a model's, come back as the model's; nothing is lost."""
    torch.manual_seed(0)
    backbone = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2)
    backbone = VitPoseBackboneConfig(**backbone, num_experts=6, part_features=6, out_indices=[2])
    config = VitPoseConfig(backbone_config=backbone, use_simple_decoder=False, id2label=dict(enumerate(NAMES)))
    model = VitPoseForPoseEstimation(config)
    wanted = dict(model.state_dict())
    for index, name in enumerate(OTHERS):
        for key, value in model.head.state_dict().items():
            if key.startswith("conv."):
                value = torch.randn(133, *value.shape[1:])
            wanted[f"associate_heads.{index}.{key}"] = value.clone() + index + 1
    theirs = {"backbone.cls_token": torch.zeros(1, 1, 24)}
    for key, value in wanted.items():
        if ".attention.attention." in key:
            before, part = re.fullmatch(r"(.*)attention\.attention\.(?:query|key|value)\.(.*)", key).groups()
            parts = [wanted[f"{before}attention.attention.{name}.{part}"] for name in ("query", "key", "value")]
            key, value = f"{before}attn.qkv.{part}", torch.cat(parts)
        for old, new in reversed(RENAMED):
            # `associate_heads` ends as `head` begins; `layernorm` begins as `layernorm_before` does.
            if old == "keypoint_head":
                key = re.sub(r"^head\.", "keypoint_head.", key)
            elif old == "last_norm":
                key = key.replace("backbone.layernorm.", "backbone.last_norm.")
            else:
                key = key.replace(new, old)
        theirs[key] = value
    with tempfile.TemporaryDirectory() as folder:
        write(theirs, Path(folder), configuration(converted(theirs), heads=3))
        found = load_file(Path(folder) / "model.safetensors")
    assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
    for key, value in found.items():
        assert torch.equal(value, wanted[key][: len(value)] if value.ndim else wanted[key]), key
    counts = [len(found[f"associate_heads.{index}.conv.bias"]) for index in range(5)]
    assert counts == [14, 16, 17, 17, 133], counts
    print(f"{len(theirs)} tensors of theirs make {len(found)} of ours; every value is there")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        check()
    else:
        write(torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)["state_dict"], arguments.out)
