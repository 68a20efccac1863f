//! `json.dumps()` as Python's json module writes it, which chat templates were written against.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::budget::{check_growth, failed};
use crate::call_args::Args;
use crate::objects::type_name;
use crate::value_text::{is_marker, number_text, str_of, MAX_DEPTH};

const MAX_INDENT: usize = 64;

struct JsonStyle {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
}

/// The `tojson` filter: json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False).
pub fn tojson(value: &Value, args: &[Value]) -> Result<Value, Error> {
    let args = Args::bind("tojson", args, &["ensure_ascii", "indent", "separators", "sort_keys"], 0)?;
    let style = JsonStyle::from_args(&args)?;
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    Ok(out.into())
}

impl JsonStyle {
    fn from_args(args: &Args) -> Result<JsonStyle, Error> {
        let argument = |index: usize| args.some(index);
        let indent = match argument(1) {
            None => None,
            Some(v) if v.as_str().is_some() => Some(v.as_str().unwrap_or_default().to_owned()),
            Some(v) => {
                let width = i64::try_from(v.clone())?.max(0);
                Some(" ".repeat(usize::try_from(width).unwrap_or(0).min(MAX_INDENT + 1)))
            }
        };
        if indent.as_ref().is_some_and(|i| i.len() > MAX_INDENT) {
            return Err(failed(format!("tojson: indent is more than {MAX_INDENT}")));
        }
        let mut style = JsonStyle {
            ensure_ascii: argument(0).is_some_and(|v| v.is_true()),
            sort_keys: argument(3).is_some_and(|v| v.is_true()),
            item_separator: if indent.is_some() { "," } else { ", " }.to_owned(),
            key_separator: ": ".to_owned(),
            indent,
        };
        if let Some(separators) = argument(2) {
            let both: Vec<Value> = separators.try_iter()?.take(3).collect();
            let [item, key] = both.as_slice() else {
                return Err(failed("tojson: separators must be two texts"));
            };
            style.item_separator = str_of(item)?;
            style.key_separator = str_of(key)?;
        }
        Ok(style)
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            for _ in 0..depth {
                out.push_str(indent);
            }
        }
    }

    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(failed(format!("tojson: a value is nested more than {MAX_DEPTH} deep")));
        }
        check_growth(out.len(), 8 + value.as_str().map_or(0, str::len))?;
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&match &*number_text(value) {
                "nan" => "NaN".to_owned(),
                "inf" => "Infinity".to_owned(),
                "-inf" => "-Infinity".to_owned(),
                text => text.to_owned(),
            }),
            ValueKind::String => self.write_str(value.as_str().unwrap_or_default(), out),
            ValueKind::Map => self.write_map(value, depth, out)?,
            ValueKind::Seq => self.write_list(value, depth, out)?,
            _ => return Err(failed(format!("Object of type {} is not JSON serializable", type_name(value)))),
        }
        Ok(())
    }

    fn write_list(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        out.push('[');
        let mut items = 0;
        for item in value.try_iter()? {
            out.push_str(if items == 0 { "" } else { &self.item_separator });
            self.new_line(depth + 1, out);
            self.write(&item, depth + 1, out)?;
            items += 1;
        }
        if items > 0 {
            self.new_line(depth, out);
        }
        out.push(']');
        Ok(())
    }

    fn write_map(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        out.push('{');
        for (i, key) in keys.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { &self.item_separator });
            self.new_line(depth + 1, out);
            match key.kind() {
                ValueKind::String => self.write_str(key.as_str().unwrap_or_default(), out),
                ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                    out.push('"');
                    self.write(key, depth, out)?;
                    out.push('"');
                }
                kind => return Err(failed(format!("a key of type {kind} is not JSON serializable"))),
            }
            out.push_str(&self.key_separator);
            self.write(&value.get_item(key)?, depth + 1, out)?;
        }
        if !keys.is_empty() {
            self.new_line(depth, out);
        }
        out.push('}');
        Ok(())
    }

    fn write_str(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.ensure_ascii && (c as u32) > 0x7e && !is_marker(c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}
