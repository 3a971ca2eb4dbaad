"""Runs a Whisper model of transformers and collects what a port must reproduce, as named tensors."""

import copy

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.generation_whisper import _dynamic_time_warping, _median_filter

from whisper_model import VOCABULARY, WINDOW_FRAMES

Tensors = dict[str, torch.Tensor]


def forward_tensors(model: WhisperForConditionalGeneration, features: torch.Tensor, ids: torch.Tensor) -> Tensors:
    """Encoder and decoder layer by layer, teacher-forced logits, and the same logits one cached step at a time."""
    out: Tensors = {"input_features": features, "decoder_input_ids": ids}

    def keep(name: str):
        def hook(_module, _inputs, output):
            out[name] = (output[0] if isinstance(output, tuple) else output).detach().clone()

        return hook

    def keep_input(name: str):
        def hook(_module, inputs, _output):
            out[name] = inputs[0].detach().clone()

        return hook

    encoder, decoder = model.model.encoder, model.model.decoder
    handles = [encoder.layers[0].register_forward_hook(keep_input("encoder.embeddings"))]
    handles += [layer.register_forward_hook(keep(f"encoder.layers.{i}")) for i, layer in enumerate(encoder.layers)]
    handles += [decoder.layers[0].register_forward_hook(keep_input("decoder.embeddings"))]
    handles += [layer.register_forward_hook(keep(f"decoder.layers.{i}")) for i, layer in enumerate(decoder.layers)]
    with torch.no_grad():
        result = model(features, decoder_input_ids=ids, output_attentions=True)
    for handle in handles:
        handle.remove()
    out["encoder_last_hidden_state"] = result.encoder_last_hidden_state
    out["logits"] = result.logits
    for i, attention in enumerate(result.cross_attentions):
        out[f"cross_attentions.{i}"] = attention

    steps, past = [], None
    with torch.no_grad():
        for position in range(ids.shape[1]):
            step = model(
                encoder_outputs=(result.encoder_last_hidden_state,),
                decoder_input_ids=ids[:, position : position + 1],
                past_key_values=past,
                use_cache=True,
            )
            past = step.past_key_values
            steps.append(step.logits)
    out["logits_cached"] = torch.cat(steps, dim=1)
    scale = out["logits"].abs().max()
    assert (out["logits_cached"] - out["logits"]).abs().max() < 1e-5 * scale, "the cache changes the logits"
    return out


def language_tensors(model: WhisperForConditionalGeneration, features: torch.Tensor) -> Tensors:
    """Language detection and the probability of silence, both from the logits of `<|startoftranscript|>` alone."""
    start = torch.full((features.shape[0], 1), VOCABULARY.start)
    with torch.no_grad():
        logits = model(features, decoder_input_ids=start).logits[:, 0]
    languages = torch.tensor(list(model.generation_config.lang_to_id.values()))
    detected = model.detect_language(features, num_segment_frames=WINDOW_FRAMES)
    probabilities = logits[:, languages].softmax(dim=-1)
    assert torch.equal(languages[probabilities.argmax(dim=-1)], detected)
    return {
        "language.ids": languages,
        "language.detected": detected,
        "language.probabilities": probabilities,
        "no_speech.probability": logits.softmax(dim=-1)[:, VOCABULARY.no_speech],
    }


def generate(model: WhisperForConditionalGeneration, features: torch.Tensor, **options) -> dict:
    """One call of `generate` on one window: sequences with prompt and end, as the model itself saw them."""
    config = copy.deepcopy(model.generation_config)
    config.output_scores = True
    return model.generate(
        features,
        generation_config=config,
        force_unique_generate_call=True,
        return_dict_in_generate=True,
        attention_mask=options.pop("attention_mask", None),
        **options,
    )


def greedy_margin(result) -> float:
    """The smallest lead of a chosen token over the second best, over the steps before the end of each item."""
    best = torch.stack([score.topk(2, dim=-1).values for score in result.scores])
    lead = best[..., 0] - best[..., 1]
    generated = result.sequences[:, -len(result.scores) :].T
    return lead[unfinished(generated)].min().item()


