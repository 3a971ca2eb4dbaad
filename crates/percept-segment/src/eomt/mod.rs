//! EoMT.

#[cfg(test)]
mod golden;
mod network;
