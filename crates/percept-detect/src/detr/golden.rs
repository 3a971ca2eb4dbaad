//! DETR against transformers 5.23 (tests/reference/detr.py).

use super::network::Network;
use crate::golden::{arch, network, pictures};

#[test]
fn networks_answer_as_the_reference_does() {
    network::<Network>("detr/sine", 5);
    network::<Network>("detr/learned", 5);
}

#[test]
fn pictures_are_answered_as_the_reference_does() {
    pictures(arch("detr"), "detr/sine", 0.3);
    pictures(arch("detr"), "detr/learned", 0.3);
}
