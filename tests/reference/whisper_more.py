"""More of the tiny f32 model of whisper.py: long recordings, English-only decoding, real sound, words.

    python tests/reference/whisper_more.py       # after mel.py and whisper.py; writes to tests/golden/whisper/f32/
"""

import copy
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer
from transformers.models.whisper.tokenization_whisper import _combine_tokens_into_words
from transformers.utils import logging

import whisper as tiny
import whisper_model
import whisper_outputs as outputs

FOLDER = tiny.OUT / "f32"
MEL = tiny.OUT.parent / "mel"
LONG_FRAMES = 520  # 2.6 windows of 200 frames, the last one partly empty
LONG_SEED = 110  # all three transcripts survive noise on the weights and cut windows in the middle
LONG_CASES = {
    "plain": dict(),
    "conditioned": dict(condition_on_prev_tokens=True),
    "prompted": dict(condition_on_prev_tokens=True, prompt_ids=torch.tensor(tiny.PROMPT)),
}
TEXTS = {
    "english": [
        " Ever tried. Ever failed. No matter. \"Try again,\" he said (twice) - don't fail.",
        " The café costs 3.50€ … “can you?” and so on",
        "Ask what your country can do",
    ],
    "chinese": ["你好，世界。 can you", " 试 again"],
}


def transcribe_long(model, features: torch.Tensor, options: dict) -> dict:
    """Segments of transformers' long-form decoding and the frame at which every window began."""
    starts: list[int] = []
    result = model.generate(
        features,
        generation_config=copy.deepcopy(model.generation_config),
        return_timestamps=True,
        return_segments=True,
        temperature=0.0,
        monitor_progress=lambda progress: starts.append(int(progress[0, 0])),
        **tiny.ENGLISH,
        **options,
    )
    segments = [
        {"start": float(s["start"]), "end": float(s["end"]), "tokens": s["tokens"].tolist()}
        for s in result["segments"][0]
    ]
    return {"window_starts": starts, "segments": segments}


def long_form(model) -> None:
    features = whisper_model.input_features(model.config, 1, LONG_SEED, LONG_FRAMES)
    cases = {name: transcribe_long(model, features, options) for name, options in LONG_CASES.items()}
    for seed in (1, 2):
        other = tiny.perturbed(model, seed)
        again = {name: transcribe_long(other, features, options) for name, options in LONG_CASES.items()}
        assert again == cases, "a long transcript hangs on rounding: change LONG_SEED"
    assert all(len(case["window_starts"]) > 3 for case in cases.values()), "no window is cut at a timestamp"
    save_file({"input_features": features}, FOLDER / "longform.safetensors")
    (FOLDER / "longform.json").write_text(json.dumps(cases, indent=1) + "\n")
    for name, case in cases.items():
        print(name, case["window_starts"], [len(s["tokens"]) for s in case["segments"]])


def english_only(model, features: torch.Tensor) -> None:
    """The same weights with the generation config of an English-only checkpoint: no language, no task."""
    english = copy.deepcopy(model)
    config = english.generation_config
    config.is_multilingual = False
    del config.lang_to_id, config.task_to_id
    config.to_json_file(FOLDER / "generation_config.english.json")
    tensors = {}
    for name, options in {
        "greedy": dict(),
        "greedy_timestamps": tiny.TIMES,
        "beam5": dict(num_beams=5),
    }.items():
        result = outputs.generate(english, features, **options)
        for seed in (1, 2):
            other = outputs.generate(tiny.perturbed(english, seed), features, **options)
            assert torch.equal(other.sequences, result.sequences), name
        tensors[f"{name}.sequences"] = result.sequences
        print("english", name, tiny.lengths(result.sequences))
    save_file(tensors, FOLDER / "english.safetensors")


def sound(model) -> None:
    """From samples to tokens: the recordings of tests/golden/mel through extractor and model."""
    extractor = WhisperFeatureExtractor.from_pretrained(FOLDER)
    recordings = load_file(MEL / "signals.safetensors")
    tensors = {}
    for name in ("exact", "short", "silence"):
        waveform = recordings[f"pcm.{name}"].numpy().astype(np.float32) / 32768.0
        features = extractor(waveform, sampling_rate=16_000, return_tensors="pt")["input_features"]
        hidden = model.model.encoder(features).last_hidden_state
        result = outputs.generate(model, features, **tiny.ENGLISH)
        print("sound", name, tiny.lengths(result.sequences), f"margin {outputs.greedy_margin(result):.3f}")
        tensors[f"{name}.encoder_last_hidden_state"] = hidden.detach()
        if outputs.greedy_margin(result) > 0.01:  # else the mel front end's rounding might decide
            tensors[f"{name}.sequences"] = result.sequences
    save_file(tensors, FOLDER / "sound.safetensors")


def words() -> None:
    """Tokens of texts, and the words into which transformers groups them for word timestamps."""
    tokenizer = WhisperTokenizer.from_pretrained(FOLDER)
    cases = []
    for language, texts in TEXTS.items():
        for text in texts:
            ids = tokenizer(text, add_special_tokens=False).input_ids
            assert tokenizer.decode(ids) == text
            found, tokens, _ = _combine_tokens_into_words(tokenizer, ids, language)
            cases.append({"language": language, "text": text, "ids": ids, "words": found, "word_ids": tokens})
    (FOLDER / "words.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    logging.set_verbosity_error()
    torch.use_deterministic_algorithms(True)
    model = WhisperForConditionalGeneration.from_pretrained(FOLDER, attn_implementation="eager").eval()
    with torch.no_grad():
        long_form(model)
        english_only(model, load_file(FOLDER / "fixture.safetensors")["input_features"])
        sound(model)
    words()
    for file in FOLDER.iterdir():
        Path.chmod(file, 0o644)
        assert file.stat().st_size < 1_000_000, file


if __name__ == "__main__":
    main()
