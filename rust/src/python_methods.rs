//! Methods of Python's str, dict, list, tuple, int and float, as far as they change nothing: what transformers' sandbox
//! lets a template call.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use crate::budget::{charge, failed};
use crate::call_args::Args;
use crate::objects::{self, is_tuple, pairs_of, type_name, View};
use crate::operators::{equal, int_value, Number};
use crate::str_methods;

type Result<T> = std::result::Result<T, Error>;

const DICT: [&str; 5] = ["get", "items", "keys", "values", "copy"];
const LIST: [&str; 3] = ["index", "count", "copy"];
const CHANGING: [&str; 14] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
    "popitem",
    "setdefault",
    "update",
    "fromkeys",
    "__init__",
    "__class__",
];

/// Whether Python finds an attribute of this name on the value.
pub fn exists(value: &Value, name: &str) -> bool {
    match value.kind() {
        ValueKind::String => ["format", "format_map"].contains(&name) || str_methods::exists(name),
        ValueKind::Map => {
            DICT.contains(&name)
                || ["clear", "pop", "popitem", "setdefault", "update", "fromkeys"].contains(&name)
        }
        ValueKind::Seq if is_tuple(value) => ["index", "count"].contains(&name),
        ValueKind::Seq if objects::view(value) == View::No => {
            LIST.contains(&name) || CHANGING[..8].contains(&name)
        }
        _ => false,
    }
}

/// Called for every method that the value itself does not have.
pub fn call(_: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value> {
    charge(64)?;
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    if !exists(value, method) {
        return match (Number::of(value), method) {
            (Some(number), _) => number_method(number, value, method).ok_or_else(unknown),
            _ if value.is_undefined() => Err(Error::new(
                ErrorKind::UndefinedError,
                format!("undefined value has no method '{method}'"),
            )),
            _ => Err(unknown()),
        };
    }
    if value.as_str().is_none() && CHANGING.contains(&method) {
        return Err(failed(format!("a template may not change a {}: {method}()", type_name(value))));
    }
    if let Some(text) = value.as_str() {
        charge(text.len())?;
        return str_methods::call(text, method, args);
    }
    match value.kind() {
        ValueKind::Map => dict_method(value, method, args),
        _ => list_method(value, method, args),
    }
}

fn number_method(number: Number, value: &Value, method: &str) -> Option<Value> {
    Some(match (number, method) {
        (Number::Int(i), "bit_length") => int_value(i128::from(128 - i.unsigned_abs().leading_zeros())),
        (Number::Int(i), "bit_count") => int_value(i128::from(i.unsigned_abs().count_ones())),
        (Number::Float(f), "is_integer") => Value::from(f.is_finite() && f.fract() == 0.0),
        (Number::Int(_), "is_integer") => Value::from(true),
        (_, "conjugate") => value.clone(),
        _ => return None,
    })
}

fn dict_method(map: &Value, method: &str, args: &[Value]) -> Result<Value> {
    if method == "get" {
        let args = Args::bind("get", args, &["key", "default"], 1)?;
        let key = args.get(0).cloned().unwrap_or_default();
        objects::check_key(&key)?;
        let found = map.as_object().and_then(|o| o.get_value(&key));
        return Ok(found.or_else(|| args.get(1).cloned()).unwrap_or(Value::from(())));
    }
    Args::bind(method, args, &[], 0)?;
    let pairs = pairs_of(map)?;
    match method {
        "copy" => objects::dict(pairs),
        "keys" => objects::view_of(View::Keys, pairs.into_iter().map(|(key, _)| key).collect()),
        "values" => objects::view_of(View::Values, pairs.into_iter().map(|(_, value)| value).collect()),
        _ => {
            let items = pairs.into_iter().map(|(key, value)| objects::tuple(vec![key, value]));
            objects::view_of(View::Items, items.collect::<Result<_>>()?)
        }
    }
}

fn list_method(list: &Value, method: &str, args: &[Value]) -> Result<Value> {
    let items = objects::items_of(list)?;
    if method == "copy" {
        Args::bind("copy", args, &[], 0)?;
        return objects::list(items);
    }
    let args = Args::bind(method, args, &["value", "start", "stop"], 1)?;
    let wanted = args.get(0).cloned().unwrap_or_default();
    let mut count = 0;
    let (start, stop) = (args.int(1, 0)?, args.int(2, i64::MAX)?);
    let place = |at: i64| if at < 0 { (at + items.len() as i64).max(0) } else { at };
    for (at, item) in items.iter().enumerate() {
        if !equal(item, &wanted)? {
            continue;
        }
        let at_int = at as i64;
        if method == "index" && at_int >= place(start) && at_int < place(stop) {
            return Ok(Value::from(at));
        }
        count += 1;
    }
    if method == "index" {
        return Err(failed("the value is not in the list"));
    }
    Ok(Value::from(count))
}
