//! COCO-WholeBody: 133 keypoints of people: COCO's 17, 6 of the feet, 68 of the face, 21 of each hand
//! (Jin et al. 2020, arXiv 2007.11858).

use super::Table;

/// As mmpose defines them.
#[rustfmt::skip]
pub(super) const WHOLE_BODY: Table = Table {
    names: &[
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
        "right_knee", "left_ankle", "right_ankle", "left_big_toe", "left_small_toe", "left_heel",
        "right_big_toe", "right_small_toe", "right_heel", "face-0", "face-1", "face-2", "face-3", "face-4",
        "face-5", "face-6", "face-7", "face-8", "face-9", "face-10", "face-11", "face-12", "face-13",
        "face-14", "face-15", "face-16", "face-17", "face-18", "face-19", "face-20", "face-21", "face-22",
        "face-23", "face-24", "face-25", "face-26", "face-27", "face-28", "face-29", "face-30", "face-31",
        "face-32", "face-33", "face-34", "face-35", "face-36", "face-37", "face-38", "face-39", "face-40",
        "face-41", "face-42", "face-43", "face-44", "face-45", "face-46", "face-47", "face-48", "face-49",
        "face-50", "face-51", "face-52", "face-53", "face-54", "face-55", "face-56", "face-57", "face-58",
        "face-59", "face-60", "face-61", "face-62", "face-63", "face-64", "face-65", "face-66", "face-67",
        "left_hand_root", "left_thumb1", "left_thumb2", "left_thumb3", "left_thumb4", "left_forefinger1",
        "left_forefinger2", "left_forefinger3", "left_forefinger4", "left_middle_finger1",
        "left_middle_finger2", "left_middle_finger3", "left_middle_finger4", "left_ring_finger1",
        "left_ring_finger2", "left_ring_finger3", "left_ring_finger4", "left_pinky_finger1",
        "left_pinky_finger2", "left_pinky_finger3", "left_pinky_finger4", "right_hand_root", "right_thumb1",
        "right_thumb2", "right_thumb3", "right_thumb4", "right_forefinger1", "right_forefinger2",
        "right_forefinger3", "right_forefinger4", "right_middle_finger1", "right_middle_finger2",
        "right_middle_finger3", "right_middle_finger4", "right_ring_finger1", "right_ring_finger2",
        "right_ring_finger3", "right_ring_finger4", "right_pinky_finger1", "right_pinky_finger2",
        "right_pinky_finger3", "right_pinky_finger4",
    ],
    flip_pairs: &[
        [1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12], [13, 14], [15, 16], [17, 20], [18, 21], [19, 22],
        [23, 39], [24, 38], [25, 37], [26, 36], [27, 35], [28, 34], [29, 33], [30, 32], [40, 49], [41, 48],
        [42, 47], [43, 46], [44, 45], [54, 58], [55, 57], [59, 68], [60, 67], [61, 66], [62, 65], [63, 70],
        [64, 69], [71, 77], [72, 76], [73, 75], [78, 82], [79, 81], [83, 87], [84, 86], [88, 90], [91, 112],
        [92, 113], [93, 114], [94, 115], [95, 116], [96, 117], [97, 118], [98, 119], [99, 120], [100, 121],
        [101, 122], [102, 123], [103, 124], [104, 125], [105, 126], [106, 127], [107, 128], [108, 129],
        [109, 130], [110, 131], [111, 132],
    ],
    skeleton: &[
        [15, 13], [13, 11], [16, 14], [14, 12], [11, 12], [5, 11], [6, 12], [5, 6], [5, 7], [6, 8], [7, 9],
        [8, 10], [1, 2], [0, 1], [0, 2], [1, 3], [2, 4], [3, 5], [4, 6], [15, 17], [15, 18], [15, 19],
        [16, 20], [16, 21], [16, 22], [91, 92], [92, 93], [93, 94], [94, 95], [91, 96], [96, 97], [97, 98],
        [98, 99], [91, 100], [100, 101], [101, 102], [102, 103], [91, 104], [104, 105], [105, 106],
        [106, 107], [91, 108], [108, 109], [109, 110], [110, 111], [112, 113], [113, 114], [114, 115],
        [115, 116], [112, 117], [117, 118], [118, 119], [119, 120], [112, 121], [121, 122], [122, 123],
        [123, 124], [112, 125], [125, 126], [126, 127], [127, 128], [112, 129], [129, 130], [130, 131],
        [131, 132],
    ],
    sigmas: &[
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087,
        0.087, 0.089, 0.089, 0.068, 0.066, 0.066, 0.092, 0.094, 0.094, 0.042, 0.043, 0.044, 0.043, 0.04,
        0.035, 0.031, 0.025, 0.02, 0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045, 0.013, 0.012,
        0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015, 0.009, 0.007, 0.007, 0.007, 0.012, 0.009,
        0.008, 0.016, 0.01, 0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.01,
        0.034, 0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.01, 0.008, 0.009, 0.009, 0.009, 0.007, 0.007,
        0.008, 0.011, 0.008, 0.008, 0.008, 0.01, 0.008, 0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025,
        0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.02, 0.019, 0.022, 0.031,
        0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017,
        0.021, 0.021, 0.032, 0.02, 0.019, 0.022, 0.031,
    ],
};
