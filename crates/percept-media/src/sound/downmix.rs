//! Many channels to one.
//!
//! The weights are those of `ffmpeg -ac 1` (libswresample's default matrix), because that is how the
//! peers read their files: front left and right 0.707 each, front centre 1, back and side 0.5 each,
//! low frequency and height 0, all divided by their sum. Stereo is thus the plain mean. Channels
//! without known positions (a multi-track recorder) are averaged.

use symphonia::core::audio::{Channels, Position};

/// One weight a channel, in the order of the interleaved samples; they sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Downmix {
    weights: Vec<f32>,
}

impl Downmix {
    pub(super) fn new(channels: &Channels) -> Self {
        match channels {
            Channels::Positioned(positions) => Self::positioned(*positions),
            other => Self::mean(other.count()),
        }
    }

    fn positioned(positions: Position) -> Self {
        // Interleaved samples lie in the order of the position bits.
        let weights: Vec<f32> = positions.iter().map(weight).collect();
        let sum: f32 = weights.iter().sum();
        if sum == 0.0 {
            return Self::mean(weights.len());
        }
        Self { weights: weights.iter().map(|weight| weight / sum).collect() }
    }

    pub(super) fn mean(count: usize) -> Self {
        Self { weights: vec![1.0 / count.max(1) as f32; count] }
    }

    /// Mixes `interleaved` into `mono`, which is overwritten.
    pub(super) fn mix(&self, interleaved: &[f32], mono: &mut Vec<f32>) {
        mono.clear();
        match self.weights.as_slice() {
            [] => {}
            [_] => mono.extend_from_slice(interleaved),
            [left, right] => {
                mono.extend(interleaved.chunks_exact(2).map(|frame| frame[0] * left + frame[1] * right));
            }
            weights => {
                mono.extend(interleaved.chunks_exact(weights.len()).map(|frame| {
                    frame.iter().zip(weights).map(|(sample, weight)| sample * weight).sum::<f32>()
                }))
            }
        }
    }
}

fn weight(position: Position) -> f32 {
    const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;
    if position == Position::FRONT_CENTER {
        1.0
    } else if (Position::FRONT_LEFT
        | Position::FRONT_RIGHT
        | Position::FRONT_LEFT_CENTER
        | Position::FRONT_RIGHT_CENTER)
        .contains(position)
    {
        HALF_POWER
    } else if (Position::REAR_LEFT
        | Position::REAR_RIGHT
        | Position::REAR_CENTER
        | Position::SIDE_LEFT
        | Position::SIDE_RIGHT)
        .contains(position)
    {
        0.5
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(channels: Channels, interleaved: &[f32]) -> Vec<f32> {
        let mut mono = Vec::new();
        Downmix::new(&channels).mix(interleaved, &mut mono);
        mono
    }

    #[test]
    fn stereo_and_unknown_channels_are_averaged() {
        let stereo = Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT);
        assert_eq!(mix(stereo, &[1.0, 0.0, 0.25, 0.75]), [0.5, 0.5]);
        assert_eq!(mix(Channels::Discrete(4), &[1.0, 0.0, 0.0, 1.0]), [0.5]);
        assert_eq!(mix(Channels::Discrete(1), &[0.3, 0.4]), [0.3, 0.4]);
        assert!(mix(Channels::None, &[0.3, 0.4]).is_empty());
    }

    #[test]
    fn surround_weights_are_those_of_ffmpeg() {
        // ffmpeg -f lavfi -i "aevalsrc=0.5|0|0|0|0|0:c=5.1" -ac 1 -f s16le, one channel at a time, gives
        // 3393 3393 4799 0 2399 2399 of 16384; the same for 7.1.
        const FRONT: Position = Position::FRONT_LEFT
            .union(Position::FRONT_RIGHT)
            .union(Position::FRONT_CENTER)
            .union(Position::LFE1);
        let rear = Position::REAR_LEFT | Position::REAR_RIGHT;
        let side = Position::SIDE_LEFT | Position::SIDE_RIGHT;
        let layouts: [(Position, &[f32]); 2] = [
            (FRONT | rear, &[3393.0, 3393.0, 4799.0, 0.0, 2399.0, 2399.0]),
            (FRONT | rear | side, &[2625.0, 2625.0, 3712.0, 0.0, 1856.0, 1856.0, 1856.0, 1856.0]),
        ];
        for (layout, want) in layouts {
            for (channel, want) in want.iter().enumerate() {
                let mut frame = vec![0.0; layout.iter().count()];
                frame[channel] = 1.0;
                let got = mix(Channels::Positioned(layout), &frame)[0] * 16_384.0;
                assert!((got - want).abs() < 1.0, "channel {channel}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn a_lone_subwoofer_is_still_heard() {
        assert_eq!(mix(Channels::Positioned(Position::LFE1), &[0.5]), [0.5]);
    }
}
