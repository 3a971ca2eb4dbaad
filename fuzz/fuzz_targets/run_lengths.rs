//! Any run lengths are a mask that goes there and back, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use percept_segment::format::Rle;

fuzz_target!(|text: &[u8]| {
    let Ok(rle) = serde_json::from_slice::<Rle>(text) else { return };
    if let Ok(mask) = rle.mask() {
        assert_eq!(Rle::compressed(&mask).mask().expect("our own run lengths are good"), mask);
        assert_eq!(Rle::uncompressed(&mask).mask().expect("our own run lengths are good"), mask);
        let _ = (mask.bounding_box(), mask.area());
    }
});
