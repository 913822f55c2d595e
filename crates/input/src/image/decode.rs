//! Decoding of the bytes of a file to a [`Picture`], with limits on size and memory.

use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, guess_format};

use super::raster::{Picture, Samples, grey_of};
use super::resample::Size;
use super::{MAX_PIXELS, MAX_SIDE};
use crate::{FileForm, InputError};

/// The largest memory that a decoder may allocate, in bytes: twice the size of the largest picture at 16 bits with alpha.
const MAX_MEMORY: u64 = 2 * 8 * MAX_PIXELS;

impl Picture {
    /// Decodes a PNG, JPEG, TIFF or WebP file, recognised by its content. If a file has several pictures, the first is used.
    ///
    /// Files of 1, 2, 4 and 8 bits and palettes give 8-bit samples. 16-bit grey and floating-point colour are scaled to [0,
    /// 1] by the lowest and highest value of the file (a constant picture is 0 everywhere); 16-bit colour is divided by
    /// 65,535. An alpha channel is dropped, as in Pillow's conversion to RGB, because the published preprocessing does so.
    /// The orientation in EXIF or TIFF tags is applied. `name` (file or record) is for messages.
    ///
    /// # Errors
    /// If the bytes are empty, in another format, damaged or truncated, or if the picture is larger than [`MAX_SIDE`] or
    /// [`MAX_PIXELS`].
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, InputError> {
        let format = recognise(bytes, name)?;
        // The decoders come from other crates and may panic on a damaged file. A panic becomes an error of this one file, so
        // that it does not end the whole run.
        let decoded = catch_unwind(AssertUnwindSafe(|| read(bytes, format, name)));
        let image = decoded.unwrap_or_else(|_| {
            Err(InputError::BrokenImage { name: name.into(), cause: "the decoder failed".into() })
        })?;
        picture(image, name)
    }
}

/// The format by the first bytes, if it is supported.
fn recognise(bytes: &[u8], name: &str) -> Result<ImageFormat, InputError> {
    if bytes.is_empty() {
        return Err(InputError::EmptyImage { name: name.into() });
    }
    match guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Tiff | ImageFormat::WebP)) => Ok(format),
        Ok(ImageFormat::Jpeg) if FileForm::of(bytes) == FileForm::Picture("JPEG") => Ok(ImageFormat::Jpeg),
        _ => Err(InputError::NotAnImage { name: name.into(), form: FileForm::of(bytes) }),
    }
}

/// Decodes a picture after checking that its size is within the limits.
fn read(bytes: &[u8], format: ImageFormat, name: &str) -> Result<DynamicImage, InputError> {
    let failed = |error| failure(error, name);
    if let Some((width, height)) = png_size(bytes, format) {
        check_size(width, height, name)?;
    }
    if format == ImageFormat::Jpeg && !jpeg_ends(bytes) {
        // The decoder would fill the missing part with grey, and the result would look like a valid picture.
        return Err(InputError::TruncatedImage { name: name.into(), cause: "it has no end marker".into() });
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, name)?;
    let orientation = decoder.orientation().map_err(failed)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Width and height from the header of a PNG. The decoder's own error for a wrong size would not name them.
fn png_size(bytes: &[u8], format: ImageFormat) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let header = format == ImageFormat::Png && bytes.get(12..16) == Some(b"IHDR");
    header.then(|| Some((number(16)?, number(20)?))).flatten()
}

fn check_size(width: u32, height: u32, name: &str) -> Result<(), InputError> {
    let name = || name.to_string();
    if width == 0 || height == 0 {
        return Err(InputError::NoPixels { name: name(), width, height });
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(InputError::ImageTooLarge { name: name(), size: format!("{width} x {height}") });
    }
    Ok(())
}

/// Whether a JPEG has an end marker after the start of its first scan. It is also true if the structure of the file is not
/// understood; then the decoder decides.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) {
        match marker {
            0xFF => at += 1,
            0xD9 => return true,
            // Within a scan, 0xFF is followed by 0 or by a restart marker, so this pair of bytes can only be the end marker.
            0xDA => return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]),
            0x01 | 0xD0..=0xD7 => at += 2,
            _ => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        }
    }
    at < bytes.len()
}

