//! What the tests of several architectures need.

use std::sync::Arc;

use percept_core::segment::{Image, SegmentInput, SegmentOptions, SegmentRequest};

/// A picture and what is asked of it.
pub(crate) fn input(image: &Arc<Image>, request: SegmentRequest) -> SegmentInput {
    let options = Arc::new(SegmentOptions { request, ..SegmentOptions::default() });
    SegmentInput { image: image.clone(), options }
}
