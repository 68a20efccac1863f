//! `value.name`, `value[key]` and `value[a:b:c]` as Jinja asks Python for them.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::budget::{charge, failed};
use crate::objects::{self, is_tuple, items_of};
use crate::operators::{contains, int_value, Number};
use crate::python_methods;
use crate::value_text::str_of;

type Result<T> = std::result::Result<T, Error>;

fn undefined_receiver(value: &Value, what: &str) -> Result<()> {
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, format!("undefined value has no {what}")));
    }
    Ok(())
}

/// `value.name`: an attribute first, then an item.
pub fn get_attr(value: &Value, name: &str) -> Result<Value> {
    undefined_receiver(value, &format!("attribute '{name}'"))?;
    if python_methods::exists(value, name) {
        let method = objects::BoundMethod { receiver: value.clone(), name: name.to_owned() };
        return Ok(Value::from_object(method));
    }
    value.get_attr(name).or(Ok(Value::UNDEFINED))
}

/// `value[key]`: an item first, then an attribute.
pub fn get_item(value: &Value, key: &Value) -> Result<Value> {
    undefined_receiver(value, &format!("element {}", str_of(key)?))?;
    if let Some(text) = value.as_str() {
        charge(text.len() / 16)?;
    }
    let is_list_or_map = matches!(key.kind(), ValueKind::Seq | ValueKind::Map) && !is_tuple(key);
    if is_list_or_map {
        return Ok(Value::UNDEFINED); // Python's TypeError, which Jinja takes for an element that is not there
    }
    objects::check_key(key)?;
    let is_list = matches!(value.kind(), ValueKind::String | ValueKind::Seq);
    let index = match Number::of(key) {
        Some(Number::Int(i)) if is_list => int_value(i),
        _ if is_list => Value::UNDEFINED,
        _ => key.clone(),
    };
    let found =
        if index.is_undefined() { Value::UNDEFINED } else { value.get_item(&index).unwrap_or_default() };
    match key.as_str() {
        Some(name) if found.is_undefined() && value.kind() != ValueKind::Plain => {
            let in_map = value.kind() == ValueKind::Map && contains(value, key)?;
            if !in_map && python_methods::exists(value, name) {
                return get_attr(value, name);
            }
            Ok(found)
        }
        _ => Ok(found),
    }
}

/// Python's slice.indices(): the items of a slice of `len` items.
fn indices(len: usize, start: Option<i128>, stop: Option<i128>, step: i128) -> impl Iterator<Item = usize> {
    let len = len as i128;
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |at: i128| if at < 0 { (at + len).max(low) } else { at.min(high) };
    let first = start.map_or(if step > 0 { low } else { high }, clamp);
    let end = stop.map_or(if step > 0 { high } else { low }, clamp);
    let mut at = first;
    std::iter::from_fn(move || {
        let is_inside = if step > 0 { at < end } else { at > end };
        let found = is_inside.then_some(at as usize);
        at = at.saturating_add(step);
        found
    })
}

pub fn slice(value: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value> {
    undefined_receiver(value, "elements")?;
    let bound = |v: &Value| match Number::of(v) {
        Some(Number::Int(i)) => Ok(Some(i)),
        None if v.is_none() => Ok(None),
        _ => Err(()),
    };
    let (Ok(start), Ok(stop), Ok(step)) = (bound(start), bound(stop), bound(step)) else {
        return Err(failed("slice indices must be integers or None"));
    };
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(failed("slice step cannot be zero"));
    }
    if let Some(text) = value.as_str() {
        charge(text.len())?;
        if text.is_ascii() {
            let bytes = text.as_bytes();
            return Ok(indices(bytes.len(), start, stop, step)
                .map(|i| bytes[i] as char)
                .collect::<String>()
                .into());
        }
        let chars: Vec<char> = text.chars().collect();
        return Ok(indices(chars.len(), start, stop, step).map(|i| chars[i]).collect::<String>().into());
    }
    if value.kind() != ValueKind::Seq || objects::view(value) != objects::View::No {
        return Err(failed(format!("'{}' object cannot be sliced", objects::type_name(value))));
    }
    let items = items_of(value)?;
    let chosen = indices(items.len(), start, stop, step).map(|i| items[i].clone()).collect();
    if is_tuple(value) {
        objects::tuple(chosen)
    } else {
        objects::list(chosen)
    }
}
