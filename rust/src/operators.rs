//! Python's operators: +, -, *, /, //, %, **, ~, comparisons and `in`. What they make is charged before it is made.

use std::cmp::Ordering;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::budget::{charge, check_time, failed, grow};
use crate::objects::{self, is_tuple, items_of, type_name, ITEM_BYTES};
use crate::value_text::str_of;

type Result<T> = std::result::Result<T, Error>;

/// A number as Python computes with it; a bool is 0 or 1.
#[derive(Clone, Copy)]
pub enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    pub fn of(value: &Value) -> Option<Number> {
        match value.kind() {
            ValueKind::Bool => Some(Number::Int(i128::from(value.is_true()))),
            ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(Number::Int),
            ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
            _ => None,
        }
    }
    pub fn float(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }
}

pub fn int_value(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| Value::from(value), Value::from)
}

fn int_or_too_large(value: Option<i128>) -> Result<Value> {
    value.map(int_value).ok_or_else(|| failed("an integer of more than 128 bits"))
}

fn unsupported(operator: &str, left: &Value, right: &Value) -> Error {
    if left.is_undefined() || right.is_undefined() {
        return Error::new(ErrorKind::UndefinedError, format!("an operand of {operator} is undefined"));
    }
    failed(format!(
        "unsupported operand type(s) for {operator}: '{}' and '{}'",
        type_name(left),
        type_name(right)
    ))
}

fn is_list(value: &Value) -> bool {
    value.kind() == ValueKind::Seq && !is_tuple(value) && objects::view(value) == objects::View::No
}

fn numbers(left: &Value, right: &Value) -> Option<(Number, Number)> {
    Some((Number::of(left)?, Number::of(right)?))
}

pub fn add(left: Value, right: Value) -> Result<Value> {
    match numbers(&left, &right) {
        Some((Number::Int(a), Number::Int(b))) => return int_or_too_large(a.checked_add(b)),
        Some((a, b)) => return Ok(Value::from(a.float() + b.float())),
        None => {}
    }
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        let mut joined = String::new();
        grow(&mut joined, a)?;
        grow(&mut joined, b)?;
        return Ok(Value::from(joined));
    }
    let both_lists = is_list(&left) && is_list(&right);
    if both_lists || (is_tuple(&left) && is_tuple(&right)) {
        let mut items = items_of(&left)?;
        items.extend(items_of(&right)?);
        return if both_lists { objects::list(items) } else { objects::tuple(items) };
    }
    Err(unsupported("+", &left, &right))
}

pub fn subtract(left: Value, right: Value) -> Result<Value> {
    match numbers(&left, &right) {
        Some((Number::Int(a), Number::Int(b))) => int_or_too_large(a.checked_sub(b)),
        Some((a, b)) => Ok(Value::from(a.float() - b.float())),
        None => Err(unsupported("-", &left, &right)),
    }
}

pub fn multiply(left: Value, right: Value) -> Result<Value> {
    match numbers(&left, &right) {
        Some((Number::Int(a), Number::Int(b))) => return int_or_too_large(a.checked_mul(b)),
        Some((a, b)) => return Ok(Value::from(a.float() * b.float())),
        None => {}
    }
    for (value, times) in [(&left, &right), (&right, &left)] {
        let Some(Number::Int(times)) = Number::of(times) else { continue };
        let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
        if let Some(text) = value.as_str() {
            charge(text.len().saturating_mul(times))?;
            return Ok(Value::from(text.repeat(times)));
        }
        if is_list(value) || is_tuple(value) {
            let items = items_of(value)?;
            charge(items.len().saturating_mul(times).saturating_mul(ITEM_BYTES))?;
            let many: Vec<Value> = std::iter::repeat_n(items, times).flatten().collect();
            return if is_tuple(value) { objects::tuple(many) } else { objects::list(many) };
        }
    }
    Err(unsupported("*", &left, &right))
}

pub fn divide(left: Value, right: Value) -> Result<Value> {
    let (a, b) = numbers(&left, &right).ok_or_else(|| unsupported("/", &left, &right))?;
    if b.float() == 0.0 {
        return Err(failed("division by zero"));
    }
    Ok(Value::from(a.float() / b.float()))
}

pub fn floor_divide(left: Value, right: Value) -> Result<Value> {
    match numbers(&left, &right).ok_or_else(|| unsupported("//", &left, &right))? {
        (Number::Int(_), Number::Int(0)) => Err(failed("integer division or modulo by zero")),
        (Number::Int(a), Number::Int(b)) => {
            let quotient = a.checked_div(b);
            let rounded = quotient.map(|q| if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q });
            int_or_too_large(rounded)
        }
        (_, b) if b.float() == 0.0 => Err(failed("float floor division by zero")),
        (a, b) => Ok(Value::from((a.float() / b.float()).floor())),
    }
}

/// Of numbers: a remainder with the divisor's sign.
pub fn remainder(left: Value, right: Value) -> Result<Value> {
    match numbers(&left, &right).ok_or_else(|| unsupported("%", &left, &right))? {
        (Number::Int(_), Number::Int(0)) => Err(failed("integer modulo by zero")),
        (Number::Int(a), Number::Int(b)) => {
            let rest = a.checked_rem(b).unwrap_or(0);
            Ok(int_value(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }))
        }
        (_, b) if b.float() == 0.0 => Err(failed("float modulo by zero")),
        (a, b) => {
            let (a, b) = (a.float(), b.float());
            let rest = a % b;
            Ok(Value::from(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }))
        }
    }
}

