//! pcm s16le mono on stdin, kind (he|hev2|lc), rate -> ADTS on stdout
use std::io::*;
use fdk_aac::enc::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (kind, rate): (&str, u32) = (&args[1], args[2].parse().unwrap());
    let (aot, channels, mode) = match kind {
        "he" => (AudioObjectType::Mpeg4HeAac, 1, ChannelMode::Mono),
        "hev2" => (AudioObjectType::Mpeg4HeAacV2, 2, ChannelMode::Stereo),
        _ => (AudioObjectType::Mpeg4LowComplexity, 1, ChannelMode::Mono),
    };
    let encoder = Encoder::new(EncoderParams { bit_rate: BitRate::Cbr(24000), sample_rate: rate, transport: Transport::Adts, channels: mode, audio_object_type: aot }).unwrap();
    let mut bytes = Vec::new(); stdin().read_to_end(&mut bytes).unwrap();
    let mut pcm: Vec<i16> = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
    if channels == 2 { pcm = pcm.iter().flat_map(|&x| [x, x]).collect(); }
    pcm.extend(vec![0; 16384]);
    let frame = encoder.info().unwrap().frameLength as usize * channels;
    let mut out = [0u8; 8192];
    for chunk in pcm.chunks_exact(frame) {
        let info = encoder.encode(chunk, &mut out).unwrap();
        stdout().write_all(&out[..info.output_size]).unwrap();
    }
}
