//! Picture files of every kind, as Pillow reads them (`tests/reference/pictures.py`).

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};

use percept_core::Error;
use percept_core::segment::Image;
use percept_media::picture::{
    PictureInfo, PictureLimits, PictureSource, PictureWarning, ResizeFilter, encode_grey16_png,
    encode_index_png, encode_jpeg, encode_mask_png, encode_png, read, resize,
};
use safetensors::SafeTensors;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pictures").join(name)
}

fn read_file(name: &str) -> (Image, PictureInfo) {
    read(PictureSource::Path(data(name)), PictureLimits::default())
        .unwrap_or_else(|error| panic!("{name}: {}", error.chain()))
}

fn read_bytes(bytes: &[u8]) -> Result<(Image, PictureInfo), Error> {
    let source = PictureSource::Memory { name: "memory".into(), bytes: bytes.into() };
    read(source, PictureLimits::default())
}

/// The largest difference and the mean one.
fn difference(got: &[u8], want: &[u8]) -> (u8, f64) {
    assert_eq!(got.len(), want.len());
    let apart = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    let largest = got.iter().zip(want).map(apart).max().unwrap();
    let sum: u64 = got.iter().zip(want).map(|pair| u64::from(apart(pair))).sum();
    (largest, sum as f64 / got.len() as f64)
}

/// Levels that decoders of one format may differ by.
fn tolerance(name: &str) -> u8 {
    match name {
        "jpeg.tif" => 3,
        "lossy.webp" | "alpha.webp" => 2,
        _ if name.ends_with(".jpg") => 3,
        _ if name.ends_with(".hdr") || name.ends_with("32f.tif") => 1,
        _ => 0,
    }
}

