"""The tiny model of whisper.py as CTranslate2 folders, written to tests/golden/whisper-ct2/.

The converter is CTranslate2's own. float32 holds the very weights of whisper/f32 and float16 those of whisper/f16, so
those fixtures hold for them; int8 gets outputs of its own, computed by transformers from the multiplied-out weights.

    python tests/reference/whisper_ct2.py        # after whisper.py
"""

import json
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import torch
from ctranslate2.converters import TransformersConverter
from safetensors.torch import load_file, save_file
from transformers import WhisperForConditionalGeneration
from transformers.utils import logging

import ct2_to_hf
import whisper as tiny
import whisper_outputs as outputs

SOURCE = tiny.OUT
OUT = SOURCE.parent / "whisper-ct2"


def convert(name: str) -> Path:
    folder = OUT / name
    copied = ["tokenizer.json", "preprocessor_config.json"]
    converter = TransformersConverter(str(SOURCE / "f32"), copy_files=copied, load_as_float16=False)
    converter.convert(str(folder), quantization=name, force=True)
    return folder


def restored(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a converted folder under transformers' names, f32."""
    state = ct2_to_hf.to_state_dict(ct2_to_hf.read_model_bin(folder / "model.bin"))
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()}


def check_weights(folder: Path, original: Path) -> None:
    expected, found = load_file(original / "model.safetensors"), restored(folder)
    assert expected.keys() == found.keys(), expected.keys() ^ found.keys()
    for name, value in expected.items():
        assert torch.equal(value.float(), found[name]), name


def reference_outputs(folder: Path) -> dict[str, torch.Tensor]:
    model = WhisperForConditionalGeneration.from_pretrained(SOURCE / "f32", attn_implementation="eager").eval()
    missing, unexpected = model.load_state_dict(restored(folder), strict=False)
    assert not unexpected and missing == ["proj_out.weight"], (missing, unexpected)
    features = load_file(SOURCE / "f32" / "fixture.safetensors")["input_features"]
    cases = tiny.run_cases(model, features, ["greedy", "greedy_timestamps"])
    assert tiny.stable(model, features, list(cases), cases)
    forward = outputs.forward_tensors(model, features, tiny.forced_ids(cases["greedy"]))
    kept = ["decoder_input_ids", "encoder_last_hidden_state", "logits"]
    return {name: forward[name] for name in kept} | tiny.case_tensors(cases)


def ctranslate2_outputs(folder: Path) -> dict:
    """What CTranslate2 itself decodes (its beam search ends earlier than transformers' and scores otherwise)."""
    model = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    features = load_file(SOURCE / "f32" / "fixture.safetensors")["input_features"].numpy()
    view = ctranslate2.StorageView.from_array(features)
    out = {}
    for name, prompt, beams in [
        ("greedy", [301, 302, 306, 310], 1),
        ("greedy_timestamps", [301, 302, 306], 1),
        ("beam5", [301, 302, 306, 310], 5),
        ("beam5_timestamps", [301, 302, 306], 5),
    ]:
        results = model.generate(view, [prompt] * 2, beam_size=beams, max_length=64, return_scores=True)
        out[name] = [{"ids": r.sequences_ids[0], "score": r.scores[0]} for r in results]
    return out


def main() -> None:
    logging.set_verbosity_error()
    torch.use_deterministic_algorithms(True)
    names = ("float32", "float16", "int8")
    for name in names:
        shutil.rmtree(OUT / name, ignore_errors=True)
    folders = {name: convert(name) for name in names}
    check_weights(folders["float32"], SOURCE / "f32")
    check_weights(folders["float16"], SOURCE / "f16")
    save_file(
        {k: v.contiguous() for k, v in reference_outputs(folders["int8"]).items()},
        folders["int8"] / "fixture.safetensors",
    )
    decoded = ctranslate2_outputs(folders["float32"])
    (OUT / "float32" / "ctranslate2.json").write_text(json.dumps(decoded, indent=1) + "\n")
    for file in OUT.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            assert file.stat().st_size < 1_000_000, file


if __name__ == "__main__":
    main()
