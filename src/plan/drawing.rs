//! A plan as a picture: families folded to one node each, coloured by how their stages stand.

mod layout;

use super::{Plan, State};
use layout::{Lane, Layout};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// The states in the order of the legend, each with its colour (Okabe and Ito, 2008).
const STATES: [(&str, &str, &str); 4] = [
    ("cached", "#009e73", "in the cache"),
    ("run", "#e69f00", "to run"),
    ("waits", "#56b4e9", "waits on these"),
    ("missing", "#d55e00", "its data is not there"),
];

/// A plan's families and what they read of each other.
pub struct Drawing {
    title: String,
    nodes: Vec<Node>,
    /// (input, reader), each once, sorted.
    edges: Vec<(usize, usize)>,
}

struct Node {
    family: String,
    kind: &'static str,
    /// How many stages are in each of [`STATES`].
    counts: [usize; 4],
    /// Edges on the longest way to it.
    layer: usize,
}

/// Sizes in pixels.
const HEIGHT: usize = 62;
const ROW: usize = 80;
const GAP: usize = 90;
/// What an edge that passes a layer takes of it.
const LANE: usize = 22;
const MARGIN: usize = 24;
const HEAD: usize = 64;
/// A character of the usual sans-serif at 12 px, and of its bold, on the wide side.
const CHARACTER: usize = 7;
const BOLD: usize = 8;
/// Longer names are cut in the box and whole in its tooltip.
const LONGEST: usize = 36;

impl Drawing {
    /// Of all stages of a plan. Linear in stages and edges.
    pub fn new(plan: &Plan) -> Drawing {
        let instances = &plan.experiment.instances;
        let (mut nodes, mut edges): (Vec<Node>, BTreeSet<(usize, usize)>) = (Vec::new(), BTreeSet::new());
        let mut by_family: HashMap<&str, usize> = HashMap::new();
        let mut node_of = Vec::with_capacity(instances.len());
        // Every stage stands after those it reads, so one pass finds the longest ways.
        for (instance, state) in instances.iter().zip(&plan.states) {
            let node = *by_family.entry(&instance.family).or_insert_with(|| {
                nodes.push(Node {
                    family: instance.family.clone(),
                    kind: instance.kind.name,
                    counts: [0; 4],
                    layer: 0,
                });
                nodes.len() - 1
            });
            node_of.push(node);
            nodes[node].counts[place_of(state)] += 1;
            for input in &instance.inputs {
                let source = node_of[input.instance];
                if source != node {
                    nodes[node].layer = nodes[node].layer.max(nodes[source].layer + 1);
                    edges.insert((source, node));
                }
            }
        }
        let title = format!("{}: {}", plan.experiment.name, plural(instances.len(), "stage"));
        Drawing { title, nodes, edges: edges.into_iter().collect() }
    }

    /// For Graphviz.
    pub fn dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n", dot_escape(&self.title));
        let _ = writeln!(text, "  label=\"{}\"; labelloc=t; rankdir=LR;", dot_escape(&self.title));
        text += "  node [shape=box, fontname=\"sans-serif\"];\n";
        for (number, node) in self.nodes.iter().enumerate() {
            let lines = [node.heading(), node.kind.to_owned(), node.states()];
            let label = lines.map(|line| dot_escape(&line)).join("\\n");
            let parts: Vec<(usize, usize)> = node.parts().collect();
            let colours = match parts[..] {
                [(state, _)] => format!("style=filled, fillcolor=\"{}\"", tint(state)),
                _ => {
                    let all = node.size() as f64;
                    // The last part takes the rest: sums of rounded shares are not 1.
                    let share = |&(state, count): &(usize, usize)| format!("{};{:.4}", tint(state), count as f64 / all);
                    let mut list: Vec<String> = parts[..parts.len() - 1].iter().map(share).collect();
                    list.extend(parts.last().map(|&(state, _)| tint(state)));
                    format!("style=striped, fillcolor=\"{}\"", list.join(":"))
                }
            };
            let _ = writeln!(text, "  n{number} [label=\"{label}\", {colours}];");
        }
        for (input, reader) in &self.edges {
            let _ = writeln!(text, "  n{input} -> n{reader};");
        }
        text + "}\n"
    }

    /// A picture that needs nothing else.
    pub fn svg(&self) -> String {
        let Layout { place, lanes, width, height } = self.layout();
        let legend: usize = STATES.iter().map(|(.., words)| 34 + CHARACTER * words.chars().count()).sum();
        let width = 2 * MARGIN + width.max(legend).max(BOLD * self.title.chars().count());
        let height = HEAD + MARGIN + height;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"{MARGIN}\" y=\"24\" font-weight=\"bold\" font-size=\"14\">{}</text>\n",
            xml_escape(&self.title)
        );
        let mut x = MARGIN;
        for (_, colour, words) in STATES {
            let _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"36\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"46\">{words}</text>",
                x + 18
            );
            x += 34 + CHARACTER * words.chars().count();
        }
        text += "<g fill=\"none\" stroke=\"#999\" stroke-width=\"1.2\">\n";
        for Lane { through, from, to } in lanes {
            // Along its own row, if it passes boxes, and then over to the next column.
            let along = through.map(|x| format!("M{x} {}H{}", from.1, from.0));
            let along = along.unwrap_or_else(|| format!("M{} {}", from.0, from.1));
            let (bend1, bend2) = (from.0 + GAP / 2, to.0 - GAP / 2);
            let _ = writeln!(text, "<path d=\"{along}C{bend1} {} {bend2} {} {} {}\"/>", from.1, to.1, to.0, to.1);
        }
        text += "</g>\n";
        for (node, &(x, y)) in self.nodes.iter().zip(&place) {
            node.draw(&mut text, x, y);
        }
        text + "</svg>\n"
    }
}

