//! Results as text: COCO, YOLO-seg, LabelMe, and the `result` of percept's own JSON.
//!
//! Coordinates are those of `percept_core::Image`: corners of pixels are whole numbers, centres end in .5. None of the
//! polygon formats knows holes, and YOLO knows no parts either: there rings are joined by bridges without width, which
//! go there and back between near corners, so that filling the line gives the mask, holes left out.
//!
//! | format | an instance is | parts | holes | no pixel |
//! |---|---|---|---|---|
//! | COCO, run lengths | one annotation | in the runs | in the runs | stays |
//! | COCO, polygons | one annotation | a polygon each | joined to their part | left out |
//! | YOLO-seg | one line | joined | joined | left out |
//! | LabelMe | a shape a part, with one `group_id` | a shape each | joined to their part | left out |

mod coco;
mod join;
mod labelme;
mod polygon;
mod record;
mod simplify;
mod yolo;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod property;

pub use coco::CocoMasks;
pub use labelme::{LabelMe, Shape};
pub use polygon::{Polygon, Ring, polygons};
pub use record::{CandidateRecord, InstanceRecord, LegendEntry, SegmentRecord, Standing};
pub use yolo::yolo;

/// The lines of one part: its outline with its holes joined to it.
fn outline(polygon: &Polygon) -> Ring {
    join::joined(&rings_of(polygon).collect::<Vec<_>>())
}

fn rings_of(polygon: &Polygon) -> impl Iterator<Item = &Ring> {
    std::iter::once(&polygon.outer).chain(&polygon.holes)
}
