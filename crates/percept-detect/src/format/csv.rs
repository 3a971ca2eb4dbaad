//! A table, a row an object.

use percept_core::detect::Detections;
use percept_core::{Error, Result};

/// A header and a row an object: `file,id,class_id,class,score,left,top,right,bottom`, in pixels.
///
/// # Errors
/// None that a string could cause.
pub fn csv(file_name: &str, found: &Detections) -> Result<Vec<u8>> {
    let failed = |error: ::csv::Error| Error::argument(format!("this cannot be written as CSV: {error}"));
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let header = ["file", "id", "class_id", "class", "score", "left", "top", "right", "bottom"];
    writer.write_record(header).map_err(failed)?;
    for (detection, id) in found.detections.iter().zip(1_usize..) {
        let mut row = vec![file_name.to_owned(), id.to_string(), detection.label.id.to_string()];
        row.extend([detection.label.name.clone(), detection.score.to_string()]);
        row.extend(detection.bounding_box.iter().map(f32::to_string));
        writer.write_record(&row).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| failed(error.into_error().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::found;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let text = String::from_utf8(csv("a.jpg", &found()).unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "a.jpg,1,3,cat & <dog>,0.875,10,20,50.5,60.25");
        assert_eq!(lines[2], "a.jpg,2,0,\"a, \"\"b\"\"\",0.5,0,0,200,100");
    }
}
