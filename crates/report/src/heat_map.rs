//! A picture with values drawn over it, and the bar that says what the colours mean.

/// Shortest height of the drawn picture in pixels; smaller ones are enlarged by a whole factor.
const LEAST_HEIGHT: usize = 320;
/// Width of the space between picture and bar, in pixels.
const GAP: usize = 12;
/// Width of the bar.
const BAR: usize = 16;
/// Width of the numbers beside it.
const NUMBERS: usize = 96;
/// How much of a colour covers the picture where the value is largest.
const STRONGEST: f32 = 0.7;
/// The colour of the largest value.
const POSITIVE: [f32; 3] = [230.0, 60.0, 20.0];
/// The colour of the most negative one.
const NEGATIVE: [f32; 3] = [40.0, 110.0, 235.0];
/// The colours behind the bar and of its numbers: the picture is the same on light and on dark pages.
const GROUND: u8 = 245;
const NUMBER: [u8; 4] = [60, 60, 60, 255];
/// Height of a digit in points.
const HIGH: usize = 7;
/// Its width.
const WIDE: usize = 5;
/// Pixels a point.
const POINT: usize = 2;

/// Values on a grid over a grey picture.
#[derive(Clone, Copy, Debug)]
pub struct HeatMap<'a> {
    /// Grey levels, row by row.
    pub grey: &'a [u8],
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Values, row by row; they cover the whole picture.
    pub values: &'a [f32],
    /// Columns and rows of the values.
    pub grid: [usize; 2],
    /// The value without colour: 0, or, where no value is below 0, another one from which the colours begin.
    pub plain: f32,
}

impl HeatMap<'_> {
    /// The largest distance of a value from the one without colour: the strongest colour.
    fn most(&self) -> f32 {
        self.values.iter().fold(0.0f32, |most, value| most.max((value - self.plain).abs()))
    }

    /// The value at a place of the picture, `x` and `y` in [0, 1], interpolated between the cells.
    fn at(&self, x: f32, y: f32) -> f32 {
        let [columns, rows] = self.grid;
        let place = |share: f32, count: usize| (share * count as f32 - 0.5).clamp(0.0, count as f32 - 1.0);
        let (x, y) = (place(x, columns), place(y, rows));
        let value = |column: usize, row: usize| self.values[row.min(rows - 1) * columns + column.min(columns - 1)];
        let (column, row) = (x as usize, y as usize);
        let (right, down) = (x - column as f32, y - row as f32);
        let above = value(column, row) * (1.0 - right) + value(column + 1, row) * right;
        let below = value(column, row + 1) * (1.0 - right) + value(column + 1, row + 1) * right;
        above * (1.0 - down) + below * down
    }

    /// The picture, enlarged by a whole factor, with the values over it: red, green, blue and alpha of each pixel. Red is above 0, blue
    /// below 0.
    ///
    /// # Panics
    /// If there are not as many levels or values as the sizes say, or none.
    pub fn pixels(&self, factor: usize) -> Vec<u8> {
        let ([width, height], [columns, rows]) = (self.size, self.grid);
        assert!(self.grey.len() == width * height && width * height > 0, "the levels fit the size");
        assert!(self.values.len() == columns * rows && columns * rows > 0, "the values fit the grid");
        let ([w, h], most) = ([width * factor, height * factor], self.most());
        let share = |value: f32| if most > 0.0 { (value - self.plain) / most } else { 0.0 };
        let places = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
        let pixel = |(x, y): (usize, usize)| {
            let level = f32::from(self.grey[y / factor * width + x / factor]);
            let value = self.at((x as f32 + 0.5) / w as f32, (y as f32 + 0.5) / h as f32);
            mixed([level; 3], share(value))
        };
        places.flat_map(pixel).collect()
    }

    /// The picture with the values over it and a colour bar beside it, as a PNG file.
    ///
    /// # Panics
    /// As [`Self::pixels`].
    pub fn png(&self) -> Vec<u8> {
        let factor = LEAST_HEIGHT.div_ceil(self.size[1].max(1)).max(1);
        let ([w, h], most) = (self.size.map(|side| side * factor), self.most());
        let mut canvas = Canvas::new(w + GAP + BAR + NUMBERS, h);
        for (place, pixel) in self.pixels(factor).chunks_exact(4).enumerate() {
            canvas.set(place % w, place / w, [pixel[0], pixel[1], pixel[2], pixel[3]]);
        }
        let lowest = if self.values.iter().any(|value| *value < self.plain) { -1.0 } else { 0.0 };
        for y in 0..h {
            let value = 1.0 - (1.0 - lowest) * y as f32 / (h - 1).max(1) as f32;
            (0..BAR).for_each(|x| canvas.set(w + GAP + x, y, mixed([160.0; 3], value)));
        }
        let left = w + GAP + BAR + 4;
        canvas.number(left, 0, self.plain + most);
        canvas.number(left, h - HIGH * POINT, self.plain + most * lowest);
        if lowest < 0.0 {
            canvas.number(left, (h - HIGH * POINT) / 2, self.plain);
        }
        canvas.png()
    }
}

