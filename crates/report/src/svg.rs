//! SVG as text: one writer, one escaper. Every picture of lines and letters that the program writes goes through it.

use crate::font;
use crate::palette::{Colour, INK, WHITE, hex};
use std::fmt::{Display, Write as _};

/// Pixels an em, where an element says nothing else.
pub(crate) const FONT_SIZE: f64 = 12.0;

/// An SVG document that is being written.
pub(crate) struct Svg {
    text: String,
    /// Names of the elements that are still open.
    open: Vec<&'static str>,
}

impl Svg {
    /// A white picture of `width` × `height` pixels; `label` says to screen readers what it shows.
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Svg {
        let mut svg = Svg { text: String::new(), open: Vec::new() };
        svg.element("svg")
            .set("xmlns", "http://www.w3.org/2000/svg")
            .length("width", width)
            .length("height", height)
            .set("viewBox", format!("0 0 {} {}", rounded(width), rounded(height)))
            .set("role", "img")
            .set("aria-label", label)
            .set("font-family", font::FAMILY)
            .length("font-size", FONT_SIZE)
            .colour("fill", INK)
            .open();
        svg.rectangle((0.0, 0.0), (width, height), WHITE).empty();
        svg
    }

    /// Starts an element; [`Element::empty`], [`Element::text`] or [`Element::open`] ends its tag.
    pub(crate) fn element(&mut self, name: &'static str) -> Element<'_> {
        self.text.push('<');
        self.text.push_str(name);
        Element { svg: self, name }
    }

    /// Starts a filled rectangle of `size` with its upper left corner at `corner`.
    pub(crate) fn rectangle(&mut self, corner: (f64, f64), size: (f64, f64), colour: Colour) -> Element<'_> {
        let rect = self.element("rect").length("x", corner.0).length("y", corner.1);
        rect.length("width", size.0).length("height", size.1).colour("fill", colour)
    }

    /// Starts a text whose baseline begins at `start`.
    pub(crate) fn label(&mut self, start: (f64, f64)) -> Element<'_> {
        self.element("text").length("x", start.0).length("y", start.1)
    }

    /// Closes the element that was opened last.
    pub(crate) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            let _ = writeln!(self.text, "</{name}>");
        }
    }

    /// The document.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }
}

/// A tag that is being written.
#[must_use]
pub(crate) struct Element<'a> {
    svg: &'a mut Svg,
    name: &'static str,
}

impl Element<'_> {
    /// Sets an attribute.
    pub(crate) fn set(self, name: &str, value: impl Display) -> Self {
        let _ = write!(self.svg.text, " {name}=\"{}\"", escape(&value.to_string()));
        self
    }

    /// Sets an attribute to a number.
    pub(crate) fn length(self, name: &str, value: f64) -> Self {
        self.set(name, rounded(value))
    }

    /// Sets an attribute to a colour.
    pub(crate) fn colour(self, name: &str, colour: Colour) -> Self {
        self.set(name, hex(colour))
    }

    /// Ends an element without content.
    pub(crate) fn empty(self) {
        self.svg.text.push_str("/>\n");
    }

    /// Ends an element that holds a text.
    pub(crate) fn text(self, text: &str) {
        let _ = writeln!(self.svg.text, ">{}</{}>", escape(text), self.name);
    }

    /// Ends the tag: the elements that follow are inside of it until [`Svg::close`].
    pub(crate) fn open(self) {
        self.svg.text.push_str(">\n");
        self.svg.open.push(self.name);
    }
}

/// `points` as SVG writes lists of points.
pub(crate) fn points(points: &[(f64, f64)]) -> String {
    let pairs: Vec<String> = points.iter().map(|&(x, y)| format!("{},{}", rounded(x), rounded(y))).collect();
    pairs.join(" ")
}

/// Two decimals are finer than any screen; without trailing zeros.
pub(crate) fn rounded(value: f64) -> f64 {
    // Adding 0 makes 0 of −0.
    (value * 100.0).round() / 100.0 + 0.0
}

/// Text as XML holds it. XML 1.0 has no control characters, escaped or not: each becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_nested_closed_and_escaped() {
        let mut svg = Svg::new(10.0, 5.5, "a \"b\"");
        svg.element("g").open();
        svg.label((1.0, -0.001)).text("a < b & \u{1b}c");
        insta::assert_snapshot!(svg.finish(), @r##"
        <svg xmlns="http://www.w3.org/2000/svg" width="10" height="5.5" viewBox="0 0 10 5.5" role="img" aria-label="a &quot;b&quot;" font-family="sans-serif" font-size="12" fill="#222222">
        <rect x="0" y="0" width="10" height="5.5" fill="#ffffff"/>
        <g>
        <text x="1" y="0">a &lt; b &amp; �c</text>
        </g>
        </svg>
        "##);
    }

    #[test]
    fn numbers_have_at_most_two_decimals() {
        assert_eq!(points(&[(1.0 / 3.0, 2.0), (-1e-9, 0.126)]), "0.33,2 0,0.13");
    }
}
