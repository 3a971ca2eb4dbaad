//! From the frames of decoders to RGB.
//!
//! FFmpeg's scaler brings every layout to one, but it takes all YUV for that of standard television. So it only unpacks,
//! and the matrix is ours: that of the clip or, where it does not say, that which players suppose by its size.

use ffmpeg_next::color::{Range, Space};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;
use ffmpeg_next::software::scaling::{Context, Flags};
use percept_core::segment::Image;

use super::failure::Failure;

/// Turns frames into pictures of one size.
pub(super) struct Converter {
    size: (u32, u32),
    scaler: Option<(Layout, Context)>,
    unpacked: Video,
}

/// What the scaler has to know of a frame, which may change in the middle of a clip.
#[derive(Clone, Copy, PartialEq)]
struct Layout {
    format: Pixel,
    size: (u32, u32),
}

impl Converter {
    /// To pictures of `size`, columns and rows as they are stored.
    pub(super) fn new(size: (u32, u32)) -> Self {
        Self { size, scaler: None, unpacked: Video::empty() }
    }

    pub(super) fn convert(&mut self, frame: &Video) -> Result<Image, Failure> {
        let layout = Layout { format: frame.format(), size: (frame.width(), frame.height()) };
        let name = layout.format.descriptor().map_or("", |descriptor| descriptor.name());
        let target = match name {
            // These are full range by their name; any other target would squeeze them.
            _ if name.starts_with("yuvj") => Pixel::YUVJ444P,
            _ if is_yuv(name) => Pixel::YUV444P,
            _ => Pixel::RGB24,
        };
        if self.scaler.as_ref().is_none_or(|(known, _)| *known != layout) {
            let flags = Flags::BILINEAR | Flags::ACCURATE_RND | Flags::FULL_CHR_H_INT;
            let (width, height) = layout.size;
            let scaler = Context::get(layout.format, width, height, target, self.size.0, self.size.1, flags)?;
            self.scaler = Some((layout, scaler));
            self.unpacked = Video::empty();
        }
        let Some((_, scaler)) = &mut self.scaler else { return Err(Failure::NoFrame) };
        scaler.run(frame, &mut self.unpacked)?;

        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let mut rgb = vec![0; 3 * width * height];
        let rows = |plane: usize| self.unpacked.data(plane).chunks(self.unpacked.stride(plane));
        if target == Pixel::RGB24 {
            for (to, from) in rgb.chunks_exact_mut(3 * width).zip(rows(0)) {
                to.copy_from_slice(&from[..3 * width]);
            }
        } else {
            let full = target == Pixel::YUVJ444P || frame.color_range() == Range::JPEG;
            let matrix = Matrix::new(weights(frame.color_space(), layout.size), full);
            for (((to, y), u), v) in rgb.chunks_exact_mut(3 * width).zip(rows(0)).zip(rows(1)).zip(rows(2)) {
                for (((to, y), u), v) in to.chunks_exact_mut(3).zip(y).zip(u).zip(v) {
                    to.copy_from_slice(&matrix.rgb(*y, *u, *v));
                }
            }
        }
        Ok(Image::new(self.size.0, self.size.1, rgb))
    }
}

/// Whether a layout that FFmpeg calls so is one of brightness and two differences of colours.
fn is_yuv(name: &str) -> bool {
    const STARTS: [&str; 13] =
        ["yuv", "nv", "p0", "p2", "p4", "uyvy", "uyyv", "yvyu", "y2", "ayuv", "vuy", "xv", "vyu"];
    STARTS.iter().any(|start| name.starts_with(start))
}

/// How much red and blue weigh in brightness (ITU-T H.273, table 4).
fn weights(space: Space, (width, height): (u32, u32)) -> [f64; 2] {
    match space {
        Space::BT709 => [0.2126, 0.0722],
        Space::FCC => [0.30, 0.11],
        Space::SMPTE240M => [0.212, 0.087],
        Space::BT2020NCL | Space::BT2020CL => [0.2627, 0.0593],
        Space::BT470BG | Space::SMPTE170M => [0.299, 0.114],
        // As mpv supposes it.
        _ if width >= 1280 || height > 576 => [0.2126, 0.0722],
        _ => [0.299, 0.114],
    }
}

/// From YUV to RGB, in units of 1 / 65536.
struct Matrix {
    black: i32,
    brightness: i32,
    red_of_v: i32,
    green_of_u: i32,
    green_of_v: i32,
    blue_of_u: i32,
}

impl Matrix {
    fn new([red, blue]: [f64; 2], full_range: bool) -> Self {
        let (black, span, color_span) = if full_range { (0, 255.0, 255.0) } else { (16, 219.0, 224.0) };
        let green = 1.0 - red - blue;
        let unit = |factor: f64| (factor * 65536.0).round() as i32;
        let color = 255.0 / color_span;
        Self {
            black,
            brightness: unit(255.0 / span),
            red_of_v: unit(2.0 * (1.0 - red) * color),
            green_of_u: unit(-2.0 * blue * (1.0 - blue) / green * color),
            green_of_v: unit(-2.0 * red * (1.0 - red) / green * color),
            blue_of_u: unit(2.0 * (1.0 - blue) * color),
        }
    }

    fn rgb(&self, y: u8, u: u8, v: u8) -> [u8; 3] {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let y = self.brightness * (i32::from(y) - self.black) + 0x8000;
        let sums =
            [y + self.red_of_v * v, y + self.green_of_u * u + self.green_of_v * v, y + self.blue_of_u * u];
        sums.map(|sum| (sum >> 16).clamp(0, 255) as u8)
    }
}
