"""Narrow random GeoTransformers, and what the authors' code makes of two clouds with them.

    git clone https://github.com/qinzheng93/GeoTransformer
    python -m pip install einops easydict ninja      # and a C++ compiler, for the authors' extension
    python tests/reference/geotransformer.py GeoTransformer     # tests/golden/geometric/ and tests/golden/geotransformer/

Nothing of the checkout is changed: its C++ extension is built here for the processor, what asks for CUDA stays where it is,
and modules that only draw are empty. Networks run in f64 on neighbours that the extension finds in f32, so that the files
tell what the formulas say: in f32 the authors' distance of a superpoint to itself is the root of a rounding error.

`geometric` has the layers that other matchers share: embeddings (`max`, `mean`), a transformer of two clouds, optimal
transport. `geotransformer` has a folder an experiment (3dmatch, kitti, modelnet; each with the authors' config.py but for
what its config.json says): weights, two clouds, and all stages from the pyramid of points to the transform. modelnet's
weights are a `.pth.tar` as the authors publish them.
"""

import importlib
import json
import shutil
import sys
import tempfile
import types
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
EXPERIMENTS = {
    "3dmatch": "geotransformer.3dmatch.stage4.gse.k3.max.oacl.stage2.sinkhorn",
    "kitti": "geotransformer.kitti.stage5.gse.k3.max.oacl.stage2.sinkhorn",
    "modelnet": "geotransformer.modelnet.rpmnet.stage4.gse.k3.max.oacl.stage2.sinkhorn",
}
# What differs from the authors' config.py: narrow, and for a scene of two units.
NARROW = {
    "3dmatch": {
        "neighbor_limits": [16, 18, 18, 14],
        "backbone": {"init_voxel_size": 0.075, "group_norm": 2, "init_dim": 4, "output_dim": 12},
        "model": {"num_points_in_patch": 20, "num_sinkhorn_iterations": 30},
        "coarse_matching": {"num_correspondences": 24},
        "geotransformer": {
            "input_dim": 64, "hidden_dim": 24, "output_dim": 20, "num_heads": 3, "blocks": ["self", "cross", "self", "cross"],
            "sigma_d": 0.3,
        },
        "fine_matching": {"acceptance_radius": 0.25},
    },
    "kitti": {
        "neighbor_limits": [16, 14, 16, 16, 12],
        "backbone": {"init_voxel_size": 0.035, "base_radius": 4.25, "group_norm": 1, "init_dim": 4, "output_dim": 8},
        "model": {"num_points_in_patch": 18, "num_sinkhorn_iterations": 20},
        "coarse_matching": {"num_correspondences": 20, "dual_normalization": False},
        "geotransformer": {
            "input_dim": 128, "hidden_dim": 16, "output_dim": 16, "num_heads": 2, "blocks": ["cross", "self"], "sigma_d": 0.4,
            "sigma_a": 20,
        },
        "fine_matching": {"acceptance_radius": 0.3, "mutual": False, "use_global_score": True, "correspondence_limit": 100},
    },
    "modelnet": {
        "neighbor_limits": [14, 16, 16],
        "backbone": {"init_voxel_size": 0.1, "group_norm": 2, "init_dim": 4, "output_dim": 10},
        "model": {"num_points_in_patch": 32, "num_sinkhorn_iterations": 25},
        "coarse_matching": {"num_correspondences": 16},
        "geotransformer": {
            "input_dim": 32, "hidden_dim": 16, "output_dim": 16, "num_heads": 4, "blocks": ["self", "cross"], "angle_k": 2,
            "reduction_a": "mean",
        },
        "fine_matching": {"acceptance_radius": 0.3, "confidence_threshold": 0.03},
    },
}  # fmt: skip


