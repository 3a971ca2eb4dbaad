//! Whisper against transformers 5.23 (tests/reference/whisper.py): tiny random checkpoints in every
//! layout, all three odd sizes and a batch of two.

use std::path::PathBuf;

use percept_backbone::decode::{Feed, Hypothesis, Stopping, Strategy};
use percept_backbone::{Device, Tensor};
use percept_core::transcribe::{Goal, TranscribeOptions};
use percept_core::{LocalModel, Precision, Runtime};
use safetensors::SafeTensors;

use super::Whisper;
use super::network::{Decoder, Memory};

const END: i64 = 300;

pub(super) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

pub(super) fn local(name: &str) -> LocalModel {
    LocalModel::of_folder(name, &folder(name)).unwrap()
}

pub(super) fn whisper(name: &str) -> Whisper {
    whisper_in(name, Precision::F32)
}

pub(super) fn whisper_in(name: &str, precision: Precision) -> Whisper {
    let runtime = Runtime { device: percept_core::Device::Cpu, precision, threads: 2 };
    Whisper::load(&local(name), &runtime).unwrap()
}

/// The tensors of a fixture.
pub(super) struct Fixture(Vec<u8>);

impl Fixture {
    pub(super) fn open(name: &str) -> Self {
        Self::read(&format!("{name}/fixture.safetensors"))
    }

    pub(super) fn read(file: &str) -> Self {
        Self(std::fs::read(folder(file)).unwrap())
    }

    pub(super) fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    pub(super) fn floats(&self, name: &str) -> Tensor {
        let file = self.file();
        let tensor = file.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        Tensor::from_vec(values.collect(), tensor.shape(), &Device::Cpu).unwrap()
    }

    pub(super) fn integers(&self, name: &str) -> Vec<Vec<i64>> {
        let file = self.file();
        let tensor = file.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
        let values = tensor.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        let values = values.collect::<Vec<_>>();
        values.chunks_exact(*tensor.shape().last().unwrap()).map(<[i64]>::to_vec).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.file().tensor(name).is_ok()
    }
}

/// Within 2e-4 of the largest reference value.
#[track_caller]
pub(super) fn assert_close(found: &Tensor, wanted: &Tensor, what: &str) {
    assert_eq!(found.dims(), wanted.dims(), "{what}");
    let (found, wanted) = (flat(found), flat(wanted));
    let largest = wanted.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 2e-4 * largest, "{what}: off by {worst}, largest {largest}");
}

pub(super) fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The input features, encoder states and decoder of a layout hold against the reference.
fn check_network(model: &str, inputs: &str, outputs: &str) {
    let (whisper, inputs, outputs) = (whisper(model), Fixture::open(inputs), Fixture::open(outputs));
    let features = inputs.floats("input_features").transpose(1, 2).unwrap().contiguous().unwrap();
    let encoded = whisper.encoder.forward(&features).unwrap();
    let wanted = outputs.floats("encoder_last_hidden_state");
    assert_close(&encoded, &wanted, model);
    let prompts = outputs.integers("decoder_input_ids");
    for (item, tokens) in prompts.iter().enumerate() {
        let memory = whisper.remember(&encoded.narrow(0, item, 1).unwrap()).unwrap();
        let tokens = tokens.iter().map(|token| *token as u32).collect::<Vec<_>>();
        let wanted = outputs.floats("logits").get(item).unwrap();
        let every = (0..tokens.len()).collect::<Vec<_>>();
        let mut state = whisper.decoder.start(&memory).unwrap();
        let states = whisper.decoder.feed(&tokens, &mut state).unwrap();
        let at_once = whisper.decoder.scores(&states, &every).unwrap();
        assert_close(&Tensor::new(at_once, &Device::Cpu).unwrap(), &wanted, "at once");

        let mut state = whisper.decoder.start(&memory).unwrap();
        let decoder: &Decoder = &whisper.decoder;
        let mut step = |token: &u32| {
            let mut scores = Vec::new();
            let feed = Feed { tokens: &[*token], state: &mut state };
            percept_backbone::decode::Decoder::step(decoder, &mut [feed], &mut scores).unwrap();
            scores
        };
        let one_by_one = tokens.iter().map(&mut step).collect::<Vec<_>>();
        assert_close(&Tensor::new(one_by_one, &Device::Cpu).unwrap(), &wanted, "one by one");
    }
}

