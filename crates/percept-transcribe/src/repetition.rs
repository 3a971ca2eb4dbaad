//! Text that goes round in circles.

/// A stretch that says one thing again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    /// Where the first repeat begins: what stands before is said once.
    pub(crate) start: usize,
    /// Behind the last repeat.
    pub(crate) end: usize,
}

/// Times a phrase must stand in a row, by its length in tokens: people do say "no, no, no, no".
fn limit(period: usize) -> usize {
    match period {
        1 => 8,
        2..=3 => 6,
        4..=7 => 4,
        _ => 3,
    }
}

/// The first phrase that stands more often in a row than people talk. Phrases of up to a third of
/// the tokens are looked for.
pub(crate) fn find<T: PartialEq>(tokens: &[T]) -> Option<Loop> {
    (1..=tokens.len() / 3).filter_map(|period| find_period(tokens, period)).min_by_key(|found| found.start)
}

fn find_period<T: PartialEq>(tokens: &[T], period: usize) -> Option<Loop> {
    let mut run = 0;
    for index in period..=tokens.len() {
        if index < tokens.len() && tokens[index] == tokens[index - period] {
            run += 1;
            continue;
        }
        // `run` equal tokens at a distance of `period` are `run / period` repeats of a phrase.
        if run / period + 1 >= limit(period) {
            return Some(Loop { start: index - run, end: index });
        }
        run = 0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        text.split(' ').collect()
    }

    #[test]
    fn a_loop_is_found_behind_what_is_said_once() {
        let text = format!("we begin here{}", " and so it goes on".repeat(5));
        let found = find(&words(&text)).unwrap();
        assert_eq!(found, Loop { start: 3 + 5, end: 3 + 25 });
    }

    #[test]
    fn people_may_repeat_themselves() {
        for text in ["no no no no no", "Ever tried. Ever failed. No matter. Try again. Fail again.", "", "a"]
        {
            assert_eq!(find(&words(text)), None, "{text}");
        }
    }

    #[test]
    fn one_word_for_ever_is_a_loop() {
        let text = vec!["you"; 20];
        assert_eq!(find(&text), Some(Loop { start: 1, end: 20 }));
    }
}
