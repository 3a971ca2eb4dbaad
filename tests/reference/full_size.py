"""Whisper at its published size with random weights: percept's `--raw` against transformers.

    python tests/reference/full_size.py --percept target/release/percept [--size tiny|base|small|large-v3-turbo]

Builds a snapshot in a temporary folder (config, weights, preprocessor, tokenizer), makes a sound, runs
`percept transcribe SOUND --model DIR --no-vad --raw OUT.safetensors` on it and compares `input_features`,
`encoder_last_hidden_state`, the first step's `logits` and the greedy `sequences`. Exit code 1 when one is off.
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.models.whisper.tokenization_whisper import LANGUAGES
from transformers.utils import logging

from mel import speech_like

TOLERANCE = 2e-4  # of the largest reference value
TEXT_TOKENS = 50257
# d_model, encoder layers, decoder layers, heads, mel bins, languages
SIZES = {
    "tiny": (384, 4, 4, 6, 80, 99),
    "base": (512, 6, 6, 8, 80, 99),
    "small": (768, 12, 12, 12, 80, 99),
    "large-v3-turbo": (1280, 32, 4, 20, 128, 100),
}


def special_names(languages: int) -> list[str]:
    tasks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    codes = [f"<|{code}|>" for code in list(LANGUAGES)[:languages]]
    return ["<|endoftext|>", "<|startoftranscript|>"] + codes + tasks


def build_tokenizer(languages: int) -> tuple[Tokenizer, dict[str, int]]:
    """Whisper's numbering with bytes and fillers for text: enough to decode whatever random weights say."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    text = alphabet + [f"filler{i}" for i in range(TEXT_TOKENS - len(alphabet))]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(text)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = special_names(languages)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    tokenizer.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", normalized=False) for i in range(1501)])
    return tokenizer, {name: TEXT_TOKENS + i for i, name in enumerate(names)}


def build_model(size: str, ids: dict[str, int], languages: int) -> WhisperForConditionalGeneration:
    width, encoder_layers, decoder_layers, heads, bins, _ = SIZES[size]
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    config = WhisperConfig(
        vocab_size=TEXT_TOKENS + len(ids) + 1501,
        d_model=width,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        num_mel_bins=bins,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        architectures=["WhisperForConditionalGeneration"],
    )
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "model.encoder.embed_positions.weight":
                continue
            noise = torch.randn_like(parameter)
            if "layer_norm.weight" in name:
                parameter.copy_(1.0 + 0.2 * noise)
            elif parameter.ndim == 1:
                parameter.copy_(0.1 * noise)
            elif "embed" in name:
                parameter.copy_((0.8 if "positions" in name else 0.3) * noise)
            else:
                parameter.copy_(1.3 * noise / parameter[0].numel() ** 0.5)
    model.generation_config = GenerationConfig(
        suppress_tokens=[1, 2, 7, start, ids["<|startoflm|>"], ids["<|startofprev|>"], ids["<|nospeech|>"]],
        begin_suppress_tokens=[220, end],
        alignment_heads=[[decoder_layers - 1, 0], [decoder_layers - 1, heads - 1]],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": ids[f"<|{code}|>"] for code in list(LANGUAGES)[:languages]},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        max_initial_timestamp_index=50,
        max_length=448,
        return_timestamps=False,
    )
    return model


def build_snapshot(size: str, folder: Path) -> WhisperForConditionalGeneration:
    languages = SIZES[size][-1]
    tokenizer, ids = build_tokenizer(languages)
    model = build_model(size, ids, languages)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    WhisperFeatureExtractor(feature_size=model.config.num_mel_bins).save_pretrained(folder)
    return model


def reference(model: WhisperForConditionalGeneration, waveform, timestamps: bool, tokens: int) -> dict:
    """The same tensors from transformers, and how far each greedy choice led."""
    extractor = WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
    features = extractor(waveform, sampling_rate=16_000, return_tensors="pt")["input_features"]
    config = copy.deepcopy(model.generation_config)
    config.output_scores = True
    with torch.no_grad():
        result = model.generate(
            features,
            generation_config=config,
            language="en",
            task="transcribe",
            return_timestamps=timestamps,
            force_unique_generate_call=True,
            return_dict_in_generate=True,
            max_new_tokens=tokens,
        )
        prompt = result.sequences[:, : result.sequences.shape[1] - len(result.scores)]
        forward = model(features, decoder_input_ids=prompt)
    best = torch.stack(result.scores)[:, 0].topk(2, dim=-1).values
    return {
        "input_features": features,
        "encoder_last_hidden_state": forward.encoder_last_hidden_state,
        "logits": forward.logits[0, -1],
        "generated": result.sequences[0, prompt.shape[1] :].tolist(),
        "prompt": prompt[0].tolist(),
        "leads": (best[:, 0] - best[:, 1]).tolist(),
    }


def compare(expected: dict, raw: dict[str, torch.Tensor]) -> list[dict]:
    rows = []
    for name in ("input_features", "encoder_last_hidden_state", "logits"):
        found, wanted = raw[name].float(), expected[name]
        # `logits` may hold every prompt position or the last one only; the last row is the first step.
        found = found.reshape(-1, found.shape[-1])[-1] if name == "logits" else found.reshape(-1)
        wanted = wanted.reshape(-1)
        same_shape = found.shape == wanted.shape
        error = (found - wanted).abs().max().item() / wanted.abs().max().item() if same_shape else float("inf")
        rows.append({"tensor": name, "shape": list(raw[name].shape), "error": error, "ok": error <= TOLERANCE})
    ids, prompt, wanted = raw["sequences"].reshape(-1).tolist(), expected["prompt"], expected["generated"]
    ids = ids[len(prompt) :] if ids[: len(prompt)] == prompt else ids
    # Behind a near tie the two may rightly part ways.
    tie = 5 * TOLERANCE * expected["logits"].abs().max().item()
    certain = next((i for i, lead in enumerate(expected["leads"]) if lead < tie), len(wanted))
    length = min(len(ids), len(wanted), certain)
    same = ids[:length] == wanted[:length]
    rows.append({"tensor": "sequences", "compared": length, "of": len(wanted), "ok": same and length > 0})
    return rows


def main() -> int:
    logging.set_verbosity_error()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--percept", default="target/release/percept")
    parser.add_argument("--size", choices=list(SIZES), default="tiny")
    parser.add_argument("--seconds", type=float, default=11.3)
    parser.add_argument("--tokens", type=int, default=40, help="greedy tokens to compare")
    parser.add_argument("--without-timestamps", action="store_true", help="percept wrote its raw tensors without them")
    parser.add_argument("arguments", nargs="*", help="passed on to percept after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, sound, raw = (Path(temporary) / name for name in ("model", "sound.wav", "raw.safetensors"))
        model = build_snapshot(arguments.size, folder)
        samples = speech_like(int(arguments.seconds * 16_000), 11)
        soundfile.write(sound, samples, 16_000, subtype="PCM_16")
        command = [arguments.percept, "transcribe", str(sound), "--model", str(folder), "--no-vad", "--raw", str(raw)]
        command += ["--language", "en", "--beam-size", "1", *arguments.arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        waveform = samples.astype("float32") / 32768.0
        expected = reference(model, waveform, not arguments.without_timestamps, arguments.tokens)
        rows = compare(expected, load_file(raw))
    for row in rows:
        print(json.dumps(row))
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
