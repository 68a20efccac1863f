//! What a hostile template may use up. minijinja counts instructions ("fuel"), but one instruction may double a text,
//! so the compiled instructions are rewritten: operators that make texts become filters of ours, literal text is
//! emitted as a value (our formatter counts it), and a check follows every filter and comparison.
//!
//! The bytes of all texts ever made are limited together, which bounds memory as well as work; so does a deadline. The
//! number of lists and maps ever made is limited too: each may hold the last one, and a value is freed recursively.

use std::fmt::Write;

use minijinja::formatting::FormatStyle;
use minijinja::machinery::{tokenize, Instruction, Instructions, Token};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::budget::{charge, check_time, count_object, exhausted, grow};
use crate::value_text::{failed as invalid, str_of};

const NO_LOCAL: u8 = !0; // a filter that is looked up by name each time

/// Stands before a list or map is built; the value is its last item.
pub fn before_object(value: Value) -> Result<Value, Error> {
    count_object().map(|()| value)
}

/// What a value costs to hold, without walking it.
fn weight(value: &Value) -> usize {
    match value.as_str() {
        Some(text) => text.len(),
        None => value.len().unwrap_or(0).saturating_mul(32),
    }
}

// ---- the filters that stand for operators ----

/// Stands after every operation that may be slow or make much.
pub fn check(value: Value) -> Result<Value, Error> {
    charge(weight(&value))?;
    if value.as_object().is_some() {
        count_object()?;
    }
    check_time()?;
    Ok(value)
}

pub fn concat(left: Value, right: Value) -> Result<Value, Error> {
    let mut joined = str_of(&left)?;
    charge(joined.len())?;
    grow(&mut joined, &str_of(&right)?)?;
    Ok(Value::from(joined))
}

/// Before `+`: [left, right] comes back as [right, left], the order in which unpacking puts left below right.
pub fn before_add(operands: &Value) -> Result<Value, Error> {
    let (left, right) = both(operands)?;
    charge(weight(&left).saturating_add(weight(&right)))?;
    Ok(Value::from(vec![right, left]))
}

/// Before `*`, in the same way.
pub fn before_multiply(operands: &Value) -> Result<Value, Error> {
    let (left, right) = both(operands)?;
    for (value, times) in [(&left, &right), (&right, &left)] {
        if let Some(times) = times.as_i64() {
            charge(weight(value).saturating_mul(usize::try_from(times).unwrap_or(0)))?;
        }
    }
    Ok(Value::from(vec![right, left]))
}

/// Before `in`, in the same way.
pub fn before_in(operands: &Value) -> Result<Value, Error> {
    let (left, right) = both(operands)?;
    check_containment(&left, &right)?;
    charge(weight(&right))?;
    check(Value::from(vec![right, left]))
}

/// Before a comparison in a chain (`a < b in c`); which one it is cannot be seen from here, so a list or map is refused
/// wherever `in` could write it out.
pub fn before_chain(operands: &Value) -> Result<Value, Error> {
    let (left, right) = both(operands)?;
    if left.as_object().is_some() {
        check_containment(&left, &right)?;
    }
    check(Value::from(vec![right, left]))
}

/// Python's `in` wants a text in a text; minijinja would write any value out, of whatever size.
pub fn check_containment(value: &Value, container: &Value) -> Result<(), Error> {
    if container.as_str().is_some() && value.as_str().is_none() {
        return Err(invalid(format!("'in' a text needs a text on the left, not a {}", value.kind())));
    }
    Ok(())
}

fn both(operands: &Value) -> Result<(Value, Value), Error> {
    Ok((operands.get_item_by_index(0)?, operands.get_item_by_index(1)?))
}