def open_checkout(root: Path) -> None:
    """Makes the authors' packages importable, on a machine without CUDA and without drawing."""
    sys.path.insert(0, str(root))
    for name in ["IPython", "ipdb", "matplotlib", "matplotlib.pyplot", "matplotlib.cm", "open3d"]:
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["IPython"].embed = None
    sys.modules["matplotlib"].pyplot, sys.modules["matplotlib"].cm = None, None
    sys.modules["open3d"].io = types.SimpleNamespace(read_point_cloud=read_kernel)
    torch.Tensor.cuda = lambda self, *_, **__: self
    torch.nn.Module.cuda = lambda self, *_, **__: self
    from torch.utils.cpp_extension import load

    build = Path(tempfile.gettempdir()) / "geotransformer-extension"
    stub = build / "include" / "ATen" / "cuda" / "CUDAContext.h"
    stub.parent.mkdir(parents=True, exist_ok=True)
    stub.write_text("")
    sources = [str(path) for path in (root / "geotransformer" / "extensions").rglob("*.cpp")]
    sys.modules["geotransformer.ext"] = load(
        "geotransformer_ext", sources, build_directory=str(build), extra_include_paths=[str(build / "include")]
    )


def read_kernel(path: str) -> types.SimpleNamespace:
    """The one PLY of the checkout: points in binary f64."""
    header, body = Path(path).read_bytes().split(b"end_header\n", 1)
    assert b"binary_little_endian" in header and b"float64 z" in header
    return types.SimpleNamespace(points=numpy.frombuffer(body, "<f8").reshape(-1, 3))


def configured(root: Path, experiment: str, changes: dict) -> tuple:
    """The experiment's configuration with changes, and its network."""
    folder = str(root / "experiments" / EXPERIMENTS[experiment])
    for name in ["config", "model", "backbone"]:
        sys.modules.pop(name, None)
    sys.path.insert(0, folder)
    config = importlib.import_module("config").make_cfg()
    for section, values in changes.items():
        if isinstance(values, dict):
            config[section].update(values)
    backbone = config.backbone
    backbone.init_radius = backbone.base_radius * backbone.init_voxel_size
    backbone.init_sigma = backbone.base_sigma * backbone.init_voxel_size
    model = importlib.import_module("model").create_model(config).eval()
    sys.path.remove(folder)
    return config, model


def enliven(model: torch.nn.Module, spread: float) -> None:
    """Random norms and biases, sharp attention, and features that tell points apart. Numbers that the file holds."""
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith(("norm.weight",)):
            value.copy_(1 + 0.3 * torch.randn_like(value))
        elif name.endswith("bias"):
            value.copy_(0.2 * torch.randn_like(value))
        elif any(part in name for part in ["proj_q.weight", "proj_k.weight", "proj_p.weight"]):
            value.mul_(2.5)
        elif name.endswith(("proj_d.weight", "proj_a.weight")):
            value.mul_(3)
        elif name.endswith("KPConv.weights"):
            value.mul_(3)
        elif name.endswith("alpha"):
            value.fill_(0.75)
    last = [name for name in state if name.startswith("backbone.decoder") and name.endswith("mlp.weight")][-1]
    state[last].mul_(spread)
    for value in state.values():
        value.copy_(value.half())


def scene(count: int, generator: numpy.random.Generator) -> tuple:
    """A bumpy floor with a block and a pole, seen in two parts that share most, from two places."""
    def surface(amount: int) -> numpy.ndarray:
        x, y = generator.uniform(-1, 1, (2, amount))
        z = 0.18 * numpy.sin(3.1 * x + 0.4) * numpy.cos(2.3 * y) + 0.05 * numpy.sin(9 * x * y)
        z = numpy.where((abs(x - 0.25) < 0.3) & (abs(y + 0.2) < 0.22), z + 0.4, z)
        pole = generator.uniform(0, 1, amount) < 0.12
        angle = generator.uniform(0, 6.3, amount)
        x, y = numpy.where(pole, -0.45 + 0.07 * numpy.cos(angle), x), numpy.where(pole, 0.35 + 0.07 * numpy.sin(angle), y)
        z = numpy.where(pole, generator.uniform(0, 0.8, amount), z)
        return numpy.stack([x, y, z], 1)

    reference = surface(2 * count)
    reference = reference[reference[:, 0] < 0.6][:count]
    source = surface(2 * count)
    source = source[source[:, 0] > -0.7][: count - 60]
    angle = 0.35
    rotation = numpy.array([[numpy.cos(angle), -numpy.sin(angle), 0], [numpy.sin(angle), numpy.cos(angle), 0], [0, 0, 1]])
    source = (source - [0.2, 0.1, 0.05]) @ rotation
    transform = numpy.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation, [0.2, 0.1, 0.05]
    return reference.astype(numpy.float32), source.astype(numpy.float32), transform


