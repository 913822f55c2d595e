//! Values of a column as texts: each as it is written elsewhere too, so that it names the same.

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

/// Sizes between which floats are written without an exponent, as JavaScript does.
const PLAIN: std::ops::Range<f64> = 1e-6..1e21;

/// Digits that tell each float of 16 bits from its neighbours.
const HALF_DIGITS: usize = 5;

/// Whether values of this type, or lists of them, can be written as texts.
pub fn is_text(kind: &DataType) -> bool {
    is_scalar(kind) || item(kind).is_some_and(is_scalar)
}

/// Whether it is a list of numbers: a vector, a box or samples, which say nothing as texts.
pub fn is_vector(kind: &DataType) -> bool {
    item(kind).is_some_and(|item| item.is_numeric())
}

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

/// The type of the items of a list.
pub fn item(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}

/// The items of a list. `None` of what is none.
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

/// Where a value stands: that of a dictionary elsewhere. `None` where it is null.
pub fn place(array: &ArrayRef, row: usize) -> Option<(&ArrayRef, usize)> {
    if array.is_null(row) || array.data_type().is_null() {
        return None;
    }
    let Some(dictionary) = array.as_any_dictionary_opt() else { return Some((array, row)) };
    let (keys, values) = (dictionary.keys(), dictionary.values());
    let key = downcast_integer_array!(keys => keys.value(row).to_usize(), _ => None)?;
    (key < values.len()).then(|| place(values, key))?
}

/// A value as texts: none of a null or of what is no number, several of a list, of an empty list one without letters.
pub fn texts(array: &ArrayRef, row: usize) -> Cell {
    let Some((array, row)) = place(array, row) else { return vec![] };
    match items(array, row) {
        Some(items) => {
            let cell: Cell = (0..items.len()).filter_map(|item| text(&items, item)).collect();
            // A list without values is there, and holds nothing.
            if cell.is_empty() { vec![String::new()] } else { cell }
        }
        None => text(array, row).into_iter().collect(),
    }
}

/// One value; `None` of a null, of what is no number (`NaN`, which is how a missing number is written), and of a type that
/// is none of [`is_text`].
pub fn text(array: &ArrayRef, row: usize) -> Option<String> {
    let (array, row) = place(array, row)?;
    let array = array.as_ref();
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).to_string()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row).to_string()),
        DataType::Utf8View => Some(array.as_string_view().value(row).to_string()),
        DataType::Binary => words(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => words(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => words(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => words(array.as_fixed_size_binary().value(row)),
        DataType::Boolean => Some(array.as_boolean().value(row).to_string()),
        DataType::Float16 => half(array.as_primitive::<Float16Type>().value(row).to_f32()),
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

/// Bytes that are a text, as some writers leave them.
fn words(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The shortest digits that name this float and no other. Whole numbers have no point, as names have none.
fn float(size: f64, plain: impl Fn() -> String, exponent: impl Fn() -> String) -> Option<String> {
    match size {
        _ if size.is_nan() => None,
        _ if size == 0.0 || size.is_infinite() || PLAIN.contains(&size.abs()) => Some(plain()),
        _ => Some(exponent()),
    }
}

/// [`float`] of 16 bits, of which few digits are told apart; whole numbers keep all.
fn half(value: f32) -> Option<String> {
    let same = |digits: usize| {
        let short: f32 = format!("{value:.digits$e}").parse().ok()?;
        (<Float16Type as ArrowPrimitiveType>::Native::from_f32(short).to_f32() == value).then_some(short)
    };
    let short = if value.fract() == 0.0 { None } else { (0..HALF_DIGITS).find_map(same) };
    let short = short.unwrap_or(value);
    float(short.into(), || short.to_string(), || format!("{short:e}"))
}

/// A float that is so large that its neighbours are no longer told apart, as names must be.
pub fn is_blurred(array: &ArrayRef, row: usize) -> bool {
    let Some((array, row)) = place(array, row) else { return false };
    let (size, limit) = match array.data_type() {
        DataType::Float16 => (array.as_primitive::<Float16Type>().value(row).to_f64(), 2048.0),
        DataType::Float32 => (array.as_primitive::<Float32Type>().value(row).into(), f64::from(1_u32 << 24)),
        DataType::Float64 => (array.as_primitive::<Float64Type>().value(row), (1_u64 << 53) as f64),
        _ => return false,
    };
    size.is_finite() && size.abs() > limit
}

/// Whether a date, a time or a duration, or one of a list, is none that ISO 8601 has words for: beyond the calendar, or the day.
pub fn is_beyond(array: &ArrayRef, row: usize) -> bool {
    let Some((array, row)) = place(array, row) else { return false };
    match items(array, row) {
        Some(items) => (0..items.len()).any(|item| is_beyond(&items, item)),
        None => array.data_type().is_temporal() && text(array, row).is_none(),
    }
}

/// A date, a time of day or a time, as ISO 8601 has it; `None` of what [`is_beyond`].
fn time<T: ArrowTemporalType>(array: &PrimitiveArray<T>, row: usize) -> Option<String>
where
    i64: From<T::Native>,
{
    match array.data_type() {
        DataType::Date32 | DataType::Date64 => array.value_as_date(row).map(|date| date.to_string()),
        DataType::Time32(_) | DataType::Time64(_) => array.value_as_time(row).map(|time| time.to_string()),
        // A zone that is given by its name has no table here: the moment is the same in that of Greenwich.
        DataType::Timestamp(_, Some(zone)) => match zone.parse().or_else(|_| "+00:00".parse()) {
            Ok(zone) => array.value_as_datetime_with_tz(row, zone).map(|time| time.to_rfc3339()),
            Err(_) => None,
        },
        _ => array.value_as_datetime(row).map(|time| format!("{time:?}")),
    }
}

/// A duration as ISO 8601 has it; `None` of one that is too long for it.
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
