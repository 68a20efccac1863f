//! Jinja's built-in filters of texts, with all their arguments.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::Value;

use crate::budget::{charge, failed};
use crate::call_args::{split, Args};
use crate::list_filters::{parse_float, Result, Row};
use crate::objects::{dict, items_of, pairs_of, tuple, type_name};
use crate::operators::{order, Number};
use crate::str_methods;
use crate::text_format::percent;
use crate::value_text::{str_of, write_repr};

/// Name, parameters after the value, how many of them are required, the filter.
pub const FILTERS: &[Row] = &[
    ("capitalize", &[], 0, |v, _| Ok(str_methods::capitalize(&charged(v)?).into())),
    ("center", &["width"], 0, |v, a| {
        str_methods::call(&str_of(v)?, "center", &[a.get(0).cloned().unwrap_or_else(|| 80.into())])
    }),
    ("e", &[], 0, |v, _| escape(&str_of(v)?)),
    ("escape", &[], 0, |v, _| escape(&str_of(v)?)),
    ("filesizeformat", &["binary"], 0, file_size),
    ("forceescape", &[], 0, |v, _| escape(&str_of(v)?)),
    ("indent", &["width", "first", "blank"], 0, indent),
    ("lower", &[], 0, |v, _| Ok(charged(v)?.to_lowercase().into())),
    ("pprint", &[], 0, |v, _| {
        let mut out = String::new();
        write_repr(&sorted_keys(v)?, 0, &mut out)?;
        Ok(out.into())
    }),
    ("replace", &["old", "new", "count"], 2, |v, a| {
        let text = |i: usize| a.get(i).map_or_else(|| Ok(String::new()), str_of);
        let count = if a.some(2).is_some() { a.int(2, -1)? } else { -1 };
        str_methods::replace(&str_of(v)?, &text(0)?, &text(1)?, count)
    }),
    ("safe", &[], 0, |v, _| Ok(charged(v)?.into())),
    ("string", &[], 0, |v, _| Ok(charged(v)?.into())),
    ("striptags", &[], 0, |v, _| Ok(strip_tags(&charged(v)?).into())),
    ("title", &[], 0, |v, _| Ok(title(&charged(v)?).into())),
    ("trim", &["chars"], 0, |v, a| str_methods::call(&str_of(v)?, "strip", a.some(0).cloned().as_slice())),
    ("truncate", &["length", "killwords", "end", "leeway"], 0, truncate),
    ("upper", &[], 0, |v, _| Ok(charged(v)?.to_uppercase().into())),
    ("urlencode", &[], 0, url_encode),
    ("wordcount", &[], 0, |v, _| {
        Ok(charged(v)?.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).count().into())
    }),
    ("wordwrap", &["width", "break_long_words", "wrapstring", "break_on_hyphens"], 0, word_wrap),
    ("xmlattr", &["autospace"], 0, xml_attributes),
];

/// The value's text, paid for twice: what comes out is about as long.
fn charged(value: &Value) -> Result<String> {
    let text = str_of(value)?;
    charge(2 * text.len())?;
    Ok(text)
}

/// Python's pprint writes a map by ascending keys.
fn sorted_keys(value: &Value) -> Result<Value> {
    if value.kind() != ValueKind::Map {
        return Ok(value.clone());
    }
    let mut pairs = pairs_of(value)?;
    pairs.sort_by(|(a, _), (b, _)| order(a, b).unwrap_or(std::cmp::Ordering::Equal));
    dict(pairs)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

fn escape(text: &str) -> Result<Value> {
    charge(5 * text.len())?;
    Ok(escaped(text).into())
}

/// Jinja's title(): a word begins after white space, - ( { [ <.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if str_methods::is_space(c) || "-({[<".contains(c) {
            begins = true;
            out.push(c);
        } else if std::mem::take(&mut begins) {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// `text % arguments`, which are positional or named.
pub fn format(value: &Value, args: &[Value]) -> Result<Value> {
    let (positional, named) = split(args)?;
    if !named.is_empty() && !positional.is_empty() {
        return Err(failed("can't handle positional and keyword arguments at the same time"));
    }
    let text = str_of(value)?;
    if named.is_empty() {
        return percent(&text, &tuple(positional.to_vec())?);
    }
    percent(&text, &dict(named.into_iter().map(|(name, value)| (name.into(), value)).collect())?)
}

fn indent(value: &Value, args: &Args) -> Result<Value> {
    let text = value
        .as_str()
        .ok_or_else(|| failed(format!("indent: the value must be str, not {}", type_name(value))))?;
    let margin = match args.get(0).and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => {
            let width = args.size(0, 4)?;
            charge(width)?;
            " ".repeat(width)
        }
    };
    let lines = str_methods::lines(text, false);
    charge((lines.len() + 2).saturating_mul(margin.len() + 1).saturating_add(text.len()))?;
    let mut out = if args.truth(1) { margin.clone() } else { String::new() };
    // Jinja adds a line break, so that a last one is followed by an empty line.
    let with_end = format!("{text}\n");
    for (i, line) in str_methods::lines(&with_end, false).into_iter().enumerate() {
        if i > 0 {
            out.push('\n');
            if args.truth(2) || !line.is_empty() {
                out.push_str(&margin);
            }
        }
        out.push_str(line);
    }
    Ok(out.into())
}

