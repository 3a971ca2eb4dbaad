//! Results as rows: an instance of a picture each, or a segment of a transcript.

use percept_core::{Error, Result};
use percept_flow::{Record, Status};
use serde_json::Value;

use super::read;

/// A column, and where its values are in a row.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) kind: Kind,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// Whole numbers.
    Whole,
    /// Numbers that have 32 bits where they come from.
    Single,
    /// Numbers that have 64 bits where they come from.
    Double,
}

impl Column {
    /// The value in a row, if there is one.
    pub(super) fn value<'a>(&self, row: &'a Value) -> Option<&'a Value> {
        row.pointer(self.place).filter(|value| !value.is_null())
    }
}

/// A form that rows are written in. Every row begins with the path of its input.
pub(super) trait Sink {
    /// Before all rows. Without columns where there is nothing that could have some.
    fn begin(&mut self, columns: &'static [Column]) -> Result<()>;
    /// A row.
    fn row(&mut self, input: &str, row: &Value) -> Result<()>;
    /// After all rows.
    fn finish(&mut self) -> Result<()>;
}

/// Gives a sink the rows of the done inputs.
pub(super) fn each(records: &[Record], sink: &mut dyn Sink) -> Result<()> {
    let tasks = || records.iter().map(|record| record.identity.task.as_str());
    let first = tasks().next();
    if let Some((first, other)) = first.and_then(|first| Some((first, tasks().find(|task| *task != first)?)))
    {
        return Err(Error::argument(format!("results of `{first}` and `{other}` share no table")));
    }
    let (place, columns) = match first {
        Some(task) => {
            table(task).ok_or_else(|| Error::argument(format!("results of `{task}` have no rows")))?
        }
        None => ("", &[][..]),
    };
    sink.begin(columns)?;
    for record in records.iter().filter(|record| record.status == Status::Done) {
        let value = read::result(record)?;
        let rows = match value.pointer(place) {
            Some(Value::Array(rows)) => rows.as_slice(),
            Some(row @ Value::Object(_)) => std::slice::from_ref(row),
            _ => &[],
        };
        for row in rows {
            sink.row(&record.input.path.path, row)?;
        }
    }
    sink.finish()
}

/// Where the rows of a task's results are, and their columns.
fn table(task: &str) -> Option<(&'static str, &'static [Column])> {
    const fn column(name: &'static str, place: &'static str, kind: Kind) -> Column {
        Column { name, place, kind }
    }
    const SEGMENT: &[Column] = &[
        column("instance", "/id", Kind::Whole),
        column("class", "/label/name", Kind::Text),
        column("score", "/score", Kind::Single),
        column("left", "/box/0", Kind::Whole),
        column("top", "/box/1", Kind::Whole),
        column("right", "/box/2", Kind::Whole),
        column("bottom", "/box/3", Kind::Whole),
        column("area", "/area", Kind::Whole),
    ];
    const TRANSCRIBE: &[Column] = &[
        column("segment", "/id", Kind::Whole),
        column("start", "/start", Kind::Double),
        column("end", "/end", Kind::Double),
        column("text", "/text", Kind::Text),
        column("avg_logprob", "/avg_logprob", Kind::Single),
        column("no_speech_prob", "/no_speech_prob", Kind::Single),
    ];
    const DETECT: &[Column] = &[
        column("detection", "/id", Kind::Whole),
        column("class", "/label/name", Kind::Text),
        column("score", "/score", Kind::Single),
        column("left", "/box_xyxy/0", Kind::Single),
        column("top", "/box_xyxy/1", Kind::Single),
        column("right", "/box_xyxy/2", Kind::Single),
        column("bottom", "/box_xyxy/3", Kind::Single),
    ];
    const POSE: &[Column] = &[
        column("subject", "/subject", Kind::Whole),
        column("class", "/label/name", Kind::Text),
        column("score", "/score", Kind::Single),
        column("left", "/box_xyxy/0", Kind::Single),
        column("top", "/box_xyxy/1", Kind::Single),
        column("right", "/box_xyxy/2", Kind::Single),
        column("bottom", "/box_xyxy/3", Kind::Single),
    ];
    const DEPTH: &[Column] = &[
        column("unit", "/unit", Kind::Text),
        column("minimum", "/minimum", Kind::Single),
        column("maximum", "/maximum", Kind::Single),
        column("mean", "/mean", Kind::Double),
        column("median", "/median", Kind::Single),
        column("focal", "/focal/pixels", Kind::Single),
    ];
    const CAPTION: &[Column] =
        &[column("text", "/text", Kind::Text), column("score", "/score", Kind::Single)];
    match task {
        "caption" => Some(("/result/captions", CAPTION)),
        "depth" => Some(("/result", DEPTH)),
        "detect" => Some(("/result/detections", DETECT)),
        "pose" => Some(("/result/poses", POSE)),
        "segment" => Some(("/result/instances", SEGMENT)),
        "transcribe" => Some(("/result/segments", TRANSCRIBE)),
        _ => None,
    }
}
