//! PCD, the format of the Point Cloud Library (versions 0.5 to 0.7):
//! <https://pointclouds.org/documentation/tutorials/pcd_file_format.html>.

use std::io::{BufRead, Read};

use percept_core::cloud::{Attribute, Scalar, Values};

use super::CloudLimits;
use super::failure::Failure;
use super::format::{Bytes, Found};
use super::number::{Order, decode as number};
use super::table::{Table, scalars};

/// The most that LZF makes of a byte: three bytes stand for 264.
const MOST_EXPANSION: u64 = 88;

/// Whether a file begins as PCD does: comments, then one of its first words.
pub(super) fn is_pcd(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let comment = text.starts_with("# .PCD");
    first.is_some_and(|line| line.starts_with("VERSION") || (line.starts_with("FIELDS") && comment))
}

/// A column: `count` numbers of `kind` a point.
struct Field {
    name: String,
    kind: Scalar,
    /// 64-bit integers and padding are passed over.
    size: usize,
    count: usize,
    readable: bool,
}

struct Header {
    fields: Vec<Field>,
    points: u64,
    data: String,
}

pub(super) fn decode(reader: &mut dyn Bytes, length: u64, limits: CloudLimits) -> Result<Found, Failure> {
    let header = header(reader)?;
    let behind = length.saturating_sub(reader.stream_position()?);
    let stride = header.fields.iter().map(|field| field.size * field.count).sum::<usize>();
    let stride = (stride as u64).max(1);
    let columns = match header.data.as_str() {
        "ascii" => {
            let numbers = header.fields.iter().map(|field| field.count as u64).sum::<u64>();
            limits.check(header.points, (behind + 1) / (2 * numbers).max(1))?;
            ascii(reader, &header)?
        }
        "binary" => {
            limits.check(header.points, behind / stride)?;
            binary(reader, &header, stride as usize)?
        }
        "binary_compressed" => {
            limits.check(header.points, behind.saturating_mul(MOST_EXPANSION) / stride)?;
            compressed(reader, &header, stride, behind)?
        }
        other => return Err(Failure::Unsupported(format!("PCD data of the kind `{other}`"))),
    };
    let columns = columns.into_iter().flat_map(unpacked).collect();
    Ok(Found { table: Table { columns, elements: vec![] }, format: "pcd", encoding: header.data })
}

fn header(reader: &mut dyn Bytes) -> Result<Header, Failure> {
    let broken = |what: &str| Failure::Broken(format!("its header {what}"));
    let (mut names, mut sizes, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut counts, mut points, mut raster) = (None, None, [None, None]);
    let mut line = Vec::new();
    for _ in 0..1000 {
        line.clear();
        if reader.take(1 << 16).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let mut words = text.split_ascii_whitespace().map(str::to_owned);
        let Some(key) = words.next() else { continue };
        let rest: Vec<String> = words.collect();
        let whole = || rest.first().and_then(|word| word.parse::<u64>().ok());
        let all = || rest.iter().map(|word| word.parse::<usize>().ok()).collect::<Option<Vec<_>>>();
        match key.as_str() {
            "FIELDS" | "COLUMNS" => names = rest,
            "SIZE" => sizes = all().ok_or_else(|| broken("has sizes that are no numbers"))?,
            "TYPE" => kinds = rest,
            "COUNT" => counts = Some(all().ok_or_else(|| broken("has counts that are no numbers"))?),
            "WIDTH" => raster[0] = whole(),
            "HEIGHT" => raster[1] = whole(),
            "POINTS" => points = whole(),
            "DATA" => {
                let counts = counts.unwrap_or_else(|| vec![1; names.len()]);
                if names.is_empty() || [sizes.len(), kinds.len(), counts.len()] != [names.len(); 3] {
                    return Err(broken("names fields, sizes, types and counts of different number"));
                }
                let points = match (points, raster) {
                    (Some(points), _) => points,
                    (None, [Some(width), Some(height)]) => width.saturating_mul(height),
                    _ => return Err(broken("does not say how many points there are")),
                };
                let parts = names.into_iter().zip(sizes).zip(kinds).zip(counts);
                let fields = parts.map(|(((name, size), kind), count)| field(name, size, &kind, count));
                let data = rest.into_iter().next().unwrap_or_default().to_ascii_lowercase();
                return Ok(Header { fields: fields.collect::<Result<_, _>>()?, points, data });
            }
            // VERSION, VIEWPOINT and comments.
            _ => {}
        }
    }
    Err(broken("does not end with `DATA`"))
}

