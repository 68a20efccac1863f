//! Methods of Python's str.

use std::collections::HashSet;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::budget::{charge, failed, grow};
use crate::call_args::Args;
use crate::objects::{self, items_of, type_name, ITEM_BYTES};

type Result<T> = std::result::Result<T, Error>;
type Method = fn(&str, &Args) -> Result<Value>;

/// Name, parameters, how many of them are required, the method.
const METHODS: &[(&str, &[&str], usize, Method)] = &[
    ("capitalize", &[], 0, |t, _| Ok(capitalize(t).into())),
    ("casefold", &[], 0, |t, _| Ok(t.to_lowercase().replace('ß', "ss").into())),
    ("center", &["width", "fillchar"], 1, |t, a| {
        justify(t, a, |missing, width| missing / 2 + (missing & width & 1))
    }),
    ("count", &["sub", "start", "end"], 1, count),
    ("encode", &["encoding", "errors"], 0, |_, _| Err(failed("bytes are not supported"))),
    ("endswith", &["suffix", "start", "end"], 1, |t, a| begins_or_ends(t, a, |t, part| t.ends_with(part))),
    ("expandtabs", &["tabsize"], 0, expand_tabs),
    ("find", &["sub", "start", "end"], 1, |t, a| Ok(place(t, a, false)?.map_or(-1, |at| at as i64).into())),
    ("index", &["sub", "start", "end"], 1, |t, a| found(place(t, a, false)?)),
    ("isalnum", &[], 0, |t, _| all(t, char::is_alphanumeric)),
    ("isalpha", &[], 0, |t, _| all(t, char::is_alphabetic)),
    ("isascii", &[], 0, |t, _| Ok(t.is_ascii().into())),
    ("isdecimal", &[], 0, |t, _| all(t, is_decimal)),
    ("isdigit", &[], 0, |t, _| all(t, |c| is_decimal(c) || "²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉".contains(c))),
    ("isidentifier", &[], 0, |t, _| {
        let starts = t.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic());
        Ok((starts && t.chars().all(|c| c == '_' || c.is_alphanumeric())).into())
    }),
    ("islower", &[], 0, |t, _| {
        Ok((t.chars().any(char::is_lowercase) && !t.chars().any(is_upper_or_title)).into())
    }),
    ("isnumeric", &[], 0, |t, _| all(t, char::is_numeric)),
    ("isprintable", &[], 0, |t, _| Ok(t.chars().all(crate::value_text::is_printable).into())),
    ("isspace", &[], 0, |t, _| all(t, is_space)),
    ("istitle", &[], 0, |t, _| Ok(is_title(t).into())),
    ("isupper", &[], 0, |t, _| {
        Ok((t.chars().any(char::is_uppercase) && !t.chars().any(char::is_lowercase)).into())
    }),
    ("join", &["iterable"], 1, join),
    ("ljust", &["width", "fillchar"], 1, |t, a| justify(t, a, |_, _| 0)),
    ("lower", &[], 0, |t, _| Ok(t.to_lowercase().into())),
    ("lstrip", &["chars"], 0, |t, a| strip(t, a, true, false)),
    ("partition", &["sep"], 1, |t, a| partition(t, a, false)),
    ("removeprefix", &["prefix"], 1, |t, a| Ok(t.strip_prefix(a.text(0)?).unwrap_or(t).into())),
    ("removesuffix", &["suffix"], 1, |t, a| Ok(t.strip_suffix(a.text(0)?).unwrap_or(t).into())),
    ("replace", &["old", "new", "count"], 2, |t, a| replace(t, a.text(0)?, a.text(1)?, a.int(2, -1)?)),
    ("rfind", &["sub", "start", "end"], 1, |t, a| Ok(place(t, a, true)?.map_or(-1, |at| at as i64).into())),
    ("rindex", &["sub", "start", "end"], 1, |t, a| found(place(t, a, true)?)),
    ("rjust", &["width", "fillchar"], 1, |t, a| justify(t, a, |missing, _| missing)),
    ("rpartition", &["sep"], 1, |t, a| partition(t, a, true)),
    ("rsplit", &["sep", "maxsplit"], 0, |t, a| split(t, a, true)),
    ("rstrip", &["chars"], 0, |t, a| strip(t, a, false, true)),
    ("split", &["sep", "maxsplit"], 0, |t, a| split(t, a, false)),
    ("splitlines", &["keepends"], 0, |t, a| split_lines(t, a.truth(0))),
    ("startswith", &["prefix", "start", "end"], 1, |t, a| {
        begins_or_ends(t, a, |t, part| t.starts_with(part))
    }),
    ("strip", &["chars"], 0, |t, a| strip(t, a, true, true)),
    ("swapcase", &[], 0, |t, _| Ok(swap_case(t).into())),
    ("title", &[], 0, |t, _| Ok(title(t).into())),
    ("translate", &["table"], 1, translate),
    ("upper", &[], 0, |t, _| Ok(t.to_uppercase().into())),
    ("zfill", &["width"], 1, zero_fill),
];

pub fn exists(name: &str) -> bool {
    METHODS.iter().any(|(method, ..)| *method == name)
}

