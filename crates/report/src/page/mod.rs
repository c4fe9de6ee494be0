//! `index.html`: one file that needs no network, with all that an experiment came to and where each number comes from.
//!
//! [`Page`] is also what `run.json` holds, for programs. Both are pure functions of it.

mod data;
mod leaks;
mod markdown;
mod origins;
mod timeline;

pub use data::{DataView, PublishedView};
pub use leaks::LeaksView;

use anyhow::Context as _;
use base64::Engine as _;
use markdown::{from_markdown, marked};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Everything that the page shows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Page {
    /// The experiment's title.
    pub title: String,
    /// Its name.
    pub name: String,
    /// One sentence: how many stages are done.
    pub state: String,
    /// Tables of scores.
    pub tables: Vec<TableView>,
    /// Curves.
    pub figures: Vec<FigureView>,
    /// Pictures of predictions.
    pub overlays: Vec<OverlayView>,
    /// What the images are.
    pub data: Vec<DataView>,
    /// Which of them are on both sides; none if there are no data sets.
    pub leaks: Option<LeaksView>,
    /// When what was done in the last run.
    pub timeline: Vec<Span>,
    /// All stages behind the numbers, by name: kind, seed, key, parameters, inputs, provenance, scores.
    pub stages: BTreeMap<String, Value>,
    /// The graph of families, as SVG.
    #[serde(skip)]
    pub graph: String,
}

/// A table as its stage left it.
#[derive(Clone, Debug, Serialize)]
pub struct TableView {
    /// The name of its files.
    pub file: String,
    /// Markdown, as in the report.
    #[serde(skip)]
    pub markdown: String,
    /// The CSV's rows, by column.
    pub rows: Vec<BTreeMap<String, String>>,
    /// The stages behind each label, by seed.
    pub stages: Vec<(String, Vec<String>)>,
    /// Labels of rows whose models saw some of the images that they are scored on.
    pub leaks: Vec<TableLeaks>,
}

/// A row whose model was trained on images that it is scored on.
#[derive(Clone, Debug, Serialize)]
pub struct TableLeaks {
    /// The row's label.
    pub label: String,
    /// How many of the images.
    pub images: usize,
}

/// A figure as its stage left it.
#[derive(Clone, Debug, Serialize)]
pub struct FigureView {
    /// The name of its files.
    pub file: String,
    /// The picture.
    #[serde(skip)]
    pub svg: String,
    /// The points: the rows of its CSV, by column.
    pub rows: Vec<BTreeMap<String, String>>,
    /// The stages behind each line, by seed.
    pub stages: Vec<(String, Vec<String>)>,
}

/// Pictures of one overlay: for each image one of each method.
#[derive(Clone, Debug, Serialize)]
pub struct OverlayView {
    /// The name of its folder.
    pub file: String,
    /// Methods, each with its pictures.
    #[serde(serialize_with = "names_only")]
    pub methods: Vec<(String, Vec<Picture>)>,
    /// The evaluations that the pictures of each method are of.
    pub stages: Vec<(String, Vec<String>)>,
}

/// A stage's time in a run.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// Which.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// Seconds after the run's start.
    pub begin: f64,
    /// Likewise.
    pub end: f64,
    /// Whether it was done.
    pub done: bool,
}

/// An image's name, and the bytes of a PNG.
pub type Picture = (String, Vec<u8>);

fn names_only<S: serde::Serializer>(methods: &[(String, Vec<Picture>)], serializer: S) -> Result<S::Ok, S::Error> {
    let name = |(label, pictures): &(String, Vec<Picture>)| {
        (label.clone(), pictures.iter().map(|(image, _)| image.clone()).collect::<Vec<_>>())
    };
    serializer.collect_seq(methods.iter().map(name))
}

