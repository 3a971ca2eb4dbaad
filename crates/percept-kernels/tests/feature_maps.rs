//! Kernels of feature maps against their definitions in f64, on every instruction set.

mod reference;

use percept_kernels::{
    Activation, Alignment, BatchNorm, Between, ConvShape, ConvTransposeShape, DeformableAttention, Epilogue,
    Extent, Filter, GridSample, GroupNorm, LastWindow, Outside, PackedConv, PackedConvTranspose,
    PointSampling, Pool, Pooling, Resize, scale_channels,
};
use reference::feature_maps::{check_group_norm, check_pool, check_transposed, scattered};
use reference::sampling::{check_deformable, check_grid, check_resize};
use reference::{assert_close, convolution, numbers, on_each_isa};

#[track_caller]
fn transposed(shape: ConvTransposeShape, batch: usize, size: [usize; 2]) {
    check_transposed(shape, batch, size, Activation::GeluErf);
}

#[test]
fn transposed_with_kernel_equal_to_stride() {
    for kernel in [1, 2, 3, 4, 8] {
        transposed(ConvTransposeShape::square(7, 13, kernel), 2, [5, 9]);
        transposed(ConvTransposeShape::square(33, 40, kernel), 1, [1, 17]);
    }
    transposed(
        ConvTransposeShape { kernel: [2, 3], stride: [2, 3], ..ConvTransposeShape::square(3, 5, 1) },
        1,
        [4, 7],
    );
}

#[test]
fn transposed_with_overlaps_gaps_and_padding() {
    transposed(ConvTransposeShape::square(5, 6, 4).stride(2).padding(1), 2, [6, 9]);
    transposed(ConvTransposeShape::square(5, 6, 3).stride(2).padding(1).output_padding(1), 1, [7, 18]);
    transposed(ConvTransposeShape::square(3, 4, 3).stride(1).padding(1), 1, [5, 40]);
    transposed(ConvTransposeShape::square(3, 4, 3).stride(1).padding(2), 1, [3, 5]);
    transposed(ConvTransposeShape::square(2, 3, 5).stride(3).padding(4).output_padding(2), 1, [6, 5]);
    // A kernel smaller than the stride leaves pixels that nothing reaches.
    transposed(ConvTransposeShape::square(3, 4, 2).stride(3).output_padding(2), 2, [3, 5]);
    transposed(ConvTransposeShape::square(3, 4, 1).stride(4), 1, [3, 5]);
    // Of four remainders only the first two are reached.
    let reached = ConvTransposeShape { dilation: [1, 3], ..ConvTransposeShape::square(1, 1, 2) };
    transposed(reached.stride(4).padding(3), 1, [3, 3]);
    for dilation in [[2, 2], [3, 1], [2, 4]] {
        transposed(
            ConvTransposeShape { dilation, ..ConvTransposeShape::square(3, 4, 3).stride(2) },
            1,
            [5, 6],
        );
    }
    transposed(
        ConvTransposeShape { dilation: [4, 6], ..ConvTransposeShape::square(2, 2, 3).stride(6).padding(3) },
        1,
        [4, 4],
    );
}

#[test]
fn transposed_in_groups() {
    transposed(ConvTransposeShape::square(4, 6, 2).groups(2), 2, [5, 6]);
    transposed(ConvTransposeShape::square(6, 6, 4).stride(2).padding(1).groups(6), 2, [7, 21]);
    transposed(ConvTransposeShape::square(10, 5, 3).stride(2).groups(5), 1, [4, 5]);
}

#[test]
fn transposed_without_output_is_nothing() {
    let shape = ConvTransposeShape::square(1, 1, 1).padding(2);
    assert_eq!(shape.output([3, 9]), [0, 5]);
    PackedConvTranspose::new(&[1.0], shape).apply(&[0.0; 27], 1, [3, 9], &mut [], &Epilogue::NONE);
}

#[test]
fn groups_are_normalised() {
    let (weight, bias) = (numbers(12, 2), numbers(12, 3));
    for (weight, bias) in [(None, None), (Some(weight.as_slice()), Some(bias.as_slice()))] {
        for (groups, batch, pixels) in
            [(1, 1, 1), (3, 2, 1), (12, 1, 35), (4, 2, 97), (1, 1, 4801), (2, 3, 4096)]
        {
            let activation = if groups == 4 { Activation::Silu } else { Activation::None };
            check_group_norm(
                GroupNorm { channels: 12, groups, weight, bias, eps: 1e-5, activation },
                batch,
                pixels,
            );
        }
    }
}

