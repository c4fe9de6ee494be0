//! The graph as SVG.

use super::graph::Drawing;
use super::layout::{GAP, HEAD, HEIGHT, Lane, Layout, MARGIN};
use super::node::{BOLD, CHARACTER, Node, Standing};
use crate::palette::{GREY, LINE, WHITE, hex};
use crate::svg::Svg;

/// Height of the bar that shows the shares of the states.
const BAR: usize = 6;
/// The least width of a part of the bar.
const LEAST_PART: usize = 3;
/// Room that an entry of the legend takes beside its words.
const ENTRY: usize = 34;

impl Drawing {
    /// A picture that needs no other file.
    pub fn svg(&self) -> String {
        let Layout { corners, lanes, width, height } = Layout::of(&self.nodes, &self.edges);
        let legend: usize = Standing::ALL.iter().map(|standing| entry_width(*standing)).sum();
        let width = 2 * MARGIN + width.max(legend).max(BOLD * self.title.chars().count());
        let height = HEAD + MARGIN + height;
        let mut svg = Svg::new(width as f64, height as f64, &self.title);
        svg.label(point(MARGIN, 24)).set("font-weight", "bold").set("font-size", 14).text(&self.title);
        let mut x = MARGIN;
        for standing in Standing::ALL {
            svg.rectangle(point(x, 36), (12.0, 12.0), standing.colour()).empty();
            svg.label(point(x + 18, 46)).text(standing.meaning());
            x += entry_width(standing);
        }
        svg.element("g").set("fill", "none").colour("stroke", LINE).set("stroke-width", 1.2).open();
        for lane in lanes {
            svg.element("path").set("d", path(&lane)).empty();
        }
        svg.close();
        for (node, corner) in self.nodes.iter().zip(corners) {
            draw(&mut svg, node, corner);
        }
        svg.finish()
    }
}

fn entry_width(standing: Standing) -> usize {
    ENTRY + CHARACTER * standing.meaning().chars().count()
}

fn point(x: usize, y: usize) -> (f64, f64) {
    (x as f64, y as f64)
}

/// Straight through a column of boxes, if it passes one, and then curved to the next column.
fn path(Lane { through, from, to }: &Lane) -> String {
    let start = match through {
        Some(x) => format!("M{x} {}H{}", from.1, from.0),
        None => format!("M{} {}", from.0, from.1),
    };
    let (bend1, bend2) = (from.0 + GAP / 2, to.0 - GAP / 2);
    format!("{start}C{bend1} {} {bend2} {} {} {}", from.1, to.1, to.0, to.1)
}

