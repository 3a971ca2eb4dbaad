//! Runs one kernel at a time on request, so that `benches/peers/kernels.py` can let it take turns with
//! another library.
//!
//! ```text
//! cargo run --release -p percept-kernels --example peer_kernels -- THREADS
//! ```
//!
//! Prints `{"isa": ..., "cases": [...]}` with the names of all cases, then answers each line
//! `NAME<tab>REPEATS` on standard input with `{"seconds": median}` of that many timed calls after one
//! that is not counted.
#![allow(clippy::print_stdout)] // what it prints is its result

use percept_kernels::{
    Activation, Arithmetic, Attention, ConvShape, Epilogue, Matmul, Operand, PackedBf16, PackedConv,
    PackedF32, PackedInt8, Strides, Visible, isa, layer_norm, rows_in, softmax,
};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Instant;

/// One timed call, in seconds; whatever has to be put back is put back outside the clock.
type Case = Box<dyn FnMut() -> f64 + Send>;

fn main() {
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    pool.install(serve);
}

fn serve() {
    let makers = makers();
    let names: Vec<String> = makers.keys().map(|name| format!("\"{name}\"")).collect();
    println!("{{\"isa\": \"{}\", \"cases\": [{}]}}", isa().name(), names.join(", "));
    let mut made: BTreeMap<String, Case> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("requests are text");
        let (name, repeats) = line.split_once('\t').unwrap_or((&line, "1"));
        let Some(maker) = makers.get(name) else {
            println!("{{\"error\": \"no such case\"}}");
            continue;
        };
        let case = made.entry(name.to_owned()).or_insert_with(maker);
        case();
        let mut times: Vec<f64> = (0..repeats.parse().unwrap_or(1).max(1)).map(|_| case()).collect();
        times.sort_by(f64::total_cmp);
        println!("{{\"seconds\": {:.9}}}", times[times.len() / 2]);
        std::io::stdout().flush().expect("answers can be written");
    }
}

/// How each case is made, by name; a case is made when it is first asked for.
fn makers() -> BTreeMap<String, Box<dyn Fn() -> Case>> {
    let mut makers: BTreeMap<String, Box<dyn Fn() -> Case>> = BTreeMap::new();
    for (rows, depth, channels) in [(1500, 384, 1536), (197, 768, 3072), (4096, 768, 3072)] {
        for precision in ["f32", "bf16x3", "bf16", "int8"] {
            let name = format!("linear {rows}x{depth}x{channels} {precision}");
            makers.insert(name, Box::new(move || linear(rows, depth, channels, precision)));
        }
    }
    let arithmetics = [("f32", Arithmetic::F32), ("bf16x3", Arithmetic::Bf16x3), ("bf16", Arithmetic::Bf16)];
    for (name, arithmetic) in arithmetics {
        let conv = |shape, channels, size| move || convolution(shape, channels, size, arithmetic);
        let three = ConvShape::square(64, 64, 3).padding(1);
        makers.insert(format!("conv 3x3 64-64 160x160 {name}"), Box::new(conv(three, 64, 160)));
        let seven = ConvShape::square(64, 3, 7).stride(2).padding(3);
        let deep = ConvShape::square(256, 256, 3).padding(1);
        makers.insert(format!("conv 3x3 256-256 40x40 {name}"), Box::new(conv(deep, 256, 40)));
        let pointwise = ConvShape::square(256, 512, 1);
        makers.insert(format!("conv 1x1 512-256 40x40 {name}"), Box::new(conv(pointwise, 512, 40)));
        makers.insert(format!("conv 7x7/2 3-64 640x640 {name}"), Box::new(conv(seven, 3, 640)));
        let depthwise = ConvShape::square(256, 256, 3).padding(1).groups(256);
        makers.insert(format!("depthwise 3x3 256 80x80 {name}"), Box::new(conv(depthwise, 256, 80)));
    }
    for (name, arithmetic) in arithmetics {
        for (heads, tokens, dim) in [(6, 1500, 64), (12, 197, 64)] {
            let key = format!("attention {heads}x{tokens}x{dim} {name}");
            makers.insert(key, Box::new(move || attention(heads, tokens, dim, arithmetic)));
        }
    }
    makers.insert("layer_norm 1500x384 f32".into(), Box::new(|| norm(1500, 384)));
    makers.insert(
        "gelu 1500x1536 f32".into(),
        Box::new(|| in_place(1500 * 1536, |x| Activation::GeluErf.apply(x))),
    );
    makers.insert("softmax 9000x1500 f32".into(), Box::new(|| in_place(9000 * 1500, |x| softmax(x, 1500))));
    makers
}

