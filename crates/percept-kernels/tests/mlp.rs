//! Two linear layers in a row against f64, at sizes that are taken at once and in blocks of rows.

mod reference;

use percept_kernels::{Activation, Epilogue, PackedF32, Residual, mlp};
use reference::linear::{finished, product, rounding};
use reference::{assert_close, numbers, on_each_isa};

#[test]
fn an_mlp_is_its_two_layers_whatever_the_rows() {
    let (depth, hidden, channels) = (20, 45, 33);
    let (up, down) = (numbers(hidden * depth, 1), numbers(channels * hidden, 2));
    let (up_bias, down_bias, scale) = (numbers(hidden, 3), numbers(channels, 4), numbers(channels, 5));
    let packed = (PackedF32::new(&up, hidden, depth), PackedF32::new(&down, channels, hidden));
    // Blocks of these layers have 256 rows, and there are blocks from four a thread on.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for rows in [0, 1, 7, 300, 2047, 2048, 2309] {
        let (input, residual) = (numbers(rows * depth, 6), numbers(rows * channels, 7));
        let first = Epilogue::NONE.bias(Some(&up_bias)).activation(Activation::GeluErf);
        let second = Epilogue::NONE.bias(Some(&down_bias)).scale(Some(&scale));
        let second = second.residual(Residual::Add(&residual));
        let between = finished(&product(&input, &up, hidden, depth), |i| i % hidden, &first, &[]);
        let between: Vec<f32> = between.iter().map(|x| *x as f32).collect();
        let wanted = finished(&product(&between, &down, channels, hidden), |i| i % channels, &second, &[]);
        pool.install(|| {
            on_each_isa(|isa| {
                let out = mlp((&packed.0, &first), (&packed.1, &second), &input);
                assert_close(&out, &wanted, 2.0 * rounding(hidden), &format!("{isa:?} {rows} rows"));
            });
        });
    }
}
