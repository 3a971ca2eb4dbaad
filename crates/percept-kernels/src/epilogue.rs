//! What is done to a product while it is still in cache: bias, activation, scale, residual.

use crate::isa::Isa;
use crate::math::{Activation, apply_inline, mul_add, per_isa};
use crate::parallel::SharedOut;
use std::ops::Range;

/// What is added to a layer's output.
#[derive(Clone, Copy, Debug, Default)]
pub enum Residual<'a> {
    /// Nothing: the output is overwritten.
    #[default]
    None,
    /// This array, of the output's shape.
    Add(&'a [f32]),
    /// What the output array already holds.
    InPlace,
}

/// The steps after a matrix product: `out = residual + scale * activation(x W + bias)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// One value per output channel.
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Activation,
    /// One factor per output channel (layer scale), applied after the activation.
    pub scale: Option<&'a [f32]>,
    /// Added last.
    pub residual: Residual<'a>,
}

impl<'a> Epilogue<'a> {
    /// The bare product.
    pub const NONE: Epilogue<'static> =
        Epilogue { bias: None, activation: Activation::None, scale: None, residual: Residual::None };

    /// Adds a bias where there is one.
    #[must_use]
    pub fn bias(mut self, bias: Option<&'a [f32]>) -> Self {
        self.bias = bias;
        self
    }

    /// Applies an activation.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Multiplies each channel by a factor where there are factors.
    #[must_use]
    pub fn scale(mut self, scale: Option<&'a [f32]>) -> Self {
        self.scale = scale;
        self
    }

    /// Adds a residual.
    #[must_use]
    pub fn residual(mut self, residual: Residual<'a>) -> Self {
        self.residual = residual;
        self
    }

    /// The epilogue of a part of the output, by the range of its numbers.
    pub(crate) fn rows(&self, range: Range<usize>) -> Self {
        match self.residual {
            Residual::Add(values) => Self { residual: Residual::Add(&values[range]), ..*self },
            _ => *self,
        }
    }

    /// Checks that it does not want what the output held before.
    ///
    /// # Panics
    /// If the residual is in place.
    pub(crate) fn check_new(&self) {
        assert!(!matches!(self.residual, Residual::InPlace), "a new output holds nothing to add to");
    }

    /// Checks the lengths against `channels` and the output's length.
    ///
    /// # Panics
    /// If one does not fit.
    pub(crate) fn check(&self, channels: usize, output: usize) {
        let fits = |slice: Option<&[f32]>| slice.is_none_or(|values| values.len() == channels);
        assert!(fits(self.bias), "bias: one value per output channel ({channels}) is wanted");
        assert!(fits(self.scale), "scale: one value per output channel ({channels}) is wanted");
        if let Residual::Add(values) = self.residual {
            assert_eq!(values.len(), output, "residual: the output's shape is wanted");
        }
    }
}

/// Columns of one tile; packed weights come in panels of this many output channels.
pub(crate) const COLUMNS: usize = 32;
/// Rows of the largest tile (AMX).
pub(crate) const MAX_ROWS: usize = 32;

/// A tile of results, row by row, `COLUMNS` apart.
#[repr(C, align(64))]
pub(crate) struct Tile(pub(crate) [f32; MAX_ROWS * COLUMNS]);

impl Tile {
    pub(crate) fn zeroed() -> Self {
        Self([0.0; MAX_ROWS * COLUMNS])
    }
}

/// Which way channels run in a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channels {
    /// Output channels are columns (linear layers).
    Columns,
    /// Output channels are rows (convolutions, whose columns are pixels).
    Rows,
}

/// Where a finished tile goes: an array of rows `stride` apart, starting at `offset`.
pub(crate) struct Target<'a, 'b> {
    pub(crate) out: &'a SharedOut<'b>,
    pub(crate) offset: usize,
    pub(crate) stride: usize,
    pub(crate) channels: Channels,
}

/// The part of the output that a tile covers.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) rows: usize,
    pub(crate) column: usize,
    pub(crate) columns: usize,
}

/// Asks for the cache lines that [`finish`] will write, so that they arrive while the tile is computed.
pub(crate) fn prepare_write(place: &Place, target: &Target<'_, '_>) {
    for row in place.row..place.row + place.rows {
        let at = target.offset + row * target.stride + place.column;
        target.out.prefetch(at);
        target.out.prefetch(at + 16);
    }
}

/// Finishes a tile and writes it to its place in the target.
///
/// # Safety
/// No other thread may be writing that part of the output.
pub(crate) unsafe fn finish(
    isa: Isa,
    tile: &mut Tile,
    place: Place,
    epilogue: &Epilogue<'_>,
    target: &Target<'_, '_>,
) {
    finish_tile(isa, tile, place, epilogue, target);
}

per_isa! {
    /// [`finish`], whose contract its only caller passes on.
    fn finish_tile(tile: &mut Tile, place: Place, epilogue: &Epilogue<'_>, target: &Target<'_, '_>) {
        let values = &mut tile.0[..place.rows * COLUMNS];
        if let Some(bias) = epilogue.bias {
            let mut line = [0.0; COLUMNS];
            if target.channels == Channels::Columns {
                line[..place.columns].copy_from_slice(&bias[place.column..place.column + place.columns]);
            }
            for (r, row) in values.chunks_exact_mut(COLUMNS).enumerate() {
                if target.channels == Channels::Rows {
                    line = [bias[place.row + r]; COLUMNS];
                }
                row.iter_mut().zip(&line).for_each(|(v, b)| *v += b);
            }
        }
        apply_inline::<FMA>(epilogue.activation, values);
        let mut line = [1.0; COLUMNS];
        if let (Some(scale), Channels::Columns) = (epilogue.scale, target.channels) {
            line[..place.columns].copy_from_slice(&scale[place.column..place.column + place.columns]);
        }
        for (r, row) in values.chunks_exact(COLUMNS).enumerate() {
            if let (Some(scale), Channels::Rows) = (epilogue.scale, target.channels) {
                line = [scale[place.row + r]; COLUMNS];
            }
            let at = target.offset + (place.row + r) * target.stride + place.column;
            // SAFETY: rows of a tile do not overlap, and `finish` keeps other threads out of the tile.
            let out = unsafe { target.out.part(at, place.columns) };
            if let Residual::Add(all) = epilogue.residual {
                out.copy_from_slice(&all[at..at + place.columns]);
            }
            let add = !matches!(epilogue.residual, Residual::None);
            match (<&mut [f32; COLUMNS]>::try_from(&mut *out), add, epilogue.scale.is_some()) {
                (Ok(out), false, false) => out.copy_from_slice(row),
                (Ok(out), true, _) => {
                    for ((o, v), s) in out.iter_mut().zip(row).zip(&line) {
                        *o = mul_add::<FMA>(*v, *s, *o);
                    }
                }
                (_, true, _) => {
                    for ((o, v), s) in out.iter_mut().zip(row).zip(&line) {
                        *o = mul_add::<FMA>(*v, *s, *o);
                    }
                }
                _ => out.iter_mut().zip(row).zip(&line).for_each(|((o, v), s)| *o = v * s),
            }
        }
    }
}
