//! Jinja's built-in filters under their names.

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use crate::call_args::Args;
use crate::{json_text, list_filters, text_filters};

type Result<T> = std::result::Result<T, Error>;
type Variadic = fn(&mut State, &Value, &[Value]) -> Result<Value>;

/// Filters that hand their arguments on.
const VARIADIC: &[(&str, Variadic)] = &[
    ("format", |_, v, args| text_filters::format(v, args)),
    ("map", list_filters::map),
    ("reject", |state, v, args| list_filters::select(state, v, args, false, false)),
    ("rejectattr", |state, v, args| list_filters::select(state, v, args, true, false)),
    ("select", |state, v, args| list_filters::select(state, v, args, false, true)),
    ("selectattr", |state, v, args| list_filters::select(state, v, args, true, true)),
    ("tojson", |_, v, args| json_text::tojson(v, args)),
];

fn rows() -> impl Iterator<Item = &'static list_filters::Row> {
    list_filters::FILTERS.iter().chain(text_filters::FILTERS)
}

pub fn exists(name: &str) -> bool {
    rows().any(|(n, ..)| *n == name) || VARIADIC.iter().any(|(n, _)| *n == name)
}

pub fn add(env: &mut Environment) {
    for &(name, names, required, filter) in rows() {
        env.add_filter(name, move |value: &Value, args: Rest<ValueOrKwargs>| {
            filter(value, &Args::bind(name, &args.into_values(), names, required)?)
        });
    }
    for &(name, filter) in VARIADIC {
        env.add_filter(name, move |state: &mut State, value: &Value, args: Rest<ValueOrKwargs>| {
            filter(state, value, &args.into_values())
        });
    }
}
