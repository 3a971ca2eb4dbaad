//! The built-in road: symphonia takes the container and the packets apart, block by block.

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::{Duration, TimeBase};
use symphonia::default::{get_codecs, get_probe};

use super::Decoded;
use super::borrowed::Borrowed;
use super::codec;
use super::failure::Failure;
use super::gapless::{self, Edit};
use super::info::SoundWarning;
use super::packets::Packets;
use super::repair;
use crate::source::Input;

/// Decodes the first sound track of `input`.
pub(super) fn decode(input: &mut Input) -> Result<Decoded, Failure> {
    let bytes = input.length();
    let progress = input.progress();
    let repair = repair::repair(input, bytes)?;
    let (overstated, seekable) = (repair.stated, !repair.forward_only);
    input.patch(repair.patches);
    let is_mp4 = input.head(8)?.get(4..8) == Some(b"ftyp");
    let edits = if is_mp4 { gapless::edits(input, bytes)? } else { Vec::new() };

    let stream = MediaSourceStream::new(Box::new(Borrowed { input, seekable }), Default::default());
    let mut format = get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(refused)?;
    let track = format.first_track(TrackType::Audio).ok_or(Failure::NoTrack)?;
    let edit = edits.iter().find(|(id, _)| *id == track.id).map(|(_, edit)| *edit);
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else { return Err(Failure::NoTrack) };
    let decoder = decoder(parameters)?;

    let container = format.format_info().short_name;
    let stated = Stated::of(format.as_ref(), track, overstated, edit);
    let tracks = format.tracks().iter().filter(|track| track.track_type() == Some(TrackType::Audio)).count();
    let codec = decoder.codec_info().short_name;
    let mut packets = Packets::new(track, parameters, container, edit);
    packets.expect(stated.guess, bytes, progress);
    packets.decode_all(format.as_mut(), decoder)?;
    let mut decoded = packets.finish(stated.trusted)?;
    if tracks > 1 {
        decoded.warnings.push(SoundWarning::OtherTracks { tracks: tracks - 1 });
    }
    Ok(Decoded { container: container.to_owned(), codec: codec.to_owned(), ..decoded })
}

/// What the probe said, in our words.
fn refused(error: Symphonia) -> Failure {
    match error {
        Symphonia::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Failure::Broken("it ends in the middle of its header".to_owned())
        }
        Symphonia::IoError(error) => Failure::from(error),
        Symphonia::Unsupported(text) if text.contains("no suitable format reader") => Failure::Unknown,
        Symphonia::Unsupported(text) => Failure::Codec(format!("of a kind that is not supported ({text})")),
        Symphonia::DecodeError(text) | Symphonia::LimitError(text) => Failure::Broken(text.to_owned()),
        other => Failure::Broken(other.to_string()),
    }
}

fn decoder(parameters: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Failure> {
    if parameters.codec == CODEC_ID_AAC
        && let Some(kind) = parameters.extra_data.as_deref().and_then(codec::unsupported_aac)
    {
        return Err(Failure::Codec(kind.to_owned()));
    }
    get_codecs().make_audio_decoder(parameters, &Default::default()).map_err(|error| match error {
        Symphonia::Unsupported(_) => Failure::Codec(codec::name(parameters.codec).to_owned()),
        other => refused(other),
    })
}

/// The length that a file states, in seconds.
struct Stated {
    /// Good enough to reserve memory by.
    guess: Option<f64>,
    /// Exact: a shorter result means that something is missing.
    trusted: Option<f64>,
}

impl Stated {
    fn of(format: &dyn FormatReader, track: &Track, overstated: Option<f64>, edit: Option<Edit>) -> Self {
        let seconds = |base: Option<TimeBase>, duration: Option<Duration>| {
            Some(base?.calc_duration_saturating(duration?).as_secs_f64())
        };
        let mut guess = seconds(track.time_base, track.duration);
        let trusted = match format.format_info().short_name {
            // Estimates from the bit rate, unless an encoder's tag counts the frames.
            "aac" => None,
            "mp1" | "mp2" | "mp3" => guess.filter(|_| track.delay.is_some()),
            "wave" | "aiff" => guess.map(|seconds| seconds * overstated.unwrap_or(1.0)),
            "matroska" if format.tracks().len() == 1 => {
                let media = format.media_info();
                guess = seconds(media.time_base, media.duration);
                guess
            }
            _ => guess,
        };
        let heard = |seconds: f64| {
            edit.map_or(seconds, |edit| {
                let rest = (seconds - edit.start).max(0.0);
                edit.length.map_or(rest, |length| length.min(rest))
            })
        };
        Self { guess: guess.map(heard), trusted: trusted.map(heard) }
    }
}
