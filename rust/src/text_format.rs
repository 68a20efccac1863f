//! Python's two ways to format a text: `'%s' % x` and `'{}'.format(x)`.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::access::{get_attr, get_item};
use crate::budget::{charge, exhausted, failed, grow};
use crate::call_args::split;
use crate::objects::{is_tuple, items_of, type_name};
use crate::operators::Number;
use crate::python_methods::exists;
use crate::value_text::{float_repr, str_of, write_repr};

type Result<T> = std::result::Result<T, Error>;

const MAX_WIDTH: usize = 1 << 20;
const MAX_PRECISION: usize = 1000;

/// `[[fill]align][sign][#][0][width][,][.precision][type]`, of which '%' has a part.
#[derive(Clone, Debug, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn repr_of(value: &Value) -> Result<String> {
    let mut out = String::new();
    write_repr(value, 0, &mut out)?;
    Ok(out)
}

fn ascii_of(value: &Value) -> Result<String> {
    let mut out = String::new();
    for c in repr_of(value)?.chars() {
        match c as u32 {
            0..=0x7f => out.push(c),
            code @ 0x80..=0xff => out.push_str(&format!("\\x{code:02x}")),
            code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    Ok(out)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }
    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
    fn eat(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        self.peek().filter(|&c| wanted(c)).and_then(|_| self.next())
    }
    fn number(&mut self, max: usize) -> Result<Option<usize>> {
        let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if number.is_empty() {
            return Ok(None);
        }
        // A width or precision could ask for any amount of memory.
        number.parse().ok().filter(|n| *n <= max).map(Some).ok_or_else(|| exhausted("wider text"))
    }
}

impl Spec {
    fn parse(text: &str) -> Result<Spec> {
        let mut spec = Spec::default();
        let mut reader = Reader { rest: text };
        let mut first_two = text.chars();
        let is_align = |c: char| "<>=^".contains(c);
        if let (Some(fill), Some(align)) = (first_two.next(), first_two.next().filter(|&c| is_align(c))) {
            (spec.fill, spec.align) = (Some(fill), Some(align));
            reader.rest = first_two.as_str();
        } else {
            spec.align = reader.eat(is_align);
        }
        spec.sign = reader.eat(|c| "+- ".contains(c));
        spec.alternate = reader.eat(|c| c == '#').is_some();
        if reader.eat(|c| c == '0').is_some() && spec.align.is_none() {
            (spec.fill, spec.align) = (Some('0'), Some('='));
        }
        spec.width = reader.number(MAX_WIDTH)?.unwrap_or(0);
        spec.group = reader.eat(|c| ",_".contains(c));
        if reader.eat(|c| c == '.').is_some() {
            let precision = reader.number(MAX_PRECISION)?;
            spec.precision = Some(precision.ok_or_else(|| failed("Format specifier missing precision"))?);
        }
        spec.kind = reader.next();
        if !reader.rest.is_empty() {
            return Err(failed("Invalid format specifier"));
        }
        Ok(spec)
    }

    /// Sign, digits and all, made `width` wide.
    fn pad(&self, sign: &str, body: &str, default_align: char) -> Result<String> {
        charge(self.width.saturating_mul(4).saturating_add(body.len()))?;
        let missing = self.width.saturating_sub(sign.chars().count() + body.chars().count());
        let fill = |n: usize| self.fill.unwrap_or(' ').to_string().repeat(n);
        Ok(match self.align.unwrap_or(default_align) {
            '<' => format!("{sign}{body}{}", fill(missing)),
            '^' => format!("{}{sign}{body}{}", fill(missing / 2), fill(missing - missing / 2)),
            '=' => format!("{sign}{}{body}", fill(missing)),
            _ => format!("{}{sign}{body}", fill(missing)),
        })
    }

    fn sign_of(&self, negative: bool) -> &'static str {
        match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        }
    }

    fn text(&self, text: &str) -> Result<String> {
        let cut: String = match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        };
        self.pad("", &cut, '<')
    }

    fn int(&self, value: i128) -> Result<String> {
        let size = value.unsigned_abs();
        let (prefix, digits) = match self.kind {
            Some('b') => ("0b", format!("{size:b}")),
            Some('o') => ("0o", format!("{size:o}")),
            Some('x') => ("0x", format!("{size:x}")),
            Some('X') => ("0X", format!("{size:X}")),
            _ => ("", size.to_string()),
        };
        let every = if matches!(self.kind, Some('b' | 'o' | 'x' | 'X')) { 4 } else { 3 };
        let prefix = if self.alternate { prefix } else { "" };
        let sign = format!("{}{prefix}", self.sign_of(value < 0));
        self.pad(&sign, &self.grouped(&digits, every), '>')
    }

    fn grouped(&self, digits: &str, every: usize) -> String {
        let Some(separator) = self.group else { return digits.to_owned() };
        let mut out = String::new();
        for (i, c) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i) % every == 0 {
                out.push(separator);
            }
            out.push(c);
        }
        out
    }

    fn float(&self, value: f64) -> Result<String> {
        let kind = self.kind.unwrap_or(if self.precision.is_some() { 'g' } else { 'r' });
        let size = value.abs();
        let precision = self.precision.unwrap_or(6);
        let body = match kind {
            _ if value.is_nan() => "nan".to_owned(),
            _ if value.is_infinite() => "inf".to_owned(),
            'f' | 'F' => format!("{size:.precision$}"),
            '%' => format!("{:.precision$}%", size * 100.0),
            'e' | 'E' => scientific(size, precision),
            'r' => float_repr(size),
            _ => {
                let text = general(size, precision.max(1), self.alternate);
                // Without a type a float keeps one decimal.
                if self.kind.is_none() && !text.contains(['.', 'e']) {
                    text + ".0"
                } else {
                    text
                }
            }
        };
        let body = match body.find(['.', 'e', '%']).map(|at| body.split_at(at)) {
            Some((whole, rest)) => self.grouped(whole, 3) + rest,
            None if value.is_finite() => self.grouped(&body, 3),
            None => body,
        };
        let body = if matches!(kind, 'E' | 'F' | 'G') { body.to_uppercase() } else { body };
        self.pad(self.sign_of(value.is_sign_negative() && !value.is_nan()), &body, '>')
    }

    /// `format(value, spec)`.
    fn format(&self, value: &Value) -> Result<String> {
        let unknown = |kind: char| {
            failed(format!("Unknown format code '{kind}' for object of type '{}'", type_name(value)))
        };
        if value.kind() == ValueKind::Bool && self.kind.is_none() && self.width == 0 {
            return str_of(value);
        }
        match (Number::of(value), self.kind) {
            (Some(Number::Int(i)), None | Some('d' | 'b' | 'o' | 'x' | 'X' | 'n')) => self.int(i),
            (Some(Number::Int(i)), Some('c')) => {
                let c = u32::try_from(i).ok().and_then(char::from_u32);
                self.pad("", &c.ok_or_else(|| failed("%c arg not in range(0x110000)"))?.to_string(), '<')
            }
            (Some(number), Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => self.float(number.float()),
            (Some(Number::Float(f)), None) => self.float(f),
            (Some(_), Some(kind)) => Err(unknown(kind)),
            (None, None | Some('s')) => self.text(&str_of(value)?),
            (None, Some(kind)) => Err(unknown(kind)),
        }
    }
}

