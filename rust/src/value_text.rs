//! Values as Python writes them: `str()` and `repr()`, which chat templates were written against.

use std::cell::Cell;
use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::budget::{check_growth, failed};
use crate::objects::{is_tuple, namespace_values, view, View};

/// Of values inside values.
pub const MAX_DEPTH: usize = 100;

thread_local! {
    // The marker of `marks`, which no escaping may touch.
    static MARKER: Cell<Option<char>> = const { Cell::new(None) };
}

pub fn set_marker(marker: Option<char>) {
    MARKER.with(|m| m.set(marker));
}

pub fn is_marker(c: char) -> bool {
    MARKER.with(|m| m.get() == Some(c))
}

/// `repr(float)`: the shortest digits that read back as the same number.
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}"); // shortest digits, d.ddde[-]x
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Python's number types: an integer, a float, or a bool (which `is_number` of minijinja leaves out).
pub fn number_text(value: &Value) -> String {
    if value.is_integer() {
        value.to_string()
    } else {
        f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float_repr)
    }
}

/// `str(value)`.
pub fn str_of(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Undefined => Ok(String::new()),
        _ => {
            let mut out = String::new();
            write_repr(value, 0, &mut out)?;
            Ok(out)
        }
    }
}

/// `repr(value)`.
pub fn write_repr(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(failed(format!("a value is nested more than {MAX_DEPTH} deep")));
    }
    check_growth(out.len(), 8)?;
    match value.kind() {
        ValueKind::None => out.push_str("None"),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => out.push_str(&number_text(value)),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            check_growth(out.len(), text.len())?;
            write_str_repr(text, out);
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_repr(&key, depth + 1, out)?;
                out.push_str(": ");
                write_repr(&value.get_item(&key)?, depth + 1, out)?;
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = match view(value) {
                _ if is_tuple(value) => ("(", ")"),
                View::No | View::Group => ("[", "]"),
                View::Keys => ("dict_keys([", "])"),
                View::Values => ("dict_values([", "])"),
                View::Items => ("dict_items([", "])"),
            };
            out.push_str(open);
            let mut items = 0;
            for item in value.try_iter()? {
                out.push_str(if items == 0 { "" } else { ", " });
                write_repr(&item, depth + 1, out)?;
                items += 1;
            }
            out.push_str(if is_tuple(value) && items == 1 { "," } else { "" });
            out.push_str(close);
        }
        _ => write_object(value, depth, out)?,
    }
    Ok(())
}

/// What is no data: Python writes its type (and an address, which nothing here has).
fn write_object(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    if let Some(values) = namespace_values(value) {
        out.push_str("<Namespace {");
        for (i, (name, value)) in values.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ", " });
            write_str_repr(name, out);
            out.push_str(": ");
            write_repr(value, depth + 1, out)?;
        }
        out.push_str("}>");
    } else if value.as_object().is_some_and(|o| o.type_name().starts_with("minijinja::")) {
        out.push_str(&value.to_string()); // a macro or a loop: its name
    } else {
        out.push_str("<object>");
    }
    Ok(())
}

pub fn is_printable(c: char) -> bool {
    let hidden = c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}'
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}');
    !hidden || is_marker(c)
}

fn write_str_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c)
            }
            c if is_printable(c) => out.push(c),
            c => {
                let code = c as u32;
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_python() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (1e100, "1e+100"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(float_repr(value), text);
        }
    }

    #[test]
    fn strings_as_python() {
        let mut out = String::new();
        for text in ["a", "it's", "\"it's\"", "\n\\", "\u{7f}\u{200b}é", "\u{10ffff}"] {
            write_str_repr(text, &mut out);
            out.push(' ');
        }
        assert_eq!(out, r#"'a' "it's" '"it\'s"' '\n\\' '\x7f\u200bé' '\U0010ffff' "#);
    }
}