#[test]
fn every_file_has_the_pixels_that_pillow_sees() {
    let bytes = fs::read(data("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let mut files = 0;
    let mut wrong = Vec::new();
    for name in expected.names().into_iter().filter(|name| !name.contains(':')) {
        let want = expected.tensor(name).unwrap();
        let (image, info) = read_file(name);
        assert_eq!([image.height as usize, image.width as usize, 3], want.shape()[..], "{name}");
        assert_eq!((info.width, info.height), image.size(), "{name}");
        let (largest, mean) = difference(&image.rgb, want.data());
        let alpha = expected.tensor(&format!("{name}:alpha")).ok();
        let alpha_differs = match (&image.alpha, &alpha) {
            (Some(got), Some(want)) => difference(got, want.data()).0 > 0,
            (None, None) => false,
            _ => true,
        };
        if largest > tolerance(name) || alpha_differs {
            wrong.push(format!("{name}: {largest} levels, {mean:.2} on average, alpha {alpha_differs}"));
        }
        files += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files >= 65, "{files} files");
}

#[test]
fn what_a_file_was_is_recorded() {
    let known = |name: &str| {
        let info = read_file(name).1;
        format!("{} {}, {}", info.format, info.color, info.mapping)
    };
    for (name, want) in [
        ("colour.jpg", "jpeg ycbcr8, as stored"),
        ("grey.jpg", "jpeg grey8, as stored"),
        ("cmyk.jpg", "jpeg cmyk8, (1 - ink) * (1 - black)"),
        ("cmyk_without_adobe.jpg", "jpeg cmyk8, (1 - ink) * (1 - black)"),
        ("ycck.jpg", "jpeg ycck8, (1 - ink) * (1 - black)"),
        ("palette_16.png", "png palette4, as stored"),
        ("bilevel.png", "png grey1, as stored"),
        ("rgba16.png", "png rgba16, 16-bit / 257"),
        ("grey16.pgm", "pnm grey16, 16-bit / 257"),
        ("rgb16.tif", "tiff rgb16, 16-bit / 257"),
        ("grey32f.tif", "tiff grey32f, linear float, clamped to 0..1, sRGB curve"),
        ("cmyk.tif", "tiff cmyk8, (1 - ink) * (1 - black)"),
        ("dim.hdr", "hdr rgb32f, linear float, clamped to 0..1, sRGB curve"),
        ("animated.gif", "gif palette8, as stored"),
    ] {
        assert_eq!(known(name), want, "{name}");
    }
    assert!(known("bright.hdr").starts_with("hdr rgb32f, linear float / 8"), "{}", known("bright.hdr"));
}

#[test]
fn orientation_is_applied_and_recorded() {
    for value in 1..=8 {
        let (image, info) = read_file(&format!("orientation_{value}.jpg"));
        assert_eq!(info.orientation.value(), value);
        assert_eq!((info.stored_width, info.stored_height), (35, 21));
        assert_eq!(image.size(), if value >= 5 { (21, 35) } else { (35, 21) });
        assert_eq!(info.focal_length_35mm, Some(28));
    }
    let orientation = |name: &str| read_file(name).1.orientation.value();
    assert_eq!(["oriented.png", "oriented.webp", "oriented.tif", "grey.jpg"].map(orientation), [6, 8, 5, 1]);
}

#[test]
fn only_the_first_picture_of_a_file_is_read() {
    for (name, frames) in [("animated.gif", 3), ("animated.png", 2), ("animated.webp", 3), ("pages.tif", 3)] {
        let info = read_file(name).1;
        assert_eq!(info.frames, Some(frames), "{name}");
        assert_eq!(info.warnings, [PictureWarning::FirstFrame { frames }], "{name}");
    }
    assert!(read_file("still.gif").1.warnings.is_empty());
}

#[test]
fn the_content_decides_and_the_digest_is_that_of_the_file() {
    let bytes = fs::read(data("colour.webp")).unwrap_or_else(|_| fs::read(data("lossless.webp")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.jpg");
    fs::write(&path, &bytes).unwrap();
    let (image, info) = read(PictureSource::Path(path), PictureLimits::default()).unwrap();
    assert_eq!((info.format, info.bytes), ("webp", bytes.len() as u64));
    let stream = PictureSource::Stream { name: "-".into(), reader: Box::new(std::io::Cursor::new(bytes)) };
    let (streamed, again) = read(stream, PictureLimits::default()).unwrap();
    assert_eq!((streamed, again), (image, info));
}

fn refusal(bytes: &[u8]) -> String {
    let error = read_bytes(bytes).map(|_| ()).unwrap_err();
    format!("{} | {}", error.chain(), error.hint().unwrap_or_default())
}

#[test]
fn what_is_no_picture_is_named_with_a_hint() {
    assert!(refusal(b"Dear diary, no pixels today").contains("it is text, not a picture | jpeg, png"));
    assert!(refusal(b"RIFF\0\0\0\0WAVEfmt ").contains("a WAVE sound file, not a picture"));
    assert!(
        refusal(b"\0\0\0\x1cftypheic\0\0\0\0").contains("a HEIC picture, which is not supported | convert")
    );
    assert!(refusal(b"").contains("the file is empty"));
    let error = read(PictureSource::Path(data("none.png")), PictureLimits::default()).unwrap_err();
    assert_eq!(error.hint().unwrap(), "check the spelling of the path");
    let error = read(PictureSource::Path(data("")), PictureLimits::default()).unwrap_err();
    assert!(error.chain().ends_with("it is a folder"));
    let error = read(PictureSource::Path(data("palette.tif")), PictureLimits::default()).unwrap_err();
    assert!(error.chain().contains("it uses what is not supported"), "{}", error.chain());
}

#[test]
fn a_truncated_jpeg_gives_what_is_there() {
    let bytes = fs::read(data("444.jpg")).unwrap();
    let (whole, _) = read_bytes(&bytes).unwrap();
    let (image, info) = read_bytes(&bytes[..bytes.len() * 3 / 4]).unwrap();
    assert_eq!(info.warnings, [PictureWarning::Truncated]);
    // The first rows of blocks are there.
    assert_eq!(image.rgb[..35 * 3 * 8], whole.rgb[..35 * 3 * 8]);
    let png = fs::read(data("colour.png")).unwrap();
    assert!(refusal(&png[..png.len() / 2]).contains("it is damaged: it ends in the middle"));
}

#[test]
fn bombs_are_refused_by_what_they_say() {
    // 60,000 x 60,000 in the header of a PNG of 67 bytes; its checksum is right.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bomb.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2, 0, 0, 0]);
    let checksum = checksum(&bomb[12..]);
    bomb.extend(checksum.to_be_bytes());
    bomb.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    let said = refusal(&bomb);
    assert!(
        said.contains("it says it is 60000 x 60000, 3600 megapixels; the limit is 500 megapixels"),
        "{said}"
    );
    assert!(said.contains("--max-pixels"), "{said}");

    let limits = PictureLimits { max_pixels: 700 };
    for name in ["colour.jpg", "colour.png", "lossy.webp", "lzw.tif", "colour.bmp", "still.gif", "colour.ppm"]
    {
        let error = read(PictureSource::Path(data(name)), limits).unwrap_err();
        assert!(error.chain().contains("it says it is 35 x 21"), "{name}: {}", error.chain());
    }
    // 735 pixels of 12 bytes are too many where 735 of 8 are allowed.
    let error = read(PictureSource::Path(data("dim.hdr")), PictureLimits { max_pixels: 735 }).unwrap_err();
    assert!(error.chain().contains("of 12 bytes"), "{}", error.chain());
}

/// CRC-32 of the PNG specification, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn what_is_encoded_is_read_back() {
    let (image, _) = read_file("alpha.png");
    assert_eq!(read_bytes(&encode_png(&image).unwrap()).unwrap().0, image);
    let (opaque, _) = read_file("colour.png");
    let jpeg = encode_jpeg(&opaque, 95).unwrap();
    let (again, info) = read_bytes(&jpeg).unwrap();
    assert_eq!(info.format, "jpeg");
    assert!(difference(&again.rgb, &opaque.rgb).1 < 3.0);

    let palette = [[0, 0, 0], [255, 0, 10], [3, 200, 40]];
    let (shown, info) = read_bytes(&encode_index_png(2, 2, &[0, 1, 2, 1], &palette).unwrap()).unwrap();
    assert_eq!(
        (info.color.as_str(), shown.rgb),
        ("palette8", [0, 1, 2, 1].map(|index| palette[index]).concat())
    );
    let (_, info) = read_bytes(&encode_index_png(2, 1, &[0, 300], &palette).unwrap()).unwrap();
    assert_eq!(info.color, "grey16");

    let (shown, info) = read_bytes(&encode_grey16_png(2, 1, &[257, 65_535]).unwrap()).unwrap();
    assert_eq!((info.color.as_str(), shown.rgb), ("grey16", vec![1, 1, 1, 255, 255, 255]));
    let mask = percept_core::segment::Mask::from_pixels(2, 2, &[0, 1, 1, 0]);
    let (shown, info) = read_bytes(&encode_mask_png(&mask).unwrap()).unwrap();
    assert_eq!(
        (info.color.as_str(), shown.rgb),
        ("grey8", [0, 255, 255, 0].map(|value| [value; 3]).concat())
    );
}

#[test]
fn a_picture_is_resized() {
    let (image, _) = read_file("colour.png");
    let small = resize(&image, 7, 3, ResizeFilter::Lanczos).unwrap();
    assert_eq!(small.size(), (7, 3));
    // The sky is still bluer than the ground, left to right it gets redder.
    assert!(small.rgb[0] < small.rgb[18] && small.rgb[1] > small.rgb[14 * 3 + 1]);
}
