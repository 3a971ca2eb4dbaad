//! From a text to BERT's tokens, and back.

use std::ops::Range;
use std::path::Path;

use percept_core::{Error, LocalModel, Result};
use serde_json::Value;
use tokenizers::decoders::wordpiece::WordPiece as Pieces;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer};

/// Pieces of words, between a start and an end.
#[derive(Clone)]
pub struct BertTokenizer {
    tokenizer: Tokenizer,
}

/// The tokens of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BertTokens {
    /// Their numbers, the start and the end of the text among them.
    pub ids: Vec<u32>,
    /// The bytes of the text that each was made of; none of the start and the end.
    pub spans: Vec<Range<usize>>,
}

impl std::fmt::Debug for BertTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BertTokenizer").finish_non_exhaustive()
    }
}

impl BertTokenizer {
    /// Reads `tokenizer.json` or, where there is none, `vocab.txt`, whose texts are in lower case unless
    /// `tokenizer_config.json` says otherwise.
    ///
    /// # Errors
    /// If a file is missing or damaged.
    pub fn open(local: &LocalModel) -> Result<Self> {
        let mut tokenizer = match (local.find("tokenizer.json"), local.find("vocab.txt")) {
            (Some(path), _) => Tokenizer::from_file(path).map_err(|error| Error::input(path, error))?,
            (None, Some(vocabulary)) => from_vocabulary(vocabulary, &settings(local)?)?,
            // Its error names the files that are there.
            (None, None) => {
                return Err(local.file("tokenizer.json").expect_err("it was looked for and not found"));
            }
        };
        // A file may say that texts are filled up or cut off; neither is wanted here.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).expect("nothing is cut off, so nothing can be wrong about it");
        Ok(Self { tokenizer })
    }

    /// The tokenizer itself, for those who want pieces back.
    pub fn into_inner(self) -> Tokenizer {
        self.tokenizer
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// If the tokenizer cannot read the text.
    pub fn tokens(&self, text: &str) -> Result<BertTokens> {
        let encoding = self.tokenizer.encode(text, true);
        let encoding =
            encoding.map_err(|error| Error::argument(format!("cannot read the text {text:?}: {error}")))?;
        let spans = encoding.get_offsets().iter().map(|(start, end)| *start..*end).collect();
        Ok(BertTokens { ids: encoding.get_ids().to_vec(), spans })
    }

    /// The text of some tokens, those that mark its start and end included.
    ///
    /// # Errors
    /// If the tokenizer does not know a token.
    pub fn text(&self, ids: &[u32]) -> Result<String> {
        let text = self.tokenizer.decode(ids, false);
        text.map_err(|error| Error::argument(format!("cannot write the tokens {ids:?}: {error}")))
    }
}

/// `tokenizer_config.json`, where there is one.
fn settings(local: &LocalModel) -> Result<Value> {
    let Some(path) = local.find("tokenizer_config.json") else { return Ok(Value::Null) };
    let bytes = std::fs::read(path).map_err(|error| Error::input(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::input(path, error))
}

/// What transformers' `BertTokenizer` builds.
fn from_vocabulary(path: &Path, settings: &Value) -> Result<Tokenizer> {
    let damaged = |error: tokenizers::Error| Error::input(path, error);
    let model = WordPiece::from_file(&path.to_string_lossy()).unk_token("[UNK]".into()).build();
    let mut tokenizer = Tokenizer::new(model.map_err(damaged)?);
    let switch = |name: &str| settings[name].as_bool();
    tokenizer.with_normalizer(Some(BertNormalizer::new(
        true,
        switch("tokenize_chinese_chars").unwrap_or(true),
        switch("strip_accents"),
        switch("do_lower_case").unwrap_or(true),
    )));
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_decoder(Some(Pieces::new("##".into(), true)));
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    tokenizer.add_special_tokens(&special.map(|text| AddedToken::from(text, true).normalized(false)));
    let token = |text: &str| match tokenizer.token_to_id(text) {
        Some(id) => Ok((text.to_owned(), id)),
        None => Err(Error::input(path, format!("it has no token `{text}`"))),
    };
    let around = BertProcessing::new(token("[SEP]")?, token("[CLS]")?);
    tokenizer.with_post_processor(Some(around));
    Ok(tokenizer)
}
