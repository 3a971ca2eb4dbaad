"""Tiny random Whisper models in the layout of a Hugging Face snapshot, and the tokenizer that goes with them."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

LANGUAGES = ["en", "de", "fr"]
TEXT_TOKENS = 300  # 256 bytes and 44 merges, numbered as Whisper's vocabulary begins
WINDOW_FRAMES = 200  # 2 s of sound instead of 30
SOURCE_POSITIONS = WINDOW_FRAMES // 2
TARGET_POSITIONS = 64
SENTENCES = [
    "And so, my fellow Americans, ask not what your country can do for you,",
    " ask what you can do for your country. The other thing in the other room is another story.",
    " Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.",
]


@dataclass(frozen=True)
class Vocabulary:
    """Token ids in Whisper's order: text, end, start, languages, tasks, start of LM and previous, silence, times."""

    end: int = TEXT_TOKENS
    start: int = TEXT_TOKENS + 1
    first_language: int = TEXT_TOKENS + 2
    translate: int = TEXT_TOKENS + 2 + len(LANGUAGES)

    @property
    def transcribe(self) -> int:
        return self.translate + 1

    @property
    def start_of_lm(self) -> int:
        return self.translate + 2

    @property
    def start_of_previous(self) -> int:
        return self.translate + 3

    @property
    def no_speech(self) -> int:
        return self.translate + 4

    @property
    def no_timestamps(self) -> int:
        return self.translate + 5

    @property
    def first_timestamp(self) -> int:
        return self.translate + 6

    @property
    def size(self) -> int:
        return self.first_timestamp + SOURCE_POSITIONS + 1

    def language(self, code: str) -> int:
        return self.first_language + LANGUAGES.index(code)

    def special_names(self) -> list[str]:
        return (
            ["<|endoftext|>", "<|startoftranscript|>"]
            + [f"<|{code}|>" for code in LANGUAGES]
            + ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
            + ["<|notimestamps|>"]
        )


VOCABULARY = Vocabulary()


