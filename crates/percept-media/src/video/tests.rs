//! Clips that FFmpeg wrote by another road, and our own.

use std::path::PathBuf;

use percept_core::segment::Image;
use serde::Deserialize;

use super::*;
use crate::picture::PictureLimits;

fn open(path: &Path, every: u32) -> percept_core::Result<Clip> {
    Clip::open(path, every.try_into().unwrap(), PictureLimits::default())
}

fn frames(path: &Path, every: u32) -> Vec<Frame> {
    open(path, every)
        .unwrap()
        .map(|frame| frame.unwrap_or_else(|error| panic!("{}", error.chain())))
        .collect()
}

fn at(image: &Image, [x, y]: [f64; 2]) -> [u8; 3] {
    image.rgb[3 * (y as usize * image.width as usize + x as usize)..][..3].try_into().unwrap()
}

fn near(found: [u8; 3], wanted: [u8; 3], tolerance: u8) -> bool {
    found.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= tolerance)
}

#[derive(Deserialize)]
struct Case {
    name: String,
    size: (u32, u32),
    times: Vec<f64>,
    places: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    frame: usize,
    at: [f64; 2],
    color: [u8; 3],
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/clips")
}

/// `tests/reference/clips.py`: sizes, times, the colours of two matrices, turned frames, wide pixels.
#[test]
fn frames_are_those_that_were_drawn() {
    let cases: Vec<Case> =
        serde_json::from_slice(&std::fs::read(golden().join("clips.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = &case.name;
        let path = golden().join(name);
        assert!(is_clip(&path), "{name}");
        let found = frames(&path, 1);
        assert_eq!(found.len(), case.times.len(), "{name}");
        for (index, (frame, time)) in found.iter().zip(&case.times).enumerate() {
            assert_eq!((frame.number, frame.image.size()), (index as u64, case.size), "{name}");
            assert!((frame.time - time).abs() < 1e-3, "{name} frame {index}: {} {time}", frame.time);
        }
        for place in &case.places {
            let color = at(&found[place.frame].image, place.at);
            assert!(near(color, place.color, 4), "{name} {:?}: {color:?} {:?}", place.at, place.color);
        }
        let some = frames(&path, 5);
        let wanted: Vec<&Frame> = found.iter().step_by(5).collect();
        assert_eq!(some.len(), wanted.len(), "{name}");
        for (some, wanted) in some.iter().zip(wanted) {
            assert_eq!((some.number, some.time), (wanted.number, wanted.time), "{name}");
            assert!(some.image == wanted.image, "{name}");
        }
    }
}

#[test]
fn a_clip_says_what_it_is() {
    let clip = open(&golden().join("right.mp4"), 1).unwrap();
    let info = clip.info();
    assert_eq!((info.width, info.height, info.orientation.value()), (64, 96, 6));
    assert_eq!((info.codec.as_str(), info.frames), ("h264", Some(3)));
    assert!((info.frame_rate.unwrap() - 29.97).abs() < 0.01, "{info:?}");
    assert!((info.duration.unwrap() - 0.1).abs() < 0.01, "{info:?}");
    assert_eq!((info.sha256.len(), info.bytes > 1000), (64, true));
}

/// A square that goes from the left to the right.
fn drawn(number: u32, (width, height): (u32, u32)) -> Image {
    let mut rgb = [110, 120, 130].repeat(width as usize * height as usize);
    for y in 10..26 {
        for x in 4 * number..4 * number + 16 {
            let start = 3 * (y * width as usize + x as usize);
            rgb[start..start + 3].copy_from_slice(&[230, 60, 20]);
        }
    }
    Image::new(width, height, rgb)
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for (rate, size) in [(25.0, (97, 63)), (29.97, (96, 64)), (12.5, (1280, 720)), (1.0 / 3.0, (64, 33))] {
        let path = folder.path().join("squares, 100%: a.part");
        let mut writer = ClipWriter::create(&path, size, rate).unwrap();
        for number in 0..12 {
            writer.write(&path, &drawn(number, size), f64::from(number) / rate).unwrap();
        }
        assert!(writer.write(&path, &drawn(0, (64, 64)), 1.0).is_err());
        writer.finish(&path).unwrap();

        let clip = open(&path, 1).unwrap();
        assert!((clip.info().frame_rate.unwrap() / rate - 1.0).abs() < 1e-3, "{:?}", clip.info());
        let found = frames(&path, 1);
        assert_eq!(found.len(), 12, "{rate}");
        for (number, frame) in found.iter().enumerate() {
            assert_eq!(frame.image.size(), (size.0.next_multiple_of(2), size.1.next_multiple_of(2)));
            assert!((frame.time - number as f64 / rate).abs() < 0.01 / rate, "{rate} {}", frame.time);
            let color = at(&frame.image, [4.0 * number as f64 + 8.0, 18.0]);
            assert!(near(color, [230, 60, 20], 8), "{rate} frame {number}: {color:?}");
            let color = at(&frame.image, [f64::from(size.0) - 0.5, f64::from(size.1) - 0.5]);
            assert!(near(color, [110, 120, 130], 8), "{rate} frame {number}: {color:?}");
        }
    }
}

#[test]
fn times_that_do_not_fit_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    let mut writer = ClipWriter::create(&path, (64, 64), 10.0).unwrap();
    for (number, time) in [0.0, 0.01, 0.02, 0.5, 0.5].into_iter().enumerate() {
        writer.write(&path, &drawn(number as u32, (64, 64)), time).unwrap();
    }
    writer.finish(&path).unwrap();
    let times: Vec<f64> = frames(&path, 1).iter().map(|frame| (frame.time * 10.0).round() / 10.0).collect();
    assert_eq!(times, [0.0, 0.1, 0.2, 0.5, 0.6]);
}

#[test]
fn what_is_no_clip_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let said =
        |path: &Path| match open(path, 1).map(|clip| clip.map(|frame| frame.map(drop)).collect::<Vec<_>>()) {
            Err(error) => error.chain(),
            Ok(frames) => match frames.into_iter().find_map(Result::err) {
                Some(error) => error.chain(),
                None => "read".to_owned(),
            },
        };
    let path = folder.path().join("a.mp4");
    assert!(said(&path).contains("No such file"), "{}", said(&path));
    let whole = std::fs::read(golden().join("plain.mp4")).unwrap();
    std::fs::write(&path, &whole[..40]).unwrap();
    assert!(said(&path).contains("damaged"), "{}", said(&path));
    std::fs::write(&path, b"not a clip at all, and long enough to be looked at").unwrap();
    assert!(said(&path).contains("damaged"), "{}", said(&path));
    assert!(!is_clip(&path) && !is_clip(folder.path()));
    let limits = PictureLimits { max_pixels: 100 };
    let error = Clip::open(&golden().join("plain.mp4"), 1.try_into().unwrap(), limits).map(drop).unwrap_err();
    assert!(error.hint().unwrap().contains("--max-pixels"), "{}", error.chain());
    let missing = folder.path().join("none/a.mp4");
    assert!(ClipWriter::create(&missing, (64, 64), 25.0).map(drop).is_err());
}

/// No bytes make it panic, or go on for ever.
#[test]
fn damaged_clips_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bin");
    let mut state = 5_u64;
    for name in ["plain.mp4", "uneven.mkv", "late.ts"] {
        let whole = std::fs::read(golden().join(name)).unwrap();
        for round in 0..40 {
            let mut bytes = whole.clone();
            for _ in 0..1 + round % 12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 24) as u8;
            }
            if round % 4 == 0 {
                bytes.truncate(whole.len() / 2);
            }
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(clip) = open(&path, 1) {
                assert!(clip.take(1000).count() < 1000, "{name} {round}");
            }
        }
    }
}
