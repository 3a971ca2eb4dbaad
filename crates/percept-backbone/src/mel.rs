//! The log-mel spectrogram that Whisper listens to, number for number as Hugging Face's
//! `WhisperFeatureExtractor` makes it.
//!
//! At 16 kHz: frames of 400 samples every 160, centred on multiples of 160 with the sound mirrored at
//! both ends, a periodic Hann window, the power spectrum, triangular filters on Slaney's mel scale with
//! Slaney's normalisation, log10 of at least 1e-10, at most 8 below the loudest value, then
//! `(x + 4) / 4`.

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Samples a second of the sound.
pub const SAMPLE_RATE: usize = 16_000;

/// Samples from one frame to the next.
pub const HOP: usize = 160;

/// Samples of a frame.
const FRAME: usize = 400;

/// Frequencies of its spectrum, 40 Hz apart.
const FREQUENCIES: usize = FRAME / 2 + 1;

/// Power below which nothing is heard, such as that of digital silence.
const FLOOR: f32 = 1e-10;

/// How far below the loudest value the quietest may be, in powers of ten.
const RANGE: f32 = 8.0;

/// Frames that one task works on.
const BLOCK: usize = 64;

/// The filter bank, window and Fourier transform of one mel resolution: made once, used for every
/// recording and from any thread.
pub struct MelFilters {
    bands: Vec<Band>,
    window: Vec<f32>,
    transform: Arc<dyn RealToComplex<f32>>,
}

/// A triangle: the weights of the frequencies from `start` on, and of no others.
struct Band {
    start: usize,
    weights: Vec<f32>,
}

impl MelFilters {
    /// The bank of `bins` filters from 0 to 8000 Hz; Whisper has 80, from large-v3 on 128.
    pub fn new(bins: usize) -> Self {
        let top = mel_from_hertz(SAMPLE_RATE as f64 / 2.0);
        let edges: Vec<f64> =
            (0..bins + 2).map(|edge| hertz_from_mel(top * edge as f64 / (bins + 1) as f64)).collect();
        // Periodic: the sample after the last would be the first again.
        let window = (0..FRAME).map(|i| (0.5 - 0.5 * (TAU * i as f64 / FRAME as f64).cos()) as f32).collect();
        Self {
            bands: edges.windows(3).map(|edges| Band::new(edges[0], edges[1], edges[2])).collect(),
            window,
            transform: RealFftPlanner::new().plan_fft_forward(FRAME),
        }
    }

    /// How many filters there are.
    pub fn bins(&self) -> usize {
        self.bands.len()
    }
}

impl Band {
    /// The triangle from `low` over `peak` to `high`, in hertz, of unit area times 2.
    fn new(low: f64, peak: f64, high: f64) -> Self {
        let spacing = SAMPLE_RATE as f64 / FRAME as f64;
        let weight = |frequency: usize| {
            let hertz = frequency as f64 * spacing;
            let triangle = ((hertz - low) / (peak - low)).min((high - hertz) / (high - peak)).max(0.0);
            (triangle * 2.0 / (high - low)) as f32
        };
        let weights: Vec<f32> = (0..FREQUENCIES).map(weight).collect();
        let start = weights.iter().position(|&weight| weight > 0.0).unwrap_or(0);
        let end = weights.iter().rposition(|&weight| weight > 0.0).map_or(start, |last| last + 1);
        Self { start, weights: weights[start..end].to_vec() }
    }
}

/// Slaney's scale: straight up to 1000 Hz (15 mel), logarithmic above, 27 mel for a factor of 6.4.
fn mel_from_hertz(hertz: f64) -> f64 {
    if hertz < 1_000.0 { hertz * 3.0 / 200.0 } else { 15.0 + (hertz / 1_000.0).ln() * 27.0 / 6.4_f64.ln() }
}

fn hertz_from_mel(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1_000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp() }
}

/// The log-mel spectrogram `[bins, frames]` of the first `frames * HOP` samples (silence where there
/// are fewer), relative to its own loudest value: `WhisperFeatureExtractor` with its default padding,
/// `frames` being 3000 for 30 seconds.
pub fn log_mel(samples: &[f32], filters: &MelFilters, frames: usize) -> Vec<f32> {
    let mut mel = log_power(samples, filters, 0..frames, frames * HOP);
    let loudest = loudest(&mel);
    normalise(&mut mel, loudest);
    mel
}

