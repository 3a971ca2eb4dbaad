//! Pascal VOC's annotation XML, as its development kit and LabelImg read it.

use percept_core::detect::{Detection, Detections};
use percept_core::{Error, Result};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename = "annotation")]
struct Annotation<'a> {
    filename: &'a str,
    size: Size,
    segmented: u8,
    object: Vec<Object<'a>>,
}

#[derive(Serialize)]
struct Size {
    width: u32,
    height: u32,
    depth: u8,
}

#[derive(Serialize)]
struct Object<'a> {
    name: &'a str,
    pose: &'static str,
    truncated: u8,
    difficult: u8,
    score: f32,
    bndbox: Bounds,
}

/// Numbers of pixels, from 1; the last ones belong to the box.
#[derive(Serialize)]
struct Bounds {
    xmin: u32,
    ymin: u32,
    xmax: u32,
    ymax: u32,
}

/// The file of one picture. Edges are rounded to whole pixels; a box has at least one. Its scores are an element that
/// readers of the format pass over.
///
/// # Errors
/// None that a string could cause.
pub fn voc(file_name: &str, found: &Detections) -> Result<Vec<u8>> {
    let annotation = Annotation {
        filename: file_name,
        size: Size { width: found.width, height: found.height, depth: 3 },
        segmented: 0,
        object: found.detections.iter().map(|detection| object(detection, found)).collect(),
    };
    let mut text = String::new();
    let mut writer = quick_xml::se::Serializer::new(&mut text);
    writer.indent(' ', 2);
    annotation
        .serialize(writer)
        .map_err(|error| Error::argument(format!("this cannot be written as XML: {error}")))?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn object<'a>(detection: &'a Detection, found: &Detections) -> Object<'a> {
    let [left, top, right, bottom] = detection.bounding_box.map(|edge| edge.round() as u32);
    let first = |edge: u32, size: u32| (edge + 1).min(size.max(1));
    let (xmin, ymin) = (first(left, found.width), first(top, found.height));
    Object {
        name: &detection.label.name,
        pose: "Unspecified",
        truncated: 0,
        difficult: 0,
        score: detection.score,
        bndbox: Bounds { xmin, ymin, xmax: right.max(xmin), ymax: bottom.max(ymin) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::found;

    #[test]
    fn pixels_are_counted_from_1_and_names_are_no_markup() {
        let text = String::from_utf8(voc("a&b.jpg", &found()).unwrap()).unwrap();
        assert!(text.contains("<filename>a&amp;b.jpg</filename>"), "{text}");
        assert!(text.contains("<name>cat &amp; &lt;dog&gt;</name>"), "{text}");
        let squeezed: String = text.split_whitespace().collect();
        assert!(squeezed.contains("<xmin>11</xmin><ymin>21</ymin><xmax>51</xmax><ymax>60</ymax>"), "{text}");
        assert!(squeezed.contains("<xmin>1</xmin><ymin>1</ymin><xmax>200</xmax><ymax>100</ymax>"), "{text}");
    }
}
