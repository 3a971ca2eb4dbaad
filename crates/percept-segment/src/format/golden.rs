//! Formats against pycocotools (`tests/reference/mask_formats.py`).

use percept_core::coco::{Coco, CocoSegmentation, NO_CLASS, Rle};
use percept_core::segment::{Instance, Label, Mask, Segmentation, SegmentationKind};
use serde_json::{Value, json};

use super::*;

/// The fixture's masks and what pycocotools says of them.
pub(crate) fn cases() -> Vec<(Mask, Value)> {
    let mut fixture = fixture();
    let cases = fixture["masks"].as_array_mut().unwrap().iter_mut();
    cases
        .map(|case| {
            let counts = case["uncompressed"].take();
            let rle: Rle = serde_json::from_value(json!({"size": case["size"], "counts": counts})).unwrap();
            (rle.mask().unwrap(), case.take())
        })
        .collect()
}

fn fixture() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/mask-formats/formats.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether each pixel's centre lies within rings by the even-odd rule: a plain loop over all edges.
pub(super) fn fill(width: u32, height: u32, rings: &[Ring]) -> Mask {
    let mut pixels = vec![0; (width * height) as usize];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        // In halves of a pixel, so that an edge there and back again crosses exactly the same.
        let (x, y) = (2 * i64::from(index as u32 % width) + 1, 2 * i64::from(index as u32 / width) + 1);
        for ring in rings {
            for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                let [[ax, ay], [bx, by]] = [a, b].map(|corner| corner.map(|at| 2 * i64::from(at)));
                let left = (x - ax) * (by - ay) - (y - ay) * (bx - ax);
                let crosses = (ay > y) != (by > y) && (if by > ay { left < 0 } else { left > 0 });
                *pixel ^= u8::from(crosses);
            }
        }
    }
    Mask::from_pixels(width, height, &pixels)
}

fn found(mask: Mask, label: Option<(u32, &str)>) -> Segmentation {
    let label = label.map(|(id, name)| Label { id, name: name.into() });
    let (width, height) = (mask.width(), mask.height());
    let instances = vec![Instance::new(1, mask, 0.5, label)];
    Segmentation { width, height, kind: SegmentationKind::Instance, instances }
}

fn drawn(rows: &[&str]) -> Mask {
    let pixels: Vec<u8> =
        rows.iter().flat_map(|row| row.bytes().map(|byte| u8::from(byte == b'#'))).collect();
    Mask::from_pixels(rows[0].len() as u32, rows.len() as u32, &pixels)
}

#[test]
fn run_lengths_are_those_of_pycocotools() {
    for (mask, case) in cases() {
        let rle = Rle::compressed(&mask);
        assert_eq!(
            serde_json::to_value(&rle).unwrap(),
            json!({"size": case["size"], "counts": case["compressed"]})
        );
        assert_eq!(rle.mask().unwrap(), mask);
        assert_eq!(Rle::uncompressed(&mask).mask().unwrap(), mask);
    }
}

#[test]
fn coco_says_area_and_box_as_pycocotools_does() {
    for (mask, case) in cases() {
        let mut coco = Coco::default();
        CocoMasks::Compressed.push(&mut coco, "a.png", &found(mask, None));
        let annotation = &coco.annotations()[0];
        assert_eq!(json!(annotation.area), case["area"]);
        assert_eq!(json!(annotation.bbox), case["box"]);
    }
}

