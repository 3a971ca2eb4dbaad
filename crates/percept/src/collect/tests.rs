//! Whole runs in one file.

use std::path::Path;

use ::parquet::basic::{ConvertedType, Type as Physical};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use percept_core::Result;
use percept_flow::{Content, Identity, InputRecord, Milliseconds, OutputRecord, PathRecord, Record, Status};
use serde_json::{Value, json};

use super::{Collection, collect};

/// A done input whose JSON is `result`.
pub(crate) fn done(folder: &Path, task: &str, input: &str, result: Value) -> Record {
    let path = folder.join(format!("{}.json", input.replace('/', "-")));
    let envelope = json!({"schema": "percept/1", "task": task, "result": result});
    std::fs::write(&path, serde_json::to_vec(&envelope).unwrap()).unwrap();
    let outputs = vec![OutputRecord { path: PathRecord::of(&path), sha256: "abc".into() }];
    Record { status: Status::Done, outputs, error: None, ..failed(task, input) }
}

pub(crate) fn failed(task: &str, input: &str) -> Record {
    let content = Content { bytes: 1, sha256: "abc".into() };
    Record {
        schema: "percept-run/1".into(),
        identity: Identity::new(task, "model", "abc", "all"),
        input: InputRecord { path: PathRecord::of(Path::new(input)), content: Some(content) },
        status: Status::Failed,
        outputs: vec![],
        ms: Milliseconds::default(),
        error: Some("broken".into()),
        unwritten: false,
    }
}

fn instance(id: u32, class: Option<&str>, score: f64, area: u64) -> Value {
    let label = class.map(|name| json!({"id": 3, "name": name}));
    json!({"id": id, "label": label, "score": score, "box": [1, 2, 30, 40], "area": area})
}

fn collected(records: &[Record], form: Collection) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    collect(records, form, &mut bytes).map(|_| bytes)
}

/// The rows of a Parquet file, and of each column its name and types.
#[expect(clippy::type_complexity, reason = "rows of fields under columns of types")]
fn parquet(bytes: Vec<u8>) -> (Vec<Vec<Field>>, Vec<(String, Physical, ConvertedType)>) {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let columns = schema.columns().iter();
    let types =
        columns.map(|one| (one.name().to_owned(), one.physical_type(), one.converted_type())).collect();
    let rows = reader.get_row_iter(None).unwrap();
    (
        rows.map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| field).collect()).collect(),
        types,
    )
}

#[test]
fn rows_become_typed_columns() {
    let folder = tempfile::tempdir().unwrap();
    let records = [
        done(
            folder.path(),
            "segment",
            "a,\"b.png",
            json!({"instances": [instance(1, Some("tall, thin"), 0.98, 5_000_000_000), instance(2, None, 0.1, 7)]}),
        ),
        failed("segment", "c.png"),
        done(folder.path(), "segment", "d.png", json!({"instances": []})),
        done(folder.path(), "segment", "e\n.png", json!({"instances": [instance(1, Some("cat"), 1.0, 9)]})),
    ];
    let (rows, types) = parquet(collected(&records, Collection::Parquet).unwrap());
    let (text, whole) = (ConvertedType::UTF8, ConvertedType::NONE);
    let wanted = [
        ("input", Physical::BYTE_ARRAY, text),
        ("instance", Physical::INT64, whole),
        ("class", Physical::BYTE_ARRAY, text),
        ("score", Physical::FLOAT, whole),
        ("left", Physical::INT64, whole),
        ("top", Physical::INT64, whole),
        ("right", Physical::INT64, whole),
        ("bottom", Physical::INT64, whole),
        ("area", Physical::INT64, whole),
    ];
    assert_eq!(types, wanted.map(|(name, physical, logical)| (name.to_owned(), physical, logical)));
    let row = |input: &str, id: i64, class: Option<&str>, score: f32, area: i64| {
        let class = class.map_or(Field::Null, |class| Field::Str(class.into()));
        let numbers = [1, 2, 30, 40, area].map(Field::Long);
        [&[Field::Str(input.into()), Field::Long(id), class, Field::Float(score)][..], &numbers].concat()
    };
    let wanted = [
        row("a,\"b.png", 1, Some("tall, thin"), 0.98, 5_000_000_000),
        row("a,\"b.png", 2, None, 0.1, 7),
        row("e\n.png", 1, Some("cat"), 1.0, 9),
    ];
    assert_eq!(rows, wanted);
    let csv = String::from_utf8(collected(&records, Collection::Csv).unwrap()).unwrap();
    let wanted = "input,instance,class,score,left,top,right,bottom,area\n\
                  \"a,\"\"b.png\",1,\"tall, thin\",0.98,1,2,30,40,5000000000\n\
                  \"a,\"\"b.png\",2,,0.1,1,2,30,40,7\n\
                  \"e\n.png\",1,cat,1.0,1,2,30,40,9\n";
    assert_eq!(csv, wanted);
}