def unfinished(generated: torch.Tensor) -> torch.Tensor:
    """True for the steps (first dimension) up to and with the first end token."""
    ended = (generated == VOCABULARY.end).long()
    return ended.cumsum(dim=0) - ended == 0


def average_log_probability(result) -> torch.Tensor:
    """Mean log probability of the generated tokens and the end token, after all filters, as Whisper counts it."""
    log_probabilities = torch.stack(result.scores).log_softmax(dim=-1)
    generated = result.sequences[:, -len(result.scores) :].T
    chosen = log_probabilities.gather(-1, generated.unsqueeze(-1)).squeeze(-1)
    valid = unfinished(generated)
    return torch.where(valid, chosen, 0.0).sum(dim=0) / valid.sum(dim=0)


def alignment_tensors(model: WhisperForConditionalGeneration, features: torch.Tensor, frames: list[int]) -> Tensors:
    """Token timestamps and every stage on the way: attention, standardised, filtered, averaged, the path."""
    options = dict(language="en", task="transcribe", return_token_timestamps=True)
    whole = generate(model, features, **options)
    mask = (torch.arange(features.shape[-1]) < torch.tensor(frames)[:, None]).long()
    cut = generate(model, features, attention_mask=mask, **options)
    assert torch.equal(whole["sequences"], cut["sequences"])
    out = {
        "token_timestamps.sequences": whole["sequences"],
        "token_timestamps.whole": whole["token_timestamps"],
        "token_timestamps.frames": torch.tensor(frames),
        "token_timestamps.cut": cut["token_timestamps"],
    }
    prompt = 4
    heads = model.generation_config.alignment_heads
    for item, frame_count in enumerate(frames):
        steps = cut["cross_attentions"]
        layers = [torch.cat([step[i] for step in steps], dim=2) for i in range(len(steps[0]))]
        weights = torch.stack([layers[layer][item, head] for layer, head in heads])[:, prompt:, : frame_count // 2]
        mean = weights.mean(dim=-2, keepdim=True)
        standardised = (weights - mean) / weights.std(dim=-2, keepdim=True, unbiased=False)
        filtered = _median_filter(standardised, model.config.median_filter_width)
        matrix = filtered.mean(dim=0)
        tokens, times = _dynamic_time_warping(-matrix.double().numpy())
        jumps = np.pad(np.diff(tokens), (1, 0), constant_values=1).astype(bool)
        starts = torch.tensor(times[jumps] * 0.02, dtype=torch.float32)
        reported = cut["token_timestamps"][item]
        assert torch.allclose(reported[prompt : prompt + len(starts)], starts), "not the stages that transformers ran"
        out |= {
            f"alignment.{item}.weights": weights,
            f"alignment.{item}.standardised": standardised,
            f"alignment.{item}.filtered": filtered,
            f"alignment.{item}.matrix": matrix,
            f"alignment.{item}.token_indices": torch.from_numpy(tokens.copy()),
            f"alignment.{item}.time_indices": torch.from_numpy(times.copy()),
        }
    return out


def warping_tensors(seed: int) -> Tensors:
    """Dynamic time warping and the median filter alone, on random matrices of awkward sizes."""
    random = torch.Generator().manual_seed(seed)
    out: Tensors = {}
    for rows, columns in [(1, 1), (1, 9), (7, 1), (5, 23), (17, 11)]:
        # Multiples of 1/8 make ties, whose resolution is part of the algorithm.
        cost = torch.round(torch.randn((rows, columns), generator=random) * 8.0) / 8.0
        tokens, times = _dynamic_time_warping(cost.double().numpy())
        name = f"warping.{rows}x{columns}"
        out[f"{name}.cost"] = cost
        out[f"{name}.token_indices"] = torch.from_numpy(tokens.copy())
        out[f"{name}.time_indices"] = torch.from_numpy(times.copy())
    for width, length in [(3, 10), (7, 31), (7, 4), (7, 3)]:
        values = torch.randn((2, 5, length), generator=random)
        out[f"median.{width}x{length}.input"] = values
        out[f"median.{width}x{length}.output"] = _median_filter(values, width).contiguous()
    return out
