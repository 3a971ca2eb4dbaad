//! The Kalman filter of SORT and its followers (Bewley et al. 2016; the noise is that of DeepSORT, Wojke et al. 2017): a
//! box moves and changes its size at a constant speed.
//!
//! The state is centre x, centre y, aspect ratio (width by height) and height, each with its speed. Nothing couples the
//! four, so they are four filters of two numbers each: the published matrices of 8 by 8 are these in blocks.

/// The noise of places and speeds, as parts of the height.
const PLACE: f64 = 1.0 / 20.0;
const SPEED: f64 = 1.0 / 160.0;

/// A box that moves, in pixels and frames.
#[derive(Clone, Debug)]
pub(super) struct Motion {
    /// Centre x, centre y, aspect ratio, height.
    axes: [Axis; 4],
}

/// One number, its speed, and how sure both are.
#[derive(Clone, Copy, Debug)]
struct Axis {
    place: f64,
    speed: f64,
    place_variance: f64,
    covariance: f64,
    speed_variance: f64,
}

const ASPECT: usize = 2;
const HEIGHT: usize = 3;

impl Motion {
    /// A box that was seen for the first time. It has a width and a height.
    pub(super) fn new(corners: [f32; 4]) -> Self {
        let measured = measured(corners);
        let height = measured[HEIGHT];
        let axes = std::array::from_fn(|index| {
            let [place_sd, speed_sd] = match index {
                ASPECT => [1e-2, 1e-5],
                _ => [2.0 * PLACE * height, 10.0 * SPEED * height],
            };
            Axis {
                place: measured[index],
                speed: 0.0,
                place_variance: place_sd * place_sd,
                covariance: 0.0,
                speed_variance: speed_sd * speed_sd,
            }
        });
        Self { axes }
    }

    /// One frame later, unseen as yet. A box that is `lost` keeps its height.
    pub(super) fn predict(&mut self, lost: bool) {
        if lost {
            self.axes[HEIGHT].speed = 0.0;
        }
        let height = self.axes[HEIGHT].place;
        for (index, axis) in self.axes.iter_mut().enumerate() {
            let [place_sd, speed_sd] = match index {
                ASPECT => [1e-2, 1e-5],
                _ => [PLACE * height, SPEED * height],
            };
            axis.place += axis.speed;
            axis.place_variance += 2.0 * axis.covariance + axis.speed_variance + place_sd * place_sd;
            axis.covariance += axis.speed_variance;
            axis.speed_variance += speed_sd * speed_sd;
        }
    }

    /// It was seen here.
    pub(super) fn update(&mut self, corners: [f32; 4]) {
        let height = self.axes[HEIGHT].place;
        for ((index, axis), measured) in self.axes.iter_mut().enumerate().zip(measured(corners)) {
            let noise = if index == ASPECT { 1e-1 } else { PLACE * height };
            let variance = axis.place_variance + noise * noise;
            let (place_gain, speed_gain) = (axis.place_variance / variance, axis.covariance / variance);
            let surprise = measured - axis.place;
            axis.place += place_gain * surprise;
            axis.speed += speed_gain * surprise;
            axis.place_variance -= place_gain * place_gain * variance;
            axis.covariance -= place_gain * speed_gain * variance;
            axis.speed_variance -= speed_gain * speed_gain * variance;
        }
    }

    /// Left, top, right and bottom.
    pub(super) fn corners(&self) -> [f32; 4] {
        let [x, y, aspect, height] = self.axes.map(|axis| axis.place);
        let width = aspect * height;
        [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0].map(|side| side as f32)
    }
}

/// Centre x, centre y, aspect ratio and height.
fn measured(corners: [f32; 4]) -> [f64; 4] {
    let [left, top, right, bottom] = corners.map(f64::from);
    let (width, height) = (right - left, bottom - top);
    [left + width / 2.0, top + height / 2.0, width / height, height]
}
