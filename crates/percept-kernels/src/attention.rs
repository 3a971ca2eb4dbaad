//! Scaled dot-product attention that never writes the score matrix.
//!
//! Queries are taken in blocks, keys in blocks, and the softmax is kept up to date over the key blocks (its
//! peak and sum so far, and the output so far), so that scores live only in the second-level cache. All
//! arithmetic is f32.

use crate::isa::isa;
use crate::parallel::SharedOut;

/// How the heads of one operand lie in a flat array; the `dim` values of a head are next to each other.
///
/// For `[batch, tokens, heads * dim]`: `{ batch: tokens * heads * dim, head: dim, token: heads * dim }`. One
/// part of a fused `[batch, tokens, 3 * heads * dim]` projection is the slice from that part's first value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// Values from one batch item to the next.
    pub batch: usize,
    /// Values from one head to the next.
    pub head: usize,
    /// Values from one token to the next.
    pub token: usize,
}

impl Strides {
    /// Of `[batch, heads, tokens, dim]`.
    #[must_use]
    pub fn heads_first(heads: usize, tokens: usize, dim: usize) -> Self {
        Self { batch: heads * tokens * dim, head: tokens * dim, token: dim }
    }

    /// Of `[batch, tokens, width]` whose heads are `dim` values each; `width` may be that of a fused projection.
    #[must_use]
    pub fn tokens_first(tokens: usize, width: usize, dim: usize) -> Self {
        Self { batch: tokens * width, head: dim, token: width }
    }

    /// Values needed for these counts.
    fn extent(self, batch: usize, heads: usize, tokens: usize, dim: usize) -> usize {
        if batch * heads * tokens * dim == 0 {
            return 0;
        }
        (batch - 1) * self.batch + (heads - 1) * self.head + (tokens - 1) * self.token + dim
    }
}

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visible {
    /// All.
    #[default]
    All,
    /// Query i sees keys `0..=i + past`, with `past` keys from earlier steps.
    Past {
        /// Keys before the first query's own.
        past: usize,
    },
}

/// Numbers added to the scaled scores, rows of `keys` values.
#[derive(Clone, Copy, Debug)]
pub struct ScoreBias<'a> {
    /// The numbers; negative infinity hides a key.
    pub values: &'a [f32],
    /// Values from one batch item to the next; 0 if all share one.
    pub batch: usize,
    /// Values from one head to the next; 0 if all share one.
    pub head: usize,
}

/// One operand of attention.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The array, from the first value used.
    pub values: &'a [f32],
    /// How it is laid out.
    pub strides: Strides,
}

/// `softmax(scale q k^T + bias) v` for all heads of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Items.
    pub batch: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads` (grouped-query attention).
    pub kv_heads: usize,
    /// Query tokens.
    pub queries: usize,
    /// Key tokens.
    pub keys: usize,
    /// Values per head.
    pub dim: usize,
    /// Factor of the scores, above zero.
    pub scale: f32,
    /// Which keys a query sees.
    pub visible: Visible,
    /// Keys that count, per batch item; the rest is padding. `None`: all.
    pub key_lengths: Option<&'a [usize]>,
    /// Added to the scaled scores.
    pub bias: Option<ScoreBias<'a>>,
}

impl Attention<'_> {
    /// Computes the attention into `out`, laid out by `out_strides`. A query that sees no key gets zeros.
    ///
    /// # Panics
    /// If an array is too short for its strides, `kv_heads` does not divide `heads`, `scale` is not above
    /// zero, or the heads of the output overlap.
    pub fn run(&self, q: Operand<'_>, k: Operand<'_>, v: Operand<'_>, out: &mut [f32], out_strides: Strides) {
        self.check(q, k, v, out, out_strides);
        if self.batch * self.heads * self.queries * self.dim == 0 {
            return;
        }
        let shared = SharedOut::new(out);
        if self.queries <= crate::attention_few::QUERIES {
            crate::attention_few::run(isa(), self, q, k, v, &shared, out_strides);
        } else {
            crate::attention_blocks::run(isa(), self, q, k, v, &shared, out_strides);
        }
    }

    fn check(&self, q: Operand<'_>, k: Operand<'_>, v: Operand<'_>, out: &[f32], out_strides: Strides) {
        let Self { batch, heads, kv_heads, queries, keys, dim, .. } = *self;
        assert!(self.scale > 0.0, "scale: above zero is wanted");
        assert!(heads == 0 || (kv_heads > 0 && heads.is_multiple_of(kv_heads)), "kv_heads must divide heads");
        assert!(q.values.len() >= q.strides.extent(batch, heads, queries, dim), "q is too short");
        assert!(k.values.len() >= k.strides.extent(batch, kv_heads, keys, dim), "k is too short");
        assert!(v.values.len() >= v.strides.extent(batch, kv_heads, keys, dim), "v is too short");
        assert!(out.len() >= out_strides.extent(batch, heads, queries, dim), "out is too short");
        // Threads write different (batch, head, query) rows: sorted by size, each stride must step over all
        // that the smaller ones span.
        let mut steps = [(out_strides.batch, batch), (out_strides.head, heads), (out_strides.token, queries)];
        steps.sort_unstable();
        let mut span = dim;
        for (step, count) in steps {
            if count > 1 {
                assert!(step >= span, "out: rows overlap");
                span += (count - 1) * step;
            }
        }
        if let Some(lengths) = self.key_lengths {
            assert_eq!(lengths.len(), batch, "key_lengths: one per batch item is wanted");
        }
        if let Some(bias) = self.bias {
            let strides = Strides { batch: bias.batch, head: bias.head, token: keys };
            assert!(bias.values.len() >= strides.extent(batch, heads, queries, keys), "bias is too short");
        }
    }

    /// Keys that query `query` of item `item` sees.
    pub(crate) fn seen(&self, item: usize, query: usize) -> usize {
        let keys = self.key_lengths.map_or(self.keys, |lengths| lengths[item].min(self.keys));
        match self.visible {
            Visible::All => keys,
            Visible::Past { past } => keys.min(query + past + 1),
        }
    }

    /// The bias of one query row, if there is one.
    pub(crate) fn bias_row(&self, item: usize, head: usize, query: usize) -> Option<&[f32]> {
        let bias = self.bias?;
        let at = item * bias.batch + head * bias.head + query * self.keys;
        Some(&bias.values[at..at + self.keys])
    }

    /// The head of keys and values that a query head uses.
    pub(crate) fn kv_head(&self, head: usize) -> usize {
        head / (self.heads / self.kv_heads)
    }
}

impl<'a> Operand<'a> {
    /// The `dim` values of one token of one head.
    pub(crate) fn row(&self, item: usize, head: usize, token: usize, dim: usize) -> &'a [f32] {
        let Strides { batch, head: per_head, token: per_token } = self.strides;
        &self.values[item * batch + head * per_head + token * per_token..][..dim]
    }
}