/// log10 of the mel power, `[bins, frames.len()]`, before it is made relative to the loudest value.
///
/// `length` is where the sound ends and is mirrored, in samples: it is cut there, or silence follows
/// up to there. With [`loudest`] over a whole recording and [`normalise`] a long recording can be
/// taken window by window and still be what openai's `log_mel_spectrogram` makes of the whole.
pub fn log_power(samples: &[f32], filters: &MelFilters, frames: Range<usize>, length: usize) -> Vec<f32> {
    let count = frames.len();
    let samples = &samples[..samples.len().min(length)];
    let blocks: Vec<Option<Vec<f32>>> = (0..count.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let first = frames.start + block * BLOCK;
            let last = frames.end.min(first + BLOCK);
            power_block(samples, filters, first..last, length)
        })
        .collect();

    let mut power = vec![log10(FLOOR); filters.bins() * count];
    if count == 0 {
        return power;
    }
    power.par_chunks_mut(count).enumerate().with_min_len(8).for_each(|(bin, row)| {
        for (target, block) in row.chunks_mut(BLOCK).zip(&blocks) {
            if let Some(block) = block {
                target.copy_from_slice(&block[bin * BLOCK..][..target.len()]);
            }
        }
    });
    power
}

/// The loudest value of `log_power`, which [`normalise`] measures from.
pub fn loudest(log_power: &[f32]) -> f32 {
    // Eight at a time, which the compiler turns into vector instructions.
    let (eights, rest) = log_power.as_chunks::<8>();
    let lanes = eights.iter().fold([f32::NEG_INFINITY; 8], |mut lanes, eight| {
        for (lane, &value) in lanes.iter_mut().zip(eight) {
            *lane = if value > *lane { value } else { *lane };
        }
        lanes
    });
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Lifts what is more than 8 below `loudest` to there and brings all to about -1 to 1.
pub fn normalise(log_power: &mut [f32], loudest: f32) {
    let floor = loudest - RANGE;
    for value in log_power {
        let lifted = if *value < floor { floor } else { *value };
        *value = (lifted + 4.0) / 4.0;
    }
}

/// One block of frames as `[bins, BLOCK]`, or nothing if all of it is silent.
fn power_block(
    samples: &[f32],
    filters: &MelFilters,
    frames: Range<usize>,
    length: usize,
) -> Option<Vec<f32>> {
    let mut power = None;
    let mut windowed = filters.transform.make_input_vec();
    let mut spectrum = filters.transform.make_output_vec();
    let mut scratch = filters.transform.make_scratch_vec();
    let mut mirrored = [0.0; FRAME];
    for (column, frame) in frames.enumerate() {
        let sound = frame_at(samples, frame, length, &mut mirrored);
        if sound.iter().all(|&sample| sample == 0.0) {
            continue;
        }
        for ((target, sample), window) in windowed.iter_mut().zip(sound).zip(&filters.window) {
            *target = sample * window;
        }
        filters
            .transform
            .process_with_scratch(&mut windowed, &mut spectrum, &mut scratch)
            .expect("the buffers come from the plan itself");
        let power = power.get_or_insert_with(|| vec![FLOOR; filters.bins() * BLOCK]);
        bands(&spectrum, filters, |bin, value| power[bin * BLOCK + column] = value);
    }
    if let Some(power) = &mut power {
        for value in power.iter_mut() {
            *value = log10(if *value > FLOOR { *value } else { FLOOR });
        }
    }
    power
}

/// The decimal logarithm of a normal positive number to 2 units in the last place, written so that the
/// compiler turns a loop over it into vector instructions; the one of the standard library took a third
/// of the whole spectrogram's time.
fn log10(value: f32) -> f32 {
    // value = mantissa * 2^exponent with the mantissa between sqrt(1/2) and sqrt(2).
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let bits = value.to_bits();
    let exponent = bits.wrapping_sub(SQRT_HALF) as i32 >> 23;
    let x = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32)) - 1.0;
    // ln(1 + x) = x - x^2 / 2 + x^3 p(x): the coefficients of Cephes' logf.
    const P: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let p = P.iter().fold(0.0, |sum, coefficient| sum * x + coefficient);
    let natural = x - 0.5 * x * x + x * x * x * p;
    natural * std::f32::consts::LOG10_E + exponent as f32 * std::f32::consts::LOG10_2
}

/// Calls `put` with the power in each band.
fn bands(spectrum: &[Complex<f32>], filters: &MelFilters, mut put: impl FnMut(usize, f32)) {
    let mut power = [0.0; FREQUENCIES];
    for (power, value) in power.iter_mut().zip(spectrum) {
        *power = value.norm_sqr();
    }
    for (bin, band) in filters.bands.iter().enumerate() {
        let heard = power[band.start..].iter().zip(&band.weights);
        put(bin, heard.map(|(power, weight)| power * weight).sum::<f32>());
    }
}

