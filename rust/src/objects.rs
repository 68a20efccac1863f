//! The lists, tuples, maps and namespaces that a template makes. Each knows how deep it nests and whether a namespace is
//! in it, so that no value nests deeper than MAX_DEPTH and none holds itself: freeing, comparing and writing values
//! recurse no deeper than that, on any stack.

use std::sync::{Arc, Mutex};

use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, State, Value};

use crate::budget::{charge, failed};

/// Levels of lists and maps that a template may put around each other.
pub const MAX_DEPTH: u32 = 300;
/// What a value may have that is none of ours: a constant (150 levels by the parser).
const OUTSIDE_DEPTH: u32 = 150;
const OBJECT_BYTES: usize = 128;
pub const ITEM_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    depth: u32,
    holds_mutable: bool, // a namespace or another object that may change later
}

/// What Python calls the type, where it is not a list, tuple or dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    No,
    Keys,
    Values,
    Items,
    Group, // a tuple whose items are also called grouper and list
}

/// A list, tuple or dict.
#[derive(Debug)]
struct Made {
    inner: Value,
    facts: Facts,
    view: View,
}

impl Object for Made {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        self.inner.as_object().map_or(ObjectRepr::Plain, |o| o.repr())
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let by_name = match key.as_str() {
            Some("grouper") if self.view == View::Group => Some(Value::from(0)),
            Some("list") if self.view == View::Group => Some(Value::from(1)),
            _ => None,
        };
        self.inner.as_object()?.get_value(by_name.as_ref().unwrap_or(key))
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.inner.as_object().map_or(Enumerator::Empty, |o| o.enumerate())
    }
    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        self.inner.as_object()?.enumerator_len()
    }
}

/// Python's generator: true, of no length, and empty once it was walked through.
#[derive(Debug)]
pub struct Generator {
    items: Mutex<Vec<Value>>,
    facts: Facts,
}

impl Object for Generator {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let items = self.items.lock().map(|mut items| std::mem::take(&mut *items)).unwrap_or_default();
        Enumerator::Iter(Box::new(items.into_iter()))
    }
    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// Jinja's namespace: the one value that a template may change.
#[derive(Debug, Default)]
pub struct Namespace {
    values: Mutex<Vec<(String, Value)>>,
}

impl Object for Namespace {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let values = self.values.lock().ok()?;
        values.iter().find(|(name, _)| Some(name.as_str()) == key.as_str()).map(|(_, value)| value.clone())
    }
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// A method that was named, not called: `message.items`.
#[derive(Debug)]
pub struct BoundMethod {
    pub receiver: Value,
    pub name: String,
}

impl Object for BoundMethod {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.receiver.call_method(state, &self.name, args)
    }
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

fn facts_of(value: &Value) -> Facts {
    let Some(object) = value.as_object() else { return Facts::default() };
    if let Some(made) = object.downcast_ref::<Made>() {
        return made.facts;
    }
    if let Some(generator) = object.downcast_ref::<Generator>() {
        return generator.facts;
    }
    if let Some(method) = object.downcast_ref::<BoundMethod>() {
        let inner = facts_of(&method.receiver);
        return Facts { depth: inner.depth + 1, ..inner };
    }
    // What a namespace or a loop holds nests no deeper than MAX_DEPTH, and holds neither.
    let holds_mutable = object.is::<Namespace>() || object.type_name().ends_with("::Loop");
    let is_plain = holds_mutable || object.repr() == ObjectRepr::Plain;
    Facts { depth: if is_plain { 1 } else { OUTSIDE_DEPTH }, holds_mutable }
}

/// A namespace or loop, or a list or map that one is in.
pub fn holds_mutable(value: &Value) -> bool {
    facts_of(value).holds_mutable
}

fn nested<'a>(values: impl Iterator<Item = &'a Value>) -> Facts {
    values.map(facts_of).fold(Facts { depth: 1, holds_mutable: false }, |all, one| Facts {
        depth: all.depth.max(one.depth + 1),
        holds_mutable: all.holds_mutable | one.holds_mutable,
    })
}

