//! Boxes from a file: whose poses are wanted.
//!
//! [`read`] knows two forms by their shape:
//!
//! - percept's own detections, an object with `result.detections` (or `detections` itself), each
//!   `{"label": {"id", "name"}, "score", "box_xyxy": [left, top, right, bottom]}`; `box` is taken for `box_xyxy`, and
//!   `label` and `score` may be absent or null;
//! - a list like COCO's results: `[{"bbox": [left, top, width, height], "score"}]`, or an object whose `annotations` is
//!   such a list; `score` may be absent.

use percept_core::pose::{Label, Subject};
use percept_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// More boxes than this in one picture are no boxes of subjects.
const MOST: usize = 100_000;

/// One box of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSubject {
    /// What it shows.
    pub subject: Subject,
    /// Which picture it is of, where the file says so: COCO's `image_id`, as text.
    pub image: Option<String>,
}

#[derive(Deserialize)]
struct Detected {
    label: Option<Label>,
    score: Option<f32>,
    #[serde(alias = "box")]
    box_xyxy: [f32; 4],
}

#[derive(Deserialize)]
struct CocoBox {
    bbox: [f32; 4],
    score: Option<f32>,
    image_id: Option<Value>,
}

/// Reads the text of a file, in its order.
///
/// # Errors
/// [`Error::Argument`]: it is no JSON, has neither form, or a box has no extent or a number that is not finite.
pub fn read(text: &str) -> Result<Vec<FileSubject>> {
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| wrong(format!("boxes are no JSON: {error}")))?;
    let detections = [value.pointer("/result/detections"), value.get("detections")];
    let subjects = if let Some(list) = detections.into_iter().flatten().next() {
        all(list, |detected: Detected| {
            let Detected { label, score, box_xyxy } = detected;
            let subject = Subject { bounding_box: box_xyxy, score: score.unwrap_or(1.0), label };
            FileSubject { subject, image: None }
        })?
    } else if let Some(list) =
        [Some(&value), value.get("annotations")].into_iter().flatten().find(|v| v.is_array())
    {
        all(list, |CocoBox { bbox: [left, top, width, height], score, image_id }: CocoBox| {
            let bounding_box = [left, top, left + width, top + height];
            let image = image_id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
            FileSubject { subject: Subject { bounding_box, score: score.unwrap_or(1.0), label: None }, image }
        })?
    } else {
        return Err(wrong("boxes have neither `result.detections` nor are they a list".into()));
    };
    for (index, FileSubject { subject: Subject { bounding_box, score, .. }, .. }) in
        subjects.iter().enumerate()
    {
        let [left, top, right, bottom] = bounding_box;
        // A number too large for f32 is infinite.
        if !bounding_box.iter().all(|at| at.is_finite()) || left >= right || top >= bottom {
            return Err(wrong(format!(
                "box {} (left, top, right, bottom: {bounding_box:?}) has no extent",
                index + 1
            )));
        }
        if !(0.0..=1.0).contains(score) {
            return Err(wrong(format!("the score of box {} is {score}, not 0 to 1", index + 1)));
        }
    }
    Ok(subjects)
}

fn all<T: for<'a> Deserialize<'a>>(
    list: &Value,
    subject: impl Fn(T) -> FileSubject,
) -> Result<Vec<FileSubject>> {
    let list = list.as_array().ok_or_else(|| wrong("`detections` is no list".into()))?;
    if list.len() > MOST {
        return Err(wrong(format!("{} boxes are more than {MOST}", list.len())));
    }
    let read = |(index, entry): (usize, &Value)| {
        let entry = T::deserialize(entry).map_err(|error| wrong(format!("box {}: {error}", index + 1)))?;
        Ok(subject(entry))
    };
    list.iter().enumerate().map(read).collect()
}

fn wrong(message: String) -> Error {
    Error::Argument {
        message,
        hint: Some(
            "a file of boxes is what `percept detect` writes, or `[{\"bbox\": [left, top, width, height]}]`"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxes(text: &str) -> Vec<[f32; 4]> {
        read(text).unwrap().into_iter().map(|one| one.subject.bounding_box).collect()
    }

    #[test]
    fn our_own_detections_are_read() {
        let text = r#"{"schema": "percept/1", "task": "detect", "result": {"width": 9, "height": 9, "detections": [
            {"label": {"id": 17, "name": "cat"}, "score": 0.5, "box_xyxy": [1, 2.5, 3, 4], "more": []},
            {"label": null, "box": [0, 0, 2, 2]}]}}"#;
        let found = read(text).unwrap();
        let cat = Subject {
            bounding_box: [1.0, 2.5, 3.0, 4.0],
            score: 0.5,
            label: Some(Label { id: 17, name: "cat".into() }),
        };
        assert_eq!(found[0], FileSubject { subject: cat, image: None });
        assert_eq!((found[1].subject.score, found[1].subject.label.clone()), (1.0, None));
        assert_eq!(boxes(r#"{"detections": []}"#), [[0.0; 4]; 0]);
    }

    #[test]
    fn lists_like_cocos_are_read() {
        let text = r#"[{"bbox": [1, 2, 10, 20]}, {"bbox": [0.5, 0, 1, 1], "score": 0.25, "image_id": 7}]"#;
        assert_eq!(boxes(text), [[1.0, 2.0, 11.0, 22.0], [0.5, 0.0, 1.5, 1.0]]);
        assert_eq!(read(text).unwrap()[1].image.as_deref(), Some("7"));
        assert_eq!(boxes(&format!("{{\"annotations\": {text}}}")), boxes(text));
        assert_eq!(boxes(&format!("\u{feff}{text}")), boxes(text));
    }

    #[test]
    fn what_is_no_box_is_an_error_that_names_it() {
        for (text, says) in [
            ("[{", "no JSON"),
            ("{\"result\": {}}", "neither"),
            ("7", "neither"),
            ("{\"detections\": 7}", "no list"),
            (r#"[{"bbox": [1, 2, 3, 4]}, {"bbox": [1, 2, 3]}]"#, "box 2"),
            (r#"[{"box_xyxy": [1, 2, 3, 4]}]"#, "bbox"),
            (r#"[{"bbox": [1, 2, 0, 4]}]"#, "no extent"),
            (r#"[{"bbox": [1, 2, -3, 4]}]"#, "no extent"),
            (r#"[{"bbox": [1e39, 2, 3, 4]}]"#, "no extent"),
            (r#"[{"bbox": [1, 2, null, 4]}]"#, "box 1"),
            (r#"[{"bbox": [1, 2, 3, 4], "score": 7}]"#, "score of box 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(says) && error.hint().is_some(), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_boxes_or_an_error(text in ".{0,60}") {
            let _ = read(&text);
        }
    }
}
