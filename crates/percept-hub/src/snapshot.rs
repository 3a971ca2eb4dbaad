//! Which files of a repository or a folder are the model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};
use serde::Deserialize;

use crate::reference::is_plain;

/// What stands beside the weights: configuration, preparation, vocabulary.
const COMPANIONS: [&str; 19] = [
    "config.json",
    "open_clip_config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "normalizer.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "vocabulary.json",
    "vocabulary.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "alignment_heads.json",
];

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const CTRANSLATE2: &str = "model.bin";
/// As open_clip writes it today.
const OPEN_CLIP: &str = "open_clip_model.safetensors";
/// As it did before.
const OLD_OPEN_CLIP: &str = "open_clip_pytorch_model.safetensors";

/// The files of a model, as far as their names tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Everything but the weights.
    pub(crate) companions: Vec<String>,
    /// How the weights are stored.
    pub(crate) weights: Weights,
}

/// How the weights are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// One file: safetensors, or a CTranslate2 `model.bin`.
    Single(String),
    /// Several safetensors, named in `model.safetensors.index.json`.
    Sharded,
}

/// Chooses among file names. `model` is for the errors.
pub(crate) fn select(model: &str, names: &[String]) -> Result<Selection> {
    let has = |name: &str| names.iter().any(|present| present == name);
    let weights = if has(WEIGHTS) {
        Weights::Single(WEIGHTS.into())
    } else if has(INDEX) {
        Weights::Sharded
    } else if has(CTRANSLATE2) {
        Weights::Single(CTRANSLATE2.into())
    } else if let Some(name) = [OPEN_CLIP, OLD_OPEN_CLIP].into_iter().find(|name| has(name)) {
        Weights::Single(name.into())
    } else if let Some(name) = only_geotransformer(model, names)? {
        Weights::Single(name)
    } else {
        Weights::Single(only_safetensors(model, names)?)
    };
    let pickled = matches!(&weights, Weights::Single(name) if is_geotransformer(name));
    if !has("config.json") && !has("open_clip_config.json") && !pickled {
        return Err(missing(model, "config.json", names));
    }
    let companions = COMPANIONS.iter().filter(|name| has(name)).map(|&name| name.to_owned()).collect();
    Ok(Selection { companions, weights })
}

/// A checkpoint of GeoTransformer as its authors publish it, such as `geotransformer-3dmatch.pth.tar`: a pickle, and what it is
/// stands in its name only.
pub(crate) fn is_geotransformer(name: &str) -> bool {
    is_plain(name)
        && name.starts_with("geotransformer")
        && (name.ends_with(".pth.tar") || name.ends_with(".pth"))
}

/// The one such file, if there is one.
fn only_geotransformer(model: &str, names: &[String]) -> Result<Option<String>> {
    let mut candidates = names.iter().filter(|name| is_geotransformer(name));
    match (candidates.next(), candidates.next()) {
        (Some(first), Some(second)) => Err(Error::Argument {
            message: format!("`{model}` has several checkpoints: `{first}`, `{second}`"),
            hint: Some("put the one to use into a folder of its own".into()),
        }),
        (first, _) => Ok(first.cloned()),
    }
}

/// The one safetensors file of another name, or an error that says what to do.
fn only_safetensors(model: &str, names: &[String]) -> Result<String> {
    let candidates: Vec<&String> =
        names.iter().filter(|name| is_plain(name) && name.ends_with(".safetensors")).collect();
    if let [only] = candidates.as_slice() {
        return Ok((*only).clone());
    }
    if !candidates.is_empty() {
        let listed = candidates.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(Error::Argument {
            message: format!("`{model}` has no `{WEIGHTS}`, and several others: {listed}"),
            hint: Some(format!("put the one to use into a folder as `{WEIGHTS}`, beside `config.json`")),
        });
    }
    let pickled = |name: &&String| {
        let stem = ["pytorch_model", "consolidated", "open_clip_pytorch_model"]
            .iter()
            .any(|stem| name.starts_with(stem));
        stem && name.ends_with(".bin")
            || name.ends_with(".pt")
            || name.ends_with(".pth")
            || name.ends_with(".ckpt")
    };
    if let Some(name) = names.iter().find(|name| pickled(name) && name.starts_with("open_clip")) {
        return Err(Error::Argument {
            message: format!("`{model}` has its weights as `{name}` only, and safetensors are needed"),
            hint: Some(format!(
                "convert them in Python: `safetensors.torch.save_file(torch.load(\"{name}\", weights_only=True), \"{OPEN_CLIP}\")`, then `--model DIR` with `open_clip_config.json` beside them"
            )),
        });
    }
    if let Some(name) = names.iter().find(pickled) {
        return Err(Error::Argument {
            message: format!("`{model}` has its weights as `{name}` only, and safetensors are needed"),
            hint: Some(
                "convert them in Python: `AutoModel.from_pretrained(...).save_pretrained(DIR, safe_serialization=True)`, then `--model DIR`"
                    .into(),
            ),
        });
    }
    Err(missing(model, WEIGHTS, names))
}

fn missing(model: &str, file: &str, names: &[String]) -> Error {
    let present = names.iter().filter(|name| !name.contains('/')).take(20).cloned().collect();
    Error::MissingFile { model: model.to_owned(), file: file.to_owned(), present }
}

