//! Jinja's built-in filters of lists, maps and numbers, with all their arguments.

use std::cmp::Ordering;

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use crate::access::{get_attr, get_item};
use crate::budget::{charge, failed, grow};
use crate::call_args::{split, to_kwargs, Args};
use crate::objects::{self, items_of, type_name, ITEM_BYTES};
use crate::operators::{add, equal, int_value, order, Number};
use crate::value_text::str_of;

pub type Result<T> = std::result::Result<T, Error>;
pub type Filter = fn(&Value, &Args) -> Result<Value>;
pub type Row = (&'static str, &'static [&'static str], usize, Filter);

/// Name, parameters after the value, how many of them are required, the filter.
pub const FILTERS: &[Row] = &[
    ("abs", &[], 0, |v, _| match Number::of(v) {
        Some(Number::Int(i)) => Ok(int_value(i.saturating_abs())),
        Some(Number::Float(f)) => Ok(Value::from(f.abs())),
        None => Err(failed(format!("bad operand type for abs(): '{}'", type_name(v)))),
    }),
    ("attr", &["name"], 1, attr),
    ("batch", &["linecount", "fill_with"], 1, batch),
    ("count", &[], 0, length),
    ("d", &["default_value", "boolean"], 0, default),
    ("default", &["default_value", "boolean"], 0, default),
    ("dictsort", &["case_sensitive", "by", "reverse"], 0, dict_sort),
    ("first", &[], 0, |v, _| {
        objects::check_iterable(v)?;
        Ok(v.try_iter()?.next().unwrap_or_default())
    }),
    ("float", &["default"], 0, to_float),
    ("groupby", &["attribute", "default", "case_sensitive"], 1, group_by),
    ("int", &["default", "base"], 0, to_int),
    ("items", &[], 0, |v, _| {
        if v.is_undefined() {
            return objects::generator(Vec::new());
        }
        if v.kind() != ValueKind::Map {
            return Err(failed("Can only get item pairs from a mapping."));
        }
        let items = objects::pairs_of(v)?.into_iter().map(|(key, value)| objects::tuple(vec![key, value]));
        objects::generator(items.collect::<Result<_>>()?)
    }),
    ("join", &["d", "attribute"], 0, join),
    ("last", &[], 0, |v, _| {
        if objects::is_generator(v) {
            return Err(failed("'generator' object is not reversible"));
        }
        Ok(items_of(v)?.pop().unwrap_or_default())
    }),
    ("length", &[], 0, length),
    ("list", &[], 0, |v, _| objects::list(items_of(v)?)),
    ("max", &["case_sensitive", "attribute"], 0, |v, a| extreme(v, a, Ordering::Greater)),
    ("min", &["case_sensitive", "attribute"], 0, |v, a| extreme(v, a, Ordering::Less)),
    // One of the items; the same each time, so that equal conversations give equal prompts.
    ("random", &[], 0, |v, _| Ok(items_of(v)?.into_iter().next().unwrap_or_default())),
    ("reverse", &[], 0, |v, _| match v.as_str() {
        Some(text) => {
            charge(text.len())?;
            Ok(text.chars().rev().collect::<String>().into())
        }
        None => objects::generator(items_of(v)?.into_iter().rev().collect()),
    }),
    ("round", &["precision", "method"], 0, round),
    ("slice", &["slices", "fill_with"], 1, slice),
    ("sort", &["reverse", "case_sensitive", "attribute"], 0, sort),
    ("sum", &["attribute", "start"], 0, sum),
    ("unique", &["case_sensitive", "attribute"], 0, unique),
];

fn length(value: &Value, _: &Args) -> Result<Value> {
    match value.kind() {
        ValueKind::Undefined => Ok(0.into()),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().chars().count().into()),
        ValueKind::Seq | ValueKind::Map => Ok(value.len().unwrap_or(0).into()),
        _ => Err(failed(format!("object of type '{}' has no len()", type_name(value)))),
    }
}

fn default(value: &Value, args: &Args) -> Result<Value> {
    if value.is_undefined() || (args.truth(1) && !value.is_true()) {
        return Ok(args.get(0).cloned().unwrap_or_else(|| "".into()));
    }
    Ok(value.clone())
}

/// Attributes only, not items.
fn attr(value: &Value, args: &Args) -> Result<Value> {
    let name = str_of(args.get(0).unwrap_or(&Value::UNDEFINED))?;
    if value.is_undefined() {
        return get_attr(value, &name);
    }
    let has_attributes = value.kind() == ValueKind::Plain || crate::python_methods::exists(value, &name);
    if has_attributes {
        get_attr(value, &name)
    } else {
        Ok(Value::UNDEFINED)
    }
}

// ---- attributes of items ----

/// Jinja's make_attrgetter: "a.b.0" walks from item to item; what is undefined on the way becomes the default.
pub fn attribute_of(item: &Value, path: &Value, default: Option<&Value>) -> Result<Value> {
    let or_default =
        |value: Value| if value.is_undefined() { default.cloned().unwrap_or(value) } else { value };
    let Some(text) = path.as_str() else { return Ok(or_default(get_item(item, path)?)) };
    let mut value = item.clone();
    for part in text.split('.') {
        let is_index = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let index = part.parse::<i64>().ok().filter(|_| is_index).map(Value::from);
        value = or_default(get_item(&value, &index.unwrap_or_else(|| part.into()))?);
    }
    Ok(value)
}

/// What to compare an item by: its attributes if some are named, texts in lower case unless case matters.
struct Keys<'a> {
    attributes: Vec<Value>,
    default: Option<&'a Value>,
    case_sensitive: bool,
}

