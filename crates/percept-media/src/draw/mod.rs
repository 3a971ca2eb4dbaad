//! Drawing over pictures: masks, boxes, lines, points and labels that stay legible on any background, and
//! cut-outs.
//!
//! [`Canvas`] has the strokes and [`overlay`] the picture of a whole result. Every line has a dark rim, so that
//! one of the two differs from what lies beneath. Widths and letters scale with the picture
//! ([`Canvas::line_width`], [`Canvas::text_height`]). Shapes are painted by their distance functions
//! (<https://iquilezles.org/articles/distfunctions2d/>), which makes all edges smooth.

mod blur;
mod canvas;
mod color;
mod cutout;
mod depth;
mod field;
mod label;
mod mask;
mod overlay;
mod sides;
mod skeleton;
mod text;

pub use blur::blur;
pub use canvas::{Canvas, Point};
pub use color::{color, readable_on};
pub use cutout::{Background, Edge, composite, cutout, trim};
pub use depth::depth_colors;
pub use overlay::{OverlayItem, overlay};
pub use sides::{Side, sides};
pub use skeleton::skeletons;
