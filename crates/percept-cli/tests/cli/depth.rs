//! `percept depth` on drawn rooms (`tests/golden/shapes-depth`) with a small model that was trained on others
//! (`tests/models/shapes-depth`): what comes out is as near the truth as what transformers makes of them, in all its files.

use std::collections::BTreeMap;

use half::f16;
use percept::media::{cloud, depth, raw};
use percept::{RawTensor, RawValues};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;

use crate::project::{Project, Ran, follows_its_schema, root};

#[derive(Deserialize)]
struct Truth {
    scenes: Vec<Room>,
}

#[derive(Deserialize)]
struct Room {
    file: String,
    truth: String,
    width: u32,
    height: u32,
    focal: f64,
    focal_35mm: Option<u16>,
    shapes: Vec<Standing>,
}

#[derive(Deserialize)]
struct Standing {
    depth: f64,
    point: [usize; 2],
}

impl Room {
    fn stem(&self) -> &str {
        self.file.split('.').next().unwrap()
    }
}

fn rooms() -> Vec<Room> {
    let text = std::fs::read_to_string(root().join("tests/golden/shapes-depth/truth.json")).unwrap();
    serde_json::from_str::<Truth>(&text).unwrap().scenes
}

/// What transformers makes of them.
fn reference() -> BTreeMap<String, RawTensor> {
    let path = root().join("tests/golden/shapes-depth/reference.safetensors");
    raw::read(&path).unwrap().into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect()
}

/// Depth in metres as it was drawn, by the names of [`Room::truth`].
fn truth() -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(root().join("tests/golden/shapes-depth/truth.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values =
        |bytes: &[u8]| bytes.as_chunks().0.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()).collect();
    file.iter().map(|(name, tensor)| (name.replace("depth.", ""), values(tensor.data()))).collect()
}

fn floats(tensor: &RawTensor) -> &[f32] {
    match &tensor.values {
        RawValues::F32(values) => values,
        RawValues::I64(_) => panic!("floats"),
    }
}

fn run(project: &Project, more: &[&str]) -> Ran {
    let model = root().join("tests/models/shapes-depth").display().to_string();
    let pictures = root().join("tests/golden/shapes-depth").display().to_string();
    let usual = ["depth", pictures.as_str(), "--include", "*.png", "--include", "*.jpg"];
    project.run(&[&usual[..], &["--model", &model, "--precision", "f32", "-o", "out/"], more].concat())
}

