//! Templates compiled by minijinja, rewritten so that every operator, test, item and list is one of ours: as Python has
//! them, and paid for from the budget (see `budget`, `objects`, `operators`). minijinja counts instructions ("fuel"), but
//! one instruction may double a text. What is left to minijinja is the syntax, control flow, scopes and macros.
//!
//! Its parser and compiler recurse along chains (`1+1+1`, `a.b.b`, `elif`), so the tokens of one tag are limited first.

use std::fmt::Write;

use minijinja::machinery::{tokenize, Instruction, Instructions, Token};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Tuple;
use minijinja::{Environment, Error as JinjaError, Value};

use crate::budget::{charge, check_time, failed};
use crate::error::{Error, Result};
use crate::operators::{self, compare, Comparison};
use crate::{access, objects, text_format};

type Computed = std::result::Result<Value, JinjaError>;

const NO_LOCAL: u8 = !0; // a filter that is looked up by name each time
const MAX_TAG_TOKENS: usize = 2048;
const MAX_ELIFS: usize = 512;

// ---- before parsing ----

/// Refuses what would overflow the stack of minijinja's parser or compiler.
pub fn check_chains(source: &str, syntax: &SyntaxConfig) -> Result<()> {
    let (mut tokens, mut elifs) = (0, 0);
    for (token, span) in tokenize(source, false, syntax.clone()).map_while(std::result::Result::ok) {
        match token {
            Token::VariableStart | Token::BlockStart => tokens = 0,
            Token::Ident("elif") => elifs += 1,
            _ => {}
        }
        tokens += 1;
        if tokens > MAX_TAG_TOKENS {
            return Err(Error::limit(format!(
                "chat template: more than {MAX_TAG_TOKENS} words and operators in one tag (line {})",
                span.start_line
            )));
        }
        if elifs > MAX_ELIFS {
            return Err(Error::limit(format!(
                "chat template: more than {MAX_ELIFS} elif (line {})",
                span.start_line
            )));
        }
    }
    Ok(())
}

const KEYWORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "for",
    "set",
    "do",
    "with",
    "call",
    "filter",
    "recursive",
];

