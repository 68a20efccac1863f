//! What one rendering may use up: bytes of all texts, lists and maps ever made together, which bounds memory as well as
//! work, and time. Kept per thread: a rendering stays on one.

use std::cell::Cell;
use std::time::{Duration, Instant};

use minijinja::{Error, ErrorKind};

const MAX_TIME: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
struct Budget {
    bytes_left: usize,
    max_text_bytes: usize,
    deadline: Option<Instant>,
    exhausted: bool,
}

thread_local! {
    // Of the render that runs on this thread.
    static BUDGET: Cell<Budget> =
        const { Cell::new(Budget { bytes_left: 0, max_text_bytes: 0, deadline: None, exhausted: false }) };
}

pub fn start(bytes_left: usize, max_text_bytes: usize) {
    let deadline = Instant::now().checked_add(MAX_TIME);
    BUDGET.with(|b| b.set(Budget { bytes_left, max_text_bytes, deadline, exhausted: false }));
}

pub fn was_exhausted() -> bool {
    BUDGET.with(|b| b.get().exhausted)
}

pub fn exhausted(what: &str) -> Error {
    BUDGET.with(|b| b.set(Budget { exhausted: true, ..b.get() }));
    Error::new(ErrorKind::OutOfFuel, format!("the template makes {what} than the limit allows"))
}

/// What Python would raise.
pub fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Takes `bytes` from the budget before a text of that size is made.
pub fn charge(bytes: usize) -> Result<(), Error> {
    let budget = BUDGET.with(Cell::get);
    if bytes > budget.max_text_bytes || bytes > budget.bytes_left {
        return Err(exhausted("more text"));
    }
    BUDGET.with(|b| b.set(Budget { bytes_left: budget.bytes_left - bytes, ..budget }));
    Ok(())
}

/// Before `more` bytes are appended to a text of `bytes`.
pub fn check_growth(bytes: usize, more: usize) -> Result<(), Error> {
    if bytes.saturating_add(more) > BUDGET.with(Cell::get).max_text_bytes {
        return Err(exhausted("longer text"));
    }
    charge(more)
}

pub fn grow(text: &mut String, more: &str) -> Result<(), Error> {
    check_growth(text.len(), more.len())?;
    text.push_str(more);
    Ok(())
}

/// Whether there is time left.
pub fn check_time() -> Result<(), Error> {
    if BUDGET.with(Cell::get).deadline.is_some_and(|d| Instant::now() > d) {
        return Err(exhausted("more work"));
    }
    Ok(())
}