#[test]
fn rooms_are_as_deep_as_they_were_drawn() {
    let project = Project::new();
    let ran = run(&project, &["-f", "json,npy,png,tiff,color"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (truth, reference) = (truth(), reference());
    let (mut right, mut pairs) = (0, 0);
    for room in rooms() {
        let file = |extension: &str| project.path(&format!("out/{}.depth.{extension}", room.stem()));
        let map = depth::read(&file("npy"), None).unwrap();
        assert_eq!((map.width, map.height), (room.width, room.height), "{}", room.file);
        let at = |x: usize, y: usize| map.values[y * room.width as usize + x];

        // Equal to the reference.
        let points = &reference[&format!("points.{}", room.stem())];
        let RawValues::I64(places) = &points.values else { panic!("whole numbers") };
        let theirs = floats(&reference[&format!("predicted.{}", room.stem())]);
        for (place, value) in places.as_chunks::<2>().0.iter().zip(theirs) {
            let ours = at(place[0] as usize, place[1] as usize);
            // JPEG decoders differ by a level or two.
            let most = if room.file.ends_with("jpg") { 0.03 } else { 1e-3 };
            assert!((ours - value).abs() < most * value, "{} {place:?}: {ours}, not {value}", room.file);
        }

        // Near the truth.
        let said = &truth[&room.truth];
        let error = map.values.iter().zip(said).map(|(found, said)| f64::from((found - said).abs() / said));
        let error = error.sum::<f64>() / said.len() as f64;
        assert!(error < 0.15, "{}: AbsRel {error}", room.file);
        for (index, one) in room.shapes.iter().enumerate() {
            for other in &room.shapes[..index] {
                pairs += 1;
                let order = |a: f64, b: f64| a.total_cmp(&b);
                let found = |of: &Standing| f64::from(at(of.point[0], of.point[1]));
                right += usize::from(order(one.depth, other.depth) == order(found(one), found(other)));
            }
        }

        // All files say the same.
        let (png, tiff) =
            (depth::read(&file("png"), None).unwrap(), depth::read(&file("tiff"), None).unwrap());
        assert_eq!(tiff.values, map.values);
        assert!(png.values.iter().zip(&map.values).all(|(a, b)| (a - b).abs() < 0.000_51));
        let card: Value =
            serde_json::from_str(&project.read(&format!("out/{}.depth.json", room.stem()))).unwrap();
        follows_its_schema(&card, "depth.json");
        assert_eq!(card["result"]["unit"], "metres");
        let nearest = map.values.iter().copied().fold(f32::INFINITY, f32::min);
        assert_eq!(card["result"]["minimum"].as_f64().unwrap() as f32, nearest);
        assert!(file("color.png").is_file());
    }
    assert!(right * 100 >= pairs * 95, "{right} of {pairs} pairs in order");
}

#[test]
fn points_in_space_are_where_the_room_is() {
    let project = Project::new();
    // Only the JPEGs say what camera took them.
    let ran = run(&project, &["-f", "json,ply", "--exclude", "*.png"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for room in rooms().into_iter().filter(|room| room.focal_35mm.is_some()) {
        let card: Value =
            serde_json::from_str(&project.read(&format!("out/{}.depth.json", room.stem()))).unwrap();
        let focal = &card["result"]["focal"];
        assert_eq!(focal["source"], "exif");
        let pixels = focal["pixels"].as_f64().unwrap();
        // EXIF has whole millimetres.
        assert!((pixels - room.focal).abs() < 0.03 * room.focal, "{pixels}, not {}", room.focal);
        let path = project.path(&format!("out/{}.depth.ply", room.stem()));
        let (found, _) = cloud::read(cloud::CloudSource::Path(path), cloud::CloudLimits::default()).unwrap();
        assert!(found.points.len() > room.width as usize * room.height as usize / 2);
        assert!(found.colors.is_some());
        let widest = found.points.iter().map(|[x, _, z]| (x / z).abs()).fold(0.0, f64::max);
        let edge = (f64::from(room.width) / 2.0 - 0.5) / pixels;
        assert!((widest - edge).abs() < 0.02 * edge, "{widest}, not {edge}");
    }
    let ran = run(&project, &["-f", "ply", "--exclude", "*.jpg", "-y"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--fov"), "{}", ran.stderr);
    let ran = run(&project, &["-f", "ply", "--exclude", "*.jpg", "--fov", "80", "-y"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn maps_are_evaluated() {
    let project = Project::new();
    let ran = run(&project, &["-f", "png", "--exclude", "*.jpg"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let truth = truth();
    for room in rooms().into_iter().filter(|room| room.file.ends_with("png")) {
        let values = truth[&room.truth].clone();
        let (width, height) = (room.width, room.height);
        let map = percept::depth::DepthMap {
            width,
            height,
            values,
            unit: percept::depth::DepthUnit::Metres,
            focal: None,
        };
        project.write(&format!("truth/{}.depth.npy", room.stem()), &depth::encode_npy(&map));
    }
    let limits = ["--min", "delta1=0.9", "--max", "AbsRel=0.15"];
    let ran = project.run(&[&["eval", "depth", "truth", "out", "--json"][..], &limits].concat());
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["pictures"], &report["alignment"][0]), (&4.into(), &"none".into()));
    assert!(report["metrics"]["RMSE"].as_f64().unwrap() > 0.0);
    let ran = project.run(&["eval", "depth", "truth", "out", "--max", "AbsRel=0.0001"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}
