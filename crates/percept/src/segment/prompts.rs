//! Prompts from files.

use std::path::Path;

use percept_core::segment::{MaskPrompt, ObjectPrompt};
use percept_core::{Error, RawTensor, RawValues, Result};
use percept_media::raw;

/// Names of mask logits in what `--raw` writes.
const LOW_RESOLUTION: [&str; 2] = ["pred_masks", "low_res_masks"];

/// Reads objects to look for: `[{"points": [[x, y, 1], [x, y, 0]], "box": [x0, y0, x1, y1]}, ...]`, in pixels of the
/// displayed picture.
///
/// # Errors
/// [`Error::Input`]: the file cannot be read, or is not of this form.
pub fn objects(path: &Path) -> Result<Vec<ObjectPrompt>> {
    let text = std::fs::read(path).map_err(|error| Error::input(path, error))?;
    let objects: Vec<ObjectPrompt> = serde_json::from_slice(&text).map_err(|error| Error::Input {
        path: path.to_owned(),
        cause: error.into(),
        hint: Some(r#"it should be [{"points": [[x, y, 1]], "box": [x0, y0, x1, y1]}, ...]"#.into()),
    })?;
    let wrong = |what: &str| Error::input(path, what.to_owned());
    if objects.is_empty() {
        return Err(wrong("it has no objects"));
    }
    for object in &objects {
        if object.points.is_empty() && object.bounding_box.is_none() {
            return Err(wrong("an object has neither points nor a box"));
        }
        let numbers = object.points.iter().flat_map(|point| [point.x, point.y]);
        if numbers.chain(object.bounding_box.into_iter().flatten()).any(|number| !number.is_finite()) {
            return Err(wrong("a coordinate is no number"));
        }
        if object.bounding_box.is_some_and(|[x0, y0, x1, y1]| x0 >= x1 || y0 >= y1) {
            return Err(wrong("a box has no area; it is [left, top, right, bottom]"));
        }
    }
    Ok(objects)
}

/// The masks of an earlier answer that `--raw` wrote, one an object: of each object's candidates the best.
///
/// # Errors
/// [`Error::Input`]: the file cannot be read, or has no `pred_masks`.
pub fn mask_prompt(path: &Path) -> Result<Vec<MaskPrompt>> {
    let tensors = raw::read(path)?;
    let floats = |name: &str| {
        tensors.iter().find_map(|tensor| match tensor {
            RawTensor { name: found, shape, values: RawValues::F32(values) } if found == name => {
                Some((shape.as_slice(), values.as_slice()))
            }
            _ => None,
        })
    };
    let masks = LOW_RESOLUTION.iter().find_map(|name| floats(name));
    let Some((&[.., candidates, rows, side], logits)) = masks.filter(|(shape, values)| {
        shape.len() >= 3 && shape[shape.len() - 1] == shape[shape.len() - 2] && !values.is_empty()
    }) else {
        return Err(Error::Input {
            path: path.to_owned(),
            cause: "it has no square mask logits called `pred_masks`".into(),
            hint: Some("write it with `percept segment --point X,Y --raw FILE`".into()),
        });
    };
    let scores = floats("iou_scores").map(|(_, scores)| scores).unwrap_or_default();
    let of_object = |(object, logits): (usize, &[f32])| {
        let score = |candidate: &usize| scores.get(object * candidates + candidate).copied().unwrap_or(0.0);
        let best = (0..candidates).rev().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or(0);
        MaskPrompt { side, logits: logits[best * rows * side..][..rows * side].to_vec() }
    };
    Ok(logits.chunks_exact(candidates * rows * side).enumerate().map(of_object).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_and_nonsense_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            objects(&path)
        };
        let found = read(r#"[{"points": [[1, 2], [3, 4.5, 0]]}, {"box": [0, 1, 2, 3]}]"#).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].points[1].x, found[0].points[1].y), (3.0, 4.5));
        assert_eq!(found[1].bounding_box, Some([0.0, 1.0, 2.0, 3.0]));
        for (text, what) in [
            ("[]", "no objects"),
            ("[{}]", "neither points nor a box"),
            (r#"[{"box": [2, 1, 2, 3]}]"#, "no area"),
            (r#"[{"points": [[1, 2, 7]]}]"#, "label 1"),
            (r#"[{"point": [[1, 2]]}]"#, "unknown field"),
            ("[", "EOF"),
        ] {
            let error = read(text).unwrap_err().chain();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn the_best_candidate_of_each_object_is_the_prompt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raw.safetensors");
        let floats = |name: &str, shape: &[usize], values: Vec<f32>| RawTensor {
            name: name.into(),
            shape: shape.into(),
            values: RawValues::F32(values),
        };
        let masks = floats("pred_masks", &[1, 2, 2, 2, 2], (0..16).map(|i| i as f32).collect());
        let scores = floats("iou_scores", &[1, 2, 2], vec![0.1, 0.9, 0.8, 0.2]);
        raw::write(&path, &[masks, scores.clone()]).unwrap();
        let prompts = mask_prompt(&path).unwrap();
        assert_eq!(prompts.len(), 2);
        assert_eq!(prompts[0], MaskPrompt { side: 2, logits: vec![4.0, 5.0, 6.0, 7.0] });
        assert_eq!(prompts[1].logits, [8.0, 9.0, 10.0, 11.0]);
        raw::write(&path, &[scores]).unwrap();
        assert!(mask_prompt(&path).unwrap_err().chain().contains("no square mask logits"));
    }
}