/// `%`: of a text, Python's formatting; of numbers, a remainder with the divisor's sign.
pub fn remainder(left: Value, right: Value) -> Result<Value, Error> {
    if let Some(format) = left.as_str() {
        let args: Vec<Value> = if right.is_tuple() { right.try_iter()?.collect() } else { vec![right] };
        return format_text(FormatStyle::Printf, format, &args);
    }
    let failed = || Error::new(ErrorKind::InvalidOperation, "% needs numbers, the second of them not zero");
    if left.is_integer() && right.is_integer() {
        let (a, b) = (left.as_i64().ok_or_else(failed)?, right.as_i64().ok_or_else(failed)?);
        let rest = a.checked_rem(b).ok_or_else(failed)?;
        return Ok(Value::from(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }));
    }
    let (a, b) = (f64::try_from(left)?, f64::try_from(right)?);
    if b == 0.0 {
        return Err(failed());
    }
    let rest = a % b;
    Ok(Value::from(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }))
}

pub fn format_text(style: FormatStyle, format: &str, args: &[Value]) -> Result<Value, Error> {
    // A width or precision could ask for any amount of memory.
    let numbers = format.split(|c: char| !c.is_ascii_digit());
    if numbers.map(|n| n.trim_start_matches('0').len()).any(|digits| digits > 5) || format.contains('*') {
        return Err(exhausted("wider text"));
    }
    let args = args.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
    let inputs = args.iter().map(weight).fold(format.len(), usize::saturating_add);
    charge(inputs.saturating_mul(2))?;
    let text = minijinja::formatting::format(style, format, &args)?;
    charge(text.len())?;
    Ok(Value::from(text))
}

/// A value for formatting: what is not a text or number is written out, by us.
fn plain(value: &Value) -> Result<Value, Error> {
    let text = |v: &Value| -> Result<Value, Error> {
        if v.as_object().is_none() {
            return Ok(v.clone());
        }
        Ok(Value::from(str_of(v)?))
    };
    if value.kind() != ValueKind::Map {
        return text(value);
    }
    let mut pairs = Vec::new();
    for key in value.try_iter()? {
        pairs.push((str_of(&key)?, text(&value.get_item(&key)?)?));
    }
    Ok(if value.is_kwargs() { Value::from(Kwargs::from_iter(pairs)) } else { Value::from_pairs(pairs) })
}

// ---- rewriting ----

/// The same template, with a filter after the left side of every product: minijinja works out what is constant while it
/// compiles, where nothing is counted, and `'x' * 100000000` is.
pub fn without_constant_products(source: &str, syntax: &SyntaxConfig) -> String {
    let mut out = String::with_capacity(source.len());
    let (mut copied, mut operand_end) = (0, None);
    for (token, span) in tokenize(source, false, syntax.clone()).map_while(std::result::Result::ok) {
        // A star after anything else spreads an argument.
        if let (Token::Mul, Some(end)) = (&token, operand_end) {
            out.push_str(&source[copied..end]);
            let _ = write!(out, "|{CHECK}");
            copied = end;
        }
        let ends_operand = matches!(
            token,
            Token::Ident(_)
                | Token::Str(_)
                | Token::String(_)
                | Token::Int(_)
                | Token::Int128(_)
                | Token::Float(_)
                | Token::ParenClose
                | Token::BracketClose
                | Token::BraceClose
        );
        operand_end = ends_operand.then_some(span.end_offset as usize);
    }
    out.push_str(&source[copied..]);
    out
}

const CHECK: &str = "__check";
const CONCAT: &str = "__concat";
const REMAINDER: &str = "__remainder";
const BEFORE_OBJECT: &str = "__before_object";
const BEFORE_ADD: &str = "__before_add";
const BEFORE_MULTIPLY: &str = "__before_multiply";
const BEFORE_IN: &str = "__before_in";
const BEFORE_CHAIN: &str = "__before_chain";

