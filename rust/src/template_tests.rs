//! Jinja's built-in tests.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use crate::budget::{charge, failed};
use crate::objects::{self, type_name, View};
use crate::operators::{compare, Comparison, Number};
use crate::str_methods;
use crate::template_filters;
use crate::value_text::str_of;

type Result<T> = std::result::Result<T, Error>;

const COMPARISONS: &[(&str, Comparison)] = &[
    ("eq", Comparison::Equal),
    ("equalto", Comparison::Equal),
    ("==", Comparison::Equal),
    ("ne", Comparison::NotEqual),
    ("!=", Comparison::NotEqual),
    ("lt", Comparison::Less),
    ("lessthan", Comparison::Less),
    ("<", Comparison::Less),
    ("le", Comparison::LessEqual),
    ("<=", Comparison::LessEqual),
    ("gt", Comparison::Greater),
    ("greaterthan", Comparison::Greater),
    (">", Comparison::Greater),
    ("ge", Comparison::GreaterEqual),
    (">=", Comparison::GreaterEqual),
    ("in", Comparison::In),
];

type Kind = (&'static str, fn(&Value) -> bool);

const KINDS: &[Kind] = &[
    ("boolean", |v| v.kind() == ValueKind::Bool),
    ("callable", |v| v.kind() == ValueKind::Plain && objects::namespace_values(v).is_none()),
    ("defined", |v| !v.is_undefined()),
    ("escaped", |_| false),
    ("false", |v| v.kind() == ValueKind::Bool && !v.is_true()),
    ("float", |v| v.kind() == ValueKind::Number && !v.is_integer()),
    ("integer", |v| v.kind() == ValueKind::Number && v.is_integer()),
    ("iterable", |v| objects::check_iterable(v).is_ok()),
    ("mapping", |v| v.kind() == ValueKind::Map),
    ("none", Value::is_none),
    ("number", |v| matches!(v.kind(), ValueKind::Number | ValueKind::Bool)),
    ("sequence", |v| {
        let has_items =
            matches!(v.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Undefined);
        has_items && matches!(objects::view(v), View::No | View::Group)
    }),
    ("string", |v| v.kind() == ValueKind::String),
    ("true", |v| v.kind() == ValueKind::Bool && v.is_true()),
    ("undefined", Value::is_undefined),
];

pub fn add(env: &mut Environment) {
    for &(name, comparison) in COMPARISONS {
        env.add_test(name, move |a: &Value, b: &Value| compare(comparison, a, b));
    }
    for &(name, holds) in KINDS {
        env.add_test(name, move |v: &Value| holds(v));
    }
    env.add_test("divisibleby", |v: &Value, by: &Value| Ok::<_, Error>(modulo(v, by)? == 0.0));
    env.add_test("even", |v: &Value| Ok::<_, Error>(modulo(v, &2.into())? == 0.0));
    env.add_test("odd", |v: &Value| Ok::<_, Error>(modulo(v, &2.into())? == 1.0));
    env.add_test("lower", |v: &Value| str_test(v, "islower"));
    env.add_test("upper", |v: &Value| str_test(v, "isupper"));
    env.add_test("sameas", objects::is_same);
    env.add_test("filter", |name: &str| template_filters::exists(name));
    env.add_test("test", exists);
}

const OTHERS: &[&str] = &["divisibleby", "even", "odd", "lower", "upper", "sameas", "filter", "test"];

fn exists(name: &str) -> bool {
    OTHERS.contains(&name)
        || KINDS.iter().any(|(n, _)| *n == name)
        || COMPARISONS.iter().any(|(n, _)| *n == name)
}

fn str_test(value: &Value, method: &str) -> Result<bool> {
    let text = str_of(value)?;
    charge(text.len())?;
    Ok(str_methods::call(&text, method, &[])?.is_true())
}

fn modulo(value: &Value, by: &Value) -> Result<f64> {
    match (Number::of(value), Number::of(by)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) if b != 0 => Ok(a.rem_euclid(b) as f64),
        (Some(a), Some(b)) if b.float() != 0.0 => Ok(a.float().rem_euclid(b.float())),
        _ => Err(failed(format!("the test needs numbers, not {} and {}", type_name(value), type_name(by)))),
    }
}
