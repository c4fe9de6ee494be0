//! The shape of a value: its JSON schema in a form that is easy to compare.
//!
//! Editors use the same schema: words, ranges and keys of parameters are written once, with the type. Keywords that
//! this module does not read are ignored; serde checks them afterwards.

use super::interval::Interval;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The allowed values.
#[derive(Debug)]
pub(super) struct Shape {
    /// The schema's `title`: a noun for messages if the form is not clear enough (`a colour: "#ff0000" or [255, 0,
    /// 0]`).
    title: Option<String>,
    pub(super) form: Form,
}

/// The kinds of values.
#[derive(Debug)]
pub(super) enum Form {
    /// Anything; serde checks it.
    Anything,
    Boolean,
    Text,
    /// One of a list of words.
    Words(Vec<String>),
    Number(Interval),
    List {
        items: Arc<Shape>,
        least: usize,
        most: usize,
    },
    Table(TableShape),
    /// One of several; none of them is itself a [`Form::Either`].
    Either(Vec<Arc<Shape>>),
}

/// The keys of a table.
#[derive(Debug)]
pub(super) struct TableShape {
    pub(super) known: BTreeMap<String, Arc<Shape>>,
    pub(super) required: Vec<String>,
    /// Shape of the value of an unknown key; `None` if unknown keys are not allowed.
    pub(super) others: Option<Arc<Shape>>,
}

impl Shape {
    /// The shape of `T`, computed once.
    pub(super) fn of<T: JsonSchema + 'static>() -> Arc<Shape> {
        static SHAPES: LazyLock<Mutex<HashMap<TypeId, Arc<Shape>>>> = LazyLock::new(Mutex::default);
        let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = || {
            let mut generator = SchemaSettings::draft2020_12().into_generator();
            let schema = T::json_schema(&mut generator).to_value();
            Compiler { definitions: &generator.take_definitions(true), done: BTreeMap::new() }.shape(&schema)
        };
        shapes.entry(TypeId::of::<T>()).or_insert_with(compiled).clone()
    }

    /// The allowed values as a noun: `a whole number`, `a string or a table`.
    pub(super) fn noun(&self) -> String {
        if let Some(title) = &self.title {
            return title.clone();
        }
        match &self.form {
            Form::Anything => "a value".into(),
            Form::Boolean => "`true` or `false`".into(),
            Form::Text | Form::Words(_) => "a string".into(),
            Form::Number(interval) => interval.noun().into(),
            Form::List { least, most, .. } if least == most => format!("a list of {least}"),
            Form::List { .. } => "a list".into(),
            Form::Table(table) if table.known.is_empty() => "a table".into(),
            Form::Table(_) => "a table `{ … }`".into(),
            Form::Either(shapes) => {
                let mut nouns: Vec<String> = Vec::new();
                for noun in shapes.iter().map(|shape| shape.noun()) {
                    if !nouns.contains(&noun) {
                        nouns.push(noun);
                    }
                }
                nouns.join(" or ")
            }
        }
    }

    /// The allowed words, if only some are allowed.
    pub(super) fn words(&self) -> &[String] {
        match &self.form {
            Form::Words(words) => words,
            Form::Either(shapes) if !shapes.iter().any(|shape| matches!(shape.form, Form::Text | Form::Anything)) => {
                shapes.iter().map(|shape| shape.words()).find(|words| !words.is_empty()).unwrap_or_default()
            }
            _ => &[],
        }
    }
}

/// Reads schemas that refer to common definitions.
struct Compiler<'s> {
    definitions: &'s Map<String, Value>,
    /// Definitions by name; `None` while one is being read.
    done: BTreeMap<String, Option<Arc<Shape>>>,
}

