//! Methods of Python's str, dict and list. Those where minijinja-contrib's differ from Python's, or that it lacks, are
//! here; the others are its own.

use minijinja::formatting::FormatStyle;
use minijinja::value::{from_args, Kwargs, ValueKind};
use minijinja::{Error, State, Value};

use crate::budget::{charge, count_object, grow};
use crate::template_limits::format_text;
use crate::value_text::failed;

pub fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    count_object()?;
    if let Some(text) = value.as_str() {
        charge(text.len() + 64)?;
        if let Some(result) = str_method(text, method, args)? {
            return Ok(result);
        }
    } else if value.kind() == ValueKind::Map && method == "copy" {
        let () = from_args(args)?;
        return Ok(value.clone());
    } else if value.kind() == ValueKind::Seq && method == "index" {
        let (what,): (&Value,) = from_args(args)?;
        let at = value.try_iter()?.position(|item| item == *what);
        return at.map(Value::from).ok_or_else(|| failed("the value is not in the list"));
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

/// Python's str.isspace() of one character: Unicode's white space and four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn str_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" => strip(text, args, true, true)?,
        "lstrip" => strip(text, args, true, false)?,
        "rstrip" => strip(text, args, false, true)?,
        "split" => split(text, args, false)?,
        "rsplit" => split(text, args, true)?,
        "splitlines" => split_lines(text, args)?,
        "partition" | "rpartition" => partition(text, args, method == "rpartition")?,
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "replace" => replace(text, args)?,
        "join" => join(text, args)?,
        "format" => format_text(FormatStyle::StrFormat, text, args)?,
        "index" | "rindex" => {
            let (what,): (&str,) = from_args(args)?;
            let at = if method == "index" { text.find(what) } else { text.rfind(what) };
            Value::from(text[..at.ok_or_else(|| failed("substring not found"))?].chars().count())
        }
        "swapcase" => text
            .chars()
            .flat_map(|c| {
                if c.is_uppercase() {
                    c.to_lowercase().collect::<Vec<_>>()
                } else {
                    c.to_uppercase().collect()
                }
            })
            .collect::<String>()
            .into(),
        "casefold" => Value::from(text.to_lowercase()),
        "isspace" => Value::from(!text.is_empty() && text.chars().all(is_space)),
        "isdecimal" => Value::from(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())),
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            charge(width)?;
            let missing = width.saturating_sub(text.chars().count());
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => (&text[..1], digits),
                None => ("", text),
            };
            Value::from(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        "ljust" | "rjust" | "center" => justify(text, method, args)?,
        _ => return Ok(None),
    }))
}

fn strip(text: &str, args: &[Value], start: bool, end: bool) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let chars: Option<Vec<char>> = chars.map(|c| c.chars().collect());
    let drop = |c: char| chars.as_ref().map_or_else(|| is_space(c), |chars| chars.contains(&c));
    let text = if start { text.trim_start_matches(drop) } else { text };
    Ok(Value::from(if end { text.trim_end_matches(drop) } else { text }))
}

fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (sep, max, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let sep = sep.or(kwargs.get::<Option<Value>>("sep")?).filter(|s| !s.is_none());
    let max = max.or(kwargs.get::<Option<i64>>("maxsplit")?).filter(|&m| m >= 0);
    kwargs.assert_all_used()?;
    let parts = max.map_or(usize::MAX, |m| (m as usize).saturating_add(1));
    let pieces: Vec<&str> = match &sep {
        Some(sep) => {
            let sep = sep.as_str().ok_or_else(|| failed("must be str or None"))?;
            if sep.is_empty() {
                return Err(failed("empty separator"));
            }
            if from_right {
                let mut pieces: Vec<_> = text.rsplitn(parts, sep).collect();
                pieces.reverse();
                pieces
            } else {
                text.splitn(parts, sep).collect()
            }
        }
        None => split_white_space(text, parts, from_right),
    };
    charge(pieces.len().saturating_mul(32))?;
    Ok(pieces.into_iter().map(Value::from).collect())
}

fn split_white_space(text: &str, parts: usize, from_right: bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_matches(is_space);
    while !rest.is_empty() && pieces.len() + 1 < parts {
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(cut) = cut else { break };
        if from_right {
            let after = cut + rest[cut..].chars().next().map_or(0, char::len_utf8);
            pieces.push(&rest[after..]);
            rest = rest[..cut].trim_end_matches(is_space);
        } else {
            pieces.push(&rest[..cut]);
            rest = rest[cut..].trim_start_matches(is_space);
        }
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    if from_right {
        pieces.reverse();
    }
    pieces
}

fn split_lines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (keep, kwargs): (Option<bool>, Kwargs) = from_args(args)?;
    let keep = keep.or(kwargs.get::<Option<bool>>("keepends")?).unwrap_or(false);
    kwargs.assert_all_used()?;
    let is_break = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_break).unwrap_or(rest.len());
        let next = if rest[end..].starts_with("\r\n") {
            end + 2
        } else {
            end + rest[end..].chars().next().map_or(0, char::len_utf8)
        };
        lines.push(Value::from(if keep { &rest[..next] } else { &rest[..end] }));
        rest = &rest[next..];
    }
    charge(lines.len().saturating_mul(32))?;
    Ok(Value::from(lines))
}

fn partition(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (sep,): (&str,) = from_args(args)?;
    if sep.is_empty() {
        return Err(failed("empty separator"));
    }
    let found = if from_right { text.rsplit_once(sep) } else { text.split_once(sep) };
    let parts = match (found, from_right) {
        (Some((before, after)), _) => [before, sep, after],
        (None, false) => [text, "", ""],
        (None, true) => ["", "", text],
    };
    Ok(Value::from(minijinja::value::Tuple::from(parts.map(Value::from))))
}

pub fn replace(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (old, new, count, kwargs): (&str, &str, Option<i64>, Kwargs) = from_args(args)?;
    let count = count.or(kwargs.get::<Option<i64>>("count")?);
    kwargs.assert_all_used()?;
    let limit = count.filter(|&c| c >= 0).map_or(usize::MAX, |c| c as usize);
    let places = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }.min(limit);
    charge(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(Value::from(text.replacen(old, new, limit)))
}

fn join(separator: &str, args: &[Value]) -> Result<Value, Error> {
    let (values,): (&Value,) = from_args(args)?;
    let mut out = String::new();
    for (i, value) in values.try_iter()?.enumerate() {
        let text = value.as_str().ok_or_else(|| failed("join: every item must be a string"))?;
        let separator = if i == 0 { "" } else { separator };
        grow(&mut out, separator)?;
        grow(&mut out, text)?;
    }
    Ok(Value::from(out))
}

fn justify(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let fill = fill.unwrap_or(" ");
    if fill.chars().count() != 1 {
        return Err(failed("the fill character must be exactly one character long"));
    }
    charge(width.saturating_mul(4))?;
    let missing = width.saturating_sub(text.chars().count());
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        _ => missing / 2 + (missing & width & 1),
    };
    Ok(Value::from(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left))))
}