impl Page {
    /// The page: HTML, style, script and pictures in one.
    ///
    /// # Errors
    /// If a stage's facts cannot be written as JSON.
    pub fn html(&self) -> anyhow::Result<String> {
        // `</script>` in a name must not end the script.
        let facts = serde_json::to_string(&self.stages).context("the stages")?.replace('<', "\\u003c");
        let tables = self.tables.iter().map(|table| (table.file.clone(), &table.stages));
        let figures = self.figures.iter().map(|figure| (origins::name(figure), &figure.stages));
        let behind: BTreeMap<String, &Vec<(String, Vec<String>)>> = tables.chain(figures).collect();
        let behind = serde_json::to_string(&behind).context("the tables")?.replace('<', "\\u003c");
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style { (PreEscaped(include_str!("style.css"))) }
                }
                body {
                    header {
                        h1 { (self.title) }
                        p { (self.state) }
                        nav { (self.contents()) }
                    }
                    main {
                        (self.tables())
                        (self.figures())
                        (self.overlays())
                        (self.data())
                        @if !self.graph.is_empty() {
                            section #stages { h2 { "Stages" } figure.paper { (PreEscaped(&self.graph)) } }
                        }
                        @if !self.timeline.is_empty() {
                            section #timeline {
                                h2 { "The last run that did something" }
                                figure.paper { (PreEscaped(timeline::svg(&self.timeline))) }
                            }
                        }
                    }
                    dialog #origin { form method="dialog" { button aria-label="close" { "×" } } div {} }
                    script #facts type="application/json" { (PreEscaped(facts)) }
                    script #behind type="application/json" { (PreEscaped(behind)) }
                    script { (PreEscaped(include_str!("script.js"))) }
                }
            }
        };
        Ok(page.into_string())
    }

    fn contents(&self) -> Markup {
        let parts = [
            ("tables", "Tables", !self.tables.is_empty()),
            ("figures", "Curves", !self.figures.is_empty()),
            ("overlays", "Predictions", !self.overlays.is_empty()),
            ("data", "Data", !self.data.is_empty()),
            ("stages", "Stages", !self.graph.is_empty()),
            ("timeline", "Timeline", !self.timeline.is_empty()),
        ];
        html! { @for (id, words, there) in parts { @if there { a href={ "#" (id) } { (words) } " " } } }
    }

    fn tables(&self) -> Markup {
        html! {
            @if !self.tables.is_empty() {
                section #tables {
                    h2 { "Tables" }
                    p.hint { "A heading sorts; a number shows where it comes from." }
                    @for table in &self.tables {
                        article.table data-table=(table.file) {
                            h3 { (table.file) }
                            (PreEscaped(from_markdown(&table.markdown, &table.leaks)))
                            (marked(&table.leaks))
                        }
                    }
                }
            }
        }
    }

    fn figures(&self) -> Markup {
        html! {
            @if !self.figures.is_empty() {
                section #figures {
                    h2 { "Curves" }
                    @for figure in &self.figures {
                        h3 { (figure.file) }
                        figure.paper { (PreEscaped(inline(&figure.svg))) }
                        (self.origins(figure))
                    }
                }
            }
        }
    }

    fn overlays(&self) -> Markup {
        html! {
            @if !self.overlays.is_empty() {
                section #overlays {
                    h2 { "Predictions" }
                    @for (number, overlay) in self.overlays.iter().enumerate() {
                        @let name = format!("overlay-{number}");
                        article.overlay {
                            h3 { (overlay.file) }
                            @for (place, (label, _)) in overlay.methods.iter().enumerate() {
                                input type="radio" name=(name) id={ (name) "-" (place) } checked[place == 0];
                                label for={ (name) "-" (place) } { (label) }
                            }
                            @for (label, pictures) in &overlay.methods {
                                div.pictures {
                                    @for (image, png) in pictures {
                                        figure {
                                            img loading="lazy" alt=(image) src={ "data:image/png;base64," (base64(png)) };
                                            figcaption { (image) " " (self.evaluations(overlay, label)) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn data(&self) -> Markup {
        html! {
            @if !self.data.is_empty() {
                section #data {
                    h2 { "Data" }
                    @if let Some(leaks) = &self.leaks { (leaks.markup()) }
                    @for set in &self.data { (set.markup()) }
                }
            }
        }
    }
}

/// An SVG file as part of a page.
fn inline(svg: &str) -> &str {
    svg.find("<svg").map_or(svg, |start| &svg[start..])
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page() -> Page {
        Page {
            title: "A <b>title</b>".into(),
            name: "toy".into(),
            state: "3 of 3 stages done".into(),
            tables: vec![TableView {
                file: "table".into(),
                markdown: "| method | mIoU |\n| --- | ---: |\n| <i>x</i> | **50.00** |\n\nA note.\n".into(),
                rows: vec![[("miou".to_owned(), "50.00".to_owned())].into()],
                stages: vec![("x".into(), vec!["test.x@0".into()])],
                leaks: Vec::new(),
            }],
            figures: vec![FigureView {
                file: "curve".into(),
                svg: "<?xml version=\"1.0\"?>\n<svg></svg>".into(),
                rows: vec![
                    [("series", "x"), ("epoch", "1"), ("mean", "0.5")].map(|(a, b)| (a.into(), b.into())).into(),
                ],
                stages: vec![("x".into(), vec!["segment.x@0".into()])],
            }],
            overlays: vec![OverlayView {
                file: "predictions".into(),
                methods: vec![("x".into(), vec![("a.png".into(), vec![1, 2, 3])])],
                stages: vec![("x".into(), vec!["test.x@0".into()])],
            }],
            data: vec![data::tests::steel()],
            leaks: None,
            timeline: vec![Span {
                stage: "test.x@0".into(),
                kind: "evaluate".into(),
                begin: 0.0,
                end: 1.5,
                done: true,
            }],
            stages: [("test.x@0".to_owned(), json!({"note": "</script>"}))].into(),
            graph: "<svg></svg>".into(),
        }
    }

    #[test]
    fn needs_nothing_from_elsewhere_and_names_are_text() {
        let html = page().html().unwrap();
        for foreign in ["http://", "https://", "<link", "@import", "<title>A <b>", "<i>x</i>"] {
            let without_namespaces = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!without_namespaces.contains(foreign), "{foreign}");
        }
        assert_eq!(html.matches("</script>").count(), 3, "a name ends no script");
        assert!(html.contains("A &lt;b&gt;title") && html.contains("<strong>50.00</strong>"), "{html}");
        assert!(html.contains("data:image/png;base64,AQID") && html.contains("25.00 % (2)"));
        assert!(!html.contains("<?xml"));
    }

    #[test]
    fn run_json_holds_rows_and_stages_but_no_pictures() {
        let json = serde_json::to_value(page()).unwrap();
        assert_eq!(json["tables"][0]["rows"][0]["miou"], "50.00");
        assert_eq!(json["tables"][0]["stages"][0], json!(["x", ["test.x@0"]]));
        assert_eq!(json["overlays"][0]["methods"], json!([["x", ["a.png"]]]));
        assert_eq!(json["figures"][0]["rows"][0]["mean"], "0.5");
        assert_eq!(json["overlays"][0]["stages"], json!([["x", ["test.x@0"]]]));
        assert_eq!(json["data"][0]["splits"][0]["images_with"], json!([2, 1]));
        assert_eq!(json.get("graph"), None);
    }

    #[test]
    fn an_experiment_without_reports_has_an_empty_page() {
        let html = Page { title: "Nothing".into(), ..Page::default() }.html().unwrap();
        assert!(html.contains("Nothing") && !html.contains("<h2>"));
    }
}