impl Node {
    fn size(&self) -> usize {
        self.counts.iter().sum()
    }

    /// `ssl × 100`; a family of one is its name.
    fn heading(&self) -> String {
        if self.size() == 1 { self.family.clone() } else { format!("{} × {}", self.family, self.size()) }
    }

    /// `4 cached, 2 run`.
    fn states(&self) -> String {
        let parts: Vec<String> = self
            .parts()
            .map(
                |(state, count)| {
                    if self.size() == 1 { STATES[state].0.to_owned() } else { format!("{count} {}", STATES[state].0) }
                },
            )
            .collect();
        parts.join(", ")
    }

    /// The states that occur: (place in [`STATES`], count).
    fn parts(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    fn width(&self) -> usize {
        let characters = |text: &str| text.chars().count().min(LONGEST + 8);
        let text = (BOLD * characters(&cut(&self.heading())))
            .max(CHARACTER * characters(self.kind))
            .max(CHARACTER * characters(&self.states()));
        text.max(60) + 24
    }

    fn draw(&self, text: &mut String, x: usize, y: usize) {
        let width = self.width();
        let _ = writeln!(
            text,
            "<g><title>{}: {} ({})</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"#fff\" \
             stroke=\"#555\"/>",
            xml_escape(&self.heading()),
            xml_escape(&self.states()),
            self.kind
        );
        let lines = [
            (18, " font-weight=\"bold\"", cut(&self.heading())),
            (34, " fill=\"#555\"", self.kind.to_owned()),
            (50, "", self.states()),
        ];
        for (down, style, line) in lines {
            let _ = writeln!(text, "<text x=\"{}\" y=\"{}\"{style}>{}</text>", x + 10, y + down, xml_escape(&line));
        }
        // The bar below: one piece a state, as long as its share, each at least visible.
        let (mut from, mut left) = (0, self.parts().count());
        for (state, count) in self.parts() {
            left -= 1;
            let share = (count * width / self.size()).max(3);
            let to = if left == 0 { width } else { (from + share).min(width - 3 * left) };
            let _ = writeln!(
                text,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"6\" fill=\"{}\"/>",
                x + from,
                y + HEIGHT - 6,
                to - from,
                STATES[state].1
            );
            from = to;
        }
        text.push_str("</g>\n");
    }
}

fn place_of(state: &State) -> usize {
    STATES.iter().position(|(word, ..)| *word == state.word()).unwrap_or(STATES.len() - 1)
}

/// The state's colour, light enough for black letters on it.
fn tint(state: usize) -> String {
    format!("{}80", STATES[state].1)
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// Its beginning and its end: families of one experiment often begin alike.
fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let half = (LONGEST - 1) / 2;
    let (start, end): (String, String) =
        (text.chars().take(half).collect(), text.chars().skip(length - half).collect());
    format!("{start}…{end}")
}

fn dot_escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn xml_escape(text: &str) -> String {
    // XML 1.0 has no place for control characters, escaped or not.
    let visible = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>();
    visible.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(family: &str, kind: &'static str, counts: [usize; 4], layer: usize) -> Node {
        Node { family: family.into(), kind, counts, layer }
    }

    fn small() -> Drawing {
        let nodes = vec![
            node("micrographs", "synthesize", [1, 0, 0, 0], 0),
            node("ssl", "pretrain", [3, 1, 0, 0], 1),
            node("tables.a<b", "table", [0, 0, 1, 0], 2),
        ];
        Drawing { title: "toy \"&\": 6 stages".into(), nodes, edges: vec![(0, 1), (0, 2), (1, 2)] }
    }

    #[test]
    fn dot_names_sizes_states_and_edges() {
        insta::assert_snapshot!(small().dot(), @r##"
        digraph "toy \"&\": 6 stages" {
          label="toy \"&\": 6 stages"; labelloc=t; rankdir=LR;
          node [shape=box, fontname="sans-serif"];
          n0 [label="micrographs\nsynthesize\ncached", style=filled, fillcolor="#009e7380"];
          n1 [label="ssl × 4\npretrain\n3 cached, 1 run", style=striped, fillcolor="#009e7380;0.7500:#e69f0080"];
          n2 [label="tables.a<b\ntable\nwaits", style=filled, fillcolor="#56b4e980"];
          n0 -> n1;
          n0 -> n2;
          n1 -> n2;
        }
        "##);
    }

    #[test]
    fn svg_of_three_families() {
        insta::assert_snapshot!(small().svg(), @r##"
        <svg xmlns="http://www.w3.org/2000/svg" width="573" height="190" viewBox="0 0 573 190" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">
        <rect width="573" height="190" fill="#fff"/>
        <text x="24" y="24" font-weight="bold" font-size="14">toy &quot;&amp;&quot;: 6 stages</text>
        <rect x="24" y="36" width="12" height="12" fill="#009e73"/><text x="42" y="46">in the cache</text>
        <rect x="142" y="36" width="12" height="12" fill="#e69f00"/><text x="160" y="46">to run</text>
        <rect x="218" y="36" width="12" height="12" fill="#56b4e9"/><text x="236" y="46">waits on these</text>
        <rect x="350" y="36" width="12" height="12" fill="#d55e00"/><text x="368" y="46">its data is not there</text>
        <g fill="none" stroke="#999" stroke-width="1.2">
        <path d="M136 106C181 106 181 155 226 155"/>
        <path d="M136 106C181 106 181 95 226 95"/>
        <path d="M226 155H355C400 155 400 106 445 106"/>
        <path d="M355 95C400 95 400 106 445 106"/>
        </g>
        <g><title>micrographs: cached (synthesize)</title><rect x="24" y="75" width="112" height="62" fill="#fff" stroke="#555"/>
        <text x="34" y="93" font-weight="bold">micrographs</text>
        <text x="34" y="109" fill="#555">synthesize</text>
        <text x="34" y="125">cached</text>
        <rect x="24" y="131" width="112" height="6" fill="#009e73"/>
        </g>
        <g><title>ssl × 4: 3 cached, 1 run (pretrain)</title><rect x="226" y="64" width="129" height="62" fill="#fff" stroke="#555"/>
        <text x="236" y="82" font-weight="bold">ssl × 4</text>
        <text x="236" y="98" fill="#555">pretrain</text>
        <text x="236" y="114">3 cached, 1 run</text>
        <rect x="226" y="120" width="96" height="6" fill="#009e73"/>
        <rect x="322" y="120" width="33" height="6" fill="#e69f00"/>
        </g>
        <g><title>tables.a&lt;b: waits (table)</title><rect x="445" y="75" width="104" height="62" fill="#fff" stroke="#555"/>
        <text x="455" y="93" font-weight="bold">tables.a&lt;b</text>
        <text x="455" y="109" fill="#555">table</text>
        <text x="455" y="125">waits</text>
        <rect x="445" y="131" width="104" height="6" fill="#56b4e9"/>
        </g>
        </svg>
        "##);
    }

    #[test]
    fn a_thousand_families_are_drawn_within_the_picture_and_do_not_lie_on_each_other() {
        let nodes: Vec<Node> = (0..1000).map(|i| node(&format!("f{i}"), "command", [1, 0, 2, 0], i / 100)).collect();
        let edges = (100..1000).flat_map(|i| (0..20).map(move |j| ((i * 7 + j * 131) % (i / 100 * 100), i)));
        let drawing =
            Drawing { title: "big".into(), nodes, edges: edges.collect::<BTreeSet<_>>().into_iter().collect() };
        let svg = drawing.svg();
        assert_eq!(svg.matches("<g><title>").count(), 1000);
        let number = |text: &str, name: &str| -> usize {
            text.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let (width, height) = (number(&svg, "width"), number(&svg, "height"));
        let mut columns: HashMap<usize, Vec<usize>> = HashMap::new();
        for line in svg.lines().filter(|line| line.contains("<g><title>")) {
            let line = &line[line.find("<rect").unwrap()..];
            let (x, y) = (number(line, "x"), number(line, "y"));
            assert!(x + number(line, "width") <= width && y + HEIGHT <= height);
            columns.entry(x).or_default().push(y);
        }
        for mut column in columns.into_values() {
            column.sort_unstable();
            assert!(column.windows(2).all(|pair| pair[0] + HEIGHT < pair[1]), "{column:?}");
        }
    }

    #[test]
    fn long_names_are_cut_in_the_middle() {
        let name = "a".repeat(30) + &"b".repeat(30);
        assert_eq!(cut(&name), format!("{}…{}", "a".repeat(17), "b".repeat(17)));
        assert_eq!(cut("short"), "short");
    }
}
