//! Cloud files of every kind, as Open3D, laspy and numpy wrote them (`tests/reference/register.py`), and damaged ones.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};

use percept_core::Error;
use percept_core::cloud::{PointCloud, Values};
use percept_media::cloud::{CloudFormat, CloudInfo, CloudLimits, CloudSource, read};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/clouds").join(name)
}

fn read_file(name: &str) -> (PointCloud, CloudInfo) {
    read(CloudSource::Path(data(name)), CloudLimits::default())
        .unwrap_or_else(|error| panic!("{name}: {}", error.chain()))
}

fn read_bytes(name: &str, bytes: &[u8]) -> Result<(PointCloud, CloudInfo), Error> {
    read(CloudSource::Memory { name: name.into(), bytes: bytes.into() }, CloudLimits::default())
}

fn expected(key: &str) -> Vec<[f64; 3]> {
    let values: Value = serde_json::from_slice(&fs::read(data("clouds.json")).unwrap()).unwrap();
    serde_json::from_value(values[key].clone()).unwrap()
}

/// Coordinates as the file has them.
fn places(cloud: &PointCloud) -> Vec<[f64; 3]> {
    let whole = |point: &[f64; 3]| [0, 1, 2].map(|axis| point[axis] + cloud.origin[axis]);
    cloud.points.iter().map(whole).collect()
}

fn assert_near(name: &str, got: &[[f64; 3]], want: &[[f64; 3]], bound: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
        assert!((got - want).abs() <= bound, "{name}: {got} {want}");
    }
}

#[test]
fn points_normals_and_colours_are_those_that_were_written() {
    let (points, normals, colors) = (expected("points"), expected("normals"), expected("colors"));
    for name in [
        "ascii.ply",
        "little.ply",
        "ascii.pcd",
        "binary.pcd",
        "compressed.pcd",
        "plain.xyz",
        "f8.npy",
        "fortran.npy",
    ] {
        let (cloud, info) = read_file(name);
        // Texts have few digits.
        assert_near(name, &places(&cloud), &points, if name.starts_with("ascii") { 1e-4 } else { 1e-6 });
        assert_eq!((info.points, info.dropped), (40, 0), "{name}");
        if name.contains("npy") || name.contains("xyz") {
            continue;
        }
        let found: Vec<[f64; 3]> =
            cloud.normals.unwrap().iter().map(|normal| normal.map(f64::from)).collect();
        assert_near(name, &found, &normals, 1e-5);
        let found: Vec<[f64; 3]> =
            cloud.colors.unwrap().iter().map(|color| color.map(|value| f64::from(value / 257))).collect();
        assert_near(name, &found, &colors, 0.0);
    }
}

#[test]
fn a_big_endian_file_keeps_what_nobody_knows() {
    let (cloud, info) = read_file("big.ply");
    assert_near("big", &places(&cloud), &expected("points"), 1e-12);
    assert_eq!(info.has, ["intensity", "ring"]);
    assert_eq!(cloud.intensity.as_ref().unwrap()[39], 39.0 / 64.0);
    let Values::Scalars { values, .. } = &cloud.attributes[0].values else {
        panic!("{:?}", cloud.attributes)
    };
    assert_eq!(values[39], 117.0);
    let Values::Lists { values, .. } = &cloud.elements[0].attributes[0].values else { panic!("no faces") };
    assert_eq!(*values, [vec![0.0, 1.0, 2.0], vec![3.0, 4.0, 5.0, 6.0]]);
    // And again after a round through our own writer.
    let (again, _) = read_bytes("again.ply", &CloudFormat::Ply.encode(&cloud).unwrap()).unwrap();
    assert_eq!(again, cloud);
}

#[test]
fn map_coordinates_lose_nothing() {
    for name in ["far.las", "far.laz"] {
        let (cloud, info) = read_file(name);
        assert_eq!(cloud.origin, [600_000.0, 5_000_000.0, 0.0], "{name}");
        assert_near(name, &places(&cloud), &expected("far"), 1e-9);
        assert_eq!(cloud.intensity.as_ref().unwrap()[7], 700.0);
        assert_eq!(info.has, ["colors", "intensity", "classification"], "{name}");
        for format in
            [CloudFormat::Ply, CloudFormat::Pcd, CloudFormat::Text, CloudFormat::Las, CloudFormat::Laz]
        {
            let (again, _) = read_bytes("again", &format.encode(&cloud).unwrap()).unwrap();
            // LAS rounds to its own grid.
            let bound = if matches!(format, CloudFormat::Las | CloudFormat::Laz) { 5e-5 } else { 1e-9 };
            assert_near(&format!("{format:?}"), &places(&again), &places(&cloud), bound);
            assert_eq!(again.colors, cloud.colors, "{format:?}");
            assert_eq!(again.intensity, cloud.intensity, "{format:?}");
            assert_eq!(again.attributes[0].values.len(), 40, "{format:?}");
        }
    }
}

