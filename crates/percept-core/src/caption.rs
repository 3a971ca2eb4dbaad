//! Image to text: what goes in and what comes out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::detect::Detection;
pub use crate::image::{Image, Orientation};

/// One picture and what is asked of it.
#[derive(Clone, Debug)]
pub struct CaptionInput {
    /// The picture.
    pub image: Arc<Image>,
    /// What is asked.
    pub options: Arc<CaptionOptions>,
}

/// What to say, and how to find the words.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionOptions {
    /// What is asked.
    pub request: CaptionRequest,
    /// How words are chosen; the checkpoint's own way when absent.
    pub search: Option<CaptionSearch>,
    /// Captions a picture, best first: beams that are kept, or sequences that are drawn.
    pub captions: usize,
    /// A caption is cut after so many new tokens; the checkpoint's own limit when absent.
    pub max_tokens: Option<usize>,
    /// A caption does not end before so many new tokens; the checkpoint's own limit when absent.
    pub min_tokens: Option<usize>,
    /// Scores of tokens that are in the text already are divided by this (multiplied where negative); 1 changes
    /// nothing, the checkpoint's own when absent (Keskar et al. 2019, arXiv 1909.05858).
    pub repetition_penalty: Option<f32>,
}

impl Default for CaptionOptions {
    fn default() -> Self {
        Self {
            request: CaptionRequest::default(),
            search: None,
            captions: 1,
            max_tokens: None,
            min_tokens: None,
            repetition_penalty: None,
        }
    }
}

/// What is asked of a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum CaptionRequest {
    /// A caption, which begins with the prompt where there is one.
    Caption(Option<String>),
    /// What a model with named tasks does (Florence-2).
    Task(CaptionTask),
    /// Which of these texts the picture fits (CoCa's contrastive pair).
    Rank(Vec<String>),
}

impl Default for CaptionRequest {
    fn default() -> Self {
        Self::Caption(None)
    }
}

/// The tasks of Florence-2 (Xiao et al. 2023, arXiv 2311.06242) that percept types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptionTask {
    /// A sentence.
    Caption,
    /// More than that.
    DetailedCaption,
    /// A paragraph.
    MoreDetailedCaption,
    /// Objects with boxes.
    Od,
    /// The text that is to be read in the picture.
    Ocr,
}

/// How words are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CaptionSearch {
    /// The most probable token at every step.
    Greedy,
    /// Beam search.
    Beam {
        /// Sequences that are kept.
        beams: usize,
        /// Exponent of the length that sums of log-probabilities are divided by.
        length_penalty: f32,
    },
    /// Tokens drawn at random.
    Sample {
        /// Divides the scores; above 0.
        temperature: f32,
        /// Only the best so many tokens; all when absent.
        top_k: Option<usize>,
        /// Only the fewest tokens whose probabilities sum to this; all when absent.
        top_p: Option<f32>,
        /// Of the random numbers.
        seed: u64,
    },
}

/// What was said of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Captions {
    /// Columns of the displayed picture.
    pub width: u32,
    /// Rows of the displayed picture.
    pub height: u32,
    /// Best first. Empty where texts were ranked.
    pub captions: Vec<Caption>,
    /// What the text says is where, for tasks that name places.
    pub regions: Vec<Detection>,
    /// The texts that were to be ranked, in their order.
    pub ranks: Vec<Rank>,
}

/// A text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caption {
    /// On one line, without special tokens.
    pub text: String,
    /// What the search ranks by: the sum of the log-probabilities over the length to the length penalty; without beams
    /// their mean.
    pub score: f32,
    /// The new tokens, the one that ends it included.
    pub tokens: Vec<CaptionToken>,
}

/// A token of a caption.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptionToken {
    /// Its number in the vocabulary.
    pub id: u32,
    /// As the vocabulary writes it.
    pub text: String,
    /// The natural logarithm of its probability.
    pub log_probability: f32,
}

/// How well a text fits, among others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rank {
    /// The text.
    pub text: String,
    /// 0 to 1; those of all texts sum to 1.
    pub probability: f32,
}
