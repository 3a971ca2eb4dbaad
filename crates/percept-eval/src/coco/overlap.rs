//! How alike an answer and a truth are.

use percept_core::{Error, Result};

use super::read::Object;

/// What is compared.
pub(crate) enum Overlap<'a> {
    /// Boxes, by intersection over union.
    Boxes,
    /// Keypoints, by object keypoint similarity with a sigma a keypoint.
    Keypoints(&'a [f64]),
}

impl Overlap<'_> {
    /// Whether a truth counts neither for nor against, whatever its size.
    pub(crate) fn ignores(&self, truth: &Object) -> bool {
        truth.crowd || (matches!(self, Self::Keypoints(_)) && truth.visible == 0)
    }

    /// An error where an object lacks what is compared.
    pub(crate) fn check(&self, object: &Object, what: &str) -> Result<()> {
        let lacks = |lack: String| {
            Err(Error::argument(format!("{what} {} of image {} {lack}", object.id, object.image)))
        };
        match (self, &object.keypoints) {
            (Self::Boxes, _) if object.bbox.is_none() => lacks("has no box".into()),
            (Self::Keypoints(_), None) => lacks("has no keypoints".into()),
            (Self::Keypoints(sigmas), Some(keypoints)) if keypoints.len() != 3 * sigmas.len() => {
                Err(Error::Argument {
                    message: format!(
                        "{what} {} of image {} has {} numbers for keypoints, and {} sigmas take {}",
                        object.id,
                        object.image,
                        keypoints.len(),
                        sigmas.len(),
                        3 * sigmas.len()
                    ),
                    hint: Some("name the sigmas of other keypoints than COCO's 17 with `--sigmas`".into()),
                })
            }
            _ => Ok(()),
        }
    }

    /// From 0 to 1.
    pub(crate) fn of(&self, found: &Object, truth: &Object) -> f64 {
        match self {
            Self::Boxes => box_iou(found, truth),
            Self::Keypoints(sigmas) => oks(found, truth, sigmas),
        }
    }
}

/// Intersection over union; over the answer's own area where the truth is a crowd (`bbIou` of `maskApi.c`).
fn box_iou(found: &Object, truth: &Object) -> f64 {
    let (Some(d), Some(g)) = (found.bbox, truth.bbox) else { return 0.0 };
    let along = |axis: usize| (d[axis] + d[axis + 2]).min(g[axis] + g[axis + 2]) - d[axis].max(g[axis]);
    let (width, height) = (along(0), along(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let common = width * height;
    let union = if truth.crowd { d[2] * d[3] } else { d[2] * d[3] + g[2] * g[3] - common };
    common / union
}

/// `computeOks`: the mean, over the visible keypoints of the truth, of exp(-d² / (2 (2σ)² area)). Where none is
/// visible, of all keypoints by how far they are from the truth's box, enlarged by its size to all sides.
fn oks(found: &Object, truth: &Object, sigmas: &[f64]) -> f64 {
    let (Some(d), Some(g)) = (&found.keypoints, &truth.keypoints) else { return 0.0 };
    let any_visible = g.chunks_exact(3).any(|point| point[2] > 0.0);
    let bbox = truth.bbox.unwrap_or_default();
    let beyond = |axis: usize, at: f64| {
        let (low, high) = (bbox[axis] - bbox[axis + 2], bbox[axis] + 2.0 * bbox[axis + 2]);
        (low - at).max(0.0) + (at - high).max(0.0)
    };
    let (mut sum, mut count) = (0.0, 0_usize);
    for ((d, g), sigma) in d.chunks_exact(3).zip(g.chunks_exact(3)).zip(sigmas) {
        if any_visible && g[2] <= 0.0 {
            continue;
        }
        let (dx, dy) = match any_visible {
            true => (d[0] - g[0], d[1] - g[1]),
            false => (beyond(0, d[0]), beyond(1, d[1])),
        };
        let variance = (2.0 * sigma).powi(2);
        sum += (-(dx * dx + dy * dy) / variance / (truth.area + f64::EPSILON) / 2.0).exp();
        count += 1;
    }
    sum / count.max(1) as f64
}
