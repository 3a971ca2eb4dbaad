//! Whole pictures: prompts in their pixels, and the automatic mask generator against its authors' (tests/reference/
//! sam_everything.py).

use std::sync::Arc;

use percept_core::segment::{
    Candidates, EverythingOptions, Image, Mask, MaskPrompt, ObjectPrompt, PointLabel, PointPrompt,
    SegmentInput, SegmentOptions, SegmentRequest, Segmentation, WholeKind,
};
use percept_core::{Error, Model, RawValues, Runtime, Segment};

use super::golden::Golden;

/// Networks that draw discs around points.
const KINDS: [&str; 2] = ["sam/everything", "sam2/everything"];

fn model(golden: &Golden) -> Box<dyn Model<Segment>> {
    let load = if golden.local.id.starts_with("sam2") { crate::sam2::load } else { super::load };
    load(&golden.local, &Runtime::default()).unwrap()
}

fn picture(golden: &Golden) -> Arc<Image> {
    let picture = golden.get("picture");
    let (height, width, _) = picture.dims3().unwrap();
    let bytes =
        picture.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|value| *value as u8).collect();
    Arc::new(Image::new(width as u32, height as u32, bytes))
}

fn input(image: &Arc<Image>, request: SegmentRequest) -> SegmentInput {
    SegmentInput {
        image: image.clone(),
        options: Arc::new(SegmentOptions { request, ..SegmentOptions::default() }),
    }
}

fn ask(model: &dyn Model<Segment>, image: &Arc<Image>, request: SegmentRequest) -> Segmentation {
    model.predict(&[input(image, request)]).unwrap().remove(0).output
}

fn objects(objects: Vec<ObjectPrompt>, candidates: Candidates) -> SegmentRequest {
    SegmentRequest::Objects { objects, candidates }
}

fn point(x: f32, y: f32, label: PointLabel) -> PointPrompt {
    PointPrompt { x, y, label }
}

