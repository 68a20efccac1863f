//! Arguments as Python binds them: by position or by name, with defaults, and an error for any that is left over.

use minijinja::value::Kwargs;
use minijinja::{Error, Value};

use crate::budget::failed;
use crate::objects::type_name;
use crate::operators::Number;
use crate::value_text::str_of;

pub struct Args {
    callee: String,
    names: &'static [&'static str],
    values: Vec<Option<Value>>,
}

pub type Named = Vec<(String, Value)>;

/// Positional arguments, and the named ones that end them.
pub fn split(args: &[Value]) -> Result<(&[Value], Named), Error> {
    match args.split_last() {
        Some((last, positional)) if last.is_kwargs() => {
            let pairs = crate::objects::pairs_of(last)?;
            let named = pairs.into_iter().map(|(name, value)| str_of(&name).map(|name| (name, value)));
            Ok((positional, named.collect::<Result<_, _>>()?))
        }
        _ => Ok((args, Vec::new())),
    }
}

pub fn to_kwargs(named: Named) -> Value {
    Value::from(Kwargs::from_iter(named))
}

impl Args {
    /// The first `required` of `names` must be given.
    pub fn bind(
        callee: &str,
        args: &[Value],
        names: &'static [&'static str],
        required: usize,
    ) -> Result<Args, Error> {
        let (positional, named) = split(args)?;
        if positional.len() > names.len() {
            return Err(failed(format!(
                "{callee}() takes {} arguments but {} were given",
                names.len(),
                positional.len()
            )));
        }
        let mut values: Vec<Option<Value>> = positional.iter().cloned().map(Some).collect();
        values.resize(names.len(), None);
        for (name, value) in named {
            let at = names.iter().position(|n| *n == name);
            match at.map(|at| &mut values[at]) {
                Some(slot @ None) => *slot = Some(value),
                Some(Some(_)) => {
                    return Err(failed(format!("{callee}() got multiple values for argument '{name}'")))
                }
                None => {
                    return Err(failed(format!("{callee}() got an unexpected keyword argument '{name}'")))
                }
            }
        }
        if let Some(missing) = (0..required).find(|&i| values[i].is_none()) {
            return Err(failed(format!("{callee}() missing 1 required argument: '{}'", names[missing])));
        }
        Ok(Args { callee: callee.to_owned(), names, values })
    }

    /// None: not given.
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index).and_then(Option::as_ref)
    }

    /// The same, but Python's None counts as not given too.
    pub fn some(&self, index: usize) -> Option<&Value> {
        self.get(index).filter(|v| !v.is_none())
    }

    fn wrong(&self, index: usize, wanted: &str) -> Error {
        let name = self.names.get(index).copied().unwrap_or_default();
        let got = self.get(index).map_or("nothing", type_name);
        failed(format!("{}() argument '{name}' must be {wanted}, not {got}", self.callee))
    }

    pub fn truth(&self, index: usize) -> bool {
        self.get(index).is_some_and(Value::is_true)
    }

    pub fn int(&self, index: usize, default: i64) -> Result<i64, Error> {
        match self.get(index) {
            None => Ok(default),
            Some(value) => match Number::of(value) {
                Some(Number::Int(i)) => {
                    Ok(i64::try_from(i).unwrap_or(if i < 0 { i64::MIN } else { i64::MAX }))
                }
                _ => Err(self.wrong(index, "int")),
            },
        }
    }

    /// An int that no text or list may be longer than: a negative one is 0.
    pub fn size(&self, index: usize, default: usize) -> Result<usize, Error> {
        let default = i64::try_from(default).unwrap_or(i64::MAX);
        Ok(usize::try_from(self.int(index, default)?.max(0)).unwrap_or(usize::MAX))
    }

    pub fn text(&self, index: usize) -> Result<&str, Error> {
        self.get(index).and_then(Value::as_str).ok_or_else(|| self.wrong(index, "str"))
    }

    pub fn text_or<'a>(&'a self, index: usize, default: &'a str) -> Result<&'a str, Error> {
        if self.get(index).is_none() {
            return Ok(default);
        }
        self.text(index)
    }
}
