//! What the golden tests of all architectures do: the cases of tests/reference/caption_case.py.

use std::sync::Arc;

use percept_backbone::Tensor;
use percept_core::caption::{CaptionInput, CaptionOptions, CaptionRequest, CaptionSearch, CaptionTask};
use percept_core::{Caption, LocalModel, Model, Precision, RawValues, Result, Runtime};
use percept_golden::{error, fixture, folder, picture, runtime, snapshot};
use serde::Deserialize;
use serde_json::Value;

use crate::captioner::{Captioner, Network};

/// How an architecture opens a checkpoint.
pub(crate) type Open<N> = fn(&LocalModel, &Runtime) -> Result<Captioner<N>>;

/// What the image encoder says of the fixture's pixels is its tensor `wanted`.
pub(crate) fn sees_what_the_reference_sees<N: Network>(kind: &str, open: Open<N>, wanted: &str) {
    let (model, fixture) = (open(&snapshot(kind, &[]), &runtime(Precision::F32)).unwrap(), fixture(kind));
    let error = error(&model.network.look(&fixture["pixel_values"]).unwrap(), &fixture[wanted]);
    assert!(error <= 2e-4, "{kind}: {error}");
    println!("{kind}: the encoder is off by {error}");
}

/// Pixels and texts are the reference's, whatever else is asked beside them.
pub(crate) fn answers_what_the_reference_answers<N: Network>(kind: &str, open: Open<N>) {
    let model = open(&snapshot(kind, &[]), &runtime(Precision::F32)).unwrap();
    pixels_are_the_references(kind, &model);
    says_what_the_reference_says(kind, &model);
    inputs_do_not_depend_on_each_other(kind, &model);
}

/// What was asked of the reference, and what it said.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    options: Asked,
    picture: usize,
    prompt: Option<String>,
    task: Option<CaptionTask>,
    prompt_tokens: usize,
    pub(crate) sequences: Vec<Vec<u32>>,
    texts: Vec<String>,
    logprobs: Vec<Vec<f32>>,
    scores: Vec<f32>,
    logits: Option<Vec<f32>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    search: Value,
    #[serde(default)]
    captions: Option<usize>,
    max_tokens: Option<usize>,
    min_tokens: Option<usize>,
    repetition_penalty: Option<f32>,
}

impl Case {
    pub(crate) fn task(&self) -> Option<CaptionTask> {
        self.task
    }

    pub(crate) fn input(&self, name: &str) -> CaptionInput {
        let request = match (self.task, &self.prompt) {
            (Some(task), _) => CaptionRequest::Task(task),
            (None, prompt) => CaptionRequest::Caption(prompt.clone()),
        };
        let search = match &self.options.search {
            Value::Null => None,
            Value::String(_) => Some(CaptionSearch::Greedy),
            beam => Some(CaptionSearch::Beam {
                beams: beam["beams"].as_u64().unwrap() as usize,
                length_penalty: beam["length_penalty"].as_f64().unwrap() as f32,
            }),
        };
        let options = CaptionOptions {
            request,
            search,
            captions: self.options.captions.unwrap_or(1),
            max_tokens: self.options.max_tokens,
            min_tokens: self.options.min_tokens,
            repetition_penalty: self.options.repetition_penalty,
        };
        let image = picture(&fixture(name)[&format!("picture.{}", self.picture)]);
        CaptionInput { image, options: Arc::new(options) }
    }
}

pub(crate) fn cases(name: &str) -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(folder(name).join("cases.json")).unwrap()).unwrap()
}

/// Every case: the same tokens, texts, log-probabilities and scores.
pub(crate) fn says_what_the_reference_says(name: &str, model: &dyn Model<Caption>) {
    let cases = cases(name);
    assert!(cases.len() > 8, "{} cases", cases.len());
    for case in &cases {
        let what = format!("{name} {:?} {:?} {:?} {:?}", case.picture, case.prompt, case.task, case.options);
        let input = case.input(name);
        let answer = model.predict(std::slice::from_ref(&input)).unwrap().remove(0).output;
        assert_eq!((answer.width, answer.height), input.image.size());
        let wanted = case.sequences.iter().map(|ids| ids[case.prompt_tokens..].to_vec()).collect::<Vec<_>>();
        let found =
            answer.captions.iter().map(|caption| caption.tokens.iter().map(|token| token.id).collect());
        assert_eq!(found.collect::<Vec<Vec<u32>>>(), wanted, "{what}");
        for (index, caption) in answer.captions.iter().enumerate() {
            let text = case.texts[index].split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(caption.text, text, "{what}");
            let score = case.scores[index];
            assert!(
                (caption.score - score).abs() < 2e-4 * (1.0 + score.abs()),
                "{what}: {}, {score}",
                caption.score
            );
            for (token, logprob) in caption.tokens.iter().zip(&case.logprobs[index]) {
                let difference = (token.log_probability - logprob).abs();
                assert!(difference < 5e-4 * (1.0 + logprob.abs()), "{what}: {token:?} and {logprob}");
            }
        }
        let Some(logits) = &case.logits else { continue };
        let raw = model.raw(&input).unwrap();
        let names = raw.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["pixel_values", "logits", "sequences"]);
        let RawValues::F32(values) = &raw[1].values else { panic!("floats are wanted") };
        assert_eq!(raw[1].shape, [1, logits.len()]);
        let tensor = |values: &[f32]| Tensor::new(values, &percept_backbone::Device::Cpu).unwrap();
        let error = error(&tensor(values), &tensor(logits));
        assert!(error <= 2e-4, "{what}: logits are off by {error}");
        println!("{what}: logits are off by {error}");
        let RawValues::I64(ids) = &raw[2].values else { panic!("integers are wanted") };
        assert_eq!(ids.iter().map(|id| *id as u32).collect::<Vec<_>>(), case.sequences[0], "{what}");
    }
}

/// Several inputs at once are answered as each alone; a picture that inputs share is looked at once.
pub(crate) fn inputs_do_not_depend_on_each_other(name: &str, model: &dyn Model<Caption>) {
    let cases = cases(name);
    let mut inputs =
        cases.iter().take(2).chain(cases.last()).map(|case| case.input(name)).collect::<Vec<_>>();
    inputs[1].image = inputs[0].image.clone();
    let together = model.predict(&inputs).unwrap();
    assert_eq!(together[1].timings.prepare, 0.0);
    for (input, found) in inputs.iter().zip(together) {
        let alone = model.predict(std::slice::from_ref(input)).unwrap().remove(0);
        assert_eq!(alone.output, found.output);
    }
}

/// The prepared picture: mostly the same, and nowhere more than a step of 8 bits from it.
pub(crate) fn pixels_are_the_references(name: &str, model: &dyn Model<Caption>) {
    let case = &cases(name)[0];
    let raw = model.raw(&case.input(name)).unwrap().remove(0);
    let RawValues::F32(values) = &raw.values else { panic!("floats are wanted") };
    let wanted = fixture(name)["pixel_values"].get(case.picture).unwrap();
    let wanted = percept_golden::numbers(&wanted);
    assert_eq!(values.len(), wanted.len());
    let step = 1.0 / 255.0 / 0.2;
    let off = values.iter().zip(&wanted).filter(|(a, b)| (*a - *b).abs() > 1e-4).count();
    assert!(values.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= step), "{name}");
    println!("{name}: {off} of {} values differ by a step", values.len());
    assert!(off * 20 <= values.len(), "{name}: {off} of {} values differ", values.len());
}
