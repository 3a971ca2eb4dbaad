//! What a model says to a request that it cannot answer.

use percept_core::Error;
use percept_core::segment::{SegmentRequest, WholeKind};

/// The error, which names the models that can.
pub(crate) fn refusal(model: &str, request: &SegmentRequest) -> Error {
    let (what, who) = match request {
        SegmentRequest::Whole(WholeKind::Panoptic) => {
            ("divide a picture into things and stuff", "EoMT and Mask2Former")
        }
        SegmentRequest::Whole(WholeKind::Instance) => ("tell things apart", "EoMT and Mask2Former"),
        SegmentRequest::Whole(_) => ("divide a whole picture", "EoMT, Mask2Former and SegFormer"),
        SegmentRequest::Objects { .. } => ("answer points and boxes", "SAM and SAM 2"),
        SegmentRequest::Everything(_) => ("find everything without classes", "SAM and SAM 2"),
        SegmentRequest::Text(_) => ("read texts", "CLIPSeg models"),
    };
    Error::Argument {
        message: format!("`{model}` cannot {what}"),
        hint: Some(format!("{who} can; `percept models list --task segment` names them")),
    }
}
