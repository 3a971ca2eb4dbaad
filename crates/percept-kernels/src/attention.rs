//! Scaled dot-product attention that never writes the score matrix.
//!
//! Queries are taken in blocks, keys in blocks, and the softmax is kept up to date over the key blocks (its
//! peak and sum so far, and the output so far), so that scores live only in the first two levels of cache.

use crate::isa::isa;
use crate::parallel::SharedOut;
use crate::scratch::filled;
use std::ops::Range;

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

/// Numbers added to the scaled scores; negative infinity hides a key.
#[derive(Clone, Copy, Debug)]
pub enum ScoreBias<'a> {
    /// Written out (T5's and Swin's relative positions, masks): rows of `keys` values, `queries` rows a head.
    Full {
        /// The numbers.
        values: &'a [f32],
        /// Values from one batch item to the next; 0 if all share one.
        batch: usize,
        /// Values from one head to the next; 0 if all share one.
        head: usize,
    },
    /// The sum of two parts (SAM's and MViT's decomposed relative positions), for keys that are the pixels of
    /// a map, row by row: `height[query, y] + width[query, x]`, each for every item, head and query in turn.
    Decomposed {
        /// `[batch, heads, queries, map height]`.
        height: &'a [f32],
        /// `[batch, heads, queries, map width]`.
        width: &'a [f32],
        /// The map's height and width, whose product is the number of keys.
        map: [usize; 2],
    },
}

/// How exact products have to be; sums are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// As exact as f32.
    #[default]
    F32,
    /// Numbers may be cut to 16 significant bits (two bf16) where that is faster: what PyTorch calls the
    /// matmul precision `high` and XLA `BF16_BF16_F32_X3`. What is left out of a product is at most 3 * 2^-16 of it.
    Bf16x3,
    /// Numbers may be rounded to bf16 where that is faster.
    Bf16,
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
    /// How exact the products are.
    pub arithmetic: Arithmetic,
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

    /// [`Attention::run`] into a new array, whose `strides` lay out its items, heads, queries and `dim` values
    /// in any order without gaps.
    ///
    /// # Panics
    /// As for [`Attention::run`], and if there are gaps.
    #[must_use]
    pub fn forward(&self, q: Operand<'_>, k: Operand<'_>, v: Operand<'_>, strides: Strides) -> Vec<f32> {
        let Self { batch, heads, queries, dim, .. } = *self;
        let length = batch * queries * heads * dim;
        assert!(strides.extent(batch, heads, queries, dim) == length, "out: rows lie apart");
        // SAFETY: each item, head and query writes its `dim` numbers. `run` refuses rows that overlap, and as
        // many numbers that do not overlap and end at `length` leave no gaps.
        unsafe { filled(length, |out| self.run(q, k, v, out, strides)) }
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
        match self.bias {
            None => {}
            Some(ScoreBias::Full { values, batch: per_item, head }) => {
                let strides = Strides { batch: per_item, head, token: keys };
                assert!(values.len() >= strides.extent(batch, heads, queries, keys), "bias is too short");
            }
            Some(ScoreBias::Decomposed { height, width, map }) => {
                assert_eq!(map[0] * map[1], keys, "bias: the map's pixels are the keys");
                let rows = batch * heads * queries;
                assert_eq!(height.len(), rows * map[0], "bias: a value for each row of the map is wanted");
                assert_eq!(width.len(), rows * map[1], "bias: a value for each column of the map is wanted");
            }
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

    /// The bias of some keys for one query, in `buffer` where it has to be put together; empty if there is none.
    pub(crate) fn bias_of<'b>(
        &'b self,
        item: usize,
        head: usize,
        query: usize,
        keys: Range<usize>,
        buffer: &'b mut [f32],
    ) -> &'b [f32] {
        match self.bias {
            None => &[],
            Some(ScoreBias::Full { values, batch, head: per_head }) => {
                &values[item * batch + head * per_head + query * self.keys..][keys]
            }
            Some(ScoreBias::Decomposed { height, width, map: [rows, columns] }) => {
                let row = (item * self.heads + head) * self.queries + query;
                let (height, width) = (&height[row * rows..][..rows], &width[row * columns..][..columns]);
                let count = keys.len();
                let mut at = keys.start;
                while at < keys.end {
                    let (y, x) = (at / columns, at % columns);
                    let run = (columns - x).min(keys.end - at);
                    let to = &mut buffer[at - keys.start..][..run];
                    to.iter_mut().zip(&width[x..]).for_each(|(to, value)| *to = height[y] + value);
                    at += run;
                }
                &buffer[..count]
            }
        }
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
