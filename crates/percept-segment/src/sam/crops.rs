//! Where the automatic generator looks: crops of the picture, and grids of points (`segment_anything/utils/amg.py`).

/// A rectangle of the picture that is looked at by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crop {
    /// Left, top, right and bottom, the latter two exclusive.
    pub(super) corners: [usize; 4],
    /// 0: the whole picture.
    pub(super) layer: usize,
}

impl Crop {
    /// Pixels.
    pub(super) fn area(&self) -> usize {
        let [left, top, right, bottom] = self.corners;
        (right - left) * (bottom - top)
    }
}

/// The whole picture, and for each layer `4^layer` crops of one size that overlap, column by column.
pub(super) fn crops([width, height]: [usize; 2], layers: usize, overlap_ratio: f32) -> Vec<Crop> {
    let mut crops = vec![Crop { corners: [0, 0, width, height], layer: 0 }];
    for layer in 1..=layers {
        let along = 1_usize << layer;
        let short = width.min(height) as f64;
        let overlap = (f64::from(overlap_ratio) * short * (2.0 / along as f64)) as usize;
        let length = |side: usize| (overlap * (along - 1) + side).div_ceil(along);
        let [across, down] = [length(width), length(height)];
        for column in 0..along {
            for row in 0..along {
                let (left, top) = ((across - overlap) * column, (down - overlap) * row);
                let corners = [left, top, (left + across).min(width), (top + down).min(height)];
                crops.push(Crop { corners, layer });
            }
        }
    }
    crops
}

/// `side * side` points in the middle of as many equal cells, row by row, from 0 to 1.
pub(super) fn grid(side: usize) -> Vec<[f64; 2]> {
    let at = |index: usize| (index as f64 + 0.5) / side as f64;
    (0..side * side).map(|index| [at(index % side), at(index / side)]).collect()
}

/// Whether a box ends near an edge of its crop that is no edge of the picture: what it shows goes on there.
pub(super) fn is_cut_off(corners: &[f32; 4], crop: &Crop, [width, height]: [usize; 2]) -> bool {
    /// In pixels.
    const NEAR: f32 = 20.0;
    let picture = [0, 0, width, height];
    (0..4).any(|side| {
        let near = |edge: usize| (corners[side] - edge as f32).abs() <= NEAR;
        near(crop.corners[side]) && !near(picture[side])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_are_those_of_the_reference() {
        // `generate_crop_boxes((60, 88), 1, 512 / 1500)` of segment_anything/utils/amg.py.
        let found = crops([88, 60], 1, 512.0 / 1500.0).iter().map(|crop| crop.corners).collect::<Vec<_>>();
        let wanted = [[0, 0, 88, 60], [0, 0, 54, 40], [0, 20, 54, 60], [34, 0, 88, 40], [34, 20, 88, 60]];
        assert_eq!(found, wanted);
        assert_eq!(crops([88, 60], 3, 0.3).len(), 1 + 4 + 16 + 64);
    }

    #[test]
    fn only_edges_inside_the_picture_cut_off() {
        let crop = Crop { corners: [100, 0, 300, 200], layer: 1 };
        assert!(is_cut_off(&[110.0, 50.0, 200.0, 150.0], &crop, [400, 200]));
        assert!(!is_cut_off(&[130.0, 5.0, 200.0, 199.0], &crop, [400, 200]));
    }
}