/// The names of the shards that an index names. They have to lie beside it.
pub(crate) fn shards(model: &str, index: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let wrong =
        |what: String| Error::Weights { model: model.to_owned(), cause: format!("`{INDEX}`: {what}").into() };
    let text = std::fs::read(index).map_err(|error| Error::input(index, error))?;
    let index: Index = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(name) = names.iter().find(|name| !is_plain(name) || !name.ends_with(".safetensors")) {
        return Err(wrong(format!("it names a file `{name}`")));
    }
    if names.is_empty() { Err(wrong("it names no file".into())) } else { Ok(names.into_iter().collect()) }
}

impl Weights {
    /// The file that has to be read before the others are known.
    pub(crate) fn index(&self) -> Option<&'static str> {
        (*self == Self::Sharded).then_some(INDEX)
    }
}

/// The files of a model in a folder, all of them there, by name.
pub(crate) fn files_in(model: &str, folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::input(folder, error))?;
    let mut names: Vec<String> = entries
        .flatten()
        // Follows links: a file whose bytes are gone is not there.
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let selection = select(model, &names)?;
    let mut files = selection.companions;
    match selection.weights {
        Weights::Single(name) => files.push(name),
        Weights::Sharded => {
            files.extend(shards(model, &folder.join(INDEX))?);
            files.push(INDEX.into());
        }
    }
    if let Some(absent) = files.iter().find(|file| !names.contains(file)) {
        return Err(missing(model, absent, &names));
    }
    Ok(files.into_iter().map(|file| (file.clone(), folder.join(file))).collect())
}

/// Whether a file of a model holds weights.
pub(crate) fn is_weights(name: &str) -> bool {
    name == CTRANSLATE2 || name.ends_with(".safetensors") || is_geotransformer(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_pickle_is_taken_where_its_name_says_what_it_is() {
        let published = names(&["geotransformer-kitti.pth.tar", "README.md", "fixture.safetensors"]);
        let selection = select("m", &published).unwrap();
        assert_eq!(selection.weights, Weights::Single("geotransformer-kitti.pth.tar".into()));
        assert!(selection.companions.is_empty());
        let two = select("m", &names(&["geotransformer-kitti.pth.tar", "geotransformer-3dmatch.pth.tar"]));
        assert!(two.unwrap_err().chain().contains("several"));
        let converted = names(&["geotransformer-kitti.pth.tar", "model.safetensors", "config.json"]);
        assert_eq!(select("m", &converted).unwrap().weights, Weights::Single(WEIGHTS.into()));
        assert!(select("m", &names(&["other.pth.tar"])).is_err());
    }

    #[test]
    fn of_all_the_variants_of_a_repository_one_is_taken() {
        // As published at openai/whisper-large-v3, with the doubles in f32, PyTorch and Flax.
        let repository = names(&[
            ".gitattributes",
            "README.md",
            "added_tokens.json",
            "config.json",
            "flax_model.msgpack",
            "generation_config.json",
            "merges.txt",
            "model.fp32-00001-of-00002.safetensors",
            "model.fp32-00002-of-00002.safetensors",
            "model.safetensors",
            "model.safetensors.index.fp32.json",
            "normalizer.json",
            "preprocessor_config.json",
            "pytorch_model.bin",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
            "onnx/model.onnx",
        ]);
        let selection = select("m", &repository).unwrap();
        assert_eq!(selection.weights, Weights::Single("model.safetensors".into()));
        assert!(selection.companions.contains(&"vocab.json".to_owned()));
        assert!(!selection.companions.iter().any(|name| name.contains("fp32") || name.ends_with(".bin")));
    }

    #[test]
    fn a_ctranslate2_folder_and_shards_are_known() {
        let converted = names(&["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"]);
        assert_eq!(select("m", &converted).unwrap().weights, Weights::Single("model.bin".into()));
        let sharded =
            names(&["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"]);
        assert_eq!(select("m", &sharded).unwrap().weights, Weights::Sharded);
    }

    #[test]
    fn what_cannot_be_used_is_said_with_what_to_do() {
        let pickled = select("m", &names(&["config.json", "pytorch_model.bin"])).unwrap_err();
        assert!(pickled.to_string().contains("safetensors are needed"), "{pickled}");
        let several = select("m", &names(&["config.json", "a.safetensors", "b.safetensors"])).unwrap_err();
        assert!(several.to_string().contains("`a.safetensors`, `b.safetensors`"), "{several}");
        assert!(select("m", &names(&["model.safetensors"])).unwrap_err().to_string().contains("config.json"));
        assert!(select("m", &names(&["config.json"])).unwrap_err().to_string().contains("model.safetensors"));
    }

    #[test]
    fn an_index_cannot_name_a_file_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join(INDEX);
        std::fs::write(&index, r#"{"weight_map": {"a": "../../secret.safetensors"}}"#).unwrap();
        assert!(shards("m", &index).is_err());
        std::fs::write(
            &index,
            r#"{"weight_map": {"a": "y.safetensors", "b": "x.safetensors", "c": "y.safetensors"}}"#,
        )
        .unwrap();
        assert_eq!(shards("m", &index).unwrap(), ["x.safetensors", "y.safetensors"]);
    }
}
