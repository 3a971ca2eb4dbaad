//! BERT (Devlin et al. 2019, arXiv 1810.04805), from a text to the states of its tokens: [`BertTokenizer`] makes tokens of
//! it, [`Bert`] states of them. Numbers are those of transformers 5.23.

mod config;
mod network;
mod tokenizer;

pub use config::BertConfig;
pub use network::Bert;
pub use tokenizer::{BertTokenizer, BertTokens};
