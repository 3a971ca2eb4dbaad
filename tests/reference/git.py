"""Two tiny random GITs, and what transformers says of two pictures with them, with and without a prompt.

    python tests/reference/git.py        # writes tests/golden/caption/git*/

- `git`: an output matrix of its own, as published; `generation_config.json` asks for beams, a whole length, and that no
  run of two is said twice;
- `git-tied`: the output matrix is the table of tokens; an encoder of another width.
"""

import json


import torch
from transformers import BertTokenizer, CLIPImageProcessor, GenerationConfig, GitConfig, GitForCausalLM

import caption_case

SIDE, PATCH = 32, 8


def model_of(name: str, vocabulary: int, seed: int) -> GitForCausalLM:
    tied = name == "git-tied"
    vision = dict(
        hidden_size=36 if tied else 24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3,
        image_size=SIDE, patch_size=PATCH,
    )
    config = GitConfig(
        vision_config=vision, vocab_size=vocabulary, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=40, bos_token_id=2, eos_token_id=3, pad_token_id=0,
        tie_word_embeddings=tied,
    )
    config._attn_implementation = "eager"
    model = GitForCausalLM(config).eval()
    caption_case.randomise(model, seed)
    if not tied:
        stated = dict(num_beams=2, max_length=14, length_penalty=0.4, no_repeat_ngram_size=2, min_length=4)
        model.generation_config = GenerationConfig(bos_token_id=2, eos_token_id=3, pad_token_id=0, **stated)
    return model


def all_cases(model, tokenizer, pixels) -> list[dict]:
    cases = []
    for picture, prompt in [(0, None), (0, "A photo of"), (1, None)]:
        ids = [2] if prompt is None else [2, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]

        def generate(**asked):
            own = {} if prompt is None else {"input_ids": torch.tensor([ids])}
            return model.generate(pixel_values=pixels[picture : picture + 1], **own, **asked)

        for asked in caption_case.ASKED if picture == 0 else caption_case.ASKED[:2]:
            decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
            case = caption_case.case(model, generate, asked, 3, len(ids), decode)
            cases.append(case | {"picture": picture, "prompt": prompt})
    return cases


def write(name: str) -> None:
    vocab = caption_case.words()
    path = caption_case.folder(name)
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(vocab)})
    size = {"shortest_edge": SIDE}, {"height": SIDE, "width": SIDE}
    processor = CLIPImageProcessor(size=size[0], crop_size=size[1])
    pictures = caption_case.pictures(4)
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]
    for seed in range(1, 600):
        model = model_of(name, len(vocab), seed)
        cases = all_cases(model, tokenizer, pixels)
        if caption_case.says_enough(cases, 3):
            break
    print("seed", seed)
    model.save_pretrained(path)
    if name == "git-tied":
        (path / "vocab.txt").write_text("\n".join(vocab) + "\n")
    else:
        tokenizer._tokenizer.save(str(path / "tokenizer.json"))
    stated = {"feature_extractor_type": "CLIPFeatureExtractor", "size": size[0], "crop_size": size[1], "resample": 3}
    stated |= {"image_mean": processor.image_mean, "image_std": processor.image_std, "do_center_crop": True}
    (path / "preprocessor_config.json").write_text(json.dumps(stated) + "\n")
    with torch.no_grad():
        projected = model.git.visual_projection(model.git.image_encoder(pixels).last_hidden_state)
    fixture = {f"picture.{index}": torch.from_numpy(picture) for index, picture in enumerate(pictures)}
    caption_case.save(path, fixture | {"pixel_values": pixels, "projected": projected}, cases)


if __name__ == "__main__":
    write("git")
    write("git-tied")
