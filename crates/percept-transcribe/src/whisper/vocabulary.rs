//! Whisper's tokens: text, and the special ones that steer the decoder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use percept_core::transcribe::Goal;
use percept_core::{Error, LocalModel, Result};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::pieces::Pieces;

/// Seconds between two timestamp tokens.
pub(super) const TIMESTAMP_STEP: f64 = 0.02;

/// The tokenizer and the ids of the special tokens.
pub(super) struct Vocabulary {
    tokens: Tokens,
    pub(super) end: u32,
    pub(super) start: u32,
    pub(super) previous: Option<u32>,
    pub(super) no_speech: Option<u32>,
    pub(super) no_timestamps: u32,
    translate: Option<u32>,
    transcribe: Option<u32>,
    /// (code, id); empty for a model of English alone.
    pub(super) languages: Vec<(String, u32)>,
    size: usize,
}

/// What turns tokens into text and text into tokens.
enum Tokens {
    /// The pieces are read; the whole tokenizer waits until it is needed.
    Pieces {
        pieces: Pieces,
        path: PathBuf,
        whole: OnceLock<Tokenizer>,
    },
    Whole(Tokenizer),
}

impl Tokens {
    fn load(local: &LocalModel) -> Result<Self> {
        if let Some(path) = local.find("tokenizer.json")
            && let Some(pieces) = Pieces::read(path)
        {
            return Ok(Self::Pieces { pieces, path: path.to_owned(), whole: OnceLock::new() });
        }
        read_tokenizer(local).map(Self::Whole)
    }

    /// The id of a special token.
    fn id(&self, token: &str) -> Option<u32> {
        match self {
            Self::Pieces { pieces, .. } => pieces.id(token),
            Self::Whole(tokenizer) => tokenizer.token_to_id(token),
        }
    }

    fn text(&self, tokens: &[u32]) -> String {
        match self {
            Self::Pieces { pieces, .. } => pieces.text(tokens),
            // Decoding fails only without a decoder in the tokenizer, and then gives nothing to say.
            Self::Whole(tokenizer) => tokenizer.decode(tokens, false).unwrap_or_default(),
        }
    }

    fn whole(&self) -> Result<&Tokenizer> {
        match self {
            Self::Pieces { path, whole, .. } => match whole.get() {
                Some(tokenizer) => Ok(tokenizer),
                None => {
                    let tokenizer = tokenizer_from(path)?;
                    Ok(whole.get_or_init(|| tokenizer))
                }
            },
            Self::Whole(tokenizer) => Ok(tokenizer),
        }
    }
}

impl Vocabulary {
    /// Reads `tokenizer.json`, or `vocab.json` and `merges.txt`. `size` is the number of scores that
    /// the network gives; `multilingual` and `no_timestamps` are what the configuration says.
    pub(super) fn load(
        local: &LocalModel,
        size: usize,
        multilingual: Option<bool>,
        no_timestamps: Option<u32>,
    ) -> Result<Self> {
        let tokens = Tokens::load(local)?;
        let id = |token: &str| tokens.id(token);
        let needed = |token: &str| {
            id(token).ok_or_else(|| Error::Weights {
                model: local.id.clone(),
                cause: format!("its tokenizer has no `{token}`").into(),
            })
        };
        // Published vocabularies without English-only training have 51,864 entries.
        let multilingual = multilingual.unwrap_or(size != 51_864);
        let languages = if multilingual { languages(&tokens, size) } else { Vec::new() };
        Ok(Self {
            end: needed("<|endoftext|>")?,
            start: needed("<|startoftranscript|>")?,
            previous: id("<|startofprev|>"),
            no_speech: id("<|nospeech|>").or_else(|| id("<|nocaptions|>")),
            no_timestamps: match no_timestamps {
                Some(id) => id,
                None => needed("<|notimestamps|>")?,
            },
            translate: id("<|translate|>"),
            transcribe: id("<|transcribe|>"),
            languages,
            size,
            tokens,
        })
    }

    /// The token of 0.00 s.
    pub(super) fn first_timestamp(&self) -> u32 {
        self.no_timestamps + 1
    }

    /// Seconds from the start of the window, of a timestamp token.
    pub(super) fn seconds(&self, token: u32) -> Option<f64> {
        token.checked_sub(self.first_timestamp()).map(|steps| f64::from(steps) * TIMESTAMP_STEP)
    }