fn sets() -> [(&'static str, EverythingOptions); 3] {
    let plain = EverythingOptions {
        points_per_side: 4,
        pred_iou_thresh: 0.75,
        stability_score_thresh: 0.8,
        ..EverythingOptions::default()
    };
    let crops = EverythingOptions {
        points_per_side: 4,
        pred_iou_thresh: 0.7,
        stability_score_thresh: 0.7,
        stability_score_offset: 0.5,
        crop_n_layers: 1,
        box_nms_thresh: 0.5,
        crop_nms_thresh: 0.6,
        crop_n_points_downscale_factor: 2,
        ..EverythingOptions::default()
    };
    let regions = EverythingOptions {
        points_per_side: 3,
        pred_iou_thresh: 0.5,
        stability_score_thresh: 0.3,
        min_mask_region_area: 900,
        ..EverythingOptions::default()
    };
    [("plain", plain), ("crops", crops), ("regions", regions)]
}

/// The masks of a set of options.
fn masks(golden: &Golden, name: &str) -> Vec<Mask> {
    let numbers = |what: &str| golden.get(&format!("{name}.{what}")).to_vec1::<f32>().unwrap();
    let (counts, (height, width, _)) = (numbers("counts"), golden.get("picture").dims3().unwrap());
    let mut counts = counts.into_iter().map(|count| count as u32);
    let runs =
        numbers("runs").into_iter().map(|runs| counts.by_ref().take(runs as usize).collect::<Vec<u32>>());
    runs.map(|counts| Mask::from_counts(width as u32, height as u32, &counts).unwrap()).collect()
}

#[test]
fn the_generator_finds_what_its_authors_finds() {
    for kind in KINDS {
        let golden = Golden::read(kind);
        let (model, image) = (model(&golden), picture(&golden));
        for (name, options) in sets() {
            let found = ask(&*model, &image, SegmentRequest::Everything(options));
            let scores = golden.get(&format!("{name}.scores")).to_vec1::<f32>().unwrap();
            let stability = golden.get(&format!("{name}.stability")).to_vec1::<f32>().unwrap();
            let mut masks = masks(&golden, name).into_iter();
            assert!(scores.len() >= 5, "{kind} {name}: the fixture has only {}", scores.len());
            assert_eq!(found.instances.len(), scores.len(), "{kind} {name}");
            for (index, instance) in found.instances.iter().enumerate() {
                // Crops are resized to within a grey level of the reference, which moves scores and edges a little.
                assert!(
                    (instance.score - scores[index]).abs() < 2e-3,
                    "{kind} {name} {index}: {}",
                    instance.score
                );
                let stable = instance.stability.unwrap();
                assert!((stable - stability[index]).abs() < 5e-3, "{kind} {name} {index}: {stable}");
                let overlap = instance.mask.iou(&masks.next().unwrap());
                assert!(overlap > 0.98, "{kind} {name} {index}: {overlap}");
            }
        }
    }
}

#[test]
fn a_point_lies_in_its_mask() {
    for kind in KINDS {
        let golden = Golden::read(kind);
        let (model, image) = (model(&golden), picture(&golden));
        let places = [(20.0, 15.0), (60.0, 40.0), (44.0, 30.0)];
        let prompts = places.map(|(x, y)| ObjectPrompt {
            points: vec![point(x, y, PointLabel::Foreground)],
            ..ObjectPrompt::default()
        });
        let found = ask(&*model, &image, objects(prompts.to_vec(), Candidates::All));
        assert_eq!((found.width, found.height), (88, 60));
        for (instance, (x, y)) in found.instances.iter().zip(places) {
            assert_eq!(instance.mask.pixels()[y as usize * 88 + x as usize], 1, "{kind} {x} {y}");
            // The best of the candidates, as its own score says.
            let best = instance.candidates.iter().max_by(|a, b| a.score.total_cmp(&b.score)).unwrap();
            assert_eq!((instance.candidates.len(), instance.score), (3, best.score));
            assert_eq!(instance.mask, best.mask);
        }
        // Alone they are what they are together.
        for (prompt, together) in prompts.iter().zip(&found.instances) {
            let alone = ask(&*model, &image, objects(vec![prompt.clone()], Candidates::Best));
            assert!(alone.instances[0].mask.iou(&together.mask) > 0.999);
            assert!(alone.instances[0].candidates.is_empty());
        }
    }
}

#[test]
fn prompts_of_every_form_go_in_one_call() {
    let golden = Golden::read("sam/everything");
    let (model, image) = (model(&golden), picture(&golden));
    let foreground = point(30.0, 30.0, PointLabel::Foreground);
    let one = ObjectPrompt { points: vec![foreground], ..ObjectPrompt::default() };
    let raw = model.raw(&input(&image, objects(vec![one.clone()], Candidates::Best))).unwrap();
    let masks = raw.iter().find(|tensor| tensor.name == "pred_masks").unwrap();
    let side = masks.shape[3];
    let RawValues::F32(logits) = &masks.values else { panic!("logits are floats") };
    let mask = Some(MaskPrompt { side, logits: logits[..side * side].to_vec() });
    let all = vec![
        one.clone(),
        ObjectPrompt { bounding_box: Some([10.0, 10.0, 50.0, 50.0]), ..ObjectPrompt::default() },
        ObjectPrompt {
            points: vec![foreground, point(5.0, 5.0, PointLabel::Background)],
            ..ObjectPrompt::default()
        },
        ObjectPrompt { mask, ..one },
    ];
    let found = ask(&*model, &image, objects(all, Candidates::Best));
    assert_eq!(found.instances.iter().map(|instance| instance.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(found.instances[0].area > 0);
}

#[test]
fn inputs_of_one_picture_share_its_embedding() {
    let golden = Golden::read("sam/everything");
    let (model, image) = (model(&golden), picture(&golden));
    let one =
        ObjectPrompt { points: vec![point(30.0, 30.0, PointLabel::Foreground)], ..ObjectPrompt::default() };
    let request = objects(vec![one], Candidates::Best);
    let found = model.predict(&[input(&image, request.clone()), input(&image, request)]).unwrap();
    let encoded = |index: usize| found[index].timings.stages.iter().any(|(name, _)| *name == "encoder");
    assert!(encoded(0) && !encoded(1));
    assert_eq!(found[0].output, found[1].output);
}

#[test]
fn what_cannot_be_answered_is_an_error() {
    let golden = Golden::read("sam/everything");
    let (model, image) = (model(&golden), picture(&golden));
    let on = point(30.0, 30.0, PointLabel::Foreground);
    let nowhere = point(f32::NAN, 30.0, PointLabel::Foreground);
    let small = Some(MaskPrompt { side: 3, logits: vec![0.0; 9] });
    for request in [
        SegmentRequest::Whole(WholeKind::Auto),
        SegmentRequest::Text(vec!["a mug".into()]),
        objects(vec![ObjectPrompt::default()], Candidates::Best),
        objects(vec![ObjectPrompt { points: vec![nowhere], ..ObjectPrompt::default() }], Candidates::Best),
        objects(
            vec![ObjectPrompt { points: vec![on], mask: small, ..ObjectPrompt::default() }],
            Candidates::Best,
        ),
        SegmentRequest::Everything(EverythingOptions { points_per_side: 0, ..EverythingOptions::default() }),
        SegmentRequest::Everything(EverythingOptions { crop_n_layers: 9, ..EverythingOptions::default() }),
    ] {
        let error = model.predict(&[input(&image, request.clone())]).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{request:?}: {error}");
    }
}
