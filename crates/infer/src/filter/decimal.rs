//! Decimal numbers that are compared digit by digit. No number is rounded, however long it is.

use std::cmp::Ordering;

/// A decimal number: `0.digits` times ten to the power of `exponent`. The digits neither begin nor end with 0; zero has no
/// digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    exponent: i64,
    digits: String,
}

impl Decimal {
    /// Parses a number such as `-12`, `0.50`, `.5` or `1e-3`; spaces around it are allowed. `None` for anything else: words,
    /// dates, `inf`, `NaN`, numbers with commas.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, power) = match rest.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, parse_exponent(power)?),
            None => (rest, 0),
        };
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if (before.is_empty() && after.is_empty()) || !is_digits(before) || !is_digits(after) {
            return None;
        }
        let all = [before, after].concat();
        let digits = all.trim_start_matches('0');
        let zeros = all.len() - digits.len();
        let exponent = power.saturating_add(before.len() as i64).saturating_sub(zeros as i64);
        let digits = digits.trim_end_matches('0').to_string();
        match digits.is_empty() {
            true => Some(Self { negative: false, exponent: 0, digits }),
            false => Some(Self { negative, exponent, digits }),
        }
    }

    /// The number with the opposite sign.
    pub fn negated(self) -> Self {
        Self { negative: !self.negative && !self.digits.is_empty(), ..self }
    }

    /// The sign: -1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }
}

/// Parses the exponent of a power of ten. An exponent beyond 64 bits becomes the smallest or largest 64-bit number.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !is_digits(digits) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // The digits have no zeros at the end, so they can be compared like words in a dictionary.
        let size = || (self.exponent, &self.digits).cmp(&(other.exponent, &other.digits));
        self.sign().cmp(&other.sign()).then_with(|| if self.negative { size().reverse() } else { size() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        // The rows are in ascending order. The numbers of a row are equal.
        let rows: [&[&str]; 11] = [
            &["-1e400", "-10e399"],
            &["-2", "-2.0", "-0.2e1"],
            &["-1.9999999999999999999999"],
            &["0", "-0", "0.000", ".0", "0e99999999999999999999", "-.0e5"],
            &["1e-400"],
            &["0.1", ".1", "1e-1", "00.100"],
            &["0.1000000000000000055511151231257827"],
            &["7", "007", "07.0", "7.", "+7", " 7 ", "0.7e+1"],
            &["9007199254740992", "9007199254740992.0"],
            &["9007199254740993", "9.007199254740993e15"],
            &["1e99999999999999999999", "2e99999999999999999999"],
        ];
        let read = |text: &str| Decimal::parse(text).unwrap_or_else(|| panic!("{text}"));
        for (place, row) in rows.iter().enumerate() {
            for one in *row {
                // Numbers of the last row are beyond any exponent and are not equal to each other.
                let equal = row.iter().filter(|_| place < rows.len() - 1);
                equal.for_each(|other| assert_eq!(read(one).cmp(&read(other)), Ordering::Equal, "{one} {other}"));
                let later = rows[place + 1..].iter().flat_map(|row| row.iter());
                later.for_each(|other| {
                    assert_eq!(read(one).cmp(&read(other)), Ordering::Less, "{one} {other}");
                    assert_eq!(read(other).cmp(&read(one)), Ordering::Greater, "{one} {other}");
                });
            }
        }
        assert_eq!(read("-3").negated(), read("3"));
        assert_eq!(read("0").negated(), read("0"));
    }

    #[test]
    fn other_texts_are_not_parsed() {
        for text in [
            "", " ", "-", ".", "e5", "1e", "1e+", "1e1.5", "0x1F", "1_000", "1,5", "072Y", "--1", "inf", "NaN",
            "\u{664}", "1 2",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
