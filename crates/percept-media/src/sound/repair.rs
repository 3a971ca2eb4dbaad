//! Sizes in headers of WAVE, AIFF, MP4 and Matroska files that are not true, put right as the bytes pass.
//!
//! A recorder that dies leaves the sizes at 0, a pipe cannot go back to write them, and a download that
//! broke off leaves them too large. symphonia refuses such files although their sound is there.

use std::io::{self, Read, Seek, SeekFrom};

/// Sizes from here on are what a writer puts down that does not know the size yet.
const PLACEHOLDER: u64 = 0x7fff_0000;

/// More chunks than any true file has.
const CHUNKS: usize = 10_000;

/// What stands in a header and what should.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Repair {
    /// Bytes to put over those of the file, by position.
    pub(super) patches: Vec<(u64, Vec<u8>)>,
    /// How many times the sound that is there the header states, if more.
    pub(super) stated: Option<f64>,
    /// What the file's index points to is not there any more: read it from front to back.
    pub(super) forward_only: bool,
}

/// Looks at the sizes of a WAVE, AIFF, MP4 or Matroska file of `length` bytes. The position of `file` is its start
/// afterwards.
pub(super) fn repair(file: &mut (impl Read + Seek), length: u64) -> io::Result<Repair> {
    file.rewind()?;
    let mut head = [0; 12];
    let known = length >= 12 && file.read_exact(&mut head).is_ok();
    let repair = match (&head[..4], &head[4..8], &head[8..]) {
        (b"RIFF", _, b"WAVE") if known => chunks(file, length, &WAVE),
        (b"FORM", _, b"AIFF" | b"AIFC") if known => chunks(file, length, &AIFF),
        (_, b"ftyp", _) if known => mp4(file, length),
        (b"\x1a\x45\xdf\xa3", ..) if known => matroska(file, length),
        _ => Ok(Repair::default()),
    };
    file.rewind()?;
    // What cannot be walked through is left as it is; decoding it will tell what is wrong.
    Ok(repair.unwrap_or_default())
}

/// How RIFF and its older brother AIFF differ.
struct Chunks {
    /// The chunk with the sound.
    sound: &'static [u8; 4],
    number: fn(&[u8]) -> u64,
    bytes: fn(u32) -> [u8; 4],
}

const WAVE: Chunks = Chunks { sound: b"data", number: le, bytes: u32::to_le_bytes };
const AIFF: Chunks = Chunks { sound: b"SSND", number: be, bytes: u32::to_be_bytes };

fn chunks(file: &mut (impl Read + Seek), length: u64, kind: &Chunks) -> io::Result<Repair> {
    let mut repair = Repair::default();
    let mut put = |at: u64, size: u64| {
        // What is longer than 32 bits can say is not put right.
        let size = u32::try_from(size).map(kind.bytes);
        repair.patches.extend(size.ok().map(|bytes| (at, bytes.to_vec())));
    };
    if (kind.number)(&at::<4>(file, 4)?) != length - 8 {
        put(4, length - 8);
    }
    let mut position = 12;
    for _ in 0..CHUNKS {
        if position + 8 > length {
            break;
        }
        let header: [u8; 8] = at(file, position)?;
        let (size, here) = ((kind.number)(&header[4..]), length - position - 8);
        if &header[..4] == kind.sound {
            let lost = size == 0 && here > 0 && !is_chunk(&at_most(file, position + 8, here)?, here, kind);
            if size > here || lost {
                put(position + 4, here);
            }
            if size > here && size < PLACEHOLDER && here > 0 {
                repair.stated = Some(size as f64 / here as f64);
            }
            break;
        }
        position += 8 + size + size % 2;
    }
    Ok(repair)
}

/// Whether another chunk starts here, so that an empty one before it is truly empty.
fn is_chunk(header: &[u8], here: u64, kind: &Chunks) -> bool {
    header.len() == 8
        && header[..4].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ')
        && (kind.number)(&header[4..]) <= here - 8
}

fn mp4(file: &mut (impl Read + Seek), length: u64) -> io::Result<Repair> {
    let mut position = 0;
    for _ in 0..CHUNKS {
        if position + 16 > length {
            break;
        }
        let header: [u8; 16] = at(file, position)?;
        let rest = length - position;
        let (offset, size) = match be(&header[..4]) {
            0 => break, // to the end, whatever that is
            1 => (8, be(&header[8..])),
            size => (0, size),
        };
        if size > rest {
            let bytes =
                if offset == 8 { rest.to_be_bytes().to_vec() } else { (rest as u32).to_be_bytes().to_vec() };
            return Ok(Repair { patches: vec![(position + offset, bytes)], ..Repair::default() });
        }
        position += size.max(8);
    }
    Ok(Repair::default())
}

