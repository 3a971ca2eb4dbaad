//! Attention between many pixels and a few tokens, with all matrices on the side of the tokens.

use candle_core::{D, Tensor};
use percept_core::Precision;
use percept_kernels::{Look, TwoWay};

use crate::attention::AttentionNames;
use crate::cpu::{arithmetic, with_values};
use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::weights::{Weights, WeightsError};
use crate::{Result, ToContiguous};

/// Multi-head attention, on one side of which are a few tokens: the same as `SourcedAttention`, but no pixel is multiplied by
/// a matrix. Biases of keys are left out, because they change no softmax.
#[derive(Clone, Debug)]
pub struct FewTokens {
    query: Projection,
    key: Projection,
    value: Projection,
    output: Projection,
    heads: usize,
    scale: f64,
    precision: Precision,
}

/// A matrix for tokens, and its numbers for what follows them.
#[derive(Clone, Debug)]
struct Projection {
    linear: Linear,
    /// `[out, in]`.
    weight: Tensor,
    /// `[out]`.
    bias: Tensor,
}

/// Tokens that pixels look at: `[batch, tokens, dim]` each.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Of the pixels at the tokens.
    pub attention: &'a FewTokens,
    /// What keys are made of.
    pub keys: &'a Tensor,
    /// What values are made of.
    pub values: &'a Tensor,
}

/// Pixels that have looked at tokens.
#[derive(Clone, Debug)]
pub struct Looked {
    /// `[batch, pixels, dim]`.
    pub pixels: Tensor,
    /// The mean of the pixels for each token that looks at them, and each head: `[batch, tokens * heads, dim]`.
    means: Tensor,
}

impl Projection {
    fn load(weights: &Weights, input: usize, output: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            linear: Linear::load(weights, input, output)?,
            weight: weights.get("weight", &[output, input])?,
            bias: match weights.has("bias") {
                true => weights.get("bias", &[output])?,
                false => weights.zeros(&[output])?,
            },
        })
    }
}

impl FewTokens {
    /// Loads an attention over `dim` channels, `inner` inside, in `heads` heads.
    pub fn load(
        weights: &Weights,
        names: AttentionNames,
        [dim, inner]: [usize; 2],
        heads: usize,
    ) -> Result<Self, WeightsError> {
        if heads == 0 || !inner.is_multiple_of(heads) {
            return Err(WeightsError::Format(format!("{inner} channels do not divide into {heads} heads")));
        }
        let inner_of = |name| Projection::load(&weights.at(name), dim, inner);
        Ok(Self {
            query: inner_of(names.query)?,
            key: inner_of(names.key)?,
            value: inner_of(names.value)?,
            output: Projection::load(&weights.at(names.output), inner, dim)?,
            heads,
            scale: ((inner / heads) as f64).powf(-0.5),
            precision: weights.precision(),
        })
    }

    /// The same with every channel of the output multiplied by its factor `[dim]`, before a residual is added (layer scale).
    pub fn scaled_by(self, factors: &Tensor) -> Result<Self> {
        let Projection { linear, weight, bias } = self.output;
        let weight = weight.broadcast_mul(&factors.unsqueeze(1)?)?;
        let output = Projection { linear: linear.scaled_by(factors)?, weight, bias: (bias * factors)? };
        Ok(Self { output, ..self })
    }

    /// Rows `[batch, tokens, inner]`, each head of them times its part of `matrix` `[inner, dim]`: `[batch, tokens *
    /// heads, dim]`.
    fn through(&self, rows: &Tensor, matrix: &Tensor) -> Result<Tensor> {
        let ((batch, tokens, inner), dim) = (rows.dims3()?, matrix.dim(1)?);
        let by_head = rows.reshape((batch * tokens, self.heads, inner / self.heads))?;
        let matrices = matrix.reshape((self.heads, inner / self.heads, dim))?;
        let made = by_head.transpose(0, 1)?.contiguous()?.matmul(&matrices)?;
        made.transpose(0, 1)?.to_contiguous()?.reshape((batch, tokens * self.heads, dim))
    }

