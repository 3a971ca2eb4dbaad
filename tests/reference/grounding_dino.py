"""A tiny random Grounding DINO, what transformers makes of it, and what its processor prepares and answers.

    python tests/reference/grounding_dino.py        # writes tests/golden/grounding-dino/

The snapshot (config.json, model.safetensors, preprocessor_config.json, tokenizer.json and vocab.txt) with
fixture.safetensors: two images at once with the states of the text, of both sides of the encoder, the chosen boxes and the
answers; and pictures with what the processor prepares and answers. `texts.json` has texts with their tokens, positions and
who sees whom, and the phrases of each picture's boxes.
"""

import json
import shutil
from pathlib import Path

import torch
from preparation import picture
from safetensors.torch import save_file
from swin import randomise_swin
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    SwinConfig,
)
from transformers.models.grounding_dino.modeling_grounding_dino import (
    SPECIAL_TOKENS,
    generate_masks_with_special_tokens_and_transfer_map,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "grounding-dino"
WORDS = ["a", "red", "mug", "price", "tag", "cat", "dog", "remote", "control", "##s", "##let", "to", "be", "or", "not"]
QUERIES = 9
TEXTS = ["A red mug", " price tags ", "a cat-dog"]
LISTS = [TEXTS, ["mug"], ["to be or not to be?", "a tablet, or mugs"], ["a  Café\tcontrol", "unheard-of 7"]]
PICTURES = {"wide": (61, 43), "high": (37, 90)}


def vocabulary() -> list[str]:
    """Of 1040 tokens, with those that divide phrases where the model expects them."""
    words = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    words |= {1010: ",", 1011: "-", 1012: ".", 1029: "?", 1005: "'"}
    words |= {200 + index: word for index, word in enumerate(WORDS)}
    words |= {300 + index: "##" + chr(97 + index) for index in range(26)}
    # "cafe" is in pieces; "unheard" is not known at all.
    words |= {330: "c", 331: "of"}
    return [words.get(index, f"[unused{index}]") for index in range(1040)]


def build() -> GroundingDinoForObjectDetection:
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=4,
            depths=[1, 2, 1, 1],
            num_heads=[1, 1, 2, 4],
            window_size=4,
            mlp_ratio=2.0,
            patch_size=4,
            image_size=32,
            out_indices=[2, 3, 4],
        ),
        text_config=BertConfig(
            vocab_size=1040,
            hidden_size=12,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=16,
            max_position_embeddings=40,
        ),
        d_model=32,
        num_queries=QUERIES,
        encoder_layers=2,
        decoder_layers=3,
        encoder_ffn_dim=40,
        decoder_ffn_dim=36,
        encoder_attention_heads=4,
        decoder_attention_heads=2,
        encoder_n_points=3,
        decoder_n_points=2,
        max_text_len=32,
        layer_norm_eps=1e-4,
    )
    model = GroundingDinoForObjectDetection(config).eval()
    # As it is without being asked for. "eager" adds the mask of the text, true and false, to the scores as 1 and 0
    # (transformers 5.23).
    assert model.model.text_backbone.config._attn_implementation == "sdpa"
    randomise_swin(model, 300)
    random = torch.Generator().manual_seed(301)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # `randomise` knows norms by another spelling.
            if "LayerNorm.weight" in name:
                parameter.copy_(1 + 0.2 * torch.randn(parameter.shape, generator=random))
            if "vision_param" in name or "text_param" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=random))
            if "layer_norm.weight" in name and "model.decoder.layer_norm" in name:
                # Logits are products of 32 numbers, and only some above the threshold.
                parameter.mul_(0.3)
            if "sampling_offsets" in name:
                parameter.mul_(2)
            if "position_embeddings.weight" in name and "query" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=random))
    return model


