//! Kernels of feature maps on random shapes, against f64, on every instruction set; see `random_shapes.rs`.

mod reference;

use percept_kernels::{
    Alignment, Between, ConvTransposeShape, DeformableAttention, Extent, Filter, GridSample, GroupNorm,
    LastWindow, Outside, PointSampling, Pool, Pooling, Resize,
};
use proptest::prelude::*;
use proptest::sample::select;
use reference::draw::{any_activation, config, size};
use reference::feature_maps::{check_group_norm, check_pool, check_transposed};
use reference::numbers;
use reference::sampling::{check_deformable, check_grid, check_resize};

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn transposed_convolutions(
        (groups, ins, outs) in (1..4_usize, size(9), size(20)),
        kernel in [1..6_usize, 1..6],
        stride in [1..6_usize, 1..6],
        padding in [0..4_usize, 0..4],
        output_padding in [0..3_usize, 0..3],
        dilation in [1..4_usize, 1..4],
        (batch, height, width, kind) in (1..3_usize, size(9), size(20), any_activation()),
    ) {
        let (in_channels, out_channels) = (groups * ins, groups * outs);
        let shape = ConvTransposeShape {
            out_channels,
            in_channels,
            kernel,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
        };
        prop_assume!(shape.output([height, width]).iter().all(|size| *size > 0));
        check_transposed(shape, batch, [height, width], kind);
    }

    #[test]
    fn group_normalisation(
        (groups, together) in (size(9), size(9)),
        (batch, pixels) in (1..3_usize, size(300)),
        affine in any::<bool>(),
        activation in any_activation(),
    ) {
        let channels = groups * together;
        let (weight, bias) = (numbers(channels, 2), numbers(channels, 3));
        let (weight, bias) = (affine.then_some(weight.as_slice()), affine.then_some(bias.as_slice()));
        check_group_norm(GroupNorm { channels, groups, weight, bias, eps: 1e-3, activation }, batch, pixels);
    }

    #[test]
    fn resizing(
        filter in select(vec![Filter::Nearest, Filter::Bilinear, Filter::Bicubic]),
        choice in 0..3_u8,
        factor in [0.3..4.0_f64, 0.3..4.0],
        (planes, height, width) in (1..4_usize, size(40), size(70)),
        (rows, columns) in (size(60), size(130)),
    ) {
        let input = [height, width];
        let by_factor = [0, 1].map(|d| ((input[d] as f64 * factor[d]) as usize).max(1));
        let (alignment, output) = match choice {
            0 => (Alignment::Edges, [rows, columns]),
            1 => (Alignment::EdgesByFactor(factor), by_factor),
            _ => (Alignment::Corners, [rows, columns]),
        };
        prop_assume!(filter != Filter::Nearest || alignment != Alignment::Corners);
        check_resize(Resize { filter, alignment, input, output }, planes);
    }

    #[test]
    fn sampling_at_points(
        between in select(vec![Between::Nearest, Between::Bilinear]),
        outside in select(vec![Outside::Zeros, Outside::Border]),
        extent in select(vec![Extent::Edges, Extent::Corners]),
        input in [size(40), size(40)],
        (batch, channels, points) in (1..3_usize, size(40), size(600)),
    ) {
        check_grid(GridSample { between, outside, extent, input }, batch, channels, points);
    }

    #[test]
    fn deformable_attention(
        levels in prop::collection::vec(([size(17), size(17)], 0..6_usize), 1..5),
        sampling in select(vec![PointSampling::Bilinear, PointSampling::Discrete]),
        (heads, dim) in (1..4_usize, size(70)),
        (batch, queries) in (1..3_usize, size(40)),
    ) {
        let (levels, points): (Vec<_>, Vec<_>) = levels.into_iter().unzip();
        let attention = DeformableAttention { heads, dim, levels: &levels, points: &points, sampling };
        check_deformable(attention, batch, queries);
    }

    #[test]
    fn pooling(
        pooling in select(vec![Pooling::Maximum, Pooling::Average, Pooling::AverageInside]),
        last in select(vec![LastWindow::Whole, LastWindow::Cut]),
        kernel in [1..7_usize, 1..7],
        stride in [1..6_usize, 1..6],
        padding in [0..4_usize, 0..4],
        (planes, height, width) in (1..4_usize, size(30), size(70)),
    ) {
        let padding = [0, 1].map(|d| padding[d].min(kernel[d] / 2));
        check_pool(Pool { pooling, kernel, stride, padding, last }, planes, [height, width]);
    }
}