    /// By what pixels are multiplied, `[batch, tokens * heads, dim]`, and what is added: `[batch, tokens * heads]`.
    fn keys(&self, tokens: &Tensor) -> Result<(Tensor, Tensor)> {
        let keys = (self.key.linear.forward(tokens)? * self.scale)?;
        let (batch, tokens, inner) = keys.dims3()?;
        let offsets = keys
            .broadcast_mul(&self.query.bias)?
            .reshape((batch, tokens * self.heads, inner / self.heads))?
            .sum(D::Minus1)?;
        Ok((self.through(&keys, &self.query.weight)?, offsets))
    }

    /// What pixels get of each token: `[batch, tokens * heads, dim]`.
    fn values(&self, tokens: &Tensor) -> Result<Tensor> {
        self.through(&self.value.linear.forward(tokens)?, &self.output.weight.t()?.contiguous()?)
    }

    /// By what tokens that look at pixels multiply them: `[batch, tokens * heads, dim]`.
    fn queries(&self, tokens: &Tensor) -> Result<Tensor> {
        self.through(&(self.query.linear.forward(tokens)? * self.scale)?, &self.key.weight)
    }

    /// What tokens see that looked at pixels, added to `residual` `[batch, tokens, dim]`. [`two_way`] was told the
    /// tokens.
    pub fn answer(&self, looked: &Looked, residual: &Tensor) -> Result<Tensor> {
        let (batch, tokens, dim) = residual.dims3()?;
        let inner = self.value.weight.dim(0)?;
        let means =
            looked.means.reshape((batch * tokens, self.heads, dim))?.transpose(0, 1)?.to_contiguous()?;
        let matrices = self.value.weight.reshape((self.heads, inner / self.heads, dim))?;
        let values = means.matmul(&matrices.t()?)?.transpose(0, 1)?.to_contiguous()?;
        let values = values.reshape((batch, tokens, inner))?.broadcast_add(&self.value.bias)?;
        self.output.linear.forward_onto(&values, residual)
    }
}

/// Pixels `[batch or 1, pixels, dim]` look at tokens, are added to what they see and normalised; then the tokens of
/// `asking`, `[batch, tokens, dim]` and as many as are seen, look at them. `positions` `[1, pixels, dim]` are added to
/// pixels wherever they are compared.
pub fn two_way(
    pixels: &Tensor,
    positions: &Tensor,
    seen: Seen<'_>,
    norm: &LayerNorm,
    asking: (&FewTokens, &Tensor),
) -> Result<Looked> {
    let Seen { attention, keys, values } = seen;
    let (batch, tokens, dim) = keys.dims3()?;
    let (_, count, _) = pixels.dims3()?;
    let (keys, offsets) = attention.keys(keys)?;
    let values = attention.values(values)?;
    let queries = asking.0.queries(asking.1)?;
    let heads = attention.heads;
    let rows = (batch, tokens * heads, dim);
    if queries.dims3()? != rows || asking.0.heads != heads {
        candle_core::bail!("two-way attention: {rows:?} are seen, {:?} ask", queries.dims());
    }
    if !pixels.device().is_cpu() || !TwoWay::has_room(tokens, heads) {
        let pixels = pixels.broadcast_as((batch, count, dim))?.contiguous()?;
        let placed = pixels.broadcast_add(positions)?;
        let scores = placed.matmul(&keys.t()?)?.broadcast_add(&offsets.unsqueeze(1)?)?;
        // The softmax is over the tokens of a head.
        let scores = scores.reshape((batch, count, tokens, heads))?.transpose(2, 3)?.contiguous()?;
        let weights = candle_nn::ops::softmax_last_dim(&scores)?.transpose(2, 3)?.contiguous()?;
        let found = weights.reshape((batch, count, tokens * heads))?.matmul(&values)?;
        let pixels = norm.forward(&(pixels + found)?.broadcast_add(&attention.output.bias)?)?;
        let scores = queries.matmul(&pixels.broadcast_add(positions)?.t()?)?;
        let means = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&pixels)?;
        return Ok(Looked { pixels, means });
    }
    let ([weight, shift], eps) = norm.parts();
    let (weight, shift) = (weight.to_vec1::<f32>()?, shift.to_vec1::<f32>()?);
    let bias = attention.output.bias.to_vec1::<f32>()?;
    let offsets = offsets.flatten_all()?.to_vec1::<f32>()?;
    let numbers = |rows: &Tensor| rows.flatten_all()?.to_vec1::<f32>();
    let (keys, values, queries) = (numbers(&keys)?, numbers(&values)?, numbers(&queries)?);
    let (made, means) = with_values(pixels, |pixels| {
        with_values(positions, |positions| {
            let pass = TwoWay {
                pixels: count,
                dim,
                heads,
                tokens,
                positions,
                bias: &bias,
                norm: [&weight, &shift],
                eps,
                arithmetic: arithmetic(attention.precision),
            };
            let look = Look { keys: &keys, offsets: &offsets, values: &values, queries: &queries };
            Ok(pass.run(pixels, &look))
        })
    })?;
    let device = pixels.device();
    Ok(Looked {
        pixels: Tensor::from_vec(made, (batch, count, dim), device)?,
        means: Tensor::from_vec(means, rows, device)?,
    })
}