    /// Tokens that openai-whisper never lets a decoder say, for checkpoints that do not list theirs.
    pub(super) fn never_said(&self) -> Vec<u32> {
        let startoflm = self.tokens.id("<|startoflm|>");
        let languages = self.languages.iter().map(|(_, id)| *id);
        [Some(self.start), self.previous, self.no_speech, self.translate, self.transcribe, startoflm]
            .into_iter()
            .flatten()
            .chain(languages)
            .filter(|id| (*id as usize) < self.size)
            .collect()
    }

    /// The tokens that begin a transcript: start, and for a model of many languages the language and
    /// the goal.
    pub(super) fn opening(&self, language: Option<&str>, goal: Goal) -> Result<Vec<u32>> {
        let mut tokens = vec![self.start];
        if self.languages.is_empty() {
            if goal == Goal::Translate {
                return Err(Error::Argument {
                    message: "this model knows English only and cannot translate".into(),
                    hint: Some("use a multilingual model, such as `whisper-base`".into()),
                });
            }
            if let Some(language) =
                language.filter(|name| super::languages::code(&name.to_lowercase()) != Some("en"))
            {
                self.language(language)?;
            }
            return Ok(tokens);
        }
        if let Some(language) = language {
            tokens.push(self.language(language)?);
        }
        tokens.extend(match goal {
            Goal::Transcribe => self.transcribe,
            Goal::Translate => self.translate,
        });
        Ok(tokens)
    }

    /// The token of a language code, or of its English name.
    pub(super) fn language(&self, name: &str) -> Result<u32> {
        let lower = name.to_lowercase();
        let code = super::languages::code(&lower).unwrap_or(&lower);
        match self.languages.iter().find(|(known, _)| known == code) {
            Some((_, id)) => Ok(*id),
            None => Err(Error::Argument {
                message: format!("this model does not know the language `{name}`"),
                hint: Some(match self.languages.is_empty() {
                    true => {
                        "it knows English only; leave `--language` out or use a multilingual model".into()
                    }
                    false => {
                        let codes = self.languages.iter().map(|(code, _)| code.as_str());
                        format!("it knows: {}", codes.collect::<Vec<_>>().join(" "))
                    }
                }),
            }),
        }
    }

    /// Text of tokens, timestamps and other special tokens left out.
    pub(super) fn text(&self, tokens: &[u32]) -> String {
        let text = tokens.iter().copied().filter(|token| *token < self.end).collect::<Vec<_>>();
        self.tokens.text(&text)
    }

    /// Tokens of text.
    ///
    /// # Errors
    /// For a damaged tokenizer, which is first needed here.
    pub(super) fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokens.whole()?.encode_fast(text, false);
        Ok(encoding.map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default())
    }
}

fn read_tokenizer(local: &LocalModel) -> Result<Tokenizer> {
    let damaged = |file: &str, error: tokenizers::Error| match local.find(file) {
        Some(path) => Error::input(path, error.to_string()),
        None => Error::argument(error.to_string()),
    };
    if local.find("tokenizer.json").is_none()
        && let (Some(vocabulary), Some(merges)) = (local.find("vocab.json"), local.find("merges.txt"))
    {
        let bpe = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
            .build()
            .map_err(|error| damaged("vocab.json", error))?;
        let mut tokenizer = Tokenizer::new(bpe);
        tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        tokenizer.with_decoder(Some(ByteLevel::default()));
        if let Some(path) = local.find("added_tokens.json") {
            add_special_tokens(&mut tokenizer, path)?;
        }
        return Ok(tokenizer);
    }
    tokenizer_from(local.file("tokenizer.json")?)
}

fn tokenizer_from(path: &Path) -> Result<Tokenizer> {
    Tokenizer::from_file(path).map_err(|error| Error::input(path, error.to_string()))
}

/// `added_tokens.json` maps the special tokens to their ids, which follow those of `vocab.json`.
fn add_special_tokens(tokenizer: &mut Tokenizer, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::input(path, error))?;
    let ids: std::collections::HashMap<String, u32> =
        serde_json::from_str(&text).map_err(|error| Error::input(path, error))?;
    let mut ids = ids.into_iter().collect::<Vec<_>>();
    ids.sort_by_key(|(_, id)| *id);
    let tokens = ids.into_iter().map(|(token, _)| AddedToken::from(token, true)).collect::<Vec<_>>();
    tokenizer.add_special_tokens(&tokens);
    Ok(())
}

/// The language tokens, by their codes, that the network has scores for.
fn languages(tokens: &Tokens, size: usize) -> Vec<(String, u32)> {
    let known = super::languages::LANGUAGES
        .iter()
        .filter_map(|(code, _)| tokens.id(&format!("<|{code}|>")).map(|id| ((*code).to_owned(), id)));
    known.filter(|(_, id)| (*id as usize) < size).collect()
}
