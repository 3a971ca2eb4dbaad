//! The loop over the packets of one track: decode, cut, mix, resample, and keep the clock right where
//! a packet is damaged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use percept_core::transcribe::SAMPLE_RATE;
use symphonia::core::audio::{Channels, GenericAudioBufferRef};
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::{FormatReader, Track, TrackType};
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;
use symphonia::default::get_codecs;

use super::Decoded;
use super::codec;
use super::downmix::Downmix;
use super::failure::Failure;
use super::gapless::Edit;
use super::info::SoundWarning;
use super::resample::{Collector, RATES};

/// A container that gives this many errors in a row will not recover.
const PATIENCE: usize = 1_000;

/// The longest silence that stands in for one damaged packet, in seconds.
const LONGEST_PACKET: f64 = 1.0;

/// AAC frames that are asked for hidden band replication.
const AAC_FRAMES: usize = 24;

/// Silence for damaged packets may be as long as the sound before it and this much, in seconds: a small
/// file must not claim hours of packets that cannot be decoded.
const SILENCE: f64 = 60.0;

/// A longer hole in the packet times, in seconds, is taken for a damaged time, not for lost sound.
const LONGEST_HOLE: f64 = 60.0;

/// Seconds that may be missing before a file is called truncated: encoders round to packets.
const SLACK: f64 = 0.05;

/// The sound of one track, as far as it is decoded.
pub(super) struct Packets {
    track: u32,
    clock: Option<TimeBase>,
    /// Of the last packet that was decoded.
    rate: u32,
    channels: Channels,
    downmix: Downmix,
    collector: Collector,
    edit: Edit,
    /// Whether a damaged packet is taken to be as long as the last good one: a header that is found in
    /// damaged MPEG audio is often none.
    doubts_length: bool,
    /// Whether a first packet before time zero is encoder delay that nobody has cut yet.
    cuts_delay: bool,
    /// Where the next packet should start, in seconds; known with the first packet.
    next: Option<f64>,
    /// How far a packet may be from there without sound having been lost.
    tolerance: f64,
    /// No sound is expected after this time.
    end: f64,
    /// Frames still to be cut from the start; known with the first packet.
    to_cut: Option<u64>,
    /// Frames still to be taken, when the file says where the sound ends.
    to_take: Option<u64>,
    aac: Option<AacFrames>,
    /// Scratch.
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    last_frames: usize,
    /// Seconds that silence stands in for.
    silent: f64,
    good: usize,
    skipped: usize,
    first_error: Option<String>,
    cut_off: bool,
    bytes: u64,
    progress: Arc<AtomicU64>,
}

/// How many of the first AAC frames carry band replication.
#[derive(Default)]
struct AacFrames {
    seen: usize,
    replicated: usize,
}

impl AacFrames {
    fn judge(&self) -> Result<(), Failure> {
        if self.seen >= 4 && self.replicated * 3 > self.seen * 2 {
            return Err(Failure::Codec("HE-AAC".to_owned()));
        }
        Ok(())
    }
}

impl Packets {
    pub(super) fn new(
        track: &Track,
        parameters: &AudioCodecParameters,
        container: &str,
        edit: Option<Edit>,
    ) -> Self {
        Self {
            track: track.id,
            clock: track.time_base,
            rate: parameters.sample_rate.unwrap_or(0),
            channels: Channels::None,
            downmix: Downmix::mean(0),
            collector: Collector::new(),
            edit: edit.unwrap_or(Edit { start: 0.0, length: counted(track, container) }),
            doubts_length: matches!(container, "mp1" | "mp2" | "mp3" | "aac"),
            cuts_delay: container == "matroska",
            next: None,
            // Readers of these containers pass over what is damaged; others hand over every packet, but
            // with rounded times.
            tolerance: if matches!(container, "flac" | "ogg") { 0.002 } else { 0.1 },
            end: 0.0,
            to_cut: None,
            to_take: None,
            aac: (parameters.codec == CODEC_ID_AAC).then(AacFrames::default),
            interleaved: Vec::new(),
            mono: Vec::new(),
            last_frames: 0,
            silent: 0.0,
            good: 0,
            skipped: 0,
            first_error: None,
            cut_off: false,
            bytes: 0,
            progress: Arc::default(),
        }
    }

