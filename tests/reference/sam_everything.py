"""What the authors' automatic mask generator makes of tiny SAMs that draw discs around points.

    python tests/reference/sam_everything.py        # writes tests/golden/sam/everything and tests/golden/sam2/everything

The masks of random networks are scattered over the picture, so that of two boxes one always suppresses the other; these
two have learned a little how to draw three discs around any point. The generator is that of the package segment-anything, the network and the preparation of pictures are transformers'.
Each folder has a snapshot and fixture.safetensors: a `picture` `[height, width, 3]`, and for each set of options what came
out, `NAME.scores`, `NAME.stability` and the masks as run lengths (`NAME.counts`, `NAME.runs` of them a mask), best first.
The options stand in the test, too.
"""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy
import torch
from safetensors.torch import save_file
from segment_anything import SamAutomaticMaskGenerator, automatic_mask_generator
from transformers import Sam2ImageProcessor, Sam2Model, SamImageProcessor, SamModel

from sam import CASES as SAM
from sam import config_of as config_of_sam
from sam import temper
from sam2 import CASES as SAM2
from sam2 import config_of as config_of_sam2
from vit import randomise

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


class Predictor:
    """SamPredictor over transformers' model."""

    def __init__(self, folder: Path, sam2: bool) -> None:
        self.sam2 = sam2
        self.network = (Sam2Model if sam2 else SamModel).from_pretrained(folder).eval()
        self.side = self.network.config.prompt_encoder_config.image_size
        if sam2:
            self.processor = Sam2ImageProcessor(
                size={"height": self.side, "width": self.side}, mask_size={"height": self.side // 4, "width": self.side // 4}
            )
        else:
            self.processor = SamImageProcessor(
                size={"longest_edge": self.side}, pad_size={"height": self.side, "width": self.side}
            )
        self.processor.save_pretrained(folder)
        self.device = torch.device("cpu")
        self.model = SimpleNamespace(mask_threshold=0.0)
        self.transform = SimpleNamespace(apply_coords=self.apply_coords)

    def set_image(self, image: numpy.ndarray) -> None:
        inputs = self.processor(images=image, input_data_format="channels_last", return_tensors="pt")
        self.sizes = inputs.get("original_sizes"), inputs.get("reshaped_input_sizes")
        with torch.no_grad():
            self.embeddings = self.network.get_image_embeddings(inputs["pixel_values"])

    def reset_image(self) -> None:
        pass

    def apply_coords(self, points: numpy.ndarray, size: tuple[int, int]) -> numpy.ndarray:
        height, width = size
        scale = self.side / max(size)
        new = (self.side, self.side) if self.sam2 else (int(height * scale + 0.5), int(width * scale + 0.5))
        return points * numpy.array([new[1] / width, new[0] / height])

    def predict_torch(self, points, labels, multimask_output: bool, return_logits: bool):
        assert return_logits
        found = self.network(
            image_embeddings=self.embeddings, input_points=points[None].float(), input_labels=labels[None],
            multimask_output=multimask_output,
        )
        more = {} if self.sam2 else {"reshaped_input_sizes": self.sizes[1]}
        (masks,) = self.processor.post_process_masks(found.pred_masks, self.sizes[0], binarize=False, **more)
        return masks, found.iou_scores[0], None


def picture(height: int, width: int, seed: int) -> numpy.ndarray:
    """Soft blobs of colour."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 3, 5, 7), generator=random)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (fine[0].permute(1, 2, 0) * 255).byte().contiguous().numpy()


SETS = {
    "plain": dict(points_per_side=4, pred_iou_thresh=0.75, stability_score_thresh=0.8),
    "crops": dict(
        points_per_side=4, pred_iou_thresh=0.7, stability_score_thresh=0.7, stability_score_offset=0.5, crop_n_layers=1,
        box_nms_thresh=0.5, crop_nms_thresh=0.6, crop_n_points_downscale_factor=2,
    ),
    "regions": dict(points_per_side=3, pred_iou_thresh=0.5, stability_score_thresh=0.3, min_mask_region_area=900),
}


def train(model, side: int, steps: int, rate: float) -> None:
    """Discs of three radii around the point, and how well each was drawn."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    with torch.no_grad():
        for key, value in [*model.named_parameters(), *model.named_buffers()]:
            if "positional_embedding" in key:
                # Slow waves: places near each other look alike.
                value.mul_(0.25)
            elif "neck.layer_norm2" in key or "no_memory" in key or "neck.convs" in key:
                value.mul_(0.3)
    low = side // 2 if model.config.model_type == "sam" else side // 4
    at = (torch.arange(low) + 0.5) * side / low
    radii = torch.tensor([0.12, 0.2, 0.3]) * side
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / steps) + 1e-5
        pixels = torch.randn((1, 3, side, side))
        points = torch.rand((1, 12, 1, 2)) * side
        found = model(pixel_values=pixels, input_points=points, input_labels=torch.ones((1, 12, 1), dtype=torch.int64))
        distance = ((at[None, None, :] - points[0, :, :, :1]) ** 2 + (at[None, :, None] - points[0, :, :, 1:]) ** 2).sqrt()
        target = (distance[:, None] < radii[None, :, None, None]).float()
        logits = found.pred_masks[0]
        overlap = ((logits > 0) & (target > 0)).sum((-1, -2)) / ((logits > 0) | (target > 0)).sum((-1, -2))
        mask_loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(3.0))
        loss = mask_loss + 0.1 * ((found.iou_scores[0] - overlap) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 20 == 0:
            print(step, round(loss.item(), 3), flush=True)
    print(f"{model.config.model_type}: loss {loss.item():.3f}, IoU {overlap.mean().item():.2f}")


def main() -> None:
    cases = {"sam/everything": (False, SAM["plain"], 3, 6e-3), "sam2/everything": (True, SAM2["plain"], 5, 2e-3)}
    for name, (sam2, case, seed, rate) in cases.items():
        model = Sam2Model(config_of_sam2(case)) if sam2 else SamModel(config_of_sam(case))
        model.config._attn_implementation = "eager"
        randomise(model, seed)
        temper(model, seed)
        train(model.train(), case["image"], 1200, rate)
        folder = GOLDEN / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        predictor = Predictor(folder, sam2)
        # The generator makes its own predictor from a model.
        automatic_mask_generator.SamPredictor = lambda model: model
        image = picture(60, 88, seed)
        tensors = {"picture": torch.from_numpy(image).float().contiguous()}
        for options_name, options in SETS.items():
            found = SamAutomaticMaskGenerator(predictor, output_mode="uncompressed_rle", **options).generate(image)
            found.sort(key=lambda record: -record["predicted_iou"])
            print(name, options_name, len(found), [record["area"] for record in found][:12])
            column = lambda key: torch.tensor([float(record[key]) for record in found])
            tensors[f"{options_name}.scores"] = column("predicted_iou")
            tensors[f"{options_name}.stability"] = column("stability_score")
            counts = [record["segmentation"]["counts"] for record in found]
            tensors[f"{options_name}.runs"] = torch.tensor([float(len(runs)) for runs in counts])
            tensors[f"{options_name}.counts"] = torch.tensor([float(run) for runs in counts for run in runs])
        save_file(tensors, folder / "fixture.safetensors")


if __name__ == "__main__":
    main()
