"""Tiny Whisper checkpoints and what transformers computes with them, written to tests/golden/whisper/.

    python tests/reference/whisper.py            # rewrites every folder
    python tests/reference/whisper.py --search   # looks for seeds that meet `interesting`
"""

import copy
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import WhisperForConditionalGeneration
from transformers.utils import logging

import whisper_model as tiny
import whisper_outputs as outputs
from whisper_model import VOCABULARY

OUT = Path(__file__).resolve().parents[1] / "golden" / "whisper"
HEADS = [[0, 1], [1, 0], [1, 2]]
MEL128 = dict(num_mel_bins=128, d_model=32, encoder_layers=4, encoder_attention_heads=2, encoder_ffn_dim=72)
MEL128 |= dict(decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=56)
MEL128_HEADS = [[0, 0], [0, 3]]
SEED, MEL128_SEED = 0, 161
PROMPT = [VOCABULARY.start_of_previous, 34, 85, 260, 271, 11]
ENGLISH = dict(language="en", task="transcribe")
TIMES = dict(return_timestamps=True)
GREEDY = {
    "greedy": ENGLISH,
    "greedy_timestamps": ENGLISH | TIMES,
    "greedy_translate": dict(language="de", task="translate"),
    "greedy_detect": dict(task="transcribe"),
    "greedy_prompt": ENGLISH | dict(prompt_ids=torch.tensor(PROMPT)),
    "greedy_prompt_timestamps": ENGLISH | TIMES | dict(prompt_ids=torch.tensor(PROMPT)),
}
BEAM = {
    "beam5": ENGLISH | dict(num_beams=5),
    "beam5_timestamps": ENGLISH | TIMES | dict(num_beams=5),
    "beam3": ENGLISH | dict(num_beams=3),
    "beam3_timestamps": ENGLISH | TIMES | dict(num_beams=3),
    "beam5_short": ENGLISH | dict(num_beams=5, length_penalty=0.4),
    "beam5_long": ENGLISH | TIMES | dict(num_beams=5, length_penalty=1.7),
}
ESSENTIAL = ["greedy", "greedy_timestamps", "beam5", "beam5_timestamps"]


def run_cases(model: WhisperForConditionalGeneration, features: torch.Tensor, names: list[str]) -> dict:
    return {name: outputs.generate(model, features, **(GREEDY | BEAM)[name]) for name in names}


def perturbed(model: WhisperForConditionalGeneration, seed: int) -> WhisperForConditionalGeneration:
    """The same model with every weight off by a few parts in 1e5, far more than a correct port differs."""
    other, random = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter *= 1.0 + 3e-5 * torch.randn(parameter.shape, generator=random)
    return other


def stable(model: WhisperForConditionalGeneration, features: torch.Tensor, names: list[str], cases: dict) -> bool:
    """Whether the sequences do not hang on rounding."""
    for seed in (1, 2):
        again = run_cases(perturbed(model, seed), features, names)
        if any(not torch.equal(again[name].sequences, cases[name].sequences) for name in names):
            return False
    return True


def lengths(sequences: torch.Tensor) -> list[int]:
    return [(row[1:] != VOCABULARY.end).sum().item() for row in sequences]


def interesting(model: WhisperForConditionalGeneration, features: torch.Tensor) -> bool:
    """Items end at different steps, times come in pairs, beams beat the greedy choice, nothing is a near tie."""
    first = run_cases(model, features, ["greedy", "greedy_timestamps"])
    for result in first.values():
        counts = lengths(result.sequences)
        if abs(counts[0] - counts[1]) < 3 or min(counts) < 8 or max(counts) > 45:
            return False
        if outputs.greedy_margin(result) < 0.01:
            return False
    generated = first["greedy_timestamps"].sequences[:, 3:]
    times = generated >= VOCABULARY.first_timestamp
    if not (times[:, :-1] & times[:, 1:] & (generated[:, 1:] > VOCABULARY.first_timestamp)).any():
        return False
    beams = run_cases(model, features, ["beam5", "beam5_timestamps"])
    for name, result in beams.items():
        width = min(result.sequences.shape[1], first[name.replace("beam5", "greedy")].sequences.shape[1])
        if torch.equal(result.sequences[:, :width], first[name.replace("beam5", "greedy")].sequences[:, :width]):
            return False
        if min(lengths(result.sequences)) < 6:
            return False
    return stable(model, features, ESSENTIAL, first | beams)


