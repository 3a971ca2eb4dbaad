//! Every container and codec against the truth, and against what ffmpeg makes of the same file.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};

use percept_core::Error;
use percept_media::sound::{SoundInfo, SoundSource, SoundWarning, read};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn decode(name: &str) -> (Vec<f32>, SoundInfo) {
    match read(SoundSource::Path(data(name))) {
        Ok((sound, info)) => (sound.samples, info),
        Err(error) => panic!("{name}: {}", error.chain()),
    }
}

fn reference(name: &str) -> Vec<f32> {
    let bytes = fs::read(data(name)).unwrap();
    bytes.as_chunks().0.iter().map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32_768.0).collect()
}

/// How far `got` is above its difference from `want`, in decibels, at their common length.
fn signal_to_noise(got: &[f32], want: &[f32]) -> f64 {
    let energy = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let pairs = || got.iter().zip(want).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    10.0 * (energy(&mut pairs().map(|(_, b)| b)) / energy(&mut pairs().map(|(a, b)| a - b))).log10()
}

/// Decodes `name` and compares it with `want`, whose length it must have to within `slack` samples.
fn agrees(name: &str, want: &str, decibels: f64, slack: usize) -> SoundInfo {
    let (got, info) = decode(name);
    let want = reference(want);
    let ratio = signal_to_noise(&got, &want);
    assert!(ratio > decibels, "{name}: only {ratio:.1} dB above the difference");
    assert!(got.len().abs_diff(want.len()) <= slack, "{name}: {} samples, not {}", got.len(), want.len());
    assert_eq!(info.warnings, [], "{name}");
    info
}

#[test]
fn lossless_files_are_the_truth() {
    // 16 kHz files differ by the rounding of 16 bits at most; the others by two resamplers.
    for (name, decibels) in [
        ("s16_16k.wav", 90.0),
        ("f32_16k.wav", 90.0),
        ("mono_16k.aiff", 90.0),
        ("mono_16k.caf", 90.0),
        ("mono_16k_alac.m4a", 90.0),
        ("mono_16k_flac.mkv", 90.0),
        ("s24_22k.wav", 45.0),
        ("stereo_44k.flac", 45.0),
    ] {
        agrees(name, "reference.s16le", decibels, 0);
    }
}

#[test]
fn lossy_files_are_what_ffmpeg_decodes() {
    // Below 16 kHz the noise of 8 bits reaches up to where the two resamplers differ.
    for (name, decibels, slack) in [
        ("u8_8k.wav", 35.0, 0),
        ("alaw_8k.wav", 35.0, 0),
        ("mulaw_8k.wav", 35.0, 0),
        ("adpcm_8k.wav", 35.0, 0),
        ("eight_channels.wav", 35.0, 0),
        ("stereo_44k.mp3", 45.0, 0),
        ("plain_16k.mp3", 45.0, 0),
        ("stereo_44k.ogg", 45.0, 1),
        // ffmpeg leaves the padding of the last frame, which the edit list takes off.
        ("stereo_44k.m4a", 45.0, 400),
        ("stereo_44k.aac", 45.0, 0),
    ] {
        agrees(name, &format!("{name}.s16le"), decibels, slack);
    }
}

#[test]
fn encoder_delay_and_padding_are_cut() {
    // As long as what went in, and in its place: a delay of one sample would cost most of the decibels.
    for (name, decibels) in [("stereo_44k.mp3", 14.0), ("stereo_44k.ogg", 14.0), ("stereo_44k.m4a", 14.0)] {
        agrees(name, "reference.s16le", decibels, 1);
    }
    // This Matroska file states no delay, and neither does ADTS: ffmpeg keeps it as well.
    agrees("stereo_44k.mkv", "stereo_44k.aac.s16le", 45.0, 1);
    agrees("stereo_44k.webm", "stereo_44k.ogg.s16le", 45.0, 1);
}

#[test]
fn a_codec_delay_in_matroska_is_cut() {
    // ffmpeg 5.1 writes none for AAC, newer muxers do: 1024 frames of 44.1 kHz, put into the track's entry
    // in place of seven bytes of padding before it.
    let mut mkv = fs::read(data("stereo_44k.mkv")).unwrap();
    assert_eq!((mkv[121], mkv[129], &mkv[256..261]), (0xec, 83, &[0x16, 0x54, 0xae, 0x6b, 0x80 | 79][..]));
    assert_eq!((mkv[267], mkv[275]), (0xae, 64));
    (mkv[129], mkv[260], mkv[275]) = (83 - 7, 0x80 | (79 + 7), 64 + 7);
    let mut delay = vec![0x56, 0xaa, 0x84];
    delay.extend((1024 * 1_000_000_000_u64 / 44_100).to_be_bytes()[4..].iter());
    mkv.splice(276..276, delay);
    mkv.drain(130..137);

    let (sound, info) = read(SoundSource::Memory { name: "delay.mkv".into(), bytes: mkv.into() }).unwrap();
    assert_eq!(info.warnings, []);
    // Packet times are whole milliseconds, so the cut is right to half of one.
    let whole = reference("stereo_44k.aac.s16le");
    let cut = whole.len() - sound.samples.len();
    assert!(cut.abs_diff(1024 * 16_000 / 44_100) <= 16, "{cut} samples cut");
    let ratio = (-1..=1)
        .map(|more| signal_to_noise(&sound.samples[8..], &whole[(8 + cut).wrapping_add_signed(more)..]));
    assert!(ratio.fold(f64::MIN, f64::max) > 15.0);
}

