//! A scene as SVG.

use super::shape::{Anchor, Scene, Shape, Text};
use crate::svg::{Svg, points, rounded};

impl Scene {
    /// The picture as an SVG file, whose text is text; `label` says to screen readers what it shows.
    pub(crate) fn to_svg(&self, label: &str) -> String {
        let mut svg = Svg::new(self.width, self.height, label);
        self.shapes.iter().for_each(|shape| draw(&mut svg, shape));
        svg.finish()
    }
}

fn draw(svg: &mut Svg, shape: &Shape) {
    match shape {
        Shape::Line { points: line, colour, width, dash } => {
            let polyline = svg.element("polyline").set("points", points(line)).set("fill", "none");
            let polyline = polyline.colour("stroke", *colour).length("stroke-width", *width);
            match dash {
                [] => polyline.set("stroke-linejoin", "round").empty(),
                dash => {
                    let lengths: Vec<String> = dash.iter().map(ToString::to_string).collect();
                    polyline.set("stroke-dasharray", lengths.join(" ")).set("stroke-linejoin", "round").empty();
                }
            }
        }
        Shape::Area { points: outline, colour, opacity } => {
            let polygon = svg.element("polygon").set("points", points(outline)).colour("fill", *colour);
            let polygon = if *opacity < 1.0 { polygon.length("fill-opacity", *opacity) } else { polygon };
            polygon.empty();
        }
        Shape::Disc { centre, radius, colour } => {
            let circle = svg.element("circle").length("cx", centre.0).length("cy", centre.1);
            circle.length("r", *radius).colour("fill", *colour).empty();
        }
        Shape::Text(text) => write(svg, text),
    }
}

fn write(svg: &mut Svg, Text { text, at, anchor, size, colour, turned }: &Text) {
    let label = svg.label(*at).length("font-size", *size).colour("fill", *colour);
    let label = match anchor {
        Anchor::Start => label,
        Anchor::Middle => label.set("text-anchor", "middle"),
        Anchor::End => label.set("text-anchor", "end"),
    };
    let label = match turned {
        true => label.set("transform", format!("rotate(-90 {} {})", rounded(at.0), rounded(at.1))),
        false => label,
    };
    label.text(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::{GREY, INK};

    #[test]
    fn each_shape_is_an_element_and_text_stays_text() {
        let mut scene = Scene { width: 100.0, height: 50.0, ..Scene::default() };
        scene.line(vec![(0.0, 0.0), (1.0 / 3.0, 2.0)], GREY, 1.8, &[]);
        scene.line(vec![(0.0, 0.0), (9.0, 2.5)], GREY, 1.8, &[7.0, 2.5]);
        scene.rectangle((1.0, 2.0), (3.0, 4.0), INK, 0.18);
        scene.shapes.push(Shape::Disc { centre: (5.0, 6.0), radius: 2.0, colour: INK });
        scene.text("a < b & \"c\"", (5.0, 20.0), Anchor::End, 10.0, INK);
        let (text, at) = ("up".to_owned(), (7.0, 25.0));
        let turned = Text { text, at, anchor: Anchor::Middle, size: 12.5, colour: INK, turned: true };
        scene.shapes.push(Shape::Text(turned));
        let svg = scene.to_svg("a test");
        let shapes = svg.lines().skip(2).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(shapes, @r##"
        <polyline points="0,0 0.33,2" fill="none" stroke="#555555" stroke-width="1.8" stroke-linejoin="round"/>
        <polyline points="0,0 9,2.5" fill="none" stroke="#555555" stroke-width="1.8" stroke-dasharray="7 2.5" stroke-linejoin="round"/>
        <polygon points="1,2 3,2 3,4 1,4" fill="#222222" fill-opacity="0.18"/>
        <circle cx="5" cy="6" r="2" fill="#222222"/>
        <text x="5" y="20" font-size="10" fill="#222222" text-anchor="end">a &lt; b &amp; &quot;c&quot;</text>
        <text x="7" y="25" font-size="12.5" fill="#222222" text-anchor="middle" transform="rotate(-90 7 25)">up</text>
        </svg>
        "##);
    }
}
