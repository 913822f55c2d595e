//! Tests of pictures against Pillow 12.2.0 (fixtures by `fixtures/make_resize.py` and `fixtures/make_augment.py`), and of
//! files that are not images.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};

use ptu_input::image::augment::Operation;
use ptu_input::image::resample::{Size, bicubic};
use ptu_input::image::{Picture, Preprocess, Samples, transform};
use ptu_input::{InputError, Transform};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn picture(name: &str) -> Picture {
    Picture::decode(&bytes(name), name).unwrap()
}

fn floats(name: &str) -> Vec<f32> {
    bytes(name).chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn eight_bit(picture: &Picture) -> &[u8] {
    match picture.samples() {
        Samples::Bytes(samples) => samples,
        Samples::Unit(_) => panic!("not 8-bit"),
    }
}

/// The largest difference between two pictures of the same size, in levels.
fn largest_difference(one: &Picture, other: &Picture) -> u8 {
    assert_eq!((one.width(), one.height(), one.channels()), (other.width(), other.height(), other.channels()));
    eight_bit(one).iter().zip(eight_bit(other)).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn resizing_equals_pillow_exactly() {
    let names = ["down", "up", "mixed", "colour-up", "colour-down", "far-down", "tiny", "rows-only", "columns-only"];
    for name in names.into_iter().chain(["thin", "one"]) {
        let (source, expected) =
            (picture(&format!("resize/{name}.in.png")), picture(&format!("resize/{name}.out.png")));
        let resized = source.resize(Size { width: expected.width(), height: expected.height() });
        assert_eq!(largest_difference(&resized, &expected), 0, "{name}");
    }
}

#[test]
fn resizing_floats_equals_pillow() {
    let (from, to) = (Size { width: 31, height: 22 }, Size { width: 12, height: 40 });
    let resized = bicubic(&floats("resize/float.in.bin"), from, 1, to);
    let expected = floats("resize/float.out.bin");
    assert_eq!(resized.len(), expected.len());
    assert!(resized.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(expected.iter().any(|value| *value > 1.0), "the fixture overshoots, which `Picture::resize` must not");
}

#[test]
fn the_evaluation_list_equals_the_published_one() {
    let image = transform::apply(&Preprocess::clip(24).evaluate, picture("resize/mixed.in.png"), None).unwrap();
    let expected = floats("resize/evaluate.bin");
    assert_eq!(image.planes.len(), expected.len());
    let furthest = image.planes.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest < 1e-6, "{furthest}");
}

#[test]
fn every_kind_of_file_is_read_as_pillow_reads_it() {
    // Lossless formats are equal; JPEG and lossy WebP differ by the rounding of another implementation.
    let kinds = [
        ("colour.png", 0),
        ("palette.png", 0),
        ("one-bit.png", 0),
        ("alpha.png", 0),
        ("grey-alpha.png", 0),
        ("grey.tif", 0),
        ("colour-lzw.tif", 0),
        ("lossless.webp", 0),
        ("grey.jpg", 1),
        ("progressive.jpg", 3),
        // The colour channels have half the resolution and are enlarged with another filter than in libjpeg-turbo.
        ("colour.jpg", 5),
        ("turned.jpg", 5),
        ("cmyk.jpg", 4),
        ("lossy.webp", 2),
    ];
    for (name, tolerance) in kinds {
        let (read, expected) = (picture(&format!("decode/{name}")), picture(&format!("decode/{name}.expected.png")));
        let difference = largest_difference(&read, &expected);
        assert!(difference <= tolerance, "{name}: {difference}");
    }
}

#[test]
fn sixteen_bit_grey_is_scaled_by_its_own_range() {
    for name in ["decode/deep.png", "decode/deep.tif"] {
        let deep = picture(name);
        let Samples::Unit(samples) = deep.samples() else { panic!("{name} has 16 bits") };
        // The fixture is the 8-bit grey times 13 plus 700.
        let grey = picture("decode/grey.tif");
        let (low, high) =
            eight_bit(&grey).iter().fold((255, 0), |(low, high), &value| (value.min(low), value.max(high)));
        for (value, &level) in samples.iter().zip(eight_bit(&grey)) {
            let expected = f32::from(level - low) / f32::from(high - low);
            assert!((value - expected).abs() < 1e-6, "{name}: {value} {expected}");
        }
    }
}

#[test]
fn constant_sixteen_bit_grey_is_zero() {
    assert_eq!(picture("decode/constant.png").samples(), &Samples::Unit(vec![0.0; 20]));
}

#[test]
fn equal_content_has_equal_hashes_in_every_format() {
    let png = picture("decode/colour.png").content_hash();
    assert_eq!(png, picture("decode/colour-lzw.tif").content_hash());
    assert_eq!(png, picture("decode/lossless.webp").content_hash());
    assert_ne!(png, picture("decode/grey.tif").content_hash());
}

fn refused(bytes: &[u8]) -> InputError {
    let error = Picture::decode(bytes, "study/7.png").unwrap_err();
    assert!(error.to_string().contains("`study/7.png`"), "{error}");
    error
}

/// A PNG that has only a header with the given size and a valid checksum.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 0, 0, 0, 0]);
    let crc = chunk.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    });
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d".as_slice(), &chunk, &(!crc).to_be_bytes()].concat()
}

