//! Preparation of pictures against the image processors of transformers 5.23 (tests/reference/preparation.py).
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use percept_backbone::Device;
use percept_backbone::image_processor::{ImageProcessor, Prepared};
use percept_core::segment::Image;
use safetensors::SafeTensors;
use serde_json::{Value, json};

fn read(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/preparation");
    std::fs::read(folder.join(name)).unwrap()
}

fn document() -> Value {
    serde_json::from_slice(&read("cases.json")).unwrap()
}

fn pictures() -> BTreeMap<String, Image> {
    let bytes = read("pictures.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let picture = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let (height, width) = (view.shape()[0] as u32, view.shape()[1] as u32);
        (name, Image::new(width, height, view.data().to_vec()))
    };
    tensors.tensors().into_iter().map(picture).collect()
}

/// The value of one grey level in the input of a case's network: the largest of its channels.
fn grey_level(prepared: &ImageProcessor) -> f32 {
    let value = |byte: u8| prepared.prepare(&Image::new(40, 40, vec![byte; 4800])).unwrap().pixels;
    let step = value(1).into_iter().zip(value(0)).map(|(one, zero)| one - zero);
    step.fold(0.0, f32::max)
}

#[test]
fn pictures_are_prepared_as_the_reference_does() {
    let (document, pictures) = (document(), pictures());
    let bytes = read("prepared.safetensors");
    let wanted = SafeTensors::deserialize(&bytes).unwrap();
    let mut cases = 0;
    for (name, case) in document["cases"].as_object().unwrap() {
        let processor = ImageProcessor::of(&case["config"], &class(&case["class"])).unwrap();
        let parts = processor.prepare_parts(&pictures[case["picture"].as_str().unwrap()]).unwrap();
        let wanted = wanted.tensor(name).unwrap();
        let (width, height) = parts[0].canvas.size;
        assert_eq!(wanted.shape(), [parts.len(), 3, height as usize, width as usize], "{name}");
        let numbers = wanted.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let found = parts.iter().flat_map(|part| &part.pixels);
        let error = found.zip(numbers).map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f32::max);
        let levels = error / grey_level(&processor);
        // Equal to torchvision to the last bit; a grey level from Pillow, which the box and Hamming's filter come from.
        let pillow = case["class"].as_str().unwrap().ends_with("Pil");
        assert!(levels <= if pillow { 1.001 } else { 0.0 }, "{name}: {levels} grey levels");
        cases += 1;
    }
    assert_eq!(cases, 44);
}

/// `...Pil` says which code made the fixture, not what a snapshot says.
fn class(name: &Value) -> String {
    name.as_str().unwrap().trim_end_matches("Pil").to_owned()
}

#[test]
fn a_class_without_a_file_has_the_references_defaults() {
    for (class, stated) in document()["defaults"].as_object().unwrap() {
        let silent = ImageProcessor::of(&Value::Null, class).unwrap();
        // What the class writes out; `image_processor_type` in it wins over the argument.
        let stated = ImageProcessor::of(stated, "ViTImageProcessor").unwrap();
        assert_eq!(format!("{silent:?}"), format!("{stated:?}"), "{class}");
    }
}

#[test]
fn sizes_round_as_the_references_do() {
    for rule in document()["sizes"].as_array().unwrap() {
        let processor = ImageProcessor::of(&rule["config"], rule["class"].as_str().unwrap()).unwrap();
        for row in rule["rows"].as_array().unwrap() {
            let [width, height, across, down] = [0, 1, 2, 3].map(|index| row[index].as_u64().unwrap() as u32);
            let found = processor.canvas_size((width, height)).unwrap();
            assert_eq!(found, (across, down), "{}: {width} x {height}", rule["class"]);
        }
    }
}

