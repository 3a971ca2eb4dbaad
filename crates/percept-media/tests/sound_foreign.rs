//! Codecs that are not built in: named without the cargo feature `video`, decoded with it.

use std::path::{Path, PathBuf};

use percept_media::sound::{SoundSource, read};

/// The file, what the error calls its codec, and the channels that FFmpeg finds (HE-AAC may turn out to
/// have parametric stereo, so FFmpeg makes two of one).
const FOREIGN: [(&str, &str, usize); 8] = [
    ("mono.opus", "Opus", 1),
    ("mono_opus.webm", "Opus", 1),
    ("stereo_ac3.mkv", "AC-3", 2),
    ("mono.wma", "WMA", 1),
    ("six_channels.m4a", "AAC with more than two channels", 6),
    ("he.aac", "HE-AAC", 2),
    ("he.m4a", "HE-AAC", 2),
    ("he_v2.aac", "HE-AAC", 2),
];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[cfg(not(feature = "video"))]
#[test]
fn they_are_named_and_the_hint_says_what_decodes_them() {
    for (name, codec, _) in FOREIGN {
        let error = read(SoundSource::Path(data(name))).map(|(_, info)| info).unwrap_err();
        assert!(error.chain().contains(codec), "{name}: {}", error.chain());
        let hint = error.hint().unwrap();
        assert!(hint.contains("`video`") && hint.contains("ffmpeg -i"), "{name}: {hint}");
    }
}

#[cfg(not(feature = "video"))]
#[test]
fn a_short_clip_of_he_aac_is_not_taken_for_its_half() {
    let bytes = std::fs::read(data("he.aac")).unwrap();
    let source = SoundSource::Memory { name: "short.aac".into(), bytes: bytes[..bytes.len() / 2].into() };
    let error = read(source).map(|(_, info)| info).unwrap_err();
    assert!(error.chain().contains("HE-AAC"), "{}", error.chain());
}

#[cfg(feature = "video")]
#[test]
fn ffmpeg_decodes_them() {
    use percept_media::sound::SoundWarning;

    for (name, codec, channels) in FOREIGN {
        let (sound, info) =
            read(SoundSource::Path(data(name))).unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert!((1.05..1.5).contains(&sound.seconds()), "{name}: {} s", sound.seconds());
        assert_eq!(info.channels, channels, "{name}");
        let loudest = sound.samples.iter().fold(0.0, |loudest: f32, sample| loudest.max(sample.abs()));
        assert!(loudest > 0.1, "{name}: {loudest}");
        let fell_back = |warning: &SoundWarning| matches!(warning, SoundWarning::Fallback { reason } if reason.contains(codec));
        assert!(info.warnings.iter().any(fell_back), "{name}: {:?}", info.warnings);
    }
}

#[cfg(feature = "video")]
#[test]
fn opus_and_he_aac_are_what_the_command_ffmpeg_makes_of_them() {
    for name in ["mono.opus", "he.aac"] {
        let got = read(SoundSource::Path(data(name))).unwrap().0.samples;
        let bytes = std::fs::read(data(&format!("{name}.s16le"))).unwrap();
        let want: Vec<f32> =
            bytes.as_chunks().0.iter().map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32_768.0).collect();
        assert!(got.len().abs_diff(want.len()) <= 1, "{name}: {} samples, not {}", got.len(), want.len());
        let power = |values: Vec<f32>| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        let noise = power(got.iter().zip(&want).map(|(a, b)| a - b).collect());
        let ratio = 10.0 * (power(want) / noise).log10();
        assert!(ratio > 40.0, "{name}: {ratio:.1} dB");
    }
}

#[cfg(feature = "video")]
#[test]
fn a_stream_falls_back_too() {
    let bytes = std::fs::read(data("mono.opus")).unwrap();
    let reader = Box::new(std::io::Cursor::new(bytes));
    let got = read(SoundSource::Stream { name: "-".into(), reader }).unwrap();
    assert_eq!(got.0.samples, read(SoundSource::Path(data("mono.opus"))).unwrap().0.samples);
}

#[cfg(feature = "video")]
#[test]
fn a_playlist_opens_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.m3u8");
    let other = data("s16_16k.wav");
    let text =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.1,\n{}\n#EXT-X-ENDLIST\n", other.display());
    std::fs::write(&list, text).unwrap();
    assert!(read(SoundSource::Path(list)).is_err());
}