/// The same template, with a filter after the left side of every operator: minijinja works out what is
/// constant while it compiles, where nothing is
/// counted and not everything is as in Python.
pub fn without_constants(source: &str, syntax: &SyntaxConfig) -> String {
    let mut out = String::with_capacity(source.len());
    let (mut copied, mut operand_end, mut is_loop_target) = (0, None, false);
    for (token, span) in tokenize(source, false, syntax.clone()).map_while(std::result::Result::ok) {
        // After anything but an operand, a star spreads an argument and a sign is one.
        let is_operator = match token {
            Token::Ident("in") => !std::mem::take(&mut is_loop_target),
            Token::Ident("for") => {
                is_loop_target = true;
                false
            }
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod => true,
            Token::Tilde | Token::Eq | Token::Ne | Token::Lt | Token::Lte | Token::Gt | Token::Gte => true,
            _ => false,
        };
        if matches!(token, Token::Plus) && operand_end.is_none() {
            out.push_str(&source[copied..span.start_offset as usize]);
            copied = span.end_offset as usize; // minijinja has no sign +
        }
        if let (true, Some(end)) = (is_operator, operand_end) {
            out.push_str(&source[copied..end]);
            let _ = write!(out, "|{CHECK}");
            copied = end;
        }
        let is_keyword = matches!(token, Token::Ident(name) if KEYWORDS.contains(&name));
        let ends_operand = !is_keyword
            && matches!(
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

/// After what may be slow: whether there is time left.
fn check(value: Value) -> Computed {
    check_time()?;
    Ok(value)
}

// ---- the filters that stand for instructions ----

pub fn add_operators(env: &mut Environment) {
    env.add_filter(CHECK, check);
    env.add_filter("__add", operators::add);
    env.add_filter("__subtract", operators::subtract);
    env.add_filter("__multiply", operators::multiply);
    env.add_filter("__divide", operators::divide);
    env.add_filter("__floor_divide", operators::floor_divide);
    env.add_filter("__remainder", |left: Value, right: Value| match left.as_str() {
        Some(format) => text_format::percent(format, &right),
        None => operators::remainder(left, right),
    });
    env.add_filter("__power", operators::power);
    env.add_filter("__negate", operators::negate);
    env.add_filter("__concat", operators::concat);
    env.add_filter("__get_attr", |value: &Value, name: &str| access::get_attr(value, name));
    env.add_filter("__get_item", |value: &Value, key: &Value| access::get_item(value, key));
    env.add_filter("__slice", |value: &Value, start: &Value, stop: &Value, step: &Value| {
        access::slice(value, start, stop, step)
    });
    env.add_filter("__set_attr", |value: Value, target: &Value, name: &str| {
        objects::set_attr(target, name, value).map(|()| Value::UNDEFINED)
    });
    env.add_filter("__adopt", objects::adopt);
    env.add_filter("__dict", |flat: &Value| -> Computed {
        let mut items = flat.try_iter()?;
        let mut pairs = Vec::new();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        objects::dict(pairs)
    });
    env.add_filter("__iterable", |value: Value| -> Computed {
        objects::check_iterable(&value)?;
        charge(value.as_str().map_or(0, str::len))?;
        Ok(value)
    });
    env.add_filter("__remembered", remembered);
    env.add_filter("__include", |_: Value| -> Computed {
        Err(failed("a chat template cannot use other templates"))
    });
    for (plain, chained, comparison) in COMPARISONS {
        env.add_filter(*plain, |a: &Value, b: &Value| compare(*comparison, a, b));
        // In `a < b < c` the right side is kept below the result.
        env.add_filter(*chained, |a: &Value, b: Value| -> Computed {
            let holds = compare(*comparison, a, &b)?;
            Ok(Value::from(Tuple::from([Value::from(holds), b])))
        });
    }
}

/// In the order of minijinja's CompareOp.
const COMPARISONS: &[(&str, &str, Comparison)] = &[
    ("__equal", "__chain_equal", Comparison::Equal),
    ("__not_equal", "__chain_not_equal", Comparison::NotEqual),
    ("__less", "__chain_less", Comparison::Less),
    ("__less_equal", "__chain_less_equal", Comparison::LessEqual),
    ("__greater", "__chain_greater", Comparison::Greater),
    ("__greater_equal", "__chain_greater_equal", Comparison::GreaterEqual),
    ("__in", "__chain_in", Comparison::In),
    ("__not_in", "__chain_not_in", Comparison::NotIn),
];

/// Before `loop.changed(...)`, which keeps its arguments and has minijinja compare them: they are paid for, and hold no
/// loop. The receiver comes first; unpacking turns the order round.
fn remembered(call: &Value) -> Computed {
    let mut parts: Vec<Value> = call.try_iter()?.collect();
    for argument in parts.iter().skip(1) {
        if objects::holds_mutable(argument) {
            return Err(failed("loop.changed() cannot keep a namespace or a loop"));
        }
        objects::charge_tree(argument)?;
    }
    parts.reverse();
    Ok(Value::from(parts))
}

/// The filter of ours that does what the instruction does to the values on top of the stack, and how many it takes.
fn operator(instruction: &Instruction) -> Option<(&'static str, u16)> {
    let by = |comparison: usize| COMPARISONS.get(comparison).map(|(plain, ..)| (*plain, 2));
    match instruction {
        Instruction::Add => Some(("__add", 2)),
        Instruction::Sub => Some(("__subtract", 2)),
        Instruction::Mul => Some(("__multiply", 2)),
        Instruction::Div => Some(("__divide", 2)),
        Instruction::IntDiv => Some(("__floor_divide", 2)),
        Instruction::Rem => Some(("__remainder", 2)),
        Instruction::Pow => Some(("__power", 2)),
        Instruction::Neg => Some(("__negate", 1)),
        Instruction::StringConcat => Some(("__concat", 2)),
        Instruction::GetItem => Some(("__get_item", 2)),
        Instruction::Slice => Some(("__slice", 4)),
        Instruction::Eq => by(0),
        Instruction::Ne => by(1),
        Instruction::Lt => by(2),
        Instruction::Lte => by(3),
        Instruction::Gt => by(4),
        Instruction::Gte => by(5),
        Instruction::In => by(6),
        _ => None,
    }
}

// ---- rewriting ----

type Steps<'s> = Vec<Instruction<'s>>;

fn filter<'s>(name: &'s str, args: u16) -> Instruction<'s> {
    Instruction::ApplyFilter(name, Some(args), NO_LOCAL)
}

/// What stands for one instruction.
fn replacement<'s>(instruction: &Instruction<'s>) -> Steps<'s> {
    if let Some((name, args)) = operator(instruction) {
        return vec![filter(name, args)];
    }
    match instruction {
        Instruction::EmitRaw(text) => vec![Instruction::LoadConst(Value::from(*text)), Instruction::Emit],
        Instruction::LoadConst(value) => vec![Instruction::LoadConst(objects::outside(value))],
        Instruction::GetAttr(name) => {
            vec![Instruction::LoadConst(Value::from(*name)), filter("__get_attr", 2)]
        }
        Instruction::SetAttr(name) => {
            vec![Instruction::LoadConst(Value::from(*name)), filter("__set_attr", 3), Instruction::DiscardTop]
        }
        Instruction::CompareAndPreserve(comparison) => {
            vec![filter(chained(*comparison as usize), 2), Instruction::UnpackList(2)]
        }
        Instruction::BuildList(_) | Instruction::BuildTuple(_) => {
            vec![instruction.clone(), filter("__adopt", 1)]
        }
        Instruction::BuildMap(pairs) => vec![Instruction::BuildList(Some(2 * pairs)), filter("__dict", 1)],
        Instruction::ApplyFilter(..) | Instruction::PerformTest(..) | Instruction::EndCapture => {
            vec![instruction.clone(), filter(CHECK, 1)]
        }
        Instruction::PushLoop(_) => vec![filter("__iterable", 1), instruction.clone()],
        Instruction::CallMethod("changed", Some(count)) => vec![
            Instruction::BuildTuple(Some(usize::from(*count))),
            filter("__remembered", 1),
            Instruction::UnpackList(usize::from(*count)),
            instruction.clone(),
        ],
        Instruction::Include(_) | Instruction::LoadBlocks => {
            vec![filter("__include", 1), instruction.clone()]
        }
        other => vec![other.clone()],
    }
}

fn chained(comparison: usize) -> &'static str {
    COMPARISONS.get(comparison).map_or("__chain_equal", |(_, chained, _)| *chained)
}

/// The same program, in our terms.
pub fn rewrite<'s>(program: &Instructions<'s>) -> Instructions<'s> {
    let mut steps: Vec<(u32, Instruction<'s>)> = Vec::new(); // with the index of the original instruction
    let mut new_index = Vec::new();
    let mut index = 0;
    while let Some(instruction) = program.get(index) {
        new_index.push(steps.len() as u32);
        steps.extend(replacement(instruction).into_iter().map(|step| (index, step)));
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
