"""Turns a CTranslate2 Whisper folder (model.bin, as faster-whisper uses) into a Hugging Face snapshot.

    python tests/reference/ct2_to_hf.py CT2_FOLDER OUT_FOLDER [--dtype float16|float32]
"""

import argparse
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor

# CTranslate2's DataType enumeration; 5 (bfloat16) has no numpy type.
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_model_bin(path: Path) -> dict[str, np.ndarray]:
    """Variables of a model.bin of binary version 6; int8 weights are multiplied out, aliases are followed."""
    data, position = path.read_bytes(), 0

    def take(form: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from("<" + form, data, position)
        position += struct.calcsize("<" + form)
        return value

    def text() -> str:
        nonlocal position
        length = take("H")
        value = data[position : position + length - 1].decode()
        position += length
        return value

    version, name, revision = take("I"), text(), take("I")
    assert version == 6 and name == "WhisperSpec", (version, name, revision)
    variables: dict[str, np.ndarray] = {}
    for _ in range(take("I")):
        key = text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        variables[key] = np.frombuffer(data, TYPES[kind], size // np.dtype(TYPES[kind]).itemsize, position)
        variables[key] = variables[key].reshape(shape)
        position += size
    for _ in range(take("I")):
        alias, target = text(), text()
        for key in [k for k in variables if k == target or k.startswith(target + "/")]:
            variables[alias + key[len(target) :]] = variables[key]
    assert position == len(data)
    for key in [k for k in variables if k.endswith("_scale")]:
        weight, scale = variables.get(key.removesuffix("_scale")), variables[key]
        if weight is not None and weight.dtype == np.int8:
            rows = weight.astype(np.float32).reshape(weight.shape[0], -1) / scale[:, None]
            variables[key.removesuffix("_scale")] = rows.reshape(weight.shape)
    return variables


def count(variables: dict[str, np.ndarray], prefix: str) -> int:
    start = prefix + "/layer_"
    return len({key.split("/")[1] for key in variables if key.startswith(start) and key[len(start)].isdigit()})


def to_state_dict(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """CTranslate2's names and fused projections as transformers' names."""
    out: dict[str, np.ndarray] = {}

    def linear(target: str, weight: np.ndarray, bias: np.ndarray | None) -> None:
        out[target + ".weight"] = weight
        # transformers has no bias on the keys, CTranslate2 stores zeros in the fused projection.
        if bias is not None and not target.endswith("k_proj"):
            out[target + ".bias"] = bias

    def norm(target: str, source: str) -> None:
        out[target + ".weight"], out[target + ".bias"] = variables[source + "/gamma"], variables[source + "/beta"]

    def fused(target: str, source: str, names: list[str]) -> None:
        weights = np.split(variables[source + "/weight"], len(names))
        biases = np.split(variables[source + "/bias"], len(names))
        for name, weight, bias in zip(names, weights, biases):
            assert name != "k_proj" or not bias.any()
            linear(f"{target}.{name}", weight, bias)

    def plain(target: str, source: str) -> None:
        linear(target, variables[source + "/weight"], variables[source + "/bias"])

    for part in ("encoder", "decoder"):
        model = f"model.{part}"
        norm(f"{model}.layer_norm", f"{part}/layer_norm")
        out[f"{model}.embed_positions.weight"] = variables[f"{part}/position_encodings/encodings"]
        for i in range(count(variables, part)):
            source, target = f"{part}/layer_{i}", f"{model}.layers.{i}"
            fused(f"{target}.self_attn", f"{source}/self_attention/linear_0", ["q_proj", "k_proj", "v_proj"])
            plain(f"{target}.self_attn.out_proj", f"{source}/self_attention/linear_1")
            norm(f"{target}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
            plain(f"{target}.fc1", f"{source}/ffn/linear_0")
            plain(f"{target}.fc2", f"{source}/ffn/linear_1")
            norm(f"{target}.final_layer_norm", f"{source}/ffn/layer_norm")
            if part == "decoder":
                plain(f"{target}.encoder_attn.q_proj", f"{source}/attention/linear_0")
                fused(f"{target}.encoder_attn", f"{source}/attention/linear_1", ["k_proj", "v_proj"])
                plain(f"{target}.encoder_attn.out_proj", f"{source}/attention/linear_2")
                norm(f"{target}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
    for conv in ("conv1", "conv2"):
        plain(f"model.encoder.{conv}", f"encoder/{conv}")
    out["model.decoder.embed_tokens.weight"] = variables["decoder/embeddings/weight"]
    return out


def build_config(variables: dict[str, np.ndarray], ids: dict[str, int | None]) -> WhisperConfig:
    embedding = variables["decoder/embeddings/weight"]
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    return WhisperConfig(
        vocab_size=embedding.shape[0],
        num_mel_bins=variables["encoder/conv1/weight"].shape[1],
        d_model=embedding.shape[1],
        encoder_layers=count(variables, "encoder"),
        decoder_layers=count(variables, "decoder"),
        encoder_attention_heads=int(variables["encoder/num_heads"]),
        decoder_attention_heads=int(variables["decoder/num_heads"]),
        encoder_ffn_dim=variables["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        decoder_ffn_dim=variables["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        max_source_positions=variables["encoder/position_encodings/encodings"].shape[0],
        max_target_positions=variables["decoder/position_encodings/encodings"].shape[0],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        begin_suppress_tokens=[220, end],
        architectures=["WhisperForConditionalGeneration"],
    )


def build_generation(settings: dict, config: WhisperConfig, ids: dict[str, int | None]) -> GenerationConfig:
    multilingual = config.vocab_size >= 51865
    extra = {}
    if multilingual:
        names = [name for name in ids if len(name) in (6, 7) and ids[name] in settings["lang_ids"]]
        extra["lang_to_id"] = {name: ids[name] for name in names}
        extra["task_to_id"] = {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]}
    return GenerationConfig(
        alignment_heads=settings["alignment_heads"],
        suppress_tokens=settings["suppress_ids"],
        begin_suppress_tokens=settings["suppress_ids_begin"],
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        is_multilingual=multilingual,
        max_initial_timestamp_index=50,
        max_length=config.max_target_positions,
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        return_timestamps=False,
        **extra,
    )


def convert(source: Path, target: Path, dtype: torch.dtype) -> None:
    variables = read_model_bin(source / "model.bin")
    ids = Tokenizer.from_file(str(source / "tokenizer.json")).get_vocab(with_added_tokens=True)
    config = build_config(variables, ids)
    config.dtype = dtype
    target.mkdir(parents=True, exist_ok=True)
    state = {name: torch.from_numpy(value.copy()).to(dtype) for name, value in to_state_dict(variables).items()}
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(target)
    build_generation(json.loads((source / "config.json").read_text()), config, ids).save_pretrained(target)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(target)
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")
    settings = {"tokenizer_class": "WhisperTokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    settings |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    arguments = parser.parse_args()
    convert(arguments.source, arguments.target, getattr(torch, arguments.dtype))


if __name__ == "__main__":
    main()
