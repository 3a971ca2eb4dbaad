"""What transformers and faster-whisper make of real recordings with real weights, as JSON files.

Not part of the fixtures (recordings and weights stay outside the repository); for trials and for docs/performance.md.

    python tests/reference/real_speech.py --hf HF_FOLDER --ct2 CT2_FOLDER --out OUT_FOLDER AUDIO...
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer
from transformers.utils import logging


def with_transformers(folder: Path, waveform: np.ndarray) -> dict:
    """Greedy and beam 5 on one 30 s window, with and without timestamps, and the start of every token."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    tokenizer = WhisperTokenizer.from_pretrained(folder)
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.generation_config.output_scores = True
    inputs = extractor(waveform, sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
    features, mask = inputs["input_features"], inputs["attention_mask"]
    with torch.no_grad():
        hidden = model.model.encoder(features).last_hidden_state
        start = torch.tensor([[model.generation_config.decoder_start_token_id]])
        logits = model(encoder_outputs=(hidden,), decoder_input_ids=start).logits[0, 0]
    out = {
        "no_speech_probability": logits.softmax(dim=-1)[model.generation_config.no_timestamps_token_id - 1].item(),
        "checksums": {"input_features_sum": features.sum().item(), "encoder_abs_mean": hidden.abs().mean().item()},
    }
    for name, options in {
        "greedy": dict(),
        "greedy_timestamps": dict(return_timestamps=True),
        "beam5": dict(num_beams=5),
        "beam5_timestamps": dict(num_beams=5, return_timestamps=True),
    }.items():
        result = model.generate(
            features, force_unique_generate_call=True, return_dict_in_generate=True, attention_mask=mask, **options
        )
        ids = result.sequences[0].tolist()
        out[name] = {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=True)}
        if "num_beams" in options:
            out[name]["sequences_score"] = result.sequences_scores[0].item()
    for name, options in {"greedy": dict(), "greedy_timestamps": dict(return_timestamps=True)}.items():
        result = model.generate(
            features,
            return_token_timestamps=True,
            return_dict_in_generate=True,
            force_unique_generate_call=True,
            attention_mask=mask,
            **options,
        )
        ids = result["sequences"][0].tolist()
        seconds = [round(second, 2) for second in result["token_timestamps"][0].tolist()]
        pairs = zip(tokenizer.convert_ids_to_tokens(ids), ids, seconds)
        out[f"token_timestamps_{name}"] = [{"token": t, "id": i, "start": s} for t, i, s in pairs]
    return out


def with_faster_whisper(folder: Path, waveform: np.ndarray) -> dict:
    """Segments and words as the peers report them (f32 arithmetic)."""
    model = WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=2)
    out = {}
    for beams in (1, 5):
        segments, _ = model.transcribe(waveform, beam_size=beams, word_timestamps=True)
        out[f"beam{beams}"] = [
            {
                "start": segment.start,
                "end": segment.end,
                "text": segment.text,
                "tokens": segment.tokens,
                "avg_logprob": segment.avg_logprob,
                "no_speech_prob": segment.no_speech_prob,
                "compression_ratio": segment.compression_ratio,
                "temperature": segment.temperature,
                "words": [
                    {"start": float(w.start), "end": float(w.end), "word": w.word, "probability": float(w.probability)}
                    for w in segment.words
                ],
            }
            for segment in segments
        ]
        segments, _ = model.transcribe(waveform, beam_size=beams)
        out[f"beam{beams}_no_words"] = [{"start": s.start, "end": s.end, "text": s.text} for s in segments]
    return out


def main() -> None:
    logging.set_verbosity_error()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hf", type=Path, required=True)
    parser.add_argument("--ct2", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("audio", type=Path, nargs="+")
    arguments = parser.parse_args()
    for audio in arguments.audio:
        waveform = decode_audio(str(audio), sampling_rate=16_000)
        out = {
            "audio": audio.name,
            "seconds": len(waveform) / 16_000,
            "transformers": with_transformers(arguments.hf, waveform),
            "faster_whisper": with_faster_whisper(arguments.ct2, waveform),
        }
        path = arguments.out / f"reference-{audio.name.replace('.', '-')}.json"
        path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")
        print(path, out["transformers"]["beam5"]["text"])


if __name__ == "__main__":
    main()
