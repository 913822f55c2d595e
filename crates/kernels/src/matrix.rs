//! Parameters of a matrix product: shape and strides of the matrices, precision, and how the result is written.

/// Shape and strides of a matrix in a slice: the value at (row, column) is at index
/// `offset + row * row_stride + column * column_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub rows: usize,
    pub columns: usize,
    pub offset: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl Shape {
    /// Contiguous, row by row.
    pub fn rows(rows: usize, columns: usize) -> Self {
        Self { rows, columns, offset: 0, row_stride: columns, column_stride: 1 }
    }

    /// The transposed matrix: the same values, with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Whether every value is inside a slice of this length.
    pub fn fits(&self, length: usize) -> bool {
        let last = |count: usize, stride: usize| (count - 1).checked_mul(stride);
        self.rows > 0
            && self.columns > 0
            && last(self.rows, self.row_stride)
                .zip(last(self.columns, self.column_stride))
                .and_then(|(row, column)| row.checked_add(column)?.checked_add(self.offset))
                .is_some_and(|last| last < length)
    }

    /// Whether every element of the matrix has its own index in the slice.
    pub fn is_injective(&self) -> bool {
        let (inner, outer) = match self.column_stride <= self.row_stride {
            true => ((self.columns, self.column_stride), (self.rows, self.row_stride)),
            false => ((self.rows, self.row_stride), (self.columns, self.column_stride)),
        };
        (inner.0 == 1 || inner.1 > 0) && (outer.0 == 1 || outer.1 > (inner.0 - 1) * inner.1)
    }
}

/// The precision in which a matrix product is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComputePrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Both matrices are rounded to bf16 and sums are f32. Products with few rows are computed in f32.
    Bf16(Tiles),
}

/// Products with fewer rows than this are computed in f32, because packing them into tiles costs more time than it saves.
const MIN_TILE_ROWS: usize = 16;

impl ComputePrecision {
    /// The kind of tiles for a product with this many rows; `None` for f32.
    pub fn tiles(self, rows: usize) -> Option<Tiles> {
        match self {
            Self::Bf16(tiles) if rows >= MIN_TILE_ROWS => Some(tiles),
            _ => None,
        }
    }
}

/// The implementation of products in bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiles {
    /// Intel's Advanced Matrix Extensions (AMX).
    Amx,
    /// The reference implementation: plain loops with the same rounding. Slow; for tests on every processor.
    Portable,
}

/// How a product is computed and written to its destination.
#[derive(Clone, Copy, Debug)]
pub struct ProductOptions {
    /// Factor for the product.
    pub scale: f32,
    /// Whether the product is added to the destination; otherwise it replaces the old values.
    pub add: bool,
    /// Whether to use all cores, where the product is large enough.
    pub parallel: bool,
    /// Precision of the product.
    pub precision: ComputePrecision,
}