def like_text(model: GroundingDinoForObjectDetection, ids: torch.Tensor) -> None:
    """Makes pixels that count as nothing look like a token, so that they are chosen."""
    image = torch.randn((1, 3, 54, 81), generator=torch.Generator().manual_seed(303))
    with torch.no_grad():
        found = model(pixel_values=image, input_ids=ids)
        model.model.enc_output.bias.add_(0.7 * found.encoder_last_hidden_state_text[0, 9])


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    (GOLDEN / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    tokenizer = BertTokenizer(vocab=str(GOLDEN / "vocab.txt"))
    model = build()
    like_text(model, tokenizer("a red mug. price tags. a cat-dog.", return_tensors="pt")["input_ids"])
    model.save_pretrained(GOLDEN)
    image_processor = GroundingDinoImageProcessor(size={"shortest_edge": 60, "longest_edge": 90})
    processor = GroundingDinoProcessor(image_processor, tokenizer)
    image_processor.save_pretrained(GOLDEN)
    tokenizer.save_pretrained(GOLDEN)
    (GOLDEN / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")

    texts = []
    for labels in LISTS:
        joined = processor._preprocess_input_text(labels)
        ids = tokenizer(joined, return_tensors="pt")["input_ids"]
        mask, positions = generate_masks_with_special_tokens_and_transfer_map(ids, torch.tensor(SPECIAL_TOKENS))
        texts.append(
            {
                "texts": labels,
                "joined": joined,
                "input_ids": ids[0].tolist(),
                "positions": positions[0].tolist(),
                "sees": mask[0].int().tolist(),
                # All tokens, and every second one.
                "decoded": [tokenizer.batch_decode([ids[0]])[0], tokenizer.batch_decode([ids[0][1::2]])[0]],
            }
        )

    ids = tokenizer(texts[0]["joined"], return_tensors="pt")["input_ids"]
    image = torch.randn((2, 3, 54, 81), generator=torch.Generator().manual_seed(302))
    captured = {}
    model.model.text_projection.register_forward_hook(lambda _, __, out: captured.update(text=out))
    with torch.no_grad():
        found = model(pixel_values=image, input_ids=ids.repeat(2, 1))
    # Queries are told apart by their rank: no two may be so near that the other order is as right.
    ranked = found.enc_outputs_class.amax(-1).sort(descending=True).values[:, : QUERIES + 1]
    assert (ranked[:, :-1] - ranked[:, 1:]).min() > 1e-3, ranked
    assert (found.init_reference_points < 1).all()
    tensors = {
        "pixel_values": image,
        "text": captured["text"],
        "encoder_vision": found.encoder_last_hidden_state_vision,
        "encoder_text": found.encoder_last_hidden_state_text,
        "references": found.init_reference_points,
        "logits": found.logits[..., : ids.shape[1]],
        "pred_boxes": found.pred_boxes,
    }
    # A map so wide that the pixels at its ends are no proposals. They are all alike, and some are chosen all the same.
    for seed in range(400):
        long = torch.randn((1, 3, 9, 420), generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            found = model(pixel_values=long, input_ids=ids)
        ranked = found.enc_outputs_class.amax(-1).sort(descending=True).values[0, : QUERIES + 1]
        outside = (found.init_reference_points == 1).all(-1).sum()
        gaps = ranked[:-1] - ranked[1:]
        if 0 < outside < QUERIES and ((gaps > 1e-3) | (gaps < 1e-5)).all():
            break
    else:
        raise AssertionError("no image has such pixels chosen")
    tensors |= {
        "long.pixel_values": long,
        "long.references": found.init_reference_points,
        "long.logits": found.logits[..., : ids.shape[1]],
        "long.pred_boxes": found.pred_boxes,
    }
    answers = {}
    for number, (kind, size) in enumerate(PICTURES.items()):
        pixels = picture(*size, 320 + number)
        inputs = processor(images=pixels.permute(2, 0, 1).contiguous(), text=TEXTS, return_tensors="pt")
        with torch.no_grad():
            outputs = model(**inputs)
        probabilities = outputs.logits.sigmoid()
        best = probabilities.amax(-1).flatten().sort(descending=True).values
        gaps = best[2 : QUERIES - 2] - best[3 : QUERIES - 1]
        cut = 2 + int(gaps.argmax())
        threshold = float(best[cut] + best[cut + 1]) / 2
        assert gaps.max() > 1e-3, best
        kept = probabilities[0, probabilities[0].amax(-1) > threshold, : inputs["input_ids"].shape[1]]
        each = kept.flatten().sort().values
        part = each[int(len(each) * 0.3) : int(len(each) * 0.8)]
        cut = int((part[1:] - part[:-1]).argmax())
        assert part[cut + 1] - part[cut] > 1e-4, part
        text_threshold = float(part[cut] + part[cut + 1]) / 2
        result = processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold, text_threshold, [(size[1], size[0])]
        )[0]
        answers[kind] = {
            "threshold": threshold,
            "text_threshold": text_threshold,
            "phrases": result["text_labels"],
            "scores": result["scores"].tolist(),
            "boxes": result["boxes"].tolist(),
        }
        print(kind, answers[kind]["phrases"], answers[kind]["scores"])
        tensors[f"{kind}.picture"] = pixels
        tensors[f"{kind}.pixel_values"] = inputs["pixel_values"]
    whole = texts[0]["decoded"][0]
    phrases = {phrase for answer in answers.values() for phrase in answer["phrases"]}
    assert len([phrase for phrase in phrases if phrase and len(phrase) < len(whole) // 2]) > 1, phrases
    document = {"texts": texts, "answers": answers}
    (GOLDEN / "texts.json").write_text(json.dumps(document) + "\n")
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, GOLDEN / "fixture.safetensors")


if __name__ == "__main__":
    main()