pub fn add_operators(env: &mut Environment) {
    env.add_filter(CHECK, check);
    env.add_filter(CONCAT, concat);
    env.add_filter(REMAINDER, remainder);
    env.add_filter(BEFORE_OBJECT, before_object);
    env.add_filter(BEFORE_ADD, before_add);
    env.add_filter(BEFORE_MULTIPLY, before_multiply);
    env.add_filter(BEFORE_IN, before_in);
    env.add_filter(BEFORE_CHAIN, before_chain);
}

/// The filter that looks at both operands of an operator first.
fn before_operator(instruction: &Instruction) -> Option<&'static str> {
    match instruction {
        Instruction::Add => Some(BEFORE_ADD),
        Instruction::Mul => Some(BEFORE_MULTIPLY),
        Instruction::In => Some(BEFORE_IN),
        Instruction::CompareAndPreserve(_) => Some(BEFORE_CHAIN),
        _ => None,
    }
}

/// The same program with checks.
pub fn rewrite<'s>(program: &Instructions<'s>) -> Instructions<'s> {
    let filter = |name, args| Instruction::ApplyFilter(name, Some(args), NO_LOCAL);
    let mut steps: Vec<(u32, Instruction<'s>)> = Vec::new(); // with the index of the original instruction
    let mut new_index = Vec::new();
    let mut index = 0;
    while let Some(instruction) = program.get(index) {
        new_index.push(steps.len() as u32);
        let mut push = |instruction| steps.push((index, instruction));
        if let Some(before) = before_operator(instruction) {
            push(Instruction::BuildList(Some(2)));
            push(filter(before, 1));
            push(Instruction::UnpackList(2));
        }
        match instruction {
            Instruction::EmitRaw(text) => {
                push(Instruction::LoadConst(Value::from(*text)));
                push(Instruction::Emit);
            }
            Instruction::StringConcat => push(filter(CONCAT, 2)),
            Instruction::Rem => push(filter(REMAINDER, 2)),
            Instruction::ApplyFilter(..)
            | Instruction::PerformTest(..)
            | Instruction::Slice
            | Instruction::EndCapture => {
                push(instruction.clone());
                push(filter(CHECK, 1));
            }
            Instruction::BuildList(_)
            | Instruction::BuildTuple(_)
            | Instruction::BuildMap(1..)
            | Instruction::BuildKwargs(1..)
                if !matches!(
                    instruction,
                    Instruction::BuildList(Some(0)) | Instruction::BuildTuple(Some(0))
                ) =>
            {
                push(filter(BEFORE_OBJECT, 1));
                push(instruction.clone());
            }
            Instruction::Eq
            | Instruction::Ne
            | Instruction::Gt
            | Instruction::Gte
            | Instruction::Lt
            | Instruction::Lte => {
                push(filter(CHECK, 1));
                push(instruction.clone());
            }
            _ => push(instruction.clone()),
        }
        index += 1;
    }
    new_index.push(steps.len() as u32);
    let target = |old: u32| new_index.get(old as usize).copied().unwrap_or(u32::MAX);
    let mut rewritten = Instructions::new(program.name(), program.source());
    for (origin, instruction) in steps {
        let instruction = match instruction {
            Instruction::Iterate(to) => Instruction::Iterate(target(to)),
            Instruction::Jump(to) => Instruction::Jump(target(to)),
            Instruction::JumpIfFalse(to) => Instruction::JumpIfFalse(target(to)),
            Instruction::JumpIfFalseOrPop(to) => Instruction::JumpIfFalseOrPop(target(to)),
            Instruction::JumpIfTrueOrPop(to) => Instruction::JumpIfTrueOrPop(target(to)),
            Instruction::BuildMacro(name, to, flags) => Instruction::BuildMacro(name, target(to), flags),
            other => other,
        };
        match (program.get_span(origin), program.get_line(origin)) {
            (Some(span), _) => rewritten.add_with_span(instruction, span),
            (None, Some(line)) => rewritten.add_with_line(instruction, line.min(u16::MAX as usize) as u16),
            (None, None) => rewritten.add(instruction),
        };
    }
    rewritten
}