fn field(name: String, size: usize, kind: &str, count: usize) -> Result<Field, Failure> {
    let scalar = match (kind, size) {
        ("I", 1) => Scalar::I8,
        ("U", 1) => Scalar::U8,
        ("I", 2) => Scalar::I16,
        ("U", 2) => Scalar::U16,
        ("I", 4) => Scalar::I32,
        ("U", 4) => Scalar::U32,
        ("F", 4) => Scalar::F32,
        ("F", 8) => Scalar::F64,
        ("I" | "U", 8) => Scalar::F64,
        _ => return Err(Failure::Unsupported(format!("PCD fields of type {kind} and size {size}"))),
    };
    if count > 4096 {
        return Err(Failure::Unsupported(format!("{count} numbers in field `{name}`")));
    }
    let readable = !(size == 8 && kind != "F") && name != "_";
    Ok(Field { name, kind: scalar, size, count, readable })
}

impl Header {
    /// Empty columns for what is kept, a column a number; with the field and the number's place in it.
    fn columns(&self) -> Vec<(usize, usize, Attribute)> {
        let readable = self.fields.iter().enumerate().filter(|(_, field)| field.readable);
        readable
            .flat_map(|(at, field)| {
                (0..field.count).map(move |part| {
                    let name =
                        if field.count == 1 { field.name.clone() } else { format!("{}_{part}", field.name) };
                    (at, part, scalars(&name, field.kind, Vec::new()))
                })
            })
            .collect()
    }
}

fn push(column: &mut Attribute, value: f64) {
    if let Values::Scalars { values, .. } = &mut column.values {
        values.push(value);
    }
}

fn ascii(reader: &mut dyn Bytes, header: &Header) -> Result<Vec<Attribute>, Failure> {
    let mut columns = header.columns();
    let mut starts = Vec::new();
    let mut total = 0;
    for field in &header.fields {
        starts.push(total);
        total += field.count;
    }
    let mut line = String::new();
    for at in 0..header.points {
        line.clear();
        while line.trim_ascii().is_empty() {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(Failure::Ends { promised: header.points, found: at });
            }
        }
        let numbers: Vec<&str> = line.split_ascii_whitespace().collect();
        if numbers.len() < total {
            return Err(Failure::Broken(format!(
                "point {} has {} numbers, not {total}",
                at + 1,
                numbers.len()
            )));
        }
        for (field, part, column) in &mut columns {
            let word = numbers[starts[*field] + *part];
            let value: f64 =
                word.parse().map_err(|_| Failure::Broken(format!("`{word}` is not a number")))?;
            let float = header.fields[*field].kind == Scalar::F32;
            push(column, if float { f64::from(value as f32) } else { value });
        }
    }
    Ok(columns.into_iter().map(|(.., column)| column).collect())
}

fn binary(reader: &mut dyn Bytes, header: &Header, stride: usize) -> Result<Vec<Attribute>, Failure> {
    let mut columns = header.columns();
    let mut starts = Vec::new();
    let mut start = 0;
    for field in &header.fields {
        starts.push(start);
        start += field.size * field.count;
    }
    let mut row = vec![0; stride];
    for at in 0..header.points {
        reader.read_exact(&mut row).map_err(|_| Failure::Ends { promised: header.points, found: at })?;
        for (field, part, column) in &mut columns {
            let of = &header.fields[*field];
            push(column, number(&row[starts[*field] + *part * of.size..], of.kind, Order::Little));
        }
    }
    Ok(columns.into_iter().map(|(.., column)| column).collect())
}

