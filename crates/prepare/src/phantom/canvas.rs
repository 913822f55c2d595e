//! Draws radiographs: shapes with soft borders add a value to the shadow, or replace it by a value.
//!
//! Shapes have anatomical coordinates: the unit square, with x to the right of the picture and y down. A [`Pose`] maps them to
//! pixels, so that the same shapes can be drawn with every size, rotation and shift.

use ptu_random::Stream;

/// A point in anatomical coordinates.
pub type Point = [f32; 2];

/// A filled area. Distances and radii are in anatomical units.
#[derive(Clone, Debug)]
pub enum Shape {
    /// An ellipse turned by `angle` radians (clockwise on the picture).
    Ellipse { centre: Point, radii: [f32; 2], angle: f32 },
    /// A rod with round ends; its radius changes from the first radius to the second one.
    Rod { from: Point, to: Point, radii: [f32; 2] },
    /// A rectangle of the given half sides, turned by `angle`.
    Plate { centre: Point, half: [f32; 2], angle: f32 },
    /// The area inside a closed line.
    Polygon(Vec<Point>),
    /// A line of the given half width.
    Line { points: Vec<Point>, radius: f32 },
}

/// What a shape does to the shadow under it.
#[derive(Clone, Copy, Debug)]
pub enum Ink {
    /// Adds a value (as layers of tissue do).
    Add(f32),
    /// Replaces the shadow by a value (air and metal hide what is behind them).
    Set(f32),
}

/// How the anatomy is placed on the picture.
#[derive(Clone, Copy, Debug)]
pub struct Pose {
    /// Rotation about the centre in radians.
    pub angle: f32,
    /// Scale factor.
    pub scale: f32,
    /// Shift as a fraction of the side of the picture.
    pub shift: Point,
    /// Whether left and right are exchanged; this is done before rotation, scale and shift.
    pub mirror: bool,
}

/// A rectangle of pixels: columns and rows.
type Area = [std::ops::Range<usize>; 2];

/// The shadow to which shapes are added: 0 is air (black), 1 is metal (white).
#[derive(Clone, Debug)]
pub struct Canvas {
    side: usize,
    pose: Pose,
    values: Vec<f32>,
}

impl Shape {
    /// A disc.
    pub fn disc(centre: Point, radius: f32) -> Self {
        Self::Ellipse { centre, radii: [radius; 2], angle: 0.0 }
    }

    /// An upright ellipse.
    pub fn ellipse(centre: Point, radii: [f32; 2]) -> Self {
        Self::Ellipse { centre, radii, angle: 0.0 }
    }

    /// A rod with the same radius at both ends.
    pub fn rod(from: Point, to: Point, radius: f32) -> Self {
        Self::Rod { from, to, radii: [radius; 2] }
    }

    /// A smooth closed outline through the points.
    pub fn blob(points: &[Point]) -> Self {
        Self::Polygon(smooth(points, true))
    }

    /// A smooth line through the points.
    pub fn curve(points: &[Point], radius: f32) -> Self {
        Self::Line { points: smooth(points, false), radius }
    }

    /// The same shape with a function applied to every point; the radii do not change.
    pub fn moved(self, place: impl Fn(Point) -> Point) -> Self {
        match self {
            Self::Polygon(points) => Self::Polygon(points.into_iter().map(place).collect()),
            Self::Line { points, radius } => Self::Line { points: points.into_iter().map(place).collect(), radius },
            Self::Rod { from, to, radii } => Self::Rod { from: place(from), to: place(to), radii },
            Self::Ellipse { centre, radii, angle } => Self::Ellipse { centre: place(centre), radii, angle },
            Self::Plate { centre, half, angle } => Self::Plate { centre: place(centre), half, angle },
        }
    }

