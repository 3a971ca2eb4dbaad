//! Convolutions by their definition, in f64.

use percept_kernels::{Activation, ConvShape, Epilogue, PackedConv, Residual};

use super::linear::finished;
use super::{assert_close, numbers, on_each_isa};

/// The definition, in f64.
pub(crate) fn plain(
    shape: &ConvShape,
    input: &[f32],
    weight: &[f32],
    batch: usize,
    size: [usize; 2],
) -> Vec<f64> {
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

/// Compares with the definition, bare and with everything that can follow.
#[track_caller]
pub(crate) fn check(shape: ConvShape, batch: usize, size: [usize; 2], kind: Activation) {
    let depth = shape.in_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let input = numbers(batch * shape.in_channels * size[0] * size[1], 1);
    let weight = numbers(shape.out_channels * depth, 2);
    let bare = plain(&shape, &input, &weight, batch, size);
    let packed = PackedConv::new(&weight, shape);
    check_epilogues(
        &bare,
        shape.out_channels,
        batch,
        kind,
        &format!("{shape:?} {batch} {size:?}"),
        |out, e| {
            packed.apply(&input, batch, size, out, e);
        },
    );
}

/// Compares `run` with a bare result `[batch, channels, pixels]`, with the forms of epilogue around `kind`.
#[track_caller]
pub(crate) fn check_epilogues(
    bare: &[f64],
    channels: usize,
    batch: usize,
    kind: Activation,
    what: &str,
    run: impl Fn(&mut [f32], &Epilogue<'_>),
) {
    let (bias, scale) = (numbers(channels, 3), numbers(channels, 4));
    let (residual, old) = (numbers(bare.len(), 5), numbers(bare.len(), 6));
    let pixels = (bare.len() / batch / channels).max(1);
    let biased = Epilogue::NONE.bias(Some(&bias)).activation(kind);
    let full = biased.scale(Some(&scale));
    let forms = [
        Epilogue::NONE,
        biased,
        full,
        full.residual(Residual::Add(&residual)),
        Epilogue::NONE.residual(Residual::InPlace),
    ];
    let wanted = forms.map(|form| finished(bare, |i| i / pixels % channels, &form, &old));
    on_each_isa(|isa| {
        for (form, wanted) in forms.iter().zip(&wanted) {
            let mut out = old.clone();
            run(&mut out, form);
            assert_close(&out, wanted, 1e-5, &format!("{isa:?} {kind:?} {what}"));
        }
    });
}
