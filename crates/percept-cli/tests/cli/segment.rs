//! `percept segment` with small trained models on drawn pictures of other sizes: is it right, whatever the picture
//! comes as?

use std::collections::BTreeSet;

use percept::media::picture;
use percept::segment::Orientation;

use crate::project::{Project, Ran, root};
use crate::scenes::{class_iou, deep_png, grey_png, masks_of, read, scene, scenes, stored_png};

/// The bar of the mean IoU on drawn scenes.
const GOOD: f64 = 0.9;

fn segformer() -> String {
    root().join("tests/models/shapes-segformer").display().to_string()
}

fn segment(project: &Project, arguments: &[&str]) -> Ran {
    let model = segformer();
    let mut all = vec!["segment"];
    all.extend(arguments);
    all.extend(["--model", model.as_str(), "--precision", "f32", "--no-timings"]);
    project.run(&all)
}

fn json_of(project: &Project, arguments: &[&str]) -> String {
    let mut all = arguments.to_vec();
    all.extend(["-f", "json"]);
    let ran = segment(project, &all);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    ran.stdout
}

#[test]
fn classes_are_found_in_pictures_of_other_sizes() {
    let project = Project::new();
    for scene in scenes() {
        project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
        let iou = class_iou(&scene, &masks_of(&json_of(&project, &["a.png"])));
        assert!(iou > GOOD, "{}: {iou:.3}", scene.name);
    }
}

