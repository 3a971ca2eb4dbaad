//! Any sample rate to 16 kHz, block by block, without shifting the sound in time.

use audioadapter_buffers::direct::InterleavedSlice;
use percept_core::transcribe::SAMPLE_RATE;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::failure::Failure;

/// Frames of the filter on the slower side: the pass band reaches 98 % of the lower Nyquist rate.
const BLOCK: usize = 1024;

/// Rates that a recording may have, in hertz. Beyond them a header is taken for damaged: the filter
/// for a prime rate near 2^32 would fill the memory.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// The loudest that a float file may be, in times of full scale. What is beyond, or no number at all, is
/// damage, and the Fourier transform would spread it over its whole block.
const LOUDEST: f32 = 16.0;

/// Collects mono sound at 16 kHz from mono sound at any rate.
pub(super) struct Collector {
    samples: Vec<f32>,
    stage: Option<Stage>,
}

/// A windowed sinc at one pair of rates, applied by FFT.
struct Stage {
    rate: u32,
    fft: Fft<f32>,
    /// What waits for a whole block.
    pending: Vec<f32>,
    output: Vec<f32>,
    /// Samples of the filter's delay that are still to be dropped.
    delay: usize,
    /// Frames that came in.
    fed: u64,
    /// Samples that went out.
    emitted: u64,
}