    /// The signed distance of a point to the border of the shape, negative inside; infinite for polygons and lines. For ellipses,
    /// it is approximate. `spin` is the rotation from the axes of the picture to the axes of the shape.
    fn distance(&self, at: Point, spin: Spin) -> f32 {
        match self {
            Self::Ellipse { centre, radii, .. } => {
                let [x, y] = spin.turn(minus(at, *centre));
                let near = length([x / radii[0], y / radii[1]]);
                let slope = length([x / (radii[0] * radii[0]), y / (radii[1] * radii[1])]);
                if slope < 1e-6 { -radii[0].min(radii[1]) } else { near * (near - 1.0) / slope }
            }
            Self::Rod { from, to, radii } => {
                let (share, squared) = segment(at, *from, *to);
                squared.sqrt() - (radii[0] + (radii[1] - radii[0]) * share)
            }
            Self::Plate { centre, half, .. } => {
                let [x, y] = spin.turn(minus(at, *centre));
                let (dx, dy) = (x.abs() - half[0], y.abs() - half[1]);
                length([dx.max(0.0), dy.max(0.0)]) + dx.max(dy).min(0.0)
            }
            Self::Polygon(_) | Self::Line { .. } => f32::INFINITY,
        }
    }

    /// Two corners of a box around the shape: the smallest and the largest x and y.
    fn bounds(&self) -> [Point; 2] {
        let (points, margin): (&[Point], f32) = match self {
            Self::Ellipse { centre, radii, .. } => (std::slice::from_ref(centre), radii[0].max(radii[1])),
            Self::Plate { centre, half, .. } => (std::slice::from_ref(centre), length(*half)),
            Self::Rod { from, to, radii } => (&[*from, *to], radii[0].max(radii[1])),
            Self::Polygon(points) => (points, 0.0),
            Self::Line { points, radius } => (points, *radius),
        };
        let (mut least, mut most) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for point in points {
            for axis in 0..2 {
                least[axis] = least[axis].min(point[axis] - margin);
                most[axis] = most[axis].max(point[axis] + margin);
            }
        }
        [least, most]
    }
}

impl Pose {
    /// Neither rotated, scaled, shifted nor mirrored.
    pub const STRAIGHT: Self = Self { angle: 0.0, scale: 1.0, shift: [0.0; 2], mirror: false };

    /// Maps a point of the anatomy to the picture (both are unit squares).
    fn to_picture(self, [x, y]: Point) -> Point {
        let x = if self.mirror { 1.0 - x } else { x };
        let [x, y] = turn([(x - 0.5) * self.scale, (y - 0.5) * self.scale], self.angle);
        [x + 0.5 + self.shift[0], y + 0.5 + self.shift[1]]
    }

    /// Maps a point of the picture to the anatomy; `back` is the rotation by minus the angle of the pose.
    fn to_anatomy(self, [x, y]: Point, back: Spin) -> Point {
        let [x, y] = back.turn([x - 0.5 - self.shift[0], y - 0.5 - self.shift[1]]);
        let (x, y) = (x / self.scale + 0.5, y / self.scale + 0.5);
        [if self.mirror { 1.0 - x } else { x }, y]
    }
}

impl Canvas {
    /// A canvas of `side x side` pixels filled with `value`.
    pub fn new(side: usize, pose: Pose, value: f32) -> Self {
        Self { side, pose, values: vec![value; side * side] }
    }

    /// Sets the pose of the shapes that are drawn from now on.
    pub fn set_pose(&mut self, pose: Pose) {
        self.pose = pose;
    }

    /// Adds a layer of tissue; its border is soft over `edge` units, at least one pixel.
    pub fn add(&mut self, shape: &Shape, amount: f32, edge: f32) {
        self.paint(shape, Ink::Add(amount), edge, None);
    }

    /// Replaces the shadow under a shape by a value.
    pub fn set(&mut self, shape: &Shape, value: f32, edge: f32) {
        self.paint(shape, Ink::Set(value), edge, None);
    }

    /// Draws a shape, or only the part of it that is within another shape.
    pub fn paint(&mut self, shape: &Shape, ink: Ink, edge: f32, within: Option<&Shape>) {
        let pixel = 1.0 / (self.side as f32 * self.pose.scale);
        let edge = edge.max(pixel);
        let area = self.covered(shape.bounds(), edge);
        let mut cover = self.cover(shape, edge, &area);
        if let Some(within) = within {
            let limit = self.cover(within, pixel, &area);
            cover.iter_mut().zip(limit).for_each(|(cover, limit)| *cover *= limit);
        }
        let [columns, rows] = area;
        for (line, row) in cover.chunks(columns.len().max(1)).zip(rows) {
            let values = &mut self.values[row * self.side..][columns.clone()];
            for (value, cover) in values.iter_mut().zip(line) {
                match ink {
                    Ink::Add(amount) => *value += amount * cover,
                    Ink::Set(goal) => *value += (goal - *value) * cover,
                }
            }
        }
    }

