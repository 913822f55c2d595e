//! Skull radiographs. Frontal: `x = 0.5` is the midline. Lateral: the face looks to the left of the picture.

use ptu_random::Stream;

use super::canvas::{Canvas, Ink, Point, Shape, length};
use super::causes::{Causes, Count, Device, Finding, Severity, Side, Size, View, Zone};
use super::{Draws, vary};

/// Draws a skull with its finding and device.
pub fn draw(canvas: &mut Canvas, causes: &Causes, draws: &mut Draws) {
    match causes.view {
        View::Frontal => frontal(canvas, causes, draws),
        View::Lateral => lateral(canvas, causes, draws),
    }
    lesions(canvas, causes, &mut draws.lesion);
    devices(canvas, causes);
}

/// The point at a distance from the midline; the patient's left is the right of the picture.
fn at(side: Side, away: f32, down: f32) -> Point {
    let sign = if side == Side::Left { 1.0 } else { -1.0 };
    [0.5 + sign * away, down]
}

/// A smooth symmetric outline, given by the points of its right half from top to bottom.
fn symmetric(half: &[(f32, f32)]) -> Shape {
    let right = half.iter().map(|&(away, down)| at(Side::Right, away, down));
    let left = half.iter().rev().map(|&(away, down)| at(Side::Left, away, down));
    Shape::blob(&right.chain(left).collect::<Vec<_>>())
}

fn frontal(canvas: &mut Canvas, causes: &Causes, draws: &mut Draws) {
    let body = &mut draws.body;
    let (bone, jaw) = (vary(body, 0.46, 0.54), vary(body, 0.17, 0.2));
    canvas.set(&Shape::rod([0.5, 0.8], [0.5, 1.2], 0.15), 0.3, 0.03);
    let head = [
        (0.08, 0.025),
        (0.25, 0.09),
        (0.345, 0.26),
        (0.33, 0.44),
        (0.29, 0.62),
        (0.25, 0.80),
        (jaw, 0.91),
        (0.07, 0.95),
    ];
    canvas.set(&symmetric(&head), 0.26, 0.02);
    let vault = [(0.07, 0.045), (0.23, 0.10), (0.325, 0.26), (0.315, 0.40), (0.27, 0.53), (0.16, 0.60), (0.05, 0.62)];
    canvas.set(&symmetric(&vault), bone + 0.3, 0.01);
    let inner = vault.map(|(away, down)| (away * 0.91, 0.33 + (down - 0.33) * 0.91));
    canvas.set(&symmetric(&inner), bone, 0.02);
    canvas.set(&symmetric(&[(0.06, 0.50), (0.23, 0.52), (0.22, 0.68), (0.12, 0.78), (0.04, 0.80)]), bone + 0.06, 0.03);
    for side in [Side::Left, Side::Right] {
        let mandible = [(0.265, 0.60), (0.26, 0.72), (jaw + 0.03, 0.84), (0.09, 0.905), (0.0, 0.915)];
        canvas.set(&Shape::curve(&mandible.map(|(away, down)| at(side, away, down)), 0.034), bone + 0.2, 0.012);
        canvas.set(&Shape::ellipse(at(side, 0.135, 0.46), [0.095, 0.078]), bone + 0.28, 0.012);
        canvas.set(&Shape::ellipse(at(side, 0.135, 0.46), [0.08, 0.063]), 0.16, 0.012);
        canvas.set(&Shape::rod(at(side, 0.06, 0.505), at(side, 0.22, 0.50), 0.012), bone + 0.1, 0.01);
        sinus(canvas, causes, at(side, 0.14, 0.63), [0.078, 0.072], (Some(side), Zone::Lower));
        sinus(canvas, causes, at(side, 0.053, 0.342), [0.047, 0.043], (Some(side), Zone::Upper));
    }
    canvas.set(&symmetric(&[(0.012, 0.48), (0.032, 0.56), (0.046, 0.65), (0.02, 0.68)]), 0.12, 0.015);
    canvas.set(&Shape::rod([0.5, 0.5], [0.5, 0.67], 0.006), 0.55, 0.008);
    teeth(canvas, [0.5, 0.775], 0.032, 4);
    let suture = [[0.5, 0.05], [0.507, 0.1], [0.493, 0.15], [0.506, 0.2], [0.5, 0.26]];
    canvas.add(&Shape::curve(&suture, 0.004), -0.12, 0.006);
}