pub fn power(left: Value, right: Value) -> Result<Value> {
    match numbers(&left, &right).ok_or_else(|| unsupported("**", &left, &right))? {
        (Number::Int(a), Number::Int(b)) if b >= 0 => {
            int_or_too_large(u32::try_from(b).ok().and_then(|b| a.checked_pow(b)))
        }
        (a, b) if a.float() == 0.0 && b.float() < 0.0 => {
            Err(failed("0.0 cannot be raised to a negative power"))
        }
        (a, b) => Ok(Value::from(a.float().powf(b.float()))),
    }
}

pub fn negate(value: Value) -> Result<Value> {
    match Number::of(&value) {
        Some(Number::Int(i)) => int_or_too_large(i.checked_neg()),
        Some(Number::Float(f)) => Ok(Value::from(-f)),
        None => Err(failed(format!("bad operand type for unary -: '{}'", type_name(&value)))),
    }
}

pub fn concat(left: Value, right: Value) -> Result<Value> {
    let mut joined = str_of(&left)?;
    grow(&mut joined, &str_of(&right)?)?;
    Ok(Value::from(joined))
}

// ---- comparisons ----

/// What a comparison of two values costs, as if in bytes of text: lists may share their items, so that the walk is long.
const COMPARISON_BYTES: usize = 64;

pub fn equal(left: &Value, right: &Value) -> Result<bool> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return Ok(a == b);
    }
    charge(COMPARISON_BYTES)?;
    match numbers(left, right) {
        Some((Number::Int(a), Number::Int(b))) => return Ok(a == b),
        Some((a, b)) => return Ok(a.float() == b.float()),
        None => {}
    }
    match (left.kind(), right.kind()) {
        (ValueKind::Seq, ValueKind::Seq) => {
            if is_tuple(left) != is_tuple(right) || left.len() != right.len() {
                return Ok(false);
            }
            for (a, b) in left.try_iter()?.zip(right.try_iter()?) {
                if !equal(&a, &b)? {
                    return Ok(false);
                }
            }
            check_time().map(|()| true)
        }
        (ValueKind::Map, ValueKind::Map) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for key in left.try_iter()? {
                let (a, b) = (left.get_item(&key)?, right.get_item(&key)?);
                let is_missing = b.is_undefined() && !right.try_iter()?.any(|k| k == key);
                if is_missing || !equal(&a, &b)? {
                    return Ok(false);
                }
            }
            check_time().map(|()| true)
        }
        (ValueKind::None, ValueKind::None) | (ValueKind::Undefined, ValueKind::Undefined) => Ok(true),
        (ValueKind::Plain, ValueKind::Plain) | (ValueKind::Iterable, ValueKind::Iterable) => {
            Ok(objects::is_same(left, right))
        }
        _ => Ok(false),
    }
}

pub fn order(left: &Value, right: &Value) -> Result<Ordering> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return Ok(a.cmp(b));
    }
    charge(COMPARISON_BYTES)?;
    match numbers(left, right) {
        Some((Number::Int(a), Number::Int(b))) => return Ok(a.cmp(&b)),
        Some((a, b)) => return Ok(a.float().partial_cmp(&b.float()).unwrap_or(Ordering::Equal)),
        None => {}
    }
    if left.kind() == ValueKind::Seq && right.kind() == ValueKind::Seq && is_tuple(left) == is_tuple(right) {
        for (a, b) in left.try_iter()?.zip(right.try_iter()?) {
            if !equal(&a, &b)? {
                return order(&a, &b);
            }
        }
        return Ok(left.len().cmp(&right.len()));
    }
    Err(unsupported("<", left, right))
}

#[derive(Clone, Copy)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
}

pub fn compare(comparison: Comparison, left: &Value, right: &Value) -> Result<bool> {
    Ok(match comparison {
        Comparison::Equal => equal(left, right)?,
        Comparison::NotEqual => !equal(left, right)?,
        Comparison::Less => order(left, right)?.is_lt(),
        Comparison::LessEqual => order(left, right)?.is_le(),
        Comparison::Greater => order(left, right)?.is_gt(),
        Comparison::GreaterEqual => order(left, right)?.is_ge(),
        Comparison::In => contains(right, left)?,
        Comparison::NotIn => !contains(right, left)?,
    })
}

pub fn contains(container: &Value, item: &Value) -> Result<bool> {
    if let Some(text) = container.as_str() {
        let part = item.as_str().ok_or_else(|| {
            failed(format!("'in <string>' requires string as left operand, not {}", type_name(item)))
        })?;
        charge(text.len() / 8)?;
        return Ok(text.contains(part));
    }
    objects::check_iterable(container)?;
    if container.kind() == ValueKind::Map {
        objects::check_key(item)?;
        let object = container.as_object();
        return Ok(object.is_some_and(|o| o.get_value(item).is_some()));
    }
    for candidate in container.try_iter()? {
        if equal(&candidate, item)? {
            return Ok(true);
        }
    }
    check_time().map(|()| false)
}