impl Compiler<'_> {
    fn shape(&mut self, schema: &Value) -> Arc<Shape> {
        let Value::Object(schema) = schema else { return anything() };
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            return self.definition(path.rsplit('/').next().unwrap_or_default());
        }
        let title = schema.get("title").and_then(Value::as_str).map(str::to_string);
        Arc::new(Shape { title, form: self.form(schema) })
    }

    fn definition(&mut self, name: &str) -> Arc<Shape> {
        match self.done.get(name) {
            Some(Some(shape)) => return shape.clone(),
            // A recursive type: no parameter has one, and serde would still read it.
            Some(None) => return anything(),
            None => {}
        }
        self.done.insert(name.to_string(), None);
        let definitions = self.definitions;
        let shape = definitions.get(name).map_or_else(anything, |schema| self.shape(schema));
        self.done.insert(name.to_string(), Some(shape.clone()));
        shape
    }

    fn form(&mut self, schema: &Map<String, Value>) -> Form {
        if schema.contains_key("properties") {
            return Form::Table(self.table(schema));
        }
        if let Some(Value::Array(parts)) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            return self.either(parts);
        }
        if let Some(words) = words_of(schema) {
            return Form::Words(words);
        }
        match schema.get("type") {
            Some(Value::String(one)) => self.of_type(one, schema),
            Some(Value::Array(types)) => {
                let forms = types.iter().filter_map(Value::as_str).filter(|name| *name != "null");
                let forms: Vec<Form> = forms.map(|name| self.of_type(name, schema)).collect();
                one_of(forms.into_iter().map(|form| Arc::new(Shape { title: None, form })).collect())
            }
            _ => Form::Anything,
        }
    }

    fn of_type(&mut self, name: &str, schema: &Map<String, Value>) -> Form {
        match name {
            "string" => Form::Text,
            "boolean" => Form::Boolean,
            "integer" => Form::Number(Interval::whole(schema)),
            "number" => Form::Number(Interval::real(schema)),
            "array" => {
                let count = |keyword: &str| schema.get(keyword).and_then(Value::as_u64).map(|count| count as usize);
                let items = schema.get("items").map_or_else(anything, |items| self.shape(items));
                Form::List {
                    items,
                    least: count("minItems").unwrap_or(0),
                    most: count("maxItems").unwrap_or(usize::MAX),
                }
            }
            "object" => Form::Table(self.table(schema)),
            _ => Form::Anything,
        }
    }

    fn table(&mut self, schema: &Map<String, Value>) -> TableShape {
        let properties = schema.get("properties").and_then(Value::as_object);
        let known = properties.into_iter().flatten().map(|(key, schema)| (key.clone(), self.shape(schema))).collect();
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let required = required.filter_map(Value::as_str).map(str::to_string).collect();
        // The keys of a flattened enum are only in its alternatives.
        let open = ["anyOf", "oneOf", "allOf"].iter().any(|keyword| schema.contains_key(*keyword));
        let others = schema.get("additionalProperties").or_else(|| schema.get("unevaluatedProperties"));
        let others = match others {
            Some(Value::Bool(false)) if !open => None,
            Some(schema) => Some(self.shape(schema)),
            None => Some(anything()),
        };
        TableShape { known, required, others }
    }

    fn either(&mut self, parts: &[Value]) -> Form {
        let null = |part: &&Value| part.get("type").and_then(Value::as_str) != Some("null");
        let shapes: Vec<Arc<Shape>> = parts.iter().filter(null).map(|part| self.shape(part)).collect();
        let mut flat = Vec::new();
        for shape in shapes {
            match &shape.form {
                Form::Either(inner) if shape.title.is_none() => flat.extend(inner.iter().cloned()),
                _ => flat.push(shape),
            }
        }
        one_of(flat)
    }
}

fn anything() -> Arc<Shape> {
    Arc::new(Shape { title: None, form: Form::Anything })
}

/// The words in `enum` and `const`.
fn words_of(schema: &Map<String, Value>) -> Option<Vec<String>> {
    let word = |value: &Value| value.as_str().map(str::to_string);
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![word(value)?]),
        (None, Some(Value::Array(values))) => values.iter().filter(|value| !value.is_null()).map(word).collect(),
        _ => None,
    }
}

/// One of `shapes`; lists of words become one list.
fn one_of(shapes: Vec<Arc<Shape>>) -> Form {
    let mut words: Vec<String> = Vec::new();
    let mut others = Vec::new();
    for shape in shapes {
        match &shape.form {
            Form::Words(more) if shape.title.is_none() => words.extend(more.iter().cloned()),
            _ => others.push(shape),
        }
    }
    match (others.is_empty(), words.is_empty()) {
        (true, true) => Form::Anything,
        (true, false) => Form::Words(words),
        (false, true) => Form::Either(others),
        (false, false) => {
            others.insert(0, Arc::new(Shape { title: None, form: Form::Words(words) }));
            Form::Either(others)
        }
    }
}
