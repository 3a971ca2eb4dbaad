"""What the scripts of detectors share: a tiny random detector becomes a folder with a snapshot and fixture.safetensors.

The fixture has two images at once (`pixel_values`, `logits`, `pred_boxes`), and two pictures of other sizes with what the
image processor prepares of each (`picture.N`, `prepared.N`) and what the whole way gives (`labels.N`, `scores.N`,
`boxes.N`: left, top, right, bottom in pixels, not cut off at the picture's edges; best first).
"""

import shutil
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
# (height, width): a wide one and a high one.
PICTURES = [(41, 67), (90, 53)]


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """Coloured blobs and noise, uint8 `[height, width, 3]`."""
    generator = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    image = generator.integers(0, 60, (height, width, 3)).astype(float)
    for _ in range(6):
        at, size = generator.random(2) * (height, width), 4 + generator.random() * 14
        inside = numpy.hypot(y - at[0], x - at[1]) < size
        image[inside] = generator.integers(0, 256, 3)
    return torch.from_numpy(image.clip(0, 255).astype(numpy.uint8))


def prepared(processor, index: int) -> torch.Tensor:
    """What the processor makes of a picture: `[1, 3, height, width]`."""
    drawn = picture(*PICTURES[index], seed=index).permute(2, 0, 1)
    return processor(images=drawn, return_tensors="pt", input_data_format="channels_first")["pixel_values"]


@torch.no_grad()
def spread(model: torch.nn.Module, last: torch.nn.Linear, processor, deviation: float = 1.5) -> None:
    """Makes queries differ in what they say of the pictures: logits have a mean of 0 and a deviation over queries, class
    by class."""
    found = [model(pixel_values=prepared(processor, index)).logits.flatten(0, 1) for index in range(len(PICTURES))]
    logits = torch.cat(found)
    factor = deviation / logits.std(0)
    last.bias.copy_((last.bias - logits.mean(0)) * factor)
    last.weight.mul_(factor[:, None])


def detector(name: str, model: torch.nn.Module, processor, image: torch.Tensor, threshold: float, more=None) -> None:
    """Writes the folder. `threshold` is low enough that random weights find something; `more(found)` names further
    tensors of the model's output on `image`."""
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    with torch.no_grad():
        found = model(pixel_values=image)
    tensors = {"pixel_values": image, "logits": found.logits, "pred_boxes": found.pred_boxes}
    tensors |= more(found) if more else {}
    for index, size in enumerate(PICTURES):
        pixels = prepared(processor, index)
        with torch.no_grad():
            answer = model(pixel_values=pixels)
        [result] = processor.post_process_object_detection(answer, threshold=threshold, target_sizes=[size])
        order = result["scores"].argsort(descending=True, stable=True)
        # Something is found, not everything, and of several classes.
        assert 3 < len(order), len(order)
        assert len(result["labels"].unique()) > 1, result["labels"]
        tensors |= {
            f"picture.{index}": picture(*size, seed=index),
            f"prepared.{index}": pixels,
            f"labels.{index}": result["labels"][order].to(torch.int64),
            f"scores.{index}": result["scores"][order],
            f"boxes.{index}": result["boxes"][order],
        }
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / "fixture.safetensors")
    print(name, {key: tuple(value.shape) for key, value in tensors.items()}, sum(f.stat().st_size for f in folder.iterdir()))