def tokenizer() -> Tokenizer:
    """A byte-level BPE of `TEXT_TOKENS` tokens with Whisper's special tokens; timestamps are added, not special."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_TOKENS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    assert bpe.get_vocab_size() == TEXT_TOKENS
    bpe.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in VOCABULARY.special_names()])
    bpe.add_tokens(
        [AddedToken(f"<|{i * 0.02:.2f}|>", special=False, normalized=False) for i in range(SOURCE_POSITIONS + 1)]
    )
    assert bpe.get_vocab_size() == VOCABULARY.size
    assert bpe.token_to_id("<|notimestamps|>") == VOCABULARY.no_timestamps
    prefix = [("<|startoftranscript|>", VOCABULARY.start), ("<|notimestamps|>", VOCABULARY.no_timestamps)]
    bpe.post_processor = processors.TemplateProcessing(
        single=" ".join(name for name, _ in prefix) + " $A:0 <|endoftext|>",
        special_tokens=prefix + [("<|endoftext|>", VOCABULARY.end)],
    )
    return bpe


def configuration(**overrides) -> WhisperConfig:
    """All dimensions differ from each other, so that no swapped pair goes unnoticed."""
    values = dict(
        vocab_size=VOCABULARY.size,
        num_mel_bins=80,
        d_model=48,
        encoder_layers=3,
        encoder_attention_heads=4,
        encoder_ffn_dim=80,
        decoder_layers=2,
        decoder_attention_heads=3,
        decoder_ffn_dim=112,
        max_source_positions=SOURCE_POSITIONS,
        max_target_positions=TARGET_POSITIONS,
        bos_token_id=VOCABULARY.end,
        eos_token_id=VOCABULARY.end,
        pad_token_id=VOCABULARY.end,
        decoder_start_token_id=VOCABULARY.start,
        begin_suppress_tokens=[220, VOCABULARY.end],
        median_filter_width=7,
        architectures=["WhisperForConditionalGeneration"],
    )
    return WhisperConfig(**(values | overrides))


def generation_configuration(alignment_heads: list[list[int]]) -> GenerationConfig:
    v = VOCABULARY
    return GenerationConfig(
        alignment_heads=alignment_heads,
        begin_suppress_tokens=[220, v.end],
        suppress_tokens=[1, 2, 7, 8, 9, 10, 14, 25, 26, 27, 28, 29, 31, 58, 59, 60, 61, 62, 63, 90, 91, 92, 93, v.start]
        + [v.translate, v.transcribe, v.start_of_lm, v.start_of_previous, v.no_speech],
        bos_token_id=v.end,
        eos_token_id=v.end,
        pad_token_id=v.end,
        decoder_start_token_id=v.start,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": v.language(code) for code in LANGUAGES},
        task_to_id={"transcribe": v.transcribe, "translate": v.translate},
        no_timestamps_token_id=v.no_timestamps,
        prev_sot_token_id=v.start_of_previous,
        max_initial_timestamp_index=50,
        max_length=TARGET_POSITIONS,
        return_timestamps=False,
    )


def random_model(config: WhisperConfig, alignment_heads: list[list[int]], seed: int) -> WhisperForConditionalGeneration:
    """Weights wide enough that the best token wins by more than rounding; every bias and norm is switched on."""
    model = WhisperForConditionalGeneration(config).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "model.encoder.embed_positions.weight":
                continue  # Whisper's sinusoids, which every checkpoint stores
            noise = torch.randn(parameter.shape, generator=random)
            if "layer_norm.weight" in name:
                parameter.copy_(1.0 + 0.2 * noise)
            elif parameter.ndim == 1:
                parameter.copy_(0.2 * noise)
            elif "embed_tokens" in name:
                parameter.copy_(0.35 * noise)
            elif "embed_positions" in name:
                parameter.copy_(0.8 * noise)  # strong, or a model with a tied head repeats its last token
            elif ".q_proj." in name or ".k_proj." in name:
                parameter.copy_(1.5 * noise / parameter.shape[1] ** 0.5)
            else:
                gain = 2.0 if name.startswith("model.decoder") else 1.3
                parameter.copy_(gain * noise / parameter[0].numel() ** 0.5)
        # Ends and times must win now and then, or no sequence would ever finish or be cut into segments.
        embedding = model.model.decoder.embed_tokens.weight
        embedding[VOCABULARY.end] *= 2.2
        embedding[VOCABULARY.first_timestamp :] *= 1.1
        centre_hidden_states(model, random)
    model.generation_config = generation_configuration(alignment_heads)
    model.config._attn_implementation = "eager"
    return model


def centre_hidden_states(model: WhisperForConditionalGeneration, random: torch.Generator) -> None:
    """Moves the mean of the last hidden states to zero, or a few tokens would win at every step."""
    config = model.config
    features = torch.randn((8, config.num_mel_bins, WINDOW_FRAMES), generator=random) * 0.5
    ids = torch.randint(0, config.vocab_size, (8, TARGET_POSITIONS), generator=random)
    hidden = model.model(input_features=features, decoder_input_ids=ids).last_hidden_state
    model.model.decoder.layer_norm.bias -= hidden.mean(dim=(0, 1))


def input_features(config: WhisperConfig, batch: int, seed: int, frames: int = WINDOW_FRAMES) -> torch.Tensor:
    """Random log-mel values in the range that the extractor produces, smoothed along time."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn((batch, config.num_mel_bins, frames + 8), generator=random)
    smooth = torch.nn.functional.avg_pool1d(noise, kernel_size=9, stride=1) * 1.6
    return smooth.clamp(-1.0, 1.5).contiguous()


def save_snapshot(model: WhisperForConditionalGeneration, folder: Path, shard_size: str = "50MB") -> None:
    """Writes what a checkpoint on the Hub has: config, generation config, preprocessor, tokenizer, weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("model*.safetensors*"):
        stale.unlink()
    model.save_pretrained(folder, max_shard_size=shard_size)
    extractor = WhisperFeatureExtractor(
        feature_size=model.config.num_mel_bins, chunk_length=WINDOW_FRAMES // 100, processor_class="WhisperProcessor"
    )
    extractor.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "WhisperTokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
