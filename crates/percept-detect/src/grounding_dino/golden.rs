//! Grounding DINO against transformers 5.23 (tests/reference/grounding_dino.py).

use std::sync::Arc;

use percept_backbone::bert::BertTokenizer;
use percept_backbone::checkpoint::configuration;
use percept_backbone::image_processor::ImageProcessor;
use percept_backbone::{Device, Tensor, Weights};
use percept_core::detect::{DetectInput, DetectOptions, Detections};
use percept_core::{LocalModel, Precision};
use percept_golden::{error, fixture, folder, numbers, picture, runtime, snapshot};
use serde_json::Value;

use super::config::Shape;
use super::network::Network;
use super::texts::Prompt;

const FOLDER: &str = "grounding-dino";
const PICTURES: [&str; 2] = ["wide", "high"];

fn document() -> Value {
    serde_json::from_slice(&std::fs::read(folder(FOLDER).join("texts.json")).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn integers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as u32).collect()
}

/// With `tokenizer.json`, and with the vocabulary alone.
fn tokenizers() -> [BertTokenizer; 2] {
    let mut bare = snapshot(FOLDER, &[]);
    bare.files.remove("tokenizer.json").unwrap();
    [snapshot(FOLDER, &[]), bare].map(|local| BertTokenizer::open(&local).unwrap())
}

fn network(local: &LocalModel) -> Network {
    let weights = Weights::open_safetensors(local, &Device::Cpu).unwrap();
    Network::load(&weights, &Shape::of(&configuration(local).unwrap()).unwrap()).unwrap()
}

#[test]
fn texts_become_the_tokens_of_the_reference() {
    for tokenizer in tokenizers() {
        for case in document()["texts"].as_array().unwrap() {
            let texts = strings(&case["texts"]);
            let prompt = Prompt::new(&texts, &tokenizer).unwrap();
            assert_eq!(prompt.ids, integers(&case["input_ids"]), "{texts:?}");
            assert_eq!(prompt.positions, integers(&case["positions"]), "{texts:?}");
            for (token, row) in case["sees"].as_array().unwrap().iter().enumerate() {
                let seen = (0..prompt.ids.len()).map(|other| u32::from(prompt.sees(token, other)));
                assert_eq!(seen.collect::<Vec<_>>(), integers(row), "{texts:?}: token {token}");
            }
            let every_second: Vec<u32> = prompt.ids.iter().skip(1).step_by(2).copied().collect();
            let decoded = [&prompt.ids, &every_second].map(|ids| tokenizer.text(ids).unwrap());
            assert_eq!(decoded.to_vec(), strings(&case["decoded"]));
        }
    }
}

#[test]
fn tokens_know_their_text() {
    let [tokenizer, _] = tokenizers();
    let texts = ["A red mug.", " price tags ", "a cat-dog"].map(str::to_owned);
    let prompt = Prompt::new(&texts, &tokenizer).unwrap();
    let words = [None, Some(0), Some(0), Some(0), None, Some(1), Some(1), Some(1), None];
    assert_eq!(prompt.texts[..9], words);
    assert_eq!(prompt.texts[9..], [Some(2), Some(2), Some(2), Some(2), None, None]);
    assert!(Prompt::new(&["mug".into(), " . ".into()], &tokenizer).is_err());
}

#[test]
fn every_part_computes_what_transformers_computes() {
    let (local, wanted) = (snapshot(FOLDER, &[]), fixture(FOLDER));
    let network = network(&local);
    let texts = strings(&document()["texts"][0]["texts"]);
    let prompt = Prompt::new(&texts, &BertTokenizer::open(&local).unwrap()).unwrap();
    let read = network.read(prompt).unwrap();
    let encoded = network.encode(&wanted["pixel_values"], &read).unwrap();
    let references = network.decoder.choose(&encoded.memory()).unwrap();
    let decoded = network.decode(&encoded).unwrap();
    let pairs = [
        ("text", read.states.broadcast_as(wanted["text"].shape()).unwrap()),
        ("encoder_vision", encoded.pixels),
        ("encoder_text", encoded.words),
        ("references", references),
        ("logits", decoded.logits),
        ("pred_boxes", decoded.boxes),
    ];
    for (name, found) in pairs {
        let error = error(&found, &wanted[name]);
        assert!(error < 2e-5, "{name}: {error}");
    }
    // Pixels at the ends of a wide map are no proposals, and some are chosen all the same.
    let encoded = network.encode(&wanted["long.pixel_values"], &read).unwrap();
    let references = network.decoder.choose(&encoded.memory()).unwrap();
    assert!(numbers(&references).contains(&1.0));
    let decoded = network.decode(&encoded).unwrap();
    for (name, found) in
        [("references", references), ("logits", decoded.logits), ("pred_boxes", decoded.boxes)]
    {
        let error = error(&found, &wanted[&format!("long.{name}")]);
        assert!(error < 2e-5, "long {name}: {error}");
    }
}

fn asked(kind: &str) -> DetectInput {
    let document = document();
    let number = |name: &str| document["answers"][kind][name].as_f64().map(|number| number as f32);
    let texts = strings(&document["texts"][0]["texts"]);
    let (score, text_score) = (number("threshold"), number("text_threshold"));
    let options = DetectOptions { texts, score, text_score, ..DetectOptions::default() };
    let image = picture(&fixture(FOLDER)[&format!("{kind}.picture")]);
    DetectInput { image, options: Arc::new(options) }
}

