//! `percept pose` with a trained model on drawn stick figures whose keypoints are known (`tests/golden/figures`).

use percept::media::picture;
use percept::segment::Image;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::project::{Project, root};
use crate::scenes::read;

#[derive(Deserialize)]
struct Truth {
    names: Vec<String>,
    flip_pairs: Vec<[usize; 2]>,
    scenes: Vec<Scene>,
}

#[derive(Deserialize)]
struct Scene {
    name: String,
    figures: Vec<Figure>,
    mirrored: Vec<Figure>,
}

#[derive(Deserialize)]
struct Figure {
    #[serde(rename = "box")]
    bounding_box: [f64; 4],
    /// x, y, and 1 where it is to be seen.
    keypoints: Vec<[f64; 3]>,
}

impl Figure {
    fn height(&self) -> f64 {
        self.bounding_box[3] - self.bounding_box[1]
    }
}

fn mirrored(image: &Image) -> Image {
    let row = |row: &[u8]| row.chunks_exact(3).rev().flatten().copied().collect::<Vec<u8>>();
    let rgb = image.rgb.chunks_exact(3 * image.width as usize).flat_map(row).collect();
    Image::new(image.width, image.height, rgb)
}

/// x and y of each keypoint of each figure, as `percept pose` finds them in the boxes of a COCO-style list.
fn found(project: &Project, image: &Image, figures: &[Figure]) -> Vec<Vec<[f64; 2]>> {
    let boxes: Vec<Value> = figures
        .iter()
        .map(|figure| {
            let [left, top, right, bottom] = figure.bounding_box;
            json!({"bbox": [left, top, right - left, bottom - top]})
        })
        .collect();
    project.write("boxes.json", Value::from(boxes).to_string().as_bytes());
    project.write("a.png", &picture::encode_png(image).unwrap());
    let model = root().join("tests/models/shapes-pose").display().to_string();
    let ran = project.run(&["pose", "a.png", "--boxes", "boxes.json", "--model", &model, "--score", "0"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    let poses = value["result"]["poses"].as_array().unwrap();
    assert_eq!(poses.len(), figures.len());
    let number = |point: &Value, name: &str| point[name].as_f64().unwrap();
    let points = |pose: &Value| {
        let keypoints = pose["keypoints"].as_array().unwrap().iter();
        keypoints.map(|point| [number(point, "x"), number(point, "y")]).collect()
    };
    // In the order of the boxes that were given.
    let at = |figure: &Figure| {
        let left = |pose: &Value| (pose["box_xyxy"][0].as_f64().unwrap() - figure.bounding_box[0]).abs();
        poses.iter().min_by(|a, b| left(a).total_cmp(&left(b))).map(points).unwrap()
    };
    figures.iter().map(at).collect()
}

#[test]
fn keypoints_of_figures_are_where_they_were_drawn_and_left_stays_left() {
    let project = Project::new();
    let text = std::fs::read_to_string(root().join("tests/golden/figures/truth.json")).unwrap();
    let truth: Truth = serde_json::from_str(&text).unwrap();
    let left_elbow = truth.names.iter().position(|name| name == "left_elbow").unwrap();
    let (mut near, mut seen, mut swapped, mut pairs) = (0, 0, 0, 0);
    for scene in &truth.scenes {
        let image = read(&root().join(format!("tests/golden/figures/{}.png", scene.name)));
        for (image, figures) in [(mirrored(&image), &scene.mirrored), (image, &scene.figures)] {
            for (figure, points) in figures.iter().zip(found(&project, &image, figures)) {
                let apart = |a: usize, b: usize| {
                    let [x, y, _] = figure.keypoints[b];
                    (points[a][0] - x).hypot(points[a][1] - y)
                };
                for (at, [.., to_be_seen]) in figure.keypoints.iter().enumerate() {
                    seen += usize::from(*to_be_seen > 0.0);
                    near += usize::from(*to_be_seen > 0.0 && apart(at, at) < 0.02 * figure.height());
                }
                for [left, right] in truth.flip_pairs.iter().copied().filter(|[left, _]| *left >= left_elbow)
                {
                    pairs += 1;
                    let crossed = apart(left, right) + apart(right, left);
                    swapped += usize::from(crossed < apart(left, left) + apart(right, right));
                }
            }
        }
    }
    println!("{near} of {seen} within 2% of the height, {swapped} of {pairs} pairs swapped");
    assert!(seen > 400 && pairs > 100, "{seen}, {pairs}");
    assert!(near as f64 > 0.98 * seen as f64, "{near} of {seen}");
    assert_eq!(swapped, 0);
}
