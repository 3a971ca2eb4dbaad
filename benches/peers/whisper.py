"""Whisper on one recording: faster-whisper, transformers, candle-transformers and percept, timed in one run.

    python benches/peers/whisper.py AUDIO --hf HF_FOLDER --ct2 CT2_FOLDER \
        [--percept target/release/percept] [--candle CARGO_TARGET_DIR/release/candle-whisper]

Models are loaded before the clock starts; every case is run once unmeasured, then the cases take turns for --runs
rounds, so that a noisy moment hits all of them; the median counts. Prints a JSON line, then a table. Ratios are
against percept's case of the same work where --percept is given, else against faster-whisper f32.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

THREADS = int(os.environ.get("PEER_THREADS", "2"))
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before torch and ctranslate2 read it
os.environ["RAYON_NUM_THREADS"] = str(THREADS)

import ctranslate2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from faster_whisper import WhisperModel  # noqa: E402
from faster_whisper.audio import decode_audio  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

# English text without timestamps, by whether the model is multilingual.
PROMPT = {
    False: ["<|startoftranscript|>", "<|notimestamps|>"],
    True: ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"],
}
TASK = {False: {}, True: {"language": "en", "task": "transcribe"}}


@dataclass
class Case:
    """`work` names what is done, so that only equal work is compared; `run` does it once and returns its text."""

    peer: str
    precision: str
    work: str
    run: Callable[[], str]


def faster_whisper_cases(folder: Path, audio: Path) -> list[Case]:
    cases = []
    for precision in ("float32", "int8"):
        model = WhisperModel(str(folder), device="cpu", compute_type=precision, cpu_threads=THREADS)
        features = model.feature_extractor(decode_audio(str(audio)))
        window = np.zeros((1, features.shape[0], 3000), dtype=np.float32)
        window[0, :, : features.shape[1]] = features[:, :3000]

        def encode(model=model, window=window) -> str:
            np.asarray(model.model.encode(ctranslate2.StorageView.from_array(window), to_cpu=True))
            return ""

        def decode(model=model, encoded=model.model.encode(ctranslate2.StorageView.from_array(window))) -> str:
            tokenizer = model.hf_tokenizer
            prompt = [tokenizer.token_to_id(name) for name in PROMPT[model.model.is_multilingual]]
            result = model.model.generate(encoded, [prompt], beam_size=1, max_length=224)[0]
            return tokenizer.decode(result.sequences_ids[0])

        cases.append(Case("faster-whisper", precision, "encoder, 30 s", encode))
        cases.append(Case("faster-whisper", precision, "decoder, greedy", decode))
        for beams in (1, 5):

            def transcribe(model=model, beams=beams) -> str:
                segments, _ = model.transcribe(str(audio), beam_size=beams, temperature=0.0)
                return "".join(segment.text for segment in segments)

            cases.append(Case("faster-whisper", precision, f"file to text, beam {beams}", transcribe))
    return cases


def transformers_cases(folder: Path, audio: Path) -> list[Case]:
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.WhisperTokenizer.from_pretrained(folder)
    cases = []
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        model = transformers.WhisperForConditionalGeneration.from_pretrained(folder, dtype=dtype).eval()

        def prepare(dtype=dtype) -> torch.Tensor:
            waveform = decode_audio(str(audio))
            return extractor(waveform, sampling_rate=16_000, return_tensors="pt")["input_features"].to(dtype)

        window = prepare()

        def encode(model=model, window=window) -> str:
            with torch.no_grad():
                model.model.encoder(window)
            return ""

        def decode(model=model, encoded=(model.model.encoder(window).last_hidden_state.detach(),)) -> str:
            outputs = transformers.modeling_outputs.BaseModelOutput(*encoded)
            ids = model.generate(encoder_outputs=outputs, **TASK[bool(model.generation_config.is_multilingual)])
            return tokenizer.decode(ids[0], skip_special_tokens=True)

        cases.append(Case("transformers", precision, "encoder, 30 s", encode))
        cases.append(Case("transformers", precision, "decoder, greedy", decode))
        for beams in (1, 5):

            def transcribe(model=model, prepare=prepare, beams=beams) -> str:
                # A text of less than 30 s: one call, timestamps as the others decode them.
                ids = model.generate(prepare(), num_beams=beams, return_timestamps=True, force_unique_generate_call=True)
                return tokenizer.decode(ids[0], skip_special_tokens=True)

            cases.append(Case("transformers", precision, f"file to text, beam {beams}", transcribe))
    return cases


def process_cases(arguments: argparse.Namespace) -> list[Case]:
    """Whole processes from a cold start: import or load, decode, transcribe, exit."""

    def process(*command: str) -> Callable[[], str]:
        def run() -> str:
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        return run

    python, audio = sys.executable, str(arguments.audio)
    transcribe = "from faster_whisper import WhisperModel; import sys; " + (
        f"m = WhisperModel(sys.argv[1], device='cpu', compute_type='float32', cpu_threads={THREADS}); "
        "print(''.join(s.text for s in m.transcribe(sys.argv[2], beam_size=5)[0]))"
    )
    whole = "process, file to text, beam 5"
    cases = [
        Case("faster-whisper", "float32", "process, import only", process(python, "-c", "import faster_whisper")),
        Case("transformers", "float32", "process, import only", process(python, "-c", IMPORT_TRANSFORMERS)),
        Case("faster-whisper", "float32", whole, process(python, "-c", transcribe, str(arguments.ct2), audio)),
    ]
    if arguments.percept:
        for precision in ("f32", "int8"):
            command = [arguments.percept, "transcribe", audio, "--model", str(arguments.ct2), "--offline"]
            command += ["--precision", precision, "--threads", str(THREADS)]
            cases.append(Case("percept", precision, whole, process(*command)))
            greedy = process(*command, "--beam-size", "1")
            cases.append(Case("percept", precision, "process, file to text, beam 1", greedy))
    return cases


IMPORT_TRANSFORMERS = "from transformers import WhisperForConditionalGeneration, WhisperProcessor"


def measure(cases: list[Case], rounds: int) -> list[dict]:
    texts = [case.run().strip() for case in cases]
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(rounds):
        for case, samples in zip(cases, times):
            start = time.perf_counter()
            case.run()
            samples.append((time.perf_counter() - start) * 1000.0)
    return [
        {"peer": c.peer, "precision": c.precision, "work": c.work, "text": text}
        | {"ms": statistics.median(samples), "best_ms": min(samples)}
        for c, samples, text in zip(cases, times, texts)
    ]


def own_report(command: list[str], peer: str) -> list[dict]:
    """Rows of a program that times itself and prints `{"precision", "rows": [{"work", "ms"}], ...}`."""
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    report = json.loads(printed)
    precision = report.get("precision", "float32")
    return [{"peer": peer, "precision": precision, "best_ms": None, "text": ""} | row for row in report["rows"]]


def percept_report(binary: str, model: Path, audio: Path, rounds: int) -> list[dict]:
    """percept's own stage times (`percept bench`: one run that is not counted, then medians)."""
    rows = []
    for precision in ("f32", "bf16x3", "bf16", "int8"):
        for beams in (1, 5):
            command = [binary, "bench", str(model), "--input", str(audio), "--offline", "--runs", str(rounds)]
            command += ["--precision", precision, "--beam-size", str(beams), "--threads", str(THREADS)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            report = json.loads(printed)
            stages = report["median_ms"]
            named = {f"file to text, beam {beams}": stages["total"]}
            if beams == 1:
                named |= {"encoder, 30 s": stages["encoder"], "decoder, greedy": stages["decoder"]}
            shared = {"peer": "percept", "precision": precision, "best_ms": None, "text": report["text"]}
            rows += [shared | {"work": work, "ms": ms} for work, ms in named.items()]
    return rows


def save_features(hf: Path, audio: Path, folder: Path) -> Path:
    """The first window of the recording as a file, for a peer without a front end of its own."""
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(hf)
    features = extractor(decode_audio(str(audio)), sampling_rate=16_000, return_tensors="pt")["input_features"]
    save_file({"input_features": features}, folder / "features.safetensors")
    return folder / "features.safetensors"


def table(rows: list[dict]) -> str:
    base_peer = "percept" if any(row["peer"] == "percept" for row in rows) else "faster-whisper"
    base_rows = [row for row in rows if row["peer"] == base_peer and row["precision"] in ("float32", "f32")]
    bases = {row["work"]: row["ms"] for row in base_rows}
    lines = [f"| work | peer | precision | median ms | best ms | against {base_peer} f32 |", "|---|---|---|---:|---:|---:|"]
    for row in sorted(rows, key=lambda r: (r["work"], r["ms"])):
        ratio = f"{row['ms'] / bases[row['work']]:.2f}" if row["work"] in bases else ""
        best = f"{row['best_ms']:.1f}" if row["best_ms"] is not None else ""
        lines.append(f"| {row['work']} | {row['peer']} | {row['precision']} | {row['ms']:.1f} | {best} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("--hf", type=Path, required=True, help="Hugging Face snapshot (tests/reference/ct2_to_hf.py)")
    parser.add_argument("--ct2", type=Path, required=True, help="the same weights as a CTranslate2 folder")
    parser.add_argument("--percept", help="percept binary; timed as a process and by `percept bench`")
    parser.add_argument("--candle", help="the candle-whisper binary")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--skip-processes", action="store_true")
    parser.add_argument("--only", nargs="+", default=[], help="cases whose `PEER PRECISION WORK` has one of these in it")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(THREADS)
    cases = faster_whisper_cases(arguments.ct2, arguments.audio) + transformers_cases(arguments.hf, arguments.audio)
    if not arguments.skip_processes:
        cases += process_cases(arguments)
    if arguments.only:
        cases = [c for c in cases if any(part in f"{c.peer} {c.precision} {c.work}" for part in arguments.only)]
    rows = measure(cases, arguments.runs)
    if arguments.candle:
        with tempfile.TemporaryDirectory() as folder:
            features = save_features(arguments.hf, arguments.audio, Path(folder))
            command = [arguments.candle, str(arguments.hf), str(features), str(arguments.runs)]
            rows += own_report(command, "candle-transformers")
    if arguments.percept and not arguments.only:
        rows += percept_report(arguments.percept, arguments.ct2, arguments.audio, arguments.runs)
    versions = {m.__name__: m.__version__ for m in (torch, transformers, ctranslate2)}
    settings = {"threads": THREADS, "runs": arguments.runs, "load": os.getloadavg(), "versions": versions}
    print(json.dumps(settings | {"rows": rows}))
    print()
    print(table(rows))


if __name__ == "__main__":
    main()
