//! The second road, with the cargo feature `video`: FFmpeg decodes what symphonia refuses (Opus,
//! HE-AAC, AC-3, WMA, ...). Mixing and resampling are ours on both roads.
//!
//! ffmpeg-next's safe calls open files by path only, so a stream is put into a temporary file first.
//! FFmpeg may open nothing but that file: playlists that name other files or servers are refused.

use std::io::{self, Seek};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Sample;
use ffmpeg_next::format::sample::Type;
use symphonia::core::audio::{Channels, Position};

use super::Decoded;
use super::downmix::Downmix;
use super::failure::Failure;
use super::info::SoundWarning;
use super::resample::Collector;
use crate::source::Input;

/// Decodes the first sound track of `input`.
pub(super) fn decode(input: &mut Input) -> Result<Decoded, Failure> {
    ffmpeg::init().map_err(Failure::internal)?;
    ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
    let kept; // lives until the decoding is over
    let path = match input.path().and_then(|path| path.canonicalize().ok()?.to_str().map(str::to_owned)) {
        Some(path) => path,
        None => {
            let mut file = tempfile::NamedTempFile::new()?;
            input.rewind()?;
            io::copy(input, &mut file)?;
            kept = file;
            kept.path().to_str().ok_or(Failure::Unknown)?.to_owned()
        }
    };
    let options: ffmpeg::Dictionary = [("protocol_whitelist", "file")].into_iter().collect();
    // The prefix keeps FFmpeg from taking a name with a colon for a protocol.
    let mut format =
        ffmpeg::format::input_with_dictionary(&format!("file:{path}"), options).map_err(broken)?;

    let sound = |stream: &ffmpeg::Stream| stream.parameters().medium() == ffmpeg::media::Type::Audio;
    let tracks = format.streams().filter(sound).count();
    let stream = format.streams().find(sound).ok_or(Failure::NoTrack)?;
    let index = stream.index();
    let clock = f64::from(stream.time_base());
    let stated = Some(stream.duration() as f64 * clock).filter(|&seconds| seconds > 0.0);
    let context = ffmpeg::codec::Context::from_parameters(stream.parameters()).map_err(broken)?;
    let mut decoder = context.decoder().audio().map_err(broken)?;
    let container = format.format().name().to_owned();
    let codec = decoder.codec().map_or_else(|| "unknown".to_owned(), |codec| codec.name().to_owned());

    let mut track = Frames {
        collector: Collector::new(),
        mono: Vec::new(),
        interleaved: Vec::new(),
        rate: 0,
        channels: 0,
    };
    let mut skipped = 0;
    for (stream, packet) in format.packets() {
        if stream.index() != index {
            continue;
        }
        if decoder.send_packet(&packet).is_err() {
            skipped += 1;
            track.silence(packet.duration() as f64 * clock)?;
        }
        track.receive(&mut decoder)?;
    }
    if decoder.send_eof().is_ok() {
        track.receive(&mut decoder)?;
    }

    let samples = track.collector.finish()?;
    let mut warnings = Vec::new();
    if skipped > 0 {
        warnings.push(SoundWarning::Skipped { packets: skipped });
    }
    let decoded = samples.len() as f64 / f64::from(percept_core::transcribe::SAMPLE_RATE);
    // FFmpeg guesses lengths by the bit rate where none is stated, so little is not yet suspicious.
    if let Some(stated) = stated.filter(|stated| stated - decoded > 0.5 + stated * 0.05) {
        warnings.push(SoundWarning::Truncated { decoded, stated: Some(stated) });
    }
    if tracks > 1 {
        warnings.push(SoundWarning::OtherTracks { tracks: tracks - 1 });
    }
    Ok(Decoded { samples, container, codec, sample_rate: track.rate, channels: track.channels, warnings })
}

fn broken(error: ffmpeg::Error) -> Failure {
    Failure::Broken(error.to_string())
}

/// The sound so far.
struct Frames {
    collector: Collector,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    rate: u32,
    channels: usize,
}

impl Frames {
    /// Takes all frames that the decoder has ready.
    fn receive(&mut self, decoder: &mut ffmpeg::decoder::Audio) -> Result<(), Failure> {
        let mut frame = ffmpeg::frame::Audio::empty();
        while decoder.receive_frame(&mut frame).is_ok() {
            self.rate = frame.rate();
            self.channels = usize::from(frame.channels());
            if !interleave(&frame, &mut self.interleaved) {
                return Err(Failure::Broken(format!(
                    "samples of an unknown format, {}",
                    frame.format().name()
                )));
            }
            Downmix::new(&layout(&frame)).mix(&self.interleaved, &mut self.mono);
            self.collector.push(&self.mono, self.rate)?;
        }
        Ok(())
    }

    /// Silence in place of a damaged packet, so that what follows keeps its time.
    fn silence(&mut self, seconds: f64) -> Result<(), Failure> {
        let frames = (seconds.clamp(0.0, 1.0) * f64::from(self.rate)) as usize;
        if frames == 0 {
            return Ok(());
        }
        self.collector.push(&vec![0.0; frames], self.rate)
    }
}

/// FFmpeg numbers the speakers as WAVE does.
fn layout(frame: &ffmpeg::frame::Audio) -> Channels {
    let count = frame.channels();
    let mask = u32::try_from(frame.channel_layout().bits()).unwrap_or(0);
    match Position::from_wave_channel_mask(mask) {
        Some(positions) if positions.bits().count_ones() == u32::from(count) => {
            Channels::Positioned(positions)
        }
        _ => Channels::Discrete(count),
    }
}

/// The samples of a frame as interleaved floats; false for a format that sound does not have.
fn interleave(frame: &ffmpeg::frame::Audio, target: &mut Vec<f32>) -> bool {
    let (kind, convert): (Type, fn(&[u8]) -> f32) = match frame.format() {
        Sample::U8(kind) => (kind, |b| (f32::from(b[0]) - 128.0) / 128.0),
        Sample::I16(kind) => (kind, |b| f32::from(i16::from_ne_bytes([b[0], b[1]])) / 32_768.0),
        Sample::I32(kind) => {
            (kind, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]) as f32 / 2_147_483_648.0)
        }
        Sample::F32(kind) => (kind, |b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])),
        Sample::F64(kind) => {
            (kind, |b| f64::from_ne_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
        }
        _ => return false,
    };
    let (frames, channels) = (frame.samples(), usize::from(frame.channels()));
    let size = frame.format().bytes();
    target.clear();
    if kind == Type::Packed {
        target.extend(frame.data(0)[..frames * channels * size].chunks_exact(size).map(convert));
        return true;
    }
    target.resize(frames * channels, 0.0);
    for channel in 0..frame.planes() {
        let plane = frame.data(channel)[..frames * size].chunks_exact(size);
        for (target, sample) in target.iter_mut().skip(channel).step_by(channels).zip(plane) {
            *target = convert(sample);
        }
    }
    true
}
