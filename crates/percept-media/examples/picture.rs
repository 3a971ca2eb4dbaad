//! Reads a picture as percept does, says what it found, and draws made-up results over it:
//! `cargo run --release -p percept-media --example picture -- FILE FOLDER`
//!
//! `FOLDER` gets overlays, a cut-out and the cut-out on backgrounds, to be looked at.
#![allow(clippy::print_stderr)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use percept_core::segment::{Image, Mask};
use percept_media::draw::{Background, Canvas, Edge, OverlayItem, color, composite, cutout, overlay, trim};
use percept_media::picture::{PictureLimits, PictureSource, encode_png, read};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, folder] = arguments.as_slice() else { return Err("usage: picture FILE FOLDER".into()) };
    let source = PictureSource::from_argument(Path::new(file));
    let (image, info) = timed("read", || read(source, PictureLimits::default()))?;
    eprintln!("{info:#?}");

    let write = |name: &str, image: &Image| -> Result<(), Box<dyn std::error::Error>> {
        let bytes = timed(name, || encode_png(image))?;
        Ok(fs::write(Path::new(folder).join(name), bytes)?)
    };
    // Blobs whose edges wave, from the middle outwards.
    let masks: Vec<Mask> = (0..7).map(|index| blob(&image, index)).collect();
    let labels =
        ["cup 0.97", "dining table", "ложка", "βιβλίο 0.41", "a label that is rather long", "", "漢字"];
    let items: Vec<OverlayItem<'_>> = masks
        .iter()
        .zip(labels)
        .enumerate()
        .map(|(index, (mask, label))| OverlayItem {
            mask: Some(mask),
            bounding_box: (index % 3 == 2)
                .then(|| mask.bounding_box().map(|bounds| bounds.map(|side| side as f32)))
                .flatten(),
            label: label.to_owned(),
            color: index,
        })
        .collect();
    write("overlay.png", &timed("overlay", || overlay(&image, &items)))?;
    let cut = timed("cutout", || cutout(&image, &masks[0], Edge::AntiAliased));
    write("cutout.png", &trim(&cut))?;
    write("on_white.png", &composite(&trim(&cut), &Background::Color([255; 3]))?)?;
    write("on_picture.png", &composite(&cut, &Background::Picture(image.clone()))?)?;
    write("strokes.png", &strokes(&image))?;
    Ok(())
}

fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    eprintln!("{name}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn blob(image: &Image, index: u32) -> Mask {
    let (width, height) = (image.width as f32, image.height as f32);
    let turn = index as f32 * 2.4;
    let far = 0.13 * index as f32;
    let center = [width * (0.5 + far * turn.cos() * 0.55), height * (0.5 + far * turn.sin() * 0.55)];
    let size = width.min(height) * (0.26 - 0.022 * index as f32);
    let inside = |at: u32| {
        let [x, y] = [(at % image.width) as f32 - center[0], (at / image.width) as f32 - center[1]];
        let angle = y.atan2(x);
        u8::from(x.hypot(y) < size * (1.0 + 0.15 * (5.0 * angle + turn).sin() + 0.05 * (17.0 * angle).cos()))
    };
    let pixels: Vec<u8> = (0..image.width * image.height).map(inside).collect();
    Mask::from_pixels(image.width, image.height, &pixels)
}

/// What boxes and skeletons will be drawn with, and the colours in their order.
fn strokes(image: &Image) -> Image {
    let mut canvas = Canvas::new(image);
    let (width, height) = (image.width as f32, image.height as f32);
    let line = canvas.line_width();
    for index in 0..24 {
        let (x, y) = (width * (0.06 + 0.038 * index as f32), height * 0.12);
        canvas.line([x, y], [x + 0.03 * width, y + 0.2 * height], line, color(index));
        canvas.disc([x, y], 2.0 * line, color(index));
        canvas.circle([x, height * 0.5], 0.018 * width, line, color(index));
    }
    canvas.rectangle([0.1 * width, 0.6 * height, 0.4 * width, 0.9 * height], line, color(0));
    canvas.rectangle([0.3 * width, 0.7 * height, 1.1 * width, 0.95 * height], line, color(1));
    canvas.into_image()
}
