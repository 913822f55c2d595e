//! Images that look like radiographs, drawn from a few soft shapes.

use ptu_random::Stream;

const SIDE: usize = 176;

/// The organ that an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Organ {
    Chest,
    Hand,
    Skull,
}

/// The content of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    pub organ: Organ,
    /// The side of the finding: -1 for the left of the image, 1 for the right.
    pub side: f64,
    /// Radius of the finding as a share of the image; 0 for no finding.
    pub finding: f64,
}

/// Draws the scene; returns the bytes of a grey PNG file.
pub fn png(scene: Scene, noise: &mut Stream) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let place = |at: usize| 2.0 * at as f64 / (SIDE - 1) as f64 - 1.0;
            let (x, y) = (place(column), place(row));
            let light = match scene.organ {
                Organ::Chest => chest(x, y),
                Organ::Hand => hand(x, y),
                Organ::Skull => skull(x, y),
            };
            let bright =
                light + 0.3 * disc(x - 0.38 * scene.side, y + 0.12, scene.finding) + noise.between(-0.035, 0.035);
            pixels.push((bright.clamp(0.0, 1.0) * 255.0) as u8);
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("the header of a grey image is valid");
    writer.write_image_data(&pixels).expect("the number of pixels fits the header");
    writer.finish().expect("writing to a Vec cannot fail");
    bytes
}

/// 1 inside, 0 outside, with a soft edge.
fn soft(distance: f64, width: f64) -> f64 {
    1.0 / (1.0 + (distance / width).exp())
}

fn disc(x: f64, y: f64, radius: f64) -> f64 {
    if radius > 0.0 { soft(x.hypot(y) - radius, 0.025) } else { 0.0 }
}

fn ellipse(x: f64, y: f64, width: f64, height: f64) -> f64 {
    soft(((x / width).hypot(y / height) - 1.0) * width.min(height), 0.03)
}

fn chest(x: f64, y: f64) -> f64 {
    let body = 0.62 * ellipse(x, y - 0.15, 0.92, 1.2);
    let lungs = ellipse(x.abs() - 0.42, y + 0.02, 0.3, 0.66);
    let ribs = (0.5 + 0.5 * (26.0 * (y + 0.35 * x * x)).sin()).powi(5) * 0.13 * lungs;
    let spine = 0.22 * soft(x.abs() - 0.09, 0.03);
    let heart = 0.33 * ellipse(x - 0.14, y - 0.36, 0.34, 0.3);
    body - 0.46 * lungs * (1.0 - 0.8 * ellipse(x - 0.14, y - 0.36, 0.34, 0.3)) + ribs + spine + heart * 0.4
}

fn hand(x: f64, y: f64) -> f64 {
    let bone = |from: (f64, f64), to: (f64, f64), width: f64| {
        let along = (to.0 - from.0, to.1 - from.1);
        let length = along.0.hypot(along.1);
        let at = (((x - from.0) * along.0 + (y - from.1) * along.1) / (length * length)).clamp(0.0, 1.0);
        let away = (x - from.0 - at * along.0).hypot(y - from.1 - at * along.1);
        let joint = if (0.04..0.96).contains(&((at * 3.0).fract())) { 1.0 } else { 0.45 };
        0.3 * soft(away - width * 1.9, 0.02) + 0.42 * joint * soft(away - width, 0.015)
    };
    let fingers = [(-0.5, -0.55), (-0.22, -0.82), (0.08, -0.86), (0.36, -0.68)];
    let bones = fingers.map(|tip| bone((tip.0 * 0.45 + 0.02, 0.5), tip, 0.045));
    let palm = 0.3 * ellipse(x, y - 0.25, 0.4, 0.42);
    let wrist = bone((-0.1, 0.62), (-0.13, 1.2), 0.08).max(bone((0.12, 0.62), (0.14, 1.2), 0.06));
    bones.into_iter().fold(palm, f64::max).max(wrist).max(bone((-0.16, 0.5), (-0.78, 0.0), 0.05))
}

fn skull(x: f64, y: f64) -> f64 {
    let vault = ellipse(x, y + 0.12, 0.68, 0.8);
    let inside = ellipse(x, y + 0.12, 0.58, 0.7);
    let eyes = ellipse(x.abs() - 0.27, y - 0.22, 0.17, 0.13);
    let jaw = ellipse(x, y - 0.62, 0.38, 0.34);
    0.8 * vault - 0.38 * inside + 0.35 * jaw * (1.0 - 0.5 * inside)
        - 0.22 * eyes
        - 0.2 * ellipse(x, y - 0.42, 0.07, 0.13)
}
