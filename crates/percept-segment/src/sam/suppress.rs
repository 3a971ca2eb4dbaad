//! Boxes that mean the same.

/// A box (left, top, right, bottom) of the first and last pixels of a mask.
pub(super) type Corners = [f32; 4];

/// Which boxes stay when of those that overlap by more than `threshold` (intersection over union) only the one with the
/// highest score does: `torchvision.ops.nms`. In descending order of scores, equals in their order.
pub(super) fn keep_best(boxes: &[Corners], scores: &[f32], threshold: f32) -> Vec<usize> {
    let mut order = (0..boxes.len()).collect::<Vec<_>>();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        // A box without an area overlaps with nothing: the quotient is no number.
        if !kept.iter().any(|other| overlap(&boxes[*other], &boxes[index]) > threshold) {
            kept.push(index);
        }
    }
    kept
}

pub(super) fn area([left, top, right, bottom]: &Corners) -> f32 {
    (right - left) * (bottom - top)
}

fn overlap(a: &Corners, b: &Corners) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let common = width * height;
    common / (area(a) + area(b) - common)
}
