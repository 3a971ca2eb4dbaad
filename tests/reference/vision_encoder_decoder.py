"""Tiny random pairs of an image encoder and a GPT-2, and what transformers says of two pictures with them.

    python tests/reference/vision_encoder_decoder.py        # writes tests/golden/caption/{vit,deit,swin}-gpt2/

- `vit-gpt2`: as nlpconnect/vit-gpt2-image-captioning, without a `generation_config.json`, the limits of older
  configurations in `decoder`; `tokenizer.json`;
- `deit-gpt2`: an encoder of another width; `generation_config.json` with beams; `vocab.json` and `merges.txt`;
- `swin-gpt2`: a Swin of another width; an output matrix of its own.
"""

import json

import torch
from transformers import DeiTConfig, DeiTImageProcessor, GPT2Config, GPT2Tokenizer, GenerationConfig, SwinConfig
from transformers import ViTConfig, ViTImageProcessor, VisionEncoderDecoderConfig, VisionEncoderDecoderModel

import caption_case

END = "<|endoftext|>"
MERGES = ["r e", "re d", "\u0120 c", "\u0120c a", "\u0120ca t", "o f", "\u0120 p", "h o"]


def vocabulary() -> dict[str, int]:
    letters = list("!',.0123456789ABCabcdefghijklmnopqrstuvwxyz\u0120")
    words = letters + ["".join(merge.split()) for merge in MERGES] + [END]
    return {token: index for index, token in enumerate(words)}


def model_of(name: str, size: int, seed: int) -> VisionEncoderDecoderModel:
    plain = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, image_size=32)
    encoder = {
        "vit-gpt2": ViTConfig(**plain, patch_size=8),
        "deit-gpt2": DeiTConfig(**plain | dict(hidden_size=30), patch_size=8),
        "swin-gpt2": SwinConfig(embed_dim=12, depths=[1, 2], num_heads=[2, 3], window_size=4, image_size=32, patch_size=2),
    }[name]
    decoder = GPT2Config(
        vocab_size=size, n_positions=40, n_embd=28 if name != "vit-gpt2" else 24, n_layer=2, n_head=2,
        bos_token_id=size - 1, eos_token_id=size - 1, add_cross_attention=True, is_decoder=True,
        tie_word_embeddings=name != "swin-gpt2", n_inner=44 if name == "swin-gpt2" else None,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.encoder._attn_implementation = config.decoder._attn_implementation = "eager"
    config.decoder_start_token_id = config.pad_token_id = config.eos_token_id = size - 1
    model = VisionEncoderDecoderModel(config).eval()
    caption_case.randomise(model, seed)
    tokens = dict(decoder_start_token_id=size - 1, pad_token_id=size - 1, eos_token_id=size - 1, bos_token_id=size - 1)
    stated = dict(num_beams=3, max_length=13, early_stopping=True) if name == "deit-gpt2" else {}
    model.generation_config = GenerationConfig(**tokens, **stated)
    return model


def all_cases(model, tokenizer, pixels, size: int) -> list[dict]:
    cases = []
    for picture, prompt in [(0, None), (0, "a red"), (1, None)]:
        ids = [size - 1] + ([] if prompt is None else tokenizer(prompt)["input_ids"])

        def generate(**asked):
            own = {} if prompt is None else {"decoder_input_ids": torch.tensor([ids])}
            return model.generate(pixel_values=pixels[picture : picture + 1], **own, **asked)

        for asked in caption_case.ASKED if picture == 0 else caption_case.ASKED[:2]:
            decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
            case = caption_case.case(model, generate, asked, size - 1, len(ids), decode)
            cases.append(case | {"picture": picture, "prompt": prompt})
    return cases


def write(name: str) -> None:
    tokens = vocabulary()
    path = caption_case.folder(name)
    tokenizer = GPT2Tokenizer(vocab=tokens, merges=[tuple(merge.split()) for merge in MERGES])
    if name == "deit-gpt2":
        processor = DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size={"height": 32, "width": 32})
    else:
        processor = ViTImageProcessor(size={"height": 32, "width": 32})
    pictures = caption_case.pictures(8)
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]
    for seed in range(1, 400):
        model = model_of(name, len(tokens), seed)
        cases = all_cases(model, tokenizer, pixels, len(tokens))
        if caption_case.says_enough(cases, len(tokens) - 1):
            break
    print("seed", seed)
    model.save_pretrained(path)
    if name == "vit-gpt2":
        (path / "generation_config.json").unlink()
        config = json.loads((path / "config.json").read_text())
        config["decoder"] |= {"max_length": 9, "num_beams": 2, "no_repeat_ngram_size": 1}
        (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        model = VisionEncoderDecoderModel.from_pretrained(path, attn_implementation="eager")
        print(model.generation_config)
        cases = all_cases(model, tokenizer, pixels, len(tokens))
    if name == "deit-gpt2":
        (path / "vocab.json").write_text(json.dumps(tokens) + "\n")
        (path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    else:
        tokenizer._tokenizer.save(str(path / "tokenizer.json"))
    kind = {"deit-gpt2": "DeiTFeatureExtractor"}.get(name, "ViTFeatureExtractor")
    stated = {"feature_extractor_type": kind, "size": processor.size["height"], "resample": int(processor.resample)}
    stated |= {"image_mean": list(processor.image_mean), "image_std": list(processor.image_std)}
    if name == "deit-gpt2":
        stated |= {"do_center_crop": True, "crop_size": 32}
    (path / "preprocessor_config.json").write_text(json.dumps(stated) + "\n")
    with torch.no_grad():
        encoded = model.encoder(pixels).last_hidden_state
        if hasattr(model, "enc_to_dec_proj"):
            encoded = model.enc_to_dec_proj(encoded)
    fixture = {f"picture.{index}": torch.from_numpy(picture) for index, picture in enumerate(pictures)}
    caption_case.save(path, fixture | {"pixel_values": pixels, "encoded": encoded}, cases)
    print(sorted(name for name in model.state_dict() if "h.1" not in name and "layer.1" not in name)[:80])


if __name__ == "__main__":
    for name in ["vit-gpt2", "deit-gpt2", "swin-gpt2"]:
        write(name)