/// The segment, and the last cluster in it, that end beyond the file: their size becomes "unknown".
fn matroska(file: &mut (impl Read + Seek), length: u64) -> io::Result<Repair> {
    const SEGMENT: u64 = 0x1853_8067;
    let mut repair = Repair::default();
    let mut position = 0;
    for _ in 0..CHUNKS {
        if position + 12 > length {
            break;
        }
        let header: [u8; 12] = at(file, position)?;
        let id_bytes = header[0].leading_zeros() as usize + 1;
        if id_bytes > 4 {
            break;
        }
        let size_bytes = header[id_bytes].leading_zeros() as usize + 1;
        if size_bytes > 8 {
            break;
        }
        // All ones but for the bits that tell how many bytes there are.
        let unknown = u64::MAX >> (64 - 7 * size_bytes);
        let size = be(&header[id_bytes..id_bytes + size_bytes]) & unknown;
        let body = position + (id_bytes + size_bytes) as u64;
        if size != unknown && body + size > length {
            let bytes = (unknown | 1 << (7 * size_bytes)).to_be_bytes();
            repair.patches.push((position + id_bytes as u64, bytes[8 - size_bytes..].to_vec()));
        }
        repair.forward_only = !repair.patches.is_empty();
        let is_segment = be(&header[..id_bytes]) == SEGMENT;
        if !is_segment && (size == unknown || body + size >= length) {
            break;
        }
        // The elements in the segment come next, the others are passed over.
        position = if is_segment { body } else { body + size };
    }
    Ok(repair)
}

fn at<const N: usize>(file: &mut (impl Read + Seek), position: u64) -> io::Result<[u8; N]> {
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn at_most(file: &mut (impl Read + Seek), position: u64, here: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = vec![0; here.min(8) as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn wav(riff: u32, data: u32, tail: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF".to_vec();
        bytes.extend(riff.to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0");
        bytes.extend([0; 16]);
        bytes.extend(b"data");
        bytes.extend(data.to_le_bytes());
        bytes.extend(tail);
        bytes
    }

    fn mend(bytes: &[u8]) -> (Vec<u8>, Option<f64>) {
        let repair = repair(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        let mut mended = bytes.to_vec();
        for (position, patch) in &repair.patches {
            mended[*position as usize..][..patch.len()].copy_from_slice(patch);
        }
        (mended, repair.stated)
    }

    #[test]
    fn sizes_of_a_wave_are_put_right() {
        let sound = [1; 100];
        let right = wav(136, 100, &sound);
        assert_eq!(mend(&right), (right.clone(), None));
        assert_eq!(mend(&wav(0, 0, &sound)), (right.clone(), None), "a recorder that died");
        assert_eq!(mend(&wav(u32::MAX, u32::MAX, &sound)), (right.clone(), None), "a pipe");
        assert_eq!(mend(&wav(236, 200, &sound)), (right.clone(), Some(2.0)), "a broken download");
        assert_eq!(mend(&wav(136, 200, &sound)), (right, Some(2.0)), "sizes at odds");
    }

    #[test]
    fn an_empty_wave_stays_empty() {
        let empty = wav(36, 0, &[]);
        assert_eq!(mend(&empty), (empty.clone(), None));
        let tagged = wav(48, 0, b"LIST\x04\0\0\0INFO");
        assert_eq!(mend(&tagged), (tagged.clone(), None));
    }

    #[test]
    fn the_last_box_of_an_mp4_ends_with_the_file() {
        let mut right = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x20mdat".to_vec();
        right.extend([3; 24]);
        assert_eq!(mend(&right).0, right);
        let mut cut = right.clone();
        cut[19] = 0xff;
        assert_eq!(mend(&cut).0, right);
    }

    #[test]
    fn a_segment_and_a_cluster_that_are_cut_become_open_ended() {
        let mut whole = b"\x1a\x45\xdf\xa3\x84head\x18\x53\x80\x67\x40\x20".to_vec();
        whole.extend(b"\x15\x49\xa9\x66\x84info\x1f\x43\xb6\x75\x10\0\0\x0f");
        whole.extend([7; 15]);
        assert_eq!(mend(&whole).0, whole);
        let cut = &whole[..whole.len() - 5];
        let mut open = cut.to_vec();
        open[13..15].copy_from_slice(&[0x7f, 0xff]);
        open[28..32].copy_from_slice(&[0x1f, 0xff, 0xff, 0xff]);
        assert_eq!(mend(cut).0, open);
    }

    #[test]
    fn anything_else_is_left_alone() {
        for bytes in [&b""[..], b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC00000000", b"\0\0\0\0ftypisom"] {
            let (mended, stated) = mend(bytes);
            assert_eq!((&mended[8.min(bytes.len())..], stated), (&bytes[8.min(bytes.len())..], None));
        }
    }
}