/// A colour, covered by that of a value in [-1, 1].
fn mixed(under: [f32; 3], value: f32) -> [u8; 4] {
    let over = if value < 0.0 { NEGATIVE } else { POSITIVE };
    let cover = STRONGEST * value.abs().min(1.0);
    let channel = |place: usize| (under[place] * (1.0 - cover) + over[place] * cover) as u8;
    [channel(0), channel(1), channel(2), 255]
}

/// A picture that is being drawn, of one light colour at first.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: [GROUND, GROUND, GROUND, 255].repeat(width * height) }
    }

    fn set(&mut self, x: usize, y: usize, colour: [u8; 4]) {
        if x < self.width && y < self.height {
            self.pixels[(y * self.width + x) * 4..][..4].copy_from_slice(&colour);
        }
    }

    /// A number with two significant digits.
    fn number(&mut self, left: usize, top: usize, value: f32) {
        let text = if value == 0.0 { "0".into() } else { format!("{value:.1e}") };
        for (place, glyph) in text.chars().map(glyph).enumerate() {
            let left = left + place * (WIDE + 1) * POINT;
            for (row, column) in (0..HIGH).flat_map(|row| (0..WIDE).map(move |column| (row, column))) {
                if glyph[row] >> (WIDE - 1 - column) & 1 == 0 {
                    continue;
                }
                for (down, right) in (0..POINT).flat_map(|down| (0..POINT).map(move |right| (down, right))) {
                    self.set(left + column * POINT + right, top + row * POINT + down, NUMBER);
                }
            }
        }
    }

    fn png(&self) -> Vec<u8> {
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.pixels));
        written.expect("a picture in memory can be written");
        bytes
    }
}

/// The points of a character, row by row; five bits each.
fn glyph(character: char) -> [u8; HIGH] {
    match character {
        '0' => [14, 17, 19, 21, 25, 17, 14],
        '1' => [4, 12, 4, 4, 4, 4, 14],
        '2' => [14, 17, 1, 2, 4, 8, 31],
        '3' => [31, 2, 4, 2, 1, 17, 14],
        '4' => [2, 6, 10, 18, 31, 2, 2],
        '5' => [31, 16, 30, 1, 1, 17, 14],
        '6' => [6, 8, 16, 30, 17, 17, 14],
        '7' => [31, 1, 2, 4, 8, 8, 8],
        '8' => [14, 17, 17, 14, 17, 17, 14],
        '9' => [14, 17, 17, 15, 1, 2, 12],
        '.' => [0, 0, 0, 0, 0, 12, 12],
        '-' => [0, 0, 0, 31, 0, 0, 0],
        'e' => [0, 0, 14, 17, 31, 16, 14],
        _ => [0; HIGH],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(png: &[u8]) -> (usize, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width as usize, pixels)
    }

    #[test]
    fn red_is_above_zero_and_blue_below() {
        let map = HeatMap { grey: &[100; 4], size: [2, 2], values: &[1.0, -1.0, 0.0, 0.0], grid: [2, 2], plain: 0.0 };
        let (width, pixels) = decoded(&map.png());
        assert_eq!(width, 2 * 160 + GAP + BAR + NUMBERS);
        let at = |x: usize, y: usize| &pixels[(y * width + x) * 4..][..4];
        assert_eq!(at(0, 0), [191, 72, 44, 255]);
        assert!(at(319, 0)[2] > 190 && at(319, 0)[0] < 70, "{:?}", at(319, 0));
        assert_eq!(at(0, 319), [100, 100, 100, 255]);
        // The bar begins with the colour of the largest value; between picture and bar there is nothing.
        assert!(at(320 + GAP, 0)[0] > 200 && at(320 + GAP / 2, 0)[0] == GROUND);
    }

    #[test]
    fn values_of_zero_leave_the_picture_as_it_is() {
        let map = HeatMap { grey: &[7; 6], size: [3, 2], values: &[0.0], grid: [1, 1], plain: 0.0 };
        let (_, pixels) = decoded(&map.png());
        assert_eq!(pixels[..4], [7, 7, 7, 255]);
        // Colours may begin at another value.
        let map = HeatMap { grey: &[7; 2], size: [2, 1], values: &[3.0, 4.0], grid: [2, 1], plain: 3.0 };
        let (_, pixels) = decoded(&map.png());
        assert_eq!(pixels[..4], [7, 7, 7, 255]);
    }
}