#[test]
fn every_layout_computes_what_transformers_computes() {
    for (model, outputs) in [
        ("whisper/f32", "whisper/f32"),
        ("whisper/f16", "whisper/f16"),
        ("whisper/bf16", "whisper/bf16"),
        ("whisper/sharded", "whisper/f16"),
        ("whisper-ct2/float32", "whisper/f32"),
        ("whisper-ct2/float16", "whisper/f16"),
        ("whisper-ct2/int8", "whisper-ct2/int8"),
    ] {
        check_network(model, "whisper/f32", outputs);
    }
    check_network("whisper/mel128", "whisper/mel128", "whisper/mel128");
}

/// How a case of the reference was decoded.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) strategy: Strategy,
    timestamps: bool,
    goal: Goal,
    language: Option<&'static str>,
    previous: &'static [u32],
}

const PREVIOUS: &[u32] = &[308, 34, 85, 260, 271, 11];

pub(super) fn case(name: &'static str) -> Case {
    let beams = |beams, length_penalty| Strategy::Beam { beams, length_penalty, stopping: Stopping::Likely };
    let strategy = match name {
        "beam5" | "beam5_timestamps" => beams(5, 1.0),
        "beam3" | "beam3_timestamps" => beams(3, 1.0),
        "beam5_short" => beams(5, 0.4),
        "beam5_long" => beams(5, 1.7),
        _ => Strategy::Greedy,
    };
    Case {
        name,
        strategy,
        timestamps: name.ends_with("timestamps") || name == "beam5_long",
        goal: if name == "greedy_translate" { Goal::Translate } else { Goal::Transcribe },
        language: match name {
            "greedy_translate" => Some("de"),
            "greedy_detect" => None,
            _ => Some("en"),
        },
        previous: if name.contains("prompt") { PREVIOUS } else { &[] },
    }
}

/// The memory and the prompt of an item.
pub(super) fn prompted(whisper: &Whisper, inputs: &Fixture, case: &Case, item: usize) -> (Memory, Vec<u32>) {
    let features = inputs.floats("input_features");
    let encoded = whisper.encode(&flat(&features.get(item).unwrap())).unwrap();
    let memory = whisper.remember(&encoded).unwrap();
    let options =
        TranscribeOptions { language: case.language.map(str::to_owned), ..TranscribeOptions::default() };
    let (language, _) = whisper.language_of(&memory, &options).unwrap();
    let mut prompt = case.previous.to_vec();
    prompt.extend(whisper.vocabulary.opening(Some(&language), case.goal).unwrap());
    if !case.timestamps {
        prompt.push(whisper.vocabulary.no_timestamps);
    }
    (memory, prompt)
}

/// What was found behind a prompt is what the reference has found.
#[track_caller]
pub(super) fn check_found(found: &Hypothesis, prompt: &[u32], outputs: &Fixture, case: &Case, item: usize) {
    let what = format!("{} {item}", case.name);
    let wanted = &outputs.integers(&format!("{}.sequences", case.name))[item];
    let mut sequence = prompt.iter().chain(&found.tokens).map(|t| i64::from(*t)).collect::<Vec<_>>();
    assert!(sequence.len() <= wanted.len(), "{what}: {sequence:?} {wanted:?}");
    sequence.resize(wanted.len(), END);
    assert_eq!(&sequence, wanted, "{what}");
    let score_name = format!("{}.sequences_scores", case.name);
    let mean_name = format!("{}.average_log_probability", case.name);
    let (score, name) = match case.strategy {
        Strategy::Beam { .. } => (found.score, score_name),
        _ => (found.mean_logprob(), mean_name),
    };
    let wanted = flat(&outputs.floats(&name))[item];
    assert!((score - wanted).abs() < 1e-3, "{what}: {score} {wanted}");
}

