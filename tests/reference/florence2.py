"""A tiny random Florence-2, and what transformers says of two pictures with it, task by task.

    python tests/reference/florence2.py        # writes tests/golden/caption/florence2/

Beside the cases, `regions.json` has the boxes of the answers to `<OD>`, in the order of these cases, and `parsed.json` what
the reference's processor reads of texts with places.
"""

import json

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import BartConfig, CLIPImageProcessor, Florence2Config, Florence2ForConditionalGeneration
from transformers import GenerationConfig, PreTrainedTokenizerFast
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig
from transformers.models.florence2.processing_florence2 import Florence2PostProcessor

import caption_case

SIZE = {"height": 64, "width": 48}
QUESTIONS = {
    "caption": "What does the image describe?",
    "od": "Locate the objects with category name in the image.",
    "ocr": "What is the text in the image?",
}
BEAM = caption_case.BEAM
ASKED = [
    {},
    {"search": "greedy"},
    {"search": BEAM},
    {"search": BEAM, "captions": 3, "max_tokens": 11},
    {"search": "greedy", "repetition_penalty": 1.6},
    {"search": {"beams": 2, "length_penalty": 0.3}, "min_tokens": 9, "max_tokens": 12},
]


def tokenizer_of() -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = list("WDL?.abcdefghijklmnopqrstuvwxyz\u0120")
    merges = [("i", "n"), ("t", "h"), ("th", "e"), ("\u0120", "the")]
    words = special + letters + [a + b for a, b in merges]
    vocab = {word: index for index, word in enumerate(words)}
    inner = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    places = [f"<loc_{17 * place}>" for place in range(58)]
    names = dict(bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **names)
    tokenizer.add_special_tokens({"additional_special_tokens": places + ["<od>", "<image>"]})
    return tokenizer


def model_of(tokenizer, seed: int) -> Florence2ForConditionalGeneration:
    vision = Florence2VisionConfig(
        depths=[1, 1, 2, 1], embed_dim=[8, 12, 24, 20], num_heads=[2, 3, 2, 4], num_groups=[4, 2, 3, 5],
        window_size=3, projection_dim=24, max_position_embeddings=6, mlp_ratio=2.0,
    )
    text = BartConfig(
        vocab_size=len(tokenizer), d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=3, encoder_ffn_dim=40, decoder_ffn_dim=36, max_position_embeddings=80,
    )
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = Florence2Config(vision_config=vision, text_config=text, image_token_id=image)
    config._attn_implementation = "eager"
    model = Florence2ForConditionalGeneration(config).eval()
    caption_case.randomise(model, seed)
    # As published, but for the length.
    model.generation_config = GenerationConfig(
        bos_token_id=0, decoder_start_token_id=2, eos_token_id=2, pad_token_id=1, early_stopping=True,
        forced_bos_token_id=0, forced_eos_token_id=2, no_repeat_ngram_size=3, num_beams=3, max_length=26,
    )
    return model


def read(tokenizer, ids) -> str:
    text = tokenizer.decode(ids, skip_special_tokens=False)
    return text.replace("<s>", "").replace("</s>", "").replace("<pad>", "").strip()


def all_cases(model, tokenizer, pixels, count: int) -> list[dict]:
    image, cases = model.config.image_token_id, []
    for picture, task in [(0, "caption"), (0, "od"), (1, "od"), (1, "ocr")]:
        ids = [image] * count + tokenizer(QUESTIONS[task])["input_ids"]

        def generate(**asked):
            one = pixels[picture : picture + 1]
            return model.generate(pixel_values=one, input_ids=torch.tensor([ids]), **asked)

        for asked in ASKED if picture == 0 else ASKED[:3]:
            case = caption_case.case(model, generate, asked, 2, 1, lambda ids: read(tokenizer, ids))
            cases.append(case | {"picture": picture, "task": task, "prompt": None})
    return cases


def main() -> None:
    path = caption_case.folder("florence2")
    tokenizer = tokenizer_of()
    processor = CLIPImageProcessor(
        size=SIZE, do_center_crop=False, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    pictures = caption_case.pictures(9)
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]
    post = Florence2PostProcessor(config={"description_with_bboxes": {}}, tokenizer=tokenizer)

    def parse(text: str, size: tuple[int, int]) -> list[dict]:
        return post(text=text, image_size=size, parse_tasks="description_with_bboxes")["description_with_bboxes"]

    # The last token is always the end; that a text ends before it is what has to be looked for.
    for seed in range(1, 80):
        model = model_of(tokenizer, seed)
        with torch.no_grad():
            features = model.get_image_features(pixels).pooler_output
        cases = all_cases(model, tokenizer, pixels, features.shape[1])
        sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
        found = [parse(one["texts"][0], sizes[one["picture"]]) for one in cases if one["task"] == "od"]
        early = [one for one in cases if "max_tokens" not in one["options"] and len(one["sequences"][0]) < 26]
        if any(found) and early:
            break
    print("seed", seed, found)
    model.save_pretrained(path)
    tokenizer._tokenizer.save(str(path / "tokenizer.json"))
    stated = {"image_processor_type": "CLIPImageProcessor", "size": SIZE, "resample": 3, "do_center_crop": False}
    stated |= {"image_mean": processor.image_mean, "image_std": processor.image_std, "do_convert_rgb": True}
    stated |= {"crop_size": SIZE, "image_seq_length": 577}
    (path / "preprocessor_config.json").write_text(json.dumps(stated) + "\n")
    (path / "regions.json").write_text(json.dumps([[one["bbox"] for one in boxes] for boxes in found]) + "\n")
    texts = [
        "car<loc_52><loc_333><loc_932><loc_774>door<loc_710><loc_276><loc_908><loc_537>",
        "</s><s>two dogs<loc_0><loc_1><loc_998><loc_999><loc_3><loc_5><loc_700><loc_900> a  caf\u00e9 <loc_7><loc_8><loc_9><loc_10></s>",
        "cat<loc_1><loc_2><loc_3>dog<loc_5><loc_6><loc_7><loc_8><loc_9>",
        "<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6>tree",
        "<od>tree<loc_10><loc_20><loc_30><loc_40></od>bush",
        "a\nb<loc_10><loc_20><loc_30><loc_40>c<loc_1><loc_2><loc_3><loc_4>car<loc_11><loc_12><loc_13><loc_14>",
        "nothing at all",
        "",
    ]
    parsed = []
    for text in texts:
        for size in [(640, 480), (33, 51), (1999, 1003)]:
            boxes = parse(text, size)
            bboxes, labels = [one["bbox"] for one in boxes], [one["cat_name"] for one in boxes]
            parsed.append({"text": text, "size": size, "bboxes": bboxes, "labels": labels})
    print([one["labels"] for one in parsed])
    (path / "parsed.json").write_text(json.dumps(parsed) + "\n")
    fixture = {f"picture.{index}": torch.from_numpy(picture) for index, picture in enumerate(pictures)}
    caption_case.save(path, fixture | {"pixel_values": pixels, "image_features": features}, cases)
    print(sorted(model.state_dict())[:12], [name for name in model.state_dict() if "embed_tokens" in name or "shared" in name])


if __name__ == "__main__":
    main()
