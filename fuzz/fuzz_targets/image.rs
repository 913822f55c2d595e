//! Fuzzes the decoder of images: any bytes are decoded or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = ptu_input::Picture::decode(bytes, "fuzz") {
        let _ = ptu_input::image::PerceptualHash::of(&picture);
        let _ = picture.content_hash();
    }
});