#[test]
fn narrow_band_files_keep_what_they_have() {
    // 8 and 12 kHz hold less than the truth; the low frequencies must still agree.
    for (name, decibels) in [("f64_8k.wav", 5.0), ("u8_8k.wav", 5.0), ("s32_12k.wav", 7.0)] {
        agrees(name, "reference.s16le", decibels, 1);
    }
}

#[test]
fn what_the_file_was_is_told() {
    let info = decode("stereo_44k.flac").1;
    assert_eq!((info.container.as_str(), info.codec.as_str()), ("flac", "flac"));
    assert_eq!((info.sample_rate, info.channels), (44_100, 2));
    assert!((info.duration - 1.1).abs() < 1e-9);
    assert_eq!(info.bytes, fs::metadata(data("stereo_44k.flac")).unwrap().len());
    let said = std::process::Command::new("sha256sum").arg(data("stereo_44k.flac")).output();
    if let Ok(said) = said {
        assert!(String::from_utf8_lossy(&said.stdout).starts_with(&info.sha256));
    }
    let info = decode("eight_channels.wav").1;
    assert_eq!((info.sample_rate, info.channels), (8_000, 8));
    let info = decode("video.mp4").1;
    assert_eq!((info.container.as_str(), info.codec.as_str()), ("isomp4", "aac"));
}

#[test]
fn the_sound_of_a_video_is_found() {
    let (got, _) = decode("video.mp4");
    let ratio = signal_to_noise(&got, &reference("reference.s16le"));
    assert!(ratio > 12.0, "{ratio}");
}

#[test]
fn a_fragmented_mp4_is_read_to_its_end() {
    let (got, _) = decode("stereo_44k_fragments.mp4");
    assert!((got.len() as f64 / 16_000.0 - 1.1).abs() < 0.05, "{}", got.len());
}

#[test]
fn a_wav_from_a_pipe_is_not_called_truncated() {
    let (got, info) = decode("pipe.wav");
    assert_eq!(got.len(), 17_600);
    assert_eq!(info.warnings, []);
}

#[test]
fn a_recorder_that_died_left_its_sound() {
    let mut wav = fs::read(data("s16_16k.wav")).unwrap();
    wav[4..8].fill(0);
    wav[40..44].fill(0);
    let (sound, info) = read(SoundSource::Memory { name: "died.wav".into(), bytes: wav.into() }).unwrap();
    assert_eq!(sound.samples, decode("s16_16k.wav").0);
    assert_eq!(info.warnings, []);
}

#[test]
fn the_name_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("s16_16k.wav", "a.mp3"),
        ("stereo_44k.mp3", "b.wav"),
        ("stereo_44k.m4a", "c"),
        ("stereo_44k.ogg", "d.flac"),
    ] {
        let path = folder.path().join(to);
        fs::copy(data(from), &path).unwrap();
        let got = read(SoundSource::Path(path)).unwrap().0;
        assert_eq!(got.samples, decode(from).0, "{from} as {to}");
    }
}

#[test]
fn streams_and_memory_give_what_the_file_gives() {
    for name in ["stereo_44k.flac", "stereo_44k.m4a", "mono_16k_flac.mkv"] {
        let want = decode(name);
        let bytes = fs::read(data(name)).unwrap();
        let memory = SoundSource::Memory { name: name.into(), bytes: bytes.clone().into() };
        let stream = SoundSource::Stream { name: name.into(), reader: Box::new(std::io::Cursor::new(bytes)) };
        for source in [memory, stream] {
            let (sound, info) = read(source).unwrap();
            assert_eq!((sound.samples, info), want, "{name}");
        }
    }
}

