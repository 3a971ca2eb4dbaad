"""Registration of one pair from arrays in memory: percept, small_gicp and Open3D in turns.

    pip install small_gicp==1.0.1 open3d-cpu==0.20.0 numpy     # Debian: libusb-1.0-0 libgl1 libgomp1 libx11-6
    cargo build --release -p percept-register --example pair
    python benches/peers/register.py ../shared/data/clouds --pair target/release/examples/pair --runs 7

GICP from identity with voxels of 0.25 m and 0.1 m, pairs up to 1 m; and without a guess: percept's default against Open3D's FPFH
with RANSAC and with FGR at 0.5 m, both refined by its ICP. Errors are against the folder's `kitti_T_target_source.txt`.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("RAYON_NUM_THREADS", "2")

import numpy as np  # noqa: E402
import open3d as o3d  # noqa: E402
import small_gicp  # noqa: E402

from motions import errors, milliseconds, motion, orthonormal, run_pair  # noqa: E402

o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
registration = o3d.pipelines.registration


def points(path: Path) -> np.ndarray:
    return np.asarray(o3d.io.read_point_cloud(str(path)).points)


def gicp(voxel: float):
    def run(source, target):
        found = small_gicp.align(
            target, source, registration_type="GICP", downsampling_resolution=voxel,
            max_correspondence_distance=1.0, num_threads=2,
        )
        return found.T_target_source

    return run


def open3d(method: str, voxel: float = 0.5):
    def run(source, target):
        clouds, features = [], []
        for values in (source, target):
            cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(values)).voxel_down_sample(voxel)
            cloud.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(2 * voxel, 30))
            search = o3d.geometry.KDTreeSearchParamHybrid(5 * voxel, 100)
            features.append(registration.compute_fpfh_feature(cloud, search))
            clouds.append(cloud)
        if method == "ransac":
            found = registration.registration_ransac_based_on_feature_matching(
                *clouds, *features, True, 1.5 * voxel, registration.TransformationEstimationPointToPoint(False), 3,
                [
                    registration.CorrespondenceCheckerBasedOnEdgeLength(0.9),
                    registration.CorrespondenceCheckerBasedOnDistance(1.5 * voxel),
                ],
                registration.RANSACConvergenceCriteria(100000, 0.999),
            )
        else:
            found = registration.registration_fgr_based_on_feature_matching(
                *clouds, *features, registration.FastGlobalRegistrationOption(maximum_correspondence_distance=0.5 * voxel)
            )
        return registration.registration_icp(
            *clouds, voxel, found.transformation, registration.TransformationEstimationPointToPlane()
        ).transformation

    return run


def percept(pair: str, folder: Path, arguments: list[str], runs: int):
    """Times of `runs` after one that is not counted, and the last transform."""
    command = [pair, str(folder / "kitti_source.ply"), str(folder / "kitti_target.ply"), arguments[0], str(runs + 1)]
    lines = run_pair(command + arguments[1:])[1:]
    return [milliseconds(line) for line in lines], motion(lines[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pair", default="target/release/examples/pair")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    source, target = (points(options.folder / f"kitti_{name}.ply") for name in ("source", "target"))
    truth = orthonormal(np.loadtxt(options.folder / "kitti_T_target_source.txt"))
    peers = {
        "small_gicp GICP 0.25": gicp(0.25),
        "small_gicp GICP 0.1": gicp(0.1),
        "Open3D FPFH+RANSAC+ICP": open3d("ransac"),
        "Open3D FPFH+FGR+ICP": open3d("fgr"),
    }
    ours = {
        "percept GICP 0.25": ["gicp", "0.25", "1.0"],
        "percept GICP 0.1": ["gicp", "0.1", "1.0"],
        "percept search+GICP": ["global"],
    }
    times: dict[str, list[float]] = {name: [] for name in [*peers, *ours]}
    worst: dict[str, list[float]] = {name: [0.0, 0.0] for name in times}

    def note(name: str, taken: list[float], matrix: np.ndarray) -> None:
        times[name] += taken
        worst[name] = [max(pair) for pair in zip(worst[name], errors(matrix, truth))]

    for run in peers.values():
        run(source, target)
    for _ in range(options.runs):
        for name, run in peers.items():
            began = time.perf_counter()
            matrix = run(source, target)
            note(name, [(time.perf_counter() - began) * 1e3], matrix)
        for name, arguments in ours.items():
            note(name, *percept(options.pair, options.folder, arguments, 3))
    for name, values in times.items():
        metres, degrees = worst[name]
        print(f"{name:26s} median {np.median(values):7.1f} ms  least {min(values):7.1f} ms  worst {metres:.4f} m {degrees:.4f} deg")
    for ours_name, peer in [
        ("percept GICP 0.25", "small_gicp GICP 0.25"),
        ("percept GICP 0.1", "small_gicp GICP 0.1"),
        ("percept search+GICP", "Open3D FPFH+RANSAC+ICP"),
    ]:
        print(f"{ours_name} / {peer}: {np.median(times[ours_name]) / np.median(times[peer]):.2f}")


if __name__ == "__main__":
    main()
