//! The frames of a clip, by FFmpeg.

use std::fmt;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::packet::side_data::Type as SideData;
use ffmpeg_next::format::stream::Disposition;
use percept_core::Result;
use percept_core::segment::{Image, Orientation};
use serde::Serialize;

use super::color::Converter;
use super::failure::Failure;
use crate::picture::{PictureLimits, upright};
use crate::source::Source;

/// A clip that is being read: its frames one by one.
///
/// They stand upright as the file says, have square pixels, and are 8-bit RGB by the clip's own matrix; high dynamic range
/// is not mapped down. An error is the last item.
pub struct Clip {
    path: PathBuf,
    info: ClipInfo,
    every: u64,
    format: ffmpeg::format::context::Input,
    decoder: ffmpeg::decoder::Video,
    stream: usize,
    /// Seconds in a unit of time stamps, and the time stamp of the beginning of the file, in seconds.
    clock: (f64, f64),
    converter: Converter,
    number: u64,
    time: Option<f64>,
    skipped: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Reading,
    /// The file is at its end, the decoder is not.
    Draining,
    Done,
}

/// A frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its number among all frames of the clip, from 0.
    pub number: u64,
    /// When it is shown, in seconds from the beginning of the clip.
    pub time: f64,
    /// What it shows.
    pub image: Image,
}

/// What is known of a clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipInfo {
    /// Columns of the frames as displayed.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How frames are turned that are stored, as the number of EXIF.
    pub orientation: Orientation,
    /// As FFmpeg calls it.
    pub container: String,
    /// What the video is compressed with.
    pub codec: String,
    /// Frames a second on average, as the file says.
    pub frame_rate: Option<f64>,
    /// How many frames there are, as the file says.
    pub frames: Option<u64>,
    /// Seconds, as the file says.
    pub duration: Option<f64>,
    /// The size of the file.
    pub bytes: u64,
    /// The digest of the file, in hexadecimal.
    pub sha256: String,
}

/// What was odd about a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipWarning {
    /// Parts that could not be decoded.
    Skipped {
        /// How many.
        packets: u64,
    },
}

impl fmt::Display for ClipWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { packets } => write!(f, "{packets} damaged parts were passed over"),
        }
    }
}

impl Clip {
    /// Opens a clip for every `every`th of its frames, from the first.
    ///
    /// # Errors
    /// [`percept_core::Error::Input`]: it cannot be opened, has no video, or its frames have more pixels than `limits` allow.
    pub fn open(path: &Path, every: NonZero<u32>, limits: PictureLimits) -> Result<Self> {
        Self::opened(path, every, limits).map_err(|failure| failure.into_error(path))
    }

    fn opened(path: &Path, every: NonZero<u32>, limits: PictureLimits) -> Result<Self, Failure> {
        let mut input = Source::Path(path.to_owned()).open()?;
        let (bytes, sha256) = (input.length(), input.sha256()?);
        let format = open(path)?;
        let stream = format.streams().best(ffmpeg::media::Type::Video).ok_or(Failure::NoTrack)?;
        if stream.disposition().contains(Disposition::ATTACHED_PIC) {
            return Err(Failure::NoTrack);
        }
        let parameters = stream.parameters();
        let codec = parameters.id();
        if ffmpeg::decoder::find(codec).is_none() {
            return Err(Failure::Codec(codec.name().to_owned()));
        }
        let decoder = ffmpeg::codec::Context::from_parameters(parameters)?.decoder().video()?;
        let stored = (decoder.width(), decoder.height());
        let pixels = u64::from(stored.0) * u64::from(stored.1);
        if pixels > limits.max_pixels {
            let limit = limits.max_pixels / 1_000_000;
            return Err(Failure::TooLarge { width: stored.0, height: stored.1, limit });
        }
        if pixels == 0 {
            return Err(Failure::NoFrame);
        }
        let square = square(stored, decoder.aspect_ratio());
        let orientation = orientation(&stream);
        let (width, height) = orientation.turned(square);
        let positive = |number: f64| Some(number).filter(|number| number.is_finite() && *number > 0.0);
        let clock = f64::from(stream.time_base());
        let length = positive(stream.duration() as f64 * clock);
        let info = ClipInfo {
            width,
            height,
            orientation,
            container: format.format().name().to_owned(),
            codec: codec.name().to_owned(),
            frame_rate: positive(f64::from(stream.avg_frame_rate())),
            frames: u64::try_from(stream.frames()).ok().filter(|frames| *frames > 0),
            duration: length.or(positive(format.duration() as f64 / f64::from(ffmpeg::ffi::AV_TIME_BASE))),
            bytes,
            sha256,
        };
        // Sound may begin before the picture does.
        let starts = format.streams().filter(|stream| stream.start_time() != i64::MIN);
        let starts = starts.map(|stream| stream.start_time() as f64 * f64::from(stream.time_base()));
        let start = starts.fold(f64::INFINITY, f64::min);
        let clock = (clock, if start.is_finite() { start } else { 0.0 });
        let stream = stream.index();
        Ok(Self {
            path: path.to_owned(),
            info,
            every: u64::from(every.get()),
            format,
            decoder,
            stream,
            clock,
            converter: Converter::new(square),
            number: 0,
            time: None,
            skipped: 0,
            state: State::Reading,
        })
    }

