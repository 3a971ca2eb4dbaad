//! The page, read as browsers read it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use html5gum::{DefaultEmitter, Token, Tokenizer};
use percept_core::segment::{Image, Label, Mask, Orientation, Segmentation, SegmentationKind};
use percept_flow::{Content, OutputRecord, PathRecord, Record};
use percept_media::draw;
use percept_media::picture::{self, PictureLimits, PictureSource};
use percept_segment::format::{SegmentRecord, Standing};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::report;
use crate::collect::tests::{done, failed};

const HOSTILE: &str = "</script><img src=x onerror=alert(1)>.png";

/// What a browser's tokenizer makes of a page.
struct Page {
    tags: Vec<(String, BTreeMap<String, String>)>,
    /// What stands in elements of a name, one behind the other.
    texts: Vec<(String, String)>,
    shown: usize,
}

impl Page {
    fn of(records: &[Record]) -> Self {
        let mut bytes = Vec::new();
        let shown = report(records, Path::new(""), &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("{{"), "a placeholder is left");
        let mut emitter = DefaultEmitter::default();
        // Script, style and title hold text whatever stands in it.
        emitter.naively_switch_states(true);
        let word = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (mut tags, mut texts) = (Vec::new(), Vec::<(String, String)>::new());
        for token in Tokenizer::new_with_emitter(&text, emitter) {
            match token.unwrap() {
                Token::StartTag(tag) => {
                    let attributes =
                        tag.attributes.iter().map(|(name, value)| (word(name), word(&value.value)));
                    texts.push((word(&tag.name), String::new()));
                    tags.push((word(&tag.name), attributes.collect()));
                }
                Token::String(text) => {
                    if let Some((_, last)) = texts.last_mut() {
                        last.push_str(&word(&text.value));
                    }
                }
                Token::EndTag(_) => texts.push((String::new(), String::new())),
                Token::Doctype(_) => {}
                Token::Comment(comment) => panic!("a comment: {comment:?}"),
                Token::Error(error) => panic!("{error:?}"),
            }
        }
        Self { tags, texts, shown }
    }

    fn count(&self, name: &str) -> usize {
        self.tags.iter().filter(|(tag, _)| tag == name).count()
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts.iter().filter(move |(tag, _)| tag == name).map(|(_, text)| text.as_str())
    }

    fn attribute(&self, tag: &str, name: &str) -> Vec<&str> {
        let of = self.tags.iter().filter(|(found, _)| found == tag);
        of.filter_map(|(_, attributes)| attributes.get(name).map(String::as_str)).collect()
    }

    /// All text of the page that is read without a script.
    fn text(&self) -> String {
        let hidden = |name: &String| ["script", "style"].contains(&name.as_str());
        self.texts.iter().filter(|(name, _)| !hidden(name)).map(|(_, text)| text.as_str()).collect()
    }

    fn items(&self) -> Vec<Value> {
        let items: Vec<Value> = serde_json::from_str(self.all("script").next().unwrap()).unwrap();
        assert_eq!(items.len(), self.shown);
        items
    }
}

/// A record whose input lies at `input`.
fn at(record: Record, input: &Path) -> Record {
    let content = std::fs::read(input).ok().map(|bytes| Content {
        bytes: bytes.len() as u64,
        sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
    });
    Record { input: percept_flow::InputRecord { path: PathRecord::of(input), content }, ..record }
}

fn grey(width: u32, height: u32) -> Image {
    Image::new(width, height, vec![100; 3 * (width * height) as usize])
}

/// The left half of a picture is a thing.
fn left_half(width: u32, height: u32, name: &str) -> SegmentRecord {
    let pixels: Vec<u8> = (0..width * height).map(|at| u8::from(at % width < width / 2)).collect();
    let label = Some(Label { id: 3, name: name.into() });
    let mask = Mask::from_pixels(width, height, &pixels);
    let instances = vec![percept_core::segment::Instance::new(1, mask, 0.75, label)];
    SegmentRecord::new(&Segmentation { width, height, kind: SegmentationKind::Instance, instances })
}

/// The pixels of an item's thumbnail.
fn thumbnail(item: &Value) -> Image {
    let source = item["picture"]["source"].as_str().unwrap();
    let bytes = source.strip_prefix("data:image/jpeg;base64,").unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    picture::read(PictureSource::Path(file.path().into()), PictureLimits::default()).unwrap().0
}

fn near(image: &Image, (x, y): (u32, u32), want: [u8; 3]) -> bool {
    let found = &image.rgb[3 * (y * image.width + x) as usize..][..3];
    found.iter().zip(want).all(|(found, want)| found.abs_diff(want) < 12)
}