#[test]
fn truncated_files_give_what_is_there_and_say_so() {
    for name in [
        "s16_16k.wav",
        "stereo_44k.flac",
        "stereo_44k.mp3",
        "stereo_44k.m4a",
        "mono_16k_flac.mkv",
        "mono_16k.aiff",
    ] {
        let bytes = fs::read(data(name)).unwrap();
        // An MP4 of ffmpeg has its index at the end; without it there is nothing to decode.
        let bytes = if name.ends_with("m4a") { index_first(&bytes) } else { bytes };
        let cut = &bytes[..bytes.len() * 6 / 10];
        let source = SoundSource::Memory { name: name.into(), bytes: cut.into() };
        let (sound, info) = read(source).unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert!((0.3..1.0).contains(&sound.seconds()), "{name}: {}", sound.seconds());
        let truncated = |warning: &SoundWarning| matches!(warning, SoundWarning::Truncated { decoded, .. } if (decoded - sound.seconds()).abs() < 1e-9);
        assert!(info.warnings.iter().any(truncated), "{name}: {:?}", info.warnings);
        let whole = decode(name).0;
        let common = sound.samples.len() - 2_000;
        assert!(signal_to_noise(&sound.samples[..common], &whole) > 40.0, "{name}");
    }
}

/// Moves the index of an MP4 before its data, as `-movflags faststart` does.
fn index_first(bytes: &[u8]) -> Vec<u8> {
    let mut boxes = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 8 {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        boxes.push(&rest[..size]);
        rest = &rest[size..];
    }
    let at = boxes.iter().position(|part| &part[4..8] == b"moov").unwrap();
    let mut moov = boxes.remove(at).to_vec();
    // The data moves behind the index, so the chunk offsets grow by its size.
    let grown = moov.len() as u32;
    let table = moov.windows(4).position(|kind| kind == b"stco").unwrap() + 8;
    let count = u32::from_be_bytes(moov[table..table + 4].try_into().unwrap()) as usize;
    for entry in moov[table + 4..].as_chunks_mut::<4>().0.iter_mut().take(count) {
        *entry = (u32::from_be_bytes(*entry) + grown).to_be_bytes();
    }
    let mut result = boxes.remove(0).to_vec();
    result.extend(moov);
    boxes.iter().for_each(|part| result.extend(*part));
    result
}

#[test]
fn a_header_that_lies_takes_no_memory() {
    let mut wav = fs::read(data("u8_8k.wav")).unwrap();
    let size = wav.windows(4).position(|kind| kind == b"data").unwrap() + 4;
    wav[size..size + 4].copy_from_slice(&0x7ffe_0000_u32.to_le_bytes());
    wav[4..8].copy_from_slice(&0x7ffe_0024_u32.to_le_bytes());
    let (sound, info) = read(SoundSource::Memory { name: "liar.wav".into(), bytes: wav.into() }).unwrap();
    assert_eq!(sound.samples.len(), 17_600);
    assert!(sound.samples.capacity() < 1 << 20, "{}", sound.samples.capacity());
    assert!(
        matches!(info.warnings[..], [SoundWarning::Truncated { stated: Some(_), .. }]),
        "{:?}",
        info.warnings
    );
}

fn refused(bytes: &[u8]) -> (String, String) {
    let source = SoundSource::Memory { name: "x.wav".into(), bytes: bytes.into() };
    let error = read(source).map(|(sound, _)| sound.samples.len()).unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error:?}");
    (error.chain(), error.hint().unwrap_or_default())
}

#[test]
fn nothing_to_hear_is_a_clear_error() {
    let no_samples = fs::read(data("no_samples.wav")).unwrap();
    let header_only = &fs::read(data("stereo_44k.flac")).unwrap()[..42];
    let noise: Vec<u8> =
        (0..50_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x7f).collect();
    for (bytes, said) in [
        (&b""[..], "the file is empty"),
        (b"RIFF", "no sound file of a known kind"),
        (b"a text about sound\n", "no sound file of a known kind"),
        (&noise, "no sound file of a known kind"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it is a PNG picture"),
        (&no_samples, "0 samples"),
        (header_only, ""),
    ] {
        let (chain, hint) = refused(bytes);
        assert!(chain.contains(said), "{chain}");
        assert!(chain.starts_with("cannot read `x.wav`: "), "{chain}");
        assert!(!hint.is_empty(), "{chain}");
    }
}

#[test]
fn missing_files_and_folders_are_clear_errors() {
    let error = read(SoundSource::Path(data("no such.wav"))).map(|_| ()).unwrap_err();
    assert!(error.hint().unwrap().contains("spelling"), "{}", error.chain());
    let error = read(SoundSource::Path(data(""))).map(|_| ()).unwrap_err();
    assert!(error.chain().contains("folder"), "{}", error.chain());
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_as_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::write(pipe, fs::read(data("stereo_44k.m4a")).unwrap()).unwrap())
    };
    let got = read(SoundSource::Path(pipe)).unwrap();
    writer.join().unwrap();
    assert_eq!(got.0.samples, decode("stereo_44k.m4a").0);
}
