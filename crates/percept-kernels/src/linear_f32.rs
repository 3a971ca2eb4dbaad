//! Linear layers in f32.

use crate::attention::Arithmetic;
use crate::epilogue::{COLUMNS, Epilogue};
use crate::isa::{Isa, isa};
use crate::matmul::{Matmul, Sealed};
use crate::packed::{ReadRows, certain, check_weight, interleave, panels, rows_in, rows_of};
use crate::product::{self, Left, Right};
use crate::scratch::{Aligned, Scratch, as_bytes, cast, cast_mut};
use crate::split::{self, Parts};
use crate::tile::{AMX_ROWS, Numbers};
use std::sync::OnceLock;

/// A linear layer's weight in f32, packed once for [`PackedF32::matmul`].
#[derive(Clone)]
pub struct PackedF32 {
    /// Empty where only the split panels were made.
    panels: Aligned,
    /// The panels in bf16 parts, made when AMX first wants them: weights that only ever see a few rows
    /// (decoding) do without.
    split: OnceLock<Aligned>,
    parts: Parts,
    channels: usize,
    depth: usize,
}

/// Rows that are read where they lie.
struct Rows<'a> {
    values: &'a [f32],
    depth: usize,
}

impl Left for Rows<'_> {
    fn row_bytes(&self) -> usize {
        self.depth * 4
    }

    fn stage(&self, _row: usize, _staged: &mut [u8]) {
        unreachable!("f32 rows are read where they lie");
    }

    fn in_place(&self) -> Option<(&[u8], usize)> {
        Some((as_bytes(self.values), self.depth * 4))
    }
}

/// Rows in bf16 parts.
pub(crate) struct SplitRows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) depth: usize,
    pub(crate) isa: Isa,
    pub(crate) parts: Parts,
}

impl Left for SplitRows<'_> {
    fn row_bytes(&self) -> usize {
        split::row_bytes(self.depth, self.parts)
    }

    fn stage(&self, row: usize, staged: &mut [u8]) {
        let row = &self.values[row * self.depth..][..self.depth];
        split::split_row(self.isa, row, cast_mut(staged), self.parts);
    }
}

impl PackedF32 {
    /// Packs a weight of `channels` outputs by `depth` inputs, row by row as PyTorch stores it.
    ///
    /// # Panics
    /// If the length is not `channels * depth`.
    #[must_use]
    pub fn new(weight: &[f32], channels: usize, depth: usize) -> Self {
        check_weight(weight.len(), channels, depth);
        certain(Self::from_rows(channels, depth, &rows_in(weight, depth)))
    }

    /// Packs a weight whose rows are read a panel of 32 at a time, on all threads; the whole weight is in memory
    /// in its packed form only.
    ///
    /// # Errors
    /// What `read` reports.
    pub fn from_rows<E: Send>(channels: usize, depth: usize, read: &ReadRows<'_, f32, E>) -> Result<Self, E> {
        let (panels, _) = panels(channels, depth * COLUMNS * 4, &|first, count, panel| {
            read_panel(first, count, depth, cast_mut(panel), read)
        })?;
        Ok(Self { panels, split: OnceLock::new(), parts: Parts::Three, channels, depth })
    }

    /// [`PackedF32::from_rows`] for products of many rows, in an arithmetic: where AMX multiplies them, only
    /// what AMX wants is made. Few rows are multiplied correctly too, but more slowly.
    ///
    /// # Errors
    /// What `read` reports.
    pub fn for_many_rows<E: Send>(
        channels: usize,
        depth: usize,
        arithmetic: Arithmetic,
        read: &ReadRows<'_, f32, E>,
    ) -> Result<Self, E> {
        let isa = isa();
        if isa < Isa::Amx || depth == 0 {
            return Self::from_rows(channels, depth, read);
        }
        let parts = Parts::of(arithmetic);
        let (split, _) =
            panels(channels, split::row_bytes(depth, parts) * COLUMNS, &|first, count, panel| {
                // The rows of the last panel may be fewer; the others' columns have to be zeros.
                let mut whole = Scratch::floats(depth * COLUMNS);
                if count < COLUMNS {
                    whole.fill(0);
                }
                read_panel(first, count, depth, cast_mut(&mut whole), read)?;
                split::split_panel(isa, whole.as_floats(), cast_mut(panel), parts);
                Ok(())
            })?;
        Ok(Self { panels: Aligned::zeroed(0), split: OnceLock::from(split), parts, channels, depth })
    }

    /// Bytes of a split panel.
    fn split_bytes(&self) -> usize {
        split::row_bytes(self.depth, self.parts) * COLUMNS
    }

    fn split_panel(&self, isa: Isa, first_channel: usize, panel: &mut [u8]) {
        let whole = self.depth * COLUMNS;
        let from = &cast::<f32>(self.panels.bytes())[first_channel / COLUMNS * whole..][..whole];
        split::split_panel(isa, from, cast_mut(panel), self.parts);
    }

    /// The split panels, made on this thread if need be.
    fn split(&self, isa: Isa) -> &[u8] {
        let split = self.split.get_or_init(|| {
            let mut all = Aligned::zeroed(self.channels.div_ceil(COLUMNS) * self.split_bytes());
            let panels = all.bytes_mut().chunks_exact_mut(self.split_bytes());
            panels.enumerate().for_each(|(index, panel)| self.split_panel(isa, index * COLUMNS, panel));
            all
        });
        split.bytes()
    }
}

impl Sealed for PackedF32 {}

impl Matmul for PackedF32 {
    fn channels(&self) -> usize {
        self.channels
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn rows_are_independent(&self) -> bool {
        // AVX-512 tiles of up to four rows have several sums a number, and AMX takes over from eight.
        isa() < Isa::Avx512
    }

    fn matmul(&self, input: &[f32], out: &mut [f32], epilogue: &Epilogue<'_>) {
        let rows = rows_of(input.len(), self.depth, out.len(), self.channels);
        let isa = isa();
        let only_split = self.panels.bytes().is_empty() && self.split.get().is_some();
        if only_split || (isa >= Isa::Amx && rows > AMX_ROWS && self.depth > 0) {
            let right = Right {
                numbers: Numbers::Split(self.parts),
                panels: self.split(isa),
                panel_bytes: self.split_bytes(),
                steps: split::padded(self.depth) / 2,
            };
            let left = SplitRows { values: input, depth: self.depth, isa, parts: self.parts };
            return product::run(&left, right, (rows, self.channels), out, epilogue);
        }
        let right = Right {
            numbers: Numbers::F32,
            panels: self.panels.bytes(),
            panel_bytes: self.depth * COLUMNS * 4,
            steps: self.depth,
        };
        let left = Rows { values: input, depth: self.depth };
        product::run(&left, right, (rows, self.channels), out, epilogue);
    }
}

/// Reads up to 32 rows and lays them side by side: `panel[depth][32]`.
fn read_panel<E>(
    first: usize,
    count: usize,
    depth: usize,
    panel: &mut [u32],
    read: &ReadRows<'_, f32, E>,
) -> Result<(), E> {
    let mut rows = Scratch::floats(count * depth);
    read(first, rows.as_floats())?;
    interleave(cast(&rows), depth, panel);
    Ok(())
}