/// Numbers spread over -1 to 1 without a short period.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// A linear layer with its bias.
fn linear(rows: usize, depth: usize, channels: usize, precision: &str) -> Case {
    let (input, weight, bias) = (numbers(rows * depth), numbers(channels * depth), numbers(channels));
    let mut out = vec![0.0; rows * channels];
    match precision {
        "bf16" => {
            let packed = PackedBf16::new(&weight, channels, depth);
            Box::new(move || time(|| packed.matmul(&input, &mut out, &Epilogue::NONE.bias(Some(&bias)))))
        }
        "int8" => {
            let packed = PackedInt8::new(&weight, channels, depth);
            Box::new(move || time(|| packed.matmul(&input, &mut out, &Epilogue::NONE.bias(Some(&bias)))))
        }
        _ => {
            let arithmetic = if precision == "f32" { Arithmetic::F32 } else { Arithmetic::Bf16x3 };
            let read = rows_in(&weight, depth);
            let Ok(packed) = PackedF32::for_many_rows(channels, depth, arithmetic, &read);
            Box::new(move || time(|| packed.matmul(&input, &mut out, &Epilogue::NONE.bias(Some(&bias)))))
        }
    }
}

/// A convolution of one square image, with its bias.
fn convolution(shape: ConvShape, channels: usize, size: usize, arithmetic: Arithmetic) -> Case {
    let depth = channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let mut packed = PackedConv::new(&numbers(shape.out_channels * depth), shape);
    packed.set_arithmetic(arithmetic);
    let (input, bias) = (numbers(channels * size * size), numbers(shape.out_channels));
    let [rows, columns] = shape.output([size; 2]);
    let mut out = vec![0.0; shape.out_channels * rows * columns];
    let apply =
        move |out: &mut [f32]| packed.apply(&input, 1, [size; 2], out, &Epilogue::NONE.bias(Some(&bias)));
    Box::new(move || time(|| apply(&mut out)))
}

/// Attention of tokens with themselves, laid out `[tokens, heads * dim]` as a model has them.
fn attention(heads: usize, tokens: usize, dim: usize, arithmetic: Arithmetic) -> Case {
    let count = tokens * heads * dim;
    let (q, k, v) = (numbers(count), numbers(count), numbers(count));
    let mut out = vec![0.0; count];
    let strides = Strides::tokens_first(tokens, heads * dim, dim);
    Box::new(move || {
        let attention = Attention {
            batch: 1,
            heads,
            kv_heads: heads,
            queries: tokens,
            keys: tokens,
            dim,
            scale: (dim as f32).powf(-0.5),
            visible: Visible::All,
            key_lengths: None,
            bias: None,
            arithmetic,
        };
        let operand = |values| Operand { values, strides };
        time(|| attention.run(operand(&q), operand(&k), operand(&v), &mut out, strides))
    })
}

/// Layer normalisation with scale and shift.
fn norm(rows: usize, width: usize) -> Case {
    let (input, weight, bias) = (numbers(rows * width), numbers(width), numbers(width));
    let mut out = vec![0.0; rows * width];
    Box::new(move || time(|| layer_norm(&input, width, Some(&weight), Some(&bias), 1e-5, &mut out)))
}

/// What works on its argument in place; the argument is the same each time.
fn in_place(count: usize, work: impl Fn(&mut [f32]) + Send + 'static) -> Case {
    let input = numbers(count);
    let mut values = input.clone();
    Box::new(move || {
        values.copy_from_slice(&input);
        time(|| work(&mut values))
    })
}
