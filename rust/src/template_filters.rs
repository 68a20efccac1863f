//! Filters and tests where Jinja and minijinja differ, or where minijinja's could make more text or work than is counted
//! (see `template_limits`).

use minijinja::formatting::FormatStyle;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, State, Value};

use crate::budget::{charge, grow};
use crate::value_text::{failed, str_of, write_repr};
use crate::{python, python_methods, template_limits};

type Result<T> = std::result::Result<T, Error>;

pub fn add(env: &mut Environment) {
    template_limits::add_operators(env);
    add_text_filters(env);
    add_list_filters(env);
    add_tests(env);
}

/// Python's method of the value's text.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value> {
    let text = Value::from(str_of(value)?);
    python_methods::call(state, &text, name, args)
}

fn add_text_filters(env: &mut Environment) {
    env.add_filter("tojson", python::tojson);
    env.add_filter("string", |value: &Value| str_of(value));
    env.add_filter("pprint", |value: &Value| {
        let mut out = String::new();
        write_repr(value, 0, &mut out).map(|()| out)
    });
    env.add_filter("trim", |state: &mut State, value: &Value, chars: Option<Value>| {
        method(state, value, "strip", chars.as_slice())
    });
    env.add_filter("upper", |state: &mut State, value: &Value| method(state, value, "upper", &[]));
    env.add_filter("lower", |state: &mut State, value: &Value| method(state, value, "lower", &[]));
    env.add_filter("title", |state: &mut State, value: &Value| method(state, value, "title", &[]));
    env.add_filter("capitalize", |state: &mut State, value: &Value| method(state, value, "capitalize", &[]));
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter(
        "replace",
        |value: &Value, old: Value, new: Value, count: Option<Value>, kwargs: Kwargs| {
            let count = count.map_or_else(|| kwargs.get::<Option<Value>>("count"), |c| Ok(Some(c)))?;
            kwargs.assert_all_used()?;
            let mut args = vec![Value::from(str_of(&old)?), Value::from(str_of(&new)?)];
            args.extend(count);
            python_methods::replace(&str_of(value)?, &args)
        },
    );
    env.add_filter("join", join);
    env.add_filter("indent", indent);
    env.add_filter("format", |format: &str, args: Rest<Value>| {
        template_limits::format_text(FormatStyle::Printf, format, &args)
    });
}

fn escape(value: &Value) -> Result<Value> {
    let mut out = String::new();
    for c in str_of(value)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    charge(out.len())?;
    Ok(Value::from(out))
}

fn join(values: &Value, separator: Option<&str>, attribute: Option<&str>, kwargs: Kwargs) -> Result<Value> {
    let separator = separator.or(kwargs.get::<Option<&str>>("d")?).unwrap_or("");
    let attribute = attribute.or(kwargs.get::<Option<&str>>("attribute")?);
    kwargs.assert_all_used()?;
    let mut out = String::new();
    for (i, value) in values.try_iter()?.enumerate() {
        let value = attribute.map_or_else(|| Ok(value.clone()), |name| value.get_attr(name))?;
        if i > 0 {
            grow(&mut out, separator)?;
        }
        grow(&mut out, &str_of(&value)?)?;
    }
    Ok(Value::from(out))
}

/// Jinja's indent(width=4, first=False, blank=False): every line but the first and the empty ones.
fn indent(
    text: &str,
    width: Option<&Value>,
    first: Option<bool>,
    blank: Option<bool>,
    kwargs: Kwargs,
) -> Result<String> {
    let width = width.cloned().or(kwargs.get::<Option<Value>>("width")?).unwrap_or_else(|| Value::from(4));
    let first = first.or(kwargs.get::<Option<bool>>("first")?).unwrap_or(false);
    let blank = blank.or(kwargs.get::<Option<bool>>("blank")?).unwrap_or(false);
    kwargs.assert_all_used()?;
    let margin = match width.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let width = usize::try_from(width)?;
            charge(width)?;
            " ".repeat(width)
        }
    };
    charge((text.matches('\n').count() + 1).saturating_mul(margin.len()).saturating_add(text.len()))?;
    let mut out = String::new();
    for (i, line) in text.split('\n').enumerate() {
        out.push_str(if i == 0 { "" } else { "\n" });
        if if i == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&margin);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn add_list_filters(env: &mut Environment) {
    // A text is a list of its characters, each a value.
    let charge_items = |value: &Value| {
        charge(value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len).saturating_mul(32))
    };
    env.add_filter("list", move |value: &Value| {
        charge_items(value)?;
        Ok::<_, Error>(Value::from(value.try_iter()?.collect::<Vec<Value>>()))
    });
    env.add_filter("sort", move |state: &mut State, value: &Value, kwargs: Kwargs| {
        charge_items(value)?;
        minijinja::filters::sort(state, value.clone(), kwargs)
    });
    env.add_filter("batch", move |state: &State, value: Value, count: usize, fill: Option<Value>| {
        charge_items(&value)?;
        charge(count.saturating_mul(32))?;
        minijinja::filters::batch(state, value, count, fill)
    });
    env.add_filter("slice", move |state: &State, value: Value, count: usize, fill: Option<Value>| {
        charge_items(&value)?;
        charge(count.saturating_mul(64))?;
        minijinja::filters::slice(state, value, count, fill)
    });
    env.add_filter(
        "sum",
        |state: &State, values: Value, attribute: Option<&str>, start: Option<Value>, kwargs: Kwargs| {
            let items = values.try_iter()?.filter(|v| v.as_str().is_some()).count();
            if items > 0 || start.as_ref().is_some_and(|s| s.as_str().is_some()) {
                return Err(failed("sum: the items must be numbers or lists"));
            }
            minijinja::filters::sum(state, values, attribute, start, kwargs)
        },
    );
}

/// Where Jinja asks Python, and Python counts more than minijinja does.
fn add_tests(env: &mut Environment) {
    env.add_test("sequence", |v: &Value| {
        matches!(v.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Undefined)
    });
    env.add_test("iterable", |v: &Value| {
        !matches!(v.kind(), ValueKind::None | ValueKind::Bool | ValueKind::Number) && v.try_iter().is_ok()
    });
    env.add_test("number", |v: &Value| matches!(v.kind(), ValueKind::Number | ValueKind::Bool));
    env.add_test("callable", |v: &Value| v.kind() == ValueKind::Plain);
    env.add_test("in", |state: &State, value: &Value, container: &Value| {
        template_limits::check_containment(value, container)?;
        minijinja::tests::is_in(state, value, container)
    });
}