fn scientific(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn general(size: f64, precision: usize, keep_zeros: bool) -> String {
    let rounded = format!("{size:.*e}", precision - 1);
    let exponent: i32 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let is_plain = (-4..precision as i32).contains(&exponent);
    let text = if is_plain {
        format!("{size:.*}", usize::try_from(precision as i32 - 1 - exponent).unwrap_or(0))
    } else {
        scientific(size, precision - 1)
    };
    if keep_zeros || !text.contains('.') {
        return text;
    }
    let (mantissa, rest) = text.find('e').map_or((&*text, ""), |at| text.split_at(at));
    format!("{}{rest}", mantissa.trim_end_matches('0').trim_end_matches('.'))
}

// ---- '%' ----

/// `format % values`: a tuple's items in turn, or a map's values by name, or the one value.
pub fn percent(format: &str, values: &Value) -> Result<Value> {
    let by_position = if is_tuple(values) { items_of(values)? } else { vec![values.clone()] };
    let mut next = by_position.iter();
    let mut by_name = false;
    let mut reader = Reader { rest: format };
    let mut out = String::new();
    while let Some(at) = reader.rest.find('%') {
        grow(&mut out, &reader.rest[..at])?;
        reader.rest = &reader.rest[at + 1..];
        let mut value = None;
        if reader.rest.starts_with('(') {
            let end = reader.rest.find(')').ok_or_else(|| failed("incomplete format key"))?;
            if values.kind() != ValueKind::Map {
                return Err(failed("format requires a mapping"));
            }
            value = Some(get_item(values, &Value::from(&reader.rest[1..end]))?);
            by_name = true;
            reader.rest = &reader.rest[end + 1..];
        }
        let mut spec = Spec { align: Some('>'), ..Spec::default() };
        while let Some(flag) = reader.eat(|c| "#0- +".contains(c)) {
            match flag {
                '#' => spec.alternate = true,
                '-' => spec.align = Some('<'),
                '0' if spec.align != Some('<') => (spec.fill, spec.align) = (Some('0'), Some('=')),
                '+' | ' ' if spec.sign != Some('+') => spec.sign = Some(flag),
                _ => {}
            }
        }
        if reader.peek() == Some('*') {
            return Err(failed("a width of * is not supported"));
        }
        spec.width = reader.number(MAX_WIDTH)?.unwrap_or(0);
        if reader.eat(|c| c == '.').is_some() {
            spec.precision = Some(reader.number(MAX_PRECISION)?.unwrap_or(0));
        }
        reader.eat(|c| "hlL".contains(c));
        let kind = reader.next().ok_or_else(|| failed("incomplete format"))?;
        if kind == '%' {
            grow(&mut out, "%")?;
            continue;
        }
        let value = value.or_else(|| next.next().cloned());
        let value = value.ok_or_else(|| failed("not enough arguments for format string"))?;
        grow(&mut out, &converted(&mut spec, kind, &value)?)?;
    }
    grow(&mut out, reader.rest)?;
    if next.next().is_some() && !by_name && values.kind() != ValueKind::Map {
        return Err(failed("not all arguments converted during string formatting"));
    }
    Ok(out.into())
}

fn converted(spec: &mut Spec, kind: char, value: &Value) -> Result<String> {
    let number = || {
        Number::of(value)
            .ok_or_else(|| failed(format!("%{kind} format: a number is required, not {}", type_name(value))))
    };
    let mut text = |text: String| {
        if spec.fill == Some('0') {
            (spec.fill, spec.align) = (None, Some('>'));
        }
        spec.text(&text)
    };
    match kind {
        's' => text(str_of(value)?),
        'r' => text(repr_of(value)?),
        'a' => text(ascii_of(value)?),
        'c' => match value.as_str() {
            Some(one) if one.chars().count() == 1 => text(one.to_owned()),
            _ => {
                let code = u32::try_from(value.clone()).ok().and_then(char::from_u32);
                text(code.ok_or_else(|| failed("%c requires int or char"))?.to_string())
            }
        },
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            let whole = match number()? {
                Number::Int(i) => i,
                Number::Float(f) if "diu".contains(kind) && f.is_finite() && f.abs() < 1e38 => f as i128,
                Number::Float(_) => {
                    return Err(failed(format!("%{kind} format: an integer is required, not float")))
                }
            };
            spec.kind = Some(if "iu".contains(kind) { 'd' } else { kind });
            let digits = spec.precision.take().unwrap_or(0);
            if digits > 0 {
                let size = Spec { kind: spec.kind, ..Spec::default() }.int(whole.abs())?;
                let padded = format!("{}{size}", "0".repeat(digits.saturating_sub(size.len())));
                return spec.pad(spec.sign_of(whole < 0), &padded, '>');
            }
            spec.int(whole)
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            spec.kind = Some(kind);
            spec.float(number()?.float())
        }
        _ => Err(failed(format!("unsupported format character '{kind}'"))),
    }
}

