//! Transforms as files: four rows of four numbers, KITTI, TUM, JSON.

use std::fs;
use std::path::Path;

use percept_core::register::Transform;
use percept_core::{Error, Result};
use serde_json::{Value, json};

/// How transforms are written. All numbers are the shortest that read back as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixFormat {
    /// Four lines of four numbers; an empty line between two.
    Rows,
    /// A line of twelve numbers each: the first three rows.
    Kitti,
    /// A line each: number, x, y, z, and the quaternion x, y, z, w.
    Tum,
    /// `{"matrix": [[...], ...]}`, or a list of such.
    Json,
}

impl MatrixFormat {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 4] =
        [("rows", Self::Rows), ("kitti", Self::Kitti), ("tum", Self::Tum), ("json", Self::Json)];
}

/// Transforms as the text of a file.
pub fn matrices(transforms: &[Transform], format: MatrixFormat) -> String {
    let line = |numbers: &mut dyn Iterator<Item = f64>| {
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" ") + "\n"
    };
    match format {
        MatrixFormat::Rows => {
            let block = |transform: &Transform| {
                transform.matrix().iter().map(|row| line(&mut row.iter().copied())).collect::<String>()
            };
            transforms.iter().map(block).collect::<Vec<_>>().join("\n")
        }
        MatrixFormat::Kitti => {
            let one = |transform: &Transform| line(&mut transform.matrix()[..3].iter().flatten().copied());
            transforms.iter().map(one).collect()
        }
        MatrixFormat::Tum => {
            let one = |(at, transform): (usize, &Transform)| {
                let numbers = transform.translation.into_iter().chain(transform.quaternion());
                format!("{at} {}", line(&mut numbers.into_iter()))
            };
            transforms.iter().enumerate().map(one).collect()
        }
        MatrixFormat::Json => {
            let one = |transform: &Transform| json!({ "matrix": transform.matrix() });
            let value = match transforms {
                [transform] => one(transform),
                all => Value::Array(all.iter().map(one).collect()),
            };
            format!("{value:#}\n")
        }
    }
}

/// Reads one transform: 16 or 12 numbers as text, or JSON with a `matrix`, as `--matrix` and `--report` write it.
///
/// # Errors
/// [`Error::Input`]: the file cannot be read, has no matrix, or its matrix is no rigid motion with one scale.
pub fn read_transform(path: &Path) -> Result<Transform> {
    let wrong = |cause: String| Error::Input {
        path: path.to_path_buf(),
        cause: cause.into(),
        hint: Some("it should have four lines of four numbers, the last one `0 0 0 1`".into()),
    };
    let text = fs::read_to_string(path).map_err(|error| Error::input(path, error))?;
    let numbers: Vec<f64> = match serde_json::from_str::<Value>(&text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            let matrix = [
                &value["matrix"],
                &value["transform"]["matrix"],
                &value["result"]["transform"]["matrix"],
                &value,
            ];
            let rows = matrix.into_iter().find_map(Value::as_array);
            let rows = rows.ok_or_else(|| wrong("it has no `matrix`".into()))?;
            rows.iter()
                .flat_map(|row| row.as_array().into_iter().flatten())
                .filter_map(Value::as_f64)
                .collect()
        }
        _ => {
            let words =
                text.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | '[' | ']'));
            let words = words.filter(|word| !word.is_empty());
            let parsed: std::result::Result<_, _> = words.map(str::parse).collect();
            parsed.map_err(|_| wrong("it is not all numbers".into()))?
        }
    };
    let mut matrix = [[0.0, 0.0, 0.0, 0.0], [0.0; 4], [0.0; 4], [0.0, 0.0, 0.0, 1.0]];
    if ![12, 16].contains(&numbers.len()) {
        return Err(wrong(format!("it has {} numbers, not 16", numbers.len())));
    }
    for (at, number) in numbers.into_iter().enumerate() {
        matrix[at / 4][at % 4] = number;
    }
    Transform::from_matrix(&matrix).map_err(|what| wrong(format!("its matrix {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Transform {
        let (sine, cosine) = 0.1_f64.sin_cos();
        Transform {
            rotation: [[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]],
            translation: [1.0 / 3.0, -5e6, 1e-7],
            scale: 1.0,
        }
    }

    #[test]
    fn what_is_written_is_read_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        for (name, format) in
            [("rows", MatrixFormat::Rows), ("kitti", MatrixFormat::Kitti), ("json", MatrixFormat::Json)]
        {
            let path = folder.path().join(name);
            fs::write(&path, matrices(&[some()], format)).unwrap();
            let read = read_transform(&path).unwrap();
            assert_eq!(read.translation, some().translation, "{name}");
            let wanted = some();
            let off = read.rotation.iter().flatten().zip(wanted.rotation.iter().flatten());
            assert!(off.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-15, "{name}");
        }
        assert_eq!(matrices(&[some()], MatrixFormat::Rows).lines().count(), 4);
        assert_eq!(matrices(&[some()], MatrixFormat::Tum).split(' ').count(), 8);
    }

    #[test]
    fn what_is_no_transform_is_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.txt");
        for (text, what) in
            [("1 2 3", "3 numbers"), ("a b", "numbers"), ("{}", "no `matrix`"), (&"1 ".repeat(16), "0 0 0 1")]
        {
            fs::write(&path, text).unwrap();
            let error = read_transform(&path).unwrap_err();
            assert!(error.chain().contains(what) && error.hint().is_some(), "{text}: {}", error.chain());
        }
    }
}
