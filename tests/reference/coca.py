"""Two tiny random CoCas, and what open_clip says of two pictures with them: captions, and how well texts fit.

    python tests/reference/coca.py        # writes tests/golden/caption/coca*/, and the merges of percept-backbone

It needs open_clip_torch (with ftfy) and a transformers that still has `BeamSearchScorer`: 4.56 has.

- `coca`: as published, `open_clip_pytorch_model.safetensors`;
- `coca-scaled`: layer scale, `quick_gelu`, a logit scale of one dimension, an image encoder as wide as the rest,
  `open_clip_model.safetensors`.

Both have a vocabulary of their own, `vocab.json` and `merges.txt`; `openai.json` in the first has texts, their tokens in
OpenAI's vocabulary, and what is read of these.
"""

import gzip
import json
import tempfile
from pathlib import Path

import open_clip
import open_clip.tokenizer
import torch
from open_clip.transform import image_transform
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTokenizer, LogitsProcessorList, MinLengthLogitsProcessor, RepetitionPenaltyLogitsProcessor

import caption_case

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = ["r e", "re d</w>", "t r", "tr e", "tre e</w>", "t h", "th e</w>", "c a", "ca t</w>", "o f</w>"]
SIDE, PATCH, CONTEXT = 32, 8, 32
BACKBONE = Path(__file__).resolve().parents[2] / "crates" / "percept-backbone" / "src" / "clip_text"
ASKED = [
    {},
    {"search": "greedy"},
    {"search": {"beams": 3, "length_penalty": 1.0}},
    {"search": {"beams": 4, "length_penalty": 1.0}, "max_tokens": 9},
    {"search": "greedy", "max_tokens": 7},
    {"search": "greedy", "min_tokens": 11},
    {"search": {"beams": 2, "length_penalty": 1.0}, "min_tokens": 8, "max_tokens": 10},
    {"search": "greedy", "repetition_penalty": 1.4},
    {"repetition_penalty": 1.4},
]
RANKED = ["a red tree", "the cat", "the cat!", "a cat! of the tree", "a " * 29 + "cat", "a b " * 20]


def vocabulary() -> dict[str, int]:
    # The exclamation mark is the first, which is open_clip's padding.
    letters = list("!',.0123456789abcdefghijklmnopqrstuvwxyz")
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge.split()) for merge in MERGES]
    return {token: index for index, token in enumerate([*words, START, END])}


def config_of(name: str, size: int) -> dict:
    scaled = {"ls_init_value": 0.5} if name == "coca-scaled" else {}
    text = dict(context_length=CONTEXT, vocab_size=size, width=24, heads=2, layers=2)
    model = dict(
        embed_dim=24,
        vision_cfg=dict(
            image_size=SIDE, layers=2, width=24 if scaled else 36, patch_size=PATCH, head_width=12,
            attentional_pool=True, attn_pooler_heads=4, attn_pooler_queries=7, output_tokens=True,
        ) | scaled,
        text_cfg=text | dict(embed_cls=True, output_tokens=True) | scaled,
        multimodal_cfg=text | dict(attn_pooler_heads=4) | scaled,
        custom_text=True,
    )
    if scaled:
        model |= dict(quick_gelu=True)
    return model


def case(model, pixels, asked: dict, prompt: list[int], tokens: dict[str, int], decode) -> dict:
    end, search = tokens[END], asked.get("search")
    longest = asked["max_tokens"] + len(prompt) if "max_tokens" in asked else 30
    shortest = asked["min_tokens"] + len(prompt) if "min_tokens" in asked else 5
    wanted = dict(sot_token_id=tokens[START], eos_token_id=end, seq_len=longest, min_seq_len=min(shortest, longest - 1))
    wanted |= dict(repetition_penalty=asked.get("repetition_penalty", 1.0))
    if search == "greedy":
        wanted |= dict(generation_type="top_k", top_k=1, text=torch.tensor([prompt]))
    elif search:
        wanted |= dict(num_beams=search["beams"], num_beam_groups=1)
    with torch.no_grad():
        ids = model.generate(pixels, **wanted)[0].tolist()
    new = ids[len(prompt) :]
    if end in new:
        new = new[: new.index(end) + 1]
    ids = prompt + new
    # Scores of each token as `generate` saw them.
    rules = LogitsProcessorList(
        [
            MinLengthLogitsProcessor(wanted["min_seq_len"], torch.tensor([end])),
            RepetitionPenaltyLogitsProcessor(wanted["repetition_penalty"]),
        ]
    )
    logprobs, scores, first = [], [], None
    for place in range(len(prompt), len(ids)):
        before = torch.tensor([ids[:place]])
        with torch.no_grad():
            logits = model(pixels, before, output_labels=False)["logits"][:, -1]
        first = logits[0] if first is None else first
        ruled = rules(before, logits.clone())
        forced = search == "greedy" and place + 1 == longest
        logprobs.append(0.0 if forced else float(ruled.log_softmax(-1)[0, ids[place]]))
        scores.append(float(ruled[0, ids[place]]))
    score = sum(logprobs) / len(new) if search == "greedy" else sum(scores) / len(ids)
    return {
        "options": asked,
        "prompt_tokens": len(prompt),
        "sequences": [ids],
        "texts": [decode(ids)],
        "logprobs": [logprobs],
        "scores": [score],
        "logits": first.tolist(),
    }


