//! Damaged pictures: a result or an error, never a panic, a hang or a heap of memory.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use damage::{Dice, damage};
use percept_media::picture::{PictureLimits, PictureSource, read};

mod damage;

fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pictures");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "safetensors"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 65);
    files
}

/// Makes the checksums of a PNG's chunks right again, so that what was damaged is looked at.
fn mend_checksums(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        if end.saturating_add(4) > bytes.len() {
            break;
        }
        let crc = !bytes[at + 4..end].iter().fold(!0, |crc: u32, byte| {
            let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
        });
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        at = end + 4;
    }
}

#[test]
fn damaged_pictures_give_a_result_or_an_error() {
    // Damaged headers ask for large pictures: what is allowed is decoded in a blink.
    let limits = PictureLimits { max_pixels: 1_000_000 };
    let mut dice = Dice(0x71c_70e5);
    let (mut rounds, mut read_anyway, mut refused, mut panics) = (0, 0, 0, Vec::new());
    for (name, whole) in samples() {
        for round in 0..32 {
            let mut bytes = whole.clone();
            let how = damage(&mut bytes, &mut dice);
            if name.ends_with(".png") && round % 4 != 0 && bytes.len() > 8 {
                mend_checksums(&mut bytes);
            }
            let source = PictureSource::Memory { name: "damaged".into(), bytes: bytes.into() };
            let start = Instant::now();
            match read(source, limits) {
                Ok((image, info)) => {
                    read_anyway += 1;
                    assert_eq!(image.rgb.len(), 3 * image.pixels());
                    assert!(image.alpha.as_ref().is_none_or(|alpha| alpha.len() == image.pixels()));
                    assert!(image.pixels() as u64 <= limits.max_pixels);
                    assert_eq!(image.size(), (info.width, info.height));
                }
                Err(error) => {
                    refused += 1;
                    if error.chain().contains("confuses the decoder") {
                        panics.push(format!("{name}, round {round}, {how}"));
                    }
                }
            }
            let taken = start.elapsed();
            assert!(taken < Duration::from_secs(5), "{name}, round {round}, {how}: {taken:?}");
            rounds += 1;
        }
    }
    assert!(rounds >= 2_000, "{rounds} files");
    assert!(read_anyway > 300 && refused > 600, "{read_anyway} read, {refused} refused");
    // Panics of decoders are caught; that they stay few is what makes this bearable.
    assert!(panics.len() <= 20, "{panics:#?}");
}
