//! The pieces of text that tokens stand for, read from `tokenizer.json` without the rest of it.
//!
//! Turning tokens into text needs no merges and no splitting rules, and building those takes longer than
//! loading the network of a small model. So they are left until there is text to turn into tokens.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use tokenizers::Decoder;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// Ids from here on are not of a vocabulary.
const MAX_ID: u32 = 1 << 22;

/// The pieces of a byte-level vocabulary.
pub(super) struct Pieces {
    by_id: Vec<Option<Box<str>>>,
    /// Those that have a meaning of their own, such as `<|endoftext|>`.
    special: HashMap<Box<str>, u32>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    decoder: Kind,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: Box<str>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    name: String,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    name: String,
    vocab: Vocab,
}

/// Pieces and ids as they stand in the file.
struct Vocab(Vec<(Box<str>, u32)>);

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocab;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of pieces to ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
                let mut entries = Vec::with_capacity(1 << 16);
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Vocab(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Pieces {
    /// Reads the pieces of a byte-level vocabulary; nothing where the file holds another kind or is damaged,
    /// which the `tokenizers` crate then says better.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let file: File = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        if file.decoder.name != "ByteLevel" || file.model.name != "BPE" {
            return None;
        }
        let mut pieces = Self { by_id: Vec::new(), special: HashMap::new() };
        for (content, id) in file.model.vocab.0 {
            pieces.insert(content, id, false)?;
        }
        for Added { id, content } in file.added_tokens {
            pieces.insert(content, id, true)?;
        }
        Some(pieces)
    }

    fn insert(&mut self, content: Box<str>, id: u32, added: bool) -> Option<()> {
        if id >= MAX_ID {
            return None;
        }
        if added || content.starts_with("<|") {
            self.special.insert(content.clone(), id);
        }
        let index = id as usize;
        if index >= self.by_id.len() {
            self.by_id.resize(index + 1, None);
        }
        self.by_id[index] = Some(content);
        Some(())
    }

    /// The id of a special token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.special.get(token).copied()
    }

    /// The text of tokens; ids that are none are left out.
    pub(super) fn text(&self, tokens: &[u32]) -> String {
        let pieces = tokens.iter().filter_map(|id| self.by_id.get(*id as usize)?.as_deref());
        let pieces = pieces.map(str::to_owned).collect();
        // Decoding bytes does not fail.
        ByteLevel::default().decode(pieces).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Bytes as GPT-2 writes them: `Ġ` is a space, and `Ã©` the two bytes of `é`.
    const FILE: &str = r#"{"version": "1.0",
        "added_tokens": [{"id": 4, "content": "<|endoftext|>", "special": true}],
        "decoder": {"type": "ByteLevel", "add_prefix_space": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "\u0120caf": 1, "Ã©": 2, "\"": 3}, "merges": ["a b"]}}"#;

    fn read(text: &str) -> Option<Pieces> {
        // Tests of one process run side by side.
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("percept-pieces-{}-{number}", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let pieces = Pieces::read(&file);
        std::fs::remove_file(&file).unwrap();
        pieces
    }

    #[test]
    fn pieces_are_bytes_and_special_tokens_have_ids() {
        let pieces = read(FILE).unwrap();
        assert_eq!(pieces.text(&[0, 1, 2, 3, 99]), "a café\"");
        assert_eq!((pieces.id("<|endoftext|>"), pieces.id("a")), (Some(4), None));
    }

    #[test]
    fn other_kinds_are_left_to_the_tokenizer() {
        for (from, to) in
            [("ByteLevel", "WordPiece"), ("BPE", "Unigram"), ("\"id\": 4", "\"id\": 4294967295")]
        {
            assert!(read(&FILE.replace(from, to)).is_none(), "{to}");
        }
    }
}