#[test]
fn an_exif_orientation_changes_nothing_but_where_pixels_are_stored() {
    let project = Project::new();
    let scene = scene("landscape");
    let upright = scene.image();
    let mut answers = BTreeSet::new();
    for orientation in Orientation::all() {
        project.write("a.png", &stored_png(&upright, orientation));
        let displayed = masks_of(&json_of(&project, &["a.png"]));
        assert!(class_iou(&scene, &displayed) > GOOD, "{orientation:?}");
        answers.insert(format!("{displayed:?}"));
        let stored = json_of(&project, &["a.png", "--orientation", "stored"]);
        let told = stored.contains(r#""standing": "stored""#);
        assert_eq!(told, orientation != Orientation::UPRIGHT, "{orientation:?}");
        let stored = masks_of(&stored);
        assert_eq!(stored.len(), displayed.len());
        for ((_, stored), (_, displayed)) in stored.iter().zip(&displayed) {
            let (width, height) = (stored.width(), stored.height());
            assert_eq!(orientation.turned((width, height)), (displayed.width(), displayed.height()));
            let (shown, kept) = (displayed.pixels(), stored.pixels());
            let same = (0..displayed.height()).all(|y| {
                (0..displayed.width()).all(|x| {
                    let (column, row) = orientation.stored_pixel((x, y), (width, height));
                    shown[(y * displayed.width() + x) as usize] == kept[(row * width + column) as usize]
                })
            });
            assert!(same, "{orientation:?}");
        }
    }
    assert_eq!(answers.len(), 1, "the displayed picture is the same");
}

#[test]
fn deep_and_grey_pictures_are_read_as_what_they_show() {
    let project = Project::new();
    for scene in scenes() {
        let image = scene.image();
        project.write("plain.png", &picture::encode_png(&image).unwrap());
        project.write("deep.png", &deep_png(&image));
        project.write("grey.png", &grey_png(&image));
        let of = |name: &str| masks_of(&json_of(&project, &[name]));
        assert_eq!(of("deep.png"), of("plain.png"), "{}", scene.name);
        let iou = class_iou(&scene, &of("grey.png"));
        assert!(iou > GOOD, "{} in grey: {iou:.3}", scene.name);
    }
}

#[test]
fn tiles_join_what_lies_over_their_seams() {
    let project = Project::new();
    let scene = scene("large");
    project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
    let found = masks_of(&json_of(&project, &["a.png", "--tile", "320", "--overlap", "96"]));
    let iou = class_iou(&scene, &found);
    assert!(iou > GOOD, "{iou:.3}");
}

#[test]
fn json_is_what_its_schema_says() {
    let project = Project::new();
    project.write("a.png", &picture::encode_png(&scene("small").image()).unwrap());
    let ran = segment(&project, &["a.png"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let schema = std::fs::read_to_string(root().join("docs/schema/segment.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors = validator.iter_errors(&json).map(|error| error.to_string()).collect::<Vec<_>>();
    assert!(errors.is_empty(), "{errors:?}");
    // Without an option: JSON on standard output, an index picture beside the input, its path on standard error.
    assert!(ran.stderr.contains("a.segment.png"), "{}", ran.stderr);
    let legend = json["result"]["legend"].as_array().unwrap();
    assert_eq!(legend.len(), json["result"]["instances"].as_array().unwrap().len());
    let index = read(&project.path("a.segment.png"));
    assert_eq!(index.size(), scene("small").image().size());
}

#[test]
fn one_class_gives_one_binary_mask() {
    let project = Project::new();
    let scene = scene("landscape");
    project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
    let ran = segment(&project, &["a.png", "--class", "circle", "-o", "me.png"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "me.png\n"), "{}", ran.stderr);
    let mask = read(&project.path("me.png"));
    let inside: Vec<u8> = mask.rgb.chunks(3).map(|rgb| u8::from(rgb[0] == 255)).collect();
    assert!(mask.rgb.iter().all(|value| [0, 255].contains(value)));
    let found = percept::segment::Mask::from_pixels(mask.width, mask.height, &inside);
    let circles = scene.classes().into_iter().find(|(class, _)| class == "circle").unwrap().1;
    assert!(found.iou(&circles) > GOOD, "{:.3}", found.iou(&circles));

    let wrong = segment(&project, &["a.png", "--class", "cirle"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("circle"), "{}", wrong.stderr);
}

#[test]
fn every_format_is_written() {
    let project = Project::new();
    project.write("p/a.png", &picture::encode_png(&scene("landscape").image()).unwrap());
    project.write("p/b.png", &picture::encode_png(&scene("portrait").image()).unwrap());
    let formats = "json,png,index,instances,cutout,overlay,rle,coco,yolo,labelme";
    let ran = segment(&project, &["p", "-o", "out", "-f", formats, "--class", "circle,star,ring"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let files = project.files();
    for stem in ["a", "b"] {
        let names = [
            "segment.json",
            "segment.png",
            "segment.index.png",
            "segment.cutout.png",
            "segment.overlay.png",
            "segment.rle.json",
        ];
        for name in names.into_iter().chain(["segment.coco.json", "txt", "json"]) {
            assert!(files.contains(&format!("out/{stem}.{name}")), "{stem}.{name}: {files:?}");
        }
        assert!(files.iter().any(|file| file.starts_with(&format!("out/{stem}.segment.instances/001-"))));
    }
    // A second run finds its outputs there, and -y replaces them with the same bytes.
    let kept = project.read("out/a.segment.json");
    assert_eq!(segment(&project, &["p", "-o", "out", "-f", "json"]).code, 2);
    let again = segment(&project, &["p", "-o", "out", "-f", formats, "--class", "circle,star,ring", "-y"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(project.read("out/a.segment.json"), kept);
}

#[test]
fn broken_pictures_cost_themselves_only() {
    let project = Project::new();
    let good = picture::encode_png(&scene("small").image()).unwrap();
    project.write("p/a.png", &good);
    project.write("p/b.png", &good[..good.len() / 2]);
    project.write("p/c.jpg", b"this is no picture");
    project.write("p/d.png", b"");
    let ran = segment(&project, &["p", "-o", "out", "-f", "rle"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(project.files().contains(&"out/a.segment.rle.json".to_owned()));
    for name in ["c.jpg", "d.png"] {
        assert!(ran.stderr.contains(name), "{name}: {}", ran.stderr);
    }
}

#[test]
fn what_a_model_cannot_do_is_said_before_it_is_tried_on_many() {
    let project = Project::new();
    project.write("a.png", &picture::encode_png(&scene("small").image()).unwrap());
    for arguments in
        [&["a.png", "--point", "3,4"][..], &["a.png", "--everything"], &["a.png", "--text", "a ring"]]
    {
        let ran = segment(&project, arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("hint:"), "{arguments:?}: {}", ran.stderr);
    }
    for arguments in [
        &["a.png", "--point", "3"][..],
        &["a.png", "--box", "3,4,1,9"],
        &["a.png", "-f", "jpeg2000"],
        &["a.png", "--tile", "64", "--overlap", "40"],
        &["a.png", "--background", "no-such-colour"],
    ] {
        let ran = segment(&project, arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}
