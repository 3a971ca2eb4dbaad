//! Whisper's spellings of options, turned into ours before they are read: `--max_line_width 42`,
//! `--word_timestamps True`, `--output_format srt`.

use std::ffi::OsString;

/// Options that whisper gives a `True` or `False` and that are switches here.
const SWITCHES: [&str; 3] = ["--word-timestamps", "--condition-on-previous-text", "--highlight-words"];

/// The arguments with underscores in option names as hyphens, and a truth value that follows a
/// switch joined to it. What stands behind `--` is left alone.
pub(crate) fn as_ours(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut ours: Vec<OsString> = Vec::new();
    let mut arguments = arguments.into_iter();
    for argument in arguments.by_ref() {
        let end = argument == "--";
        let joined = ours
            .last()
            .and_then(|last| last.to_str())
            .filter(|last| SWITCHES.contains(last))
            .and_then(|switch| Some(format!("{switch}={}", truth(argument.to_str()?)?)));
        match joined {
            Some(joined) => {
                ours.pop();
                ours.push(joined.into());
            }
            None => ours.push(hyphenated(argument)),
        }
        if end {
            break;
        }
    }
    ours.extend(arguments);
    ours
}

fn truth(value: &str) -> Option<bool> {
    match value {
        "True" | "true" => Some(true),
        "False" | "false" => Some(false),
        _ => None,
    }
}

fn hyphenated(argument: OsString) -> OsString {
    let Some(text) = argument.to_str().filter(|text| text.starts_with("--") && text.contains('_')) else {
        return argument;
    };
    match text.split_once('=') {
        Some((name, value)) => format!("{}={}", name.replace('_', "-"), value).into(),
        None => text.replace('_', "-").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(arguments: &[&str]) -> Vec<String> {
        let ours = as_ours(arguments.iter().map(|argument| OsString::from(*argument)));
        ours.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn whisper_spellings_become_ours() {
        assert_eq!(
            ours(&[
                "percept",
                "transcribe",
                "a_b.wav",
                "--word_timestamps",
                "True",
                "--max_line_width",
                "42"
            ]),
            ["percept", "transcribe", "a_b.wav", "--word-timestamps=true", "--max-line-width", "42"]
        );
        assert_eq!(
            ours(&["--condition_on_previous_text", "False", "--initial_prompt=a_b"]),
            ["--condition-on-previous-text=false", "--initial-prompt=a_b"]
        );
    }

    #[test]
    fn a_switch_may_stand_before_a_file_and_files_keep_their_names() {
        assert_eq!(ours(&["--word-timestamps", "talk.wav"]), ["--word-timestamps", "talk.wav"]);
        assert_eq!(ours(&["--", "--a_b", "True"]), ["--", "--a_b", "True"]);
    }
}
