//! A clip of pictures, by FFmpeg.

use std::path::Path;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context as Scaler, Flags};
use percept_core::segment::Image;
use percept_core::{Error, Result};

/// A clip that is being written: MP4, with H.264 where the system's FFmpeg has libx264, else MPEG-4.
///
/// Sides become even by repeating the last column or row. There is no sound. Nothing is a whole file before
/// [`ClipWriter::finish`].
pub struct ClipWriter {
    encoder: ffmpeg::encoder::video::Encoder,
    output: ffmpeg::format::context::Output,
    scaler: Scaler,
    size: (u32, u32),
    rate: ffmpeg::Rational,
    last: Option<i64>,
}

impl ClipWriter {
    /// A clip at `path`, which is replaced, of pictures of `size`, `rate` of them a second.
    ///
    /// # Errors
    /// [`Error::Output`]: the file cannot be written, or FFmpeg knows neither codec.
    pub fn create(path: &Path, size: (u32, u32), rate: f64) -> Result<Self> {
        Self::created(path, size, rational(rate)).map_err(|error| unwritten(path, error))
    }

    fn created(path: &Path, size: (u32, u32), rate: ffmpeg::Rational) -> Result<Self, ffmpeg::Error> {
        start()?;
        let text = path.to_str().ok_or(ffmpeg::Error::InvalidData)?;
        let mut output = ffmpeg::format::output_as(&format!("file:{text}"), "mp4")?;
        let even = (size.0.next_multiple_of(2), size.1.next_multiple_of(2));
        // One that is there may still not open, as where a library has been replaced.
        let opened = CODECS.iter().find_map(|name| {
            let codec = ffmpeg::encoder::find_by_name(name)?;
            Some((codec, encoder(codec, name, even, rate).ok()?))
        });
        let (codec, encoder) = opened.ok_or(ffmpeg::Error::EncoderNotFound)?;
        let mut stream = output.add_stream(codec)?;
        stream.set_parameters(&encoder);
        stream.set_time_base(rate.invert());
        stream.set_avg_frame_rate(rate);
        // The index goes to the front, so that a browser may begin before it has all.
        let options: ffmpeg::Dictionary<'_> = [("movflags", "+faststart")].into_iter().collect();
        output.write_header_with(options)?;
        let flags = Flags::BILINEAR | Flags::ACCURATE_RND;
        let scaler = Scaler::get(Pixel::RGB24, even.0, even.1, Pixel::YUV420P, even.0, even.1, flags)?;
        Ok(Self { encoder, output, scaler, size, rate, last: None })
    }

    /// Adds a picture that is shown from `time` on, in seconds. Times that do not fit the rate are moved to the next place
    /// that is free.
    ///
    /// # Errors
    /// [`Error::Output`] at `path`, which errors name; [`Error::Argument`] for a picture of another size.
    pub fn write(&mut self, path: &Path, image: &Image, time: f64) -> Result<()> {
        if image.size() != self.size {
            return Err(Error::argument("the pictures of a clip are of one size"));
        }
        self.encode(image, time).map_err(|error| unwritten(path, error))
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`Error::Output`] at `path`.
    pub fn finish(mut self, path: &Path) -> Result<()> {
        let finished = self.encoder.send_eof().and_then(|()| self.drain());
        finished.and_then(|()| self.output.write_trailer()).map_err(|error| unwritten(path, error))
    }

    fn encode(&mut self, image: &Image, time: f64) -> Result<(), ffmpeg::Error> {
        let mut packed =
            ffmpeg::frame::Video::new(Pixel::RGB24, self.scaler.input().width, self.scaler.input().height);
        let (stride, row) = (packed.stride(0), 3 * image.width as usize);
        let last_row = image.height as usize - 1;
        for (y, to) in packed.data_mut(0).chunks_exact_mut(stride).enumerate() {
            let from = &image.rgb[y.min(last_row) * row..][..row];
            to[..row].copy_from_slice(from);
            if image.width % 2 == 1 {
                to[row..row + 3].copy_from_slice(&from[row - 3..]);
            }
        }
        // A new one each time: the encoder holds on to the last ones.
        let mut frame = ffmpeg::frame::Video::empty();
        self.scaler.run(&packed, &mut frame)?;
        let place = (time * f64::from(self.rate)).round() as i64;
        let place = self.last.map_or(place, |last| place.max(last + 1));
        self.last = Some(place);
        frame.set_pts(Some(place));
        self.encoder.send_frame(&frame)?;
        self.drain()
    }

    /// Writes what the encoder has ready.
    fn drain(&mut self) -> Result<(), ffmpeg::Error> {
        let mut packet = ffmpeg::Packet::empty();
        while self.encoder.receive_packet(&mut packet).is_ok() {
            let clock = self.output.stream(0).ok_or(ffmpeg::Error::StreamNotFound)?.time_base();
            packet.set_stream(0);
            packet.set_duration(1);
            packet.rescale_ts(self.rate.invert(), clock);
            packet.write_interleaved(&mut self.output)?;
        }
        Ok(())
    }
}

/// The best first.
const CODECS: [&str; 2] = ["libx264", "mpeg4"];

fn encoder(
    codec: ffmpeg::Codec,
    name: &str,
    (width, height): (u32, u32),
    rate: ffmpeg::Rational,
) -> Result<ffmpeg::encoder::video::Encoder, ffmpeg::Error> {
    let mut encoder = ffmpeg::codec::Context::new_with_codec(codec).encoder().video()?;
    encoder.set_width(width);
    encoder.set_height(height);
    encoder.set_format(Pixel::YUV420P);
    encoder.set_time_base(rate.invert());
    encoder.set_frame_rate(Some(rate));
    // What the scaler makes of RGB.
    encoder.set_colorspace(ffmpeg::color::Space::SMPTE170M);
    encoder.set_color_range(ffmpeg::color::Range::MPEG);
    let header = ffmpeg::codec::Flags::GLOBAL_HEADER;
    if name == "libx264" {
        encoder.set_flags(header);
        return encoder.open_with([("preset", "fast"), ("crf", "20")].into_iter().collect());
    }
    encoder.set_flags(header | ffmpeg::codec::Flags::QSCALE);
    encoder.set_global_quality(3 * ffmpeg::ffi::FF_QP2LAMBDA);
    encoder.open()
}

/// Frames a second as a fraction, of which MPEG-4 wants parts below 65536.
fn rational(rate: f64) -> ffmpeg::Rational {
    let rate = if rate.is_finite() { rate.clamp(0.01, 1000.0) } else { 25.0 };
    match ffmpeg::Rational::from(rate).reduce_with_limit(65_535) {
        Ok(exact) => exact,
        Err(nearest) => nearest,
    }
}

/// Makes FFmpeg ready, and silent: what it has to say comes as errors.
pub(super) fn start() -> Result<(), ffmpeg::Error> {
    ffmpeg::init()?;
    ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
    Ok(())
}

fn unwritten(path: &Path, error: ffmpeg::Error) -> Error {
    let hint = match error {
        ffmpeg::Error::EncoderNotFound => {
            Some("install an FFmpeg with libx264, or ask for `-f jsonl`".to_owned())
        }
        ffmpeg::Error::Other { errno } => {
            percept_core::write::hint(&std::io::Error::from_raw_os_error(errno))
        }
        _ => None,
    };
    Error::Output { path: path.to_owned(), cause: Box::new(error), hint }
}