/// Pixels `[batch, pixels, dim]` look at tokens `[batch, tokens, dim]` and are added to what they see, while tokens look at
/// what the pixels were before, by the same scores (GLIP, Grounding DINO). `looking` is the attention of the pixels; that of
/// the tokens has its matrices of queries and keys the other way round, and its [`FewTokens::answer`] is what they see.
pub fn both_ways(pixels: &Tensor, tokens: &Tensor, looking: &FewTokens) -> Result<Looked> {
    let heads = looking.heads;
    let (batch, count, dim) = tokens.dims3()?;
    let (keys, offsets) = looking.keys(tokens)?;
    let values = looking.values(tokens)?;
    // Head by head: the softmax of pixels is over the tokens of a head.
    let by_head = |rows: &Tensor| -> Result<Tensor> {
        let width = rows.elem_count() / (batch * count * heads);
        let rows = rows.reshape((batch, count, heads, width))?.transpose(1, 2)?.contiguous()?;
        rows.reshape((batch, heads * count, width))
    };
    let (keys, offsets, values) = (by_head(&keys)?, by_head(&offsets)?, by_head(&values)?);
    let precision = match looking.precision {
        Precision::Int8 => Precision::Bf16,
        precision => precision,
    };
    let (mut made, mut means) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
    for item in 0..batch {
        let pixels = pixels.get(item)?.contiguous()?;
        let rows = pixels.dim(0)?;
        let offsets = offsets.get(item)?.flatten_all()?;
        let scores = Linear::new(&keys.get(item)?, Some(offsets), precision)?.forward(&pixels)?;
        let weights = candle_nn::ops::softmax_last_dim(&scores.reshape((rows, heads, count))?)?;
        let values = values.get(item)?.t()?.contiguous()?;
        let values = Linear::new(&values, Some(looking.output.bias.clone()), precision)?;
        made.push(values.forward_onto(&weights.reshape((rows, heads * count))?, &pixels)?);
        let weights = candle_nn::ops::softmax_last_dim(&scores.t()?.to_contiguous()?)?;
        means.push(weights.matmul(&pixels)?);
    }
    let means = Tensor::stack(&means, 0)?.reshape((batch, heads, count, dim))?;
    let means = means.transpose(1, 2)?.contiguous()?.reshape((batch, count * heads, dim))?;
    Ok(Looked { pixels: Tensor::stack(&made, 0)?, means })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn random(shape: &[usize], size: f64) -> Tensor {
        (Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu).unwrap() * size).unwrap()
    }

    fn few(dim: usize, inner: usize, heads: usize) -> FewTokens {
        let projection = |input: usize, output: usize| {
            let (weight, bias) = (random(&[output, input], 0.2), random(&[output], 0.3));
            let linear = Linear::new(&weight, Some(bias.clone()), Precision::F32).unwrap();
            Projection { linear, weight, bias }
        };
        FewTokens {
            query: projection(dim, inner),
            key: projection(dim, inner),
            value: projection(dim, inner),
            output: projection(inner, dim),
            heads,
            scale: ((inner / heads) as f64).powf(-0.5),
            precision: Precision::F32,
        }
    }

    /// Attention as it is defined: every operand through its matrix.
    fn plain(attention: &FewTokens, q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
        let heads = |projection: &Projection, x: &Tensor| {
            let made = projection.linear.forward(x).unwrap();
            let (batch, tokens, inner) = made.dims3().unwrap();
            made.reshape((batch, tokens, attention.heads, inner / attention.heads))
                .and_then(|x| x.transpose(1, 2)?.contiguous())
                .unwrap()
        };
        let scores = heads(&attention.query, q).matmul(&heads(&attention.key, k).t().unwrap()).unwrap();
        let weights = candle_nn::ops::softmax_last_dim(&(scores * attention.scale).unwrap()).unwrap();
        let mixed = weights.matmul(&heads(&attention.value, v)).unwrap();
        let mixed = mixed.transpose(1, 2).unwrap().contiguous().unwrap().flatten_from(2).unwrap();
        attention.output.linear.forward(&mixed).unwrap()
    }

    fn assert_close(found: &Tensor, wanted: &Tensor) {
        assert_eq!(found.dims(), wanted.dims());
        let worst = (found - wanted).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(worst < 2e-5, "{worst}");
    }

    #[test]
    fn scores_serve_both_ways() {
        for (batch, count, tokens) in [(1, 50, 7), (3, 30, 40)] {
            let (dim, inner, heads) = (32, 48, 4);
            let factors = random(&[dim], 1.0);
            let looking = few(dim, inner, heads);
            let turned = few(dim, inner, heads);
            let asking = FewTokens { query: looking.key.clone(), key: looking.query.clone(), ..turned };
            let [looking, asking] = [looking, asking].map(|few| few.scaled_by(&factors).unwrap());
            let (pixels, words) = (random(&[batch, count, dim], 1.0), random(&[batch, tokens, dim], 1.0));
            let looked = both_ways(&pixels, &words, &looking).unwrap();
            let answer = asking.answer(&looked, &words).unwrap();
            assert_close(&looked.pixels, &(plain(&looking, &pixels, &words, &words) + &pixels).unwrap());
            assert_close(&answer, &(plain(&asking, &words, &pixels, &pixels) + &words).unwrap());
        }
    }

    #[test]
    fn matrices_on_the_tokens_change_nothing() {
        // 40 tokens in 8 heads have no room in the kernel: they go the long way.
        for (batch, maps, count, tokens) in [(1, 1, 50, 7), (3, 1, 300, 8), (2, 2, 30, 3), (2, 1, 20, 40)] {
            let (dim, inner, heads) = (32, 16, 8);
            let (looking, asking) = (few(dim, inner, heads), few(dim, inner, heads));
            let (pixels, positions) = (random(&[maps, count, dim], 1.0), random(&[1, count, dim], 1.0));
            let [keys, values, queries] = [(); 3].map(|()| random(&[batch, tokens, dim], 1.0));
            let norm = LayerNorm::new(random(&[dim], 1.0), random(&[dim], 0.5), 1e-5);
            let seen = Seen { attention: &looking, keys: &keys, values: &values };
            let looked = two_way(&pixels, &positions, seen, &norm, (&asking, &queries)).unwrap();
            let answer = asking.answer(&looked, &queries).unwrap();

            let pixels = pixels.broadcast_as((batch, count, dim)).unwrap().contiguous().unwrap();
            let placed = pixels.broadcast_add(&positions).unwrap();
            let wanted =
                norm.forward(&(plain(&looking, &placed, &keys, &values) + &pixels).unwrap()).unwrap();
            assert_close(&looked.pixels, &wanted);
            let placed = wanted.broadcast_add(&positions).unwrap();
            assert_close(&answer, &(plain(&asking, &queries, &placed, &wanted) + &queries).unwrap());
        }
    }
}
