//! From a model's name to verified files on disk.
//!
//! Start with [`Hub::resolve`]. The catalogue ([`Registry`]) says where a model comes from; sources are
//! tried in order after the caches; every byte is checked once against what the source promises, and
//! the lock file in [`HubOptions::home`] pins it for later loads. The library prints nothing: it tells
//! a [`Progress`].
//!
//! Network: [`ureq`] and nothing else, blocking, with the token kept to the endpoint's origin
//! (`http.rs`), in the file layout of the Hugging Face tools (`cache.rs`). hf-hub was not used: it
//! neither resumes nor checks digests nor knows an offline mode, and brings an async runtime.
#![forbid(unsafe_code)]

mod answers;
mod cache;
mod digest;
mod disk;
mod download;
mod failure;
mod fetch;
mod http;
mod hub;
mod identify;
mod locate;
mod lockfile;
mod manage;
mod options;
mod package;
mod progress;
mod reference;
mod registry;
mod remote;
mod snapshot;

pub use answers::{
    CacheSummary, FileCheck, ModelFile, ModelSummary, PulledModel, Refetch, RemovedModel, VerifiedModel,
};
pub use hub::Hub;
pub use options::{HubOptions, Limits, ProxyChoice, Token};
pub use progress::{Event, Progress, Silent};
pub use registry::Registry;
