//! What a model is: something that turns inputs of one task into outputs of that task.

use crate::segment::Label;
use crate::{LocalModel, Precision, Result, Runtime, Task};

/// A loaded model.
///
/// It is immutable: the state of a running decode is a value on the stack of [`Model::predict`], so
/// one model serves every thread.
pub trait Model<T: Task>: Send + Sync {
    /// One output per input, in order. A failure is the whole batch's; the driver retries one by one.
    fn predict(&self, inputs: &[T::Input]) -> Result<Vec<Predicted<T::Output>>>;

    /// How many inputs are worth handing over at once.
    fn batch(&self) -> usize {
        1
    }

    /// The prepared input and the raw outputs of the network, under the names that Hugging Face
    /// transformers gives them.
    fn raw(&self, input: &T::Input) -> Result<Vec<RawTensor>>;

    /// The precision that really runs, after `auto` was decided.
    fn precision(&self) -> Precision;

    /// The classes that it knows; none where its answers have no classes.
    fn labels(&self) -> &[Label] {
        &[]
    }
}

/// An output and the time that it took.
#[derive(Clone, Debug)]
pub struct Predicted<O> {
    /// What the model said.
    pub output: O,
    /// Where the time went.
    pub timings: Timings,
}

/// Where the time of one item went, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timings {
    /// Reading and decoding the file.
    pub decode: f64,
    /// Turning the media into the network's input.
    pub prepare: f64,
    /// The network.
    pub model: f64,
    /// Turning the network's output into the result.
    pub finish: f64,
    /// A finer division of `model`, by stage, for `percept bench`.
    pub stages: Vec<(&'static str, f64)>,
    /// Countable work, such as tokens decoded.
    pub counts: Vec<(&'static str, usize)>,
}

impl Timings {
    /// Milliseconds from the decoded media to the result.
    pub fn spent(&self) -> f64 {
        self.prepare + self.model + self.finish
    }
}

/// A tensor by name, as `--raw` writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct RawTensor {
    /// The name that Hugging Face transformers uses.
    pub name: String,
    /// Row-major shape.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub values: RawValues,
}

/// The elements of a [`RawTensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum RawValues {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit integers, such as token ids.
    I64(Vec<i64>),
}

/// An architecture that a task crate implements: one line in its `ARCHS`.
pub struct Arch<T: Task> {
    /// The name in `models.toml`.
    pub name: &'static str,
    /// What a checkpoint calls itself: entries of `architectures`, or `model_type`, of a
    /// `config.json`, or the specification that a CTranslate2 `model.bin` names.
    pub identifiers: &'static [&'static str],
    /// Builds the model from files on disk.
    pub load: Load<T>,
}

/// How an architecture turns files into a model.
pub type Load<T> = fn(&LocalModel, &Runtime) -> Result<Box<dyn Model<T>>>;
