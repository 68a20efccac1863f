//! folio's Rust library: the tokenizers and minijinja crates behind the C header `folio_rust.h`.
//!
//! `ffi` is the border: it turns C values into Rust ones and catches panics. Everything else is safe Rust.
#![deny(unsafe_code)]

mod access;
mod added_tokens;
mod bpe;
mod budget;
mod byte_level;
mod call_args;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod gguf;
mod huggingface;
mod huggingface_bpe;
mod json_text;
mod list_filters;
mod marks;
mod objects;
mod operators;
mod pipeline;
mod pre_tokenizers;
mod python_methods;
mod rewrite;
mod search;
mod spm;
mod str_methods;
mod strftime;
mod template;
mod template_filters;
mod template_globals;
mod template_tests;
mod text_filters;
mod text_format;
mod tokenizer;
mod value_text;
