//! Clouds to the bytes of a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use percept_core::cloud::{PointCloud, Scalar, Values};
use percept_core::{Cause, Error, Result};

use super::las::{self, Packing};
use super::number::encode as put;
use super::ply_write;

/// A format that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudFormat {
    /// Binary PLY; all that the cloud came with.
    Ply,
    /// Binary PCD; numbers only, no lists and faces.
    Pcd,
    /// LAS 1.4.
    Las,
    /// LAZ 1.4.
    Laz,
    /// Text: a line with the names, then a point a line.
    Text,
}

impl CloudFormat {
    /// All of them, with their extensions.
    pub const EXTENSIONS: [(&'static str, Self); 7] = [
        ("ply", Self::Ply),
        ("pcd", Self::Pcd),
        ("las", Self::Las),
        ("laz", Self::Laz),
        ("xyz", Self::Text),
        ("txt", Self::Text),
        ("csv", Self::Text),
    ];

    /// By the extension of a path.
    ///
    /// # Errors
    /// [`Error::Argument`] with the extensions that there are.
    pub fn of_path(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let known = Self::EXTENSIONS.iter().find(|(known, _)| extension.as_deref() == Some(known));
        known.map(|(_, format)| *format).ok_or_else(|| Error::Argument {
            message: format!("`{}` has no extension of a point cloud", path.display()),
            hint: Some(format!(
                "clouds are written as {}",
                Self::EXTENSIONS.map(|(name, _)| name).join(", ")
            )),
        })
    }

    /// The file.
    ///
    /// # Errors
    /// [`Error::Output`]: the cloud does not fit the format.
    pub fn encode(self, cloud: &PointCloud) -> Result<Vec<u8>> {
        let failed = |cause: Cause| Error::Output { path: PathBuf::from("-"), cause, hint: None };
        match self {
            Self::Ply => ply_write::encode(cloud).map_err(|error| failed(error.into())),
            Self::Pcd => Ok(pcd(cloud)),
            Self::Las => las::encode(cloud, Packing::Las).map_err(|error| failed(error.into())),
            Self::Laz => las::encode(cloud, Packing::Laz).map_err(|error| failed(error.into())),
            Self::Text => Ok(text(cloud).into_bytes()),
        }
    }
}

/// A column of a cloud: name, type, and the number of a point.
type Column<'a> = (String, Scalar, Box<dyn Fn(usize) -> f64 + 'a>);

/// All that is one number a point, in the usual order.
fn columns(cloud: &PointCloud) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = Vec::new();
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        let place = move |at: usize| cloud.points[at][axis] + cloud.origin[axis];
        columns.push((name.into(), Scalar::F64, Box::new(place)));
    }
    if let Some(normals) = &cloud.normals {
        for (axis, name) in ["normal_x", "normal_y", "normal_z"].into_iter().enumerate() {
            columns.push((name.into(), Scalar::F32, Box::new(move |at| f64::from(normals[at][axis]))));
        }
    }
    if let Some(colors) = &cloud.colors {
        for (channel, name) in ["red", "green", "blue"].into_iter().enumerate() {
            columns.push((name.into(), Scalar::U8, Box::new(move |at| f64::from(colors[at][channel] / 257))));
        }
    }
    if let Some(intensity) = &cloud.intensity {
        columns.push(("intensity".into(), Scalar::F32, Box::new(move |at| intensity[at])));
    }
    for attribute in &cloud.attributes {
        if let Values::Scalars { kind, values } = &attribute.values {
            columns.push((
                attribute.name.replace(char::is_whitespace, "_"),
                *kind,
                Box::new(move |at| values[at]),
            ));
        }
    }
    columns
}

fn pcd(cloud: &PointCloud) -> Vec<u8> {
    let columns = columns(cloud);
    let words = |word: &dyn Fn(&Column<'_>) -> String| columns.iter().map(word).collect::<Vec<_>>().join(" ");
    let kind = |kind: Scalar| match kind {
        Scalar::I8 | Scalar::I16 | Scalar::I32 => "I",
        Scalar::U8 | Scalar::U16 | Scalar::U32 => "U",
        Scalar::F32 | Scalar::F64 => "F",
    };
    let count = cloud.len();
    let header = format!(
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS {}\nSIZE {}\nTYPE {}\nCOUNT {}\nWIDTH {count}\n\
         HEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA binary\n",
        words(&|(name, ..)| name.clone()),
        words(&|(_, kind, _)| kind.size().to_string()),
        words(&|(_, of, _)| kind(*of).to_owned()),
        words(&|_| "1".to_owned()),
    );
    let mut out = header.into_bytes();
    for at in 0..count {
        for (_, kind, value) in &columns {
            put(value(at), *kind, &mut out);
        }
    }
    out
}

fn text(cloud: &PointCloud) -> String {
    let columns = columns(cloud);
    let names: Vec<&str> = columns.iter().map(|(name, ..)| name.as_str()).collect();
    let mut out = format!("# {}\n", names.join(" "));
    for at in 0..cloud.len() {
        for (column, (_, kind, value)) in columns.iter().enumerate() {
            let blank = if column == 0 { "" } else { " " };
            // The shortest text that reads back as the same number of its type.
            let _ = match kind {
                Scalar::F32 => write!(out, "{blank}{}", value(at) as f32),
                _ => write!(out, "{blank}{}", value(at)),
            };
        }
        out.push('\n');
    }
    out
}
