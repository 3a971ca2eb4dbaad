//! Codecs by name, and AAC's kinds: symphonia decodes AAC-LC only and would take the core of an
//! HE-AAC stream for the whole.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::*;

/// What a codec that symphonia knows of but does not decode is called.
pub(super) fn name(codec: AudioCodecId) -> &'static str {
    match codec {
        CODEC_ID_OPUS => "Opus",
        CODEC_ID_SPEEX => "Speex",
        CODEC_ID_MUSEPACK => "Musepack",
        CODEC_ID_AAC => "AAC",
        CODEC_ID_AC3 => "AC-3 (Dolby Digital)",
        CODEC_ID_EAC3 => "E-AC-3 (Dolby Digital Plus)",
        CODEC_ID_AC4 => "AC-4 (Dolby)",
        CODEC_ID_DCA => "DTS",
        CODEC_ID_TRUEHD => "TrueHD (Dolby)",
        CODEC_ID_WMA => "Windows Media Audio",
        CODEC_ID_ATRAC1 | CODEC_ID_ATRAC3 | CODEC_ID_ATRAC3PLUS | CODEC_ID_ATRAC9 => "ATRAC",
        CODEC_ID_RA10 | CODEC_ID_RA20 | CODEC_ID_SIPR | CODEC_ID_COOK | CODEC_ID_RALF => "RealAudio",
        CODEC_ID_WAVPACK => "WavPack",
        CODEC_ID_MONKEYS_AUDIO => "Monkey's Audio",
        CODEC_ID_TTA => "True Audio",
        CODEC_ID_ADPCM_G722 | CODEC_ID_ADPCM_G726 | CODEC_ID_ADPCM_G726LE => "G.722 or G.726",
        _ => "of an unknown codec",
    }
}

/// The AAC kind that an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) announces, if symphonia cannot
/// decode it.
pub(super) fn unsupported_aac(config: &[u8]) -> Option<&'static str> {
    let mut bits = Bits { bytes: config, position: 0 };
    let object = bits.object_type()?;
    if bits.take(4)? == 15 {
        bits.take(24)?;
    }
    let channels = bits.take(4)?;
    match object {
        2 => {}
        5 => return Some("HE-AAC"),
        29 => return Some("HE-AAC v2"),
        1 => return Some("AAC Main"),
        3 => return Some("AAC-SSR"),
        4 => return Some("AAC-LTP"),
        23 => return Some("AAC-LD"),
        39 => return Some("AAC-ELD"),
        42 => return Some("xHE-AAC"),
        _ => return Some("an uncommon kind of AAC"),
    }
    if channels > 2 {
        return Some("AAC with more than two channels");
    }
    // GASpecificConfig, then the sync word of the extension that old decoders skip: an HE-AAC stream
    // that announces itself as AAC-LC.
    bits.take(3)?;
    (bits.take(11)? == 0x2b7 && bits.object_type()? == 5 && bits.take(1)? == 1).then_some("HE-AAC")
}

/// Whether an AAC frame (raw_data_block, ISO/IEC 14496-3, 4.4.2.1) ends in a fill element that carries
/// spectral band replication: HE-AAC that nothing in the header announces.
///
/// The element stands behind the Huffman-coded spectrum, so it is looked for from the end: padding
/// zeros, the end mark `111`, before it `110`, a count, and so many bytes of which the first begins
/// with 1101 or 1110. By chance that fits one frame in a hundred; ask many.
pub(super) fn has_band_replication(frame: &[u8]) -> bool {
    let Some(last) = frame.iter().rposition(|&byte| byte != 0) else { return false };
    let end = last * 8 + 8 - frame[last].trailing_zeros() as usize;
    let mut bits = Bits { bytes: frame, position: 0 };
    let mut at = |position: Option<usize>, count: usize| {
        bits.position = position?;
        bits.take(count)
    };
    if at(end.checked_sub(3), 3) != Some(0b111) {
        return false;
    }
    (1..270_usize).any(|count| {
        let Some(payload) = (end - 3).checked_sub(count * 8) else { return false };
        let replication = matches!(at(Some(payload), 4), Some(0b1101 | 0b1110));
        let header = if count < 15 {
            at(payload.checked_sub(7), 7) == Some(0b110 << 4 | count as u32)
        } else {
            at(payload.checked_sub(15), 15) == Some((0b110 << 4 | 15) << 8 | (count as u32 - 14))
        };
        replication && header
    })
}

/// Bits from the most significant on.
struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.position / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            object => Some(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_tells_the_kind() {
        // From files of ffmpeg's own encoder (AAC-LC) and of fdk-aac (the rest).
        assert_eq!(unsupported_aac(&[0x12, 0x10]), None);
        assert_eq!(unsupported_aac(&[0x12, 0x10, 0x56, 0xe5, 0x00]), None);
        assert_eq!(unsupported_aac(&[0x13, 0x10, 0x56, 0xe5, 0x9d, 0x48, 0x80]), Some("HE-AAC"));
        assert_eq!(unsupported_aac(&[0x2b, 0x92, 0x08, 0x00]), Some("HE-AAC"));
        assert_eq!(unsupported_aac(&[0xeb, 0x8a, 0x08, 0x00]), Some("HE-AAC v2"));
        assert_eq!(unsupported_aac(&[0x11, 0xb0]), Some("AAC with more than two channels"));
        assert_eq!(unsupported_aac(&[]), None);
    }

    #[test]
    fn band_replication_is_found_from_the_end_of_a_frame() {
        // 110 0010 | 1101 0000 0000 0000 | 111: a fill element of two bytes, then the end.
        let frame = [0xff, 0b1100_0101, 0b1010_0000, 0b0000_0001, 0b1100_0000, 0];
        assert!(has_band_replication(&frame));
        // The same with a plain fill payload.
        let frame = [0xff, 0b1100_0100, 0b0000_0000, 0b0000_0001, 0b1100_0000, 0];
        assert!(!has_band_replication(&frame));
        assert!(!has_band_replication(&[]));
        assert!(!has_band_replication(&[0, 0, 0]));
    }
}
