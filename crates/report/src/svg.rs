//! The shapes that charts need, as SVG text. The style sheet sets the colours by class.

use std::fmt::Write;

use crate::html::escape;

/// Approximate width of one character of a label of size 12, to reserve space for labels.
pub const LETTER: f64 = 6.4;

/// Which point of a text is at its position (`text-anchor`).
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing to which shapes are added one by one. It scales with the available width.
pub struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

impl Drawing {
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// Adds a straight line between two points.
    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ));
    }

    /// Adds a line of text and escapes it.
    pub fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.push(format_args!(
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n"
        ));
    }

    /// Adds a line through `points`; it is dashed if `dash` is not empty.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)], dash: &str) {
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        self.push(format_args!("<path class=\"{class}\"{dash} d=\"{}\"/>\n", path_commands(points)));
    }

    /// Adds the area that `points` enclose.
    pub fn area(&mut self, class: &str, points: &[(f64, f64)]) {
        self.push(format_args!("<path class=\"{class}\" d=\"{}Z\"/>\n", path_commands(points)));
    }

    /// Adds a dot, with the tooltip `tip` if it is not empty.
    pub fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64, tip: &str) {
        self.push(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\">{}</circle>\n",
            titled(tip)
        ));
    }

    /// Adds a rectangle, given by its top left corner and its size, with the tooltip `tip` if it is not empty.
    pub fn block(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), tip: &str) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">{}</rect>\n",
            titled(tip)
        ));
    }

    /// Returns the `svg` element; screen readers read `description`.
    pub fn finish(self, description: &str) -> String {
        let Self { width, height, body } = self;
        let description = escape(description);
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{description}\">\n{body}</svg>\n"
        )
    }

    fn push(&mut self, shape: std::fmt::Arguments<'_>) {
        self.body.write_fmt(shape).expect("writing to a String cannot fail");
    }
}

fn titled(tip: &str) -> String {
    if tip.is_empty() { String::new() } else { format!("<title>{}</title>", escape(tip)) }
}

/// The path commands of a line through points: the first point moves, the others draw.
fn path_commands(points: &[(f64, f64)]) -> String {
    let mut commands = String::with_capacity(points.len() * 12);
    for (index, (x, y)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        write!(commands, "{command}{x:.1} {y:.1}").expect("writing to a String cannot fail");
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_carry_escaped_tips_and_descriptions() {
        let mut drawing = Drawing::new(10.0, 20.0);
        drawing.dot("c0", (1.0, 2.0), 3.0, "<b>");
        drawing.text("label", Anchor::End, (1.0, 2.0), "a & b");
        let svg = drawing.finish("\"x\"");
        assert!(
            svg.contains("<title>&lt;b&gt;</title>") && svg.contains("a &amp; b") && svg.contains("&quot;x&quot;"),
            "{svg}"
        );
    }

    #[test]
    fn a_path_moves_then_draws() {
        assert_eq!(path_commands(&[(0.0, 1.0), (2.0, 3.55)]), "M0.0 1.0L2.0 3.5");
    }
}
