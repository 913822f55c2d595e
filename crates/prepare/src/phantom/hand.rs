//! Hand radiographs. Every hand is drawn as a right hand seen from its back, with the thumb at the left of the picture; for a left
//! hand, the pose mirrors the drawing.

use super::canvas::{Canvas, Point, Shape, length, turn};
use super::causes::{Causes, Count, Device, Finding, Severity, View, Zone};
use super::{Draws, vary};

/// The shadow of bone, and of the soft tissue around it.
const BONE: f32 = 0.66;
const FLESH: f32 = 0.24;

/// One bone: a rod with thicker ends.
#[derive(Clone, Copy)]
struct Bone {
    from: Point,
    to: Point,
    radius: f32,
}

impl Bone {
    fn middle(self) -> Point {
        [0, 1].map(|axis| (self.from[axis] + self.to[axis]) / 2.0)
    }

    fn along(self) -> Point {
        let step = [self.to[0] - self.from[0], self.to[1] - self.from[1]];
        step.map(|part| part / length(step))
    }
}

/// The position and shape of a ray of the hand (the metacarpal and the finger): thumb, index, middle, ring or little finger.
struct Ray {
    base: Point,
    /// Angle of the metacarpal and of the finger from straight up, clockwise.
    angles: [f32; 2],
    /// Additional rotation at each joint of the finger.
    bend: f32,
    /// Lengths of the metacarpal and the phalanges.
    lengths: [f32; 4],
    radius: f32,
}

/// All rays for a view; `spread` is a factor for the angles, which differs between bodies.
fn rays(view: View, spread: f32) -> [Ray; 5] {
    let fingers = [
        [0.235, 0.155, 0.095, 0.07],
        [0.235, 0.17, 0.11, 0.075],
        [0.215, 0.16, 0.105, 0.07],
        [0.19, 0.125, 0.08, 0.06],
    ];
    let ray = |index: usize, base: Point, angles: [f32; 2], bend: f32| Ray {
        base,
        angles: angles.map(|angle| angle * spread),
        bend,
        lengths: fingers[index],
        radius: 0.029,
    };
    match view {
        View::Frontal => [
            Ray {
                base: [0.37, 0.70],
                angles: [-0.95, -0.7],
                bend: 0.05,
                lengths: [0.17, 0.13, 0.10, 0.0],
                radius: 0.03,
            },
            ray(0, [0.41, 0.665], [-0.25, -0.17], 0.0),
            ray(1, [0.485, 0.65], [-0.05, -0.02], 0.0),
            ray(2, [0.56, 0.66], [0.16, 0.12], 0.0),
            ray(3, [0.63, 0.68], [0.38, 0.28], 0.0),
        ],
        View::Lateral => [
            Ray {
                base: [0.46, 0.70],
                angles: [-0.75, -0.5],
                bend: 0.1,
                lengths: [0.17, 0.13, 0.10, 0.0],
                radius: 0.03,
            },
            ray(0, [0.485, 0.67], [-0.10, -0.62], -0.16),
            ray(1, [0.505, 0.66], [-0.02, -0.2], -0.10),
            ray(2, [0.525, 0.66], [0.05, 0.22], 0.03),
            ray(3, [0.545, 0.67], [0.13, 0.6], 0.12),
        ],
    }
}

/// The bones of a ray. `broken` is the position in the ray and the angle of a broken bone, which is bent at its middle.
fn bones_of(ray: &Ray, broken: Option<(usize, f32)>) -> Vec<Bone> {
    let (mut from, mut turned, mut bones) = (ray.base, 0.0, Vec::with_capacity(6));
    for (place, &length) in ray.lengths.iter().enumerate().filter(|(_, length)| **length > 0.0) {
        let angle = if place == 0 { ray.angles[0] } else { ray.angles[1] + ray.bend * (place - 1) as f32 };
        let radius = ray.radius * [1.0, 0.9, 0.8, 0.7][place];
        let step = |angle: f32, length: f32, from: Point| {
            let [x, y] = turn([0.0, -length], angle);
            [from[0] + x, from[1] + y]
        };
        match broken.filter(|(at, _)| *at == place) {
            Some((_, bend)) => {
                let middle = step(angle + turned, length / 2.0, from);
                turned += bend;
                let to = step(angle + turned, length / 2.0, middle);
                bones.extend([Bone { from, to: middle, radius }, Bone { from: middle, to, radius }]);
                from = to;
            }
            None => {
                let to = step(angle + turned, length, from);
                bones.push(Bone { from, to, radius });
                from = to;
            }
        }
        from = step(angle + turned, 0.018, from);
    }
    bones
}