    /// How much of each pixel of an area a shape covers, row by row.
    fn cover(&self, shape: &Shape, edge: f32, area: &Area) -> Vec<f32> {
        let mut distances = vec![f32::INFINITY; area[0].len() * area[1].len()];
        match shape {
            Shape::Line { points, radius } => {
                points.windows(2).for_each(|ends| self.near([ends[0], ends[1]], radius + edge, area, &mut distances));
                distances.iter_mut().for_each(|distance| *distance = distance.sqrt() - radius);
            }
            Shape::Polygon(points) => {
                let next = points.iter().cycle().skip(1);
                points.iter().zip(next).for_each(|(from, to)| self.near([*from, *to], edge, area, &mut distances));
                let inside = self.inside(points, area);
                let signed = |(distance, inside): (&mut f32, bool)| {
                    *distance = if inside { -distance.sqrt() } else { distance.sqrt() };
                };
                distances.iter_mut().zip(inside).for_each(signed);
            }
            Shape::Ellipse { angle, .. } | Shape::Plate { angle, .. } => {
                let spin = Spin::new(-angle);
                self.each(area, area, &mut distances, |at, distance| *distance = shape.distance(at, spin));
            }
            Shape::Rod { .. } => {
                let spin = Spin::new(0.0);
                self.each(area, area, &mut distances, |at, distance| *distance = shape.distance(at, spin));
            }
        }
        distances.iter_mut().for_each(|distance| *distance = (0.5 - *distance / edge).clamp(0.0, 1.0));
        distances
    }

    /// Replaces the squared distances of an area by those from a segment where these are smaller, for all pixels within `reach`.
    fn near(&self, [from, to]: [Point; 2], reach: f32, area: &Area, squared: &mut [f32]) {
        let bounds = [[from[0].min(to[0]), from[1].min(to[1])], [from[0].max(to[0]), from[1].max(to[1])]];
        let reached = self.covered(bounds, reach);
        let part = [0, 1].map(|axis| reached[axis].start.max(area[axis].start)..reached[axis].end.min(area[axis].end));
        self.each(area, &part, squared, |at, squared| *squared = squared.min(segment(at, from, to).1));
    }

    /// Calls a function with the position and the value of each pixel in a part of an area.
    fn each(&self, area: &Area, part: &Area, values: &mut [f32], mut change: impl FnMut(Point, &mut f32)) {
        let unit = 1.0 / self.side as f32;
        let back = Spin::new(-self.pose.angle);
        let place = |column: usize, row: usize| {
            self.pose.to_anatomy([(column as f32 + 0.5) * unit, (row as f32 + 0.5) * unit], back)
        };
        // The pose is an affine map, so a step of one pixel to the right is the same vector everywhere.
        let step = minus(place(1, 0), place(0, 0));
        for row in part[1].clone() {
            let (first, start) = (place(0, row), (row - area[1].start) * area[0].len());
            for column in part[0].clone() {
                let at = [first[0] + step[0] * column as f32, first[1] + step[1] * column as f32];
                change(at, &mut values[start + column - area[0].start]);
            }
        }
    }

    /// For each pixel of an area, row by row, whether its centre is inside a closed line.
    fn inside(&self, points: &[Point], area: &Area) -> Vec<bool> {
        let pixels: Vec<Point> =
            points.iter().map(|point| self.pose.to_picture(*point).map(|part| part * self.side as f32)).collect();
        let mut inside = Vec::with_capacity(area[0].len() * area[1].len());
        let mut crossings = vec![];
        for row in area[1].clone() {
            let y = row as f32 + 0.5;
            crossings.clear();
            for (from, to) in pixels.iter().zip(pixels.iter().cycle().skip(1)) {
                if (from[1] > y) != (to[1] > y) {
                    crossings.push(from[0] + (y - from[1]) / (to[1] - from[1]) * (to[0] - from[0]));
                }
            }
            crossings.sort_unstable_by(f32::total_cmp);
            let before = |x: f32| crossings.partition_point(|crossing| *crossing < x);
            inside.extend(area[0].clone().map(|column| before(column as f32 + 0.5) % 2 == 1));
        }
        inside
    }

