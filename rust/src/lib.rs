//! folio's Rust library: the tokenizers and minijinja crates behind the C header `folio_rust.h`.
//!
//! `ffi` is the border: it turns C values into Rust ones and catches panics. Everything else is safe Rust.
#![deny(unsafe_code)]

mod added_tokens;
mod bpe;
mod budget;
mod byte_level;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod gguf;
mod huggingface;
mod huggingface_bpe;
mod marks;
mod pipeline;
mod pre_tokenizers;
mod python;
mod python_methods;
mod spm;
mod strftime;
mod template;
mod template_filters;
mod template_limits;
mod tokenizer;
mod value_text;