    /// Makes room for `seconds`, as far as a file of `bytes` can be believed to hold them.
    pub(super) fn expect(&mut self, seconds: Option<f64>, bytes: u64, progress: Arc<AtomicU64>) {
        self.end = seconds.unwrap_or(f64::INFINITY);
        // 4 kbit/s, less than any speech codec here: 32 samples a byte.
        let believable = bytes.saturating_mul(32);
        // With what `grow` wants to see free behind the last packet: else it would move everything once more there.
        let samples = seconds.map_or(0.0, |seconds| (seconds + 3.0) * f64::from(SAMPLE_RATE));
        self.collector.reserve((samples as u64).min(believable) as usize);
        self.bytes = bytes;
        self.progress = progress;
    }

    /// Decodes to the end of the track, or as far as it can be decoded.
    pub(super) fn decode_all(
        &mut self,
        format: &mut (dyn FormatReader + '_),
        mut decoder: Box<dyn AudioDecoder>,
    ) -> Result<(), Failure> {
        let mut errors = 0;
        while self.to_take != Some(0) && errors < PATIENCE {
            match format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => {
                    errors = 0;
                    self.packet(&packet, decoder.as_mut())?;
                }
                Ok(Some(_)) => errors = 0,
                Ok(None) => break,
                // The next stream of a chained ogg: it may differ in everything.
                Err(Symphonia::ResetRequired) => {
                    let Some(track) = format.first_track(TrackType::Audio) else { break };
                    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else { break };
                    let Ok(next) = get_codecs().make_audio_decoder(parameters, &Default::default()) else {
                        break;
                    };
                    (self.track, self.clock, decoder) = (track.id, track.time_base, next);
                    errors += 1;
                }
                Err(Symphonia::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.cut_off = true;
                    break;
                }
                Err(Symphonia::IoError(error)) => return Err(error.into()),
                Err(error) => {
                    errors += 1;
                    self.first_error.get_or_insert_with(|| error.to_string());
                    self.cut_off = true;
                }
            }
        }
        Ok(())
    }