/// Columns one behind the other, as one block of LZF.
fn compressed(
    reader: &mut dyn Bytes,
    header: &Header,
    stride: u64,
    behind: u64,
) -> Result<Vec<Attribute>, Failure> {
    let mut sizes = [0; 8];
    reader.read_exact(&mut sizes)?;
    let size =
        |at: usize| u64::from(u32::from_le_bytes([sizes[at], sizes[at + 1], sizes[at + 2], sizes[at + 3]]));
    let (packed, whole) = (size(0), size(4));
    if packed + 8 > behind {
        return Err(Failure::Broken(format!("it promises {packed} packed bytes and has {}", behind - 8)));
    }
    if whole != stride * header.points {
        return Err(Failure::Broken(format!(
            "it unpacks to {whole} bytes, and its points take {}",
            stride * header.points
        )));
    }
    let mut bytes = vec![0; packed as usize];
    reader.read_exact(&mut bytes)?;
    let bytes = unpack(&bytes, whole as usize)
        .ok_or_else(|| Failure::Broken("its packed data makes no sense".into()))?;
    let mut columns = header.columns();
    let points = header.points as usize;
    let mut starts = Vec::new();
    let mut start = 0;
    for field in &header.fields {
        starts.push(start);
        start += field.size * field.count * points;
    }
    for (field, part, column) in &mut columns {
        let of = &header.fields[*field];
        for point in 0..points {
            let place = starts[*field] + (point * of.count + *part) * of.size;
            push(column, number(&bytes[place..], of.kind, Order::Little));
        }
    }
    Ok(columns.into_iter().map(|(.., column)| column).collect())
}

/// LZF (Lehmann, liblzf): runs of literals, and copies of what came before. None where the data does not make exactly
/// `whole` bytes.
fn unpack(packed: &[u8], whole: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(whole);
    let mut at = 0;
    while at < packed.len() {
        let control = usize::from(packed[at]);
        at += 1;
        if control < 32 {
            out.extend_from_slice(packed.get(at..at + control + 1)?);
            at += control + 1;
        } else {
            let mut length = control >> 5;
            if length == 7 {
                length += usize::from(*packed.get(at)?);
                at += 1;
            }
            let back = ((control & 31) << 8 | usize::from(*packed.get(at)?)) + 1;
            at += 1;
            let from = out.len().checked_sub(back)?;
            // What is copied may overlap what it makes.
            for place in from..from + length + 2 {
                out.push(out[place]);
            }
        }
        if out.len() > whole {
            return None;
        }
    }
    (out.len() == whole).then_some(out)
}

/// PCL packs a colour into the bits of one number.
fn unpacked(column: Attribute) -> Vec<Attribute> {
    let alpha = match column.name.as_str() {
        "rgb" => false,
        "rgba" => true,
        _ => return vec![column],
    };
    let Values::Scalars { kind, values } = &column.values else { return vec![column] };
    let bits = |value: &f64| match kind {
        Scalar::F32 => (*value as f32).to_bits(),
        Scalar::U32 => *value as u32,
        _ => *value as i32 as u32,
    };
    let channel = |name: &str, shift: u32| {
        scalars(name, Scalar::U8, values.iter().map(|value| f64::from(bits(value) >> shift & 255)).collect())
    };
    let mut channels = vec![channel("red", 16), channel("green", 8), channel("blue", 0)];
    if alpha {
        channels.push(channel("alpha", 24));
    }
    channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_come_back() {
        // Literals "abc", then a copy of 3 bytes from 3 back, then one that overlaps itself: 9 bytes from 1 back.
        let packed = [2, b'a', b'b', b'c', 1 << 5, 2, 7 << 5, 0, 0];
        assert_eq!(unpack(&packed, 15).unwrap(), b"abcabcccccccccc"[..15]);
        assert_eq!(unpack(&packed, 14), None);
        assert_eq!(unpack(&packed[..8], 15), None);
        assert_eq!(unpack(&[1 << 5, 0], 3), None);
    }
}