#[test]
fn meshes_are_their_vertices() {
    let mut want = expected("box");
    want.sort_by(|left, right| left.partial_cmp(right).unwrap());
    for name in ["box.obj", "box.stl"] {
        let mut found = places(&read_file(name).0);
        found.sort_by(|left, right| left.partial_cmp(right).unwrap());
        assert_near(name, &found, &want, 1e-6);
    }
    let text = "solid a\n facet normal 0 0 1\n outer loop\n vertex 0 0 0\n vertex 1 0 0\n vertex 0 1 0\n endloop\n endfacet\nendsolid\n";
    assert_eq!(read_bytes("a.stl", text.as_bytes()).unwrap().0.len(), 3);
}

fn chain(name: &str, bytes: &[u8]) -> String {
    let error = read_bytes(name, bytes).err().unwrap_or_else(|| panic!("{name} was read"));
    assert!(error.hint().is_some(), "{name}: {}", error.chain());
    error.chain()
}

#[test]
fn a_promise_that_the_file_cannot_keep_is_refused_before_memory_is_taken() {
    let ply = |format: &str, count: &str| {
        format!(
            "ply\nformat {format} 1.0\nelement vertex {count}\nproperty float x\nproperty float y\nproperty float z\nend_header\n\
             1 2 3\n4 5 6\n"
        )
    };
    let pcd = |data: &str, count: &str| {
        format!(
            "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {count}\nHEIGHT 1\nPOINTS {count}\n\
             DATA {data}\n1 2 3\n4 5 6\n"
        )
    };
    for count in ["3", "1000000000", "18446744073709551615"] {
        for text in [
            ply("ascii", count),
            ply("binary_little_endian", count),
            pcd("ascii", count),
            pcd("binary", count),
            pcd("binary_compressed", count),
        ] {
            let told = chain("a", text.as_bytes());
            let about_it = told.contains("promises") || told.contains("damaged");
            assert!(about_it, "{text}: {told}");
        }
    }
    // Room for a few more, and they are not there.
    assert!(
        chain("a", ply("ascii", "3").replace("4 5 6", "4.0000 5.0000 6.0000").as_bytes())
            .contains("ends after 2")
    );
    let mut las = fs::read(data("far.las")).unwrap();
    // LAS 1.4: the number of points is at byte 247.
    las[247..255].copy_from_slice(&1_000_000_000_u64.to_le_bytes());
    assert!(chain("a.las", &las).contains("room for"));
    let mut laz = fs::read(data("far.laz")).unwrap();
    laz[247..255].copy_from_slice(&1_000_000_u64.to_le_bytes());
    chain("a.laz", &laz);
    let mut npy = fs::read(data("f8.npy")).unwrap();
    let at = npy.windows(4).position(|window| window == b"(40,").unwrap();
    npy[at + 1..at + 3].copy_from_slice(b"99");
    assert!(chain("a.npy", &npy).contains("room for"));
}

#[test]
fn what_is_no_cloud_is_named() {
    assert!(chain("a.ply", b"").contains("empty"));
    assert!(chain("a.ply", b"\x89PNG\r\n\x1a\n0000").contains("a PNG picture"));
    assert!(chain("a.xyz", b"hello\nworld\n").contains("no point cloud"));
    assert!(chain("a.xyz", b"nan nan nan\ninf 0 0\n").contains("finite"));
    let (cloud, info) = read_bytes("a.xyz", b"1 2 3\nnan 0 0\n4 5 6\n").unwrap();
    assert_eq!((cloud.len(), info.points, info.dropped, info.warnings.len()), (2, 3, 1, 1));
}

#[test]
fn no_damage_makes_it_panic_or_hang() {
    for name in [
        "ascii.ply",
        "little.ply",
        "big.ply",
        "ascii.pcd",
        "binary.pcd",
        "compressed.pcd",
        "far.las",
        "far.laz",
        "f8.npy",
        "box.stl",
        "box.obj",
    ] {
        let whole = fs::read(data(name)).unwrap();
        for cut in (0..whole.len()).step_by(whole.len() / 40 + 1) {
            let _ = read_bytes(name, &whole[..cut]);
        }
        for at in (0..whole.len()).step_by(whole.len() / 100 + 1) {
            for value in [0, 0xff, whole[at] ^ 0x10] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = read_bytes(name, &damaged);
            }
        }
    }
}