#[test]
fn a_corner_of_the_picture_is_where_its_colour_is() {
    // Ten times larger, a white pixel at (3, 1) becomes a square whose middle is where the canvas says.
    let mut image = Image::new(5, 4, vec![0; 60]);
    image.rgb[3 * (5 + 3)..][..3].fill(255);
    for config in [
        json!({"size": [40, 50], "resample": 0}),
        json!({"size": [40, 50], "resample": 0, "do_center_crop": true, "crop_size": [31, 77]}),
        json!({"size": [40, 50], "resample": 0, "do_pad": true, "pad_size": [64, 64]}),
    ] {
        let processor = ImageProcessor::of(&config, "ViTImageProcessor").unwrap();
        let Prepared { pixels, canvas } = processor.prepare(&image).unwrap();
        let [x, y] = canvas.to_canvas([3.5, 1.5]);
        let (width, height) = canvas.size;
        assert_eq!(pixels.len(), 3 * (width * height) as usize);
        for (x, y, white) in
            [(x, y, true), (x - 4.0, y - 4.0, true), (x - 6.0, y, false), (x, y + 6.0, false)]
        {
            let value = pixels[(y as u32 * width + x as u32) as usize];
            assert_eq!(value == 1.0, white, "{config}: {value} at {x}, {y}");
        }
    }
}

#[test]
fn a_batch_wants_one_size() {
    let processor = ImageProcessor::of(&json!({"size": {"shortest_edge": 8}}), "ViTImageProcessor").unwrap();
    let prepare = |width| processor.prepare(&Image::new(width, 9, vec![7; 27 * width as usize])).unwrap();
    let both = Prepared::batch(&[prepare(12), prepare(12)], &Device::Cpu).unwrap();
    assert_eq!(both.dims(), [2, 3, 8, 10]);
    assert!(Prepared::batch(&[prepare(12), prepare(20)], &Device::Cpu).is_err());
    assert!(Prepared::batch(&[], &Device::Cpu).is_err());
    assert_eq!(prepare(12).into_tensor(&Device::Cpu).unwrap().dims(), [1, 3, 8, 10]);
}

#[test]
fn old_spellings_mean_what_they_meant() {
    let size = |config: Value| {
        ImageProcessor::of(&config, "ViTImageProcessor").unwrap().canvas_size((100, 50)).unwrap()
    };
    assert_eq!(size(json!({"feature_extractor_type": "ViTFeatureExtractor", "size": 352})), (352, 352));
    assert_eq!(size(json!({"feature_extractor_type": "SegformerFeatureExtractor", "size": 64})), (64, 64));
    assert_eq!(size(json!({"image_processor_type": "Sam2ImageProcessorFast"})), (1024, 1024));
    let detr = json!({"feature_extractor_type": "DetrFeatureExtractor", "size": 40, "max_size": 60});
    assert_eq!(size(detr), (60, 30));
    let clip = json!({"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 30});
    assert_eq!(size(clip), (30, 30));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for wrong in [
        json!({"image_processor_type": "NoSuchImageProcessor"}),
        json!({"image_processor_type": "Sam"}),
        json!({"size": "large"}),
        json!({"size": 0}),
        json!({"size": {"height": 4}}),
        json!({"resample": 6}),
        json!({"image_std": [0.0, 1.0, 1.0]}),
        json!({"image_mean": [0.5]}),
        json!({"rescale_factor": 0.0}),
        json!({"do_center_crop": true, "crop_size": [1, 2, 3]}),
        json!({"do_pad": true, "pad_size": "wide"}),
        json!({"size_divisor": 0}),
    ] {
        assert!(ImageProcessor::of(&wrong, "ViTImageProcessor").is_err(), "{wrong}");
    }
    let shortest = ImageProcessor::of(&json!({"size": {"shortest_edge": 640}}), "ViTImageProcessor").unwrap();
    assert!(shortest.prepare(&Image::new(0, 4, vec![])).is_err());
    assert!(shortest.prepare(&Image::new(1, 60_000, vec![0; 180_000])).is_err());
    let longest =
        ImageProcessor::of(&json!({"size": {"max_height": 8, "max_width": 8}}), "ViTImageProcessor");
    assert!(longest.unwrap().prepare(&Image::new(1, 60, vec![0; 180])).is_err());
}
