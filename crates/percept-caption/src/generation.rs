//! How a checkpoint wants its texts to be found (`generation_config.json`), and how that and what was asked become a
//! search (transformers' `generation/utils.py`).

use percept_backbone::WeightsError;
use percept_backbone::checkpoint::{count, wrong};
use percept_backbone::decode::{
    ForceAtEnd, ForceAtStart, MinLength, NoRepeat, RepetitionPenalty, Rule, Stopping, Strategy, Suppress,
    SuppressAtStart,
};
use percept_core::caption::{CaptionOptions, CaptionSearch};
use percept_core::{Error, LocalModel, Result};
use serde_json::Value;

/// A number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Of new ones.
    New(usize),
    /// With those of the prompt.
    Whole(usize),
}

impl Length {
    fn new_tokens(self, prompt: usize) -> usize {
        match self {
            Self::New(count) => count,
            Self::Whole(count) => count.saturating_sub(prompt),
        }
    }
}

/// What a checkpoint says of its texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Generation {
    /// A text is cut there.
    pub(crate) max: Length,
    /// A text does not end before.
    pub(crate) min: Length,
    /// Where nothing else is asked for.
    pub(crate) search: CaptionSearch,
    /// When beams end.
    pub(crate) stopping: Stopping,
    /// Divides the scores of what was said; 1: nothing.
    pub(crate) repetition_penalty: f32,
    /// Tokens of runs that are said once at most; 0: any.
    pub(crate) no_repeat: usize,
    /// What a text begins with behind its prompt, whatever its score.
    pub(crate) first: Option<u32>,
    /// What a text that is cut ends with.
    pub(crate) last: Option<u32>,
    /// What is never said.
    pub(crate) suppress: Vec<u32>,
    /// What is not said first.
    pub(crate) suppress_at_start: Vec<u32>,
    /// What ends a text.
    pub(crate) end: u32,
    /// What a text begins with, where it has no prompt.
    pub(crate) start: u32,
    /// What fills up shorter sequences.
    pub(crate) pad: u32,
}

/// A search, and the rules that it applies.
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    pub(crate) rules: Vec<Box<dyn Rule>>,
    pub(crate) end: u32,
    pub(crate) max_new: usize,
}

impl Generation {
    /// The defaults of transformers: greedy, twenty new tokens.
    pub(crate) fn plain(start: u32, end: u32, pad: u32) -> Self {
        Self {
            max: Length::New(20),
            min: Length::New(0),
            search: CaptionSearch::Greedy,
            stopping: Stopping::Likely,
            repetition_penalty: 1.0,
            no_repeat: 0,
            first: None,
            last: None,
            suppress: vec![],
            suppress_at_start: vec![],
            end,
            start,
            pad,
        }
    }

