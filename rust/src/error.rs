//! One error type for the whole library: a kind that C sees as a number, and one sentence.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    Invalid = 1,
    Unsupported = 2,
    Raised = 3,
    Limit = 4,
    Bug = 5,
}

#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn invalid(message: impl Into<String>) -> Self {
        Error { kind: Kind::Invalid, message: message.into() }
    }
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error { kind: Kind::Unsupported, message: message.into() }
    }
    pub fn limit(message: impl Into<String>) -> Self {
        Error { kind: Kind::Limit, message: message.into() }
    }
}

/// What is wrong with a tokenizer.json.
pub fn invalid_json(error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("tokenizer.json: {error}"))
}