/// pycocotools fills polygons of whole corners as `fill` does, which the other tests rest on.
#[test]
fn polygons_are_filled_as_pycocotools_fills_them() {
    for case in fixture()["polygons"].as_array().unwrap() {
        let polygons: Vec<Vec<u32>> = serde_json::from_value(case["polygons"].clone()).unwrap();
        let rle: Rle =
            serde_json::from_value(json!({"size": case["size"], "counts": case["counts"]})).unwrap();
        let want = rle.mask().unwrap();
        let mut pixels = vec![0; (want.width() * want.height()) as usize];
        for polygon in polygons {
            let ring: Ring = polygon.chunks(2).map(|corner| [corner[0], corner[1]]).collect();
            fill(want.width(), want.height(), &[ring]).paint(|at| pixels[at] = 1);
        }
        let ours = Mask::from_pixels(want.width(), want.height(), &pixels);
        // Slanted edges: pycocotools rounds to fifths of a pixel.
        let off = ours.area() + want.area() - 2 * ours.intersection(&want);
        let slanted = case["polygons"][0].as_array().unwrap().len() < 10
            && case["polygons"][0][1] != case["polygons"][0][3];
        assert!(off <= if slanted { 4 } else { 0 }, "{off} pixels of {case}");
    }
}

#[test]
fn wrong_run_lengths_are_errors() {
    let mask = |size: [u32; 2], counts: Value| {
        serde_json::from_value::<Rle>(json!({"size": size, "counts": counts})).unwrap().mask()
    };
    for text in ["P", "\u{1}", "é", "PPPPPPPPPPPPPP0", "O", "n", "1230", "ooooooooooooooooo"] {
        assert!(mask([2, 2], json!(text)).is_err(), "{text}");
    }
    assert!(mask([2, 2], json!([1, 2])).is_err());
    assert!(mask([u32::MAX, u32::MAX], json!([0, u32::MAX])).is_err());
    assert_eq!(mask([2, 2], json!([1, 1, 0, 2])).unwrap().area(), 3);
    assert!(mask([2, 2], json!("")).is_err());
}

#[test]
fn holes_and_parts_are_told_apart() {
    let parts = polygons(&drawn(&["####...", "#..#..#", "#..#..#", "####..."]), 0.0);
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].outer, [[0, 0], [4, 0], [4, 4], [0, 4]]);
    // The first step goes right, over a pixel inside: along the hole's lower edge.
    assert_eq!(parts[0].holes, [[[1, 3], [3, 3], [3, 1], [1, 1]]]);
    assert_eq!(parts[1].outer, [[6, 1], [7, 1], [7, 3], [6, 3]]);
}

#[test]
fn coco_joins_holes_and_keeps_parts() {
    let mask = drawn(&["####...", "#..#..#", "#..#..#", "####..."]);
    let mut coco = Coco::default();
    let form = CocoMasks::Polygons { tolerance: 0.0 };
    form.push(&mut coco, "a.png", &found(mask.clone(), Some((17, "cat"))));
    form.push(&mut coco, "b.png", &found(Mask::empty(3, 3), None));
    form.push(&mut coco, "c.png", &found(mask.clone(), Some((17, "dog"))));
    let value = serde_json::to_value(&coco).unwrap();
    assert_eq!(value["images"][2], json!({"id": 3, "file_name": "c.png", "width": 7, "height": 4}));
    // Two models gave one number to two classes.
    assert_eq!(value["categories"], json!([{"id": 17, "name": "cat"}, {"id": 1, "name": "dog"}]));
    assert_eq!(value["annotations"].as_array().unwrap().len(), 2);
    assert_eq!(value["annotations"][1]["category_id"], 1);
    assert_eq!(value["annotations"][0]["bbox"], json!([0, 0, 7, 4]));
    let Some(CocoSegmentation::Polygons(polygons)) = &coco.annotations()[0].segmentation else {
        panic!("polygons")
    };
    let rings: Vec<Ring> = polygons
        .iter()
        .map(|polygon| polygon.chunks(2).map(|corner| [corner[0], corner[1]]).collect())
        .collect();
    assert_eq!(rings.len(), 2);
    assert_eq!(fill(7, 4, &rings), mask);
}

