//! COCO's run lengths as they are written: as numbers, and as the printable string of `pycocotools`
//! (`rleToString` of its `maskApi.c`).
//!
//! Both hold the lengths of runs down the columns, outside and inside in turn, outside first. In the string a run
//! after the third is written as its difference from the run two before it, each number in groups of five bits, the
//! lowest first: bit 5 says that more follow, bit 4 of the last is the sign, and 48 is added to make it printable.

use crate::mask::Mask;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A mask as COCO writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle {
    /// Rows, columns.
    pub size: [u32; 2],
    /// The runs.
    pub counts: Counts,
}

/// The runs of an [`Rle`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Counts {
    /// As `pycocotools.mask.encode` gives them.
    Compressed(String),
    /// As plain numbers.
    Uncompressed(Vec<u32>),
}

impl Rle {
    /// The string form, byte for byte what `pycocotools.mask.encode` gives.
    pub fn compressed(mask: &Mask) -> Self {
        let counts = Counts::Compressed(compress(mask.counts()));
        Self { size: [mask.height(), mask.width()], counts }
    }

    /// The form with numbers.
    pub fn uncompressed(mask: &Mask) -> Self {
        let counts = Counts::Uncompressed(mask.counts().to_vec());
        Self { size: [mask.height(), mask.width()], counts }
    }

    /// The mask. Its runs are not spread out: a small file costs little memory whatever size it claims.
    ///
    /// # Errors
    /// Where the string is not one, a run is negative, or the runs do not cover `size` exactly.
    pub fn mask(&self) -> Result<Mask> {
        let [height, width] = self.size;
        let counts = match &self.counts {
            Counts::Compressed(text) => decompress(text)?,
            Counts::Uncompressed(counts) => counts.clone(),
        };
        let pixels = u64::from(width) * u64::from(height);
        if pixels > u64::from(u32::MAX) {
            return Err(Error::argument(format!("a mask of {width} x {height} pixels is too large")));
        }
        let covered: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        Mask::from_counts(width, height, &counts).ok_or_else(|| {
            Error::argument(format!("the runs of a mask of {width} x {height} pixels cover {covered} pixels"))
        })
    }
}

/// The printable string of these runs.
fn compress(counts: &[u32]) -> String {
    let mut text = String::new();
    for (index, count) in counts.iter().enumerate() {
        let mut rest = i64::from(*count);
        if index > 2 {
            rest -= i64::from(counts[index - 2]);
        }
        loop {
            let group = (rest & 0x1f) as u8;
            rest >>= 5;
            let last = rest == if group & 0x10 == 0 { 0 } else { -1 };
            text.push(char::from(48 + if last { group } else { group | 0x20 }));
            if last {
                break;
            }
        }
    }
    text
}

/// The runs of a printable string.
fn decompress(text: &str) -> Result<Vec<u32>> {
    /// A difference of two 32-bit numbers has 33 bits.
    const GROUPS: u32 = 7;
    let wrong = |what: String| Error::argument(format!("not the run lengths of a mask: {what}"));
    let mut counts: Vec<u32> = Vec::new();
    let (mut value, mut groups) = (0_i64, 0);
    for byte in text.bytes() {
        let Some(group) = byte.checked_sub(48).filter(|group| *group < 64) else {
            return Err(wrong(format!("byte {byte:#04x}")));
        };
        if groups == GROUPS {
            return Err(wrong(format!("number {} is too large", counts.len())));
        }
        value |= i64::from(group & 0x1f) << (5 * groups);
        groups += 1;
        if group & 0x20 != 0 {
            continue;
        }
        if group & 0x10 != 0 {
            value |= -1 << (5 * groups);
        }
        if counts.len() > 2 {
            value += i64::from(counts[counts.len() - 2]);
        }
        let count =
            u32::try_from(value).map_err(|_| wrong(format!("run {} has length {value}", counts.len())))?;
        counts.push(count);
        (value, groups) = (0, 0);
    }
    if groups > 0 {
        return Err(wrong("it ends within a number".into()));
    }
    Ok(counts)
}