def run(config, model, reference, source, limits, kind=torch.float64) -> tuple:
    """The authors' pyramid and network; what their parts gave on the way."""
    from geotransformer.utils.data import registration_collate_fn_stack_mode

    points = {"ref_points": reference, "src_points": source}
    feats = {"ref_feats": numpy.ones((len(reference), 1), "f4"), "src_feats": numpy.ones((len(source), 1), "f4")}
    given = {**points, **feats, "transform": numpy.eye(4)}
    backbone = config.backbone
    data = registration_collate_fn_stack_mode(
        [given], backbone.num_stages, backbone.init_voxel_size, backbone.init_radius, limits
    )
    # Contiguous, as a copy to a GPU makes it.
    cast = lambda value: value.to(kind) if value.is_floating_point() else value.contiguous()  # noqa: E731
    for key, value in data.items():
        if isinstance(value, list):
            data[key] = [cast(item) for item in value]
        elif torch.is_tensor(value):
            data[key] = cast(value)
    kept = {}
    keep = lambda name: lambda _, __, output: kept.setdefault(name, []).append(output)  # noqa: E731
    for name, part in [
        ("backbone", model.backbone),
        ("embedding", model.transformer.embedding),
        ("coarse", model.coarse_matching),
    ]:
        part.register_forward_hook(keep(name))
    with torch.no_grad():
        output = model(data)
    return data, output, kept


