//! Two point clouds to one rigid transform.

mod chain;
mod output;

use std::path::Path;
use std::sync::Arc;

use percept_core::{Error, Register, Result, Runtime};
use percept_hub::Hub;
use percept_media::cloud::{self, CloudInfo, CloudLimits, CloudSource};
use serde::Serialize;

pub use chain::Chain;
pub use output::{ResultRecord, SequenceRecord, reasons};
pub use percept_core::register::{
    Doubt, Fine, Fit, Kernel, Level, Locked, PointCloud, RegisterInput, RegisterOptions, Registration, Size,
    Start, Transform,
};
pub use percept_media::cloud::{MatrixFormat, matrices, read_transform};
pub use percept_media::draw::{Side, sides};

use crate::load::{Loaded, load as load_model};

/// The task, for [`crate::Envelope::new`].
pub type Task = Register;

/// Loads a method: a name of the catalogue, or the default.
pub fn load(hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<Loaded<Register>> {
    load_model(hub, percept_register::ARCHS, name, runtime)
}

/// Reads a cloud that a motion can be told from.
///
/// # Errors
/// [`Error::Input`]: it cannot be read, or has fewer than three points, or all of them at one place or on one line.
pub fn read(path: &Path, limits: CloudLimits) -> Result<(Arc<PointCloud>, CloudInfo)> {
    let (cloud, info) = cloud::read(CloudSource::from_argument(path), limits)?;
    percept_register::check(&cloud).map_err(|what| Error::Input {
        path: path.to_path_buf(),
        cause: format!("it {what}").into(),
        hint: Some("a motion is told by points that spread over a surface".into()),
    })?;
    Ok((Arc::new(cloud), info))
}

/// The `input` of a registration's envelope.
#[derive(Serialize)]
pub struct InputCard<'a> {
    source: CloudCard<'a>,
    target: CloudCard<'a>,
}

impl<'a> InputCard<'a> {
    /// Of two clouds. A path that is not Unicode is shown with replacement characters.
    pub fn new(source: CloudCard<'a>, target: CloudCard<'a>) -> Self {
        Self { source, target }
    }
}

/// A cloud's part of an `input`.
pub type CloudCard<'a> = crate::InputCard<'a, CloudInfo>;
