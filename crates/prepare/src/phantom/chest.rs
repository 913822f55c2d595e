//! Chest radiographs. Frontal: `x = 0.5` is the midline. Lateral: the patient faces the left of the picture.

use super::canvas::{Canvas, Ink, Point, Shape};
use super::causes::{Causes, Device, Finding, Severity, Side, Size, View, Zone};
use super::{Draws, spots, vary};

/// The shadow of a lung that is filled with air.
const LUNG: f32 = 0.15;

/// Draws a chest with its finding and device.
pub fn draw(canvas: &mut Canvas, causes: &Causes, draws: &mut Draws) {
    match causes.view {
        View::Frontal => frontal(canvas, causes, draws),
        View::Lateral => lateral(canvas, causes, draws),
    }
}

/// The proportions of one body in the frontal view.
struct Frontal {
    width: f32,
    dome: f32,
}

impl Frontal {
    /// The point at a distance from the midline; the patient's left is the right of the picture.
    fn at(&self, side: Side, away: f32, down: f32) -> Point {
        let sign = if side == Side::Left { 1.0 } else { -1.0 };
        [0.5 + sign * away * self.width, down]
    }

    /// The outline of a lung, scaled towards its root by a factor (1: full size).
    fn lung(&self, side: Side, full: f32) -> Shape {
        let dome = self.dome - if side == Side::Right { 0.03 } else { 0.0 };
        let outline = [
            (0.17, 0.12),
            (0.28, 0.20),
            (0.36, 0.38),
            (0.39, 0.60),
            (0.395, dome + 0.09),
            (0.31, dome + 0.01),
            (0.20, dome - 0.02),
            (0.09, dome + 0.02),
            (0.075, 0.55),
            (0.07, 0.35),
            (0.09, 0.18),
        ];
        Shape::blob(&outline.map(|(away, down)| self.at(side, 0.1 + (away - 0.1) * full, 0.48 + (down - 0.48) * full)))
    }
}

fn frontal(canvas: &mut Canvas, causes: &Causes, draws: &mut Draws) {
    let body = &mut draws.body;
    let frame = Frontal { width: vary(body, 0.94, 1.05), dome: vary(body, 0.70, 0.74) };
    let both = [Side::Left, Side::Right];
    let half = [(0.0, -0.1), (0.09, -0.1), (0.10, 0.05), (0.22, 0.10), (0.40, 0.15), (0.49, 0.32), (0.46, 1.2)];
    let right = half.map(|(away, down)| frame.at(Side::Right, away, down));
    let left = half.map(|(away, down)| frame.at(Side::Left, away, down));
    let torso: Vec<Point> = right.into_iter().chain(left.into_iter().rev()).collect();
    canvas.set(&Shape::Polygon(torso), vary(body, 0.42, 0.5), 0.03);
    for side in both {
        canvas.set(&frame.lung(side, 1.0), LUNG, 0.02);
        vessels(canvas, &frame, side, draws);
    }
    fluid_or_air(canvas, causes, &frame);
    heart(canvas, causes, &frame, draws);
    patches(canvas, causes, &frame, draws);
    bones(canvas, &frame, draws);
    devices(canvas, causes, &frame);
}

/// Blood vessels that spread from the root of the lung.
fn vessels(canvas: &mut Canvas, frame: &Frontal, side: Side, draws: &mut Draws) {
    canvas.add(&Shape::ellipse(frame.at(side, 0.10, 0.47), [0.035, 0.06]), 0.22, 0.04);
    for index in 0..5 {
        let angle = -1.1 + 0.5 * index as f32 + vary(&mut draws.body, -0.15, 0.15);
        let reach = vary(&mut draws.body, 0.13, 0.2);
        let tip = frame.at(side, 0.11 + reach * angle.cos(), 0.47 + reach * angle.sin());
        canvas.add(&Shape::Rod { from: frame.at(side, 0.10, 0.47), to: tip, radii: [0.012, 0.003] }, 0.09, 0.01);
    }
}

