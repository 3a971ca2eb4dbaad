//! The frame of all architectures: a picture is prepared, looked at once, and told of by one search.

use std::sync::Arc;
use std::time::Instant;

use percept_backbone::checkpoint::{milliseconds, raw_floats};
use percept_backbone::decode::{Hypothesis, Search, generate};
use percept_backbone::image_processor::ImageProcessor;
use percept_backbone::{Device, Tensor, compute_error, on_compute_threads};
use percept_core::caption::{
    Caption as Text, CaptionInput, CaptionOptions, CaptionRequest, CaptionTask, CaptionToken, Captions,
    Detection, Image, Rank,
};
use percept_core::{Caption, Error, Model, Precision, Predicted, RawTensor, RawValues, Result, Timings};

use crate::decoder::{State, TextDecoder};
use crate::generation::{Generation, Plan};
use crate::tokens::TextTokenizer;

/// What differs between architectures.
pub(crate) trait Network: Send + Sync {
    /// What is asked, in tokens: the start and the words that a text goes on from, unless it is said otherwise.
    ///
    /// # Errors
    /// If it is nothing that this network does.
    fn prompt(&self, request: &CaptionRequest, words: &Words) -> Result<Prompt> {
        continued(request, words)
    }

    /// What the image encoder says of a picture, `[1, positions, channels]`.
    fn look(&self, pixels: &Tensor) -> percept_backbone::Result<Tensor>;

    /// A decode behind a prompt, and the scores of the first new token. The decoder looks at what was seen, unless it is
    /// said otherwise.
    fn begin(&self, seen: &Tensor, prompt: &Prompt) -> percept_backbone::Result<(State, Vec<f32>)> {
        self.decoder().begin(Some(seen), &prompt.tokens)
    }

    /// What says the text.
    fn decoder(&self) -> &TextDecoder;

    /// How well each text fits what was seen, as probabilities; `None` where the network cannot tell.
    fn rank(&self, _seen: &Tensor, _texts: &[String], _words: &Words) -> Option<Result<Vec<f32>>> {
        None
    }

    /// The text of a sequence and, where it names places, what is where.
    ///
    /// # Errors
    /// If the tokenizer does not know a token.
    fn read(&self, prompt: &Prompt, new: &[u32], _size: (u32, u32), words: &Words) -> Result<Said> {
        let all = [&prompt.tokens, new].concat();
        Ok(Said { text: one_line(&words.tokenizer.text(&all)?), regions: vec![] })
    }

    /// How a checkpoint wants the answer to a request to be found.
    fn generation(&self, words: &Words, _options: &CaptionOptions, _prompt: &Prompt) -> Generation {
        words.generation.clone()
    }
}

/// What is asked, in tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prompt {
    /// What the text begins with.
    pub(crate) tokens: Vec<u32>,
    /// What an encoder reads beside the picture.
    pub(crate) encoder: Vec<u32>,
    /// The task behind it.
    pub(crate) task: Option<CaptionTask>,
}

/// A text that was said.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) regions: Vec<Detection>,
}

/// What turns texts into tokens, and how they are searched.
pub(crate) struct Words {
    pub(crate) id: String,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) generation: Generation,
}

/// A loaded model.
pub(crate) struct Captioner<N> {
    pub(crate) words: Words,
    pub(crate) processor: ImageProcessor,
    pub(crate) network: N,
    pub(crate) device: Device,
    pub(crate) precision: Precision,
}

/// What a search found, and what it began with.
struct Found {
    prompt: Prompt,
    first: Vec<f32>,
    hypotheses: Vec<Hypothesis>,
}

impl<N: Network> Captioner<N> {
    fn prepare(&self, image: &Image) -> Result<Tensor> {
        self.processor.prepare(image)?.into_tensor(&self.device).map_err(compute_error(&self.words.id))
    }

    fn look(&self, pixels: &Tensor) -> Result<Tensor> {
        self.network.look(pixels).map_err(compute_error(&self.words.id))
    }

    fn search(&self, seen: &Tensor, options: &CaptionOptions) -> Result<Found> {
        let prompt = self.network.prompt(&options.request, &self.words)?;
        let decoder = self.network.decoder();
        let room = decoder.room(prompt.tokens.len());
        let generation = self.network.generation(&self.words, options, &prompt);
        let Plan { strategy, rules, end, max_new } = generation.plan(options, &prompt.tokens, room)?;
        let rules = rules.iter().map(AsRef::as_ref).collect();
        let search = Search { strategy, rules, end, max_new };
        let begun = self.network.begin(seen, &prompt).and_then(|(state, first)| {
            let mut hypotheses = generate(decoder, state, first.clone(), search)?;
            hypotheses.truncate(options.captions.max(1));
            Ok((first, hypotheses))
        });
        let (first, hypotheses) = begun.map_err(compute_error(&self.words.id))?;
        Ok(Found { prompt, first, hypotheses })
    }

    fn answer(&self, found: &Found, image: &Image) -> Result<Captions> {
        let (width, height) = image.size();
        let mut answer = Captions { width, height, ..Captions::default() };
        for hypothesis in &found.hypotheses {
            let said = self.network.read(&found.prompt, &hypothesis.tokens, (width, height), &self.words)?;
            let tokens = hypothesis.tokens.iter().zip(&hypothesis.logprobs).map(|(id, logprob)| {
                CaptionToken { id: *id, text: self.words.tokenizer.piece(*id), log_probability: *logprob }
            });
            if answer.captions.is_empty() {
                answer.regions = said.regions;
            }
            answer.captions.push(Text { text: said.text, score: hypothesis.score, tokens: tokens.collect() });
        }
        Ok(answer)
    }