/// Of a list or map that is about to be made, which is paid for.
fn around<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Result<Facts, Error> {
    let facts = nested(values.clone());
    if facts.depth > MAX_DEPTH {
        return Err(failed(format!("lists and maps are nested more than {MAX_DEPTH} deep")));
    }
    charge(OBJECT_BYTES.saturating_add(values.count().saturating_mul(ITEM_BYTES)))?;
    Ok(facts)
}

pub fn list(items: Vec<Value>) -> Result<Value, Error> {
    view_of(View::No, items)
}

/// A list of the input: not the template's to pay for.
pub fn outside_list(items: Vec<Value>) -> Value {
    let facts = nested(items.iter());
    Value::from_object(Made { inner: Value::from(items), facts, view: View::No })
}

pub fn outside_dict(pairs: Vec<(Value, Value)>) -> Value {
    let facts = nested(pairs.iter().map(|(_, value)| value));
    Value::from_object(Made { inner: Value::from_pairs(pairs), facts, view: View::No })
}

/// A constant of the template as one of ours; the parser bounds its depth.
pub fn outside(value: &Value) -> Value {
    if value.is_kwargs() {
        return value.clone(); // named arguments, which are no value of the template's
    }
    let Ok(items) = value.try_iter() else { return value.clone() };
    match value.kind() {
        ValueKind::Seq if value.is_tuple() => {
            let items: Vec<Value> = items.map(|item| outside(&item)).collect();
            let facts = nested(items.iter());
            Value::from_object(Made { inner: Value::from(Tuple::from(items)), facts, view: View::No })
        }
        ValueKind::Seq => outside_list(items.map(|item| outside(&item)).collect()),
        ValueKind::Map => outside_dict(
            items.map(|k| (k.clone(), outside(&value.get_item(&k).unwrap_or_default()))).collect(),
        ),
        _ => value.clone(),
    }
}

/// What `dict.items()` and its like give.
pub fn view_of(view: View, items: Vec<Value>) -> Result<Value, Error> {
    let facts = around(items.iter())?;
    Ok(Value::from_object(Made { inner: Value::from(items), facts, view }))
}

pub fn tuple(items: Vec<Value>) -> Result<Value, Error> {
    let facts = around(items.iter())?;
    Ok(Value::from_object(Made { inner: Value::from(Tuple::from(items)), facts, view: View::No }))
}

pub fn generator(items: Vec<Value>) -> Result<Value, Error> {
    let facts = around(items.iter())?;
    Ok(Value::from_object(Generator { items: Mutex::new(items), facts }))
}

/// What groupby gives: a tuple whose items have names.
pub fn group(grouper: Value, items: Value) -> Result<Value, Error> {
    let pair = vec![grouper, items];
    let facts = around(pair.iter())?;
    Ok(Value::from_object(Made { inner: Value::from(Tuple::from(pair)), facts, view: View::Group }))
}

/// Keys must be hashable (see check_key).
pub fn dict(pairs: Vec<(Value, Value)>) -> Result<Value, Error> {
    for (key, _) in &pairs {
        check_key(key)?;
    }
    let facts = around(pairs.iter().flat_map(|(key, value)| [key, value]))?;
    Ok(Value::from_object(Made { inner: Value::from_pairs(pairs), facts, view: View::No }))
}