impl<'a> Keys<'a> {
    fn new(attribute: Option<&Value>, case_sensitive: bool) -> Keys<'a> {
        let attributes = match attribute.map(|a| (a, a.as_str())) {
            None => Vec::new(),
            Some((_, Some(text))) => text.split(',').map(Value::from).collect(),
            Some((other, None)) => vec![other.clone()],
        };
        Keys { attributes, default: None, case_sensitive }
    }

    fn folded(&self, value: Value) -> Value {
        match value.as_str() {
            Some(text) if !self.case_sensitive => text.to_lowercase().into(),
            _ => value,
        }
    }

    fn of(&self, item: &Value) -> Result<Value> {
        charge(16 + item.as_str().map_or(0, str::len))?;
        match self.attributes.as_slice() {
            [] => Ok(self.folded(item.clone())),
            [one] => Ok(self.folded(attribute_of(item, one, self.default)?)),
            several => {
                let parts =
                    several.iter().map(|a| attribute_of(item, a, self.default).map(|v| self.folded(v)));
                objects::tuple(parts.collect::<Result<_>>()?)
            }
        }
    }
}

/// Stable; an error of a comparison ends it.
fn sort_by_key(mut keyed: Vec<(Value, Value)>, reverse: bool) -> Result<Vec<(Value, Value)>> {
    let mut error = None;
    keyed.sort_by(|(a, _), (b, _)| {
        let ordering = order(a, b).unwrap_or_else(|e| {
            error.get_or_insert(e);
            Ordering::Equal
        });
        if reverse {
            ordering.reverse()
        } else {
            ordering
        }
    });
    error.map_or(Ok(keyed), Err)
}

fn keyed(values: &Value, keys: &Keys) -> Result<Vec<(Value, Value)>> {
    items_of(values)?.into_iter().map(|item| keys.of(&item).map(|key| (key, item))).collect()
}

fn sort(value: &Value, args: &Args) -> Result<Value> {
    let keyed = keyed(value, &Keys::new(args.some(2), args.truth(1)))?;
    objects::list(sort_by_key(keyed, args.truth(0))?.into_iter().map(|(_, item)| item).collect())
}

fn dict_sort(value: &Value, args: &Args) -> Result<Value> {
    let by = match args.text_or(1, "key")? {
        "key" => 0,
        "value" => 1,
        _ => return Err(failed("You can only sort by either \"key\" or \"value\"")),
    };
    if value.kind() != ValueKind::Map {
        return Err(failed(format!("'{}' object has no attribute 'items'", type_name(value))));
    }
    let keys = Keys::new(None, args.truth(0));
    let keyed = objects::pairs_of(value)?.into_iter().map(|(key, value)| {
        let by = keys.of(if by == 0 { &key } else { &value })?;
        Ok((by, objects::tuple(vec![key, value])?))
    });
    let sorted = sort_by_key(keyed.collect::<Result<_>>()?, args.truth(2))?;
    objects::list(sorted.into_iter().map(|(_, pair)| pair).collect())
}