/// Effusion and pneumothorax, which fill the space of a lung behind the heart.
fn fluid_or_air(canvas: &mut Canvas, causes: &Causes, frame: &Frontal) {
    let (Some(side), Some(size)) = (causes.side, causes.size) else { return };
    match causes.finding {
        Finding::Effusion => {
            let level = by(size, [0.63, 0.47, 0.27]);
            let surface = [(0.0, level + 0.06), (0.2, level + 0.03), (0.36, level - 0.05), (0.45, level - 0.1)];
            let mut pool = surface.map(|(away, down)| frame.at(side, away, down)).to_vec();
            pool.extend([frame.at(side, 0.45, 1.0), frame.at(side, 0.0, 1.0)]);
            canvas.paint(&Shape::Polygon(pool), Ink::Set(0.85), 0.03, Some(&frame.lung(side, 1.0)));
        }
        Finding::Pneumothorax => {
            let (full, collapsed) = (frame.lung(side, 1.0), frame.lung(side, by(size, [0.74, 0.54, 0.34])));
            canvas.set(&full, 0.0, 0.015);
            canvas.set(&collapsed, by(size, [0.26, 0.42, 0.56]), 0.01);
            if let Shape::Polygon(mut points) = collapsed {
                points.push(points[0]);
                canvas.set(&Shape::Line { points, radius: 0.008 }, 0.8, 0.008);
            }
        }
        _ => {}
    }
}

/// Heart, great vessels and spine.
fn heart(canvas: &mut Canvas, causes: &Causes, frame: &Frontal, draws: &mut Draws) {
    let body = &mut draws.body;
    let own = vary(body, -0.01, 0.01);
    let (wide, high) = match (causes.finding, causes.size) {
        (Finding::Cardiomegaly, Some(size)) => (by(size, [0.205, 0.26, 0.32]) + own, by(size, [0.155, 0.18, 0.21])),
        _ => (0.145 + own, 0.13),
    };
    let tissue = vary(body, 0.60, 0.68);
    canvas.set(&Shape::curve(&[[0.5, 0.0], [0.5, 0.35], [0.5, 0.85]], 0.062), tissue - 0.06, 0.03);
    canvas.set(&Shape::disc(frame.at(Side::Left, 0.055, 0.30), 0.045), tissue, 0.02);
    let centre = frame.at(Side::Left, 0.045, 0.755 - high);
    canvas.set(&Shape::Ellipse { centre, radii: [wide, high], angle: 0.3 }, tissue, 0.02);
}

/// Nodules and consolidations.
fn patches(canvas: &mut Canvas, causes: &Causes, frame: &Frontal, draws: &mut Draws) {
    let Some(side) = causes.side else { return };
    let lesion = &mut draws.lesion;
    let place = |zone: Zone| frame.at(side, by_zone(zone, [0.215, 0.24, 0.27]), by_zone(zone, [0.25, 0.44, 0.625]));
    match causes.finding {
        Finding::Consolidation => {
            let zone = causes.zone.unwrap_or(Zone::Middle);
            cloud(canvas, place(zone), causes.severity, Some(&frame.lung(side, 1.0)), draws);
        }
        Finding::Nodule => {
            let radius = causes.size.map_or(0.0, |size| by(size, [0.031, 0.050, 0.074]));
            for zone in spots(causes, lesion) {
                let [x, y] = place(zone);
                let centre = [x + vary(lesion, -0.025, 0.025), y + vary(lesion, -0.015, 0.015)];
                canvas.set(&Shape::disc(centre, radius), 0.92, 0.012);
            }
        }
        _ => {}
    }
}

/// An irregular white patch of the size of one zone, hazy or dense.
fn cloud(canvas: &mut Canvas, [x, y]: Point, severity: Option<Severity>, within: Option<&Shape>, draws: &mut Draws) {
    let dense = severity == Some(Severity::Severe);
    let lesion = &mut draws.lesion;
    let points: Vec<Point> = (0..9)
        .map(|index| {
            let (sin, cos) = (index as f32 / 9.0 * std::f32::consts::TAU).sin_cos();
            let reach = vary(lesion, 0.085, 0.125);
            [x + reach * 1.05 * cos, y + reach * 0.8 * sin]
        })
        .collect();
    canvas.paint(&Shape::blob(&points), Ink::Add(if dense { 0.68 } else { 0.27 }), 0.04, within);
}