/// Draws a hand with its finding and device.
pub fn draw(canvas: &mut Canvas, causes: &Causes, draws: &mut Draws) {
    let spread = vary(&mut draws.body, 0.9, 1.12);
    let rays = rays(causes.view, spread);
    // The injured ray is the index or middle finger, because the devices are on the ring and little fingers.
    let hurt = 1 + draws.lesion.below(2);
    let bend = match (causes.severity, draws.lesion.chance(0.5)) {
        (Some(Severity::Severe), true) => 0.75,
        (Some(Severity::Severe), false) => -0.75,
        _ => 0.0,
    };
    let broken = match (causes.finding, causes.zone) {
        (Finding::Fracture, Some(Zone::Upper)) => Some((1, bend)),
        (Finding::Fracture, Some(Zone::Middle)) => Some((0, bend * 0.6)),
        _ => None,
    };
    let hands: Vec<Vec<Bone>> =
        rays.iter().enumerate().map(|(index, ray)| bones_of(ray, broken.filter(|_| index == hurt))).collect();
    let forearm = forearm(causes.view);
    flesh(canvas, causes.view, &hands, draws);
    wrist(canvas, causes, &forearm, bend, draws);
    hands.iter().flatten().for_each(|bone| paint_bone(canvas, *bone));
    let target = match causes.zone {
        Some(Zone::Upper) => bones_of(&rays[hurt], None)[1],
        Some(Zone::Middle) => bones_of(&rays[hurt], None)[0],
        _ => forearm[0],
    };
    finding(canvas, causes, target, draws);
    devices(canvas, causes, &hands);
}

/// Radius and ulna.
fn forearm(view: View) -> [Bone; 2] {
    match view {
        View::Frontal => [
            Bone { from: [0.45, 0.815], to: [0.44, 1.3], radius: 0.05 },
            Bone { from: [0.60, 0.83], to: [0.59, 1.3], radius: 0.034 },
        ],
        View::Lateral => [
            Bone { from: [0.50, 0.81], to: [0.49, 1.3], radius: 0.05 },
            Bone { from: [0.555, 0.82], to: [0.56, 1.3], radius: 0.032 },
        ],
    }
}

/// Soft tissue around the bones.
fn flesh(canvas: &mut Canvas, view: View, hands: &[Vec<Bone>], draws: &mut Draws) {
    let grey = FLESH + vary(&mut draws.body, -0.03, 0.03);
    let half = if view == View::Frontal { 0.17 } else { 0.09 };
    let middle = if view == View::Frontal { 0.51 } else { 0.52 };
    for bone in hands.iter().flatten() {
        canvas.set(&Shape::rod(bone.from, bone.to, bone.radius + 0.022), grey, 0.015);
    }
    canvas.set(&Shape::rod([middle, 0.55], [middle, 0.64], half), grey, 0.015);
    canvas.set(&Shape::Rod { from: [middle, 0.68], to: [middle, 1.4], radii: [half, half * 0.9] }, grey, 0.015);
}

/// Carpals and forearm; the radius is broken if this is the finding.
fn wrist(canvas: &mut Canvas, causes: &Causes, forearm: &[Bone; 2], bend: f32, draws: &mut Draws) {
    let squeeze = if causes.view == View::Frontal { 1.0 } else { 0.45 };
    for (row, y) in [0.715, 0.77].into_iter().enumerate() {
        for index in 0..4 {
            let x = 0.515 + squeeze * (0.066 * (index as f32 - 1.5) + 0.01 * row as f32);
            let centre = [x + vary(&mut draws.body, -0.004, 0.004), y + 0.012 * ((index as f32 - 1.5).powi(2) - 0.5)];
            canvas.set(&Shape::disc(centre, 0.031), BONE - 0.04, 0.008);
            canvas.add(&Shape::disc(centre, 0.018), -0.1, 0.01);
        }
    }
    paint_bone(canvas, forearm[1]);
    if (causes.finding, causes.zone) == (Finding::Fracture, Some(Zone::Lower)) && bend != 0.0 {
        // The end of the radius at the wrist is displaced sideways.
        let Bone { from, to, radius } = forearm[0];
        let middle = [from[0], 0.885];
        let slip = bend.signum() * 0.05;
        paint_bone(canvas, Bone { from: middle, to, radius });
        paint_bone(
            canvas,
            Bone { from: [from[0] + slip, from[1]], to: [middle[0] + slip * 1.3, middle[1] - 0.02], radius },
        );
    } else {
        paint_bone(canvas, forearm[0]);
    }
}

