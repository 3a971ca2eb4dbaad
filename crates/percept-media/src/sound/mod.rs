//! Sound of any common container and codec, as 16 kHz mono.
//!
//! - The content decides, never the name: `speech.mp3` may be a wav.
//! - The first sound track is read. Channels are mixed with the weights of `ffmpeg -ac 1` (stereo: the
//!   mean); the rate is changed by a windowed sinc whose delay is taken off, so times do not shift.
//!   Encoder delay and padding are cut where the file states them (mp3, ogg, mp4, mkv).
//! - Memory: the window being decoded and the 16 kHz samples, 4 bytes each (230 MB an hour).
//! - A truncated or damaged file gives what can be decoded and a [`SoundWarning`]; a file that gives
//!   nothing is an [`Error::Input`] with a hint.

mod borrowed;
mod codec;
mod decode;
mod downmix;
mod failure;
#[cfg(feature = "video")]
mod ffmpeg;
mod gapless;
mod info;
mod packets;
mod repair;
mod resample;
mod sniff;

use std::panic::{AssertUnwindSafe, catch_unwind};

use percept_core::transcribe::{SAMPLE_RATE, Sound};
use percept_core::{Error, Result};

pub use crate::source::Source as SoundSource;
pub use info::{SoundInfo, SoundWarning};

use crate::source::Input;
use failure::Failure;

/// Decodes a recording to mono at 16 kHz.
///
/// # Errors
/// [`Error::Input`]: it cannot be opened, is no sound, is of a codec that
/// is not built in (it is named, and the hint says what decodes it), or has no samples.
pub fn read(source: SoundSource) -> Result<(Sound, SoundInfo)> {
    let name = source.name().to_path_buf();
    read_opened(source).map_err(|failure| failure.into_error(name))
}

/// A WAV file of 16-bit PCM: mono, 16 kHz. Samples beyond -1 to 1 are cut off.
///
/// # Errors
/// [`Error::Argument`]: the sound is too long for a WAV file (4 GB).
pub fn encode_wav(sound: &Sound) -> Result<Vec<u8>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let written = hound::WavWriter::new(&mut bytes, spec).and_then(|mut writer| {
        for sample in &sound.samples {
            writer.write_sample((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)?;
        }
        writer.finalize()
    });
    written.map_err(|cause| Error::argument(format!("the sound cannot be written as WAV: {cause}")))?;
    Ok(bytes.into_inner())
}

/// What a decoder made of the bytes.
#[derive(Default)]
struct Decoded {
    samples: Vec<f32>,
    container: String,
    codec: String,
    sample_rate: u32,
    channels: usize,
    warnings: Vec<SoundWarning>,
}

fn read_opened(source: SoundSource) -> Result<(Sound, SoundInfo), Failure> {
    let mut input = source.open()?;
    let decoded = built_in(&mut input);
    #[cfg(feature = "video")]
    let decoded = decoded.or_else(|failure| fall_back(&mut input, failure));
    let decoded = decoded?;
    if decoded.samples.is_empty() {
        return Err(Failure::Silent);
    }
    let sound = Sound { samples: decoded.samples };
    let info = SoundInfo {
        container: decoded.container,
        codec: decoded.codec,
        sample_rate: decoded.sample_rate,
        channels: decoded.channels,
        duration: sound.seconds(),
        bytes: input.length(),
        sha256: input.sha256()?,
        warnings: decoded.warnings,
    };
    Ok((sound, info))
}

fn built_in(input: &mut Input) -> Result<Decoded, Failure> {
    sniff::check(&input.head(sniff::HEAD)?)?;
    // symphonia promises not to panic; a damaged file is no reason to take its word for it.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode::decode(input)))
        .unwrap_or_else(|_| Err(Failure::Broken("its data confuses the decoder".to_owned())));
    input.patch(Vec::new());
    decoded
}

/// Tries FFmpeg on what the built-in decoders refused; their reason stays if it fails too.
#[cfg(feature = "video")]
fn fall_back(input: &mut Input, failure: Failure) -> Result<Decoded, Failure> {
    if !failure.is_worth_another_try() {
        return Err(failure);
    }
    match ffmpeg::decode(input) {
        Ok(mut decoded) => {
            decoded.warnings.push(SoundWarning::Fallback { reason: failure.to_string() });
            Ok(decoded)
        }
        Err(_) => Err(failure),
    }
}