/// The 400 samples around sample `frame * HOP`, mirrored at the start and at `length`; none where the
/// sound is over.
fn frame_at<'a>(
    samples: &'a [f32],
    frame: usize,
    length: usize,
    mirrored: &'a mut [f32; FRAME],
) -> &'a [f32] {
    let centre = frame * HOP;
    if let Some(start) = centre.checked_sub(FRAME / 2) {
        if let Some(inside) = samples.get(start..start + FRAME) {
            return inside;
        }
        if start >= samples.len() && start + FRAME <= length {
            return &[];
        }
    }
    for (offset, target) in mirrored.iter_mut().enumerate() {
        let index = mirror((centre + offset) as i64 - (FRAME / 2) as i64, length as i64);
        *target = samples.get(index).copied().unwrap_or(0.0);
    }
    mirrored
}

/// Reflects `index` into `0..length` without repeating the samples at the ends.
fn mirror(index: i64, length: i64) -> usize {
    if length < 2 {
        return 0;
    }
    let period = 2 * (length - 1);
    let folded = index.rem_euclid(period);
    folded.min(period - folded) as usize
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use safetensors::{Dtype, SafeTensors};

    use super::*;

    /// `tests/golden/mel/NAME.safetensors`, written by transformers.
    fn golden(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/mel");
        std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap()
    }

    fn floats(file: &[u8], name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(file).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        match tensor.dtype() {
            Dtype::F32 => {
                tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
            }
            Dtype::I16 => {
                let values = tensor.data().as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes));
                values.map(|value| f32::from(value) / 32_768.0).collect()
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    fn worst(got: &[f32], want: &[f32]) -> f32 {
        assert_eq!(got.len(), want.len());
        got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn the_filters_are_those_of_transformers() {
        for bins in [80, 128] {
            let want = floats(&golden(&format!("mel{bins}")), "mel_filters");
            let filters = MelFilters::new(bins);
            let mut got = vec![0.0; bins * FREQUENCIES];
            for (row, band) in got.chunks_mut(FREQUENCIES).zip(&filters.bands) {
                row[band.start..][..band.weights.len()].copy_from_slice(&band.weights);
            }
            assert!(worst(&got, &want) < 1e-8, "{bins} bins: {}", worst(&got, &want));
        }
    }

    #[test]
    fn the_spectrogram_is_that_of_transformers() {
        let signals = golden("signals");
        for bins in [80, 128] {
            let file = golden(&format!("mel{bins}"));
            let filters = MelFilters::new(bins);
            let names = SafeTensors::deserialize(&file).unwrap();
            let cases: Vec<&str> =
                names.names().into_iter().filter_map(|name| name.strip_prefix("torch.")).collect();
            assert!(cases.len() >= 4);
            for name in cases {
                let got = log_mel(&floats(&signals, &format!("pcm.{name}")), &filters, 200);
                let worst = worst(&got, &floats(&file, &format!("torch.{name}")));
                assert!(worst < 1e-4, "{name}, {bins} bins: off by {worst}");
            }
        }
    }

    #[test]
    fn a_recording_without_padding_is_that_of_transformers() {
        let samples = floats(&golden("signals"), "pcm.long");
        let filters = MelFilters::new(80);
        let frames = samples.len() / HOP;
        let mut got = log_power(&samples, &filters, 0..frames, samples.len());
        let loudest = loudest(&got);
        normalise(&mut got, loudest);
        let worst = worst(&got, &floats(&golden("mel80"), "unpadded.long"));
        assert!(worst < 1e-4, "off by {worst}");
    }

    #[test]
    fn windows_of_a_recording_are_columns_of_the_whole() {
        let samples = floats(&golden("signals"), "pcm.long");
        let filters = MelFilters::new(80);
        let whole = log_power(&samples, &filters, 0..300, 48_000);
        for range in [0..100, 37..237, 220..300, 299..300, 5..5] {
            let part = log_power(&samples, &filters, range.clone(), 48_000);
            for (row, part) in part.chunks(range.len().max(1)).enumerate() {
                assert_eq!(part, &whole[row * 300..][range.clone()], "{range:?}, row {row}");
            }
        }
    }

    #[test]
    fn the_logarithm_is_right_over_the_whole_range() {
        for step in 0..200_000 {
            let value = 10_f64.powf(-10.0 + 16.0 * f64::from(step) / 200_000.0) as f32;
            let (got, want) = (f64::from(log10(value)), f64::from(value).log10());
            assert!((got - want).abs() < 2e-6, "log10({value}): {got}, not {want}");
        }
        assert_eq!(log10(1.0), 0.0);
    }

    #[test]
    fn any_length_is_taken() {
        let filters = MelFilters::new(80);
        for (samples, frames) in [(0, 0), (0, 1), (1, 1), (1, 3), (159, 1), (161, 1), (1_000, 2), (5, 3_000)]
        {
            let got = log_mel(&vec![0.1; samples], &filters, frames);
            assert_eq!(got.len(), 80 * frames);
            assert!(got.iter().all(|value| value.is_finite()), "{samples} samples, {frames} frames");
        }
    }
}