    /// Reads `generation_config.json` or, where there is none, the tokens in `config`, which is that of the model or of its
    /// decoder. `tokens` are the start, the end and what fills up, where neither states them.
    pub(crate) fn open(local: &LocalModel, config: &Value, tokens: [u32; 3]) -> Result<Self> {
        let stated = match local.find("generation_config.json") {
            None => of_model(config),
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|error| Error::input(path, error))?;
                serde_json::from_slice(&bytes).map_err(|error| Error::input(path, error))?
            }
        };
        Self::of(&stated, config, tokens).map_err(|error| error.of(&local.id))
    }

    fn of(stated: &Value, config: &Value, [start, end, pad]: [u32; 3]) -> Result<Self, WeightsError> {
        let number = |name: &str, default: f32| stated[name].as_f64().map_or(default, |number| number as f32);
        let from = |name: &str| match &stated[name] {
            Value::Null => &config[name],
            value => value,
        };
        let end = token("eos_token_id", from("eos_token_id"))?.unwrap_or(end);
        let bos = token("bos_token_id", from("bos_token_id"))?;
        let start = token("decoder_start_token_id", from("decoder_start_token_id"))?.or(bos).unwrap_or(start);
        let pad = token("pad_token_id", from("pad_token_id"))?.unwrap_or(pad);
        for (name, plain) in
            [("num_beam_groups", 1.0), ("diversity_penalty", 0.0), ("encoder_repetition_penalty", 1.0)]
        {
            if number(name, plain) != plain {
                return Err(wrong(format!("`{name}` is {}, which is not supported", stated[name])));
            }
        }
        for name in ["bad_words_ids", "sequence_bias", "exponential_decay_length_penalty", "guidance_scale"] {
            if !stated[name].is_null() {
                return Err(wrong(format!("`{name}` is {}, which is not supported", stated[name])));
            }
        }
        let length = |of_new: &str, whole: &str, default: usize| match (&stated[of_new], &stated[whole]) {
            (Value::Null, Value::Null) => Ok(Length::New(default)),
            (Value::Null, _) => count(stated, whole, 0).map(Length::Whole),
            _ => count(stated, of_new, 0).map(Length::New),
        };
        let beams = count(stated, "num_beams", 1)?;
        let search = match (beams, stated["do_sample"].as_bool().unwrap_or(false)) {
            (2.., true) => return Err(wrong("`do_sample` with beams is not supported")),
            (_, true) => CaptionSearch::Sample {
                temperature: number("temperature", 1.0),
                top_k: Some(count(stated, "top_k", 50)?).filter(|count| *count > 0),
                top_p: Some(number("top_p", 1.0)).filter(|sum| *sum < 1.0),
                seed: 0,
            },
            (2.., false) => CaptionSearch::Beam { beams, length_penalty: number("length_penalty", 1.0) },
            _ => CaptionSearch::Greedy,
        };
        let stopping = match &stated["early_stopping"] {
            Value::Null | Value::Bool(false) => Stopping::Likely,
            Value::Bool(true) => Stopping::Early,
            Value::String(text) if text == "never" => Stopping::Surely,
            other => return Err(wrong(format!("`early_stopping` is {other}"))),
        };
        Ok(Self {
            max: length("max_new_tokens", "max_length", 20)?,
            min: length("min_new_tokens", "min_length", 0)?,
            search,
            stopping,
            repetition_penalty: number("repetition_penalty", 1.0),
            no_repeat: count(stated, "no_repeat_ngram_size", 0)?,
            first: token("forced_bos_token_id", &stated["forced_bos_token_id"])?,
            last: token("forced_eos_token_id", &stated["forced_eos_token_id"])?,
            suppress: tokens("suppress_tokens", &stated["suppress_tokens"])?,
            suppress_at_start: tokens("begin_suppress_tokens", &stated["begin_suppress_tokens"])?,
            ..Self::plain(start, end, pad)
        })
    }

    /// The search that was asked for behind a prompt; `room` is how many new tokens the decoder can say.
    pub(crate) fn plan(&self, options: &CaptionOptions, prompt: &[u32], room: usize) -> Result<Plan> {
        let captions = options.captions.max(1);
        let search = options.search.unwrap_or(match self.search {
            CaptionSearch::Greedy if captions > 1 => {
                CaptionSearch::Beam { beams: captions, length_penalty: 1.0 }
            }
            CaptionSearch::Beam { beams, length_penalty } => {
                CaptionSearch::Beam { beams: beams.max(captions), length_penalty }
            }
            search => search,
        });
        let strategy = match search {
            CaptionSearch::Greedy | CaptionSearch::Beam { beams: 0 | 1, .. } if captions > 1 => {
                return Err(Error::Argument {
                    message: format!("{captions} captions cannot be found greedily: there is one"),
                    hint: Some("use beams, or draw them".into()),
                });
            }
            CaptionSearch::Beam { beams, .. } if beams < captions => {
                return Err(Error::argument(format!("{captions} captions cannot be had from {beams} beams")));
            }
            CaptionSearch::Greedy | CaptionSearch::Beam { beams: 0 | 1, .. } => Strategy::Greedy,
            CaptionSearch::Beam { beams, length_penalty } => {
                Strategy::Beam { beams, length_penalty, stopping: self.stopping }
            }
            CaptionSearch::Sample { temperature, .. } if temperature.is_nan() || temperature <= 0.0 => {
                return Err(Error::argument(format!("the temperature is {temperature}, not above 0")));
            }
            CaptionSearch::Sample { temperature, top_k, top_p, seed } => {
                Strategy::Sample { temperature, top_k, top_p, candidates: captions, seed }
            }
        };
        let max_new = options.max_tokens.unwrap_or_else(|| self.max.new_tokens(prompt.len())).min(room);
        if max_new == 0 {
            return Err(Error::argument(format!(
                "a prompt of {} tokens leaves no room for a text",
                prompt.len()
            )));
        }
        Ok(Plan { strategy, rules: self.rules(options, prompt, max_new), end: self.end, max_new })
    }

    /// In the order in which transformers applies them.
    fn rules(&self, options: &CaptionOptions, prompt: &[u32], max_new: usize) -> Vec<Box<dyn Rule>> {
        let mut rules: Vec<Box<dyn Rule>> = vec![];
        let penalty = options.repetition_penalty.unwrap_or(self.repetition_penalty);
        if penalty != 1.0 {
            rules.push(Box::new(RepetitionPenalty { penalty, prompt: prompt.to_vec() }));
        }
        if self.no_repeat > 0 {
            rules.push(Box::new(NoRepeat { run: self.no_repeat, prompt: prompt.to_vec() }));
        }
        let tokens = options.min_tokens.unwrap_or_else(|| self.min.new_tokens(prompt.len()));
        if tokens > 0 {
            rules.push(Box::new(MinLength { end: self.end, tokens }));
        }
        // Only a text of a single token is at its start for transformers.
        if let Some(first) = self.first.filter(|_| prompt.len() == 1) {
            rules.push(Box::new(ForceAtStart(first)));
        }
        if let Some(token) = self.last {
            rules.push(Box::new(ForceAtEnd { token, max_new }));
        }
        if !self.suppress.is_empty() {
            rules.push(Box::new(Suppress(self.suppress.clone())));
        }
        if !self.suppress_at_start.is_empty() {
            rules.push(Box::new(SuppressAtStart(self.suppress_at_start.clone())));
        }
        rules
    }
}

/// What an older `config.json` says of generation: that of the whole model and, where it is silent, that of its decoder
/// (transformers' `GenerationConfig.from_model_config`).
fn of_model(config: &Value) -> Value {
    let mut stated = config.clone();
    let decoder = ["decoder", "text_config"].iter().find_map(|name| config[name].as_object());
    for (key, value) in decoder.into_iter().flatten() {
        if stated[key].is_null() {
            stated[key] = value.clone();
        }
    }
    stated
}

fn token(name: &str, value: &Value) -> Result<Option<u32>, WeightsError> {
    match value {
        Value::Null => Ok(None),
        Value::Array(list) if list.len() == 1 => token(name, &list[0]),
        value => match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(id) => Ok(Some(id)),
            None => Err(wrong(format!("`{name}` is {value}, not a token"))),
        },
    }
}

fn tokens(name: &str, value: &Value) -> Result<Vec<u32>, WeightsError> {
    match value {
        Value::Null => Ok(vec![]),
        Value::Array(list) => {
            list.iter().filter_map(|id| token(name, id).transpose()).collect::<Result<_, _>>()
        }
        other => Err(wrong(format!("`{name}` is {other}, not a list of tokens"))),
    }
}