/// A convolution and the batch normalisation after it, against both in f64.
#[test]
fn batch_normalisation_is_folded() {
    let (weight, bias, mean) = (numbers(6, 1), numbers(6, 2), numbers(6, 3));
    let variance = numbers(6, 4).iter().map(|v| v + 1.01).collect::<Vec<_>>();
    let norm =
        BatchNorm { weight: Some(&weight), bias: Some(&bias), mean: &mean, variance: &variance, eps: 1e-3 };
    let (input, own_bias) = (numbers(2 * 4 * 30, 5), numbers(6, 6));
    let normalised = |bare: &[f64], own: &[f32]| -> Vec<f64> {
        let channel = |i: usize| i / (bare.len() / 12) % 6;
        let each = bare.iter().enumerate().map(|(i, x)| {
            let c = channel(i);
            let [w, b, m, v] = [weight[c], bias[c], mean[c], variance[c]].map(f64::from);
            (x + f64::from(own[c]) - m) / (v + 1e-3).sqrt() * w + b
        });
        each.collect()
    };
    let shape = ConvShape::square(6, 4, 3).padding(1).groups(2);
    let kernels = numbers(6 * 2 * 9, 7);
    let bare = convolution::plain(&shape, &input, &kernels, 2, [5, 6]);
    for own in [None, Some(own_bias.as_slice())] {
        let wanted = normalised(&bare, own.unwrap_or(&[0.0; 6]));
        let mut folded = kernels.clone();
        let folded_bias = norm.fold(&mut folded, own);
        let mut out = vec![0.0; wanted.len()];
        PackedConv::new(&folded, shape).apply(
            &input,
            2,
            [5, 6],
            &mut out,
            &Epilogue::NONE.bias(Some(&folded_bias)),
        );
        assert_close(&out, &wanted, 1e-5, "folded");
    }

    let shape = ConvTransposeShape::square(6, 4, 2).groups(2);
    let kernels = numbers(4 * 3 * 4, 8);
    let bare = scattered(&shape, &input, &kernels, 2, [5, 6]);
    let wanted = normalised(&bare, &own_bias);
    let mut folded = kernels;
    let folded_bias = norm.fold_transposed(&mut folded, Some(&own_bias), (4, 2));
    let mut out = vec![0.0; wanted.len()];
    let packed = PackedConvTranspose::new(&folded, shape);
    packed.apply(&input, 2, [5, 6], &mut out, &Epilogue::NONE.bias(Some(&folded_bias)));
    assert_close(&out, &wanted, 1e-5, "folded into a transposed one");

    let values = numbers(2 * 6 * 35, 9);
    let wanted = normalised(&values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>(), &[0.0; 6]);
    let wanted = wanted.iter().map(|v| v.max(0.0)).collect::<Vec<_>>();
    let (scale, shift) = norm.scale_and_shift();
    on_each_isa(|isa| {
        let mut out = values.clone();
        scale_channels(&mut out, 35, &scale, &shift, Activation::Relu);
        assert_close(&out, &wanted, 2e-6, &format!("{isa:?} unfolded"));
    });
}

#[test]
fn maps_are_resized() {
    let sizes = [
        ([1, 1], [1, 1]),
        ([1, 7], [5, 1]),
        ([13, 17], [26, 34]),
        ([16, 31], [37, 97]),
        ([37, 41], [9, 13]),
        ([5, 6], [5, 12]),
    ];
    for filter in [Filter::Nearest, Filter::Bilinear, Filter::Bicubic] {
        for (input, output) in sizes {
            for alignment in [Alignment::Edges, Alignment::EdgesByFactor([1.9, 0.7]), Alignment::Corners] {
                if (filter, alignment) != (Filter::Nearest, Alignment::Corners) {
                    check_resize(Resize { filter, alignment, input, output }, 3);
                }
            }
        }
    }
}

#[test]
fn maps_are_read_at_points() {
    for between in [Between::Nearest, Between::Bilinear] {
        for outside in [Outside::Zeros, Outside::Border] {
            for extent in [Extent::Edges, Extent::Corners] {
                for (input, batch, channels, points) in
                    [([1, 1], 1, 1, 1), ([7, 12], 2, 3, 37), ([33, 20], 1, 35, 600)]
                {
                    check_grid(GridSample { between, outside, extent, input }, batch, channels, points);
                }
            }
        }
    }
}

#[test]
fn points_that_are_no_numbers_stay_inside() {
    let grid = [f32::NAN, 0.0, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
    for (outside, wanted) in [(Outside::Zeros, [0.0; 3]), (Outside::Border, [3.0, 2.0, 2.0])] {
        for between in [Between::Nearest, Between::Bilinear] {
            let sample = GridSample { between, outside, extent: Extent::Corners, input: [3, 2] };
            on_each_isa(|isa| {
                let mut out = [9.0; 3];
                sample.apply(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1, &grid, 1, &mut out);
                assert_eq!(out, wanted, "{isa:?} {sample:?}");
            });
        }
    }
}

#[test]
fn deformable_attention_reads_all_levels() {
    for sampling in [PointSampling::Bilinear, PointSampling::Discrete] {
        for (heads, dim, queries) in [(1, 1, 1), (2, 32, 9), (3, 64, 5), (2, 37, 19)] {
            let attention = |levels, points| DeformableAttention { heads, dim, levels, points, sampling };
            check_deformable(attention(&[[1, 1]], &[1]), 1, queries);
            check_deformable(attention(&[[8, 10], [4, 5], [2, 3]], &[4, 4, 4]), 2, queries);
            check_deformable(attention(&[[9, 7], [5, 4], [1, 2]], &[3, 6, 0]), 2, queries);
        }
    }
}

#[test]
fn maps_are_pooled() {
    for pooling in [Pooling::Maximum, Pooling::Average, Pooling::AverageInside] {
        for last in [LastWindow::Whole, LastWindow::Cut] {
            for (kernel, stride, padding) in [
                ([1, 1], [1, 1], [0, 0]),
                ([3, 3], [2, 2], [1, 1]),
                ([2, 2], [2, 2], [0, 0]),
                ([2, 5], [3, 1], [1, 2]),
                ([3, 3], [4, 5], [0, 1]),
            ] {
                for size in [[1, 3], [5, 6], [13, 50], [16, 33]] {
                    check_pool(Pool { pooling, kernel, stride, padding, last }, 2, size);
                }
            }
        }
    }
}

#[test]
fn a_maximum_with_nan_is_nan() {
    let mut input = numbers(36, 1);
    input[14] = f32::NAN;
    let pool = Pool {
        pooling: Pooling::Maximum,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
        last: LastWindow::Whole,
    };
    on_each_isa(|isa| {
        let mut out = [0.0; 9];
        pool.apply(&input, 1, [6, 6], &mut out);
        let nan = out.map(f32::is_nan);
        assert_eq!(nan, std::array::from_fn(|i| i == 4), "{isa:?}");
    });
}