def search(overrides: dict, heads: list[list[int]]) -> int:
    for seed in range(2000):
        config = tiny.configuration(**overrides)
        model = tiny.random_model(config, heads, seed)
        if interesting(model, tiny.input_features(config, 2, seed + 1000)):
            return seed
    raise SystemExit("no seed found")


def case_tensors(cases: dict) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, result in cases.items():
        tensors[f"{name}.sequences"] = result.sequences
        if name in BEAM:
            tensors[f"{name}.sequences_scores"] = result.sequences_scores
        else:
            tensors[f"{name}.average_log_probability"] = outputs.average_log_probability(result)
            print(f"  {name}: {lengths(result.sequences)}, margin {outputs.greedy_margin(result):.3f}")
    return tensors


def save_fixture(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    path = folder / "fixture.safetensors"
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path)
    for file in folder.iterdir():
        file.chmod(0o644)
        assert file.stat().st_size < 1_000_000, file


def forced_ids(result) -> torch.Tensor:
    """The first nine ids of the greedy sequences, prompt included, as input of the teacher-forced decoder."""
    return result.sequences[:, :9].clone()


def full(folder: Path, overrides: dict, heads: list[list[int]], seed: int, names: list[str]):
    config = tiny.configuration(**overrides)
    model = tiny.random_model(config, heads, seed)
    features = tiny.input_features(config, 2, seed + 1000)
    assert interesting(model, features), "run with --search and change the seed"
    cases = run_cases(model, features, names)
    assert stable(model, features, names, cases), "a sequence hangs on rounding"
    tensors = outputs.forward_tensors(model, features, forced_ids(cases["greedy"]))
    tensors |= outputs.language_tensors(model, features) | case_tensors(cases)
    tensors |= outputs.alignment_tensors(model, features, [200, 151])
    tiny.save_snapshot(model, folder)
    return model, features, tensors


def half(source: Path, folder: Path, dtype: torch.dtype, features: torch.Tensor, shard_size: str = "50MB") -> None:
    """The same weights rounded to 16 bits; outputs are computed in f32 from the rounded weights."""
    config = WhisperForConditionalGeneration.from_pretrained(source, dtype=torch.float32)
    rounded = config.to(dtype)
    tiny.save_snapshot(rounded, folder, shard_size)
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    names = ["greedy", "greedy_timestamps", "beam5"]
    cases = run_cases(model.eval(), features, names)
    assert stable(model, features, names, cases)
    forward = outputs.forward_tensors(model, features, forced_ids(cases["greedy"]))
    kept = ["decoder_input_ids", "encoder_last_hidden_state", "logits"]
    save_fixture(folder, {name: forward[name] for name in kept} | case_tensors(cases))


def main() -> None:
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    if "--search" in sys.argv:
        print("seeds", search({}, HEADS), search(MEL128, MEL128_HEADS))
        return
    print("f32")
    _, features, tensors = full(OUT / "f32", {}, HEADS, SEED, list(GREEDY | BEAM))
    save_fixture(OUT / "f32", tensors | outputs.warping_tensors(7))
    print("mel128")
    _, _, tensors = full(OUT / "mel128", MEL128, MEL128_HEADS, MEL128_SEED, ESSENTIAL)
    save_fixture(OUT / "mel128", tensors)
    print("f16, bf16, sharded")
    half(OUT / "f32", OUT / "f16", torch.float16, features)
    half(OUT / "f32", OUT / "bf16", torch.bfloat16, features)
    half(OUT / "f32", OUT / "sharded", torch.float16, features, shard_size="200KB")
    total = sum(file.stat().st_size for file in OUT.rglob("*") if file.is_file())
    print(json.dumps({"total_bytes": total}))


if __name__ == "__main__":
    main()