    /// The pixels that a box in anatomical coordinates can touch.
    fn covered(&self, [least, most]: [Point; 2], edge: f32) -> Area {
        let corners =
            [least, most, [least[0], most[1]], [most[0], least[1]]].map(|corner| self.pose.to_picture(corner));
        let margin = edge * self.pose.scale;
        [0, 1].map(|axis| {
            let low = corners.iter().fold(f32::INFINITY, |low, corner| low.min(corner[axis])) - margin;
            let high = corners.iter().fold(f32::NEG_INFINITY, |high, corner| high.max(corner[axis])) + margin;
            // The conversion to an integer saturates, so positions outside the picture become positions on its border.
            let pixel = |value: f32| ((value * self.side as f32) as usize).min(self.side);
            pixel(low)..(pixel(high) + 1).min(self.side)
        })
    }

    /// Converts the shadow to grey levels, with a random exposure, uneven light and film grain.
    pub fn develop(self, stream: &mut Stream) -> Vec<u8> {
        let (gamma, gain) = (stream.between(0.85, 1.2) as f32, stream.between(0.88, 1.06) as f32);
        let (fog, grain) = (stream.between(0.0, 0.05) as f32, stream.between(0.012, 0.03) as f32);
        let field = Field::draw(stream, 0.035);
        let unit = 1.0 / self.side as f32;
        let grey = self.values.iter().enumerate().map(|(place, value)| {
            let (x, y) = ((place % self.side) as f32 * unit, (place / self.side) as f32 * unit);
            let light = fog + gain * value.clamp(0.0, 1.0).powf(gamma) + field.at(x, y);
            // The sum of four random bytes is nearly normally distributed (standard deviation 147.8) and needs only one
            // random word.
            let bytes: i32 = stream.next_u32().to_le_bytes().into_iter().map(i32::from).sum();
            ((light + grain * (bytes - 510) as f32 / 147.8) * 255.0).round().clamp(0.0, 255.0) as u8
        });
        grey.collect()
    }
}

/// Smooth uneven light: random values on a coarse grid, interpolated between the grid points.
struct Field {
    values: [[f32; 6]; 6],
}

impl Field {
    /// Samples the values from `-amount` to `amount`.
    fn draw(stream: &mut Stream, amount: f64) -> Self {
        let mut values = [[0.0; 6]; 6];
        values.iter_mut().flatten().for_each(|value| *value = stream.between(-amount, amount) as f32);
        Self { values }
    }

    /// The value at a point of the unit square.
    fn at(&self, x: f32, y: f32) -> f32 {
        let cell = |value: f32| (((value * 5.0) as usize).min(4), value * 5.0 - ((value * 5.0) as usize).min(4) as f32);
        let ((column, right), (row, down)) = (cell(x), cell(y));
        let across = |row: usize| self.values[row][column] * (1.0 - right) + self.values[row][column + 1] * right;
        across(row) * (1.0 - down) + across(row + 1) * down
    }
}

/// A rotation with its sine and cosine, which are computed once.
#[derive(Clone, Copy, Debug)]
struct Spin {
    sin: f32,
    cos: f32,
}

impl Spin {
    fn new(angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { sin, cos }
    }

    fn turn(self, [x, y]: Point) -> Point {
        [x * self.cos - y * self.sin, x * self.sin + y * self.cos]
    }
}

/// Rotation of a vector by an angle in radians.
pub fn turn(vector: Point, angle: f32) -> Point {
    Spin::new(angle).turn(vector)
}

/// The length of a vector. This is much faster than `hypot`, which also avoids overflow; that is not needed here.
pub fn length([x, y]: Point) -> f32 {
    (x * x + y * y).sqrt()
}

fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

