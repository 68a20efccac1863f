//! Jinja's built-in functions: range, dict, namespace, cycler, joiner.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use minijinja::value::{from_args, Object, ObjectRepr, Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use crate::budget::{charge, failed};
use crate::call_args::split;
use crate::objects::{self, items_of, pairs_of};

/// As Jinja's sandbox has it.
const MAX_RANGE: i64 = 100_000;

type Result<T> = std::result::Result<T, Error>;

pub fn add(env: &mut Environment) {
    env.add_function("range", |args: Rest<Value>| range(&args));
    env.add_function("dict", |args: Rest<ValueOrKwargs>| dict(&args.into_values()));
    env.add_function("namespace", |args: Rest<ValueOrKwargs>| namespace(&args.into_values()));
    env.add_function("cycler", |args: Rest<Value>| cycler(args.to_vec()));
    env.add_function("joiner", |separator: Option<Value>| {
        charge(64)?;
        let separator = separator.unwrap_or_else(|| ", ".into());
        Ok::<_, Error>(Value::from_object(Joiner {
            separator: plain_text(separator)?,
            used: AtomicBool::new(false),
        }))
    });
}

fn range(args: &[Value]) -> Result<Value> {
    let int = |v: &Value| match crate::operators::Number::of(v) {
        Some(crate::operators::Number::Int(i)) => {
            i64::try_from(i).map_err(|_| failed("range() of a number of more than 64 bits"))
        }
        _ => Err(failed("range() needs integers")),
    };
    let ints = args.iter().map(int).collect::<Result<Vec<_>>>()?;
    let (start, stop, step) = match ints.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        _ => return Err(failed("range expected 1 to 3 arguments")),
    };
    if step == 0 {
        return Err(failed("range() arg 3 must not be zero"));
    }
    let (wide, stride) = (i128::from(stop) - i128::from(start), i128::from(step));
    let count = ((wide + stride - stride.signum()) / stride).max(0);
    if count > i128::from(MAX_RANGE) {
        return Err(failed(format!(
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MAX_RANGE})."
        )));
    }
    objects::list((0..count as i64).map(|i| Value::from(start + i * step)).collect())
}

/// dict() and namespace(): a map or pairs, then names.
fn pairs(args: &[Value]) -> Result<Vec<(Value, Value)>> {
    let (positional, named) = split(args)?;
    let mut out = match positional {
        [] => Vec::new(),
        [map] if map.kind() == minijinja::value::ValueKind::Map => pairs_of(map)?,
        [list] => {
            let pair = |item: &Value| match items_of(item)?.as_slice() {
                [key, value] => Ok((key.clone(), value.clone())),
                _ => Err(failed("dictionary update sequence element has not length 2")),
            };
            items_of(list)?.iter().map(pair).collect::<Result<_>>()?
        }
        _ => return Err(failed("dict expected at most 1 argument")),
    };
    out.extend(named.into_iter().map(|(name, value)| (Value::from(name), value)));
    Ok(out)
}

fn dict(args: &[Value]) -> Result<Value> {
    objects::dict(pairs(args)?)
}

fn namespace(args: &[Value]) -> Result<Value> {
    let named = pairs(args)?.into_iter().map(|(name, value)| {
        name.as_str()
            .map(str::to_owned)
            .map(|n| (n, value))
            .ok_or_else(|| failed("namespace() names must be str"))
    });
    objects::namespace(named.collect::<Result<_>>()?)
}

#[derive(Debug)]
struct Cycler {
    items: Value, // a list
    position: AtomicUsize,
}

fn cycler(items: Vec<Value>) -> Result<Value> {
    if items.is_empty() {
        return Err(failed("at least one item has to be provided"));
    }
    if items.iter().any(objects::holds_mutable) {
        return Err(failed("a cycler cannot hold a namespace or a loop"));
    }
    charge(64)?;
    Ok(Value::from_object(Cycler { items: objects::list(items)?, position: AtomicUsize::new(0) }))
}

impl Cycler {
    fn current(&self) -> Value {
        self.items.get_item_by_index(self.position.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "current" => Some(self.current()),
            "items" => Some(self.items.clone()),
            "pos" => Some(self.position.load(Ordering::Relaxed).into()),
            _ => None,
        }
    }
    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value> {
        let () = from_args(args)?;
        let now = self.current();
        match method {
            "next" => {
                let len = self.items.len().unwrap_or(1);
                let next = (self.position.load(Ordering::Relaxed) + 1) % len;
                self.position.store(next, Ordering::Relaxed);
                Ok(now)
            }
            "reset" => {
                self.position.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(minijinja::ErrorKind::UnknownMethod)),
        }
    }
}

#[derive(Debug)]
struct Joiner {
    separator: Value,
    used: AtomicBool,
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value> {
        let () = from_args(args)?;
        Ok(if self.used.swap(true, Ordering::Relaxed) { self.separator.clone() } else { "".into() })
    }
}

fn plain_text(value: Value) -> Result<Value> {
    if value.as_object().is_some() {
        return Err(failed("joiner() needs a text"));
    }
    Ok(value)
}
