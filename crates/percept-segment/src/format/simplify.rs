//! Fewer corners: Douglas and Peucker 1973, on closed rings.

use super::polygon::{Ring, doubled_area};

/// Drops corners so that what is left stays within `tolerance` pixels of what was; the ring itself where less than a
/// triangle would be left. The first corner stays the first.
pub(super) fn simplify(ring: Ring, tolerance: f64) -> Ring {
    if tolerance <= 0.0 || ring.len() <= 4 {
        return ring;
    }
    // A closed ring has no ends: it is cut at its first corner and at the one farthest from it.
    let far = (0..ring.len()).max_by_key(|index| squared_distance(ring[0], ring[*index])).unwrap_or(0);
    let mut keep = vec![false; ring.len()];
    keep[0] = true;
    keep[far] = true;
    let mut open = vec![(0, far), (far, ring.len())];
    while let Some((first, last)) = open.pop() {
        let (from, to) = (ring[first], ring[last % ring.len()]);
        let farthest = (first + 1..last)
            .map(|index| (distance_to_segment(ring[index], from, to), index))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((distance, index)) = farthest
            && distance > tolerance
        {
            keep[index] = true;
            open.extend([(first, index), (index, last)]);
        }
    }
    let simple: Ring = ring.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(corner, _)| *corner).collect();
    // Turned over or collapsed, it would no longer be what it was: an outer ring or a hole.
    if doubled_area(&simple).signum() == doubled_area(&ring).signum() { simple } else { ring }
}

fn squared_distance(a: [u32; 2], b: [u32; 2]) -> u64 {
    let (x, y) = (u64::from(a[0].abs_diff(b[0])), u64::from(a[1].abs_diff(b[1])));
    x * x + y * y
}

/// To the segment, not to the line through it: only so does the bound hold where a ring turns back.
fn distance_to_segment(point: [u32; 2], from: [u32; 2], to: [u32; 2]) -> f64 {
    let [[px, py], [ax, ay], [bx, by]] = [point, from, to].map(|corner| corner.map(f64::from));
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    let along =
        if length == 0.0 { 0.0 } else { (((px - ax) * dx + (py - ay) * dy) / length).clamp(0.0, 1.0) };
    (px - ax - along * dx).hypot(py - ay - along * dy)
}
