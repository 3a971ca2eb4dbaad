//! Rates of the kernels at the sizes of Whisper tiny and ViT-B, single numbers to compare between changes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use percept_kernels::{
    Activation, Arithmetic, Attention, ConvShape, Epilogue, Matmul, Operand, PackedBf16, PackedConv,
    PackedF32, PackedInt8, Strides, Visible, layer_norm,
};

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 1013) as f32 / 506.5 - 1.0).collect()
}

fn linear(c: &mut Criterion) {
    for (m, k, n) in [(1500, 384, 1536), (197, 768, 3072), (1, 384, 51864)] {
        let (input, weight) = (numbers(m * k), numbers(n * k));
        let bias = numbers(n);
        let mut out = vec![0.0; m * n];
        let epilogue = Epilogue::NONE.bias(Some(&bias)).activation(Activation::GeluErf);
        let mut group = c.benchmark_group(format!("linear {m}x{k}x{n} gelu"));
        group.throughput(Throughput::Elements(2 * (m * n * k) as u64));
        let packed = PackedF32::new(&weight, n, k);
        group.bench_function("f32", |b| b.iter(|| packed.matmul(&input, &mut out, &epilogue)));
        let packed = PackedBf16::new(&weight, n, k);
        group.bench_function("bf16", |b| b.iter(|| packed.matmul(&input, &mut out, &epilogue)));
        let packed = PackedInt8::new(&weight, n, k);
        group.bench_function("int8", |b| b.iter(|| packed.matmul(&input, &mut out, &epilogue)));
        group.finish();
    }
}

fn attention(c: &mut Criterion) {
    for (heads, queries, keys) in [(6, 1500, 1500), (12, 197, 197), (6, 1, 1500)] {
        let dim = 64;
        let (q, k) = (numbers(heads * queries * dim), numbers(heads * keys * dim));
        let q = Operand { values: &q, strides: Strides::tokens_first(queries, heads * dim, dim) };
        let k = Operand { values: &k, strides: Strides::tokens_first(keys, heads * dim, dim) };
        let attention = Attention {
            batch: 1,
            heads,
            kv_heads: heads,
            queries,
            keys,
            dim,
            scale: 0.125,
            visible: Visible::All,
            key_lengths: None,
            bias: None,
            arithmetic: Arithmetic::F32,
        };
        let mut out = vec![0.0; heads * queries * dim];
        c.bench_function(&format!("attention {heads}x{queries}x{keys}x{dim}"), |b| {
            b.iter(|| attention.run(q, k, k, &mut out, q.strides));
        });
    }
}

fn other(c: &mut Criterion) {
    let (input, weight) = (numbers(1500 * 384), numbers(384));
    let mut out = vec![0.0; input.len()];
    c.bench_function("layer norm 1500x384", |b| {
        b.iter(|| layer_norm(&input, 384, Some(&weight), Some(&weight), 1e-5, &mut out));
    });
    let shapes = [
        ("conv 3x3 64 to 64 160x160", ConvShape::square(64, 64, 3).padding(1), [160, 160]),
        ("conv 7x7/2 3 to 64 640x640", ConvShape::square(64, 3, 7).padding(3).stride(2), [640, 640]),
        ("conv depthwise 3x3 256 80x80", ConvShape::square(256, 256, 3).padding(1).groups(256), [80, 80]),
        ("conv along a line 80 to 384", ConvShape::line(384, 80, 3, 1, 1), [1, 3000]),
    ];
    for (name, shape, size) in shapes {
        let depth = shape.in_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
        let packed = PackedConv::new(&numbers(shape.out_channels * depth), shape);
        let input = numbers(shape.in_channels * size[0] * size[1]);
        let mut out = vec![0.0; shape.out_channels * shape.output(size).iter().product::<usize>()];
        c.bench_function(name, |b| b.iter(|| packed.apply(&input, 1, size, &mut out, &Epilogue::NONE)));
    }
}

criterion_group!(kernels, linear, attention, other);
criterion_main!(kernels);