/// Two rows of teeth around a centre.
fn teeth(canvas: &mut Canvas, [x, y]: Point, width: f32, half: i32) {
    for index in -half..half {
        for row in [-0.022, 0.022] {
            let centre = [x + (index as f32 + 0.5) * width, y + row];
            canvas.set(&Shape::Plate { centre, half: [width * 0.36, 0.017], angle: 0.0 }, 0.86, 0.008);
        }
    }
}

/// A sinus: black, or white in the part that the finding fills.
fn sinus(canvas: &mut Canvas, causes: &Causes, centre: Point, radii: [f32; 2], place: (Option<Side>, Zone)) {
    let shape = Shape::ellipse(centre, radii);
    canvas.set(&shape, 0.1, 0.012);
    let hit = causes.finding == Finding::SinusOpacity && (causes.side, causes.zone) == (place.0, Some(place.1));
    if hit && causes.severity == Some(Severity::Severe) {
        canvas.set(&shape, 0.97, 0.012);
    } else if hit {
        let lower =
            Shape::Plate { centre: [centre[0], centre[1] + radii[1]], half: [radii[0], radii[1] * 1.05], angle: 0.0 };
        canvas.paint(&lower, Ink::Set(0.97), 0.004, Some(&shape));
    }
}

fn lateral(canvas: &mut Canvas, causes: &Causes, draws: &mut Draws) {
    let body = &mut draws.body;
    let bone = vary(body, 0.44, 0.52);
    let head = [
        [0.30, 0.07],
        [0.55, 0.02],
        [0.82, 0.10],
        [0.96, 0.33],
        [0.88, 0.56],
        [0.72, 0.70],
        [0.68, 1.2],
        [0.42, 1.2],
        [0.30, 0.97],
        [0.12, 0.95],
        [0.08, 0.76],
        [0.04, 0.62],
        [0.10, 0.44],
        [0.12, 0.24],
    ];
    canvas.set(&Shape::blob(&head), 0.25, 0.02);
    for index in 0..5 {
        let centre = [0.60 - 0.008 * index as f32, 0.70 + 0.085 * index as f32];
        canvas.set(&Shape::Plate { centre, half: [0.062, 0.034], angle: 0.12 }, bone + 0.12, 0.012);
    }
    let vault = Shape::Ellipse { centre: [0.54, 0.33], radii: [0.40, 0.285], angle: 0.12 };
    canvas.set(&vault, bone + 0.32, 0.01);
    canvas.set(&Shape::Ellipse { centre: [0.54, 0.33], radii: [0.365, 0.255], angle: 0.12 }, bone, 0.02);
    canvas.set(
        &Shape::blob(&[[0.16, 0.42], [0.45, 0.52], [0.44, 0.66], [0.34, 0.78], [0.13, 0.78], [0.14, 0.58]]),
        bone + 0.08,
        0.03,
    );
    canvas.set(&Shape::curve(&[[0.17, 0.43], [0.38, 0.50], [0.52, 0.54], [0.74, 0.585]], 0.02), bone + 0.3, 0.012);
    canvas.set(&Shape::disc([0.57, 0.575], 0.028), 0.12, 0.01);
    canvas.set(&Shape::ellipse([0.215, 0.495], [0.065, 0.055]), 0.15, 0.012);
    let mandible = [[0.53, 0.60], [0.53, 0.76], [0.46, 0.86], [0.28, 0.90], [0.15, 0.89]];
    canvas.set(&Shape::curve(&mandible, 0.036), bone + 0.22, 0.012);
    sinus(canvas, causes, [0.29, 0.645], [0.085, 0.07], (None, Zone::Lower));
    sinus(canvas, causes, [0.195, 0.345], [0.045, 0.06], (None, Zone::Upper));
    teeth(canvas, [0.21, 0.79], 0.036, 3);
    canvas.add(&Shape::curve(&[[0.46, 0.07], [0.47, 0.16], [0.44, 0.26], [0.45, 0.36]], 0.004), -0.12, 0.006);
    canvas.add(&Shape::curve(&[[0.80, 0.16], [0.76, 0.27], [0.80, 0.38], [0.77, 0.48]], 0.004), -0.12, 0.006);
}