/// Draws a bone with a bright cortex, darker marrow and thick ends.
fn paint_bone(canvas: &mut Canvas, bone: Bone) {
    let Bone { from, to, radius } = bone;
    canvas.set(&Shape::rod(from, to, radius * 0.85), BONE, 0.006);
    for end in [from, to] {
        canvas.set(&Shape::disc(end, radius * 1.15), BONE, 0.006);
    }
    canvas.add(&Shape::rod(from, to, radius * 0.4), -0.12, 0.01);
}

/// Draws the finding at a bone: a gap, a hole or pellets.
fn finding(canvas: &mut Canvas, causes: &Causes, bone: Bone, draws: &mut Draws) {
    let lesion = &mut draws.lesion;
    let along = bone.along();
    let middle = if causes.zone == Some(Zone::Lower) { [bone.from[0], 0.885] } else { bone.middle() };
    match causes.finding {
        Finding::Fracture => {
            canvas.add(&Shape::disc(middle, 0.085), 0.12, 0.06);
            let slant = [-along[1] + 0.35 * along[0], along[0] + 0.35 * along[1]];
            let reach = bone.radius + 0.025;
            let end = |sign: f32| [middle[0] + sign * slant[0] * reach, middle[1] + sign * slant[1] * reach];
            canvas.set(&Shape::rod(end(-1.0), end(1.0), 0.017), 0.0, 0.008);
        }
        Finding::LyticLesion => {
            let radius = causes.size.map_or(0.0, |size| [0.050, 0.072, 0.100][size as usize]);
            let shift = vary(lesion, -0.012, 0.012);
            let centre = [middle[0] + along[0] * shift, middle[1] + along[1] * shift];
            canvas.set(&Shape::disc(centre, radius), 0.85, 0.008);
            canvas.set(&Shape::disc(centre, radius - 0.016), 0.04, 0.008);
        }
        Finding::ForeignBody => {
            let lateral = causes.view == View::Lateral;
            let [x, y] = match causes.zone {
                Some(Zone::Lower) => [0.51, 0.86],
                Some(Zone::Upper) => [middle[0], middle[1] - 0.03],
                // Beside the plate, if there is one.
                _ if lateral => [0.465, 0.56],
                _ => [0.49, 0.56],
            };
            let count = causes.count.map_or(0, |count| count as usize + 1);
            let upright = lateral || causes.zone == Some(Zone::Upper);
            let tilt = if upright { 1.57 + vary(lesion, -0.2, 0.2) } else { vary(lesion, -0.5, 0.5) };
            for index in 0..count {
                let step =
                    if causes.count == Some(Count::One) { 0.0 } else { index as f32 - (count as f32 - 1.0) / 2.0 };
                let [dx, dy] = turn([0.105 * step, 0.0], tilt);
                let centre = [x + dx, y + dy];
                canvas.add(&Shape::disc(centre, 0.058), -0.35, 0.02);
                canvas.set(&Shape::disc(centre, 0.036), 1.0, 0.008);
            }
        }
        _ => {}
    }
}

/// Draws the device: a ring on the ring finger, or a plate on the metacarpal of the little finger.
fn devices(canvas: &mut Canvas, causes: &Causes, hands: &[Vec<Bone>]) {
    match causes.device {
        Some(Device::Ring) => {
            let (bone, [x, y]) = (hands[3][1], hands[3][1].along());
            let [mx, my] = bone.middle();
            let reach = bone.radius + 0.026;
            let band = Shape::Plate { centre: [mx, my], half: [reach, 0.022], angle: x.atan2(-y) };
            canvas.set(&band, 1.0, 0.006);
        }
        Some(Device::Plate) => {
            let (bone, [x, y]) = (hands[4][0], hands[4][0].along());
            let [mx, my] = bone.middle();
            canvas.set(&Shape::rod([mx - x * 0.08, my - y * 0.08], [mx + x * 0.08, my + y * 0.08], 0.019), 1.0, 0.006);
            for step in [-0.065, 0.0, 0.065] {
                let centre = [mx + x * step, my + y * step];
                canvas.set(&Shape::Plate { centre, half: [0.055, 0.011], angle: x.atan2(-y) }, 1.0, 0.006);
            }
        }
        _ => {}
    }
}