def all_cases(model, tokenizer, pixels, tokens) -> list[dict]:
    cases = []
    for picture, prompt in [(0, None), (0, "a red"), (1, None)]:
        begun = [tokens[START]]
        if prompt is not None:
            begun += tokenizer(prompt, add_special_tokens=False)["input_ids"]
        for asked in ASKED:
            # open_clip's beams know no prompts.
            if prompt is not None and asked.get("search") != "greedy":
                continue
            decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
            found = case(model, pixels[picture : picture + 1], asked, begun, tokens, decode)
            cases.append(found | {"picture": picture, "prompt": prompt})
    return cases


def write(name: str) -> None:
    tokens = vocabulary()
    path = caption_case.folder(name)
    (path / "vocab.json").write_text(json.dumps(tokens) + "\n")
    (path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        for file in ["vocab.json", "merges.txt"]:
            (Path(folder) / file).write_text((path / file).read_text())
        tokenizer = CLIPTokenizer(f"{folder}/vocab.json", f"{folder}/merges.txt")
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    if name == "coca-scaled":
        mean, std = (0.4, 0.5, 0.6), (0.3, 0.2, 0.25)
    prepare = image_transform(SIDE, is_train=False, mean=mean, std=std)
    # Of the network's size along their shorter side: Pillow rounds a few pixels in another way than percept does, and
    # what comes behind is to be compared exactly.
    pictures = caption_case.pictures(6, sizes=((32, 41), (45, 32)))
    pixels = torch.stack([prepare(Image.fromarray(picture)) for picture in pictures])
    config = config_of(name, len(tokens))
    inner = {key: value for key, value in config.items() if key != "custom_text"}
    for seed in range(1, 400):
        model = open_clip.CoCa(**inner, nonscalar_logit_scale=name == "coca-scaled").eval()
        caption_case.randomise(model, seed)
        with torch.no_grad():
            model.text_decoder.text_projection.mul_(4.0)
            model.logit_scale.fill_(1.7)
        cases = all_cases(model, tokenizer, pixels, tokens)
        said = [token for one in cases for token in one["sequences"][0]]
        if caption_case.says_enough(cases, tokens[END]) and 0 not in said:
            break
    print("seed", seed)
    file = "open_clip_model.safetensors" if name == "coca-scaled" else "open_clip_pytorch_model.safetensors"
    save_file({key: value.contiguous().clone() for key, value in model.state_dict().items()}, path / file)
    stated = {"model_cfg": config, "preprocess_cfg": {"mean": mean, "std": std}}
    (path / "open_clip_config.json").write_text(json.dumps(stated) + "\n")
    rows = []
    for text in RANKED:
        ids = tokenizer(text)["input_ids"]
        if len(ids) > CONTEXT:
            ids = ids[: CONTEXT - 1] + [tokens[END]]
        rows.append(ids + [0] * (CONTEXT - len(ids)))
    print([len([i for i in row if i]) for row in rows])
    with torch.no_grad():
        seen, embeddings = model._encode_image(pixels)
        read = model.encode_text(torch.tensor(rows))
        ranks = (model.logit_scale.exp() * seen @ read.T).softmax(-1)
    print(ranks)
    (path / "ranked.json").write_text(json.dumps({"texts": RANKED, "probabilities": ranks.tolist()}) + "\n")
    fixture = {f"picture.{index}": torch.from_numpy(picture) for index, picture in enumerate(pictures)}
    fixture |= {"pixel_values": pixels, "image_embs": embeddings, "text_features": read}
    caption_case.save(path, fixture, cases)


def openai() -> None:
    """OpenAI's vocabulary, as far as CLIP has it, and what it makes of texts."""
    bpe = open_clip.tokenizer.SimpleTokenizer()
    source = Path(open_clip.tokenizer.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    lines = gzip.decompress(source.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    (BACKBONE / "merges.txt.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
    texts = ["a photo of a cat", "Two dogs' 3 balls, 47 of them!", "caf\u00e9 na\u00efve \u6771\u4eac \U0001f600", "  It's  a\ttree. "]
    known = []
    for text in texts:
        ids = bpe.encode(text.strip())
        ids = bpe.encode(" ".join(text.lower().split()))
        known.append({"text": text, "ids": [49406, *ids, 49407], "read": bpe.decode(ids)})
    path = caption_case.GOLDEN / "coca" / "openai.json"
    path.write_text(json.dumps(known) + "\n")
    print(known)


if __name__ == "__main__":
    write("coca")
    write("coca-scaled")
    openai()