#[test]
fn coco_files_that_are_joined_are_as_if_they_had_been_one() {
    let finds = [
        ("a.png", found(drawn(&["##", ".#"]), Some((17, "cat")))),
        ("b.png", found(drawn(&["#.", "##"]), Some((17, "dog")))),
        ("c.png", found(drawn(&["..", ".#"]), Some((3, "cat")))),
        ("d.png", found(drawn(&["##", "##"]), None)),
    ];
    let (mut whole, mut joined) = (Coco::default(), Coco::default());
    for (name, found) in &finds {
        CocoMasks::default().push(&mut whole, name, found);
        let mut one = Coco::default();
        CocoMasks::default().push(&mut one, name, found);
        // As it comes from a file.
        let file = serde_json::to_string(&one).unwrap();
        joined.append(serde_json::from_str(&file).unwrap()).unwrap();
    }
    assert_eq!(serde_json::to_value(&joined).unwrap(), serde_json::to_value(&whole).unwrap());
    let astray = json!({
        "images": [], "categories": [],
        "annotations": [{
            "id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0, "score": 1.0,
            "segmentation": [[0, 0, 1, 0, 1, 1]],
        }],
    });
    let error = joined.append(serde_json::from_value(astray).unwrap()).unwrap_err().chain();
    assert!(error.contains("image 7"), "{error}");
}

#[test]
fn yolo_has_one_polygon_a_line() {
    let text = yolo(&found(drawn(&["##..", "##.#"]), Some((3, "cat"))), 0.0);
    let fields: Vec<&str> = text.trim_end().split(' ').collect();
    assert_eq!(fields[0], "3");
    let numbers: Vec<f64> = fields[1..].iter().map(|field| field.parse().unwrap()).collect();
    let ring: Ring =
        numbers.chunks(2).map(|p| [(p[0] * 4.0).round() as u32, (p[1] * 2.0).round() as u32]).collect();
    assert_eq!(fill(4, 2, &[ring]), drawn(&["##..", "##.#"]));
    assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
    assert_eq!(yolo(&found(Mask::empty(2, 2), None), 0.0), "");
    assert_eq!(
        yolo(&found(drawn(&["#."]), None), 0.0),
        "0 0.000000 0.000000 0.500000 0.000000 0.500000 1.000000 0.000000 1.000000\n"
    );
}

#[test]
fn labelme_groups_the_parts_of_an_instance() {
    let labelme = LabelMe::new("../a.png", &found(drawn(&["#.#"]), Some((0, "cat"))), 0.0);
    let value = serde_json::to_value(&labelme).unwrap();
    assert_eq!(value["imagePath"], "../a.png");
    assert_eq!(
        (&value["imageWidth"], &value["imageHeight"], &value["imageData"]),
        (&json!(3), &json!(1), &Value::Null)
    );
    assert_eq!(value["shapes"][1]["points"], json!([[2, 0], [3, 0], [3, 1], [2, 1]]));
    assert_eq!((&value["shapes"][0]["group_id"], &value["shapes"][1]["group_id"]), (&json!(1), &json!(1)));
    assert_eq!(value["shapes"][0]["label"], "cat");
    let single = LabelMe::new("a.png", &found(drawn(&["#.."]), None), 0.0);
    assert_eq!((single.shapes()[0].group_id, single.shapes()[0].label.as_str()), (None, NO_CLASS));
}

#[test]
fn the_record_has_what_was_found() {
    let record = SegmentRecord::new(&found(drawn(&[".#", ".#"]), Some((4, "cat"))));
    let want = json!({
        "kind": "instance", "width": 2, "height": 2,
        "instances": [{
            "id": 1, "label": {"id": 4, "name": "cat"}, "score": 0.5, "box": [1, 0, 2, 2], "area": 2,
            "rle": {"size": [2, 2], "counts": "22"},
        }],
    });
    assert_eq!(serde_json::to_value(&record).unwrap(), want);
    let legend = LegendEntry::all(&found(drawn(&["#"]), None));
    assert_eq!(serde_json::to_value(legend).unwrap(), json!([{"value": 1, "label": null}]));
}