def planes(indices: torch.Tensor) -> torch.Tensor:
    """Indices below 65536 as two bytes each, the high one first."""
    return torch.stack([indices // 256, indices % 256], -1).to(torch.uint8)


def experiment(root: Path, name: str, count: int, spread: float) -> None:
    generator = numpy.random.default_rng(7)
    torch.manual_seed(31)
    numpy.random.seed(5)
    changes = NARROW[name]
    config, model = configured(root, name, changes)
    enliven(model, spread)
    model.double()
    reference, source, truth = scene(count, generator)
    data, output, kept = run(config, model, reference, source, changes["neighbor_limits"])
    fixture = {"ref_points": torch.from_numpy(reference), "src_points": torch.from_numpy(source)}
    for stage, (points, lengths) in enumerate(zip(data["points"], data["lengths"])):
        fixture[f"lengths.{stage}"] = lengths
        if stage > 0:
            fixture[f"points.{stage}"] = points
        fixture[f"neighbors.{stage}"] = planes(data["neighbors"][stage])
        if stage + 1 < len(data["points"]):
            fixture[f"subsampling.{stage}"] = planes(data["subsampling"][stage])
            fixture[f"upsampling.{stage}"] = planes(data["upsampling"][stage][:, :1])
    (feats,) = kept["backbone"]
    fixture["feats_f"], fixture["feats_c"] = feats[0], feats[-1]
    # Rows 3 and 9 of the first cloud's embedding.
    fixture["embedding"] = kept["embedding"][0][0][[3, 9]]
    ((_, _, scores),) = kept["coarse"]
    fixture["node_corr_scores"] = scores
    for key in [
        "ref_feats_c", "src_feats_c", "ref_node_corr_indices", "src_node_corr_indices", "matching_scores",
        "ref_corr_points", "src_corr_points", "corr_scores", "estimated_transform",
    ]:  # fmt: skip
        fixture[key] = output[key]
    for side in ["ref", "src"]:
        fixture[f"{side}_masks"] = output[f"{side}_node_corr_knn_masks"].to(torch.uint8)
        fixture[f"{side}_knn_points"] = output[f"{side}_node_corr_knn_points"]
    report(name, data, output, fixture, truth, config)
    folder = GOLDEN / "geotransformer" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fixture = {key: value.float() if value.is_floating_point() else value for key, value in fixture.items()}
    save_file({key: value.contiguous() for key, value in fixture.items()}, folder / "fixture.safetensors")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "geotransformer", "experiment": name, **changes}, indent=2) + "\n"
    )
    state = {key: value.half() for key, value in model.state_dict().items()}
    if name != "modelnet":
        save_file(state, folder / "model.safetensors")
    else:
        # As `epoch_based_trainer.py` writes them, with what a reader has to pass over.
        snapshot = {"epoch": 3, "iteration": 1200, "model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}
        torch.save(snapshot, folder / "geotransformer-modelnet.pth.tar")


def report(name, data, output, fixture, truth, config) -> None:
    """What a reader of the fixture should know: nothing is constant, and nothing stands on an edge."""
    plan = output["matching_scores"].exp()[:, :-1, :-1]
    threshold = config.fine_matching.confidence_threshold
    nearest = (plan - threshold).abs().min()
    # Points that see nothing but themselves have the same features, and ties have no order.
    apart = torch.cdist(fixture["feats_f"], fixture["feats_f"]).fill_diagonal_(1).min()
    scores = fixture["node_corr_scores"]
    best = plan.flatten(1).topk(40)[0]
    ties = ((best[:, :-1] - best[:, 1:]) / best[:, 1:])[best[:, 1:] > threshold].min()
    gaps = (scores[:-1] - scores[1:]).min() / scores.max()
    print(
        f"{name}: {[points.shape[0] for points in data['points']]} points,",
        f"{[tuple(table.shape) for table in data['neighbors']]} neighbours,",
        f"{len(fixture['corr_scores'])} correspondences, plan up to {plan.max():.3f},",
        f"fine features {apart:.1e} apart, nearest to the threshold {nearest:.1e}, from each other {ties:.1e}, smallest gap of superpoint scores {gaps:.1e}, scores {scores[0]:.2e} to {scores[-1]:.2e}",
    )
    print("  feats_f", fixture["feats_f"].std(0)[:4], "superpoints", fixture["ref_feats_c"].std(0)[:4])
    print("  transform", output["estimated_transform"].tolist(), "truth", truth.tolist())


def geometric() -> None:
    """The layers that other matchers share."""
    from geotransformer.modules.geotransformer import GeometricTransformer
    from geotransformer.modules.sinkhorn import LearnableLogOptimalTransport

    torch.manual_seed(11)
    weights, fixture = {}, {}
    points = [torch.rand(1, 23, 3) * 4 - 2, torch.rand(1, 17, 3) * 3]
    feats = [torch.randn(1, 23, 10), torch.randn(1, 17, 10)]
    # Multiples that f32 holds.
    points, feats = [[value.float().double() for value in values] for values in [points, feats]]
    for reduction in ["max", "mean"]:
        model = GeometricTransformer(
            10, 14, 24, 3, ["self", "cross", "cross", "self"], 0.3, 15, 3, reduction_a=reduction
        ).eval()
        state = model.state_dict()
        for name, value in state.items():
            if name.endswith("norm.weight"):
                value.copy_(1 + 0.3 * torch.randn_like(value))
            elif name.endswith("bias"):
                value.copy_(0.3 * torch.randn_like(value))
            elif "proj" in name and value.dim() == 2:
                value.mul_(2)
            value.copy_(value.half())
        with torch.no_grad():
            fixture[f"{reduction}.embedding"] = model.embedding(points[1])[0]
            for side, value in zip(["first", "second"], model(*points, *feats)):
                fixture[f"{reduction}.{side}"] = value[0]
        weights.update({f"{reduction}.{name}": value.half() for name, value in state.items()})
    for side, cloud, values in zip(["first", "second"], points, feats):
        fixture[f"{side}.points"], fixture[f"{side}.feats"] = cloud[0], values[0]
    transport = LearnableLogOptimalTransport(40).eval()
    transport.alpha.data.fill_(1.375)
    weights["transport.alpha"] = transport.alpha.data.half()
    # Gentle scores, and scores that leave the range of e^x in f32, to both sides.
    for name, factor in [("gentle", 2.0), ("steep", 150.0)]:
        scores = (factor * torch.randn(1, 9, 12)).float().double()
        with torch.no_grad():
            fixture[f"{name}.plan"] = transport(scores)[0]
        fixture[f"{name}.scores"] = scores[0]
    folder = GOLDEN / "geometric"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file({key: value.float().contiguous() for key, value in fixture.items()}, folder / "fixture.safetensors")
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / "model.safetensors")


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    torch.set_default_dtype(torch.float64)
    open_checkout(root)
    geometric()
    for name, count, spread in [("3dmatch", 620, 5.0), ("kitti", 600, 7.0), ("modelnet", 400, 5.0)]:
        experiment(root, name, count, spread)


if __name__ == "__main__":
    main()