fn truncate(value: &Value, args: &Args) -> Result<Value> {
    let text = charged(value)?;
    let (length, end) = (args.size(0, 255)?, args.text_or(2, "...")?);
    let leeway = if args.some(3).is_some() { args.size(3, 5)? } else { 5 };
    let kept = length
        .checked_sub(end.chars().count())
        .ok_or_else(|| failed(format!("expected length >= {}, got {length}", end.chars().count())))?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text.into());
    }
    let head: String = text.chars().take(kept).collect();
    let head =
        if args.truth(1) { &*head } else { head.rsplit_once(' ').map_or(&*head, |(before, _)| before) };
    Ok(format!("{head}{end}").into())
}

fn file_size(value: &Value, args: &Args) -> Result<Value> {
    let bytes = match value.as_str() {
        Some(text) => parse_float(text),
        None => Number::of(value).map(Number::float),
    };
    let bytes = bytes.ok_or_else(|| failed("filesizeformat: the value is not a number"))?;
    let (base, names) = if args.truth(0) {
        (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"])
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes == 1.0 {
        return Ok("1 Byte".into());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()).into());
    }
    let mut unit: f64 = base;
    for (i, name) in names.iter().enumerate() {
        unit *= base;
        if bytes < unit || i + 1 == names.len() {
            return Ok(format!("{:.1} {name}", base * bytes / unit).into());
        }
    }
    Ok(Value::UNDEFINED)
}

/// MarkupSafe's striptags: comments and tags go, white space becomes single blanks, entities characters.
fn strip_tags(text: &str) -> String {
    let mut rest = text;
    let mut bare = String::new();
    while let Some(start) = rest.find('<') {
        let tag = &rest[start..];
        let end = if tag.starts_with("<!--") {
            tag.find("-->").map(|at| at + 3)
        } else {
            tag.find('>').map(|at| at + 1)
        };
        let Some(end) = end else { break };
        bare.push_str(&rest[..start]);
        rest = &tag[end..];
    }
    bare.push_str(rest);
    let words: Vec<&str> = bare.split(str_methods::is_space).filter(|word| !word.is_empty()).collect();
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&nbsp;", "\u{a0}"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(words.join(" "), |text, (entity, character)| text.replace(entity, character))
}

fn quote(text: &str, is_query: bool) -> Result<String> {
    charge(3 * text.len())?;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(byte as char),
            b'/' if !is_query => out.push('/'),
            b' ' if is_query => out.push('+'),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    Ok(out)
}

fn url_encode(value: &Value, _: &Args) -> Result<Value> {
    let is_pairs = value.kind() == ValueKind::Map;
    if value.as_str().is_some() || !(is_pairs || matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable))
    {
        return Ok(quote(&str_of(value)?, false)?.into());
    }
    let pairs: Vec<(Value, Value)> = if is_pairs {
        pairs_of(value)?
    } else {
        let pair = |item: &Value| match items_of(item)?.as_slice() {
            [key, value] => Ok((key.clone(), value.clone())),
            _ => Err(failed("urlencode: every item must be a pair")),
        };
        items_of(value)?.iter().map(pair).collect::<Result<_>>()?
    };
    let written =
        pairs.iter().map(|(k, v)| Ok(format!("{}={}", quote(&str_of(k)?, true)?, quote(&str_of(v)?, true)?)));
    Ok(written.collect::<Result<Vec<_>>>()?.join("&").into())
}