/// A box with heading, kind, states, and a bar with the shares of the states.
fn draw(svg: &mut Svg, node: &Node, (x, y): (usize, usize)) {
    let width = node.width();
    svg.element("g").open();
    svg.element("title").text(&format!("{}: {} ({})", node.heading(), node.states(), node.kind));
    svg.rectangle(point(x, y), point(width, HEIGHT), WHITE).colour("stroke", GREY).empty();
    svg.label(point(x + 10, y + 18)).set("font-weight", "bold").text(&node.short_heading());
    svg.label(point(x + 10, y + 34)).set("fill", hex(GREY)).text(&node.kind);
    svg.label(point(x + 10, y + 50)).text(&node.states());
    let (mut from, mut left) = (0, node.parts().count());
    for (standing, count) in node.parts() {
        left -= 1;
        let share = (count * width / node.size()).max(LEAST_PART);
        let to = if left == 0 { width } else { (from + share).min(width - LEAST_PART * left) };
        svg.rectangle(point(x + from, y + HEIGHT - BAR), point(to - from, BAR), standing.colour()).empty();
        from = to;
    }
    svg.close();
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{family, small};
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn svg_of_three_families() {
        insta::assert_snapshot!(small().svg(), @r##"
        <svg xmlns="http://www.w3.org/2000/svg" width="597" height="190" viewBox="0 0 597 190" role="img" aria-label="toy &quot;&amp;&quot;: 6 stages" font-family="sans-serif" font-size="12" fill="#222222">
        <rect x="0" y="0" width="597" height="190" fill="#ffffff"/>
        <text x="24" y="24" font-weight="bold" font-size="14">toy &quot;&amp;&quot;: 6 stages</text>
        <rect x="24" y="36" width="12" height="12" fill="#009e73"/>
        <text x="42" y="46">in the cache</text>
        <rect x="142" y="36" width="12" height="12" fill="#e69f00"/>
        <text x="160" y="46">will run</text>
        <rect x="232" y="36" width="12" height="12" fill="#56b4e9"/>
        <text x="250" y="46">waits for its inputs</text>
        <rect x="406" y="36" width="12" height="12" fill="#d55e00"/>
        <text x="424" y="46">its data is missing</text>
        <g fill="none" stroke="#999999" stroke-width="1.2">
        <path d="M136 106C181 106 181 155 226 155"/>
        <path d="M136 106C181 106 181 95 226 95"/>
        <path d="M226 155H355C400 155 400 106 445 106"/>
        <path d="M355 95C400 95 400 106 445 106"/>
        </g>
        <g>
        <title>micrographs: cached (synthesize)</title>
        <rect x="24" y="75" width="112" height="62" fill="#ffffff" stroke="#555555"/>
        <text x="34" y="93" font-weight="bold">micrographs</text>
        <text x="34" y="109" fill="#555555">synthesize</text>
        <text x="34" y="125">cached</text>
        <rect x="24" y="131" width="112" height="6" fill="#009e73"/>
        </g>
        <g>
        <title>ssl × 4: 3 cached, 1 run (pretrain)</title>
        <rect x="226" y="64" width="129" height="62" fill="#ffffff" stroke="#555555"/>
        <text x="236" y="82" font-weight="bold">ssl × 4</text>
        <text x="236" y="98" fill="#555555">pretrain</text>
        <text x="236" y="114">3 cached, 1 run</text>
        <rect x="226" y="120" width="96" height="6" fill="#009e73"/>
        <rect x="322" y="120" width="33" height="6" fill="#e69f00"/>
        </g>
        <g>
        <title>tables.a&lt;b: waits (table)</title>
        <rect x="445" y="75" width="104" height="62" fill="#ffffff" stroke="#555555"/>
        <text x="455" y="93" font-weight="bold">tables.a&lt;b</text>
        <text x="455" y="109" fill="#555555">table</text>
        <text x="455" y="125">waits</text>
        <rect x="445" y="131" width="104" height="6" fill="#56b4e9"/>
        </g>
        </svg>
        "##);
    }

    #[test]
    fn the_boxes_of_a_thousand_families_are_inside_the_picture_and_do_not_overlap() {
        let mut drawing = Drawing::new("big");
        for i in 0..1000usize {
            let below = i / 100 * 100;
            let inputs: Vec<usize> = (0..20).filter(|_| below > 0).map(|j| (i * 7 + j * 131) % below.max(1)).collect();
            family(&mut drawing, &format!("f{i}"), "command", [1, 0, 2, 0], &inputs);
        }
        let svg = drawing.svg();
        assert_eq!(svg.matches("<title>").count(), 1000);
        let number = |text: &str, name: &str| -> usize {
            text.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let (width, height) = (number(&svg, "width"), number(&svg, "height"));
        let mut columns: HashMap<usize, Vec<usize>> = HashMap::new();
        let boxes: Vec<&str> =
            svg.lines().filter(|line| line.starts_with("<rect") && line.contains("stroke=")).collect();
        assert_eq!(boxes.len(), 1000);
        for line in boxes {
            let (x, y) = (number(line, "x"), number(line, "y"));
            assert!(x + number(line, "width") <= width && y + HEIGHT <= height);
            columns.entry(x).or_default().push(y);
        }
        for mut column in columns.into_values() {
            column.sort_unstable();
            assert!(column.windows(2).all(|pair| pair[0] + HEIGHT < pair[1]), "{column:?}");
        }
    }
}
