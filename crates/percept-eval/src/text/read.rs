//! The text of a transcript, whatever form it has.

use std::path::Path;

use percept_core::{Error, Result};
use serde_json::Value;

use crate::files;

/// Extensions of transcripts, the first choice first.
pub(crate) const EXTENSIONS: [&str; 4] = ["txt", "json", "srt", "vtt"];

/// What a transcript says: a text, percept's or whisper's JSON, or subtitles, by the extension.
///
/// # Errors
/// [`Error::Input`]: it cannot be read, or the JSON is no transcript.
pub(crate) fn read(path: &Path) -> Result<String> {
    let text = files::text(path)?;
    match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
        "json" => {
            let value: Value = serde_json::from_str(&text).map_err(|error| Error::input(path, error))?;
            of_json(&value).ok_or_else(|| Error::Input {
                path: path.to_owned(),
                cause: "it has neither a text nor segments with texts".into(),
                hint: Some("`percept transcribe -f json` writes what is read here".into()),
            })
        }
        "srt" | "vtt" => {
            let spoken =
                |line: &&str| !(line.contains("-->") || is_number(line) || line.starts_with("WEBVTT"));
            Ok(text.lines().filter(spoken).collect::<Vec<_>>().join(" "))
        }
        _ => Ok(text),
    }
}

fn is_number(line: &str) -> bool {
    let line = line.trim().trim_start_matches('\u{feff}');
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
}

fn of_json(value: &Value) -> Option<String> {
    let result = value.get("result").unwrap_or(value);
    if let Some(text) = result.get("text").and_then(Value::as_str) {
        return Some(text.to_owned());
    }
    let segments = result.get("segments")?.as_array()?.iter();
    let texts: Option<Vec<&str>> = segments.map(|segment| segment.get("text")?.as_str()).collect();
    Some(texts?.join(" "))
}
