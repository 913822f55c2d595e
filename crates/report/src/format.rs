//! Formats numbers for readers.

/// A fraction from 0 to 1 with three digits: `0.620`.
pub fn fraction(value: f64) -> String {
    signed(value, |size| format!("{size:.3}"))
}

/// A rank with one digit after the point, because a median rank can be a half: `6.0`, `100.5`.
pub fn rank(value: f64) -> String {
    signed(value, |size| if size < 1e9 { format!("{size:.1}") } else { scientific(size) })
}

/// A number with about three significant digits: `12,340`, `12.3`, `0.0123`, `1.2 × 10⁻⁷`. A number that is not finite
/// becomes an en dash.
pub fn number(value: f64) -> String {
    signed(value, |size| match size {
        0.0 => "0".into(),
        _ if !(1e-4..1e9).contains(&size) => scientific(size),
        _ if size >= 999.5 => count(size.round() as u64),
        _ => {
            let digits = (2 - size.log10().floor() as i32).max(0) as usize;
            format!("{size:.digits$}")
        }
    })
}

/// An integer with commas: `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The label of a tick, on an axis with a distance of `step` between ticks. All labels of an axis have the same number of
/// digits.
pub fn tick(value: f64, step: f64) -> String {
    let value = if value.abs() < step / 1e6 { 0.0 } else { value };
    signed(value, |size| {
        if size == 0.0 {
            "0".into()
        } else if !(1e-4..1e12).contains(&size) || step < 1e-5 {
            scientific(size)
        } else {
            let (divisor, suffix) = match step {
                _ if step >= 1e6 || size >= 1e7 => (1e6, "M"),
                _ if step >= 1e3 || size >= 1e5 => (1e3, "k"),
                _ => (1.0, ""),
            };
            let digits = decimals(step / divisor);
            format!("{:.digits$}{suffix}", size / divisor)
        }
    })
}

/// The number of digits after the point that are needed to distinguish multiples of `step`.
fn decimals(step: f64) -> usize {
    (0..9)
        .find(|&digits| {
            let scaled = step * 10f64.powi(digits);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        })
        .unwrap_or(9) as usize
}

/// `1.2 × 10⁻⁷`, `10⁻⁴`.
fn scientific(size: f64) -> String {
    let text = format!("{size:.1e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let raised: String = exponent.chars().map(superscript).collect();
    match mantissa.trim_end_matches(".0") {
        "1" => format!("10{raised}"),
        mantissa => format!("{mantissa} × 10{raised}"),
    }
}

fn superscript(digit: char) -> char {
    match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        _ => digit.to_digit(10).and_then(|digit| char::from_u32(0x2070 + digit)).unwrap_or(digit),
    }
}

/// Formats the absolute value with `write` and puts a minus sign (U+2212) before it if the value is negative. A value that
/// is not finite becomes an en dash.
fn signed(value: f64, write: impl Fn(f64) -> String) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let text = write(value.abs());
    let is_zero = !text.contains(|letter: char| letter.is_ascii_digit() && letter != '0');
    if value < 0.0 && !is_zero { format!("\u{2212}{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (0.123456, "0.123"),
            (0.05, "0.0500"),
            (1.5, "1.50"),
            (12.34, "12.3"),
            (123.4, "123"),
            (999.6, "1,000"),
            (1234567.0, "1,234,567"),
            (-2.5, "\u{2212}2.50"),
            (1.23e-7, "1.2 × 10⁻⁷"),
            (1e-5, "10⁻⁵"),
            (3.2e15, "3.2 × 10¹⁵"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn fractions_have_three_digits() {
        assert_eq!(fraction(0.62), "0.620");
        assert_eq!(fraction(0.0004), "0.000");
        assert_eq!(fraction(-0.0004), "0.000");
        assert_eq!(fraction(-0.25), "\u{2212}0.250");
        assert_eq!(fraction(f64::NAN), "–");
    }

    #[test]
    fn ranks_have_one_digit_after_the_point() {
        assert_eq!([1.0, 100.5, f64::NAN].map(rank), ["1.0", "100.5", "–"]);
    }

    #[test]
    fn ticks_of_one_axis_have_equal_digits() {
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|value| tick(value, 0.25)), ["0", "0.25", "0.50", "1.00"]);
        assert_eq!([0.0, 500.0, 1500.0].map(|value| tick(value, 500.0)), ["0", "500", "1500"]);
        assert_eq!([2000.0, 10000.0].map(|value| tick(value, 2000.0)), ["2k", "10k"]);
        assert_eq!([100_000.0, 102_500.0].map(|value| tick(value, 2500.0)), ["100.0k", "102.5k"]);
        assert_eq!(tick(5e-5, 1e-5), "5.0 × 10⁻⁵".replace(".0", ""));
        assert_eq!(tick(1e-17, 0.2), "0");
    }

    #[test]
    fn counts_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
