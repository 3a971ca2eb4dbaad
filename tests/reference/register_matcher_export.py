"""Writes the trained matcher as the file that is part of the program, and a fixture for its test.

    python tests/reference/register_matcher_export.py matcher.pt

`crates/percept-register/assets/matcher.safetensors`: f16, GeoTransformer's names, waves and their projections filled up with zeros
to its width. `tests/golden/register-matcher/fixture.safetensors`: a drawn pair of clouds of few key points, as the network is
given it, and what the network with the same f16 weights makes of it.
"""

import argparse
from pathlib import Path

import numpy as np
import register_matcher as rm
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]


def published(state: dict) -> dict:
    """The names and shapes of the authors' code for the structure's embedding: as many waves as half of the channels."""
    state = dict(state)
    for name in ("proj_d", "proj_a"):
        weight = state[f"transformer.embedding.{name}.weight"]
        state[f"transformer.embedding.{name}.weight"] = torch.nn.functional.pad(weight, (0, rm.WIDTH - weight.shape[1]))
    state["transformer.embedding.embedding.div_term"] = torch.nn.functional.pad(rm.FREQUENCIES, (0, rm.WIDTH // 2 - rm.WAVES))
    return state


def cloud(random, count: int, nodes: int) -> dict:
    """A bumpy sheet with normals, and histograms that stand for features."""
    points = random.uniform(-1, 1, (count, 3)) * [14, 11, 1]
    points[:, 2] += 2 * np.sin(points[:, 0] / 4) + np.cos(points[:, 1] / 3)
    normals = random.normal(size=(count, 3)) * [0.4, 0.4, 1]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    normals[:3] = 0  # where there is no surface
    features = random.dirichlet(np.full(11, 0.3), (count, 3)).reshape(count, 33) * 200
    tensors = {name: torch.from_numpy(value.astype(np.float32)) for name, value in (("points", points), ("normals", normals), ("features", features))}
    return tensors | {"nodes": torch.from_numpy(np.sort(random.permutation(count)[:nodes]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    options = parser.parse_args()
    state = {name: value.half() for name, value in torch.load(options.weights).items()}
    asset = ROOT / "crates/percept-register/assets/matcher.safetensors"
    asset.parent.mkdir(exist_ok=True)
    stored = {name: value.half().contiguous() for name, value in published(state).items()}
    # Halves of waves would not be these waves.
    stored["transformer.embedding.embedding.div_term"] = published(state)["transformer.embedding.embedding.div_term"].float()
    save_file(stored, asset)
    model = rm.Matcher().eval()
    model.load_state_dict({name: value.float() for name, value in state.items()})
    random = np.random.default_rng(5)
    clouds = [cloud(random, 130, 24), cloud(random, 111, 19)]
    fixture = {}
    for given in clouds:
        given["sampled"] = torch.arange(len(given["points"]))
        given["patches"] = rm.patches_of(given["points"], torch.cat([given["nodes"], given["sampled"]]))
    with torch.no_grad():
        plan, before, after = model(*clouds)
        fixture["matches"] = model.matches(*clouds, plan, after).float()
    fixture["plan"] = plan
    for side, given, own, features in zip(("source", "target"), clouds, before, after):
        fixture |= {f"{side}.{name}": given[name].float() for name in ("points", "normals", "features", "nodes")}
        fixture[f"{side}.patches"] = given["patches"][len(given["nodes"]) :].float()
        fixture |= {f"{side}.alone": own, f"{side}.found": features}
    folder = ROOT / "tests/golden/register-matcher"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in fixture.items()}, folder / "fixture.safetensors")
    print(asset.stat().st_size, (folder / "fixture.safetensors").stat().st_size)


if __name__ == "__main__":
    main()
