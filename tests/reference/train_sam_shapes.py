"""Trains the SAM that cuts drawn shapes out at a point or in a box, from nothing, on the CPU, and measures it.

    OMP_NUM_THREADS=1 python tests/reference/train_sam_shapes.py            # writes tests/models/shapes-sam/
    python tests/reference/train_sam_shapes.py --measure                    # IoU of the snapshot that is there

Prompts are sampled from the truth: points inside and outside, boxes, both, and the mask of an earlier answer. The loss
is that of the paper (https://arxiv.org/abs/2304.02643, appendix A): the best of the three candidates counts, and the
predicted IoU learns the true one. Helpers that are thrown away afterwards make the image embedding say what is shape and
where the middle of the shape lies to which a place belongs: from masks alone it would learn this in hours. About 35 minutes on one core.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import (
    SamConfig,
    SamImageProcessor,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from shapes_pool import (
    Schedule,
    TrainingPool,
    held_out,
    inner_point,
    intersection_over_union,
    mask_box,
    resize,
    start_weights,
    vary_colours,
)

MODEL = Path(__file__).resolve().parents[1] / "models" / "shapes-sam"
SIDE = 160  # pixels of the square that the longest edge of every picture is made to fit
PATCH = 8
GRID = SIDE // PATCH
MASK_SIDE = 4 * GRID
FINE_SIDE = 2 * MASK_SIDE  # between the cells of a mask it has to be right as well
FINE_SHARE = 0.3  # of the training, at its end
HINT_SHARE = 0.4  # of the training, at its beginning: helpers only
SHIFT = 0.9  # deviation of the frequencies that encode places: half a turn in an eighth of the picture's side
WIDTH = 128  # of the embedding, the prompts and the decoder
BATCH = 8
PROMPTS = 3  # per picture
PADDING = 255  # in instance maps
BEST_SHARE = 0.5  # of the loss that only the best candidate gets; the rest goes to all three


def configuration() -> SamConfig:
    return SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=96,
            output_channels=WIDTH,
            num_hidden_layers=4,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=PATCH,
            initializer_range=0.02,
            mlp_ratio=2.0,
            window_size=5,
            global_attn_indexes=[1, 3],
            num_pos_feats=WIDTH // 2,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(hidden_size=WIDTH, image_size=SIDE, patch_size=PATCH),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=WIDTH, mlp_dim=256, num_attention_heads=4, iou_head_hidden_dim=64
        ),
    )


def new_model() -> SamModel:
    model = SamModel(configuration())
    # transformers starts these for a checkpoint to overwrite.
    start_weights(model)
    torch.nn.init.normal_(model.shared_image_embedding.positional_embedding, std=SHIFT)
    torch.nn.init.normal_(model.vision_encoder.pos_embed, std=0.02)
    model.tie_weights()
    # With equal projections of queries and keys a prompt and the places near it attend to each other from the start.
    # Left to chance, the decoder answers "every shape in the picture" for a thousand steps.
    for layer in model.mask_decoder.transformer.layers:
        for attention in (layer.cross_attn_token_to_image, layer.cross_attn_image_to_token):
            torch.nn.init.normal_(attention.q_proj.weight, std=2 / WIDTH**0.5)
            torch.nn.init.zeros_(attention.q_proj.bias)
            attention.k_proj.load_state_dict(attention.q_proj.state_dict())
    return model


def processor() -> SamProcessor:
    return SamProcessor(
        SamImageProcessor(
            size={"longest_edge": SIDE},
            pad_size={"height": SIDE, "width": SIDE},
            mask_size={"longest_edge": MASK_SIDE},
            mask_pad_size={"height": MASK_SIDE, "width": MASK_SIDE},
        )
    )


class Prompts:
    """PROMPTS prompts for each picture of a batch, flat: points `[n, 1, points, 2]`, their labels, boxes `[n, 1, 4]`
    (points or boxes may be missing), and the masks that are wanted, bool `[n, SIDE, SIDE]`."""

    def __init__(self, instances: torch.Tensor, generator: np.random.Generator) -> None:
        inside, outside = (int(generator.integers(low, 3)) for low in (1, 0))
        kind = generator.choice(["point", "points", "box", "both"], p=[0.4, 0.2, 0.3, 0.1])
        if kind != "points":
            inside, outside = 1, 0
        points, boxes, wanted = [], [], []
        for numbers in instances.numpy():
            areas = np.bincount(numbers.ravel(), minlength=256)
            large = np.flatnonzero(areas[1:PADDING] > 100) + 1
            for _ in range(PROMPTS):
                background = len(large) == 0 or (kind in ("point", "points") and generator.random() < 0.03)
                mask = numbers == (0 if background else generator.choice(large))
                near = np.flatnonzero(~mask & (numbers != PADDING))
                wanted.append(mask)
                points.append(_pick(np.flatnonzero(_shrink(mask)), inside, generator))
                points[-1] += _pick(near, outside, generator) if len(near) else [(0, 0)] * outside
                box = np.array(mask_box(mask), np.float32)
                sides = np.tile(box[2:] - box[:2], 2)
                boxes.append(box + generator.uniform(-0.04, 0.04, 4) * sides)
        self.wanted = torch.from_numpy(np.stack(wanted))
        self.points = torch.tensor(points, dtype=torch.float32)[:, None] if kind != "box" else None
        labels = torch.tensor([1] * inside + [0] * outside).expand(len(wanted), 1, -1)
        self.labels = labels if kind != "box" else None
        self.boxes = torch.tensor(np.stack(boxes), dtype=torch.float32)[:, None] if kind in ("box", "both") else None


def _shrink(mask: np.ndarray) -> np.ndarray:
    """The mask less two pixels at its edge: nobody points there on purpose."""
    inner = mask.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inner &= np.roll(mask, step, axis)
    return inner if inner.any() else mask


def _pick(flat: np.ndarray, count: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    return [(int(place % SIDE), int(place // SIDE)) for place in generator.choice(flat, count)]


def load_batch(pool: TrainingPool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """f32 pictures, normalised, zero where padded; and instances."""
    settings = processor().image_processor
    mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (settings.image_mean, settings.image_std))
    pictures, instances = [], []
    for _ in range(BATCH):
        picture, numbers, _ = pool.pick(generator)
        size = [int(length * SIDE / max(numbers.shape) + 0.5) for length in numbers.shape]
        picture, numbers = resize(picture, size, "bilinear"), resize(numbers, size, "nearest-exact")
        below, beside = SIDE - numbers.shape[0], SIDE - numbers.shape[1]
        pictures.append(F.pad(picture, (0, beside, 0, below)))
        instances.append(F.pad(numbers, (0, beside, 0, below), value=PADDING))
    numbers = torch.stack(instances)
    varied = (vary_colours(torch.stack(pictures), generator) - mean) / deviation
    return varied * (numbers != PADDING)[:, None], numbers


def decode(model: SamModel, embeddings: torch.Tensor, prompts: Prompts, masks: torch.Tensor | None, several: bool):
    """Mask logits `[n, candidates, MASK_SIDE, MASK_SIDE]` and predicted IoU `[n, candidates]`."""
    sparse, dense = model.prompt_encoder(prompts.points, prompts.labels, prompts.boxes, masks)
    positions = model.get_image_wide_positional_embeddings().repeat(len(embeddings), 1, 1, 1)
    logits, quality = model.mask_decoder(embeddings, positions, sparse, dense, multimask_output=several)
    return logits[:, 0], quality[:, 0]


class Helpers(torch.nn.Module):
    """What the image embedding is made to say: shape or background in each cell of a mask, and in each patch the box of
    the shape that fills most of it and the code of its middle, as prompts are coded."""

    def __init__(self) -> None:
        super().__init__()
        self.shape = torch.nn.Conv2d(WIDTH, (MASK_SIDE // GRID) ** 2, 1)
        self.box = torch.nn.Conv2d(WIDTH, 4, 1)
        self.middle = torch.nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, model: SamModel, embeddings: torch.Tensor, instances: torch.Tensor) -> torch.Tensor:
        shapes = ((instances != 0) & (instances != PADDING)).float()[:, None]
        cells = F.pixel_shuffle(self.shape(embeddings), MASK_SIDE // GRID)
        loss = F.binary_cross_entropy_with_logits(cells, F.avg_pool2d(shapes, SIDE // MASK_SIDE))
        boxes = torch.zeros(len(instances), GRID, GRID, 4)
        filled = torch.full((len(instances), GRID, GRID), 0.2)
        for picture, numbers in enumerate(instances):
            for number in numbers.unique().tolist():
                if number not in (0, PADDING):
                    mask = numbers == number
                    part = F.avg_pool2d(mask.float()[None], PATCH)[0]
                    boxes[picture][part > filled[picture]] = torch.tensor(mask_box(mask.numpy())).float() / SIDE
                    filled[picture] = torch.maximum(filled[picture], part)
        inside = filled > 0.2
        boxes = boxes[inside]
        middles = model.shared_image_embedding((boxes[:, :2] + boxes[:, 2:]) / 2)
        loss = loss + 2 * F.l1_loss(self.box(embeddings).permute(0, 2, 3, 1)[inside], boxes)
        return loss + 2 * F.mse_loss(self.middle(embeddings).permute(0, 2, 3, 1)[inside], middles)


def loss_of(
    logits: torch.Tensor, quality: torch.Tensor, wanted: torch.Tensor, side: int
) -> tuple[torch.Tensor, float]:
    """The loss over masks of `side` squared, and the mean IoU of the candidate that the model thinks best."""
    part = F.avg_pool2d(wanted.float()[:, None], SIDE // side)
    fine = logits
    if side != MASK_SIDE:
        fine = F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
    found = fine.sigmoid()
    dice = 1 - (2 * (found * part).sum((2, 3)) + 1) / (found.sum((2, 3)) + part.sum((2, 3)) + 1)
    certain = F.binary_cross_entropy_with_logits(fine, part.expand_as(fine), reduction="none").mean((2, 3))
    each = dice + 2 * certain
    with torch.no_grad():
        drawn, true = fine > 0, part > 0.5
        overlap = (drawn & true).sum((2, 3)) / (drawn | true).sum((2, 3)).clamp(min=1)
    loss = BEST_SHARE * each.min(1).values.mean() + (1 - BEST_SHARE) * each.mean()
    chosen = overlap.gather(1, quality.argmax(1, keepdim=True)).mean().item()
    return loss + F.mse_loss(quality, overlap), chosen


def prompted_loss(
    model: SamModel, embeddings: torch.Tensor, instances: torch.Tensor, sampler: np.random.Generator, fine: bool
) -> tuple[torch.Tensor, float]:
    """loss_of the masks for new prompts; a part of them start from the mask of an answer without it."""
    prompts = Prompts(instances, sampler)
    embeddings = embeddings.repeat_interleave(PROMPTS, 0)
    masks, several = None, sampler.random() < 0.75
    if sampler.random() < 0.15:
        with torch.no_grad():
            logits, quality = decode(model, embeddings, prompts, None, several=True)
            masks = logits[torch.arange(len(logits)), quality.argmax(1)][:, None]
    decoded = decode(model, embeddings, prompts, masks, several)
    return loss_of(*decoded, prompts.wanted, FINE_SIDE if fine else MASK_SIDE)


def train(steps: int, rate: float, minutes: float, cache: Path, resume: bool) -> None:
    torch.manual_seed(0)
    generator, sampler = torch.Generator().manual_seed(0), np.random.default_rng(0)
    pool = TrainingPool(cache)
    model = (load() if resume else new_model()).train()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters", flush=True)
    model.shared_image_embedding.positional_embedding.requires_grad_(False)
    # A snapshot has learned what the helpers taught.
    helpers = None if resume else Helpers()
    trained = [] if resume else [*helpers.parameters()]
    trained += [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    schedule = Schedule(optimizer, steps, minutes, warmup=200)
    mean = [2.0, 0.0, 2.0]
    for step in range(steps):
        last = schedule.advance(step)
        pictures, instances = load_batch(pool, generator)
        embeddings = model.vision_encoder(pictures).last_hidden_state
        hint, loss, overlap = torch.zeros(()), torch.zeros(()), 0.0
        if helpers:
            hint = helpers(model, embeddings, instances)
        if resume or schedule.done > HINT_SHARE:
            fine = resume or schedule.done > 1 - FINE_SHARE
            loss, overlap = prompted_loss(model, embeddings, instances, sampler, fine)
        optimizer.zero_grad()
        (loss + hint).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        mean = [0.98 * old + 0.02 * new for old, new in zip(mean, (loss.item(), overlap, hint.item()))]
        if step % 50 == 0:
            print(f"{step} {schedule.elapsed():.0f} s loss {mean[0]:.4f} IoU {mean[1]:.4f} hint {mean[2]:.4f}", flush=True)
        if (step % 500 == 499 and (resume or schedule.done > HINT_SHARE)) or last:
            model.eval()
            save(model)
            print(f"{step} IoU {measure(12)}", flush=True)
            model.train()
        if last:
            break


def save(model: SamModel) -> None:
    """Writes the snapshot, weights in f16."""
    halves = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    model.save_pretrained(MODEL, state_dict=halves)
    processor().image_processor.save_pretrained(MODEL)  # preprocessor_config.json, as in published snapshots


@torch.no_grad()
def cut_out(picture: Image.Image, reader: SamProcessor, model: SamModel, **prompts) -> np.ndarray:
    """The best of the three masks for each prompt, bool `[prompts, height, width]`."""
    inputs = reader(images=picture, return_tensors="pt", **prompts)
    inputs = {name: value.float() if value.dtype == torch.float64 else value for name, value in inputs.items()}
    sizes = [inputs.pop(name) for name in ("original_sizes", "reshaped_input_sizes")]
    outputs = model(**inputs)
    masks = reader.image_processor.post_process_masks(outputs.pred_masks, *sizes)[0]
    best = outputs.iou_scores[0].argmax(-1)
    return masks[torch.arange(len(masks)), best].numpy()


def prompt_scores(picture: Image.Image, truth: list[np.ndarray], reader, model) -> dict[str, list[float]]:
    """IoU for each mask of the truth: for a point inside it, and for its box."""
    points = [[list(inner_point(mask))] for mask in truth]
    found = {
        "point": cut_out(picture, reader, model, input_points=[points], input_labels=[[[1]] * len(truth)]),
        "box": cut_out(picture, reader, model, input_boxes=[[list(map(float, mask_box(mask))) for mask in truth]]),
    }
    return {
        kind: [intersection_over_union(mask, wanted) for mask, wanted in zip(masks, truth)]
        for kind, masks in found.items()
    }


def measure(count: int, report: bool = False) -> str:
    """IoU over the shapes of held-out scenes: mean, tenth quantile and least."""
    reader, model = SamProcessor.from_pretrained(MODEL), load()
    scores: dict[str, list[float]] = {"point": [], "box": []}
    for scene, picture, instances in held_out(count):
        truth = [instances == number for number in np.unique(instances) if number]
        for kind, values in prompt_scores(picture, truth, reader, model).items():
            scores[kind] += values
            if report:
                print(f"{scene.width}x{scene.height} {kind} {' '.join(f'{value:.3f}' for value in values)}")
    return " ".join(
        f"{kind}: mean {np.mean(values):.4f} tenth {np.quantile(values, 0.1):.4f} least {min(values):.4f}"
        for kind, values in scores.items()
    )


def load() -> SamModel:
    return SamModel.from_pretrained(MODEL, dtype=torch.float32).eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--minutes", type=float, default=60, help="where the rate reaches zero even if steps are left")
    parser.add_argument("--resume", action="store_true", help="go on from the snapshot")
    parser.add_argument("--pool", type=Path, default=Path("/tmp/shapes-pool.npz"))
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(120, report=True))
    else:
        train(arguments.steps, arguments.rate, arguments.minutes, arguments.pool, arguments.resume)
