//! Matrices of one input that are multiplied as one.

use half::f16;

use super::entry::{Entry, Stored};
use super::{Weights, WeightsError};

/// The rows of several matrices `[rows, depth]`, one behind the other.
pub(crate) struct Stack {
    parts: Vec<Entry>,
    rows: usize,
    depth: usize,
}

impl Stack {
    /// The tensors `weight` below each of `parts`, each `[rows, depth]`.
    pub(crate) fn of(parts: &[Weights], rows: usize, depth: usize) -> Result<Self, WeightsError> {
        let parts =
            parts.iter().map(|part| part.entry("weight", &[rows, depth])).collect::<Result<_, _>>()?;
        Ok(Self { parts, rows, depth })
    }

    /// The rows of a table.
    pub(crate) fn of_table(table: &super::Table) -> Self {
        let entry = table.0.clone();
        Self { rows: entry.shape[0], depth: table.width(), parts: vec![entry] }
    }

    /// Rows of all matrices together.
    pub(crate) fn rows(&self) -> usize {
        self.rows * self.parts.len()
    }

    /// Numbers of a row.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The number format of all matrices, where they have one in common.
    pub(crate) fn stored(&self) -> Option<Stored> {
        let stored = self.parts.first()?.stored;
        self.parts.iter().all(|part| part.stored == stored).then_some(stored)
    }

    /// Whole rows as f32, from row `first` on.
    pub(crate) fn read_floats(&self, first: usize, values: &mut [f32]) -> Result<(), WeightsError> {
        self.by_part(first, values, Entry::read_floats)
    }

    /// Whole rows of halves, where they are [`Stored::F16`].
    pub(crate) fn read_halves(&self, first: usize, values: &mut [f16]) -> Result<(), WeightsError> {
        self.by_part(first, values, Entry::read_halves)
    }

    /// Whole rows of codes, where they are [`Stored::Int8`].
    pub(crate) fn read_codes(&self, first: usize, codes: &mut [i8]) -> Result<(), WeightsError> {
        self.by_part(first, codes, Entry::read_codes)
    }

    /// What the codes of each row are multiplied with.
    pub(crate) fn factors(&self) -> Result<Vec<f32>, WeightsError> {
        let mut factors = Vec::with_capacity(self.rows());
        for part in &self.parts {
            factors.extend(part.scales(0, self.rows)?.into_iter().map(|scale| 1.0 / scale));
        }
        Ok(factors)
    }

