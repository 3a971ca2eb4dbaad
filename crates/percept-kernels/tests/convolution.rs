//! Convolutions against their definition in f64, on every instruction set.

mod reference;

use percept_kernels::{Activation, Arithmetic, ConvShape, Epilogue, PackedConv, Residual};
use reference::{convolution, numbers, on_each_isa};

#[track_caller]
fn check(shape: ConvShape, batch: usize, size: [usize; 2]) {
    convolution::check(shape, batch, size, Activation::Silu);
}

#[test]
fn one_by_one() {
    check(ConvShape::square(1, 1, 1), 1, [1, 1]);
    check(ConvShape::square(13, 7, 1), 2, [5, 9]);
    check(ConvShape::square(40, 33, 1).stride(2), 1, [11, 14]);
}

#[test]
fn three_by_three() {
    check(ConvShape::square(13, 3, 3).padding(1), 2, [7, 9]);
    check(ConvShape::square(5, 4, 3).padding(1), 1, [6, 100]);
    check(ConvShape::square(5, 4, 3).padding(1).stride(2), 1, [13, 70]);
    check(ConvShape::square(5, 4, 3), 1, [3, 3]);
}

#[test]
fn odd_kernels_strides_paddings_and_dilations() {
    check(ConvShape::square(8, 3, 7).padding(3).stride(2), 1, [40, 67]);
    check(ConvShape { dilation: [2, 3], ..ConvShape::square(4, 2, 3).padding(4) }, 1, [12, 17]);
    check(
        ConvShape { kernel: [2, 5], stride: [3, 1], padding: [0, 7], ..ConvShape::square(3, 2, 1) },
        2,
        [9, 4],
    );
}

#[test]
fn patches() {
    check(ConvShape::square(20, 3, 4).stride(4), 2, [20, 36]);
    check(ConvShape::square(6, 1, 16).stride(16), 1, [40, 33]);
}

#[test]
fn along_a_line_as_in_speech_models() {
    check(ConvShape::line(24, 10, 3, 1, 1), 2, [1, 130]);
    check(ConvShape::line(24, 24, 3, 2, 1), 1, [1, 131]);
}

#[test]
fn groups_and_single_channels() {
    check(ConvShape::square(6, 4, 3).padding(1).groups(2), 2, [5, 6]);
    check(ConvShape::square(8, 4, 1).groups(4), 1, [3, 40]);
    for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (7, 1, 3), (5, 3, 0), (3, 1, 4)] {
        let shape = ConvShape::square(5, 5, kernel).stride(stride).padding(padding).groups(5);
        check(shape, 2, [9, 21]);
        check(shape, 1, [7, 50]);
    }
}

#[test]
fn a_kernel_larger_than_the_input_gives_an_empty_output() {
    let shape = ConvShape::square(2, 2, 5);
    assert_eq!(shape.output([4, 9]), [0, 5]);
    PackedConv::new(&[0.0; 100], shape).apply(&[0.0; 72], 1, [4, 9], &mut [], &Epilogue::NONE);
}

#[test]
#[should_panic(expected = "divisor")]
fn groups_that_do_not_divide_are_refused() {
    let _ = PackedConv::new(&[0.0; 100], ConvShape::square(4, 6, 1).groups(4));
}

/// Two bf16 parts leave out 2^-16 of a number: a product is wrong by three times that at most. One part leaves out 2^-8 at
/// most, half of that by rounding to the nearest.
#[test]
fn halves_keep_their_bits() {
    for (arithmetic, bound) in [(Arithmetic::Bf16x3, 4.6e-5), (Arithmetic::Bf16, 8e-3)] {
        products_are_within(arithmetic, bound);
    }
}

fn products_are_within(arithmetic: Arithmetic, part: f64) {
    for (shape, batch, size) in [
        (ConvShape::square(9, 1, 1), 1, [1, 1]),
        (ConvShape::square(33, 3, 3).padding(1), 2, [7, 9]),
        (ConvShape::square(64, 5, 3).padding(1).stride(2), 1, [13, 70]),
        (ConvShape::square(40, 3, 7).padding(3).stride(2), 1, [40, 167]),
        (ConvShape::square(36, 9, 3).groups(3), 1, [20, 40]),
        (ConvShape { dilation: [2, 3], ..ConvShape::square(34, 2, 3).padding(4) }, 1, [12, 17]),
        (ConvShape::line(40, 17, 3, 2, 1), 2, [1, 101]),
    ] {
        let depth = shape.in_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
        let input = numbers(batch * shape.in_channels * size[0] * size[1], 1);
        let weight = numbers(shape.out_channels * depth, 2);
        let magnitude = |values: &[f32]| values.iter().map(|v| v.abs()).collect::<Vec<_>>();
        let wanted = convolution::plain(&shape, &input, &weight, batch, size);
        let bound = convolution::plain(&shape, &magnitude(&input), &magnitude(&weight), batch, size);
        let mut packed = PackedConv::new(&weight, shape);
        packed.set_arithmetic(arithmetic);
        let residual = numbers(wanted.len(), 3);
        on_each_isa(|isa| {
            let mut out = vec![0.0; wanted.len()];
            packed.apply(&input, batch, size, &mut out, &Epilogue::NONE.residual(Residual::Add(&residual)));
            for (i, (got, wanted)) in out.iter().zip(&wanted).enumerate() {
                let error = (f64::from(*got) - wanted - f64::from(residual[i])).abs();
                assert!(error <= part * bound[i] + 1e-6, "{isa:?} {shape:?}: {error}");
            }
        });
    }
}
