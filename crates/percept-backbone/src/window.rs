//! Windows of a map of tokens: what attends to each other is brought together, and back.

use candle_core::Tensor;

use crate::{Result, ToContiguous};

/// Cuts maps `[batch, height, width, channels]` into windows that do not overlap, `[batch * windows, size[0],
/// size[1], channels]`, row by row. Zeros follow below and to the right where windows are not full.
pub fn window_partition(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let [down, across] = counts([height, width], size)?;
    let mut x = x.clone();
    for (dim, whole) in [(1, down * size[0]), (2, across * size[1])] {
        let missing = whole - x.dim(dim)?;
        if missing > 0 {
            x = x.pad_with_zeros(dim, 0, missing)?;
        }
    }
    x.to_contiguous()?
        .reshape(&[batch, down, size[0], across, size[1], channels][..])?
        .permute([0, 1, 3, 2, 4, 5])?
        .to_contiguous()?
        .reshape((batch * down * across, size[0], size[1], channels))
}

/// Lays windows `[batch * windows, height, width, channels]` side by side as maps of `map` (height, width), `[batch,
/// map[0], map[1], channels]`: undoes [`window_partition`], padding included.
pub fn window_unpartition(windows: &Tensor, map: [usize; 2]) -> Result<Tensor> {
    let (count, rows, columns, channels) = windows.dims4()?;
    let [down, across] = counts(map, [rows, columns])?;
    if !count.is_multiple_of((down * across).max(1)) {
        candle_core::bail!("{count} windows do not cover maps of {map:?}");
    }
    let batch = count / (down * across).max(1);
    windows
        .reshape(&[batch, down, across, rows, columns, channels][..])?
        .permute([0, 1, 3, 2, 4, 5])?
        .to_contiguous()?
        .reshape((batch, down * rows, across * columns, channels))?
        .narrow(1, 0, map[0])?
        .narrow(2, 0, map[1])?
        .to_contiguous()
}

/// Windows down and across.
fn counts(map: [usize; 2], size: [usize; 2]) -> Result<[usize; 2]> {
    if size.contains(&0) {
        candle_core::bail!("windows of {size:?} tokens");
    }
    Ok([map[0].div_ceil(size[0]), map[1].div_ceil(size[1])])
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn windows_are_cut_row_by_row_and_come_back() {
        let map =
            Tensor::arange(1.0_f32, 2.0 * 15.0 + 1.0, &Device::Cpu).unwrap().reshape((2, 3, 5, 1)).unwrap();
        let windows = window_partition(&map, [2, 4]).unwrap();
        assert_eq!(windows.dims(), [8, 2, 4, 1]);
        let rows = windows.reshape((8, 8)).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows[0], [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(rows[1], [5.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.0]);
        assert_eq!(rows[7], [30.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let again = window_unpartition(&windows, [3, 5]).unwrap();
        assert_eq!(
            again.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            map.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        assert!(window_unpartition(&windows, [3, 9]).is_err());
        assert!(window_partition(&map, [0, 4]).is_err());
    }
}
