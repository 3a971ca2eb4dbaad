//! LAS and LAZ (ASPRS), through the crates `las` and `laz`.

use std::io::Cursor;

use las::point::{Classification, Format as PointFormat};
use las::{Builder, Color, Point, PointData, Reader, Transform, Vector, Writer};
use percept_core::cloud::{Attribute, PointCloud, Scalar, Values};

use super::CloudLimits;
use super::failure::Failure;
use super::format::{Bytes, Found};
use super::table::{Table, scalars};

/// Points that are decoded at once: what a false promise costs at most.
const CHUNK: u64 = 1 << 16;
/// More points than this of a byte are not believed of a LAZ file.
const MOST_PER_BYTE: u64 = 1000;

/// A column: its name and type, and where its numbers are.
type Column = (&'static str, Scalar, fn(&PointData) -> Option<Vec<f64>>);

const COLUMNS: &[Column] = &[
    ("x", Scalar::F64, |data| Some(data.x().collect())),
    ("y", Scalar::F64, |data| Some(data.y().collect())),
    ("z", Scalar::F64, |data| Some(data.z().collect())),
    ("intensity", Scalar::U16, |data| Some(data.intensity().map(f64::from).collect())),
    ("red", Scalar::U16, |data| Some(data.rgb()?.map(|(red, _, _)| f64::from(red)).collect())),
    ("green", Scalar::U16, |data| Some(data.rgb()?.map(|(_, green, _)| f64::from(green)).collect())),
    ("blue", Scalar::U16, |data| Some(data.rgb()?.map(|(_, _, blue)| f64::from(blue)).collect())),
    ("return_number", Scalar::U8, |data| Some(data.return_number().map(f64::from).collect())),
    ("number_of_returns", Scalar::U8, |data| Some(data.number_of_returns().map(f64::from).collect())),
    ("classification", Scalar::U8, |data| Some(data.classification().map(f64::from).collect())),
    ("scan_angle", Scalar::F32, |data| Some(data.scan_angle_degrees().map(f64::from).collect())),
    ("user_data", Scalar::U8, |data| Some(data.user_data().map(f64::from).collect())),
    ("point_source_id", Scalar::U16, |data| Some(data.point_source_id().map(f64::from).collect())),
    ("gps_time", Scalar::F64, |data| Some(data.gps_time()?.collect())),
    ("nir", Scalar::U16, |data| Some(data.nir()?.map(f64::from).collect())),
];

/// What a cloud is made of; other columns that hold zeros only are left out.
const ALWAYS: usize = 7;

pub(super) fn decode(reader: &mut dyn Bytes, limits: CloudLimits) -> Result<Found, Failure> {
    let broken = |error: las::Error| Failure::Broken(error.to_string());
    // The decoder wants to own what it reads.
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    check_chunks(&bytes)?;
    let mut reader = Reader::new(Cursor::new(bytes)).map_err(broken)?;
    let header = reader.header();
    let promised = header.number_of_points();
    let format = *header.point_format();
    let room = if format.is_compressed {
        length.saturating_mul(MOST_PER_BYTE)
    } else {
        length / u64::from(format.len()).max(1)
    };
    limits.check(promised, room)?;
    let mut columns = vec![Vec::new(); COLUMNS.len()];
    let mut found = 0;
    while found < promised {
        let data = match reader.read_points(CHUNK.min(promised - found)) {
            Ok(data) if data.is_empty() => return Err(Failure::Ends { promised, found }),
            Ok(data) => data,
            Err(_) if found > 0 => return Err(Failure::Ends { promised, found }),
            Err(error) => return Err(broken(error)),
        };
        for (column, (.., values)) in columns.iter_mut().zip(COLUMNS) {
            column.extend(values(&data).unwrap_or_default());
        }
        found += data.len() as u64;
    }
    let kept = columns.into_iter().zip(COLUMNS).enumerate().filter(|(at, (values, _))| {
        if *at < ALWAYS { *at < 3 || !values.is_empty() } else { values.iter().any(|value| *value != 0.0) }
    });
    let columns = kept.map(|(_, (values, (name, kind, _)))| scalars(name, *kind, values)).collect();
    Ok(Found {
        table: Table { columns, elements: vec![] },
        format: if format.is_compressed { "laz" } else { "las" },
        encoding: format!("point format {}", format.to_u8().unwrap_or_default() & 63),
    })
}

/// A LAZ file says how many chunks it has, and the decoder takes memory for as many. Each takes a byte at least.
fn check_chunks(bytes: &[u8]) -> Result<(), Failure> {
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let packed = bytes.get(104).is_some_and(|format| format & 0x80 != 0);
    let Some(points) = number(96).filter(|_| packed) else { return Ok(()) };
    let at = |at: usize| Some(i64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let table = match at(points as usize) {
        // Written by a stream: the place is told at the end.
        Some(-1) => bytes.len().checked_sub(8).and_then(at),
        told => told,
    };
    let chunks = table.and_then(|table| number(usize::try_from(table).ok()?.checked_add(4)?));
    match chunks {
        Some(chunks) if chunks as usize > bytes.len() => {
            Err(Failure::Broken(format!("it promises {chunks} chunks, and has {} bytes", bytes.len())))
        }
        _ => Ok(()),
    }
}

/// Whether a LAS file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Las,
    Laz,
}

/// A cloud as LAS 1.4. Coordinates are rounded to 0.1 mm (of a metre; finer for small clouds, coarser beyond 200 km).
pub(super) fn encode(cloud: &PointCloud, packing: Packing) -> Result<Vec<u8>, las::Error> {
    let column = |name: &str| cloud.attributes.iter().find_map(|attribute| numbers(attribute, name));
    let (gps_time, nir) = (column("gps_time"), column("nir"));
    let (returns, of_returns) = (column("return_number"), column("number_of_returns"));
    let (class, angle) = (column("classification"), column("scan_angle"));
    let (user, source) = (column("user_data"), column("point_source_id"));
    let mut format = PointFormat::new(6)?;
    format.has_gps_time = true;
    format.has_color = cloud.colors.is_some() || nir.is_some();
    format.has_nir = nir.is_some();
    format.is_compressed = packing == Packing::Laz;
    let mut builder = Builder::from((1, 4));
    builder.point_format = format;
    builder.generating_software = concat!("percept ", env!("CARGO_PKG_VERSION")).into();
    // Of the day, otherwise: equal clouds are equal files.
    builder.date = None;
    let (low, high) = cloud.bounds().unwrap_or_default();
    let axis = |axis: usize| {
        let extent = (high[axis] - low[axis]).max(1e-6);
        let fits = 10_f64.powf((extent / 2e9).log10().ceil());
        Transform {
            scale: if extent > 2e5 { fits } else { fits.clamp(1e-10, 1e-4).min(1e-4) },
            offset: cloud.origin[axis] + middle(low[axis], high[axis]),
        }
    };
    builder.transforms = Vector { x: axis(0), y: axis(1), z: axis(2) };
    let mut writer = Writer::new(Cursor::new(Vec::new()), builder.into_header()?)?;
    let at = |column: &Option<&[f64]>, index: usize| column.map_or(0.0, |values| values[index]);
    for (index, place) in cloud.points.iter().enumerate() {
        let color = cloud.colors.as_ref().map(|colors| colors[index]).unwrap_or_default();
        writer.write_point(Point {
            x: place[0] + cloud.origin[0],
            y: place[1] + cloud.origin[1],
            z: place[2] + cloud.origin[2],
            intensity: cloud.intensity.as_ref().map_or(0, |values| echo(values[index])),
            return_number: at(&returns, index) as u8,
            number_of_returns: at(&of_returns, index) as u8,
            classification: Classification::new(at(&class, index) as u8).unwrap_or_default(),
            scan_angle: at(&angle, index) as f32,
            user_data: at(&user, index) as u8,
            point_source_id: at(&source, index) as u16,
            gps_time: Some(at(&gps_time, index)),
            color: format.has_color.then(|| Color::new(color[0], color[1], color[2])),
            nir: format.has_nir.then(|| at(&nir, index) as u16),
            ..Point::default()
        })?;
    }
    writer.close()?;
    Ok(writer.into_inner()?.into_inner())
}

/// The middle of an axis to a whole number, so that offsets can be read.
fn middle(low: f64, high: f64) -> f64 {
    if high - low > 2.0 { (low / 2.0 + high / 2.0).round() } else { 0.0 }
}

/// LAS has 16 bits for the echo; fractions up to 1 are spread over them.
fn echo(value: f64) -> u16 {
    if value.fract() != 0.0 && value <= 1.0 {
        (value * 65_535.0).round() as u16
    } else {
        value.round() as u16
    }
}

fn numbers<'a>(attribute: &'a Attribute, name: &str) -> Option<&'a [f64]> {
    match &attribute.values {
        Values::Scalars { values, .. } if attribute.name.eq_ignore_ascii_case(name) => Some(values),
        _ => None,
    }
}