fn xml_attributes(value: &Value, args: &Args) -> Result<Value> {
    if value.kind() != ValueKind::Map {
        return Err(failed(format!("'{}' object has no attribute 'items'", type_name(value))));
    }
    let mut written = Vec::new();
    for (key, item) in pairs_of(value)? {
        let key = str_of(&key)?;
        if key.contains(|c: char| str_methods::is_space(c) || "/>=".contains(c)) {
            return Err(failed(format!("Invalid character in attribute name: '{key}'")));
        }
        if !item.is_none() && !item.is_undefined() {
            let item = str_of(&item)?;
            charge(5 * (key.len() + item.len()))?;
            written.push(format!("{}=\"{}\"", escaped(&key), escaped(&item)));
        }
    }
    let leads = !written.is_empty() && (args.get(0).is_none() || args.truth(0));
    Ok(format!("{}{}", if leads { " " } else { "" }, written.join(" ")).into())
}

// ---- wordwrap ----

/// Where a word may end after one of its hyphens: two word characters before, a letter and one more after.
fn inner_hyphen(word: &str) -> Option<usize> {
    word.match_indices('-').map(|(at, _)| at + 1).find(|&at| {
        let mut before = word[..at - 1].chars().rev();
        let mut after = word[at..].chars();
        before.next().is_some_and(is_word)
            && before.next().is_some_and(is_word)
            && after.next().is_some_and(char::is_alphabetic)
            && after.next().is_some_and(|c| is_word(c) || c == '-')
    })
}

/// The chunks that Python's textwrap may break between: runs of white space, and words cut after inner hyphens.
fn chunks(line: &str, on_hyphens: bool) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_blank = str_methods::is_space(first);
        let end = rest.find(|c| str_methods::is_space(c) != is_blank).unwrap_or(rest.len());
        let (mut run, after) = rest.split_at(end);
        let is_cut = on_hyphens && !is_blank;
        while let Some(cut) = inner_hyphen(run).filter(|_| is_cut) {
            out.push(&run[..cut]);
            run = &run[cut..];
        }
        out.push(run);
        rest = after;
    }
    out
}

fn wrap_line(line: &str, width: usize, break_long: bool, on_hyphens: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending: Vec<String> = chunks(line, on_hyphens).into_iter().rev().map(str::to_owned).collect();
    let count = |text: &str| text.chars().count();
    while !pending.is_empty() {
        let (mut current, mut used) = (Vec::<String>::new(), 0);
        let is_blank = |text: &String| text.chars().all(str_methods::is_space);
        if !lines.is_empty() && pending.last().is_some_and(is_blank) {
            pending.pop();
        }
        while pending.last().is_some_and(|next| used + count(next) <= width) {
            used += pending.last().map_or(0, |next| count(next));
            current.extend(pending.pop());
        }
        if let Some(long) = pending.last().filter(|next| count(next) > width).cloned() {
            let room = width.saturating_sub(used).max(usize::from(width == 0));
            pending.pop();
            if break_long {
                let head: String = long.chars().take(room).collect();
                pending.push(long.chars().skip(room).collect());
                current.push(head);
            } else if current.is_empty() {
                current.push(long);
            } else {
                pending.push(long);
            }
        }
        if current.last().is_some_and(is_blank) {
            current.pop();
        }
        if !current.is_empty() {
            lines.push(current.concat());
        }
    }
    lines
}

fn word_wrap(value: &Value, args: &Args) -> Result<Value> {
    if value.as_str().is_none() {
        return Err(failed(format!("'{}' object has no attribute 'splitlines'", type_name(value))));
    }
    let text = charged(value)?;
    let width = args.size(0, 79)?;
    if width == 0 {
        return Err(failed("invalid width 0 (must be > 0)"));
    }
    let break_long = args.get(1).is_none_or(Value::is_true);
    let on_hyphens = args.get(3).is_none_or(Value::is_true);
    let wrap = if args.some(2).is_some() { args.text(2)? } else { "\n" };
    charge(text.len().saturating_mul(64).saturating_add(text.len().saturating_mul(wrap.len())))?;
    let wrapped = str_methods::lines(&text, false).into_iter();
    let lines: Vec<String> =
        wrapped.map(|line| wrap_line(line, width, break_long, on_hyphens).join(wrap)).collect();
    Ok(lines.join(wrap).into())
}