fn tinted() -> [u8; 3] {
    draw::color(0).map(|value| (100.0 + 0.4 * (f32::from(value) - 100.0)) as u8)
}

#[test]
fn a_page_without_anything_is_a_page() {
    let page = Page::of(&[]);
    assert_eq!((page.items().len(), page.count("script"), page.count("noscript")), (0, 2, 1));
    assert_eq!(page.all("title").next(), Some("percept nothing: 0 done, 0 failed"));
    assert_eq!(page.attribute("dl", "data-done"), ["0"]);
    assert_eq!(page.count("ol") + page.count("table"), 0, "no failures, no times");
}

#[test]
fn hostile_texts_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    let text = "<!--<script>\u{2028}\"&'";
    let speech = json!({
        "text": text, "language": "en", "language_probability": null, "duration": 2.0, "dropped": [],
        "segments": [{
            "id": 0, "start": 0.5, "end": 1.5, "text": text, "tokens": [], "temperature": 0.0,
            "avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0,
        }],
    });
    let picture = folder.path().join("a.png");
    std::fs::write(&picture, picture::encode_png(&grey(20, 10)).unwrap()).unwrap();
    let segments = serde_json::to_value(left_half(20, 10, HOSTILE)).unwrap();
    let mut named = done(folder.path(), "transcribe", "a", speech);
    named.input.path = PathRecord { path: HOSTILE.into(), path_bytes: None };
    named.identity.model.id = HOSTILE.into();
    named.identity.parameters = HOSTILE.into();
    let mut broken = failed("segment", HOSTILE);
    broken.error = Some(text.into());
    let page = Page::of(&[named, broken, at(done(folder.path(), "segment", "b", segments), &picture)]);
    assert_eq!((page.count("img"), page.count("script"), page.count("style")), (0, 2, 1));
    assert!(page.tags.iter().all(|(_, attributes)| attributes.keys().all(|name| !name.starts_with("on"))));
    let items = page.items();
    assert_eq!(
        (&items[0]["name"], &items[0]["speech"]["segments"][0]["text"]),
        (&json!(HOSTILE), &json!(text))
    );
    assert_eq!(items[1]["found"][0]["class"], HOSTILE);
    for said in [HOSTILE, text] {
        assert!(page.text().contains(said), "{said} is to be read");
    }
    // A name is no address of another kind.
    let links = page.attribute("a", "href");
    assert!(links.contains(&"%3C/script%3E%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E.png"), "{links:?}");
}

#[test]
fn nothing_but_the_page_itself_may_run() {
    let page = Page::of(&[failed("segment", "a.png")]);
    let policy = page.attribute("meta", "content")[0];
    let digest = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    let script = page.all("script").last().unwrap();
    assert!(
        script.len() > 1000 && policy.contains(&format!("script-src 'sha256-{}'", digest(script))),
        "{policy}"
    );
    let style = page.all("style").next().unwrap();
    assert!(policy.contains(&format!("style-src 'sha256-{}'", digest(style))), "{policy}");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let outside = page.tags.iter().filter(|(_, attributes)| attributes.contains_key("src"));
    assert_eq!(outside.count(), 0);
    assert_eq!(page.count("link"), 0);
}

#[test]
fn failures_stand_first_with_their_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let fine = done(folder.path(), "transcribe", "fine.wav", json!({}));
    let mut second = failed("transcribe", "sub/b.wav");
    second.error = Some("cannot read `sub/b.wav`: it is empty".into());
    let page = Page::of(&[failed("transcribe", "a.wav"), fine, second]);
    let why: Vec<&str> = page
        .tags
        .iter()
        .zip(page.texts.iter().filter(|(name, _)| !name.is_empty()))
        .filter(|((_, attributes), _)| attributes.get("class").is_some_and(|class| class == "why"))
        .map(|(_, (_, text))| text.as_str())
        .collect();
    assert_eq!(why, ["broken", "cannot read `sub/b.wav`: it is empty"]);
    assert_eq!(&page.attribute("a", "href")[1..], ["a.wav", "sub/b.wav"]);
    let place = |name: &str| page.tags.iter().position(|(tag, _)| tag == name).unwrap();
    assert!(place("ol") < place("table") && place("ol") < place("main"));
    assert_eq!(page.items().len(), 1);
    assert_eq!(page.all("title").next(), Some("percept transcribe: 1 done, 2 failed"));
}

