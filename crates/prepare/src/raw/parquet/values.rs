//! Converts the values of a column to texts, in the same form in which other files write them, so that equal ids stay equal.

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::as_duration;
use arrow_array::types::{
    ArrowTemporalType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, downcast_integer_array, downcast_temporal_array,
};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, TimeUnit};

use crate::raw::row::Cell;

/// The absolute values for which floats are written without an exponent, as in JavaScript.
const PLAIN_NOTATION: std::ops::Range<f64> = 1e-6..1e21;

/// The number of digits that is enough to distinguish each 16-bit float from its neighbours.
const FLOAT16_DIGITS: usize = 5;

/// Whether values of this type, or lists of them, can be written as texts.
pub fn is_text(kind: &DataType) -> bool {
    is_scalar(kind) || item_type(kind).is_some_and(is_scalar)
}

/// Whether a type is a list of numbers (a vector, a box, audio samples), which is not useful as text.
pub fn is_vector(kind: &DataType) -> bool {
    item_type(kind).is_some_and(|item| item.is_numeric())
}

/// Whether single values of this type can be written as texts.
fn is_scalar(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_scalar(values),
        DataType::Null | DataType::Boolean | DataType::Duration(_) => true,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => {
            true
        }
        other => other.is_numeric() || other.is_string(),
    }
}

/// The type of the items of a list; `None` for a type that is not a list.
pub fn item_type(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}

/// The items of a list; `None` for a value that is not a list.
pub fn items(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    Some(match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::ListView(_) => array.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => array.as_list_view::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        _ => return None,
    })
}

/// The array and the position of a value; for an array with a dictionary, those in the dictionary. `None` if the value is null.
pub fn resolve(array: &ArrayRef, row: usize) -> Option<(&ArrayRef, usize)> {
    if array.is_null(row) || array.data_type().is_null() {
        return None;
    }
    let Some(dictionary) = array.as_any_dictionary_opt() else { return Some((array, row)) };
    let (keys, values) = (dictionary.keys(), dictionary.values());
    let key = downcast_integer_array!(keys => keys.value(row).to_usize(), _ => None)?;
    (key < values.len()).then(|| resolve(values, key))?
}

/// A value as texts: no text for null and NaN, several texts for a list, and one empty text for an empty list.
pub fn texts(array: &ArrayRef, row: usize) -> Cell {
    let Some((array, row)) = resolve(array, row) else { return vec![] };
    match items(array, row) {
        Some(items) => {
            let cell: Cell = (0..items.len()).filter_map(|item| text(&items, item)).collect();
            // A list without values is not a missing value: its cell has an empty text.
            if cell.is_empty() { vec![String::new()] } else { cell }
        }
        None => text(array, row).into_iter().collect(),
    }
}

