//! MPII Human Pose: 16 keypoints of people (Andriluka et al. 2014). Its sigmas are mmpose's, adapted from COCO.

use super::Table;

/// As mmpose defines them.
#[rustfmt::skip]
pub(super) const MPII: Table = Table {
    names: &[
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
        "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder",
        "left_elbow", "left_wrist",
    ],
    flip_pairs: &[
        [5, 0], [4, 1], [3, 2], [15, 10], [14, 11], [13, 12],
    ],
    skeleton: &[
        [0, 1], [1, 2], [2, 6], [6, 3], [3, 4], [4, 5], [6, 7], [7, 8], [8, 9], [8, 12], [12, 11], [11, 10],
        [8, 13], [13, 14], [14, 15],
    ],
    sigmas: &[
        0.089, 0.083, 0.107, 0.107, 0.083, 0.089, 0.026, 0.026, 0.026, 0.026, 0.062, 0.072, 0.179, 0.179,
        0.072, 0.062,
    ],
};