fn check_case(model: &str, inputs: &str, outputs: &str, case: &Case) {
    let (whisper, inputs, outputs) = (whisper(model), Fixture::open(inputs), Fixture::open(outputs));
    let options = TranscribeOptions::default();
    for item in 0..outputs.integers(&format!("{}.sequences", case.name)).len() {
        let (memory, prompt) = prompted(&whisper, &inputs, case, item);
        let request = whisper.request(&options, &prompt);
        let (found, _) = request.search(&memory, case.strategy, whisper.shape.target_positions).unwrap();
        check_found(&found, &prompt, &outputs, case, item);
    }
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    for name in [
        "greedy",
        "greedy_timestamps",
        "greedy_translate",
        "greedy_detect",
        "greedy_prompt",
        "greedy_prompt_timestamps",
    ] {
        check_case("whisper/f32", "whisper/f32", "whisper/f32", &case(name));
    }
}

#[test]
fn beam_tokens_are_those_of_transformers() {
    for name in ["beam5", "beam5_timestamps", "beam3", "beam3_timestamps", "beam5_short", "beam5_long"] {
        check_case("whisper/f32", "whisper/f32", "whisper/f32", &case(name));
    }
}

#[test]
fn every_layout_says_what_transformers_says() {
    for (model, outputs) in [
        ("whisper/f16", "whisper/f16"),
        ("whisper/bf16", "whisper/bf16"),
        ("whisper/sharded", "whisper/f16"),
        ("whisper-ct2/float16", "whisper/f16"),
        ("whisper-ct2/float32", "whisper/f32"),
        ("whisper-ct2/int8", "whisper-ct2/int8"),
    ] {
        for name in ["greedy", "greedy_timestamps"] {
            check_case(model, "whisper/f32", outputs, &case(name));
        }
    }
    for name in ["greedy", "greedy_timestamps", "beam5", "beam5_timestamps"] {
        check_case("whisper/mel128", "whisper/mel128", "whisper/mel128", &case(name));
    }
}

#[test]
fn language_and_silence_have_the_reference_probabilities() {
    let (whisper, fixture) = (whisper("whisper/f32"), Fixture::open("whisper/f32"));
    assert!(fixture.has("no_speech.probability"));
    let features = fixture.floats("input_features");
    let ids = fixture.integers("language.ids").concat();
    let detected = fixture.integers("language.detected").concat();
    for (item, detected) in detected.iter().enumerate() {
        let encoded = whisper.encode(&flat(&features.get(item).unwrap())).unwrap();
        let memory = whisper.remember(&encoded).unwrap();
        let options = TranscribeOptions::default();
        let (language, probability) = whisper.language_of(&memory, &options).unwrap();
        assert_eq!(i64::from(whisper.vocabulary.language(&language).unwrap()), *detected);
        let place = ids.iter().position(|id| *id == *detected).unwrap();
        let wanted = flat(&fixture.floats("language.probabilities").get(item).unwrap())[place];
        assert!((probability.unwrap() - wanted).abs() < 1e-4);

        let prompt = whisper.vocabulary.opening(Some("en"), Goal::Transcribe).unwrap();
        let request = whisper.request(&options, &prompt);
        let (_, no_speech) = request.search(&memory, Strategy::Greedy, 1).unwrap();
        let wanted = flat(&fixture.floats("no_speech.probability"))[item];
        assert!((no_speech - wanted).abs() < 1e-4 * wanted.max(0.1), "{no_speech} {wanted}");
    }
}