#[test]
fn pictures_are_answered_as_the_reference_does() {
    let model = super::load(&snapshot(FOLDER, &[]), &runtime(Precision::F32)).unwrap();
    let inputs = PICTURES.map(asked);
    for (kind, found) in PICTURES.iter().zip(model.predict(&inputs).unwrap()) {
        check(&found.output, &document()["answers"][kind], kind);
    }
    let raw = model.raw(&inputs[0]).unwrap();
    let names: Vec<&str> = raw.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["pixel_values", "input_ids", "logits", "pred_boxes"]);
    // As many tokens as there could be.
    assert_eq!(raw[2].shape, [1, 9, 32]);
}

fn check(found: &Detections, wanted: &Value, kind: &str) {
    let floats = |value: &Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    // The reference leaves queries in their order; here the best comes first.
    let (scores, phrases) = (floats(&wanted["scores"]), strings(&wanted["phrases"]));
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    assert_eq!(found.detections.len(), order.len(), "{kind}");
    let (width, height) = (found.width as f32, found.height as f32);
    for (detection, at) in found.detections.iter().zip(order) {
        assert_eq!(detection.label.name, phrases[at], "{kind}");
        assert!(detection.label.id < 3);
        assert!(
            (detection.score - scores[at]).abs() < 1e-4,
            "{kind}: {} and {}",
            detection.score,
            scores[at]
        );
        for (side, (found, wanted)) in
            detection.bounding_box.iter().zip(floats(&wanted["boxes"][at])).enumerate()
        {
            // The reference leaves boxes outside of the picture.
            let wanted = wanted.clamp(0.0, if side % 2 == 0 { width } else { height });
            assert!((found - wanted).abs() < 1e-2, "{kind} {at}: {found} and {wanted}");
        }
    }
}

#[test]
fn pictures_are_prepared_as_the_reference_does() {
    let wanted = fixture(FOLDER);
    let processor = ImageProcessor::open(&snapshot(FOLDER, &[]), "ViTImageProcessor").unwrap();
    for kind in PICTURES {
        let found = processor.prepare(&picture(&wanted[&format!("{kind}.picture")])).unwrap();
        let found = numbers(&found.into_tensor(&Device::Cpu).unwrap());
        assert_eq!(found, numbers(&wanted[&format!("{kind}.pixel_values")]), "{kind}");
    }
}

#[test]
fn what_cannot_be_asked_is_told_with_a_hint() {
    let model = super::load(&snapshot(FOLDER, &[]), &runtime(Precision::F32)).unwrap();
    let ask = |texts: Vec<String>| {
        let options = Arc::new(DetectOptions { texts, ..DetectOptions::default() });
        model.predict(&[DetectInput { options, ..asked("wide") }]).unwrap_err()
    };
    assert!(ask(vec![]).hint().unwrap().contains("--text"));
    let many = ask(vec!["a red mug".into(); 9]);
    assert!(many.to_string().contains("38 tokens") && many.hint().is_some(), "{many}");
    assert!(ask(vec![" ".into()]).to_string().contains("names nothing"));
}

#[test]
fn what_is_not_supported_is_named() {
    let local = snapshot(FOLDER, &[]);
    let config = configuration(&local).unwrap();
    for (path, value, part) in [
        ("/two_stage", Value::from(false), "two_stage"),
        ("/embedding_init_target", Value::from(false), "embedding_init_target"),
        ("/two_stage_bbox_embed_share", Value::from(true), "two_stage_bbox_embed_share"),
        ("/position_embedding_type", Value::from("learned"), "learned"),
        ("/num_feature_levels", Value::from(5), "num_feature_levels"),
        ("/query_dim", Value::from(2), "query_dim"),
        ("/activation_function", Value::from("mish"), "mish"),
        ("/d_model", Value::from(40), "d_model"),
        ("/encoder_ffn_dim", Value::from(42), "encoder_ffn_dim"),
        ("/text_config/model_type", Value::from("roberta"), "roberta"),
        ("/backbone_config/model_type", Value::from("resnet"), "resnet"),
    ] {
        let mut config = config.clone();
        *config.pointer_mut(path).unwrap() = value;
        let message = Shape::of(&config).unwrap_err().to_string();
        assert!(message.contains(part), "{path}: {message}");
    }
    // A published configuration states little.
    let tiny = serde_json::json!({"backbone_config": {"model_type": "swin", "out_indices": [2, 3, 4]},
        "text_config": {"model_type": "bert"}});
    let tiny = Shape::of(&tiny).unwrap();
    assert_eq!((tiny.queries, tiny.text.dim, tiny.tokens), (900, 768, 256));
    // An image with fewer pixels on all maps than there are queries.
    let prompt = Prompt::new(&["mug".into()], &BertTokenizer::open(&local).unwrap()).unwrap();
    let network = network(&local);
    let read = network.read(prompt).unwrap();
    let pixels = Tensor::zeros((1, 3, 16, 16), percept_backbone::DType::F32, &Device::Cpu).unwrap();
    let encoded = network.encode(&pixels, &read).unwrap();
    assert!(network.decode(&encoded).is_err());
}