    /// Reads rows that may lie in several parts.
    fn by_part<T>(
        &self,
        first: usize,
        values: &mut [T],
        read: impl Fn(&Entry, usize, &mut [T]) -> Result<(), WeightsError>,
    ) -> Result<(), WeightsError> {
        let (mut row, mut rest) = (first, values);
        while !rest.is_empty() {
            let (part, inside) = (row / self.rows, row % self.rows);
            let count = (self.rows - inside).min(rest.len() / self.depth);
            let (now, later) = rest.split_at_mut(count * self.depth);
            read(&self.parts[part], inside, now)?;
            row += count;
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::super::Table;
    use super::super::entry::Bytes;
    use super::*;

    /// Entries `[3, 2]` that lie one behind the other in a file, each given by its bytes.
    fn entries(name: &str, parts: &[(Stored, &[u8])]) -> Vec<Entry> {
        let path = std::env::temp_dir().join(format!("percept-stack-{}-{name}", std::process::id()));
        // An odd offset: nothing in a CTranslate2 file is aligned.
        let mut bytes = vec![0_u8; 3];
        let offsets = parts.iter().map(|(_, part)| {
            bytes.extend_from_slice(part);
            (bytes.len() - part.len()) as u64
        });
        let offsets = offsets.collect::<Vec<_>>();
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        let file = Arc::new(Bytes::File(std::fs::File::open(&path).unwrap()));
        std::fs::remove_file(&path).unwrap();
        let entry =
            |(stored, offset)| Entry { file: file.clone(), stored, shape: vec![3, 2], offset, scale: None };
        parts.iter().map(|(stored, _)| *stored).zip(offsets).map(entry).collect()
    }

    /// 1, 2, -3, 0.5, 65504, -0.25 in IEEE half, little endian.
    const HALVES: [u8; 12] = [0x00, 0x3c, 0x00, 0x40, 0x00, 0xc2, 0x00, 0x38, 0xff, 0x7b, 0x00, 0xb4];
    /// 1, 2, -3, 0.5, 65536, -0.25 in bf16, little endian.
    const BRAIN: [u8; 12] = [0x80, 0x3f, 0x00, 0x40, 0x40, 0xc0, 0x00, 0x3f, 0x80, 0x47, 0x80, 0xbe];

    #[test]
    fn rows_are_read_over_the_border_of_two_matrices() {
        let parts = entries("floats", &[(Stored::F16, &HALVES), (Stored::Bf16, &BRAIN)]);
        let stack = Stack { parts, rows: 3, depth: 2 };
        assert_eq!((stack.rows(), stack.stored()), (6, None));
        let mut rows = [0.0; 8];
        stack.read_floats(1, &mut rows).unwrap();
        assert_eq!(rows, [-3.0, 0.5, 65504.0, -0.25, 1.0, 2.0, -3.0, 0.5]);
        assert!(stack.read_floats(5, &mut [0.0; 2]).is_ok());
    }

    #[test]
    fn halves_stay_halves_and_a_table_gives_its_rows() {
        let parts = entries("halves", &[(Stored::F16, &HALVES)]);
        let table = Table(parts[0].clone());
        let stack = Stack::of_table(&table);
        assert_eq!(stack.stored(), Some(Stored::F16));
        let mut rows = [f16::ZERO; 4];
        stack.read_halves(1, &mut rows).unwrap();
        assert_eq!(rows.map(f16::to_f32), [-3.0, 0.5, 65504.0, -0.25]);
        let found = table.look_up(&[2, 0, 2]).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(found, [[65504.0, -0.25], [1.0, 2.0], [65504.0, -0.25]]);
        assert!(table.look_up(&[3]).is_err());
    }

    #[test]
    fn codes_are_divided_by_the_scale_of_their_row() {
        let scales = [4.0_f32, 2.0, 8.0].map(f32::to_le_bytes).concat();
        let codes = [4_i8, -8, 127, 1, -127, 0].map(i8::cast_unsigned);
        let mut found = entries("codes", &[(Stored::Int8, &codes), (Stored::F32, &scales)]);
        let scale = Entry { shape: vec![3], ..found.remove(1) };
        let whole = Entry { scale: Some(Box::new(scale)), ..found.remove(0) };
        let stack = Stack { parts: vec![whole.rows(1, 2)], rows: 2, depth: 2 };
        let (mut rows, mut kept) = ([0.0; 4], [0; 4]);
        stack.read_floats(0, &mut rows).unwrap();
        stack.read_codes(0, &mut kept).unwrap();
        assert_eq!((rows, kept), ([63.5, 0.5, -15.875, 0.0], [127, 1, -127, 0]));
        assert_eq!(stack.factors().unwrap(), [0.5, 0.125]);
    }

    #[test]
    fn a_matrix_is_turned_in_its_own_format() {
        let turned = entries("turned", &[(Stored::F16, &HALVES)])[0].transposed().unwrap();
        assert_eq!((turned.shape.as_slice(), turned.stored), (&[2, 3][..], Stored::F16));
        assert_eq!(turned.read().unwrap(), [1.0, -3.0, 65504.0, 2.0, 0.5, -0.25]);
        assert_eq!(turned.rows(1, 1).read().unwrap(), [2.0, 0.5, -0.25]);
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let parts = entries("short", &[(Stored::F16, &HALVES[..10])]);
        let stack = Stack { parts, rows: 3, depth: 2 };
        assert!(matches!(stack.read_floats(2, &mut [0.0; 2]), Err(WeightsError::Io(_))));
    }
}