    /// What is known of it.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// What was odd about it so far.
    pub fn warnings(&self) -> Vec<ClipWarning> {
        let skipped = ClipWarning::Skipped { packets: self.skipped };
        if self.skipped > 0 { vec![skipped] } else { Vec::new() }
    }

    /// The next frame that the decoder has, wanted or not.
    fn decoded(&mut self) -> Result<Option<ffmpeg::frame::Video>, Failure> {
        let mut frame = ffmpeg::frame::Video::empty();
        loop {
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => return Ok(Some(frame)),
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(ffmpeg::Error::Other { .. }) if self.state == State::Reading => {}
                Err(_) if self.state == State::Reading => self.skipped += 1,
                // Nothing comes to a decoder that has seen the end: it would say the same for ever.
                Err(_) => return Ok(None),
            }
            let mut packet = ffmpeg::Packet::empty();
            match packet.read(&mut self.format) {
                Ok(()) if packet.stream() == self.stream => {
                    self.skipped += u64::from(self.decoder.send_packet(&packet).is_err());
                }
                Ok(()) => {}
                // The demuxer finds the next whole part by itself.
                Err(ffmpeg::Error::InvalidData) => self.skipped += 1,
                Err(error) => {
                    self.skipped += u64::from(error != ffmpeg::Error::Eof);
                    self.state = State::Draining;
                    self.decoder.send_eof()?;
                }
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, Failure> {
        while let Some(decoded) = self.decoded()? {
            let number = self.number;
            self.number += 1;
            let rate = self.info.frame_rate.unwrap_or(25.0);
            let stamp = decoded.timestamp().map(|stamp| stamp as f64 * self.clock.0 - self.clock.1);
            let time = stamp.unwrap_or_else(|| self.time.map_or(0.0, |last| last + 1.0 / rate));
            self.time = Some(time);
            if number.is_multiple_of(self.every) {
                let image = upright(self.converter.convert(&decoded)?, self.info.orientation);
                return Ok(Some(Frame { number, time, image }));
            }
        }
        if self.number == 0 { Err(Failure::NoFrame) } else { Ok(None) }
    }
}

impl Iterator for Clip {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let next = self.next_frame().map_err(|failure| failure.into_error(&self.path)).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Done;
        }
        next
    }
}

fn open(path: &Path) -> Result<ffmpeg::format::context::Input, Failure> {
    super::write::start()?;
    let path = path.canonicalize()?;
    let path = path.to_str().ok_or(Failure::Name)?;
    // A playlist that names servers is refused. The prefix keeps FFmpeg from taking a name with a colon for a protocol.
    let options: ffmpeg::Dictionary<'_> = [("protocol_whitelist", "file")].into_iter().collect();
    Ok(ffmpeg::format::input_with_dictionary(&format!("file:{path}"), options)?)
}

/// Columns and rows of frames with square pixels, of those as they are stored.
fn square((width, height): (u32, u32), aspect: ffmpeg::Rational) -> (u32, u32) {
    let ratio = f64::from(aspect);
    // What is stranger than this is a mistake.
    if ratio.is_finite() && (0.2..=5.0).contains(&ratio) {
        ((f64::from(width) * ratio).round().max(1.0) as u32, height)
    } else {
        (width, height)
    }
}

/// How the display matrix of a stream turns its frames: the nearest of the eight ways.
fn orientation(stream: &ffmpeg::Stream<'_>) -> Orientation {
    let matrix = stream.side_data().find(|data| data.kind() == SideData::DisplayMatrix);
    let numbers: Vec<i32> = matrix.map_or_else(Vec::new, |matrix| {
        let numbers = matrix.data().chunks_exact(4).map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]]);
        numbers.map(i32::from_ne_bytes).collect()
    });
    // Right by x and y, down by x and y; the rest moves and projects.
    let [a, b, _, c, d, ..] = numbers[..] else { return Orientation::UPRIGHT };
    let straight = u64::from(a.unsigned_abs()) + u64::from(d.unsigned_abs());
    let turned = u64::from(b.unsigned_abs()) + u64::from(c.unsigned_abs());
    let number = match straight >= turned {
        true => [[1, 4], [2, 3]][usize::from(a < 0)][usize::from(d < 0)],
        false => [[5, 6], [8, 7]][usize::from(b < 0)][usize::from(c < 0)],
    };
    Orientation::try_from(number).unwrap_or_default()
}