#[test]
fn thumbnails_have_the_masks() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.png");
    std::fs::write(&picture, picture::encode_png(&grey(1000, 500)).unwrap()).unwrap();
    let result = serde_json::to_value(left_half(1000, 500, "cat")).unwrap();
    let record = at(done(folder.path(), "segment", "a", result.clone()), &picture);
    let changed = Record {
        input: percept_flow::InputRecord {
            content: Some(Content { bytes: 1, sha256: "0".repeat(64) }),
            ..record.input.clone()
        },
        ..record.clone()
    };
    let gone = at(record.clone(), &folder.path().join("gone.png"));
    let items = Page::of(&[record, changed, gone]).items();
    let image = thumbnail(&items[0]);
    assert_eq!((image.size(), &items[0]["picture"]["of"]), ((320, 160), &json!([1000, 500])));
    assert!(near(&image, (80, 80), tinted()) && near(&image, (240, 80), [100; 3]));
    let [red, green, blue] = draw::color(0);
    let found = json!([{"class": "cat", "score": 0.75, "area": 250_000, "color": format!("#{red:02x}{green:02x}{blue:02x}")}]);
    assert_eq!(items[0]["found"], found);
    assert!(items[0].get("notes").is_none());

    let image = thumbnail(&items[1]);
    assert!(near(&image, (80, 80), [100; 3]), "another picture's masks");
    assert!(items[1]["notes"][0].as_str().unwrap().contains("has changed"));
    assert!(items[2].get("picture").is_none() && items[2]["found"] == found);
    assert!(items[2]["notes"][0].as_str().unwrap().contains("gone.png"));
}

#[test]
fn masks_of_the_stored_picture_are_turned() {
    let folder = tempfile::tempdir().unwrap();
    for orientation in Orientation::all() {
        // A JPEG with an EXIF header that turns it.
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation.value(), 0, 0, 0, 0, 0, 0, 0]);
        let mut bytes = picture::encode_jpeg(&grey(200, 100), 90).unwrap();
        let segment = [&[0xff, 0xe1, 0, exif.len() as u8 + 2][..], &exif].concat();
        bytes.splice(2..2, segment);
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, bytes).unwrap();
        let mut result = left_half(200, 100, "cat");
        result.standing = Standing::Stored;
        let record = at(done(folder.path(), "segment", "a", serde_json::to_value(result).unwrap()), &path);
        let image = thumbnail(&Page::of(&[record]).items()[0]);
        assert_eq!(image.size(), orientation.turned((200, 100)), "{orientation:?}");
        for (x, y) in [(20, 20), (image.width - 20, 20), (20, image.height - 20)] {
            let (column, _) = orientation.stored_pixel((x, y), (200, 100));
            let want = if column < 100 { tinted() } else { [100; 3] };
            assert!(near(&image, (x, y), want), "{orientation:?} at {x}, {y}");
        }
    }
}

#[test]
fn a_run_without_json_shows_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("a.txt");
    std::fs::write(&text, "what was said").unwrap();
    let outputs = vec![OutputRecord { path: PathRecord::of(&text), sha256: "abc".into() }];
    let record = Record { outputs, ..done(folder.path(), "transcribe", "a.wav", json!({})) };
    let page = Page::of(&[record]);
    let items = page.items();
    assert_eq!((&items[0]["text"], &items[0]["sound"]), (&json!("what was said"), &json!(true)));
    assert_eq!(items[0]["outputs"][0][0], "txt");
    assert!(page.text().contains("The run wrote no JSON"));
    // Nor is anything known where the JSON cannot be found, as from another folder; but for another reason.
    let record = done(folder.path(), "transcribe", "b.wav", json!({}));
    std::fs::remove_file(record.outputs[0].path.to_path()).unwrap();
    let page = Page::of(&[record]);
    let note = page.items()[0]["notes"][0].as_str().unwrap().to_owned();
    assert!(note.contains("cannot read") && note.contains("b.wav.json"), "{note}");
    assert!(page.text().contains(&note) && !page.text().contains("wrote no JSON"));
}

#[test]
fn a_page_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let one = Record { outputs: vec![], ..done(folder.path(), "transcribe", "a.wav", json!({})) };
    let many: Vec<Record> = (0..5_003).map(|_| one.clone()).collect();
    let page = Page::of(&many);
    assert_eq!((page.shown, page.items().len()), (5_000, 5_000));
    assert_eq!(page.attribute("dl", "data-done"), ["5003"]);
    let lost: Vec<Record> = (0..2_100).map(|_| failed("transcribe", "a.wav")).collect();
    let page = Page::of(&lost);
    assert_eq!(page.count("li"), 2_000);
    assert!(page.text().contains("And 100 more"));
}