pub fn call(text: &str, name: &str, args: &[Value]) -> Result<Value> {
    let Some((_, names, required, method)) = METHODS.iter().find(|(method, ..)| *method == name) else {
        return Err(failed(format!("'str' object has no attribute '{name}'")));
    };
    method(text, &Args::bind(name, args, names, *required)?)
}

// ---- characters ----

/// Python's str.isspace() of one character: Unicode's white space and four separators of ASCII.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// A decimal digit of any script: Unicode's Nd come in runs of ten, whose first is a multiple of ten with the same
/// value of the last digit; the common runs are enough to name.
fn is_decimal(c: char) -> bool {
    c.is_ascii_digit()
        || matches!(c, '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' | '\u{7c0}'..='\u{7c9}' | '\u{966}'..='\u{96f}'
            | '\u{9e6}'..='\u{9ef}' | '\u{a66}'..='\u{a6f}' | '\u{ae6}'..='\u{aef}' | '\u{b66}'..='\u{b6f}'
            | '\u{be6}'..='\u{bef}' | '\u{c66}'..='\u{c6f}' | '\u{ce6}'..='\u{cef}' | '\u{d66}'..='\u{d6f}'
            | '\u{e50}'..='\u{e59}' | '\u{ed0}'..='\u{ed9}' | '\u{f20}'..='\u{f29}' | '\u{1040}'..='\u{1049}'
            | '\u{17e0}'..='\u{17e9}' | '\u{1810}'..='\u{1819}' | '\u{ff10}'..='\u{ff19}')
}

fn is_upper_or_title(c: char) -> bool {
    c.is_uppercase() || matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ')
}

fn all(text: &str, holds: fn(char) -> bool) -> Result<Value> {
    Ok((!text.is_empty() && text.chars().all(holds)).into())
}

/// str.capitalize(): the first character in title case, the others in lower case.
pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(title_case).unwrap_or_default();
    let rest = chars.as_str().to_lowercase();
    first + &rest
}

/// The character at the beginning of a word: of several capitals (ß) only the first.
fn title_case(c: char) -> String {
    let mut upper = c.to_uppercase();
    let first: String = upper.next().into_iter().collect();
    first + &upper.collect::<String>().to_lowercase()
}

fn title(text: &str) -> String {
    let mut after_letter = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if after_letter {
            out.extend(c.to_lowercase());
        } else {
            out.push_str(&title_case(c));
        }
        after_letter = c.is_lowercase() || c.is_uppercase();
    }
    out
}

fn is_title(text: &str) -> bool {
    let mut after_letter = false;
    let mut any = false;
    for c in text.chars() {
        if (c.is_uppercase() && after_letter) || (c.is_lowercase() && !after_letter) {
            return false;
        }
        after_letter = c.is_lowercase() || c.is_uppercase();
        any |= after_letter;
    }
    any
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| -> Vec<char> {
        if c.is_uppercase() {
            c.to_lowercase().collect()
        } else {
            c.to_uppercase().collect()
        }
    };
    text.chars().flat_map(swap).collect()
}

// ---- searching ----

/// Byte offsets of Python's [start:end] in the text; None where start lies behind the end.
fn window(text: &str, args: &Args) -> Result<Option<(usize, usize)>> {
    let has = |index: usize| args.some(index).is_some();
    if !has(1) && !has(2) {
        return Ok(Some((0, text.len())));
    }
    let len = text.chars().count() as i64;
    let clamp = |at: i64| if at < 0 { (at + len).max(0) } else { at };
    let start = if has(1) { clamp(args.int(1, 0)?) } else { 0 };
    let end = if has(2) { clamp(args.int(2, len)?).min(len) } else { len };
    if start > len || start > end {
        return Ok(None);
    }
    let byte = |at: i64| text.char_indices().nth(at as usize).map_or(text.len(), |(at, _)| at);
    Ok(Some((byte(start), byte(end))))
}

/// The place of the first (or last) occurrence, in characters.
fn place(text: &str, args: &Args, last: bool) -> Result<Option<usize>> {
    let Some((start, end)) = window(text, args)? else { return Ok(None) };
    let (part, inside) = (args.text(0)?, &text[start..end]);
    let at = if last { inside.rfind(part) } else { inside.find(part) };
    Ok(at.map(|at| text[..start + at].chars().count()))
}

fn found(place: Option<usize>) -> Result<Value> {
    place.map(Value::from).ok_or_else(|| failed("substring not found"))
}

fn count(text: &str, args: &Args) -> Result<Value> {
    let Some((start, end)) = window(text, args)? else { return Ok(0.into()) };
    let (part, inside) = (args.text(0)?, &text[start..end]);
    Ok(if part.is_empty() { inside.chars().count() + 1 } else { inside.matches(part).count() }.into())
}