/// Ribs, clavicles and vertebrae.
fn bones(canvas: &mut Canvas, frame: &Frontal, draws: &mut Draws) {
    let body = &mut draws.body;
    let (strength, first) = (vary(body, 0.07, 0.11), vary(body, 0.17, 0.20));
    for index in 0..9 {
        let y = first + 0.071 * index as f32;
        for side in [Side::Left, Side::Right] {
            let reach = (0.25 + 0.05 * index as f32).min(0.39);
            let line = [(0.05, y), (reach * 0.5, y - 0.03), (reach * 0.9, y + 0.02), (reach, y + 0.09)];
            canvas.add(&Shape::curve(&line.map(|(away, down)| frame.at(side, away, down)), 0.011), strength, 0.012);
        }
    }
    for side in [Side::Left, Side::Right] {
        let line = [(0.05, 0.19), (0.18, 0.165), (0.28, 0.155), (0.40, 0.11)];
        canvas.add(&Shape::curve(&line.map(|(away, down)| frame.at(side, away, down)), 0.017), 0.24, 0.012);
    }
    for index in 0..14 {
        let centre = [0.5, 0.03 + 0.07 * index as f32];
        canvas.add(&Shape::Plate { centre, half: [0.04, 0.026], angle: 0.0 }, 0.09, 0.012);
    }
}

fn devices(canvas: &mut Canvas, causes: &Causes, frame: &Frontal) {
    let Some(side) = causes.device_side else { return };
    let at = |away, down| frame.at(side, away, down);
    match causes.device {
        Some(Device::Pacemaker) => {
            canvas.set(&Shape::Plate { centre: at(0.345, 0.215), half: [0.06, 0.05], angle: 0.15 }, 1.0, 0.01);
            let lead = [at(0.30, 0.20), at(0.14, 0.15), at(0.03, 0.26), [0.49, 0.48], [0.56, 0.68]];
            canvas.set(&Shape::curve(&lead, 0.009), 1.0, 0.006);
        }
        Some(Device::ChestTube) => {
            // The tube runs along the ribs, so that it does not hide a small nodule.
            let tube = [at(0.52, 0.66), at(0.40, 0.60), at(0.36, 0.45), at(0.335, 0.31), at(0.26, 0.175)];
            canvas.set(&Shape::curve(&tube, 0.019), 0.95, 0.006);
            canvas.set(&Shape::curve(&tube, 0.006), 0.55, 0.004);
        }
        Some(Device::CentralLine) => {
            let line = [at(0.075, -0.02), at(0.085, 0.10), at(0.05, 0.22), [0.465, 0.34], [0.455, 0.52]];
            canvas.set(&Shape::curve(&line, 0.010), 1.0, 0.006);
        }
        _ => {}
    }
}

fn lateral(canvas: &mut Canvas, causes: &Causes, draws: &mut Draws) {
    let body = &mut draws.body;
    let (deep, tissue) = (vary(body, 0.96, 1.05), vary(body, 0.42, 0.5));
    let at = |[x, y]: Point| [0.5 + (x - 0.5) * deep, y];
    let trunk = [
        [0.30, -0.10],
        [0.24, 0.08],
        [0.12, 0.30],
        [0.09, 0.60],
        [0.13, 0.90],
        [0.13, 1.15],
        [0.88, 1.15],
        [0.90, 0.80],
        [0.95, 0.50],
        [0.92, 0.25],
        [0.80, 0.06],
        [0.70, -0.10],
    ];
    canvas.set(&Shape::blob(&trunk).moved(at), tissue, 0.03);
    let lung = [
        [0.42, 0.10],
        [0.27, 0.20],
        [0.19, 0.40],
        [0.17, 0.64],
        [0.26, 0.68],
        [0.42, 0.66],
        [0.58, 0.68],
        [0.70, 0.76],
        [0.80, 0.86],
        [0.83, 0.60],
        [0.80, 0.35],
        [0.70, 0.16],
        [0.55, 0.09],
    ];
    let lung = Shape::blob(&lung).moved(at);
    canvas.set(&lung, LUNG, 0.02);
    if let (Finding::Effusion, Some(size)) = (causes.finding, causes.size) {
        let level = by(size, [0.66, 0.50, 0.32]);
        let pool = [
            [0.1, level + 0.05],
            [0.5, level + 0.02],
            [0.75, level - 0.06],
            [0.9, level - 0.12],
            [0.9, 1.0],
            [0.1, 1.0],
        ];
        canvas.paint(&Shape::Polygon(pool.to_vec()), Ink::Set(0.85), 0.03, Some(&lung));
    }
    canvas.set(&Shape::Ellipse { centre: at([0.39, 0.58]), radii: [0.105, 0.12], angle: -0.5 }, 0.58, 0.03);
    canvas.add(&Shape::curve(&[at([0.50, 0.10]), at([0.45, 0.24]), at([0.47, 0.42])], 0.04), 0.16, 0.03);
    lateral_patches(canvas, causes, &lung, draws);
    lateral_bones(canvas, at, draws);
    lateral_devices(canvas, causes, at);
}

