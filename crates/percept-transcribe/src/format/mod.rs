//! Transcripts as text: `txt`, `srt`, `vtt`, `tsv`, `lrc`. (`json` is the envelope of every task and
//! is written where that is made.)

mod cues;

use std::fmt::Write;

use percept_core::transcribe::Transcript;

pub use cues::CueLimits;
use cues::{Cue, cues};

/// A text format of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line a segment.
    Txt,
    /// SubRip.
    Srt,
    /// WebVTT.
    Vtt,
    /// Start and end in milliseconds, and the text, behind tabs, with whisper's heading.
    Tsv,
    /// Lyrics: `[mm:ss.xx]text`.
    Lrc,
}

impl Format {
    /// All of them, with their names, which are their extensions too.
    pub const ALL: [(&'static str, Self); 5] =
        [("txt", Self::Txt), ("srt", Self::Srt), ("vtt", Self::Vtt), ("tsv", Self::Tsv), ("lrc", Self::Lrc)];

    /// The transcript in this format. `limits` shape the cues of `srt`, `vtt` and `lrc`; they take
    /// effect on segments with word times.
    pub fn render(self, transcript: &Transcript, limits: CueLimits) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = match self {
            Self::Txt => transcript.segments.iter().try_for_each(|s| writeln!(text, "{}", one_line(&s.text))),
            Self::Tsv => tsv(transcript, &mut text),
            Self::Srt => srt(&cues(transcript, limits), &mut text),
            Self::Vtt => vtt(&cues(transcript, limits), &mut text),
            Self::Lrc => lrc(&cues(transcript, limits), &mut text),
        };
        text
    }
}

fn srt(cues: &[Cue], text: &mut String) -> std::fmt::Result {
    for (index, cue) in cues.iter().enumerate() {
        let (start, end) = (clock(cue.start, ',', Hours::Always), clock(cue.end, ',', Hours::Always));
        writeln!(text, "{}\n{start} --> {end}\n{}\n", index + 1, cue.text.replace("-->", "->"))?;
    }
    Ok(())
}

fn vtt(cues: &[Cue], text: &mut String) -> std::fmt::Result {
    writeln!(text, "WEBVTT\n")?;
    for cue in cues {
        let (start, end) = (clock(cue.start, '.', Hours::WhenAny), clock(cue.end, '.', Hours::WhenAny));
        let escaped = cue.text.replace('&', "&amp;").replace('<', "&lt;").replace("-->", "->");
        writeln!(text, "{start} --> {end}\n{escaped}\n")?;
    }
    Ok(())
}

fn tsv(transcript: &Transcript, text: &mut String) -> std::fmt::Result {
    writeln!(text, "start\tend\ttext")?;
    for segment in &transcript.segments {
        let (start, end) = (milliseconds(segment.start), milliseconds(segment.end));
        writeln!(text, "{start}\t{end}\t{}", one_line(&segment.text).replace('\t', " "))?;
    }
    Ok(())
}

fn lrc(cues: &[Cue], text: &mut String) -> std::fmt::Result {
    for cue in cues {
        let hundredths = (cue.start * 100.0).round() as u64;
        let (minutes, seconds) = (hundredths / 6000, hundredths / 100 % 60);
        writeln!(text, "[{minutes:02}:{seconds:02}.{:02}]{}", hundredths % 100, one_line(&cue.text))?;
    }
    Ok(())
}

enum Hours {
    Always,
    WhenAny,
}

fn clock(seconds: f64, point: char, hours: Hours) -> String {
    let ms = milliseconds(seconds);
    let (h, m, s, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    match hours {
        Hours::WhenAny if h == 0 => format!("{m:02}:{s:02}{point}{ms:03}"),
        _ => format!("{h:02}:{m:02}:{s:02}{point}{ms:03}"),
    }
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0).round() as u64
}

fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_core::transcribe::{Segment, Word};

    fn transcript() -> Transcript {
        let word =
            |(word, start, end): (&str, f64, f64)| Word { word: word.into(), start, end, probability: 1.0 };
        let words = [(" Hello", 0.5, 0.9), (" big", 0.9, 1.2), (" world.", 1.2, 1.75)];
        let first = Segment {
            start: 0.5,
            end: 1.75,
            text: "Hello big world.".into(),
            words: Some(words.into_iter().map(word).collect()),
            ..Segment::default()
        };
        let second = Segment {
            id: 1,
            start: 3661.2,
            end: 3662.0,
            text: "1 < 2 --> yes".into(),
            words: Some([(" 1 < 2 --> yes", 3661.2, 3662.0)].into_iter().map(word).collect()),
            ..Segment::default()
        };
        Transcript { segments: vec![first, second], ..Transcript::default() }
    }

    fn render(format: Format) -> String {
        format.render(&transcript(), CueLimits::default())
    }

    #[test]
    fn each_format_is_written_as_its_players_read_it() {
        assert_eq!(render(Format::Txt), "Hello big world.\n1 < 2 --> yes\n");
        assert_eq!(
            render(Format::Srt),
            "1\n00:00:00,500 --> 00:00:01,750\nHello big world.\n\n\
             2\n01:01:01,200 --> 01:01:02,000\n1 < 2 -> yes\n\n"
        );
        assert_eq!(
            render(Format::Vtt),
            "WEBVTT\n\n00:00.500 --> 00:01.750\nHello big world.\n\n\
             01:01:01.200 --> 01:01:02.000\n1 &lt; 2 -> yes\n\n"
        );
        assert_eq!(
            render(Format::Tsv),
            "start\tend\ttext\n500\t1750\tHello big world.\n3661200\t3662000\t1 < 2 --> yes\n"
        );
        assert_eq!(render(Format::Lrc), "[00:00.50]Hello big world.\n[61:01.20]1 < 2 --> yes\n");
    }

    #[test]
    fn nothing_said_is_a_valid_file() {
        let nothing = Transcript::default();
        let all = Format::ALL.map(|(_, format)| format.render(&nothing, CueLimits::default()));
        assert_eq!(all, ["", "", "WEBVTT\n\n", "start\tend\ttext\n", ""]);
    }
}
