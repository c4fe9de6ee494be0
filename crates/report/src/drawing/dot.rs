//! The graph for Graphviz.

use super::graph::Drawing;
use super::node::{Node, Standing};
use crate::palette::hex;
use std::fmt::Write;

impl Drawing {
    /// The graph in Graphviz's language.
    pub fn dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n", escape(&self.title));
        let _ = writeln!(text, "  label=\"{}\"; labelloc=t; rankdir=LR;", escape(&self.title));
        text += "  node [shape=box, fontname=\"sans-serif\"];\n";
        for (number, node) in self.nodes.iter().enumerate() {
            let lines = [node.heading(), node.kind.clone(), node.states()];
            let label = lines.map(|line| escape(&line)).join("\\n");
            let _ = writeln!(text, "  n{number} [label=\"{label}\", {}];", fill(node));
        }
        for (input, reader) in &self.edges {
            let _ = writeln!(text, "  n{input} -> n{reader};");
        }
        text + "}\n"
    }
}

/// One colour, or stripes as wide as the shares of the states.
fn fill(node: &Node) -> String {
    let parts: Vec<(Standing, usize)> = node.parts().collect();
    match &parts[..] {
        [(only, _)] => format!("style=filled, fillcolor=\"{}\"", tint(*only)),
        [all_but_last @ .., (last, _)] => {
            // The last part has no share of its own: rounded shares do not add up to 1.
            let share = |(standing, count): &(Standing, usize)| {
                format!("{};{:.4}", tint(*standing), *count as f64 / node.size() as f64)
            };
            let mut stripes: Vec<String> = all_but_last.iter().map(share).collect();
            stripes.push(tint(*last));
            format!("style=striped, fillcolor=\"{}\"", stripes.join(":"))
        }
        [] => "style=filled".to_owned(),
    }
}

/// The state's colour, light enough for black letters on it.
fn tint(standing: Standing) -> String {
    format!("{}80", hex(standing.colour()))
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::small;

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
}
