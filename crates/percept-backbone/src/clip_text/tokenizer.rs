//! From a text to CLIP's tokens.

use std::path::Path;

use percept_core::{Error, LocalModel, Result};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// OpenAI's words, in the order of the alternatives: special tokens, English endings, letters, one digit, the rest.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Byte pairs of lower-case words, between a start and an end.
#[derive(Clone)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
}

impl std::fmt::Debug for ClipTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClipTokenizer").finish_non_exhaustive()
    }
}

impl ClipTokenizer {
    /// Reads `tokenizer.json` or, where there is none, `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// If a file is missing or damaged.
    pub fn open(local: &LocalModel) -> Result<Self> {
        let mut tokenizer = match (local.find("tokenizer.json"), local.find("vocab.json")) {
            (Some(path), _) => Tokenizer::from_file(path).map_err(|error| Error::input(path, error))?,
            (None, Some(vocabulary)) => from_parts(vocabulary, local.file("merges.txt")?)?,
            (None, None) => return Err(missing(local)),
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

    /// The tokens of a text, its start and its end among them.
    ///
    /// # Errors
    /// If the tokenizer cannot read the text.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, true);
        let encoding =
            encoding.map_err(|error| Error::argument(format!("cannot read the text {text:?}: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }
}

fn missing(local: &LocalModel) -> Error {
    // Its error names the files that are there.
    local.file("tokenizer.json").expect_err("it was looked for and not found")
}

/// What transformers' `CLIPTokenizer` builds.
fn from_parts(vocabulary: &Path, merges: &Path) -> Result<Tokenizer> {
    let damaged = |error: tokenizers::Error| Error::input(vocabulary, error);
    let name = |path: &Path| path.to_string_lossy().into_owned();
    let model = BPE::from_file(&name(vocabulary), &name(merges))
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix("</w>".into())
        .unk_token(END.into())
        .build()
        .map_err(damaged)?;
    let mut tokenizer = Tokenizer::new(model);
    let spaces = Replace::new(tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".into()), " ");
    tokenizer.with_normalizer(Some(Normalizers::new(vec![
        NFC.into(),
        spaces.map_err(damaged)?.into(),
        Lowercase.into(),
    ])));
    let words = Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Removed, true);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        words.map_err(damaged)?.into(),
        ByteLevel::new(false, true, true).into(),
    ])));
    let special = |text: &str| AddedToken::from(text, true).normalized(false);
    tokenizer.add_special_tokens(&[special(START), special(END)]);
    let id = |text: &str| {
        let id = tokenizer.token_to_id(text);
        id.ok_or_else(|| Error::input(vocabulary, format!("it has no token `{text}`")))
    };
    let around = RobertaProcessing::new((END.into(), id(END)?), (START.into(), id(START)?));
    tokenizer.with_post_processor(Some(around.trim_offsets(false).add_prefix_space(false)));
    Ok(tokenizer)
}