fn lateral_patches(canvas: &mut Canvas, causes: &Causes, lung: &Shape, draws: &mut Draws) {
    let Some(side) = causes.side else { return };
    let place = |zone: Zone| match side {
        Side::Anterior => [by_zone(zone, [0.33, 0.285, 0.27]), by_zone(zone, [0.24, 0.41, 0.58])],
        _ => [by_zone(zone, [0.63, 0.665, 0.66]), by_zone(zone, [0.24, 0.41, 0.60])],
    };
    match causes.finding {
        Finding::Consolidation => {
            cloud(canvas, place(causes.zone.unwrap_or(Zone::Middle)), causes.severity, Some(lung), draws);
        }
        Finding::Nodule => {
            let lesion = &mut draws.lesion;
            let radius = causes.size.map_or(0.0, |size| by(size, [0.031, 0.050, 0.074]));
            for zone in spots(causes, lesion) {
                let [x, y] = place(zone);
                let centre = [x + vary(lesion, -0.02, 0.02), y + vary(lesion, -0.012, 0.012)];
                canvas.set(&Shape::disc(centre, radius), 0.94, 0.012);
            }
        }
        _ => {}
    }
}

fn lateral_bones(canvas: &mut Canvas, at: impl Fn(Point) -> Point, draws: &mut Draws) {
    let body = &mut draws.body;
    let (strength, first) = (vary(body, 0.05, 0.08), vary(body, 0.16, 0.20));
    for index in 0..7 {
        let y = first + 0.08 * index as f32;
        let line = [[0.80, y], [0.60, y + 0.06], [0.38, y + 0.17], [0.20, y + 0.2]].map(&at);
        canvas.add(&Shape::curve(&line, 0.010), strength, 0.012);
    }
    for index in 0..12 {
        let y = 0.02 + 0.082 * index as f32;
        let x = 0.75 + 0.10 * (y * 3.0).sin() - 0.02;
        canvas.add(&Shape::Plate { centre: at([x, y]), half: [0.045, 0.032], angle: 0.1 }, 0.26, 0.012);
    }
    canvas.add(&Shape::rod(at([0.25, 0.15]), at([0.13, 0.52]), 0.014), 0.26, 0.012);
    canvas.add(&Shape::ellipse(at([0.55, 0.03]), [0.2, 0.09]), 0.14, 0.06);
}

fn lateral_devices(canvas: &mut Canvas, causes: &Causes, at: impl Fn(Point) -> Point) {
    match causes.device {
        Some(Device::Pacemaker) => {
            canvas.set(&Shape::Plate { centre: at([0.235, 0.19]), half: [0.035, 0.06], angle: 0.35 }, 1.0, 0.01);
            let lead = [[0.24, 0.17], [0.40, 0.13], [0.47, 0.28], [0.44, 0.50], [0.35, 0.64]].map(&at);
            canvas.set(&Shape::curve(&lead, 0.009), 1.0, 0.006);
        }
        Some(Device::ChestTube) => {
            let tube = [[0.52, 0.80], [0.50, 0.62], [0.54, 0.40], [0.50, 0.24], [0.44, 0.15]].map(&at);
            canvas.set(&Shape::curve(&tube, 0.019), 0.95, 0.006);
            canvas.set(&Shape::curve(&tube, 0.006), 0.55, 0.004);
        }
        Some(Device::CentralLine) => {
            let line = [[0.52, -0.02], [0.50, 0.12], [0.47, 0.26], [0.465, 0.48]].map(&at);
            canvas.set(&Shape::curve(&line, 0.010), 1.0, 0.006);
        }
        _ => {}
    }
}

/// The value for a size.
fn by(size: Size, values: [f32; 3]) -> f32 {
    values[size as usize]
}

/// The value for a zone.
fn by_zone(zone: Zone, values: [f32; 3]) -> f32 {
    values[zone as usize]
}