#[test]
fn sizes_are_checked_before_memory_is_allocated() {
    assert!(matches!(refused(&png_header(0, 0)), InputError::NoPixels { .. }));
    assert!(matches!(refused(&png_header(10, 0)), InputError::NoPixels { .. }));
    assert!(refused(&png_header(50_000, 10)).to_string().contains("50000 x 10"));
    assert!(matches!(refused(&png_header(u32::MAX, u32::MAX)), InputError::ImageTooLarge { .. }));
    assert!(matches!(refused(&png_header(20_000, 20_000)), InputError::ImageTooLarge { .. }));
    let mut jpeg = bytes("decode/grey.jpg");
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    assert!(matches!(refused(&jpeg), InputError::ImageTooLarge { .. }));
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0; 4]);
    refused(&jpeg);
}

#[test]
fn files_that_are_not_images_are_named() {
    assert!(matches!(refused(b""), InputError::EmptyImage { .. }));
    let found = |bytes: &[u8]| match refused(bytes) {
        InputError::NotAnImage { form, .. } => form.to_string(),
        other => panic!("{other}"),
    };
    assert_eq!(found("No acute disease \u{2013} see note\n".as_bytes()), "text");
    assert_eq!(found(b"<!DOCTYPE html><html>not found</html>"), "a web page (HTML)");
    assert_eq!(found(&[0, 1, 2, 3]), "of unknown bytes, or the start of a damaged file");
    assert_eq!(found(&[&[0; 128], b"DICM".as_slice()].concat()), "DICOM");
    assert_eq!(found(b"GIF89a\x01\0\x01\0"), "GIF");
    assert_eq!(found(b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0"), "BMP");
    let jpeg2000 = refused(b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ").to_string();
    assert!(
        jpeg2000.contains("is JPEG 2000, which is not supported") && jpeg2000.contains("save it as PNG"),
        "{jpeg2000}"
    );
    let pointer = refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n").to_string();
    assert!(pointer.contains("Git LFS pointer") && pointer.contains("`git lfs pull`"), "{pointer}");
}

#[test]
fn truncated_files_are_refused_at_every_length() {
    for name in ["colour.png", "colour.jpg", "progressive.jpg", "colour-lzw.tif", "lossless.webp", "deep.png"] {
        let whole = bytes(&format!("decode/{name}"));
        for share in 1..10 {
            let cut = whole.len() * share / 10;
            let error = Picture::decode(&whole[..cut], name).expect_err(&format!("{name} cut to {cut}"));
            assert!(error.to_string().contains(name), "{error}");
        }
    }
    assert!(matches!(refused(&bytes("decode/colour.jpg")[..600]), InputError::TruncatedImage { .. }));
    assert!(matches!(refused(&bytes("decode/colour.png")[..600]), InputError::TruncatedImage { .. }));
}

#[test]
fn damaged_files_give_a_picture_or_an_error() {
    let names =
        ["colour.png", "colour.jpg", "progressive.jpg", "colour-lzw.tif", "lossless.webp", "lossy.webp", "deep.tif"];
    for (kind, name) in names.into_iter().enumerate() {
        let whole = bytes(&format!("decode/{name}"));
        let mut random = ptu_random::Key::new(9).stream(ptu_random::Place::Sample, kind as u64);
        for _ in 0..60 {
            let mut damaged = whole.clone();
            for _ in 0..3 {
                damaged[random.below(whole.len())] = random.next_u32() as u8;
            }
            if let Ok(picture) = Picture::decode(&damaged, name) {
                assert!(picture.width() > 0 && picture.height() > 0);
            }
        }
    }
}

#[test]
fn a_picture_of_any_shape_becomes_a_square() {
    for name in ["thin", "tiny", "far-down", "one"] {
        let steps = [Transform::ResizeShort { size: 12 }, Transform::CenterCrop { size: 12 }];
        let image = transform::apply(&steps, picture(&format!("resize/{name}.in.png")), None).unwrap();
        assert_eq!((image.side, image.planes.len()), (12, 432));
        assert!(image.planes.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}

#[test]
fn augmenting_equals_pillow_exactly() {
    use Operation::*;
    // The list of `fixtures/make_augment.py`.
    let operations = [
        AutoContrast,
        Equalize,
        Rotate(9.0),
        Rotate(-21.0),
        Posterize(1),
        Posterize(3),
        Solarize(76.8),
        SolarizeAdd(33.0),
        Color(0.64),
        Color(1.72),
        Contrast(0.64),
        Contrast(1.72),
        Brightness(0.64),
        Brightness(1.72),
        Sharpness(0.64),
        Sharpness(1.72),
        ShearX(0.09),
        ShearX(-0.3),
        ShearY(0.09),
        TranslateX(7.0),
        TranslateX(-7.5),
        TranslateY(7.0),
    ];
    for (source, expected) in
        [("resize/mixed.in.png", "augment/colour.out.png"), ("resize/up.in.png", "augment/grey.out.png")]
    {
        let (source, expected) = (picture(source), picture(expected));
        let size = Size { width: source.width(), height: source.height() };
        assert_eq!(expected.height(), size.height * operations.len());
        for (place, operation) in operations.into_iter().enumerate() {
            let expected = expected.crop(0, place * size.height, size);
            assert_eq!(eight_bit(&operation.apply(&source)), eight_bit(&expected), "{operation:?}");
        }
    }
}