/// A single value as text; `None` for null, for `NaN` (which is how a missing number is written), and for a type for which
/// [`is_text`] is false.
pub fn text(array: &ArrayRef, row: usize) -> Option<String> {
    let (array, row) = resolve(array, row)?;
    let array = array.as_ref();
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).to_string()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row).to_string()),
        DataType::Utf8View => Some(array.as_string_view().value(row).to_string()),
        DataType::Binary => utf8(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => utf8(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => utf8(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => utf8(array.as_fixed_size_binary().value(row)),
        DataType::Boolean => Some(array.as_boolean().value(row).to_string()),
        DataType::Float16 => float16(array.as_primitive::<Float16Type>().value(row).to_f32()),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(value.into(), || value.to_string(), || format!("{value:e}"))
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(value, || value.to_string(), || format!("{value:e}"))
        }
        DataType::Decimal32(..) => Some(array.as_primitive::<Decimal32Type>().value_as_string(row)),
        DataType::Decimal64(..) => Some(array.as_primitive::<Decimal64Type>().value_as_string(row)),
        DataType::Decimal128(..) => Some(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => Some(array.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Duration(unit) => duration(array, row, *unit),
        _ => downcast_integer_array!(
            array => Some(array.value(row).to_string()),
            _ => downcast_temporal_array!(array => time(array, row), _ => None)
        ),
    }
}

/// Bytes as text, if they are UTF-8; some programs write texts as bytes.
fn utf8(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// A float with the fewest digits that distinguish it from all other floats. Integers have no decimal point, because ids have none.
fn float(size: f64, plain: impl Fn() -> String, exponent: impl Fn() -> String) -> Option<String> {
    match size {
        _ if size.is_nan() => None,
        _ if size == 0.0 || size.is_infinite() || PLAIN_NOTATION.contains(&size.abs()) => Some(plain()),
        _ => Some(exponent()),
    }
}

/// A 16-bit float with the fewest digits that distinguish it from all other 16-bit floats; integers keep all digits.
fn float16(value: f32) -> Option<String> {
    let same = |digits: usize| {
        let short: f32 = format!("{value:.digits$e}").parse().ok()?;
        (<Float16Type as ArrowPrimitiveType>::Native::from_f32(short).to_f32() == value).then_some(short)
    };
    let short = if value.fract() == 0.0 { None } else { (0..FLOAT16_DIGITS).find_map(same) };
    let short = short.unwrap_or(value);
    float(short.into(), || short.to_string(), || format!("{short:e}"))
}

/// Whether a value is a float so large that neighbouring integers become the same float; then it cannot be an id.
pub fn is_imprecise(array: &ArrayRef, row: usize) -> bool {
    let Some((array, row)) = resolve(array, row) else { return false };
    let (size, limit) = match array.data_type() {
        DataType::Float16 => (array.as_primitive::<Float16Type>().value(row).to_f64(), 2048.0),
        DataType::Float32 => (array.as_primitive::<Float32Type>().value(row).into(), f64::from(1_u32 << 24)),
        DataType::Float64 => (array.as_primitive::<Float64Type>().value(row), (1_u64 << 53) as f64),
        _ => return false,
    };
    size.is_finite() && size.abs() > limit
}

/// Whether a date, time or duration, or one item of a list of them, cannot be written in ISO 8601: it is beyond the calendar or
/// the day.
pub fn is_out_of_range(array: &ArrayRef, row: usize) -> bool {
    let Some((array, row)) = resolve(array, row) else { return false };
    match items(array, row) {
        Some(items) => (0..items.len()).any(|item| is_out_of_range(&items, item)),
        None => array.data_type().is_temporal() && text(array, row).is_none(),
    }
}

/// A date, a time of day or a timestamp in the form of ISO 8601; `None` if [`is_out_of_range`].
fn time<T: ArrowTemporalType>(array: &PrimitiveArray<T>, row: usize) -> Option<String>
where
    i64: From<T::Native>,
{
    match array.data_type() {
        DataType::Date32 | DataType::Date64 => array.value_as_date(row).map(|date| date.to_string()),
        DataType::Time32(_) | DataType::Time64(_) => array.value_as_time(row).map(|time| time.to_string()),
        // Named time zones are not known here, so the same moment is written in UTC.
        DataType::Timestamp(_, Some(zone)) => match zone.parse().or_else(|_| "+00:00".parse()) {
            Ok(zone) => array.value_as_datetime_with_tz(row, zone).map(|time| time.to_rfc3339()),
            Err(_) => None,
        },
        _ => array.value_as_datetime(row).map(|time| format!("{time:?}")),
    }
}

/// A duration in the form of ISO 8601; `None` if it is too long.
fn duration(array: &dyn Array, row: usize, unit: TimeUnit) -> Option<String> {
    fn of<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array, row: usize) -> Option<String> {
        let value = array.as_primitive::<T>().value(row);
        as_duration::<T>(value).map(|duration| duration.to_string())
    }
    match unit {
        TimeUnit::Second => of::<DurationSecondType>(array, row),
        TimeUnit::Millisecond => of::<DurationMillisecondType>(array, row),
        TimeUnit::Microsecond => of::<DurationMicrosecondType>(array, row),
        TimeUnit::Nanosecond => of::<DurationNanosecondType>(array, row),
    }
}