fn extreme(value: &Value, args: &Args, wanted: Ordering) -> Result<Value> {
    let mut best: Option<(Value, Value)> = None;
    for (key, item) in keyed(
        value,
        &Keys { attributes: args.some(1).cloned().into_iter().collect(), ..Keys::new(None, args.truth(0)) },
    )? {
        let is_better = match &best {
            Some((other, _)) => order(&key, other)? == wanted,
            None => true,
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map(|(_, item)| item).unwrap_or_default())
}

fn unique(value: &Value, args: &Args) -> Result<Value> {
    let keys =
        Keys { attributes: args.some(1).cloned().into_iter().collect(), ..Keys::new(None, args.truth(0)) };
    let mut seen = std::collections::HashSet::new();
    let mut chosen = Vec::new();
    for (key, item) in keyed(value, &keys)? {
        objects::check_key(&key)?;
        if seen.insert(key) {
            chosen.push(item);
        }
    }
    objects::generator(chosen)
}

fn group_by(value: &Value, args: &Args) -> Result<Value> {
    let attribute = args.get(0).cloned().unwrap_or_default();
    let default = args.some(1);
    let keys = Keys { attributes: vec![attribute], default, case_sensitive: args.truth(2) };
    let sorted = sort_by_key(keyed(value, &keys)?, false)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in sorted {
        match groups.last_mut() {
            Some((last, items)) if equal(last, &key)? => items.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let group = |(key, items): (Value, Vec<Value>)| {
        // The key as the first item writes it.
        let written = match items.first() {
            Some(item) => attribute_of(item, &keys.attributes[0], default)?,
            None => key,
        };
        objects::group(written, objects::list(items)?)
    };
    objects::list(groups.into_iter().map(group).collect::<Result<_>>()?)
}

fn sum(value: &Value, args: &Args) -> Result<Value> {
    let mut total = args.get(1).cloned().unwrap_or_else(|| 0.into());
    if total.as_str().is_some() {
        return Err(failed("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    for item in items_of(value)? {
        let item = args.some(0).map_or_else(|| Ok(item.clone()), |path| attribute_of(&item, path, None))?;
        total = add(total, item)?;
    }
    Ok(total)
}

fn join(value: &Value, args: &Args) -> Result<Value> {
    let separator = args.get(0).map_or_else(|| Ok(String::new()), str_of)?;
    let mut out = String::new();
    for (i, item) in items_of(value)?.iter().enumerate() {
        let item = args.some(1).map_or_else(|| Ok(item.clone()), |path| attribute_of(item, path, None))?;
        grow(&mut out, if i == 0 { "" } else { &separator })?;
        grow(&mut out, &str_of(&item)?)?;
    }
    Ok(out.into())
}

fn batch(value: &Value, args: &Args) -> Result<Value> {
    let size = args.int(0, 0)?;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for item in items_of(value)? {
        match rows.last_mut() {
            Some(row) if (row.len() as i64) != size => row.push(item),
            _ => rows.push(vec![item]),
        }
    }
    if let (Some(fill), Some(row)) = (args.some(1), rows.last_mut()) {
        let size = usize::try_from(size).unwrap_or(0);
        charge(size.saturating_mul(ITEM_BYTES))?;
        row.resize(size.max(row.len()), fill.clone());
    }
    objects::generator(rows.into_iter().map(objects::list).collect::<Result<_>>()?)
}

fn slice(value: &Value, args: &Args) -> Result<Value> {
    let items = items_of(value)?;
    let slices = args.size(0, 0)?;
    if slices == 0 {
        return Err(failed("integer division or modulo by zero"));
    }
    charge(slices.saturating_mul(4 * ITEM_BYTES))?;
    let (each, extra) = (items.len() / slices, items.len() % slices);
    let mut at = 0;
    let mut out = Vec::new();
    for i in 0..slices {
        let end = at + each + usize::from(i < extra);
        let mut row = items[at..end].to_vec();
        if let Some(fill) = args.some(1).filter(|_| i >= extra) {
            row.push(fill.clone());
        }
        out.push(objects::list(row)?);
        at = end;
    }
    objects::generator(out)
}

// ---- numbers ----

/// Python's int(text, base); base 0 reads the prefix.
fn parse_int(text: &str, base: i64) -> Option<i128> {
    let text = text.trim_matches(crate::str_methods::is_space);
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find(|(prefix, of)| lower.starts_with(prefix) && (base == 0 || base == *of));
    let (digits, base) = match prefixed {
        Some((_, base)) => (&lower[2..], base),
        None => (&*lower, if base == 0 { 10 } else { base }),
    };
    let is_spaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if is_spaced || !(2..=36).contains(&base) || digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(&digits.replace('_', ""), base as u32).ok()?;
    Some(if negative { -value } else { value })
}

pub fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(crate::str_methods::is_space).to_ascii_lowercase();
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn fail_if_undefined(value: &Value) -> Result<()> {
    if value.is_undefined() {
        return Err(Error::new(
            minijinja::ErrorKind::UndefinedError,
            "the value of a number filter is undefined",
        ));
    }
    Ok(())
}

fn to_int(value: &Value, args: &Args) -> Result<Value> {
    fail_if_undefined(value)?;
    let default = || Ok(args.get(0).cloned().unwrap_or_else(|| 0.into()));
    let whole = |f: f64| (f.is_finite() && f.abs() < 1e38).then(|| int_value(f.trunc() as i128));
    match (value.as_str(), Number::of(value)) {
        (Some(text), _) => {
            charge(text.len())?;
            let parsed = parse_int(text, args.int(1, 10)?).map(int_value);
            parsed.or_else(|| parse_float(text).and_then(whole)).map_or_else(default, Ok)
        }
        (_, Some(Number::Int(i))) => Ok(int_value(i)),
        (_, Some(Number::Float(f))) => whole(f).map_or_else(default, Ok),
        _ => default(),
    }
}

fn to_float(value: &Value, args: &Args) -> Result<Value> {
    fail_if_undefined(value)?;
    let number = match value.as_str() {
        Some(text) => parse_float(text),
        None => Number::of(value).map(Number::float),
    };
    Ok(number.map_or_else(|| args.get(0).cloned().unwrap_or_else(|| 0.0.into()), Value::from))
}

/// Python's round(): half to even, of the decimal number that is written.
fn round_half_even(value: f64, precision: i64) -> f64 {
    if !value.is_finite() || precision > 300 {
        return value;
    }
    if let Ok(precision) = usize::try_from(precision) {
        // Rust writes the exact binary value rounded half to even, as Python does.
        return format!("{value:.precision$}").parse().unwrap_or(value);
    }
    let scale = 10f64.powi(i32::try_from(-precision).unwrap_or(400));
    (value / scale).round_ties_even() * scale
}

fn round(value: &Value, args: &Args) -> Result<Value> {
    let precision = args.int(0, 0)?;
    let method = args.text_or(1, "common")?;
    let number = Number::of(value)
        .ok_or_else(|| failed(format!("type {} doesn't define __round__ method", type_name(value))))?;
    match (method, number) {
        ("common", Number::Int(i)) if precision >= 0 => Ok(int_value(i)),
        ("common", Number::Int(i)) => Ok(int_value(round_half_even(i as f64, precision) as i128)),
        ("common", Number::Float(f)) => Ok(Value::from(round_half_even(f, precision))),
        ("ceil" | "floor", number) => {
            let scale = 10f64.powi(i32::try_from(precision).unwrap_or(0));
            let scaled = number.float() * scale;
            Ok(Value::from(if method == "ceil" { scaled.ceil() } else { scaled.floor() } / scale))
        }
        _ => Err(failed("method must be common, ceil or floor")),
    }
}

// ---- filters that apply filters and tests ----

fn missing_attribute() -> Error {
    failed("Missing parameter for attribute name")
}

pub fn map(state: &mut State, value: &Value, args: &[Value]) -> Result<Value> {
    let (positional, named) = split(args)?;
    let items = if value.is_true() { items_of(value)? } else { Vec::new() };
    let named_value = |name: &str| named.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    if positional.is_empty() {
        let path = named_value("attribute").ok_or_else(|| failed("map requires a filter argument"))?;
        if let Some((other, _)) = named.iter().find(|(n, _)| n != "attribute" && n != "default") {
            return Err(failed(format!("Unexpected keyword argument '{other}'")));
        }
        let default = named_value("default").filter(|v| !v.is_none());
        let mapped = items.iter().map(|item| attribute_of(item, path, default));
        return objects::generator(mapped.collect::<Result<_>>()?);
    }
    let name = str_of(&positional[0])?;
    let mapped = items.into_iter().map(|item| {
        let mut call = vec![item];
        call.extend_from_slice(&args[1..]);
        charge(64)?;
        state.apply_filter(&name, &call)
    });
    objects::generator(mapped.collect::<Result<_>>()?)
}

/// select, reject, selectattr, rejectattr.
pub fn select(
    state: &mut State,
    value: &Value,
    args: &[Value],
    by_attribute: bool,
    keep: bool,
) -> Result<Value> {
    let (positional, named) = split(args)?;
    let skipped = usize::from(by_attribute);
    if positional.len() < skipped {
        return Err(missing_attribute());
    }
    let items = if value.is_true() { items_of(value)? } else { Vec::new() };
    let mut chosen = Vec::new();
    for item in items {
        let tested = if by_attribute { attribute_of(&item, &positional[0], None)? } else { item.clone() };
        let holds = match positional.get(skipped) {
            None => tested.is_true(),
            Some(name) => {
                let mut call = vec![tested];
                call.extend_from_slice(&positional[skipped + 1..]);
                if !named.is_empty() {
                    call.push(to_kwargs(named.clone()));
                }
                charge(64)?;
                state.perform_test(&str_of(name)?, &call)?
            }
        };
        if holds == keep {
            chosen.push(item);
        }
    }
    objects::generator(chosen)
}
