//! What a product of matrices is told: where they lie, in what to compute, how to put the result.

/// A matrix in a slice: the value at (row, column) stands at `offset + row * row_stride + column * column_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub rows: usize,
    pub columns: usize,
    pub offset: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl Shape {
    /// Row by row, without gaps.
    pub fn rows(rows: usize, columns: usize) -> Self {
        Self { rows, columns, offset: 0, row_stride: columns, column_stride: 1 }
    }

    /// The same values, rows as columns.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Whether every value lies within a slice of this length.
    pub fn fits(&self, length: usize) -> bool {
        let last = |count: usize, stride: usize| (count - 1).checked_mul(stride);
        self.rows > 0
            && self.columns > 0
            && last(self.rows, self.row_stride)
                .zip(last(self.columns, self.column_stride))
                .and_then(|(row, column)| row.checked_add(column)?.checked_add(self.offset))
                .is_some_and(|last| last < length)
    }

    /// Whether no two places of the matrix are the same place of the slice.
    pub fn is_injective(&self) -> bool {
        let (inner, outer) = match self.column_stride <= self.row_stride {
            true => ((self.columns, self.column_stride), (self.rows, self.row_stride)),
            false => ((self.rows, self.row_stride), (self.columns, self.column_stride)),
        };
        (inner.0 == 1 || inner.1 > 0) && (outer.0 == 1 || outer.1 > (inner.0 - 1) * inner.1)
    }
}

/// In what a product is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComputePrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Both sides rounded to bf16, sums in f32; products of few rows in f32.
    Bf16(Tiles),
}

/// Rows below which packing into tiles costs more than it saves.
const FEW_ROWS: usize = 16;

impl ComputePrecision {
    /// The tiles for a product of so many rows.
    pub fn tiles(self, rows: usize) -> Option<Tiles> {
        match self {
            Self::Bf16(tiles) if rows >= FEW_ROWS => Some(tiles),
            _ => None,
        }
    }
}

/// What multiplies in bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiles {
    /// Intel's matrix extensions.
    Amx,
    /// Plain loops with the same roundings: slow, for tests on every processor.
    Twin,
}

/// How a product is put into its destination.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    /// What the product is multiplied with.
    pub scale: f32,
    /// Added to what stands there, instead of replacing it.
    pub add: bool,
    /// On all cores, where it is large enough.
    pub parallel: bool,
    /// In what it is computed.
    pub products: ComputePrecision,
}
