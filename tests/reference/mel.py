"""Reference log-mel spectrograms, written to tests/golden/mel/.

`transformers.WhisperFeatureExtractor` has two implementations: `_torch_extract_fbank_features` (f32 STFT,
what `__call__` uses whenever torch is installed) and `_np_extract_fbank_features` (f64 STFT). Both are saved, so
that the tolerance between the two is known. The window is 2 s here instead of 30 s to keep the files small; nothing
in the extractor depends on the length.

    python tests/reference/mel.py
"""

import json
import math
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from transformers import WhisperFeatureExtractor

OUT = Path(__file__).resolve().parents[1] / "golden" / "mel"
SAMPLING_RATE = 16_000
CHUNK_SECONDS = 2
WINDOW = CHUNK_SECONDS * SAMPLING_RATE


def speech_like(samples: int, seed: int) -> np.ndarray:
    """A gliding voiced tone with six harmonics, an envelope of syllables and a floor of noise; int16."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / SAMPLING_RATE
    fundamental = 110.0 + 40.0 * np.sin(2 * math.pi * 0.7 * time)
    phase = 2 * math.pi * np.cumsum(fundamental) / SAMPLING_RATE
    voice = sum(np.sin(phase * k) / k for k in range(1, 7))
    chirp = np.sin(2 * math.pi * (200.0 * time + 1700.0 * time**2))
    envelope = np.clip(np.sin(2 * math.pi * 3.1 * time), 0.0, None)
    signal = 0.22 * voice * envelope + 0.1 * chirp + 0.01 * random.standard_normal(samples)
    return np.clip(np.round(signal * 32767.0), -32768, 32767).astype(np.int16)


def signals() -> dict[str, np.ndarray]:
    full_scale = np.where(np.arange(WINDOW) // 40 % 2 == 0, 32767, -32768).astype(np.int16)
    return {
        "exact": speech_like(WINDOW, 1),  # exactly the window
        "short": speech_like(12_345, 2),  # shorter than the window, not a multiple of the hop
        "long": speech_like(WINDOW + 4_321, 4),  # longer than the window: cut
        "tiny": speech_like(150, 5),  # shorter than one STFT frame and even than one hop
        "silence": np.zeros(WINDOW, dtype=np.int16),  # digital silence
        "quiet": (speech_like(WINDOW, 6) // 4096).astype(np.int16),  # a few steps of quantisation
        "full_scale": full_scale,  # a square wave of +-32768, 200 Hz
    }


def extract(extractor: WhisperFeatureExtractor, waveform: np.ndarray, path: str) -> np.ndarray:
    """Runs the whole `__call__` (padding and cutting included) through the torch or the numpy path."""
    implementation = {
        "torch": extractor._torch_extract_fbank_features,
        "numpy": extractor._np_extract_fbank_features,
    }[path]
    original = extractor._torch_extract_fbank_features
    extractor._torch_extract_fbank_features = implementation
    try:
        features = extractor(waveform, sampling_rate=SAMPLING_RATE, return_tensors="np")["input_features"]
    finally:
        extractor._torch_extract_fbank_features = original
    return np.ascontiguousarray(features[0], dtype=np.float32)


def unpadded(extractor: WhisperFeatureExtractor, waveform: np.ndarray) -> np.ndarray:
    """The spectrogram of a whole recording without padding or cutting, as long-form decoding asks for it."""
    features = extractor(
        waveform, sampling_rate=SAMPLING_RATE, return_tensors="np", truncation=False, padding="longest"
    )["input_features"]
    return np.ascontiguousarray(features[0], dtype=np.float32)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    inputs = signals()
    save_file({f"pcm.{name}": pcm for name, pcm in inputs.items()}, OUT / "signals.safetensors")
    difference = {}
    for bins in (80, 128):
        extractor = WhisperFeatureExtractor(feature_size=bins, chunk_length=CHUNK_SECONDS)
        filters = np.ascontiguousarray(extractor.mel_filters.T, dtype=np.float32)
        outputs = {"mel_filters": filters}
        for name, pcm in inputs.items():
            if bins == 128 and name in ("quiet", "full_scale", "long"):
                continue  # these do not depend on the filter bank; the file stays under 1 MB
            waveform = pcm.astype(np.float32) / 32768.0
            outputs[f"torch.{name}"] = extract(extractor, waveform, "torch")
            # The numpy path differs from torch's by rounding only; it is kept where that rounding is largest.
            numpy_features = extract(extractor, waveform, "numpy")
            difference[f"{bins}.{name}"] = float(np.abs(numpy_features - outputs[f"torch.{name}"]).max())
            if name == "exact":
                outputs[f"numpy.{name}"] = numpy_features
        outputs["unpadded.long"] = unpadded(extractor, inputs["long"].astype(np.float32) / 32768.0)
        save_file(outputs, OUT / f"mel{bins}.safetensors")
    print(json.dumps(difference, indent=1))


if __name__ == "__main__":
    main()
