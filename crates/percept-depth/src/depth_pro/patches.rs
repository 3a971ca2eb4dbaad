//! A picture cut into patches that overlap, and the maps of patches put together again.

use percept_backbone::{Alignment, EngineError, Filter, Result, Tensor, ToContiguous, resize};

/// Images `[batch, channels, height, width]` cut into squares of `side` pixels that begin `stride` pixels apart:
/// `[count * batch, channels, side, side]`, one place of all images after the other (`split_to_patches`).
pub(super) fn split(images: &Tensor, side: usize, stride: usize) -> Result<Tensor> {
    let (_, _, height, width) = images.dims4()?;
    if (height, width) == (side, side) {
        return Ok(images.clone());
    }
    if height < side || width < side || stride == 0 {
        let message = format!("an image of {height} by {width} pixels holds no patch of {side}");
        return Err(EngineError::Msg(message));
    }
    let starts = |length: usize| (0..=(length - side) / stride).map(move |step| step * stride);
    let patch = |(top, left): (usize, usize)| images.narrow(2, top, side)?.narrow(3, left, side);
    let places = starts(height).flat_map(|top| starts(width).map(move |left| (top, left)));
    Tensor::cat(&places.map(patch).collect::<Result<Vec<_>>>()?, 0)
}

/// The side of the map that tokens `[.., tokens, dim]` of a square image make, without those that are no patches.
fn side_of(tokens: usize) -> usize {
    tokens.isqrt()
}

/// Tokens `[count * batch, tokens, dim]` of patches to a map `[batch, dim, ..]` of `size` (`reconstruct_feature_maps`).
///
/// Patches lie in a square; where there are more than fill it the last are left out. `seam` tokens are cut off at each edge
/// where two of them meet, but no more than a quarter of a patch.
pub(super) fn merge(tokens: &Tensor, batch: usize, seam: usize, size: [usize; 2]) -> Result<Tensor> {
    let (all, count, dim) = tokens.dims3()?;
    let side = side_of(count);
    let maps = tokens.narrow(1, count - side * side, side * side)?.reshape((all, side, side, dim))?;
    let each = all / batch.max(1);
    let along = each.isqrt();
    let seam = if each < 4 { 0 } else { seam.min(side / 4) };
    let map = if all == batch {
        maps
    } else {
        let row = |y: usize| {
            let part = |x: usize| {
                let patch = maps.narrow(0, (y * along + x) * batch, batch)?;
                let patch = inside(&patch, 1, side, seam, (y == 0, y + 1 == along))?;
                inside(&patch, 2, side, seam, (x == 0, x + 1 == along))
            };
            Tensor::cat(&(0..along).map(part).collect::<Result<Vec<_>>>()?, 2)
        };
        Tensor::cat(&(0..along).map(row).collect::<Result<Vec<_>>>()?, 1)?
    };
    let map = map.permute([0, 3, 1, 2])?.to_contiguous()?;
    if map.dims()[2..] == size {
        return Ok(map);
    }
    resize(&map, size, Filter::Bilinear, Alignment::Edges)
}

/// A patch without its seams along an axis; at the first and the last one there is none.
fn inside(
    patch: &Tensor,
    axis: usize,
    side: usize,
    seam: usize,
    (first, last): (bool, bool),
) -> Result<Tensor> {
    let start = if first { 0 } else { seam };
    let end = if last { side } else { side - seam };
    patch.narrow(axis, start, end - start)
}
