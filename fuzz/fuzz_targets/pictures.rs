//! Any bytes are a picture or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use percept_media::picture::{PictureLimits, PictureSource, read};

fuzz_target!(|bytes: &[u8]| {
    let source = PictureSource::Memory { name: "fuzz".into(), bytes: bytes.into() };
    if let Ok((image, info)) = read(source, PictureLimits { max_pixels: 1 << 20 }) {
        assert_eq!(image.rgb.len(), 3 * image.pixels());
        assert_eq!((info.width, info.height), image.size());
    }
});