    fn rank(&self, seen: &Tensor, texts: &[String], image: &Image) -> Result<Captions> {
        if texts.is_empty() {
            return Err(Error::argument("there are no texts to rank"));
        }
        let probabilities =
            self.network.rank(seen, texts, &self.words).ok_or_else(|| Error::Argument {
                message: format!("`{}` writes texts and does not rank them", self.words.id),
                hint: Some("CoCa does both".into()),
            })??;
        let (width, height) = image.size();
        let ranks = texts.iter().zip(probabilities);
        let ranks = ranks.map(|(text, probability)| Rank { text: text.clone(), probability }).collect();
        Ok(Captions { width, height, ranks, ..Captions::default() })
    }

    /// A picture that several inputs in a row share is looked at once.
    fn predict_all(&self, inputs: &[CaptionInput]) -> Result<Vec<Predicted<Captions>>> {
        let mut last: Option<(&Arc<Image>, Tensor)> = None;
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut timings = Timings::default();
            let seen = match last.take().filter(|(image, _)| Arc::ptr_eq(image, &input.image)) {
                Some((_, seen)) => seen,
                None => {
                    let began = Instant::now();
                    let pixels = self.prepare(&input.image)?;
                    timings.prepare = milliseconds(began);
                    let began = Instant::now();
                    let seen = self.look(&pixels)?;
                    let spent = milliseconds(began);
                    timings.model = spent;
                    timings.stages.push(("encode", spent));
                    seen
                }
            };
            let began = Instant::now();
            let output = match &input.options.request {
                CaptionRequest::Rank(texts) => self.rank(&seen, texts, &input.image)?,
                CaptionRequest::Caption(_) | CaptionRequest::Task(_) => {
                    let found = self.search(&seen, &input.options)?;
                    let tokens = found.hypotheses.iter().map(|hypothesis| hypothesis.tokens.len()).max();
                    timings.counts.push(("tokens", tokens.unwrap_or(0)));
                    self.answer(&found, &input.image)?
                }
            };
            let spent = milliseconds(began);
            timings.model += spent;
            timings.stages.push(("decode", spent));
            outputs.push(Predicted { output, timings });
            last = Some((&input.image, seen));
        }
        Ok(outputs)
    }

    /// Whole sequences `[captions, longest]`, filled up as `generate` does it.
    fn sequences(&self, found: &Found) -> RawTensor {
        let whole =
            found.hypotheses.iter().map(|hypothesis| [&found.prompt.tokens[..], &hypothesis.tokens].concat());
        let whole = whole.collect::<Vec<_>>();
        let longest = whole.iter().map(Vec::len).max().unwrap_or(0);
        let pad = self.words.generation.pad;
        let filled = whole.iter().flat_map(|row| {
            row.iter().copied().chain(std::iter::repeat(pad)).take(longest).map(i64::from).collect::<Vec<_>>()
        });
        RawTensor {
            name: "sequences".into(),
            shape: vec![whole.len(), longest],
            values: RawValues::I64(filled.collect()),
        }
    }
}

impl<N: Network> Model<Caption> for Captioner<N> {
    fn predict(&self, inputs: &[CaptionInput]) -> Result<Vec<Predicted<Captions>>> {
        on_compute_threads(|| self.predict_all(inputs))
    }

    /// `pixel_values`, the `logits` of the first new token `[1, vocabulary]`, and the `sequences`, prompts included. Where
    /// texts are ranked, `pixel_values` and `probs` `[1, texts]`.
    fn raw(&self, input: &CaptionInput) -> Result<Vec<RawTensor>> {
        on_compute_threads(|| {
            let pixels = self.prepare(&input.image)?;
            let seen = self.look(&pixels)?;
            let floats = |name, tensor| raw_floats(name, tensor).map_err(compute_error(&self.words.id));
            let row = |values: Vec<f32>| {
                let width = values.len();
                Tensor::from_vec(values, (1, width), &self.device)
            };
            if let CaptionRequest::Rank(texts) = &input.options.request {
                let ranks = self.rank(&seen, texts, &input.image)?.ranks;
                let ranks = ranks.iter().map(|rank| rank.probability).collect();
                return Ok(vec![floats("pixel_values", Ok(pixels))?, floats("probs", row(ranks))?]);
            }
            let found = self.search(&seen, &input.options)?;
            let logits = floats("logits", row(found.first.clone()))?;
            Ok(vec![floats("pixel_values", Ok(pixels))?, logits, self.sequences(&found)])
        })
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// The prompt of models that continue texts: the start, and the words of the text.
fn continued(request: &CaptionRequest, words: &Words) -> Result<Prompt> {
    match request {
        CaptionRequest::Caption(prompt) => {
            let mut tokens = vec![words.generation.start];
            if let Some(prompt) = prompt.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty()) {
                tokens.extend(words.tokenizer.bare_ids(prompt)?);
            }
            Ok(Prompt { tokens, ..Prompt::default() })
        }
        CaptionRequest::Task(_) | CaptionRequest::Rank(_) => Err(Error::Argument {
            message: format!("`{}` writes captions and knows no tasks", words.id),
            hint: Some("Florence-2 knows tasks".into()),
        }),
    }
}

/// A text with every run of white space as one space.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
