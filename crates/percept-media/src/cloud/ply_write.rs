//! A cloud as binary PLY, with all that it came with.

use std::io;

use percept_core::cloud::{Attribute, PointCloud, Scalar, Values};
use ply_rs_bw::ply::{
    Addable, DefaultElement, ElementDef, Encoding, Header, PropertyDef, PropertyType, ScalarType, Version,
};
use ply_rs_bw::writer::Writer;

use super::number::encode as put;

/// The file. Coordinates are f64 and whole: origin and point in one.
pub(super) fn encode(cloud: &PointCloud) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Writer::<DefaultElement>::new().write_header(&mut out, &header(cloud))?;
    let wide = wide_colors(cloud);
    for (at, place) in cloud.points.iter().enumerate() {
        for (local, origin) in place.iter().zip(cloud.origin) {
            put(local + origin, Scalar::F64, &mut out);
        }
        for value in cloud.normals.iter().flat_map(|normals| normals[at]) {
            put(f64::from(value), Scalar::F32, &mut out);
        }
        for value in cloud.colors.iter().flat_map(|colors| colors[at]) {
            let (value, kind) = if wide { (value, Scalar::U16) } else { (value / 257, Scalar::U8) };
            put(f64::from(value), kind, &mut out);
        }
        if let Some(intensity) = &cloud.intensity {
            put(intensity[at], Scalar::F32, &mut out);
        }
        row(&cloud.attributes, at, &mut out);
    }
    for element in &cloud.elements {
        for at in 0..element.count {
            row(&element.attributes, at, &mut out);
        }
    }
    Ok(out)
}

fn row(attributes: &[Attribute], at: usize, out: &mut Vec<u8>) {
    for attribute in attributes {
        match &attribute.values {
            Values::Scalars { kind, values } => put(values[at], *kind, out),
            Values::Lists { length, kind, values } => {
                put(values[at].len() as f64, *length, out);
                for value in &values[at] {
                    put(*value, *kind, out);
                }
            }
        }
    }
}

/// Whether 8 bits do not hold the colours.
fn wide_colors(cloud: &PointCloud) -> bool {
    cloud.colors.iter().flatten().flatten().any(|value| value % 257 != 0)
}

fn header(cloud: &PointCloud) -> Header {
    let mut header = Header::new();
    header.encoding = Encoding::BinaryLittleEndian;
    header.version = Version { major: 1, minor: 0 };
    header.comments.push(concat!("written by percept ", env!("CARGO_PKG_VERSION")).to_owned());
    let mut vertex = ElementDef::new("vertex".to_owned());
    vertex.count = cloud.len();
    let mut scalar = |names: &[&str], kind: Scalar| {
        for name in names {
            vertex.properties.add(PropertyDef::new((*name).to_owned(), PropertyType::Scalar(type_of(kind))));
        }
    };
    scalar(&["x", "y", "z"], Scalar::F64);
    if cloud.normals.is_some() {
        scalar(&["nx", "ny", "nz"], Scalar::F32);
    }
    if cloud.colors.is_some() {
        scalar(&["red", "green", "blue"], if wide_colors(cloud) { Scalar::U16 } else { Scalar::U8 });
    }
    if cloud.intensity.is_some() {
        scalar(&["intensity"], Scalar::F32);
    }
    properties(&mut vertex, &cloud.attributes);
    header.elements.add(vertex);
    for element in &cloud.elements {
        let mut definition = ElementDef::new(element.name.clone());
        definition.count = element.count;
        properties(&mut definition, &element.attributes);
        header.elements.add(definition);
    }
    header
}

fn properties(definition: &mut ElementDef, attributes: &[Attribute]) {
    for attribute in attributes {
        let data_type = match &attribute.values {
            Values::Scalars { kind, .. } => PropertyType::Scalar(type_of(*kind)),
            Values::Lists { length, kind, .. } => PropertyType::List(type_of(*length), type_of(*kind)),
        };
        // A name is one word.
        let name = attribute.name.replace(char::is_whitespace, "_");
        definition.properties.add(PropertyDef::new(name, data_type));
    }
}

fn type_of(kind: Scalar) -> ScalarType {
    match kind {
        Scalar::I8 => ScalarType::Char,
        Scalar::U8 => ScalarType::UChar,
        Scalar::I16 => ScalarType::Short,
        Scalar::U16 => ScalarType::UShort,
        Scalar::I32 => ScalarType::Int,
        Scalar::U32 => ScalarType::UInt,
        Scalar::F32 => ScalarType::Float,
        Scalar::F64 => ScalarType::Double,
    }
}
