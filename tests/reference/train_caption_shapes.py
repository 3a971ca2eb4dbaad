"""Trains the BLIP that says what is drawn, from nothing, on the CPU, and measures it.

    OMP_NUM_THREADS=1 python tests/reference/train_caption_shapes.py            # writes tests/models/shapes-caption/
    python tests/reference/train_caption_shapes.py --measure                    # errors of the snapshot that is there

Published BLIPs differ in sizes and in their vocabulary only; as there, the token that a sentence starts with ([DEC]) is
known to the model and not to its tokenizer. Scenes and sentences are those of caption_scenes.py. While it is trained, a
second head tells the kind and the colour under each patch, so that the encoder learns to see before the decoder reads; it
is not part of the snapshot.
"""

import argparse
import copy
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor

from caption_scenes import COLOURS, NAMES, Drawing, article, random_drawing, render
from shapes import coverage
from shapes_pool import FIRST_HELD_OUT_SEED, FIRST_TRAINING_SEED, Schedule, start_weights

MODEL = Path(__file__).resolve().parents[1] / "models" / "shapes-caption"
SIDE, PATCH = 128, 16
GRID = SIDE // PATCH
SCENES = 16_000
BATCH = 32
HIDDEN = 0.2  # least part of a patch that a shape covers for the second head
PROMPTED = 0.25  # part of the sentences that follow a prompt
PROMPTS = ("a picture of", "a photo of")
HELD_OUT_SIZES = [(300, 200), (200, 300), (256, 256), (640, 480), (210, 290), (333, 251), (180, 150), (400, 260)]
WORDS = """a above an below black blue circle green left of orange photo picture pur red right ring square star tri white
yellow ##angle ##ple""".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *WORDS]
START = len(VOCABULARY)  # [DEC]; [ENC], which no caption needs, follows
COLOUR_NAMES = tuple(COLOURS)
RELATIONS = {(-1, 0): "left of", (1, 0): "right of", (0, -1): "above", (0, 1): "below"}


