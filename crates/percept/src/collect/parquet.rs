//! Rows as Apache Parquet: compressed columns with types, which data frames and databases read.
//!
//! Written with `parquet`'s own column writers: its Arrow interface would bring seven more crates in for rows that
//! never are Arrow arrays here.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use percept_core::{Error, Result};
use percept_flow::Record;
use serde_json::Value;

use super::rows::{self, Column, Kind, Sink};
use super::unwritten;

/// Rows that are in memory at once, and that a reader can skip together.
const GROUP: usize = 1 << 17;

/// Writes the rows of all done inputs.
pub(super) fn write(records: &[Record], out: &mut (dyn Write + Send)) -> Result<()> {
    rows::each(records, &mut Table { out: Some(out), writer: None, columns: Vec::new(), rows: 0 })
}

struct Table<'a> {
    /// Until the columns are known.
    out: Option<&'a mut (dyn Write + Send)>,
    writer: Option<SerializedFileWriter<&'a mut (dyn Write + Send)>>,
    columns: Vec<Values>,
    rows: usize,
}

/// The values of a column that are not written yet; `levels` has 1 where a row has a value, 0 where it has none.
struct Values {
    column: &'static Column,
    levels: Vec<i16>,
    cells: Cells,
}

enum Cells {
    Text(Vec<ByteArray>),
    Whole(Vec<i64>),
    Single(Vec<f32>),
    Double(Vec<f64>),
}

/// The path of the input.
const INPUT: Column = Column { name: "input", place: "", kind: Kind::Text };

impl Sink for Table<'_> {
    fn begin(&mut self, columns: &'static [Column]) -> Result<()> {
        self.columns = std::iter::once(&INPUT).chain(columns).map(Values::new).collect();
        let fields = self.columns.iter().map(|values| values.column.field().map(Arc::new));
        let fields = fields.collect::<parquet::errors::Result<_>>().map_err(failed)?;
        let schema = Type::group_type_builder("results").with_fields(fields).build().map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("percept ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        if let Some(out) = self.out.take() {
            let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties));
            self.writer = Some(writer.map_err(failed)?);
        }
        Ok(())
    }

    fn row(&mut self, input: &str, row: &Value) -> Result<()> {
        let [first, rest @ ..] = self.columns.as_mut_slice() else { return Ok(()) };
        first.push(Some(&Value::from(input)))?;
        for values in rest {
            values.push(values.column.value(row))?;
        }
        self.rows += 1;
        if self.rows == GROUP { self.group().map_err(failed) } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        self.group().map_err(failed)?;
        match self.writer.take() {
            Some(writer) => writer.close().map(drop).map_err(failed),
            None => Ok(()),
        }
    }
}

impl Table<'_> {
    /// Writes the rows that are in memory.
    fn group(&mut self) -> parquet::errors::Result<()> {
        let Some(writer) = self.writer.as_mut().filter(|_| self.rows > 0) else { return Ok(()) };
        let mut group = writer.next_row_group()?;
        for Values { levels, cells, .. } in &mut self.columns {
            match cells {
                Cells::Text(cells) => column::<ByteArrayType>(&mut group, cells, levels),
                Cells::Whole(cells) => column::<Int64Type>(&mut group, cells, levels),
                Cells::Single(cells) => column::<FloatType>(&mut group, cells, levels),
                Cells::Double(cells) => column::<DoubleType>(&mut group, cells, levels),
            }?;
        }
        self.rows = 0;
        group.close().map(drop)
    }
}

/// Writes a column's values and forgets them.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut (dyn Write + Send)>,
    cells: &mut Vec<T::T>,
    levels: &mut Vec<i16>,
) -> parquet::errors::Result<()> {
    if let Some(mut writer) = group.next_column()? {
        writer.typed::<T>().write_batch(cells, Some(levels), None)?;
        writer.close()?;
    }
    cells.clear();
    levels.clear();
    Ok(())
}

impl Column {
    fn field(&self) -> parquet::errors::Result<Type> {
        let (physical, logical) = match self.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Whole => (Physical::INT64, None),
            Kind::Single => (Physical::FLOAT, None),
            Kind::Double => (Physical::DOUBLE, None),
        };
        Type::primitive_type_builder(self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    }
}

impl Values {
    fn new(column: &'static Column) -> Self {
        let cells = match column.kind {
            Kind::Text => Cells::Text(Vec::new()),
            Kind::Whole => Cells::Whole(Vec::new()),
            Kind::Single => Cells::Single(Vec::new()),
            Kind::Double => Cells::Double(Vec::new()),
        };
        Self { column, levels: Vec::new(), cells }
    }

    fn push(&mut self, value: Option<&Value>) -> Result<()> {
        self.levels.push(i16::from(value.is_some()));
        let Some(value) = value else { return Ok(()) };
        let taken = match &mut self.cells {
            Cells::Text(cells) => value.as_str().map(|text| cells.push(text.into())),
            Cells::Whole(cells) => value.as_i64().map(|number| cells.push(number)),
            Cells::Single(cells) => value.as_f64().map(|number| cells.push(number as f32)),
            Cells::Double(cells) => value.as_f64().map(|number| cells.push(number)),
        };
        taken.ok_or_else(|| {
            Error::argument(format!("a result has {value} for `{}`, which cannot be", self.column.name))
        })
    }
}

fn failed(error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => unwritten(*cause),
            Err(cause) => Error::argument(format!("this cannot be written as Parquet: {cause}")),
        },
        other => Error::argument(format!("this cannot be written as Parquet: {other}")),
    }
}
