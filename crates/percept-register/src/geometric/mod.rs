//! Layers of learned matchers that know where their points lie: the embedding of pairs of points, attention that looks at it,
//! and optimal transport (Qin et al. 2022, "Geometric Transformer for Fast and Robust Point Cloud Registration", arXiv
//! 2202.06688). Names of weights are those of the authors' code, github.com/qinzheng93/GeoTransformer.

mod attention;
pub(crate) mod embedding;
#[cfg(test)]
mod golden;
mod table;
mod transport;
mod vectors;

pub(crate) use attention::{GeometricTransformer, Look, TransformerShape};
pub(crate) use embedding::{EmbeddingShape, MAX_POINTS, Reduction};
pub(crate) use transport::Transport;
pub(crate) use vectors::{away, dot, long_dot};
