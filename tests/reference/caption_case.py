"""What the scripts of captioning models share: pictures, random weights that say something, and cases of `generate`.

A snapshot under `tests/golden/caption/NAME` has, beside its weights and configuration, `fixture.safetensors` (pictures as
uint8 `[height, width, 3]`, `pixel_values`, and what else a script adds) and `cases.json`: a list of what was asked and
what the reference said. Token ids are whole sequences, prompt included, cut behind the first end token; `logprobs` are
those of the new tokens among what the processors allowed; `scores` are `sequences_scores` of beams, and the mean of
`logprobs` elsewhere.
"""

import json
import shutil
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "caption"

# What every model is asked, as `CaptionOptions` names it, where its script does not say otherwise.
BEAM = {"beams": 3, "length_penalty": 1.0}
ASKED = [
    {"search": "greedy"},
    {"search": BEAM},
    {"search": BEAM, "captions": 3},
    {"search": {"beams": 4, "length_penalty": -0.5}, "max_tokens": 6},
    {"search": "greedy", "repetition_penalty": 1.6},
    {"search": BEAM, "repetition_penalty": 1.6},
    {"search": "greedy", "min_tokens": 9},
    {"search": BEAM, "min_tokens": 9, "max_tokens": 11},
    {},
]


def folder(name: str) -> Path:
    path = GOLDEN / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def pictures(seed: int, sizes=((51, 62), (40, 33))) -> list[numpy.ndarray]:
    generator = numpy.random.default_rng(seed)
    made = []
    for height, width in sizes:
        coarse = generator.integers(0, 256, (height // 7 + 1, width // 7 + 1, 3))
        made.append(numpy.kron(coarse, numpy.ones((7, 7, 1)))[:height, :width].astype(numpy.uint8))
    return made


def randomise(model: torch.nn.Module, seed: int, matrices: float = 1.6, embeddings: float = 0.8) -> None:
    """Weights whose outputs differ from place to place: nothing is zero, nothing is one."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=random)
            lower = name.lower()
            if ("norm" in lower or "ln_" in lower or "layrnorm" in lower) and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif parameter.dim() < 2 or name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            elif "embed" in lower and "patch" not in lower or "wte" in lower or "wpe" in lower:
                # Positions are loud, so that a text does not say one word again and again.
                parameter.copy_((2.5 if "position" in lower or "wpe" in lower else 1.0) * embeddings * noise)
            else:
                parameter.copy_(matrices * noise / parameter[0].numel() ** 0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.3 * torch.randn(buffer.shape, generator=random))
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=random) + 0.5)


def settings(asked: dict) -> dict:
    """As `generate` wants it."""
    wanted = {}
    search = asked.get("search")
    if search == "greedy":
        wanted |= {"num_beams": 1, "do_sample": False}
    elif search:
        wanted |= {"num_beams": search["beams"], "length_penalty": search["length_penalty"], "do_sample": False}
    names = {"captions": "num_return_sequences", "max_tokens": "max_new_tokens", "min_tokens": "min_new_tokens"}
    names |= {"repetition_penalty": "repetition_penalty"}
    return wanted | {names[key]: value for key, value in asked.items() if key in names}


def case(decoder, generate, asked: dict, end: int, prompt: int, decode) -> dict:
    """One call of `generate`; `decoder` is the model whose scores they are, `prompt` the tokens before the first."""
    with torch.no_grad():
        output = generate(return_dict_in_generate=True, output_scores=True, output_logits=True, **settings(asked))
        beams = getattr(output, "beam_indices", None)
        found = decoder.compute_transition_scores(
            output.sequences, output.scores, beams, normalize_logits=True
        )
    sequences, logprobs, scores, texts = [], [], [], []
    for row, ids in enumerate(output.sequences.tolist()):
        new = ids[prompt:]
        if end in new:
            new = new[: new.index(end) + 1]
        sequences.append(ids[:prompt] + new)
        logprobs.append(found[row, : len(new)].tolist())
        scores.append(sum(logprobs[-1]) / len(new))
        texts.append(decode(sequences[-1]))
    if beams is not None:
        scores = output.sequences_scores.tolist()
    return {
        "options": asked,
        "prompt_tokens": prompt,
        "sequences": sequences,
        "texts": texts,
        "logprobs": logprobs,
        "scores": scores,
        "logits": output.logits[0][0].tolist(),
    }


def says_enough(cases: list[dict], end: int) -> bool:
    """Texts vary, some end and some are cut, and nothing is as good as decided by rounding."""
    everything = [sequence[c["prompt_tokens"] :] for c in cases for sequence in c["sequences"]]
    greedy = [c["sequences"][0][c["prompt_tokens"] :] for c in cases if c["options"] == {"search": "greedy"}]
    varied = all(len(set(sequence)) >= 4 for sequence in greedy)
    ended = [sequence[-1] == end for sequence in everything]
    return varied and any(ended) and not all(ended) and len({str(sequence) for sequence in everything}) >= 4


def save(path: Path, fixture: dict, cases: list[dict]) -> None:
    save_file({key: value.contiguous().clone() for key, value in fixture.items()}, path / "fixture.safetensors")
    # Logits once a prompt and picture; they are the same whatever the search.
    seen = set()
    for one in cases:
        key = str([one.get("picture"), one.get("prompt"), one.get("task")])
        if key in seen:
            del one["logits"]
        seen.add(key)
    round_numbers = lambda value: round(value, 6) if isinstance(value, float) else value
    text = json.dumps([_rounded(one, round_numbers) for one in cases], ensure_ascii=False)
    (path / "cases.json").write_text(text.replace('{"options"', '\n{"options"') + "\n")
    for one in cases:
        ids = [sequence[one["prompt_tokens"] :] for sequence in one["sequences"]]
        print(path.name, one.get("picture"), one.get("prompt"), one.get("task"), one["options"], ids, one["texts"])
    print(sum(file.stat().st_size for file in path.iterdir()), "bytes")


def _rounded(value, of):
    if isinstance(value, dict):
        return {key: _rounded(inner, of) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner, of) for inner in value]
    return of(value)


def words(count: int = 26) -> list[str]:
    """A small vocabulary of WordPiece."""
    letters = [chr(ord("a") + index) for index in range(count)]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "photo", "of", "red", "cat", "##s", "##ing", ",", "."] + [
        letter for letter in letters if letter != "a"
    ] + ["##" + letter for letter in letters if letter not in "s"]