/// Converts an error of the decoder to an [`InputError`].
fn failure(error: ImageError, name: &str) -> InputError {
    let (name, cause) = (name.to_string(), error.to_string());
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            InputError::TruncatedImage { name, cause: "its data end too early".into() }
        }
        ImageError::Limits(_) => InputError::ImageTooLarge { name, size: cause },
        ImageError::Unsupported(_) => InputError::UnsupportedImage { name, cause },
        _ => InputError::BrokenImage { name, cause },
    }
}

/// Converts a decoded image to a picture: alpha is dropped, and samples of more than 8 bits are scaled to [0, 1].
fn picture(image: DynamicImage, name: &str) -> Result<Picture, InputError> {
    let size = Size { width: image.width() as usize, height: image.height() as usize };
    let bytes = |channels, samples| Ok(Picture::from_samples(size, channels, Samples::Bytes(samples)));
    match image {
        DynamicImage::ImageLuma8(image) => bytes(1, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => bytes(1, without_alpha::<_, 2>(&image)),
        DynamicImage::ImageRgb8(image) => bytes(3, image.into_raw()),
        DynamicImage::ImageRgba8(image) => bytes(3, without_alpha::<_, 4>(&image)),
        DynamicImage::ImageLuma16(image) => scale_by_own_range(size, 1, &image, name),
        DynamicImage::ImageLumaA16(image) => scale_by_own_range(size, 1, &without_alpha::<_, 2>(&image), name),
        DynamicImage::ImageRgb16(image) => colour_16_bit(size, &image, name),
        DynamicImage::ImageRgba16(image) => colour_16_bit(size, &without_alpha::<_, 4>(&image), name),
        DynamicImage::ImageRgb32F(image) => scale_by_own_range(size, 3, &image, name),
        DynamicImage::ImageRgba32F(image) => scale_by_own_range(size, 3, &without_alpha::<_, 4>(&image), name),
        other => Err(InputError::UnsupportedImage { name: name.into(), cause: format!("{:?}", other.color()) }),
    }
}

/// The first `C - 1` of every `C` samples.
fn without_alpha<T: Copy, const C: usize>(samples: &[T]) -> Vec<T> {
    samples.chunks_exact(C).flat_map(|pixel| &pixel[..C - 1]).copied().collect()
}

/// 16-bit colour, divided by 65,535. A grey picture that was saved as colour is converted like a grey picture.
fn colour_16_bit(size: Size, samples: &[u16], name: &str) -> Result<Picture, InputError> {
    if let Some(grey) = grey_of(samples) {
        return scale_by_own_range(size, 1, &grey, name);
    }
    let unit = samples.iter().map(|&value| f32::from(value) / 65_535.0).collect();
    Ok(Picture::from_samples(size, 3, Samples::Unit(unit)))
}

/// Scales samples by their own range: the lowest becomes 0, the highest 1. If all are equal, all become 0.
fn scale_by_own_range<T: Copy + Into<f32>>(
    size: Size,
    channels: usize,
    samples: &[T],
    name: &str,
) -> Result<Picture, InputError> {
    let values = || samples.iter().map(|&value| value.into());
    if values().any(|value| !value.is_finite()) {
        return Err(InputError::BrokenImage { name: name.into(), cause: "it has samples that are not finite".into() });
    }
    let (lowest, highest) = values().fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(value), high.max(value)));
    // Computed in f64, because the difference of two finite f32 numbers may be infinite.
    let range = f64::from(highest) - f64::from(lowest);
    let scale = if range > 0.0 { range.recip() } else { 0.0 };
    let unit = values().map(|value| ((f64::from(value) - f64::from(lowest)) * scale) as f32).collect();
    Ok(Picture::from_samples(size, channels, Samples::Unit(unit)))
}