/// The position of the nearest point on a segment (0 to 1), and its squared distance.
fn segment(at: Point, from: Point, to: Point) -> (f32, f32) {
    let (along, offset) = (minus(to, from), minus(at, from));
    let dot = |a: Point, b: Point| a[0] * b[0] + a[1] * b[1];
    // A segment of length zero has share 0; a NaN would make the picture unusable.
    let share = (dot(offset, along) / dot(along, along).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
    let rest = [offset[0] - along[0] * share, offset[1] - along[1] * share];
    (share, dot(rest, rest))
}

/// A Catmull-Rom curve through the points, with four segments between neighbouring points.
fn smooth(points: &[Point], closed: bool) -> Vec<Point> {
    let count = points.len();
    let point = |index: isize| {
        let place = if closed { index.rem_euclid(count as isize) } else { index.clamp(0, count as isize - 1) };
        points[place as usize]
    };
    let spans = if closed { count } else { count - 1 };
    let mut line = Vec::with_capacity(spans * 4 + 1);
    for span in 0..spans as isize {
        let [a, b, c, d] = [-1, 0, 1, 2].map(|step| point(span + step));
        line.extend([0.0f32, 0.25, 0.5, 0.75].map(|t| {
            [0, 1].map(|axis| {
                let (a, b, c, d) = (a[axis], b[axis], c[axis], d[axis]);
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            })
        }));
    }
    if !closed {
        line.push(points[count - 1]);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    #[test]
    fn areas_are_those_of_geometry() {
        let square = [[0.2, 0.2], [0.7, 0.2], [0.7, 0.7], [0.2, 0.7]].to_vec();
        let ellipse = |angle| Shape::Ellipse { centre: [0.5, 0.5], radii: [0.3, 0.1], angle };
        let cases = [
            (Shape::disc([0.5, 0.5], 0.25), 0.19635),
            (ellipse(0.0), 0.09425),
            (ellipse(1.0), 0.09425),
            (Shape::rod([0.3, 0.5], [0.7, 0.5], 0.1), 0.11142),
            (Shape::Plate { centre: [0.5, 0.5], half: [0.2, 0.1], angle: 0.5 }, 0.08),
            (Shape::Polygon(square), 0.25),
            (Shape::Line { points: vec![[0.3, 0.5], [0.5, 0.5], [0.7, 0.5]], radius: 0.1 }, 0.11142),
        ];
        for (shape, area) in cases {
            let mut canvas = Canvas::new(200, Pose::STRAIGHT, 0.0);
            canvas.add(&shape, 1.0, 0.0);
            let painted = canvas.values.iter().sum::<f32>() / 40_000.0;
            assert!((painted - area).abs() < 0.0015, "{shape:?}: {painted} instead of {area}");
        }
    }

    #[test]
    fn a_pose_is_undone_by_its_inverse() {
        let pose = Pose { angle: 0.3, scale: 1.2, shift: [0.1, -0.05], mirror: true };
        let [x, y] = pose.to_anatomy(pose.to_picture([0.2, 0.7]), Spin::new(-0.3));
        assert!((x - 0.2).abs() < 1e-6 && (y - 0.7).abs() < 1e-6);
    }

    #[test]
    fn a_posed_shape_keeps_its_area_and_off_picture_is_cut() {
        let pose = Pose { angle: 0.7, scale: 1.1, shift: [0.02, 0.03], mirror: true };
        let mut canvas = Canvas::new(100, pose, 0.0);
        canvas.set(&Shape::ellipse([0.45, 0.5], [0.2, 0.1]), 1.0, 0.0);
        let painted = canvas.values.iter().sum::<f32>() / 10_000.0;
        assert!((painted - 0.06283 * 1.21).abs() < 0.002, "{painted}");
        let before = canvas.values.clone();
        canvas.set(&Shape::disc([9.0, -9.0], 0.5), 1.0, 0.1);
        assert_eq!(canvas.values, before);
    }

    #[test]
    fn within_limits_the_paint() {
        let mut canvas = Canvas::new(64, Pose::STRAIGHT, 0.5);
        let half = Shape::Plate { centre: [0.25, 0.5], half: [0.25, 0.5], angle: 0.0 };
        canvas.paint(&Shape::disc([0.5, 0.5], 0.3), Ink::Set(0.0), 0.0, Some(&half));
        assert_eq!((canvas.values[32 * 64 + 28], canvas.values[32 * 64 + 36]), (0.0, 0.5));
    }

    #[test]
    fn film_of_one_shade_has_grain_but_keeps_its_level() {
        let grey = Canvas::new(64, Pose::STRAIGHT, 0.5).develop(&mut Key::new(1).stream(Place::Phantom, 0));
        let mean = grey.iter().map(|level| f64::from(*level)).sum::<f64>() / 4096.0;
        assert!((90.0..160.0).contains(&mean), "{mean}");
        assert!(grey.iter().any(|level| f64::from(*level) > mean + 4.0));
    }
}
