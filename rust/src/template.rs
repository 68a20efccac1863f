//! Chat templates: Jinja as the transformers library sets it up.

use std::collections::BTreeMap;
use std::fmt::Write;

use minijinja::machinery::{eval, make_string_output, parse, CodeGenerator, Instructions};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, Output, State, Value};
use serde_json::{Map, Value as Json};

use crate::error::{Error, Kind, Result};
use crate::marks::{self, Marker};
use crate::tokenizer::TextTokenizer;
use crate::value_text::{set_marker, str_of};
use crate::{budget, python_methods, strftime, template_filters, template_limits};

const NAME: &str = "chat template";
const MAX_RECURSION: usize = 200;
// Nested values are freed, compared and walked recursively: the stack must hold as many levels as there can be objects.
const STACK_BYTES: usize = 512 << 20;
const BASE_OBJECTS: usize = 1 << 18;
const MAX_OBJECTS: usize = 1 << 19;
const BASE_FUEL: u64 = 1 << 21;
const MAX_FUEL: u64 = 1 << 23;
const BASE_WORK_BYTES: usize = 256 << 20;
const BASE_TEXT_BYTES: usize = 4 << 20;

pub struct Template {
    source: String,
}

pub struct Render<'a> {
    pub trusted_json: &'a str,
    pub messages_json: &'a str,
    pub tools_json: &'a str,
    pub documents_json: &'a str,
    pub kwargs_json: &'a str,
    pub mark_for: Option<&'a TextTokenizer>,
    pub now_unix_s: i64,
    pub now_is_local: bool,
    pub max_bytes: usize,
}

pub struct Rendered {
    pub text: String,
    pub breaks: Vec<usize>,
}

struct Program<'s> {
    main: Instructions<'s>,
    blocks: BTreeMap<&'s str, Instructions<'s>>,
}

impl Template {
    pub fn compile(source: &str) -> Result<Template> {
        let source = template_limits::without_constant_products(&plain_generation_blocks(source), &syntax()?);
        let template = Template { source };
        template.program()?;
        Ok(template)
    }

    fn program(&self) -> Result<Program<'_>> {
        let parsed = parse(&self.source, NAME, syntax()?).map_err(|e| invalid(&e))?;
        let mut generator = CodeGenerator::new(NAME, &self.source);
        generator.compile_stmt(&parsed);
        let (main, blocks) = generator.finish();
        let blocks = blocks.iter().map(|(name, block)| (*name, template_limits::rewrite(block))).collect();
        Ok(Program { main: template_limits::rewrite(&main), blocks })
    }

    pub fn render(&self, request: &Render) -> Result<Rendered> {
        let trusted = object(request.trusted_json, "variables")?;
        let untrusted = untrusted_variables(request)?;
        let marker = request.mark_for.map(|tokenizer| {
            let used = |c: char| self.source.contains(c) || uses(&trusted, c) || uses(&untrusted, c);
            Marker::new(tokenizer.control_texts()?, used)
        });
        let marker = marker.transpose()?;
        let character = marker.as_ref().map(|m| m.character);
        let texts = [request.messages_json, request.tools_json, request.documents_json, request.kwargs_json];
        let input_bytes = texts.iter().map(|t| t.len()).sum();
        let work = || {
            let mut variables: Vec<(String, Value)> = Vec::new();
            variables.extend(trusted.iter().map(|(k, v)| (k.clone(), to_value(v, None))));
            variables.extend(untrusted.iter().map(|(k, v)| (k.clone(), to_value(v, marker.as_ref()))));
            set_marker(character);
            self.run(Value::from_pairs(variables), input_bytes, request)
        };
        let text = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
            let thread = thread
                .map_err(|e| Error::limit(format!("chat template: no thread could be started: {e}")))?;
            let panicked =
                |_| Err(Error { kind: Kind::Bug, message: "chat template: internal error".to_owned() });
            thread.join().unwrap_or_else(panicked)
        })?;
        match character {
            Some(character) => {
                let (text, breaks) = marks::unmark(&text, character);
                Ok(Rendered { text, breaks })
            }
            None => Ok(Rendered { text, breaks: Vec::new() }),
        }
    }

    fn run(&self, variables: Value, input_bytes: usize, request: &Render) -> Result<String> {
        let program = self.program()?;
        let max_text = BASE_TEXT_BYTES.saturating_add(input_bytes.saturating_mul(8)).min(request.max_bytes);
        let objects = (BASE_OBJECTS + input_bytes / 16).min(MAX_OBJECTS);
        budget::start(BASE_WORK_BYTES.saturating_add(input_bytes.saturating_mul(64)), objects, max_text);
        raised::clear();
        let mut environment = environment(request);
        environment.set_fuel(Some((BASE_FUEL + 8 * input_bytes as u64).min(MAX_FUEL)));
        let mut text = String::new();
        let mut output = make_string_output(&mut text);
        let done =
            eval(&environment, &program.main, variables, &program.blocks, &mut output, AutoEscape::None);
        drop(output);
        match done.map(|_| ()) {
            Ok(()) if text.len() <= request.max_bytes => Ok(text),
            Ok(()) => Err(Error::limit(format!(
                "chat template: the text is longer than {} bytes",
                request.max_bytes
            ))),
            Err(error) => Err(failure(&error)),
        }
    }
}

