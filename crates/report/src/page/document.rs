//! The whole page.

use super::data::DataView;
use super::figure::FigureView;
use super::files::FilesView;
use super::leaks::LeaksView;
use super::models::ModelsView;
use super::overlay::OverlayView;
use super::stage::StageFacts;
use super::table::TableView;
use super::timeline::{self, Span};
use anyhow::Context as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;
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
    /// Tables of scores and of data.
    pub tables: Vec<TableView>,
    /// Curves, confusion matrices, reliability diagrams.
    pub figures: Vec<FigureView>,
    /// Pictures of predictions.
    pub overlays: Vec<OverlayView>,
    /// Model folders beside the page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelsView>,
    /// Files of stages beside the page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FilesView>,
    /// The data sets.
    pub data: Vec<DataView>,
    /// Images that are both trained on and scored on; none without data sets.
    pub leaks: Option<LeaksView>,
    /// When each stage of the last run ran.
    pub timeline: Vec<Span>,
    /// All stages behind the numbers, by name.
    pub stages: BTreeMap<String, StageFacts>,
    /// The graph of families, as SVG.
    #[serde(skip)]
    pub graph: String,
}

/// A part of the page: its id, its heading, its entry in the list of contents, and what it shows.
type Section = (&'static str, &'static str, &'static str, Markup);

impl Page {
    /// The page: HTML, style, script and pictures in one.
    ///
    /// # Errors
    /// If the facts about a stage cannot be written as JSON.
    pub fn html(&self) -> anyhow::Result<String> {
        let sections = self.sections();
        let facts = script_json(&self.stages).context("the stages")?;
        let behind = script_json(&self.behind()).context("the stages behind tables and figures")?;
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
                        nav { @for (id, _, entry, _) in &sections { a href={ "#" (id) } { (entry) } " " } }
                    }
                    main { @for (id, heading, _, content) in &sections { section id=(id) { h2 { (heading) } (content) } } }
                    dialog #origin { form method="dialog" { button aria-label="close" { "×" } } div {} }
                    script #facts type="application/json" { (PreEscaped(facts)) }
                    script #behind type="application/json" { (PreEscaped(behind)) }
                    script { (PreEscaped(include_str!("script.js"))) }
                }
            }
        };
        Ok(page.into_string())
    }

    /// The parts that have something to show.
    fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        if !self.tables.is_empty() {
            let hint = "Click a heading to sort by it. Click a number to see where it comes from.";
            let tables = html! { p.hint { (hint) } @for table in &self.tables { (table.markup()) } };
            sections.push(("tables", "Tables", "Tables", tables));
        }
        if !self.figures.is_empty() {
            let figures = html! { @for figure in &self.figures { (figure.markup(&self.stages)) } };
            let heading = if self.figures.iter().all(FigureView::is_curve) { "Curves" } else { "Figures" };
            sections.push(("figures", heading, heading, figures));
        }
        if !self.overlays.is_empty() {
            let numbered = self.overlays.iter().enumerate();
            let overlays = html! { @for (number, overlay) in numbered { (overlay.markup(number)) } };
            sections.push(("overlays", "Predictions", "Predictions", overlays));
        }
        if !self.models.is_empty() {
            let models = html! { @for models in &self.models { (models.markup()) } };
            sections.push(("models", "Models", "Models", models));
        }
        if !self.files.is_empty() {
            let files = html! { @for files in &self.files { (files.markup()) } };
            sections.push(("files", "Files", "Files", files));
        }
        if !self.data.is_empty() {
            let data = html! {
                @if let Some(leaks) = &self.leaks { (leaks.markup()) }
                @for set in &self.data { (set.markup()) }
            };
            sections.push(("data", "Data", "Data", data));
        }
        if !self.graph.is_empty() {
            sections.push(("stages", "Stages", "Stages", paper(&self.graph)));
        }
        if !self.timeline.is_empty() {
            let heading = "Timeline of the last run that ran a stage";
            sections.push(("timeline", heading, "Timeline", paper(&timeline::svg(&self.timeline))));
        }
        sections
    }

    /// The stages behind each label of each table and figure.
    fn behind(&self) -> BTreeMap<String, &[(String, Vec<String>)]> {
        let tables = self.tables.iter().map(|table| (table.file.clone(), table.stages.as_slice()));
        let figures = self.figures.iter().map(|figure| (figure.id(), figure.stages.as_slice()));
        tables.chain(figures).collect()
    }
}

/// An SVG picture on white.
fn paper(svg: &str) -> Markup {
    html! { figure.paper { (PreEscaped(svg)) } }
}

/// JSON inside of a `script` element, which a `</script>` in a name must not end.
fn script_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::steel;
    use super::*;
    use serde_json::json;

    fn page() -> Page {
        let stage = StageFacts { params: json!({"note": "</script>"}), ..StageFacts::default() };
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
            models: Vec::new(),
            files: vec![FilesView {
                file: "errors".into(),
                copies: vec![("errors/x@0/per_image.csv".into(), 2048)],
                stages: vec![("x".into(), vec!["test.x@0".into()])],
            }],
            data: vec![steel()],
            leaks: None,
            timeline: vec![Span {
                stage: "test.x@0".into(),
                kind: "evaluate".into(),
                begin: 0.0,
                end: 1.5,
                done: true,
            }],
            stages: [("test.x@0".to_owned(), stage)].into(),
            graph: "<svg></svg>".into(),
        }
    }

    #[test]
    fn the_page_loads_nothing_and_names_are_text() {
        let html = page().html().unwrap();
        for foreign in ["http://", "https://", "<link", "@import", "<title>A <b>", "<i>x</i>"] {
            let without_namespaces = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!without_namespaces.contains(foreign), "{foreign}");
        }
        assert_eq!(html.matches("</script>").count(), 3, "a name ends no script");
        assert!(html.contains("A &lt;b&gt;title") && html.contains("<strong>50.00</strong>"), "{html}");
        assert!(html.contains("data:image/png;base64,AQID") && html.contains("25.00 % (2)"));
        assert!(!html.contains("<?xml"));
        assert!(html.contains("<h2>Files</h2>") && html.contains("href=\"./errors/x%400/per_image.csv\""), "{html}");
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
        assert_eq!(json["data"][0]["state"], "found");
        assert_eq!(json["stages"]["test.x@0"]["params"]["note"], "</script>");
        assert_eq!(json.get("graph"), None);
        assert_eq!(json["files"][0]["copies"], json!([["errors/x@0/per_image.csv", 2048]]));
    }

    #[test]
    fn an_experiment_without_reports_has_an_empty_page() {
        let html = Page { title: "Nothing".into(), ..Page::default() }.html().unwrap();
        assert!(html.contains("Nothing") && !html.contains("<h2>"));
    }
}
