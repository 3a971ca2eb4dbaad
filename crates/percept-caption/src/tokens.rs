//! From texts to tokens and back, whatever files a snapshot has them in.

use percept_backbone::bert::BertTokenizer;
use percept_backbone::clip_text::ClipTokenizer;
use percept_core::{Error, LocalModel, Result};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer};

/// Whose vocabulary it is, for snapshots without a `tokenizer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `vocab.txt`.
    Bert,
    /// `vocab.json` and `merges.txt`, of words in lower case.
    Clip,
    /// `vocab.json` and `merges.txt`, of bytes.
    Gpt2,
    /// The same, between `<s>` and `</s>`.
    Bart,
}

/// A tokenizer.
#[derive(Clone)]
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    family: Family,
}

impl TextTokenizer {
    /// Reads `tokenizer.json` or, where there is none, the files of its family.
    pub(crate) fn open(local: &LocalModel, family: Family) -> Result<Self> {
        let bytes = matches!(family, Family::Gpt2 | Family::Bart);
        let mut tokenizer = match local.find("tokenizer.json") {
            Some(path) => Tokenizer::from_file(path).map_err(|error| Error::input(path, error))?,
            None if bytes => byte_pairs(local, family)?,
            None if family == Family::Clip => match local.find("vocab.json") {
                Some(_) => ClipTokenizer::open(local)?.into_inner(),
                // open_clip's checkpoints do without: the vocabulary is a part of the program.
                None => ClipTokenizer::openai()?.into_inner(),
            },
            None => BertTokenizer::open(local)?.into_inner(),
        };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| Error::argument(error.to_string()))?;
        if family == Family::Clip {
            tokenizer.with_decoder(Some(ByteLevel::default()));
        }
        Ok(Self { tokenizer, family })
    }

    /// The tokens of a text, with those that stand around it.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>> {
        self.encode(text, true)
    }

    /// The tokens of a text, without those that stand around it.
    pub(crate) fn bare_ids(&self, text: &str) -> Result<Vec<u32>> {
        self.encode(text, false)
    }

    fn encode(&self, text: &str, around: bool) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, around);
        let encoding =
            encoding.map_err(|error| Error::argument(format!("cannot read the text {text:?}: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of some tokens, without those that are no part of it.
    pub(crate) fn text(&self, ids: &[u32]) -> Result<String> {
        self.decode(ids, true)
    }

    /// The text of some tokens, all of them.
    pub(crate) fn whole_text(&self, ids: &[u32]) -> Result<String> {
        self.decode(ids, false)
    }

    fn decode(&self, ids: &[u32], skip: bool) -> Result<String> {
        let text = self.tokenizer.decode(ids, skip);
        let text =
            text.map_err(|error| Error::argument(format!("cannot write the tokens {ids:?}: {error}")))?;
        Ok(match self.family {
            Family::Clip => text.replace("</w>", " "),
            Family::Bert | Family::Gpt2 | Family::Bart => text,
        })
    }

    /// A token as the vocabulary writes it; empty where it knows none of that number.
    pub(crate) fn piece(&self, id: u32) -> String {
        self.tokenizer.id_to_token(id).unwrap_or_default()
    }

    /// The number of a token.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }
}

/// What transformers' `GPT2Tokenizer` and `BartTokenizer` build.
fn byte_pairs(local: &LocalModel, family: Family) -> Result<Tokenizer> {
    let Some(vocabulary) = local.find("vocab.json") else {
        // Its error names the files that are there.
        return Err(local.file("tokenizer.json").expect_err("it was looked for and not found"));
    };
    let merges = local.file("merges.txt")?;
    let damaged = |error: tokenizers::Error| Error::input(vocabulary, error);
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy()).build();
    let mut tokenizer = Tokenizer::new(model.map_err(damaged)?);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let special: &[&str] = match family {
        Family::Bart => &["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        _ => &["<|endoftext|>"],
    };
    let known = special.iter().filter(|token| tokenizer.token_to_id(token).is_some());
    let known: Vec<_> = known.map(|token| AddedToken::from(*token, true).normalized(false)).collect();
    tokenizer.add_special_tokens(&known);
    if family == Family::Bart {
        let token = |text: &str| match tokenizer.token_to_id(text) {
            Some(id) => Ok((text.to_owned(), id)),
            None => Err(Error::input(vocabulary, format!("it has no token `{text}`"))),
        };
        let around = RobertaProcessing::new(token("</s>")?, token("<s>")?);
        tokenizer.with_post_processor(Some(around.trim_offsets(true).add_prefix_space(false)));
    }
    Ok(tokenizer)
}
