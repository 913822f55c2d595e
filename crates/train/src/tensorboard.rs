//! Writes TensorBoard event files: record framing, checksums, and the three protobuf messages that a scalar needs.
//!
//! This is written here because the existing crate, `tensorboard-rs` 0.5.9, depends on `image` 0.23 and `protobuf` 2. A record
//! of the format consists of a length, two masked CRC-32C checksums and a protobuf message (`tensorflow/core/util/event.proto`,
//! `summary.proto`).

use prost::Message;

/// An event: scalars, or the version of the format, which is the first event of a file.
#[derive(Clone, PartialEq, Message)]
struct EventMessage {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The first record of every file; `wall_time` is in seconds since 1970.
pub fn header(wall_time: f64) -> Vec<u8> {
    frame(&EventMessage { wall_time, file_version: Some("brain.Event:2".into()), ..EventMessage::default() })
}

/// The record with the scalars of one step; `wall_time` is in seconds since 1970.
pub fn scalars(wall_time: f64, step: u64, values: &[(String, f64)]) -> Vec<u8> {
    let value =
        values.iter().map(|(tag, value)| Value { tag: tag.clone(), simple_value: Some(*value as f32) }).collect();
    frame(&EventMessage { wall_time, step: step as i64, summary: Some(Summary { value }), ..EventMessage::default() })
}

/// Encodes a message as a record: length, checksum of the length, message, checksum of the message.
fn frame(message: &EventMessage) -> Vec<u8> {
    let body = message.encode_to_vec();
    let length = (body.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked(&length).to_le_bytes());
    out.extend(&body);
    out.extend(masked(&body).to_le_bytes());
    out
}

/// The masked CRC-32C of the TFRecord format: rotated, and a constant added.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_can_be_read_back() {
        let bytes = scalars(1.5, 7, &[("loss/mlm".into(), 2.25)]);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(bytes.len(), 8 + 4 + length + 4);
        let message = EventMessage::decode(&bytes[12..12 + length]).unwrap();
        assert_eq!((message.step, message.wall_time), (7, 1.5));
        let value = &message.summary.unwrap().value[0];
        assert_eq!((value.tag.as_str(), value.simple_value), ("loss/mlm", Some(2.25)));
    }

    #[test]
    fn the_checksum_is_that_of_tensorflow() {
        // crc32c("123456789") = e3069283 is the check value of the polynomial. Rotation moves its lower 15 bits to the top
        // (2507c60d), and TFRecord adds a282ead8. The expected value was computed by hand.
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5);
    }
}
