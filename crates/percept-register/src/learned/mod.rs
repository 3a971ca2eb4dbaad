//! Matches by a transformer that was trained on drawn scenes (`tests/reference/train_register_matcher.py`).

mod input;

pub use input::{Nodes, Seen, see};
