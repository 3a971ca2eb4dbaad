//! Convolutions against their definition in f64, on every instruction set.

mod reference;

use percept_kernels::{Activation, ConvShape, Epilogue, PackedConv, Residual};
use reference::{activation, assert_close, numbers, on_each_isa};

/// The definition, in f64.
fn plain(shape: &ConvShape, input: &[f32], weight: &[f32], batch: usize, size: [usize; 2]) -> Vec<f64> {
    let [rows, columns] = shape.output(size);
    let (ins, outs) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let mut out = Vec::new();
    for item in 0..batch {
        for channel in 0..shape.out_channels {
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let mut sum = 0.0;
                for i in 0..ins {
                    for ky in 0..shape.kernel[0] {
                        for kx in 0..shape.kernel[1] {
                            let iy = y * shape.stride[0] + ky * shape.dilation[0];
                            let ix = x * shape.stride[1] + kx * shape.dilation[1];
                            let (iy, ix) =
                                (iy.wrapping_sub(shape.padding[0]), ix.wrapping_sub(shape.padding[1]));
                            if iy < size[0] && ix < size[1] {
                                let plane = item * shape.in_channels + channel / outs * ins + i;
                                let w = ((channel * ins + i) * shape.kernel[0] + ky) * shape.kernel[1] + kx;
                                sum += f64::from(input[(plane * size[0] + iy) * size[1] + ix])
                                    * f64::from(weight[w]);
                            }
                        }
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

#[track_caller]
fn check(shape: ConvShape, batch: usize, size: [usize; 2]) {
    let depth = shape.in_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let input = numbers(batch * shape.in_channels * size[0] * size[1], 1);
    let weight = numbers(shape.out_channels * depth, 2);
    let (bias, scale) = (numbers(shape.out_channels, 3), numbers(shape.out_channels, 4));
    let bare = plain(&shape, &input, &weight, batch, size);
    let residual = numbers(bare.len(), 5);
    let packed = PackedConv::new(&weight, shape);
    let pixels = bare.len() / batch / shape.out_channels;
    let epilogue = Epilogue::NONE.bias(Some(&bias)).activation(Activation::Silu).scale(Some(&scale));
    let full: Vec<f64> = bare
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let c = i / pixels % shape.out_channels;
            f64::from(residual[i])
                + f64::from(scale[c]) * activation(Activation::Silu, v + f64::from(bias[c]))
        })
        .collect();
    on_each_isa(|isa| {
        let what = format!("{isa:?} {shape:?} {batch} {size:?}");
        let mut out = vec![9.0; bare.len()];
        packed.apply(&input, batch, size, &mut out, &Epilogue::NONE);
        assert_close(&out, &bare, 1e-5, &what);
        packed.apply(&input, batch, size, &mut out, &epilogue.residual(Residual::Add(&residual)));
        assert_close(&out, &full, 1e-5, &what);
        out.copy_from_slice(&residual);
        packed.apply(&input, batch, size, &mut out, &epilogue.residual(Residual::InPlace));
        assert_close(&out, &full, 1e-5, &what);
    });
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
