//! YOLOS against transformers 5.23 (tests/reference/yolos.py).

use super::network::Network;
use crate::golden::{arch, network, pictures};

#[test]
fn networks_answer_as_the_reference_does() {
    network::<Network>("yolos/plain", 5);
    network::<Network>("yolos/mid", 5);
}

#[test]
fn pictures_are_answered_as_the_reference_does() {
    pictures(arch("yolos"), "yolos/plain", 0.3);
    pictures(arch("yolos"), "yolos/mid", 0.3);
}
