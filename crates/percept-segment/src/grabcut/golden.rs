//! GrabCut against OpenCV's (`tests/reference/grabcut.py`).

use std::sync::Arc;

use percept_core::segment::SegmentOptions;
use safetensors::SafeTensors;
use serde_json::Value;

use super::*;

struct Scene {
    name: String,
    image: Image,
    prompt: ObjectPrompt,
    want: Mask,
}

fn scenes() -> Vec<Scene> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/grabcut/fixture.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&header.metadata().as_ref().unwrap()["cases"]).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let scene = |case: &Value| {
        let name = case["name"].as_str().unwrap().to_owned();
        let rgb = tensors.tensor(&format!("{name}.rgb")).unwrap();
        let [height, width] = [rgb.shape()[0] as u32, rgb.shape()[1] as u32];
        let prompt =
            serde_json::from_value(serde_json::json!({"box": case["box"], "points": case["points"]}));
        Scene {
            image: Image::new(width, height, rgb.data().to_vec()),
            prompt: prompt.unwrap(),
            want: Mask::from_pixels(width, height, tensors.tensor(&format!("{name}.mask")).unwrap().data()),
            name,
        }
    };
    cases.iter().map(scene).collect()
}

fn input(image: Image, objects: Vec<ObjectPrompt>) -> SegmentInput {
    let request = SegmentRequest::Objects { objects, candidates: Candidates::Best };
    SegmentInput {
        image: Arc::new(image),
        options: Arc::new(SegmentOptions { request, ..Default::default() }),
    }
}

fn answer(image: Image, objects: Vec<ObjectPrompt>) -> Result<Segmentation> {
    Ok(GrabCut.predict(&[input(image, objects)])?.remove(0).output)
}

#[test]
fn masks_are_those_of_opencv() {
    for scene in scenes() {
        let found = answer(scene.image.clone(), vec![scene.prompt.clone()]).unwrap();
        let iou = found.instances[0].mask.iou(&scene.want);
        assert!(iou >= 0.98, "{}: {iou}", scene.name);
        assert_eq!(found, answer(scene.image, vec![scene.prompt]).unwrap(), "twice the same");
        assert!(found.instances[0].score > 0.5 && found.instances[0].score <= 1.0);
    }
}

#[test]
fn large_pictures_have_sharp_masks() {
    for scene in scenes().into_iter().take(2) {
        // Blocks of 9 by 9, so that the shrunk picture does not fall on them.
        const SCALE: u32 = 9;
        let (width, height) = (scene.image.width * SCALE, scene.image.height * SCALE);
        let source =
            |index: u32| (index / width / SCALE * scene.image.width + index % width / SCALE) as usize;
        let rgb = (0..width * height).flat_map(|index| scene.image.rgb[3 * source(index)..][..3].to_vec());
        let small = scene.want.pixels();
        let want: Vec<u8> = (0..width * height).map(|index| small[source(index)]).collect();
        let want = Mask::from_pixels(width, height, &want);
        let bounding_box =
            scene.prompt.bounding_box.map(|corners| corners.map(|corner| corner * SCALE as f32));
        let prompt = ObjectPrompt { bounding_box, ..ObjectPrompt::default() };
        let found = answer(Image::new(width, height, rgb.collect()), vec![prompt]).unwrap();
        let iou = found.instances[0].mask.iou(&want);
        assert!(iou >= 0.97, "{}: {iou}", scene.name);
    }
}

#[test]
fn a_point_finds_its_object() {
    let scene = scenes().remove(0);
    let point = PointPrompt { x: 46.0, y: 36.0, label: PointLabel::Foreground };
    let prompt = ObjectPrompt { points: vec![point], ..ObjectPrompt::default() };
    let found = answer(scene.image, vec![prompt, scene.prompt]).unwrap();
    assert_eq!(found.instances.iter().map(|instance| instance.id).collect::<Vec<_>>(), [1, 2]);
    let iou = found.instances[0].mask.iou(&scene.want);
    assert!(iou >= 0.9, "{iou}");
}

#[test]
fn what_cannot_be_answered_is_an_error_with_a_hint() {
    let image = || Image::new(8, 8, vec![100; 3 * 64]);
    let boxed = |corners| ObjectPrompt { bounding_box: Some(corners), ..ObjectPrompt::default() };
    let point =
        |x, label| ObjectPrompt { points: vec![PointPrompt { x, y: 2.0, label }], ..ObjectPrompt::default() };
    for prompt in [
        ObjectPrompt::default(),
        boxed([0.0, 0.0, 8.0, 8.0]),
        boxed([5.0, 5.0, 2.0, 2.0]),
        boxed([f32::NAN; 4]),
        boxed([9.0, 9.0, 12.0, 12.0]),
        point(-1.0, PointLabel::Foreground),
        point(f32::NAN, PointLabel::Foreground),
        point(2.0, PointLabel::Background),
    ] {
        let error = answer(image(), vec![prompt.clone()]).expect_err(&format!("{prompt:?}"));
        assert!(error.hint().is_some(), "{error}");
    }
    let whole = SegmentInput { image: Arc::new(image()), options: Arc::default() };
    assert!(GrabCut.predict(std::slice::from_ref(&whole)).unwrap_err().hint().is_some());
    assert!(GrabCut.raw(&whole).is_err());
    // One colour everywhere is no error.
    assert_eq!(answer(image(), vec![boxed([2.0, 2.0, 6.0, 6.0])]).unwrap().instances.len(), 1);
}