fn begins_or_ends(text: &str, args: &Args, holds: fn(&str, &str) -> bool) -> Result<Value> {
    let wanted = args.get(0).cloned().unwrap_or_default();
    let parts = if objects::is_tuple(&wanted) { items_of(&wanted)? } else { vec![wanted] };
    let inside = window(text, args)?;
    for part in parts {
        let part = part.as_str().ok_or_else(|| {
            failed(format!("startswith/endswith arg must be str or a tuple of str, not {}", type_name(&part)))
        })?;
        if inside.is_some_and(|(start, end)| holds(&text[start..end], part)) {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

// ---- cutting and joining ----

fn strip(text: &str, args: &Args, start: bool, end: bool) -> Result<Value> {
    let chars: Option<HashSet<char>> = match args.some(0) {
        Some(_) => Some(args.text(0)?.chars().collect()),
        None => None,
    };
    let drop = |c: char| chars.as_ref().map_or_else(|| is_space(c), |chars| chars.contains(&c));
    let text = if start { text.trim_start_matches(drop) } else { text };
    Ok(if end { text.trim_end_matches(drop) } else { text }.into())
}

fn split(text: &str, args: &Args, from_right: bool) -> Result<Value> {
    let max = args.int(1, -1)?;
    let parts = if max < 0 { usize::MAX } else { (max as usize).saturating_add(1) };
    let pieces: Vec<&str> = match args.some(0) {
        Some(_) => {
            let separator = args.text(0)?;
            if separator.is_empty() {
                return Err(failed("empty separator"));
            }
            if from_right {
                let mut pieces: Vec<_> = text.rsplitn(parts, separator).collect();
                pieces.reverse();
                pieces
            } else {
                text.splitn(parts, separator).collect()
            }
        }
        None => split_white_space(text, parts, from_right),
    };
    objects::list(pieces.into_iter().map(Value::from).collect())
}

fn split_white_space(text: &str, parts: usize, from_right: bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest =
        if from_right { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
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

pub fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
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
        lines.push(if keep_ends { &rest[..next] } else { &rest[..end] });
        rest = &rest[next..];
    }
    lines
}

fn split_lines(text: &str, keep_ends: bool) -> Result<Value> {
    objects::list(lines(text, keep_ends).into_iter().map(Value::from).collect())
}

fn partition(text: &str, args: &Args, from_right: bool) -> Result<Value> {
    let separator = args.text(0)?;
    if separator.is_empty() {
        return Err(failed("empty separator"));
    }
    let found = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match (found, from_right) {
        (Some((before, after)), _) => [before, separator, after],
        (None, false) => [text, "", ""],
        (None, true) => ["", "", text],
    };
    objects::tuple(parts.map(Value::from).to_vec())
}

/// `count` below 0: all.
pub fn replace(text: &str, old: &str, new: &str, count: i64) -> Result<Value> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let places = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }.min(limit);
    charge(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, limit).into())
}

fn join(separator: &str, args: &Args) -> Result<Value> {
    let items = items_of(args.get(0).unwrap_or(&Value::UNDEFINED))?;
    let mut out = String::new();
    for (i, item) in items.iter().enumerate() {
        let text = item.as_str().ok_or_else(|| {
            failed(format!("sequence item {i}: expected str instance, {} found", type_name(item)))
        })?;
        grow(&mut out, if i == 0 { "" } else { separator })?;
        grow(&mut out, text)?;
    }
    Ok(out.into())
}

// ---- filling ----

fn justify(text: &str, args: &Args, left_of: fn(usize, usize) -> usize) -> Result<Value> {
    let (width, fill) = (args.size(0, 0)?, args.text_or(1, " ")?);
    if fill.chars().count() != 1 {
        return Err(failed("the fill character must be exactly one character long"));
    }
    charge(width.saturating_mul(fill.len()))?;
    let missing = width.saturating_sub(text.chars().count());
    let left = left_of(missing, width);
    Ok(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left)).into())
}

fn zero_fill(text: &str, args: &Args) -> Result<Value> {
    let width = args.size(0, 0)?;
    charge(width)?;
    let missing = width.saturating_sub(text.chars().count());
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    Ok(format!("{sign}{}{digits}", "0".repeat(missing)).into())
}

fn expand_tabs(text: &str, args: &Args) -> Result<Value> {
    let size = args.size(0, 8)?;
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        if c == '\t' {
            let blanks = if size == 0 { 0 } else { size - column % size };
            charge(blanks)?;
            out.push_str(&" ".repeat(blanks));
            column += blanks;
        } else {
            out.push(c);
            column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
        }
    }
    charge(out.len())?;
    Ok(out.into())
}

/// The table maps code points to code points, texts or None.
fn translate(text: &str, args: &Args) -> Result<Value> {
    let table = args.get(0).cloned().unwrap_or_default();
    charge(text.len() * ITEM_BYTES)?;
    let mut out = String::new();
    for c in text.chars() {
        let new = table.as_object().and_then(|o| o.get_value(&Value::from(c as u32)));
        match new {
            None => out.push(c),
            Some(new) if new.is_none() => {}
            Some(new) if new.kind() == ValueKind::String => grow(&mut out, new.as_str().unwrap_or_default())?,
            Some(new) => {
                let code = u32::try_from(new).ok().and_then(char::from_u32);
                out.push(code.ok_or_else(|| failed("character mapping must be in range(0x110000)"))?);
            }
        }
    }
    Ok(out.into())
}
