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

/// A transform from a file, and what the file calls it.
#[derive(Clone, Debug, PartialEq)]
pub struct Posed {
    /// The pair that a 3DMatch log has it for (`0 5`), or TUM's time.
    pub name: Option<String>,
    /// Source to target.
    pub transform: Transform,
    /// Whether who found it trusts it, where the file says so, as `--report` does.
    pub trusted: Option<bool>,
}

/// Reads one transform: 16 or 12 numbers as text, or JSON with a `matrix`, as `--matrix` and `--report` write it.
///
/// # Errors
/// [`Error::Input`]: the file cannot be read, has no matrix or several, or its matrix is no rigid motion with one scale.
pub fn read_transform(path: &Path) -> Result<Transform> {
    let all = read_transforms(path)?;
    match all.as_slice() {
        [one] => Ok(one.transform),
        all => Err(wrong(path, format!("it has {} transforms, not one", all.len()))),
    }
}

/// Reads the transforms of a file: four lines of four numbers each, the same after a line that names the pair (3DMatch's
/// `gt.log`), lines of twelve numbers (KITTI), lines of a time, x, y, z and a quaternion x, y, z, w (TUM), or JSON with a
/// `matrix` or a list of such. Lines that begin with `#` are comments.
///
/// # Errors
/// [`Error::Input`]: the file cannot be read, is nothing of these, or a matrix is no rigid motion with one scale.
pub fn read_transforms(path: &Path) -> Result<Vec<Posed>> {
    let text = fs::read_to_string(path).map_err(|error| Error::input(path, error))?;
    let found = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(all)) if all.iter().any(Value::is_object) => all.iter().map(of_json).collect(),
        Ok(value @ (Value::Object(_) | Value::Array(_))) => of_json(&value).map(|posed| vec![posed]),
        _ => of_text(&text),
    };
    found.map_err(|cause| wrong(path, cause))
}

fn wrong(path: &Path, cause: String) -> Error {
    Error::Input {
        path: path.to_path_buf(),
        cause: cause.into(),
        hint: Some("it should have four lines of four numbers, the last one `0 0 0 1`".into()),
    }
}

fn of_json(value: &Value) -> std::result::Result<Posed, String> {
    let matrix =
        [&value["matrix"], &value["transform"]["matrix"], &value["result"]["transform"]["matrix"], value];
    let rows = matrix.into_iter().find_map(Value::as_array).ok_or("it has no `matrix`")?;
    let numbers = rows.iter().flat_map(|row| row.as_array().into_iter().flatten());
    let numbers: Vec<f64> = numbers.filter_map(Value::as_f64).collect();
    let trusted = [&value["trusted"], &value["result"]["trusted"]].into_iter().find_map(Value::as_bool);
    Ok(Posed { name: None, transform: of_numbers(&numbers)?, trusted })
}

fn of_text(text: &str) -> std::result::Result<Vec<Posed>, String> {
    let mut lines: Vec<Vec<f64>> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let words =
            line.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | '[' | ']'));
        let numbers: std::result::Result<Vec<f64>, _> =
            words.filter(|word| !word.is_empty()).map(str::parse).collect();
        let numbers = numbers.map_err(|_| "it is not all numbers")?;
        if !numbers.is_empty() {
            lines.push(numbers);
        }
    }
    let posed = |name: Option<String>, transform| Posed { name, transform, trusted: None };
    let all_of = |count: usize| !lines.is_empty() && lines.iter().all(|line| line.len() == count);
    if all_of(8) {
        let one = |line: &Vec<f64>| {
            let transform =
                Transform::from_quaternion([line[4], line[5], line[6], line[7]], [line[1], line[2], line[3]]);
            Ok(posed(Some(line[0].to_string()), transform.map_err(|what| format!("a quaternion {what}"))?))
        };
        return lines.iter().map(one).collect();
    }
    if all_of(12) {
        return lines.iter().map(|line| Ok(posed(None, of_numbers(line)?))).collect();
    }
    let logged = |block: &[Vec<f64>]| block.iter().map(Vec::len).eq([3, 4, 4, 4, 4]);
    if lines.len() >= 5 && lines.len().is_multiple_of(5) && lines.chunks(5).all(logged) {
        let one = |block: &[Vec<f64>]| {
            let name = format!("{} {}", block[0][0], block[0][1]);
            Ok(posed(Some(name), of_numbers(&block[1..].concat())?))
        };
        return lines.chunks(5).map(one).collect();
    }
    if all_of(4) && lines.len().is_multiple_of(4) {
        return lines.chunks(4).map(|block| Ok(posed(None, of_numbers(&block.concat())?))).collect();
    }
    Ok(vec![posed(None, of_numbers(&lines.concat())?)])
}

fn of_numbers(numbers: &[f64]) -> std::result::Result<Transform, String> {
    let mut matrix = [[0.0, 0.0, 0.0, 0.0], [0.0; 4], [0.0; 4], [0.0, 0.0, 0.0, 1.0]];
    if ![12, 16].contains(&numbers.len()) {
        return Err(format!("it has {} numbers, not 16", numbers.len()));
    }
    for (at, number) in numbers.iter().enumerate() {
        matrix[at / 4][at % 4] = *number;
    }
    Transform::from_matrix(&matrix).map_err(|what| format!("its matrix {what}"))
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
        let all = vec![some(), Transform::IDENTITY, some().inverse()];
        for (name, format) in MatrixFormat::NAMES {
            let path = folder.path().join(name);
            fs::write(&path, "# of three\n".repeat(usize::from(name != "json")) + &matrices(&all, format))
                .unwrap();
            let read = read_transforms(&path).unwrap();
            assert_eq!(read.len(), 3, "{name}");
            for (read, wanted) in read.iter().zip(&all) {
                assert_eq!(read.transform.translation, wanted.translation, "{name}");
                assert!(read.transform.after(&wanted.inverse()).angle_degrees() < 1e-12, "{name}");
            }
            assert!(read_transform(&path).unwrap_err().chain().contains("3 transforms"));
        }
        let rows = matrices(&all[..1], MatrixFormat::Rows);
        fs::write(folder.path().join("gt.log"), format!("0 1\t7\n{rows}\n0 5\t7\n{rows}")).unwrap();
        let read = read_transforms(&folder.path().join("gt.log")).unwrap();
        let names: Vec<_> = read.iter().map(|posed| posed.name.as_deref()).collect();
        assert_eq!(names, [Some("0 1"), Some("0 5")]);
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