// ---- str.format ----

struct Fields<'a> {
    positional: &'a [Value],
    named: Vec<(String, Value)>,
    next: usize,
}

pub fn braces(format: &str, args: &[Value]) -> Result<Value> {
    let (positional, named) = split(args)?;
    let mut fields = Fields { positional, named, next: 0 };
    Ok(fields.fill(format, 2)?.into())
}

impl Fields<'_> {
    fn fill(&mut self, format: &str, levels: usize) -> Result<String> {
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            grow(&mut out, &rest[..at])?;
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                grow(&mut out, brace)?;
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(failed("Single '}' encountered in format string"));
            }
            let end = closing(rest).ok_or_else(|| failed("expected '}' before end of string"))?;
            let written = self.field(&rest[..end], levels)?;
            grow(&mut out, &written)?;
            rest = &rest[end + 1..];
        }
        grow(&mut out, rest)?;
        Ok(out)
    }

    /// `name!conversion:spec`.
    fn field(&mut self, field: &str, levels: usize) -> Result<String> {
        if levels == 0 {
            return Err(failed("Max string recursion exceeded"));
        }
        let name_end = field.find(['!', ':']).unwrap_or(field.len());
        let (name, rest) = field.split_at(name_end);
        let mut value = self.value(name)?;
        let (conversion, spec) = match rest.strip_prefix('!') {
            Some(rest) => rest.split_once(':').map_or((rest, ""), |(conversion, spec)| (conversion, spec)),
            None => ("", rest.strip_prefix(':').unwrap_or("")),
        };
        match conversion {
            "" => {}
            "s" => value = str_of(&value)?.into(),
            "r" => value = repr_of(&value)?.into(),
            "a" => value = ascii_of(&value)?.into(),
            other => return Err(failed(format!("Unknown conversion specifier '{other}'"))),
        }
        let spec = if spec.contains('{') { self.fill(spec, levels - 1)? } else { spec.to_owned() };
        Spec::parse(&spec)?.format(&value)
    }

    fn value(&mut self, name: &str) -> Result<Value> {
        let first_end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut path) = name.split_at(first_end);
        let index = if first.is_empty() {
            self.next += 1;
            Some(self.next - 1)
        } else {
            first.parse::<usize>().ok()
        };
        let mut value = match index {
            Some(index) => self.positional.get(index).cloned(),
            None => self.named.iter().find(|(n, _)| n == first).map(|(_, value)| value.clone()),
        }
        .ok_or_else(|| failed(format!("Replacement '{name}' has no argument")))?;
        while !path.is_empty() {
            if let Some(rest) = path.strip_prefix('[') {
                let (key, after) =
                    rest.split_once(']').ok_or_else(|| failed("Missing ']' in format string"))?;
                let key = key.parse::<i64>().map_or_else(|_| Value::from(key), Value::from);
                value = get_item(&value, &key)?;
                path = after;
            } else {
                let rest = path.trim_start_matches('.');
                let (attribute, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
                let has_attributes = value.kind() == ValueKind::Plain || exists(&value, attribute);
                if !has_attributes {
                    return Err(failed(format!(
                        "'{}' object has no attribute '{attribute}'",
                        type_name(&value)
                    )));
                }
                value = get_attr(&value, attribute)?;
                path = after;
            }
        }
        Ok(value)
    }
}

/// The end of a field, of which the format may hold further fields.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