/// The position of lesions of the vault: the middle of their side.
fn vault(causes: &Causes) -> Point {
    match (causes.view, causes.side) {
        (View::Frontal, side) => at(side.unwrap_or(Side::Right), 0.175, 0.195),
        (View::Lateral, Some(Side::Anterior)) => [0.37, 0.225],
        (View::Lateral, _) => [0.72, 0.30],
    }
}

/// Draws fracture lines and holes.
fn lesions(canvas: &mut Canvas, causes: &Causes, lesion: &mut Stream) {
    let [x, y] = vault(causes);
    match (causes.finding, causes.zone) {
        (Finding::Fracture, Some(Zone::Lower)) => {
            let [x, y] = match (causes.view, causes.side) {
                (View::Frontal, Some(side)) => at(side, 0.185, 0.845),
                _ => [0.37, 0.885],
            };
            let lean = if x < 0.45 { 1.0 } else { -1.0 };
            let gap = [
                [x + lean * 0.045, y - 0.075],
                [x + lean * 0.005, y - 0.02],
                [x, y + 0.02],
                [x - lean * 0.04, y + 0.075],
            ];
            canvas.set(&Shape::Line { points: gap.to_vec(), radius: 0.02 }, 0.0, 0.008);
        }
        (Finding::Fracture, _) => {
            let long = causes.size == Some(Size::Large);
            let pieces = if long { 6 } else { 3 };
            let first = -(pieces as f32) / 2.0;
            let points = (0..=pieces).map(|index| {
                let along = (first + index as f32) * 0.045;
                let jag = if index % 2 == 0 { 0.022 } else { -0.022 } + vary(lesion, -0.008, 0.008);
                [x + jag + 0.25 * along, y + along]
            });
            canvas.set(&Shape::Line { points: points.collect(), radius: 0.013 }, 0.0, 0.008);
        }
        (Finding::LyticLesion, _) => {
            let radius = causes.size.map_or(0.0, |size| [0.03, 0.046, 0.066][size as usize]);
            let places: &[Point] = match causes.count {
                Some(Count::Three) => &[[-0.065, 0.065], [0.075, 0.055], [0.0, -0.085]],
                Some(Count::Two) => &[[-0.055, 0.055], [0.055, -0.055]],
                _ => &[[0.0, 0.0]],
            };
            for [dx, dy] in places {
                let centre = [x + dx + vary(lesion, -0.01, 0.01), y + dy + vary(lesion, -0.01, 0.01)];
                canvas.set(&Shape::disc(centre, radius), 0.03, 0.01);
            }
        }
        _ => {}
    }
}

/// Draws the device: a plate on the outer rim of the vault, or a shunt that leads down the neck.
fn devices(canvas: &mut Canvas, causes: &Causes) {
    let side = causes.device_side.unwrap_or(Side::Right);
    match (causes.device, causes.view) {
        (Some(Device::Plate), View::Frontal) => {
            plate(canvas, [at(side, 0.335, 0.29), at(side, 0.325, 0.39), at(side, 0.30, 0.48)]);
        }
        (Some(Device::Plate), View::Lateral) => plate(canvas, [[0.47, 0.055], [0.57, 0.045], [0.67, 0.065]]),
        (Some(Device::Shunt), View::Frontal) => {
            let tube = [
                at(side, 0.02, 0.28),
                at(side, 0.06, 0.09),
                at(side, 0.26, 0.07),
                at(side, 0.375, 0.30),
                at(side, 0.35, 0.60),
                at(side, 0.33, 1.02),
            ];
            canvas.set(&Shape::curve(&tube, 0.015), 1.0, 0.008);
        }
        (Some(Device::Shunt), View::Lateral) => {
            let tube =
                [[0.54, 0.34], [0.59, 0.13], [0.78, 0.07], [0.95, 0.26], [0.90, 0.54], [0.76, 0.75], [0.75, 1.02]];
            canvas.set(&Shape::curve(&tube, 0.015), 1.0, 0.008);
        }
        _ => {}
    }
}

/// A bar with three screws.
fn plate(canvas: &mut Canvas, places: [Point; 3]) {
    canvas.set(&Shape::curve(&places, 0.021), 1.0, 0.008);
    let towards = [0.5, 0.4];
    for [x, y] in places {
        let (dx, dy) = (towards[0] - x, towards[1] - y);
        let reach = 0.07 / length([dx, dy]);
        canvas.set(&Shape::rod([x, y], [x + dx * reach, y + dy * reach], 0.013), 1.0, 0.008);
    }
}