def configuration() -> BlipConfig:
    vision = {
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    text = {
        "vocab_size": START + 2,
        "hidden_size": 80,
        "intermediate_size": 320,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 32,
        "bos_token_id": START,
        "sep_token_id": VOCABULARY.index("[SEP]"),
    }
    return BlipConfig(vision_config=vision, text_config=text, projection_dim=32, image_text_hidden_size=32)


def make_tokenizer() -> BertTokenizerFast:
    words = {word: index for index, word in enumerate(VOCABULARY)}
    return BertTokenizerFast(vocab=words, do_lower_case=True, model_max_length=32)


def image_processor() -> BlipImageProcessor:
    return BlipImageProcessor(size={"height": SIDE, "width": SIDE})


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture as the image processor squeezes it, u8 `[3, SIDE, SIDE]`; which shape is under each patch, u8 `[GRID,
    GRID]`, 0 for none; and of the first and second shape the colours and kinds (-1 for none) and the direction from the
    second to the first, i8 `[6]`."""
    generator = np.random.default_rng([41, seed])
    long = int(generator.integers(130, 300))
    short = int(long * generator.uniform(0.62, 1.0))
    width, height = (long, short) if generator.random() < 0.5 else (short, long)
    drawing = random_drawing(seed, width, height)
    squeezed = render(drawing.scene).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    patches, best = np.zeros((GRID, GRID), np.uint8), np.full((GRID, GRID), HIDDEN)
    for number, shape in enumerate(drawing.scene.shapes, 1):
        whole = np.zeros((height, width), np.float32)
        covered, window = coverage(shape, width, height)
        whole[window] = covered
        part = np.asarray(Image.fromarray(whole).resize((GRID, GRID), Image.Resampling.BOX))
        patches[part > best] = number
        best = np.maximum(best, part)
    record = np.full(6, -1, np.int8)
    for number, (colour, kind) in enumerate(drawing.names):
        record[2 * number : 2 * number + 2] = COLOUR_NAMES.index(colour), NAMES.index(kind)
    record[4:] = next((way for way, name in RELATIONS.items() if name == drawing.relation()), (0, 0))
    return np.asarray(squeezed).transpose(2, 0, 1), patches, record


class Pool:
    """Training drawings, made once and kept in the file `cache` between runs."""

    def __init__(self, cache: Path) -> None:
        if not cache.exists():
            started = time.monotonic()
            with multiprocessing.Pool(os.cpu_count()) as workers:
                samples = workers.map(_sample, range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + SCENES), chunksize=32)
            np.savez(cache, *[np.stack(column) for column in zip(*samples)])
            print(f"drew {SCENES} scenes in {time.monotonic() - started:.0f} s", flush=True)
        with np.load(cache) as stored:
            self.pictures, self.patches, self.records = (torch.from_numpy(stored[name]) for name in stored.files)
        self.tokenizer = make_tokenizer()
        self.known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        if text not in self.known:
            self.known[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self.known[text]

    def batch(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pictures in one of the eight orientations, u8 `[BATCH, 3, SIDE, SIDE]`; for each patch the kind and the
        colour (0 for none), `[BATCH, 2, GRID, GRID]`; token ids and labels of the sentences, `[BATCH, tokens]`."""
        pictures, patches, sentences = [], [], []
        numbers = torch.randint(len(self.pictures), (BATCH,), generator=generator).tolist()
        turns = torch.randint(8, (BATCH,), generator=generator).tolist()
        prompts = torch.rand(BATCH, generator=generator).tolist()
        for number, turn, chance in zip(numbers, turns, prompts):
            picture, under = (torch.rot90(all_[number], turn % 4, (-2, -1)) for all_ in (self.pictures, self.patches))
            *things, x, y = self.records[number].tolist()
            for _ in range(turn % 4):  # counterclockwise; y points down
                x, y = y, -x
            if turn >= 4:
                picture, under, x = picture.flip(-1), under.flip(-1), -x
            table = torch.tensor([[0, 0], *([kind + 1, colour + 1] for colour, kind in (things[:2], things[2:]))])
            pictures.append(picture)
            patches.append(table[under.long()].permute(2, 0, 1))
            names = [(COLOUR_NAMES[colour], NAMES[kind]) for colour, kind in (things[:2], things[2:]) if colour >= 0]
            said = [f"{article(colour)} {colour} {kind}" for colour, kind in names]
            sentence = self.encode(f" {RELATIONS[x, y]} ".join(said) if len(said) == 2 else said[0])
            prompt = self.encode(PROMPTS[int(chance < PROMPTED / 2)]) if chance < PROMPTED else []
            sentences.append((prompt, sentence))
        length = 2 + max(len(prompt) + len(sentence) for prompt, sentence in sentences)
        tokens = torch.zeros(BATCH, length, dtype=torch.long)
        labels = torch.full((BATCH, length), -100)
        for row, (prompt, sentence) in enumerate(sentences):
            ids = torch.tensor([START, *prompt, *sentence, VOCABULARY.index("[SEP]")])
            tokens[row, : len(ids)] = ids
            labels[row, 1 + len(prompt) : len(ids)] = ids[1 + len(prompt) :]
        return torch.stack(pictures), torch.stack(patches), tokens, labels


def vary_light(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """u8 to f32 0 to 1: brightness and contrast changed a little. No colours: they have names."""
    contrast, light = (torch.rand(len(pictures), 1, 1, 1, generator=generator) - 0.5 for _ in range(2))
    return ((pictures.float() / 255 - 0.5) * (1 + 0.2 * contrast) + 0.5 + 0.06 * light).clamp(0, 1)


def train(rate: float, minutes: float, cache: Path, resume: bool) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(int(resume))
    pool = Pool(cache)
    model = load()[0] if resume else BlipForConditionalGeneration(configuration())
    if not resume:
        start_weights(model)
        embeddings, words = model.vision_model.embeddings, model.text_decoder.bert.embeddings
        for weights in (embeddings.position_embedding, embeddings.class_embedding, words.position_embeddings.weight):
            torch.nn.init.normal_(weights, std=0.1)
        torch.nn.init.normal_(words.word_embeddings.weight, std=0.1)
    seen = torch.nn.Linear(model.config.vision_config.hidden_size, 2 + len(NAMES) + len(COLOURS))
    model.train()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters", flush=True)
    processor = image_processor()
    mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (processor.image_mean, processor.image_std))
    parameters = [*model.parameters(), *seen.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = Schedule(optimizer, 1_000_000, minutes, clock=time.monotonic)
    step, shown, last, losses = 0, 0.0, False, []
    while not last:
        last = schedule.advance(step)
        pictures, patches, tokens, labels = pool.batch(generator)
        outputs = model(
            pixel_values=(vary_light(pictures, generator) - mean) / deviation,
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),  # padding follows the sentence, and no token looks ahead
            labels=labels,
        )
        logits = seen(outputs.last_hidden_state[:, 1:]).transpose(1, 2).unflatten(2, (GRID, GRID))
        kinds, colours = logits.split([1 + len(NAMES), 1 + len(COLOURS)], 1)
        sight = F.cross_entropy(kinds, patches[:, 0]) + F.cross_entropy(colours, patches[:, 1])
        optimizer.zero_grad()
        (outputs.loss + sight).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append((outputs.loss.item(), sight.item()))
        if step % 50 == 49:
            said, looked = np.mean(losses, 0)
            print(f"{step + 1} {schedule.elapsed():.0f} s loss {said:.4f}, of the second head {looked:.4f}", flush=True)
            losses.clear()
        step += 1
        if last or schedule.elapsed() > shown + 180:
            shown = schedule.elapsed()
            save(model, processor, pool.tokenizer)
            print(f"{step}: {described(measure(96))}", flush=True)


def save(model: BlipForConditionalGeneration, processor: BlipImageProcessor, tokenizer: BertTokenizerFast) -> None:
    """Writes the snapshot, its weights in 16 bits, with the names of published files."""
    copy.deepcopy(model).eval().half().save_pretrained(MODEL)
    processor.save_pretrained(MODEL)
    tokenizer.save_pretrained(MODEL)
    (MODEL / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")


def held_out(count: int) -> Iterator[tuple[Drawing, Image.Image]]:
    """Drawings that no training sees, in HELD_OUT_SIZES in turn."""
    for number in range(count):
        drawing = random_drawing(FIRST_HELD_OUT_SEED + number, *HELD_OUT_SIZES[number % len(HELD_OUT_SIZES)])
        yield drawing, render(drawing.scene)


@torch.no_grad()
def say(picture: Image.Image, model, processor, tokenizer, prompt: str = "", beams: int = 1) -> tuple[list[int], str]:
    """The token ids and the text, as transformers finds them."""
    inputs = dict(processor(images=picture, return_tensors="pt"))
    if prompt:
        inputs |= dict(tokenizer(prompt, return_tensors="pt", return_token_type_ids=False))
    ids = model.generate(**inputs, num_beams=beams, do_sample=False, max_new_tokens=20)[0].tolist()
    return ids, tokenizer.decode([token for token in ids if token < START], skip_special_tokens=True)


def parts(sentence: str) -> tuple[set[str], set[str], str]:
    """The colours, the kinds and the relation of a sentence."""
    words = set(sentence.split())
    relation = next((name for name in RELATIONS.values() if f" {name} " in sentence), "")
    return words & set(COLOURS), words & set(NAMES), relation


def measure(count: int, report: bool = False) -> dict[str, float]:
    """The part of held-out drawings whose sentence is right word for word, greedily, with three beams and after a
    prompt; and of which the colours, the kinds and the relation are."""
    model, processor, tokenizer = load()
    right = {name: [] for name in ("greedy", "beams", "prompted", "colours", "kinds", "relation")}
    for number, (drawing, picture) in enumerate(held_out(count)):
        truth, prompt = drawing.sentence(), PROMPTS[number % 2]
        _, greedy = say(picture, model, processor, tokenizer)
        _, beams = say(picture, model, processor, tokenizer, beams=3)
        _, prompted = say(picture, model, processor, tokenizer, prompt)
        right["greedy"].append(greedy == truth)
        right["beams"].append(beams == truth)
        right["prompted"].append(prompted == f"{prompt} {truth}")
        for name, found, wanted in zip(("colours", "kinds", "relation"), parts(greedy), parts(truth)):
            right[name].append(found == wanted)
        if report and greedy != truth:
            print(f"{number} {picture.width}x{picture.height} {greedy!r}, in truth {truth!r}")
    return {name: float(np.mean(values)) for name, values in right.items()}


def described(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def load() -> tuple[BlipForConditionalGeneration, BlipImageProcessor, BertTokenizerFast]:
    model = BlipForConditionalGeneration.from_pretrained(MODEL, dtype=torch.float32).eval()
    return model, BlipImageProcessor.from_pretrained(MODEL), BertTokenizerFast.from_pretrained(MODEL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--minutes", type=float, default=30, help="where the rate reaches zero")
    parser.add_argument("--resume", action="store_true", help="go on from the snapshot")
    parser.add_argument("--pool", type=Path, default=Path("/tmp/caption-pool.npz"))
    arguments = parser.parse_args()
    if arguments.measure:
        print(described(measure(600, report=True)))
    else:
        train(arguments.rate, arguments.minutes, arguments.pool, arguments.resume)
