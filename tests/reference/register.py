"""Reference results of registration, written to tests/golden/register/ and tests/golden/clouds/: small_gicp, Open3D, laspy.

    python tests/reference/register.py     # pip install small_gicp==1.0.1 open3d-cpu==0.20.0 laspy[lazrs]==2.7.0 numpy
"""

import json
import struct
from pathlib import Path

import laspy
import numpy as np
import open3d as o3d
import small_gicp

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
REGISTER, CLOUDS = GOLDEN / "register", GOLDEN / "clouds"


def rotation(axis, degrees: float) -> np.ndarray:
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def motion(axis, degrees: float, translation) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(axis, degrees), translation
    return matrix


def room(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and colours on a floor, two walls, a box and a column: nothing about it is symmetric."""
    u, v = random.uniform(size=count), random.uniform(size=count)
    which = random.integers(0, 6, count)
    points = np.select(
        [which[:, None] == at for at in range(6)],
        [
            np.stack([6 * u, 4 * v, 0 * u], 1),
            np.stack([0 * u, 4 * u, 2.5 * v], 1),
            np.stack([6 * u, 4 + 0 * u, 2.5 * v], 1),
            np.stack([1 + 1.5 * u, 1 + 0.8 * v, 0.9 + 0 * u], 1),
            np.stack([2.5 + 0 * u, 1 + 0.8 * u, 0.9 * v], 1),
            np.stack([4.5 + 0.4 * np.cos(5 * u), 2.5 + 0.4 * np.sin(5 * u), 2 * v], 1),
        ],
    )
    colors = 0.5 + 0.25 * np.stack([np.sin(2 * points[:, 0]), np.cos(3 * points[:, 1]), np.sin(points.sum(1) * 2)], 1)
    return points + random.normal(scale=0.005, size=points.shape), colors


def cloud(points, colors=None) -> o3d.geometry.PointCloud:
    made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    if colors is not None:
        made.colors = o3d.utility.Vector3dVector(colors)
    return made


def registrations() -> None:
    REGISTER.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    target, target_colors = room(random, 1500)
    source, source_colors = room(random, 1300)
    # Files are f32: the references read what percept reads.
    truth = motion([1, 2, 3], 4.0, [0.10, -0.08, 0.05])
    source = (source - truth[:3, 3]) @ truth[:3, :3]
    source, target = source.astype(np.float32), target.astype(np.float32)
    source_colors, target_colors = [np.round(c * 255) / 255 for c in (source_colors, target_colors)]
    np.save(REGISTER / "source.npy", np.hstack([source, source_colors.astype(np.float32)]))
    np.save(REGISTER / "target.npy", np.hstack([target, target_colors.astype(np.float32)]))
    source, target = source.astype(float), target.astype(float)
    results = {"truth": truth.tolist(), "max_distance": 0.3, "neighbors": 10, "methods": {}}

    def preprocessed(points):
        made = small_gicp.PointCloud(points)
        tree = small_gicp.KdTree(made)
        small_gicp.estimate_normals_covariances(made, tree, num_neighbors=10)
        return made, tree

    (target_cloud, target_tree), (source_cloud, _) = preprocessed(target), preprocessed(source)
    for name, kind in [("point", "ICP"), ("gicp", "GICP")]:
        found = small_gicp.align(
            target_cloud, source_cloud, target_tree, registration_type=kind, max_correspondence_distance=0.3,
            max_iterations=200, rotation_epsilon=1e-9, translation_epsilon=1e-9,
        )
        results["methods"][name] = found.T_target_source.tolist()
    pair = [cloud(source, source_colors), cloud(target, target_colors)]
    for side in pair:
        side.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(10))
    criteria = o3d.pipelines.registration.ICPConvergenceCriteria(1e-12, 1e-12, 200)
    # Not small_gicp's: its plane factor takes the products of each axis for three residuals instead of adding them up.
    found = o3d.pipelines.registration.registration_icp(
        *pair, 0.3, np.eye(4), o3d.pipelines.registration.TransformationEstimationPointToPlane(), criteria
    )
    results["methods"]["plane"] = found.transformation.tolist()
    found = o3d.pipelines.registration.registration_colored_icp(
        *pair, 0.3, np.eye(4), o3d.pipelines.registration.TransformationEstimationForColoredICP(), criteria
    )
    results["methods"]["color"] = found.transformation.tolist()
    (REGISTER / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def features() -> None:
    """FPFH of Open3D with normals whose sign is told."""
    random = np.random.default_rng(2)
    points, _ = room(random, 400)
    made = cloud(points)
    made.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(12))
    made.orient_normals_towards_camera_location([3.0, 2.0, 1.5])
    found = o3d.pipelines.registration.compute_fpfh_feature(made, o3d.geometry.KDTreeSearchParamHybrid(0.8, 60))
    values = {
        "radius": 0.8,
        "most": 60,
        "points": points.round(9).tolist(),
        "normals": np.asarray(made.normals).tolist(),
        "features": np.asarray(found.data).T.astype(np.float32).tolist(),
    }
    (REGISTER / "fpfh.json").write_text(json.dumps(values) + "\n")


def files() -> None:
    CLOUDS.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    points = (random.uniform(-50, 50, (40, 3))).astype(np.float32).astype(float)
    normals = random.normal(size=(40, 3))
    normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32).astype(float)
    colors = random.integers(0, 256, (40, 3))
    made = cloud(points, colors / 255)
    made.normals = o3d.utility.Vector3dVector(normals)
    for name, options in [
        ("ascii.ply", {"write_ascii": True}),
        ("little.ply", {}),
        ("ascii.pcd", {"write_ascii": True}),
        ("binary.pcd", {}),
        ("compressed.pcd", {"compressed": True}),
        ("plain.xyz", {}),
    ]:
        o3d.io.write_point_cloud(str(CLOUDS / name), made, **options)
    # Big-endian, with a property that nobody knows, an intensity, and faces.
    header = "ply\nformat binary_big_endian 1.0\ncomment by hand\nelement vertex 40\nproperty float x\nproperty float y\n"
    header += "property float z\nproperty ushort ring\nproperty float intensity\n"
    header += "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    rows = [struct.pack(">fffHf", *point, at * 3, at / 64) for at, point in enumerate(points)]
    faces = [struct.pack(">Biii", 3, 0, 1, 2), struct.pack(">Biiii", 4, 3, 4, 5, 6)]
    (CLOUDS / "big.ply").write_bytes(header.encode() + b"".join(rows + faces))
    np.save(CLOUDS / "f8.npy", points)
    np.save(CLOUDS / "fortran.npy", np.asfortranarray(points.astype(np.float32)))
    far = points + [600_000.0, 5_000_000.0, 0.0]
    made = laspy.create(point_format=7, file_version="1.4")
    made.header.offsets, made.header.scales = far.min(0), [1e-4] * 3
    made.x, made.y, made.z = far.T
    made.intensity, made.classification = np.arange(40) * 100, np.arange(40) % 7
    made.red, made.green, made.blue = (colors * 257).T
    made.write(str(CLOUDS / "far.las"))
    made.write(str(CLOUDS / "far.laz"))
    mesh = o3d.geometry.TriangleMesh.create_box(1.0, 2.0, 3.0)
    mesh.compute_triangle_normals()
    o3d.io.write_triangle_mesh(str(CLOUDS / "box.stl"), mesh)
    o3d.io.write_triangle_mesh(str(CLOUDS / "box.obj"), mesh, write_vertex_normals=False)
    values = {
        "points": points.tolist(),
        "normals": normals.tolist(),
        "colors": colors.tolist(),
        "far": np.stack([made.x, made.y, made.z], 1).tolist(),
        "box": np.asarray(mesh.vertices).tolist(),
    }
    (CLOUDS / "clouds.json").write_text(json.dumps(values) + "\n")


if __name__ == "__main__":
    registrations()
    features()
    files()
