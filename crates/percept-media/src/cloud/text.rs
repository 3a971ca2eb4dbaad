//! Numbers as text: a point a line, parted by blanks, tabs, commas or semicolons (XYZ, CSV, TXT, PTS, ASC).

use std::io::{BufRead, Read};

use percept_core::cloud::Scalar;

use super::CloudLimits;
use super::failure::Failure;
use super::format::{Bytes, Found};
use super::table::{Table, scalars};

/// A line is not longer.
const LONGEST_LINE: u64 = 1 << 16;

pub(super) fn decode(reader: &mut dyn Bytes, limits: CloudLimits) -> Result<Found, Failure> {
    let mut names: Option<Vec<String>> = None;
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut line = Vec::new();
    let mut number = 0_u64;
    let mut points = 0_u64;
    loop {
        line.clear();
        if reader.take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_start_matches('\u{feff}').trim();
        let comment = text.starts_with('#') || text.starts_with("//");
        let bare = text.trim_start_matches(['#', '/']).trim();
        if bare.is_empty() {
            continue;
        }
        let words = words(bare);
        let values: Option<Vec<f64>> = words.iter().map(|word| word.parse().ok()).collect();
        match values {
            _ if comment && (names.is_some() || points > 0 || !has_coordinates(&words)) => {}
            // A PTS file begins with the number of its points.
            Some(values) if points == 0 && columns.is_empty() && values.len() == 1 => {}
            Some(values) if !comment => {
                if columns.is_empty() {
                    if values.len() < 3 {
                        return Err(Failure::NoCoordinates(format!(
                            "line {number} has {} numbers",
                            values.len()
                        )));
                    }
                    columns = vec![
                        Vec::new();
                        names.as_ref().map_or(values.len(), |names| names.len().min(values.len()))
                    ];
                }
                if values.len() < columns.len() {
                    return Err(Failure::Broken(format!(
                        "line {number} has {} numbers, not {}",
                        values.len(),
                        columns.len()
                    )));
                }
                points += 1;
                limits.check(points, u64::MAX)?;
                for (column, value) in columns.iter_mut().zip(values) {
                    column.push(value);
                }
            }
            _ if points == 0 && names.is_none() && has_coordinates(&words) => {
                names = Some(words.iter().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect());
            }
            _ if points == 0 && number == 1 => return Err(Failure::Unknown),
            _ => return Err(Failure::Broken(format!("line {number} is not a row of numbers"))),
        }
    }
    if points == 0 {
        return Err(if number == 0 { Failure::Empty } else { Failure::NoPoints });
    }
    let names = names.unwrap_or_else(|| usual_names(&columns));
    let columns = names.iter().zip(columns).map(|(name, values)| scalars(name, kind(name, &values), values));
    Ok(Found {
        table: Table { columns: columns.collect(), elements: vec![] },
        format: "text",
        encoding: "ascii".into(),
    })
}

fn words(line: &str) -> Vec<&str> {
    let separators = |letter: char| letter == ',' || letter == ';' || letter.is_ascii_whitespace();
    line.split(separators).filter(|word| !word.is_empty()).collect()
}

fn has_coordinates(words: &[&str]) -> bool {
    let has = |name: &str| words.iter().any(|word| word.trim_matches(['"', '\'']).eq_ignore_ascii_case(name));
    has("x") && has("y") && has("z")
}

/// What columns mean in files that do not say: `x y z`, `x y z i`, `x y z r g b`, `x y z i r g b` (PTS),
/// `x y z nx ny nz`, `x y z r g b nx ny nz`. Colours are whole numbers up to 255, normals have length 1.
fn usual_names(columns: &[Vec<f64>]) -> Vec<String> {
    let color = |from: usize| {
        columns.get(from..from + 3).is_some_and(|channels| {
            channels.iter().flatten().all(|value| (0.0..=255.0).contains(value) && value.fract() == 0.0)
        })
    };
    let normal = |from: usize| {
        columns.get(from..from + 3).is_some_and(|parts| {
            (0..parts[0].len()).all(|at| {
                let square: f64 = parts.iter().map(|part| part[at] * part[at]).sum();
                (square - 1.0).abs() < 0.02 || square == 0.0
            })
        })
    };
    let rest: &[&str] = match columns.len() {
        4 => &["intensity"],
        6 if normal(3) && !color(3) => &["nx", "ny", "nz"],
        6 if color(3) => &["red", "green", "blue"],
        7 if color(4) => &["intensity", "red", "green", "blue"],
        9 if color(3) && normal(6) => &["red", "green", "blue", "nx", "ny", "nz"],
        _ => &[],
    };
    let known = ["x", "y", "z"].iter().chain(rest).map(|name| (*name).to_owned());
    let unknown = (3 + rest.len()..columns.len()).map(|at| format!("column_{}", at + 1));
    known.chain(unknown).collect()
}

/// Colours of 8 bits are what the assembly of a cloud wants to be told.
fn kind(name: &str, values: &[f64]) -> Scalar {
    let color = ["red", "green", "blue", "r", "g", "b"].iter().any(|color| name.eq_ignore_ascii_case(color));
    if color && values.iter().any(|value| *value > 255.0) {
        Scalar::U16
    } else if color && values.iter().all(|value| value.fract() == 0.0) {
        Scalar::U8
    } else {
        Scalar::F64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(text: &str) -> Result<Found, Failure> {
        decode(&mut Cursor::new(text.as_bytes().to_vec()), CloudLimits::default())
    }

    #[test]
    fn columns_are_named_by_the_header_or_by_what_they_hold() {
        for (text, want) in [
            ("1 2 3\n4 5 6\n", &["x", "y", "z"][..]),
            ("X;Y;Z;Quality\n1;2;3;4\n", &["X", "Y", "Z", "Quality"]),
            ("# x y z r g b\n1 2 3 255 0 0\n", &["x", "y", "z", "r", "g", "b"]),
            ("2\n1 2 3 9 255 0 0\n1 2 3 9 0 0 7\n", &["x", "y", "z", "intensity", "red", "green", "blue"]),
            ("1,2,3,0,0,1\r\n1,2,3,0.6,0.8,0\r\n", &["x", "y", "z", "nx", "ny", "nz"]),
            ("1 2 3 4 5\n", &["x", "y", "z", "column_4", "column_5"]),
        ] {
            let found = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let names: Vec<&str> = found.table.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, want, "{text}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused_by_line() {
        assert!(matches!(read("hello world\n"), Err(Failure::Unknown)));
        assert!(matches!(read("1 2\n"), Err(Failure::NoCoordinates(_))));
        assert!(matches!(read("1 2 3\n4 5\n"), Err(Failure::Broken(text)) if text.contains("line 2")));
        assert!(matches!(read("1 2 3\nend of it\n"), Err(Failure::Broken(_))));
        assert!(matches!(read("x y z\n"), Err(Failure::NoPoints)));
    }
}
