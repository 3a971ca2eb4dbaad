//! GIT against transformers 5.23 (tests/reference/git.py).

use super::open;
use crate::testing::{answers_what_the_reference_answers, sees_what_the_reference_sees};

/// An output matrix of its own, and limits that the checkpoint states with beams; the table of tokens.
const KINDS: [&str; 2] = ["caption/git", "caption/git-tied"];

#[test]
fn the_image_encoder_is_that_of_the_reference() {
    KINDS.iter().for_each(|kind| sees_what_the_reference_sees(kind, open, "projected"));
}

#[test]
fn texts_are_those_of_the_reference() {
    KINDS.iter().for_each(|kind| answers_what_the_reference_answers(kind, open));
}
