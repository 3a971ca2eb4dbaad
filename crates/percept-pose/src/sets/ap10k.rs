//! AP-10K: 17 keypoints of animals (Yu et al. 2021, arXiv 2108.12617).

use super::Table;

/// As its annotations and mmpose define them.
#[rustfmt::skip]
pub(super) const AP10K: Table = Table {
    names: &[
        "left_eye", "right_eye", "nose", "neck", "root_of_tail", "left_shoulder", "left_elbow",
        "left_front_paw", "right_shoulder", "right_elbow", "right_front_paw", "left_hip", "left_knee",
        "left_back_paw", "right_hip", "right_knee", "right_back_paw",
    ],
    flip_pairs: &[
        [0, 1], [5, 8], [6, 9], [7, 10], [11, 14], [12, 15], [13, 16],
    ],
    skeleton: &[
        [0, 1], [0, 2], [1, 2], [2, 3], [3, 4], [3, 5], [5, 6], [6, 7], [3, 8], [8, 9], [9, 10], [4, 11],
        [11, 12], [12, 13], [4, 14], [14, 15], [15, 16],
    ],
    sigmas: &[
        0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089,
        0.107, 0.087, 0.089,
    ],
};
