//! The edit list of an MP4 track: which part of the decoded sound is meant to be heard.
//!
//! AAC encoders put 1024 to 2112 samples of delay before the sound; the edit list says so, and
//! symphonia (0.6) does not look at it.

use std::io::{self, Read, Seek, SeekFrom};

/// The part of a track that is heard, in seconds of the track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    /// Where it starts.
    pub(super) start: f64,
    /// How long it is; absent when it runs to the end.
    pub(super) length: Option<f64>,
}

/// Boxes that hold boxes on the way to the edit list.
const FOLDERS: [&[u8; 4]; 4] = [b"moov", b"trak", b"edts", b"mdia"];

/// Ends the walk through a file that is nothing but box headers.
const BOXES: usize = 100_000;

#[derive(Default)]
struct Walk {
    /// The clock of the movie, in ticks a second.
    movie: u32,
    tracks: Vec<Track>,
    left: usize,
}

#[derive(Default)]
struct Track {
    id: u32,
    /// The clock of the track, in ticks a second.
    media: u32,
    /// Of the first entry that is no pause: the start in media ticks and the length in movie ticks.
    edit: Option<(u64, u64)>,
    /// Entries that are no pause.
    entries: usize,
}

/// The edits of an MP4, by the number of their track: of the tracks whose list plays one stretch. The
/// position of `file` is its start afterwards.
pub(super) fn edits(file: &mut (impl Read + Seek), length: u64) -> io::Result<Vec<(u32, Edit)>> {
    let mut walk = Walk { left: BOXES, ..Walk::default() };
    // What cannot be walked through has no edit list; decoding it will tell what is wrong.
    let walked = walk.boxes(file, 0, length);
    file.rewind()?;
    if walked.is_err() {
        return Ok(Vec::new());
    }
    let movie = f64::from(walk.movie);
    let edit = |track: &Track| {
        let (start, length) = track.edit.filter(|_| track.entries == 1 && track.media > 0)?;
        let start = start as f64 / f64::from(track.media);
        let length = (length > 0 && walk.movie > 0).then(|| length as f64 / movie);
        Some((track.id, Edit { start, length }))
    };
    Ok(walk.tracks.iter().filter_map(edit).collect())
}

impl Walk {
    fn boxes(&mut self, file: &mut (impl Read + Seek), mut position: u64, end: u64) -> io::Result<()> {
        while position + 8 <= end && self.left > 0 {
            self.left -= 1;
            file.seek(SeekFrom::Start(position))?;
            let header: [u8; 8] = bytes(file)?;
            let kind = [header[4], header[5], header[6], header[7]];
            let (head, size) = match u32_at(&header, 0) {
                0 => (8, end - position),
                1 => (16, u64::from_be_bytes(bytes(file)?)),
                size => (8, u64::from(size)),
            };
            let next = position.saturating_add(size).min(end);
            let body = position + head;
            if size < head || body > next {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if &kind == b"trak" {
                self.tracks.push(Track::default());
            }
            if FOLDERS.contains(&&kind) {
                self.boxes(file, body, next)?;
            } else {
                self.leaf(file, &kind)?;
            }
            position = next;
        }
        Ok(())
    }

    fn leaf(&mut self, file: &mut impl Read, kind: &[u8; 4]) -> io::Result<()> {
        if ![b"mvhd", b"tkhd", b"mdhd", b"elst"].contains(&kind) {
            return Ok(());
        }
        let [version, ..]: [u8; 4] = bytes(file)?;
        let wide = version == 1;
        if kind == b"elst" {
            let count: [u8; 4] = bytes(file)?;
            for _ in 0..u32_at(&count, 0).min(1_000) {
                self.entry(file, wide)?;
            }
            return Ok(());
        }
        // Two dates come first, of four or eight bytes each, then the clock or the track's number.
        let value = if wide { u32_at(&bytes::<20>(file)?, 16) } else { u32_at(&bytes::<12>(file)?, 8) };
        match (kind, self.tracks.last_mut()) {
            (b"mvhd", _) => self.movie = value,
            (b"tkhd", Some(track)) => track.id = value,
            (b"mdhd", Some(track)) => track.media = value,
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, file: &mut impl Read, wide: bool) -> io::Result<()> {
        let (length, start) = if wide {
            (u64::from_be_bytes(bytes(file)?), i64::from_be_bytes(bytes(file)?))
        } else {
            (u64::from(u32::from_be_bytes(bytes(file)?)), i64::from(i32::from_be_bytes(bytes(file)?)))
        };
        bytes::<4>(file)?; // the rate
        // A negative start is a pause before the sound, which ffmpeg drops as well.
        if let (Ok(start), Some(track)) = (u64::try_from(start), self.tracks.last_mut()) {
            track.edit.get_or_insert((start, length));
            track.entries += 1;
        }
        Ok(())
    }
}

fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut buffer = [0; N];
    file.read_exact(&mut buffer)?;
    Ok(buffer)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
