//! Chat templates: Jinja as the transformers library sets it up.

use std::collections::BTreeMap;
use std::fmt::Write;

use minijinja::machinery::{eval, make_string_output, parse, CodeGenerator, Instructions};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, Output, State, Value};
use serde_json::{Map, Value as Json};

use crate::call_args::to_kwargs;
use crate::error::{Error, Kind, Result};
use crate::marks::{self, Marker};
use crate::tokenizer::TextTokenizer;
use crate::value_text::{set_marker, str_of};
use crate::{
    budget, objects, python_methods, rewrite, strftime, template_filters, template_globals, template_tests,
    text_format,
};

const NAME: &str = "chat template";
const MAX_RECURSION: usize = 200;
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
        let syntax = syntax()?;
        let source = plain_generation_blocks(&one_kind_of_line_end(source));
        rewrite::check_chains(&source, &syntax)?;
        let source = rewrite::without_constants(&source, &syntax);
        let template = Template { source };
        template.program()?;
        Ok(template)
    }

    fn program(&self) -> Result<Program<'_>> {
        let parsed = parse(&self.source, NAME, syntax()?).map_err(|e| invalid(&e))?;
        let mut generator = CodeGenerator::new(NAME, &self.source);
        generator.compile_stmt(&parsed);
        let (main, blocks) = generator.finish();
        let blocks = blocks.iter().map(|(name, block)| (*name, rewrite::rewrite(block))).collect();
        Ok(Program { main: rewrite::rewrite(&main), blocks })
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
        let mut variables: Vec<(String, Value)> = Vec::new();
        variables.extend(trusted.iter().map(|(k, v)| (k.clone(), to_value(v, None))));
        variables.extend(untrusted.iter().map(|(k, v)| (k.clone(), to_value(v, marker.as_ref()))));
        set_marker(character);
        let text = self.run(Value::from_pairs(variables), input_bytes, request)?;
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
        budget::start(BASE_WORK_BYTES.saturating_add(input_bytes.saturating_mul(64)), max_text);
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
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .map_err(|e| invalid(&e))
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
        Json::Array(items) => objects::outside_list(items.iter().map(|v| to_value(v, marker)).collect()),
        Json::Object(map) => {
            objects::outside_dict(map.iter().map(|(k, v)| (text(k), to_value(v, marker))).collect())
        }
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

fn call_method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> std::result::Result<Value, minijinja::Error> {
    match (value.as_str(), method) {
        (Some(text), "format") => text_format::braces(text, args),
        (Some(text), "format_map") => {
            let pairs = args.first().map_or_else(|| Ok(Vec::new()), objects::pairs_of)?;
            let named = pairs.into_iter().map(|(k, v)| str_of(&k).map(|k| (k, v)));
            text_format::braces(text, &[to_kwargs(named.collect::<std::result::Result<_, _>>()?)])
        }
        _ => python_methods::call(state, value, method, args),
    }
}

fn environment<'e>(request: &Render) -> Environment<'e> {
    let mut env = Environment::empty();
    env.set_debug(false);
    env.set_recursion_limit(MAX_RECURSION);
    env.set_unknown_method_callback(call_method);
    env.set_formatter(|out: &mut Output, _: &mut State, value: &Value| {
        let text = str_of(value)?;
        budget::charge(text.len())?;
        out.write_str(&text).map_err(minijinja::Error::from)
    });
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
    rewrite::add_operators(&mut env);
    template_filters::add(&mut env);
    template_tests::add(&mut env);
    template_globals::add(&mut env);
    env
}

/// Jinja reads every line end as "\n" and drops the last one.
fn one_kind_of_line_end(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    source.strip_suffix('\n').map(str::to_owned).unwrap_or(source)
}

/// Of `raw %}...`: where the text in it ends, and whether it starts with a line end.
fn raw_block(tag: &str) -> Option<(usize, bool)> {
    let after_name = tag.strip_prefix("raw")?.trim_start_matches([' ', '\t', '\n']);
    let is_plain = after_name.starts_with("%}\n");
    let text = after_name.strip_prefix('-').unwrap_or(after_name).strip_prefix("%}")?;
    let is_end = |at: usize| {
        text[at + 2..]
            .trim_start_matches(['-', '+'])
            .trim_start_matches([' ', '\t', '\n'])
            .starts_with("endraw")
    };
    let end = text.match_indices("{%").map(|(at, _)| at).find(|&at| is_end(at))?;
    Some((tag.len() - text.len() + end, is_plain))
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
        if let Some((end, starts_line)) = raw_block(name) {
            out.push_str(&after[..after.len() - name.len()]);
            if starts_line {
                // minijinja would drop the first line end, which Jinja keeps.
                out.push_str("raw %}{% endraw %}{{ '\\n' }}{% raw %}");
                out.push_str(&name[name.find('\n').map_or(0, |at| at + 1)..end]);
            } else {
                out.push_str(&name[..end]);
            }
            rest = &name[end..];
            continue;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, variables: &Json) -> Result<String> {
        let messages = variables["messages"].to_string();
        let request = Render {
            trusted_json: "",
            messages_json: &messages,
            tools_json: "",
            documents_json: "",
            kwargs_json: &variables.to_string(),
            mark_for: None,
            now_unix_s: 0,
            now_is_local: false,
            max_bytes: 1 << 20,
        };
        Template::compile(source)?.render(&request).map(|rendered| rendered.text)
    }

    /// What Jinja2 renders, and that what it refuses is refused; testdata/make_jinja_cases.py wrote the cases.
    #[test]
    fn as_jinja2() {
        let file: Json = serde_json::from_str(include_str!("../testdata/jinja_cases.json")).unwrap();
        let mut wrong = Vec::new();
        for case in file["cases"].as_array().unwrap() {
            let source = case[0].as_str().unwrap();
            let rendered = render(source, &file["variables"]);
            if rendered.as_ref().ok().map(String::as_str) != case[1].as_str() {
                let actual = rendered.map_err(|e| e.message);
                wrong.push(format!("{source:?}\n   gave {actual:?}\n   want {:?}", case[1].as_str()));
            }
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }
}