    fn packet(&mut self, packet: &Packet, decoder: &mut dyn AudioDecoder) -> Result<(), Failure> {
        self.ask_for_replication(packet)?;
        self.fill_hole(packet)?;
        match decoder.decode(packet) {
            Ok(buffer) => self.buffer(packet, buffer),
            Err(Symphonia::IoError(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                Err(error.into())
            }
            Err(error) => {
                self.skipped += 1;
                self.first_error.get_or_insert_with(|| error.to_string());
                self.silence(packet)
            }
        }
    }

    fn buffer(&mut self, packet: &Packet, buffer: GenericAudioBufferRef<'_>) -> Result<(), Failure> {
        let spec = buffer.spec();
        if !RATES.contains(&spec.rate()) {
            return Err(Failure::Broken(format!("it claims a sample rate of {} Hz", spec.rate())));
        }
        if buffer.frames() == 0 {
            self.next = None; // decoders that overlap their windows give nothing at first
            return Ok(());
        }
        if *spec.channels() != self.channels {
            self.channels = spec.channels().clone();
            self.downmix = Downmix::new(&self.channels);
        }
        self.rate = spec.rate();
        self.last_frames = buffer.frames();
        self.good += 1;
        buffer.copy_to_vec_interleaved(&mut self.interleaved);
        let mut mono = std::mem::take(&mut self.mono);
        self.downmix.mix(&self.interleaved, &mut mono);
        self.advance(mono.len());
        let taken = self.take(packet, &mono);
        self.mono = mono;
        taken
    }

    /// Silence in place of a damaged packet, so that what follows keeps its time.
    fn silence(&mut self, packet: &Packet) -> Result<(), Failure> {
        let stated = self.clock.map(|clock| clock.calc_duration_saturating(packet.dur).as_secs_f64());
        let frames = match stated {
            Some(seconds) if seconds > 0.0 && !(self.doubts_length && self.last_frames > 0) => {
                (seconds.min(LONGEST_PACKET) * f64::from(self.rate)).round() as usize
            }
            _ => self.last_frames,
        };
        self.insert(packet, frames)
    }

    /// Silence in place of what the container's reader passed over because it was damaged.
    fn fill_hole(&mut self, packet: &Packet) -> Result<(), Failure> {
        let Some(start) = self.clock.and_then(|clock| clock.calc_time(packet.pts)) else { return Ok(()) };
        let start = start.as_secs_f64();
        let hole = start - *self.next.get_or_insert(start);
        if hole > self.tolerance && hole <= LONGEST_HOLE && start < self.end {
            self.skipped += 1;
            self.insert(packet, (hole * f64::from(self.rate)).round() as usize)?;
        }
        self.next = Some(start);
        Ok(())
    }

    fn insert(&mut self, packet: &Packet, frames: usize) -> Result<(), Failure> {
        if !RATES.contains(&self.rate) {
            return Ok(());
        }
        let sound = self.collector.len() as f64 / f64::from(SAMPLE_RATE) - self.silent;
        let seconds = frames as f64 / f64::from(self.rate);
        if self.silent + seconds > SILENCE + sound {
            self.cut_off = true;
            return Ok(());
        }
        self.silent += seconds;
        self.advance(frames);
        self.take(packet, &vec![0.0; frames])
    }

    fn advance(&mut self, frames: usize) {
        if let Some(next) = &mut self.next {
            *next += frames as f64 / f64::from(self.rate);
        }
    }

    /// Cuts what is not meant to be heard and resamples the rest.
    fn take(&mut self, packet: &Packet, mut mono: &[f32]) -> Result<(), Failure> {
        let frames = |seconds: f64| (seconds * f64::from(self.rate)).round() as u64;
        let to_cut = self.to_cut.get_or_insert_with(|| {
            self.to_take = self.edit.length.map(frames);
            let delay = self.clock.and_then(|clock| clock.calc_time(packet.pts));
            let delay = delay.map_or(0.0, |time| -time.as_secs_f64());
            frames(if self.cuts_delay && delay > 0.0 { delay } else { self.edit.start })
        });
        let cut = (*to_cut).min(mono.len() as u64);
        *to_cut -= cut;
        mono = &mono[cut as usize..];
        if let Some(left) = &mut self.to_take {
            mono = &mono[..mono.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
            *left -= mono.len() as u64;
        }
        self.grow(mono.len() as f64 / f64::from(self.rate));
        self.collector.push(mono, self.rate)
    }

    /// Where the length was not known: makes room for the rest at once, by what the bytes gave so far.
    fn grow(&mut self, seconds: f64) {
        // A few blocks of the resampler come at once.
        if self.collector.has_room(seconds + 1.0) || self.collector.len() < SAMPLE_RATE as usize {
            return;
        }
        let done = self.progress.load(Ordering::Relaxed).max(1) as f64;
        let ratio = (self.bytes as f64 / done * 1.02 - 1.0).clamp(0.0, 7.0);
        let rest = self.collector.len() as f64 * ratio + f64::from(SAMPLE_RATE) * 2.0;
        self.collector.reserve(rest as usize);
    }

    /// Refuses HE-AAC that is announced as AAC-LC: half of its spectrum would be missing.
    fn ask_for_replication(&mut self, packet: &Packet) -> Result<(), Failure> {
        let Some(frames) = self.aac.as_mut().filter(|frames| frames.seen < AAC_FRAMES) else { return Ok(()) };
        frames.seen += 1;
        frames.replicated += usize::from(codec::has_band_replication(&packet.data));
        if frames.seen == AAC_FRAMES { frames.judge() } else { Ok(()) }
    }

    /// The samples and what was wrong with them. `stated` is the true length in seconds, if known.
    pub(super) fn finish(self, stated: Option<f64>) -> Result<Decoded, Failure> {
        if self.good == 0
            && let Some(error) = self.first_error
        {
            return Err(Failure::Broken(error));
        }
        // A clip that is too short to have been judged on the way.
        self.aac.as_ref().map_or(Ok(()), AacFrames::judge)?;
        let mut warnings = Vec::new();
        if self.skipped > 0 {
            warnings.push(SoundWarning::Skipped { packets: self.skipped });
        }
        let samples = self.collector.finish()?;
        let decoded = samples.len() as f64 / f64::from(SAMPLE_RATE);
        let short = stated.filter(|stated| stated - decoded > SLACK);
        if self.good > 0 && (short.is_some() || self.cut_off) {
            warnings.push(SoundWarning::Truncated { decoded, stated: short });
        }
        Ok(Decoded {
            samples,
            sample_rate: self.rate,
            channels: self.channels.count(),
            warnings,
            ..Decoded::default()
        })
    }
}

/// The length in seconds that an MP3 encoder's tag counts: a damaged packet must not bring the padding
/// behind it to light.
fn counted(track: &Track, container: &str) -> Option<f64> {
    let frames = track.num_frames.filter(|_| container == "mp3" && track.delay.is_some())?;
    Some(track.time_base?.calc_duration(frames.into())?.as_secs_f64())
}
