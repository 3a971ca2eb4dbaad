//! From a text to CLIP's tokens.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use percept_core::{Error, LocalModel, Result};
use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};
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

/// The pairs of OpenAI's vocabulary in their order, as open_clip carries them (tests/reference/coca.py writes the file).
const MERGES: &[u8] = include_bytes!("merges.txt.gz");

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

    /// OpenAI's own vocabulary, which checkpoints of open_clip do without.
    ///
    /// # Errors
    /// Never, as long as what is compiled in is whole.
    pub fn openai() -> Result<Self> {
        let damaged = |error: tokenizers::Error| Error::argument(format!("OpenAI's vocabulary: {error}"));
        let mut text = String::new();
        GzDecoder::new(MERGES).read_to_string(&mut text).map_err(|error| damaged(error.into()))?;
        let merges = text.lines().filter_map(|line| line.split_once(' '));
        let merges = merges.map(|(left, right)| (left.to_owned(), right.to_owned())).collect::<Vec<_>>();
        // Bytes, bytes at the end of a word, what is merged of them, and the special tokens
        // (`open_clip/tokenizer.py`, `SimpleTokenizer`).
        let bytes = byte_letters();
        let ends = bytes.iter().map(|letter| format!("{letter}</w>"));
        let words = bytes.iter().map(char::to_string).chain(ends);
        let words = words.chain(merges.iter().map(|(left, right)| format!("{left}{right}")));
        let words = words.chain([START.to_owned(), END.to_owned()]);
        let vocabulary = words.enumerate().map(|(id, word)| (word, id as u32)).collect::<Vocab>();
        let model = with_endings(BPE::builder().vocab_and_merges(vocabulary, merges)).map_err(damaged)?;
        let tokenizer = around_words(model).map_err(damaged)?;
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
    let model = with_endings(BPE::from_file(&name(vocabulary), &name(merges))).map_err(damaged)?;
    around_words(model).map_err(damaged)
}

fn with_endings(builder: BpeBuilder) -> tokenizers::Result<BPE> {
    builder
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix("</w>".into())
        .unk_token(END.into())
        .build()
}

/// What stands around the pairs of bytes.
fn around_words(model: BPE) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(model);
    let spaces = Replace::new(tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".into()), " ");
    tokenizer.with_normalizer(Some(Normalizers::new(vec![NFC.into(), spaces?.into(), Lowercase.into()])));
    let words = Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Removed, true);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        words?.into(),
        ByteLevel::new(false, true, true).into(),
    ])));
    let special = |text: &str| AddedToken::from(text, true).normalized(false);
    tokenizer.add_special_tokens(&[special(START), special(END)]);
    let id = |text: &str| tokenizer.token_to_id(text).ok_or(format!("it has no token `{text}`"));
    let around = RobertaProcessing::new((END.into(), id(END)?), (START.into(), id(START)?));
    tokenizer.with_post_processor(Some(around.trim_offsets(false).add_prefix_space(false)));
    Ok(tokenizer)
}

/// The letters that stand for bytes, in the order of OpenAI's vocabulary: those that can be printed, then the others as
/// letters beyond them.
fn byte_letters() -> Vec<char> {
    let printed = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let plain = (0..=255_u8).filter(printed).map(char::from);
    let others = (0..256_u32).filter_map(|beyond| char::from_u32(256 + beyond));
    plain.chain(others.take(256 - (0..=255_u8).filter(printed).count())).collect()
}