fn invalid(error: &minijinja::Error) -> Error {
    Error::invalid(format!("chat template: {}", sentence(error)))
}

/// As transformers sets Jinja up.
fn syntax() -> Result<SyntaxConfig> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| invalid(&e))
}

fn failure(error: &minijinja::Error) -> Error {
    if let Some(message) = raised::take() {
        return Error { kind: Kind::Raised, message };
    }
    let kind = if budget::was_exhausted() || error.kind() == ErrorKind::OutOfFuel {
        Kind::Limit
    } else {
        Kind::Unsupported
    };
    Error { kind, message: format!("chat template: {}", sentence(error)) }
}

/// minijinja's error with its causes and the line, on one line.
fn sentence(error: &minijinja::Error) -> String {
    let mut out = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if let Some(line) = error.line() {
        let _ = write!(out, " (line {line})");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let _ = write!(out, ": {error}");
        cause = error.source();
    }
    out.replace('\n', " ")
}

// ---- input ----

fn parse_json(json: &str, what: &str) -> Result<Json> {
    if json.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_str(json)
        .map_err(|e| Error::invalid(format!("chat input: {what} is not valid JSON: {e}")))
}

fn object(json: &str, what: &str) -> Result<Map<String, Json>> {
    match parse_json(json, what)? {
        Json::Null => Ok(Map::new()),
        Json::Object(map) => Ok(map),
        _ => Err(Error::invalid(format!("chat input: {what} is not a JSON object"))),
    }
}

fn untrusted_variables(request: &Render) -> Result<Map<String, Json>> {
    let mut variables = object(request.kwargs_json, "kwargs")?;
    let texts = [
        ("messages", request.messages_json),
        ("tools", request.tools_json),
        ("documents", request.documents_json),
    ];
    for (name, json) in texts {
        variables.insert(name.to_owned(), parse_json(json, name)?);
    }
    Ok(variables)
}

fn uses(map: &Map<String, Json>, c: char) -> bool {
    fn in_value(value: &Json, c: char) -> bool {
        match value {
            Json::String(text) => text.contains(c),
            Json::Array(items) => items.iter().any(|v| in_value(v, c)),
            Json::Object(map) => uses(map, c),
            _ => false,
        }
    }
    map.iter().any(|(key, value)| key.contains(c) || in_value(value, c))
}

fn to_value(json: &Json, marker: Option<&Marker>) -> Value {
    let text = |s: &str| Value::from(marker.map_or_else(|| s.to_owned(), |m| m.mark(s)));
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::from(i),
            (_, Some(u)) => Value::from(u),
            _ => Value::from(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => text(s),
        Json::Array(items) => items.iter().map(|v| to_value(v, marker)).collect::<Vec<_>>().into(),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(k, v)| (text(k), to_value(v, marker)))),
    }
}

// ---- transformers' set-up ----

/// What the template passed to raise_exception.
mod raised {
    use std::cell::RefCell;
    thread_local! {
        static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    pub fn clear() {
        MESSAGE.with(|m| m.borrow_mut().take());
    }
    pub fn set(message: String) {
        MESSAGE.with(|m| m.borrow_mut().replace(message));
    }
    pub fn take() -> Option<String> {
        MESSAGE.with(|m| m.borrow_mut().take())
    }
}

fn environment<'e>(request: &Render) -> Environment<'e> {
    let mut env = Environment::new();
    env.set_debug(false);
    env.set_recursion_limit(MAX_RECURSION);
    env.set_unknown_method_callback(python_methods::call);
    env.set_formatter(|out: &mut Output, _: &mut State, value: &Value| {
        let text = str_of(value)?;
        budget::charge(text.len())?;
        out.write_str(&text).map_err(minijinja::Error::from)
    });
    env.remove_global("debug");
    env.add_function("raise_exception", |message: &Value| -> std::result::Result<Value, minijinja::Error> {
        let message = str_of(message)?;
        raised::set(message.clone());
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    let (now, is_local) = (request.now_unix_s, request.now_is_local);
    env.add_function("strftime_now", move |format: &str| {
        strftime::format(format, now, is_local).ok_or_else(|| {
            minijinja::Error::new(ErrorKind::InvalidOperation, "strftime_now: this format cannot be written")
        })
    });
    template_filters::add(&mut env);
    env
}

/// transformers' `{% generation %}...{% endgeneration %}` marks what the model wrote and renders its text in a scope of
/// its own: the same as `{% with %}`.
fn plain_generation_blocks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find('{') {
        let after = &rest[open + 1..];
        let skip_to = |end: &str| after.find(end).map_or(rest.len(), |at| open + 1 + at + end.len());
        if after.starts_with('#') {
            let end = skip_to("#}");
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        out.push_str(&rest[..open + 1]);
        rest = after;
        let Some(tag) = after.strip_prefix('%') else { continue };
        let name = tag.trim_start_matches(['-', '+']).trim_start();
        let new_name = [("generation", "with"), ("endgeneration", "endwith")].into_iter().find(|(old, _)| {
            name.strip_prefix(old).is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        if let Some((old, new)) = new_name {
            out.push_str(&after[..after.len() - name.len()]);
            out.push_str(new);
            rest = &name[old.len()..];
        }
    }
    out.push_str(rest);
    out
}
