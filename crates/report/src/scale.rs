//! Maps values to positions in a drawing, with ticks at round numbers.

use crate::format;

/// Values with a larger absolute value are not drawn, because their differences could exceed the range of f64.
const LARGEST: f64 = 1e100;

/// Whether a value can be drawn on a linear or logarithmic axis.
pub fn drawable(value: f64, log: bool) -> bool {
    value.abs() < LARGEST && (!log || value > 1e-100)
}

/// The smallest and largest drawable value.
pub fn extent(values: impl IntoIterator<Item = f64>, log: bool) -> Option<(f64, f64)> {
    values.into_iter().filter(|&value| drawable(value, log)).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

/// A tick and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

/// A linear or logarithmic map of `low..=high` to `from..=to`.
#[derive(Clone, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
    pub ticks: Vec<Tick>,
}

impl Scale {
    /// Maps `range` (widened if it is a single value) to `pixels`, with about `wanted` ticks.
    pub fn new(range: (f64, f64), pixels: (f64, f64), wanted: usize, log: bool) -> Self {
        let (low, high) = widen(range, log);
        let ticks = if log { log_ticks(low, high, wanted) } else { ticks(low, high, wanted) };
        Self { low, high, from: pixels.0, to: pixels.1, log, ticks }
    }

    /// As [`Scale::new`], with both ends of the range moved outwards to the next round number.
    pub fn rounded(range: (f64, f64), pixels: (f64, f64), wanted: usize, log: bool) -> Self {
        let (low, high) = widen(range, log);
        if log {
            return Self::new((low / 1.15, high * 1.15), pixels, wanted, true);
        }
        let step = step(high - low, wanted);
        Self::new(((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step), pixels, wanted, false)
    }

    /// The first and the last position of the scale in the drawing.
    pub fn pixels(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// The position of a drawable value, limited to the drawing.
    pub fn position(&self, value: f64) -> f64 {
        let share = if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(-0.02, 1.02) * (self.to - self.from)
    }
}

/// Returns the range, or a wider one if it is a single value.
fn widen((low, high): (f64, f64), log: bool) -> (f64, f64) {
    let tiny = low.abs().max(high.abs()) * 1e-9;
    if high - low > tiny {
        (low, high)
    } else if log {
        (low / 2.0, high * 2.0)
    } else if low == 0.0 {
        (0.0, 1.0)
    } else {
        (low - low.abs() * 0.1, high + high.abs() * 0.1)
    }
}

/// The smallest 1, 2 or 5 times a power of ten that is at least `span / wanted`.
fn step(span: f64, wanted: usize) -> f64 {
    let rough = span / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= rough * (1.0 - 1e-9)).unwrap_or(10.0);
    times * power
}

/// Ticks at multiples of a round step within `low..=high`.
fn ticks(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let step = step(high - low, wanted);
    let first = (low / step - 1e-6).ceil();
    let count = ((high / step + 1e-6).floor() - first).clamp(0.0, 100.0) as usize;
    let values = (0..=count).map(|index| (first + index as f64) * step);
    values.map(|value| Tick { value, label: format::tick(value, step) }).collect()
}

/// Ticks at powers of ten; also at 2 and 5 times powers of ten if the range covers only a few.
fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let decades = (high / low).log10();
    if decades < 0.7 {
        return ticks(low, high, wanted).into_iter().filter(|tick| tick.value > 0.0).collect();
    }
    let times: &[f64] = if decades < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let skip = (decades / (wanted + 1) as f64).ceil().max(1.0) as i32;
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let powers = (first..=last).filter(|power| power % skip == 0).map(|power| 10f64.powi(power));
    let values = powers.flat_map(|power| times.iter().map(move |times| times * power));
    let in_range = values.filter(|&value| value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9));
    in_range.map(|value| Tick { value, label: format::tick(value, value) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(labels(&Scale::new((0.0, 1.0), (0.0, 1.0), 5, false)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Scale::new((3.0, 1987.0), (0.0, 1.0), 4, false)), ["500", "1000", "1500"]);
        assert_eq!(labels(&Scale::rounded((3.0, 1987.0), (0.0, 1.0), 4, false)), ["0", "500", "1000", "1500", "2000"]);
        assert_eq!(
            labels(&Scale::rounded((-0.3, 0.31), (0.0, 1.0), 4, false)),
            ["\u{2212}0.4", "\u{2212}0.2", "0", "0.2", "0.4"]
        );
    }

    #[test]
    fn logarithmic_ticks_are_powers() {
        assert_eq!(
            labels(&Scale::new((1e-5, 1.0), (0.0, 1.0), 6, true)),
            ["10⁻⁵", "0.0001", "0.001", "0.01", "0.1", "1"]
        );
        assert_eq!(labels(&Scale::new((3.0, 60.0), (0.0, 1.0), 5, true)), ["5", "10", "20", "50"]);
        assert!(Scale::new((1e-90, 1e90), (0.0, 1.0), 5, true).ticks.len() <= 7);
    }

    #[test]
    fn unusual_ranges_have_ticks_and_finite_positions() {
        for range in
            [(0.0, 0.0), (5.0, 5.0), (-3.0, -3.0), (1e-80, 1e-80), (-9e99, 9e99), (1e9, 1e9 + 1e-3), (0.0, 1e-90)]
        {
            for scale in [Scale::new(range, (0.0, 100.0), 5, false), Scale::rounded(range, (0.0, 100.0), 5, false)] {
                assert!(!scale.ticks.is_empty() && scale.ticks.len() < 20, "{range:?} {:?}", scale.ticks);
                for value in [range.0, range.1, 0.0] {
                    assert!((-3.0..=103.0).contains(&scale.position(value)), "{range:?}");
                }
            }
        }
    }

    #[test]
    fn extent_ignores_values_that_cannot_be_drawn() {
        assert_eq!(extent([f64::NAN, 2.0, f64::INFINITY, -1.0, 1e300], false), Some((-1.0, 2.0)));
        assert_eq!(extent([0.0, -1.0, 3.0], true), Some((3.0, 3.0)));
        assert_eq!(extent([f64::NAN], false), None);
    }

    #[test]
    fn positions_cover_the_whole_drawing() {
        let scale = Scale::new((1.0, 100.0), (10.0, 30.0), 5, true);
        assert_eq!([1.0, 10.0, 100.0].map(|value| scale.position(value).round()), [10.0, 20.0, 30.0]);
        assert!(scale.position(1e6) < 31.0);
    }
}
