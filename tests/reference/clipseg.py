"""Two tiny random CLIPSegs, and what transformers makes of a picture and three texts with them.

    python tests/reference/clipseg.py        # writes tests/golden/clipseg/

Each folder is a snapshot and `fixture.safetensors`: a picture (uint8 `[height, width, 3]`), `pixel_values`, `input_ids`
(filled up with the end of text), `text_states` (of the text encoder, meaningless behind a text's end),
`conditional_embeddings`, `activations.N`, `logits` `[texts, height, width]`, and for each text the `masks` and `scores`
at the picture's size; `texts.json` has the texts.

- `simple`: one transposed convolution, `quick_gelu`, `eos_token_id: 2` as all configurations had it before
  transformers 4.31, `vocab.json` and `merges.txt`;
- `complex`: three convolutions, `gelu`, an end of text that is not the highest number, a later conditional layer,
  `tokenizer.json`.
"""

import json
import shutil
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPTokenizer, ViTImageProcessor
from transformers.convert_slow_tokenizer import bytes_to_unicode

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "clipseg"
START, END = "<|startoftext|>", "<|endoftext|>"
TEXTS = ["a red mug", "Caf\u00e9  au lait's 42!", "zebra-crossing near\tthe old TREE"]
CANVAS, SIDE, PATCH = 40, 24, 8
MERGES = ["r e", "re d</w>", "t r", "tr e", "tre e</w>", "t h", "th e</w>", "a u</w>", "m u", "mu g</w>", "o l", "c r"]


def vocabulary(specials_first: bool) -> dict[str, int]:
    """Bytes, bytes at the end of a word, merges, and the special tokens before or behind all of them."""
    letters = list(bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge.split()) for merge in MERGES]
    ordered = [START, END, *words] if specials_first else [*words, START, END]
    return {token: index for index, token in enumerate(ordered)}


def randomise(model: torch.nn.Module, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=random)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif "embedding" in name and "patch" not in name:
                parameter.copy_(0.7 * noise)
            elif parameter.dim() < 2:
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(1.3 * noise / parameter[0].numel() ** 0.5)


def case(name: str, seed: int) -> None:
    is_complex = name == "complex"
    vocab = vocabulary(specials_first=is_complex)
    layers = dict(num_attention_heads=2, num_hidden_layers=3)
    config = CLIPSegConfig(
        text_config=layers
        | dict(hidden_size=24, intermediate_size=40, vocab_size=len(vocab), max_position_embeddings=40)
        | dict(hidden_act="gelu" if is_complex else "quick_gelu", eos_token_id=vocab[END] if is_complex else 2),
        vision_config=layers | dict(hidden_size=32, intermediate_size=48, image_size=SIDE, patch_size=PATCH),
        projection_dim=20,
        extract_layers=[0, 1, 2] if is_complex else [0, 2],
        reduce_dim=16,
        decoder_num_attention_heads=4,
        decoder_intermediate_size=36,
        conditional_layer=1 if is_complex else 0,
        use_complex_transposed_convolution=is_complex,
    )
    config._attn_implementation = "eager"
    model = CLIPSegForImageSegmentation(config).eval()
    randomise(model, seed)
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[tuple(merge.split()) for merge in MERGES])
    processor = ViTImageProcessor(size=CANVAS, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    generator = numpy.random.default_rng(seed)
    coarse = generator.integers(0, 256, (8, 9, 3))
    picture = numpy.kron(coarse, numpy.ones((7, 7, 1)))[:51, :62].astype(numpy.uint8)
    tokens = tokenizer(TEXTS, padding=True, return_tensors="pt")
    pixels = processor([picture], return_tensors="pt")["pixel_values"]
    many = pixels.repeat(len(TEXTS), 1, 1, 1)
    with torch.no_grad():
        text = model.clip.text_model(**tokens)
        output = model(pixel_values=many, output_hidden_states=True, **tokens)
        # So that masks are neither empty nor everything.
        last = model.decoder.transposed_convolution[-1] if is_complex else model.decoder.transposed_convolution
        last.bias.sub_(output.logits.median())
        output = model(pixel_values=many, output_hidden_states=True, **tokens)
        vision = model.clip.vision_model(pixels, output_hidden_states=True)
        full = torch.nn.functional.interpolate(output.logits[:, None], picture.shape[:2], mode="bilinear")
        full = full[:, 0].sigmoid()
    model.save_pretrained(folder)
    masks = full > 0.5
    fixture = {
        "picture": torch.from_numpy(picture),
        "pixel_values": pixels,
        "input_ids": tokens["input_ids"],
        "text_states": text.last_hidden_state,
        "conditional_embeddings": output.conditional_embeddings,
        "logits": output.logits,
        "masks": masks.to(torch.uint8),
        "scores": torch.stack([p[m].mean() if m.any() else torch.tensor(0.0) for p, m in zip(full, masks)]),
    }
    for index, layer in enumerate(config.extract_layers):
        fixture[f"activations.{index}"] = vision.hidden_states[layer + 1]
    save_file({key: value.contiguous().clone() for key, value in fixture.items()}, folder / "fixture.safetensors")
    for key, value in fixture.items():
        print(name, key, tuple(value.shape), float(value.float().abs().max()), float(value.float().mean()))
    print(tokens["input_ids"].tolist(), sorted(model.state_dict())[:6], sorted(model.state_dict())[-6:])
    (folder / "texts.json").write_text(json.dumps(TEXTS) + "\n")
    # As published: the size of a square as one number.
    stated = {"feature_extractor_type": "ViTFeatureExtractor", "size": CANVAS, "resample": 2}
    stated |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (folder / "preprocessor_config.json").write_text(json.dumps(stated) + "\n")
    if is_complex:
        tokenizer._tokenizer.save(str(folder / "tokenizer.json"))
    else:
        (folder / "vocab.json").write_text(json.dumps(vocab) + "\n")
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")


if __name__ == "__main__":
    case("simple", 1)
    case("complex", 2)
