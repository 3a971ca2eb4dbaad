//! Captions as the bytes of files.

use std::fmt::Write;

use percept_core::caption::{Caption, Captions, Rank};
use percept_core::{Error, Result};
use percept_detect::format::DetectionRecord;
use quick_xml::escape::escape;
use serde::Serialize;

use super::Format;
use crate::output::Rendered;

/// The `result` of percept's own JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaptionRecord {
    /// Columns of the displayed picture.
    width: u32,
    /// Rows of the displayed picture.
    height: u32,
    /// Best first.
    captions: Vec<Caption>,
    /// What is where, for tasks that name places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    regions: Vec<DetectionRecord>,
    /// Texts that were to be ranked, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranks: Vec<Rank>,
}

impl CaptionRecord {
    /// Of all that was said.
    pub fn new(said: &Captions) -> Self {
        let regions = said.regions.iter().zip(1..).map(|(region, id)| DetectionRecord::new(region, id));
        Self {
            width: said.width,
            height: said.height,
            captions: said.captions.clone(),
            regions: regions.collect(),
            ranks: said.ranks.clone(),
        }
    }
}

/// The bytes of a format; [`Format::Json`] is an envelope around [`CaptionRecord`], which the caller makes.
///
/// # Errors
/// [`Error::Argument`]: the format cannot hold the result.
pub fn render(said: &Captions, format: Format) -> Result<Rendered> {
    let text = match format {
        Format::Json => return Err(Error::argument("this format is settled elsewhere")),
        Format::Txt if !said.ranks.is_empty() => ranked(&said.ranks),
        Format::Txt => best(said) + "\n",
        Format::Xmp if !said.ranks.is_empty() => {
            return Err(Error::argument("ranked texts are no description for XMP"));
        }
        Format::Xmp => xmp(&best(said)),
    };
    Ok(Rendered::File(text.into_bytes()))
}

/// On one line, whatever a model says.
fn best(said: &Captions) -> String {
    let text = said.captions.first().map_or("", |caption| &caption.text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line a text: probability, tab, text; best first.
fn ranked(ranks: &[Rank]) -> String {
    let mut ranks: Vec<&Rank> = ranks.iter().collect();
    ranks.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    ranks.iter().fold(String::new(), |mut lines, rank| {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{:.4}\t{}", rank.probability, rank.text);
        lines
    })
}

/// An XMP sidecar with `dc:description` (ISO 16684-1; XMP Specification Part 1, 8.3).
fn xmp(description: &str) -> String {
    // XML has no letters below the blank but tab and line ends.
    let plain: String = description.chars().filter(|letter| !letter.is_control()).collect();
    format!(
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n  \
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n   <dc:description>\n    \
         <rdf:Alt>\n     <rdf:li xml:lang=\"x-default\">{}</rdf:li>\n    </rdf:Alt>\n   </dc:description>\n  \
         </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n",
        escape(plain)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Captions {
        Captions {
            captions: vec![Caption { text: text.into(), ..Caption::default() }],
            ..Captions::default()
        }
    }

    fn text(said: &Captions, format: Format) -> String {
        match render(said, format).unwrap() {
            Rendered::File(bytes) => String::from_utf8(bytes).unwrap(),
            Rendered::Folder(_) => panic!("a file"),
        }
    }

    #[test]
    fn a_text_is_one_line() {
        assert_eq!(text(&said("a dog\n on a\u{a0}hill "), Format::Txt), "a dog on a hill\n");
        assert_eq!(text(&Captions::default(), Format::Txt), "\n");
    }

    #[test]
    fn what_a_model_says_is_no_markup() {
        let file = text(&said("</rdf:li> & \"\u{1}cats\""), Format::Xmp);
        assert!(file.contains("&lt;/rdf:li&gt; &amp; &quot;cats&quot;</rdf:li>"), "{file}");
    }

    #[test]
    fn ranked_texts_come_best_first() {
        let rank = |text: &str, probability| Rank { text: text.into(), probability };
        let said = Captions { ranks: vec![rank("a cat", 0.25), rank("a dog", 0.75)], ..Captions::default() };
        assert_eq!(text(&said, Format::Txt), "0.7500\ta dog\n0.2500\ta cat\n");
        assert!(render(&said, Format::Xmp).is_err());
    }
}
