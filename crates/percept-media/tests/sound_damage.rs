//! Damaged files: a result or an error, never a panic, a hang or a heap of memory.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use damage::{Dice, damage};
use percept_media::sound::{SoundSource, read};

mod damage;

fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            !matches!(path.extension().and_then(|e| e.to_str()), Some("s16le" | "md" | "sh" | "rs"))
        })
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 30);
    files
}

#[test]
fn damaged_files_give_a_result_or_an_error() {
    let mut dice = Dice(0x5eed_0f50);
    let (mut read_anyway, mut refused) = (0, 0);
    for (name, whole) in samples() {
        for round in 0..24 {
            let mut bytes = whole.clone();
            let how = damage(&mut bytes, &mut dice);
            let source = SoundSource::Memory { name: "damaged".into(), bytes: bytes.into() };
            let start = Instant::now();
            match read(source) {
                Ok((sound, info)) => {
                    read_anyway += 1;
                    assert!(!sound.samples.is_empty());
                    assert!(sound.samples.iter().all(|sample| (-1.0..=1.0).contains(sample)));
                    // A wrong rate in a header stretches a second to some; nothing makes it an hour.
                    assert!(info.duration < 300.0, "{name}, round {round}, {how}: {} s", info.duration);
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.chain().contains("internal error"), "{name}: {}", error.chain());
                }
            }
            let taken = start.elapsed();
            assert!(taken < Duration::from_secs(5), "{name}, round {round}, {how}: {taken:?}");
        }
    }
    assert!(read_anyway > 200 && refused > 100, "{read_anyway} read, {refused} refused");
}

#[test]
fn a_damaged_packet_shifts_nothing() {
    for name in ["stereo_44k.flac", "stereo_44k.mp3", "stereo_44k.m4a"] {
        let files = samples();
        let (_, whole) = files.iter().find(|(file, _)| file == name).unwrap();
        let sound = |bytes: &[u8]| {
            let source = SoundSource::Memory { name: name.into(), bytes: bytes.into() };
            read(source).unwrap_or_else(|error| panic!("{name}: {}", error.chain()))
        };
        let want = sound(whole).0.samples;
        let mut bytes = whole.clone();
        // Inside a frame: a frame of mp3 whose header is lost leaves no trace of its length.
        let starts =
            |at: &usize| !bytes[at - 4..at + 64].windows(2).any(|pair| pair[0] == 0xff && pair[1] >= 0xe0);
        let middle = (bytes.len() * 4 / 10..).find(starts).unwrap();
        bytes[middle..middle + 60].fill(0xa5);
        let (got, info) = sound(&bytes);
        assert_eq!(got.samples.len(), want.len(), "{name}: {:?}", info.warnings);
        let tail = want.len() * 3 / 4;
        // AAC draws noise by a generator whose state a lost packet changes, so the tail is not the same
        // to the bit; out of place it would not resemble itself at all.
        let power = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
        let noise = power(&mut got.samples[tail..].iter().zip(&want[tail..]).map(|(a, b)| a - b));
        let ratio = power(&mut want[tail..].iter().copied()) / noise.max(f32::MIN_POSITIVE);
        assert!(ratio > 30.0, "{name}: the end is not where it was, {ratio}; {:?}", info.warnings);
    }
}