#[test]
fn many_rows_come_in_groups() {
    let folder = tempfile::tempdir().unwrap();
    let segment =
        |id: usize| json!({"id": id, "start": id as f64 / 3.0, "end": id as f64, "text": format!("s{id}")});
    let segments: Vec<Value> = (0..100_000).map(segment).collect();
    let records = ["a.wav", "b.wav"]
        .map(|input| done(folder.path(), "transcribe", input, json!({"segments": segments})));
    let bytes = collected(&records, Collection::Parquet).unwrap();
    let groups = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).unwrap().num_row_groups();
    assert_eq!(groups, 2);
    let (rows, _) = parquet(bytes);
    assert_eq!(rows.len(), 200_000);
    for (index, row) in rows.iter().enumerate() {
        let (input, id) = (if index < 100_000 { "a.wav" } else { "b.wav" }, index % 100_000);
        let wanted = [
            Field::Str(input.into()),
            Field::Long(id as i64),
            Field::Double(id as f64 / 3.0),
            Field::Double(id as f64),
            Field::Str(format!("s{id}")),
            Field::Null,
            Field::Null,
        ];
        assert_eq!(*row, wanted);
    }
}

#[test]
fn nothing_done_is_a_table_without_rows() {
    let (rows, types) = parquet(collected(&[failed("segment", "a.png")], Collection::Parquet).unwrap());
    assert_eq!((rows.len(), types.len()), (0, 9));
    let (rows, types) = parquet(collected(&[], Collection::Parquet).unwrap());
    assert_eq!((rows.len(), types.len()), (0, 1));
    assert_eq!(collected(&[], Collection::Csv).unwrap(), b"input\n");
}

#[test]
fn what_has_no_common_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let one = |task: &str, name: &str| done(folder.path(), task, name, json!({"instances": []}));
    for (records, what) in [
        (vec![one("segment", "a"), one("transcribe", "b")], "share no table"),
        (vec![one("register", "a")], "have no rows"),
        (vec![Record { outputs: vec![], ..one("segment", "a") }], "no `json`"),
        (vec![done(folder.path(), "segment", "c", json!({"instances": [{"area": "large"}]}))], "`area`"),
    ] {
        let error = collected(&records, Collection::Parquet).unwrap_err().chain();
        assert!(error.contains(what), "{error}");
    }
    std::fs::write(folder.path().join("a.json"), b"{").unwrap();
    let record = done(folder.path(), "segment", "d", json!({}));
    let broken = Record {
        outputs: vec![OutputRecord {
            path: PathRecord::of(&folder.path().join("a.json")),
            sha256: String::new(),
        }],
        ..record
    };
    let error = collected(&[broken], Collection::JsonLines).unwrap_err();
    assert!(matches!(error, percept_core::Error::Input { .. }), "{}", error.chain());
}
