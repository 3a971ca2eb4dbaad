//! APT-36K: 17 keypoints of animals in videos (Yang et al. 2022, arXiv 2206.05683). They are AP-10K's, and ViTPose++ trains
//! both with AP-10K's definition; only the expert and the head differ.

use super::{Table, ap10k};

/// As AP-10K's.
pub(super) const APT36K: Table = ap10k::AP10K;