impl Collector {
    pub(super) fn new() -> Self {
        Self { samples: Vec::new(), stage: None }
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// Makes room for `more` samples, all at once, so that an hour is not copied while it grows.
    /// Whether there was room is not this call's business: the next push will tell.
    pub(super) fn reserve(&mut self, more: usize) {
        let _ = self.samples.try_reserve_exact(more);
    }

    /// Whether `more` seconds fit without growing.
    pub(super) fn has_room(&self, more: f64) -> bool {
        self.samples.len() + ((more * f64::from(SAMPLE_RATE)) as usize) <= self.samples.capacity()
    }

    /// Takes `mono` at `rate`. A change of rate ends one stretch of sound and starts the next.
    pub(super) fn push(&mut self, mono: &[f32], rate: u32) -> Result<(), Failure> {
        if self.stage.as_ref().is_some_and(|stage| stage.rate != rate) {
            self.flush()?;
        }
        if rate == SAMPLE_RATE {
            return append(&mut self.samples, mono);
        }
        let stage = match &mut self.stage {
            Some(stage) => stage,
            none => none.insert(Stage::new(rate)?),
        };
        stage.push(mono, &mut self.samples)
    }

    /// Ends the stretch: what the filter still holds comes out, and as many samples as the stretch
    /// is long, rounded to the nearest.
    fn flush(&mut self) -> Result<(), Failure> {
        match self.stage.take() {
            Some(stage) => stage.finish(&mut self.samples),
            None => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> Result<Vec<f32>, Failure> {
        self.flush()?;
        Ok(self.samples)
    }
}

impl Stage {
    fn new(rate: u32) -> Result<Self, Failure> {
        if !RATES.contains(&rate) {
            return Err(Failure::Broken(format!("it claims a sample rate of {rate} Hz")));
        }
        let divisor = greatest_common_divisor(rate, SAMPLE_RATE);
        let (unit_in, unit_out) = ((rate / divisor) as usize, (SAMPLE_RATE / divisor) as usize);
        // An even number of units: rubato's filter peaks in the middle of its input block, and only
        // there is its delay a whole number of input frames.
        let units = BLOCK.div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
        let fft = Fft::new_custom(
            rate as usize,
            SAMPLE_RATE as usize,
            units * unit_in,
            1,
            1,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(Failure::internal)?;
        let output = vec![0.0; fft.output_frames_max()];
        let delay = fft.output_delay();
        let pending = Vec::with_capacity(fft.input_frames_max());
        Ok(Self { rate, fft, pending, output, delay, fed: 0, emitted: 0 })
    }

    fn push(&mut self, mut mono: &[f32], samples: &mut Vec<f32>) -> Result<(), Failure> {
        self.fed += mono.len() as u64;
        let block = self.fft.input_frames_next();
        while !mono.is_empty() {
            let (now, later) = mono.split_at(mono.len().min(block - self.pending.len()));
            self.pending.extend(now.iter().map(|&sample| tamed(sample, LOUDEST)));
            mono = later;
            if self.pending.len() == block {
                self.block(samples)?;
            }
        }
        Ok(())
    }

    /// Turns one full block of `pending` into samples.
    fn block(&mut self, samples: &mut Vec<f32>) -> Result<(), Failure> {
        let frames = self.output.len();
        let input = InterleavedSlice::new(&self.pending, 1, self.pending.len()).map_err(Failure::internal)?;
        let mut output = InterleavedSlice::new_mut(&mut self.output, 1, frames).map_err(Failure::internal)?;
        let (_, made) = self.fft.process_into_buffer(&input, &mut output, None).map_err(Failure::internal)?;
        self.pending.clear();
        let dropped = self.delay.min(made);
        self.delay -= dropped;
        self.emitted += (made - dropped) as u64;
        append(samples, &self.output[dropped..made])
    }

    fn finish(mut self, samples: &mut Vec<f32>) -> Result<(), Failure> {
        let scaled = u128::from(self.fed) * u128::from(SAMPLE_RATE) + u128::from(self.rate / 2);
        let wanted = (scaled / u128::from(self.rate)) as u64;
        while self.emitted < wanted {
            self.pending.resize(self.fft.input_frames_next(), 0.0);
            self.block(samples)?;
        }
        samples.truncate(samples.len() - (self.emitted - wanted) as usize);
        Ok(())
    }
}

/// Appends within -1 to 1, and says so when memory is out instead of aborting.
fn append(samples: &mut Vec<f32>, more: &[f32]) -> Result<(), Failure> {
    if samples.capacity() - samples.len() < more.len() {
        let step = more.len().max(samples.len() / 4);
        samples.try_reserve_exact(step).map_err(|_| Failure::TooLong)?;
    }
    samples.extend(more.iter().map(|&sample| tamed(sample, 1.0)));
    Ok(())
}

fn tamed(sample: f32, loudest: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-loudest, loudest) }
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const ALL: [u32; 12] =
        [8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000, 44_099];

    fn resample(mono: &[f32], rate: u32, chunk: usize) -> Vec<f32> {
        let mut collector = Collector::new();
        for part in mono.chunks(chunk) {
            collector.push(part, rate).unwrap_or_else(|failure| panic!("{failure}"));
        }
        collector.finish().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// A windowed tone around 0.5 s, as a function of time, so that the truth is known at any rate.
    fn tone(seconds: f64) -> f64 {
        let envelope = (-((seconds - 0.5) / 0.08).powi(2)).exp();
        0.7 * envelope * (TAU * 1_000.0 * seconds + 0.3).sin()
    }

    fn sampled(rate: u32) -> Vec<f32> {
        (0..rate).map(|index| tone(f64::from(index) / f64::from(rate)) as f32).collect()
    }

    #[test]
    fn a_tone_comes_out_where_it_went_in() {
        let want = sampled(SAMPLE_RATE);
        for rate in ALL {
            let got = resample(&sampled(rate), rate, 1_000);
            assert_eq!(got.len(), want.len(), "{rate} Hz");
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // A shift of a twentieth of a sample would show as 0.7 * sin(2 pi / 16 / 20) = 0.014.
            assert!(worst < 1e-4, "{rate} Hz: off by {worst}");
        }
    }

    #[test]
    fn an_impulse_stays_at_its_time() {
        for rate in ALL {
            let mut clip = vec![0.0; rate as usize];
            clip[rate as usize / 4] = 1.0;
            let got = resample(&clip, rate, usize::MAX);
            let peak = (0..got.len()).max_by(|&a, &b| got[a].abs().total_cmp(&got[b].abs()));
            let want = f64::from(rate / 4) / f64::from(rate) * f64::from(SAMPLE_RATE);
            assert!((peak.unwrap_or(0) as f64 - want).abs() <= 0.5, "{rate} Hz: {peak:?}, not {want}");
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_is_gone_and_what_it_can_is_kept() {
        for rate in [44_100, 48_000, 96_000] {
            let level = |hertz: f64| {
                let clip: Vec<f32> = (0..rate)
                    .map(|index| (TAU * hertz * f64::from(index) / f64::from(rate)).sin() as f32)
                    .collect();
                let got = resample(&clip, rate, 4_096);
                let middle = &got[2_000..14_000];
                (middle.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 12_000.0).sqrt() * 2_f64.sqrt()
            };
            assert!((level(7_500.0) - 1.0).abs() < 0.01, "{rate}: {}", level(7_500.0));
            assert!(level(8_200.0) < 1e-3, "{rate}: {}", level(8_200.0));
            assert!(level(12_000.0) < 1e-4, "{rate}: {}", level(12_000.0));
        }
    }

    #[test]
    fn chunks_do_not_matter() {
        let clip = sampled(44_100);
        let whole = resample(&clip, 44_100, usize::MAX);
        for chunk in [1, 7, 441, 5_000] {
            assert_eq!(resample(&clip, 44_100, chunk), whole, "chunks of {chunk}");
        }
    }

    #[test]
    fn the_shortest_clips_have_the_right_length() {
        for (frames, want) in [(1, 0), (2, 1), (3, 1), (441, 160), (4_410, 1_600)] {
            assert_eq!(resample(&vec![0.5; frames], 44_100, 100).len(), want, "{frames} frames");
        }
    }

    #[test]
    fn a_change_of_rate_joins_two_stretches() {
        let mut collector = Collector::new();
        for rate in [44_100, 16_000, 8_000] {
            collector.push(&vec![0.25; rate as usize], rate).unwrap_or_else(|failure| panic!("{failure}"));
        }
        let got = collector.finish().unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(got.len(), 48_000);
        assert!(got[20_000..28_000].iter().all(|&sample| sample == 0.25));
    }

    #[test]
    fn impossible_rates_are_refused_and_wild_samples_tamed() {
        for rate in [0, 1, 999, 768_001, u32::MAX] {
            assert!(Collector::new().push(&[0.0], rate).is_err(), "{rate}");
        }
        let got = resample(&[f32::NAN, f32::INFINITY, -7.0, 0.5], SAMPLE_RATE, 4);
        assert_eq!(got, [0.0, 1.0, -1.0, 0.5]);
        let mut wild = vec![f32::NAN; 44_100];
        wild[1_000..2_000].fill(f32::MAX);
        wild[2_000..3_000].fill(f32::NEG_INFINITY);
        let got = resample(&wild, 44_100, 441);
        assert!(got.iter().all(|sample| (-1.0..=1.0).contains(sample)));
    }
}
