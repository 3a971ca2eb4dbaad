//! A sentence to words, as the Penn Treebank divides them and COCO's evaluation takes them: small letters, clitics apart
//! (`do n't`, `dog 's`), no punctuation. Stanford's tokenizer, which that evaluation runs, is a Java program; what it does to
//! abbreviations, numbers and addresses is not done here.

/// What is taken from the end of a word.
const CLITICS: [&str; 7] = ["n't", "'s", "'re", "'ve", "'ll", "'m", "'d"];

pub(super) fn split(sentence: &str) -> Vec<String> {
    let lower = sentence.to_lowercase().replace('\u{2019}', "'");
    let mut words = Vec::new();
    for piece in lower.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '\'' | '-')) {
        let word = piece.trim_matches(['\'', '-']);
        if word.is_empty() {
            continue;
        }
        // `dogs'` has lost its sign already; the clitic of `dog's` stands behind the word.
        match CLITICS.iter().find_map(|clitic| Some((word.strip_suffix(clitic)?, *clitic))) {
            Some((stem, clitic)) if !stem.is_empty() => words.extend([stem.to_owned(), clitic.to_owned()]),
            _ => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_goes_and_clitics_stand_alone() {
        assert_eq!(
            split("A man's dog -- \"Rex\", isn't it?"),
            ["a", "man", "'s", "dog", "rex", "is", "n't", "it"]
        );
        assert_eq!(split("a two-way street's dogs'"), ["a", "two-way", "street", "'s", "dogs"]);
        assert_eq!(split(" . , "), Vec::<String>::new());
    }
}