/// A list, tuple or map that minijinja built from a literal, as one of ours.
pub fn adopt(value: Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Map {
        return dict(pairs_of(&value)?);
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    if value.is_tuple() {
        tuple(items)
    } else {
        list(items)
    }
}

pub fn pairs_of(map: &Value) -> Result<Vec<(Value, Value)>, Error> {
    map.try_iter()?.map(|key| map.get_item(&key).map(|value| (key, value))).collect()
}

pub fn namespace(values: Vec<(String, Value)>) -> Result<Value, Error> {
    let made = Value::from_object(Namespace::default());
    for (name, value) in values {
        set_attr(&made, &name, value)?;
    }
    charge(OBJECT_BYTES)?;
    Ok(made)
}

/// `{% set namespace.name = value %}`.
pub fn set_attr(target: &Value, name: &str, value: Value) -> Result<(), Error> {
    let Some(namespace) = target.downcast_object_ref::<Namespace>() else {
        return Err(failed("cannot assign attribute on non-namespace object"));
    };
    if holds_mutable(&value) {
        return Err(failed("a namespace cannot hold a namespace or a loop"));
    }
    charge(ITEM_BYTES + name.len())?;
    let mut values = namespace.values.lock().map_err(|_| failed("this namespace is in use"))?;
    match values.iter_mut().find(|(old, _)| old == name) {
        Some((_, old)) => *old = value,
        None => values.push((name.to_owned(), value)),
    }
    Ok(())
}

/// Whether Python could hash the value; charges for what hashing it walks through.
pub fn check_key(key: &Value) -> Result<(), Error> {
    charge(64)?;
    if is_tuple(key) {
        return key.try_iter()?.try_for_each(|item| check_key(&item));
    }
    match key.kind() {
        ValueKind::Seq => Err(failed("unhashable type: 'list'")),
        ValueKind::Map => Err(failed("unhashable type: 'dict'")),
        _ => Ok(()),
    }
}

/// Charges for every item, however deep: what minijinja's own comparison of the value may walk through.
pub fn charge_tree(value: &Value) -> Result<(), Error> {
    charge(64 + value.as_str().map_or(0, str::len))?;
    if value.kind() == ValueKind::Map {
        return pairs_of(value)?.iter().try_for_each(|(_, v)| charge_tree(v));
    }
    if value.kind() == ValueKind::Seq {
        return value.try_iter()?.try_for_each(|v| charge_tree(&v));
    }
    Ok(())
}

pub fn is_tuple(value: &Value) -> bool {
    value.is_tuple() || value.downcast_object_ref::<Made>().is_some_and(|made| made.inner.is_tuple())
}

pub fn view(value: &Value) -> View {
    value.downcast_object_ref::<Made>().map_or(View::No, |made| made.view)
}

/// Python's `is`, as far as values of a template have an identity.
pub fn is_same(left: &Value, right: &Value) -> bool {
    fn same<T: 'static>(left: &Value, right: &Value) -> bool {
        matches!((left.downcast_object::<T>(), right.downcast_object::<T>()), (Some(a), Some(b)) if Arc::ptr_eq(&a, &b))
    }
    if left.is_undefined() {
        return false; // each is one of its own
    }
    if left.as_object().is_none() && right.as_object().is_none() {
        return left.kind() == right.kind() && left.is_integer() == right.is_integer() && left == right;
    }
    same::<BoundMethod>(left, right)
        || same::<Made>(left, right)
        || same::<Generator>(left, right)
        || same::<Namespace>(left, right)
        || same::<Vec<Value>>(left, right)
}

pub fn is_generator(value: &Value) -> bool {
    value.downcast_object_ref::<Generator>().is_some()
}

/// None: no namespace.
pub fn namespace_values(value: &Value) -> Option<Vec<(String, Value)>> {
    let namespace = value.downcast_object_ref::<Namespace>()?;
    Some(namespace.values.lock().map(|values| values.clone()).unwrap_or_default())
}

/// Python's iter(): the items, charged; an error for what has none. Text gives its characters, a map its keys.
pub fn items_of(value: &Value) -> Result<Vec<Value>, Error> {
    check_iterable(value)?;
    if let Some(text) = value.as_str() {
        charge(text.len() * ITEM_BYTES)?;
    } else {
        charge(value.len().unwrap_or(0) * ITEM_BYTES)?;
    }
    Ok(value.try_iter()?.collect())
}

pub fn check_iterable(value: &Value) -> Result<(), Error> {
    let is_iterable = match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Number => false,
        ValueKind::Plain => value.as_object().is_some_and(|o| o.try_iter().is_some()),
        _ => true,
    };
    if is_iterable {
        return Ok(());
    }
    Err(failed(format!("'{}' object is not iterable", type_name(value))))
}

/// As Python names it in its messages.
pub fn type_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "Undefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Map => "dict",
        ValueKind::Seq if is_tuple(value) => "tuple",
        ValueKind::Seq => "list",
        ValueKind::Iterable => "generator",
        _ if value.downcast_object_ref::<Namespace>().is_some() => "Namespace",
        _ => "object",
    }
}
