//! The C interface; folio_rust.h documents it. Every function catches panics. Pointers from C are trusted to be what
//! the header says they are, nothing else is.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Once, OnceLock};

use crate::error::{Error, Kind, Result};
use crate::template::{Render, Template};
use crate::tokenizer::TextTokenizer;
use crate::{gguf, huggingface, pre_tokenizers};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct FolioStr {
    data: *const u8,
    size: usize,
}

/// A `Vec` handed to C: `FolioBytes`, `FolioIds` and `FolioSizes` of the header.
#[repr(C)]
pub struct Owned<T> {
    data: *mut T,
    size: usize,
}

impl FolioStr {
    fn borrowed(text: &str) -> Self {
        FolioStr { data: text.as_ptr(), size: text.len() }
    }
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        slice(self.data, self.size)
    }
    unsafe fn text<'a>(self, what: &str) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()).map_err(|e| {
            Error::invalid(format!("{what} is not UTF-8: byte {} begins no character", e.valid_up_to()))
        })
    }
}

unsafe fn slice<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if data.is_null() || size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

impl<T> Owned<T> {
    fn new(values: Vec<T>) -> Self {
        let values = values.into_boxed_slice();
        let size = values.len();
        Owned { data: Box::into_raw(values) as *mut T, size }
    }
    unsafe fn free(self) {
        if !self.data.is_null() {
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.data, self.size)));
        }
    }
}

fn empty<T>(out: *mut Owned<T>) {
    if !out.is_null() {
        unsafe { out.write(Owned { data: std::ptr::null_mut(), size: 0 }) };
    }
}

/// What a panic said. The message goes into an error, so it is not printed as well.
fn caught<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("unknown").to_owned()
    })
}

/// Runs `work`; an error or a panic becomes a status and a sentence.
fn guard(error: *mut Owned<u8>, work: impl FnOnce() -> Result<()>) -> i32 {
    empty(error);
    let failure = match caught(work) {
        Ok(Ok(())) => return 0,
        Ok(Err(failure)) => failure,
        Err(panic) => Error { kind: Kind::Bug, message: format!("internal error: {panic}") },
    };
    if !error.is_null() {
        unsafe { error.write(Owned::new(failure.message.into_bytes())) };
    }
    failure.kind as i32
}

fn guard_value<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    caught(work).unwrap_or(otherwise)
}

#[no_mangle]
pub unsafe extern "C" fn folio_bytes_free(bytes: Owned<u8>) {
    bytes.free()
}
#[no_mangle]
pub unsafe extern "C" fn folio_ids_free(ids: Owned<u32>) {
    ids.free()
}
#[no_mangle]
pub unsafe extern "C" fn folio_sizes_free(sizes: Owned<usize>) {
    sizes.free()
}
#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_free(tokenizer: *mut TextTokenizer) {
    if !tokenizer.is_null() {
        guard_value((), || drop(Box::from_raw(tokenizer)));
    }
}
#[no_mangle]
pub unsafe extern "C" fn folio_template_free(template: *mut Template) {
    if !template.is_null() {
        guard_value((), || drop(Box::from_raw(template)));
    }
}

#[repr(C)]
pub struct FolioVocabulary {
    model: FolioStr,
    pre: FolioStr,
    tokens: *const FolioStr,
    scores: *const f32,
    types: *const i32,
    token_count: usize,
    merges: *const FolioStr,
    merge_count: usize,
    bos: u32,
    eos: u32,
    unk: u32,
    add_bos: i8,
    add_eos: i8,
    add_space_prefix: i8,
    remove_extra_whitespaces: i8,
    strip_after_control: i8,
}

unsafe fn texts<'a>(data: *const FolioStr, size: usize, what: &str) -> Result<Vec<&'a str>> {
    let text = |(i, s): (usize, &FolioStr)| {
        s.text("").map_err(|_| Error::invalid(format!("{what}[{i}] is not UTF-8")))
    };
    slice(data, size).iter().enumerate().map(text).collect()
}

fn tri_state(value: i8) -> Option<bool> {
    if value < 0 {
        None
    } else {
        Some(value != 0)
    }
}

fn present(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_from_vocabulary(
    vocabulary: *const FolioVocabulary,
    out: *mut *mut TextTokenizer,
    error: *mut Owned<u8>,
) -> i32 {
    out.write(std::ptr::null_mut());
    guard(error, || {
        let v = &*vocabulary;
        let array = |data: *const f32| (!data.is_null()).then(|| slice(data, v.token_count));
        let vocabulary = gguf::Vocabulary {
            model: v.model.text("tokenizer.ggml.model")?,
            pre: v.pre.text("tokenizer.ggml.pre")?,
            tokens: texts(v.tokens, v.token_count, "tokenizer.ggml.tokens")?,
            scores: array(v.scores),
            types: (!v.types.is_null()).then(|| slice(v.types, v.token_count)),
            merges: texts(v.merges, v.merge_count, "tokenizer.ggml.merges")?,
            bos: present(v.bos),
            eos: present(v.eos),
            unk: present(v.unk),
            add_bos: tri_state(v.add_bos),
            add_eos: tri_state(v.add_eos),
            add_space_prefix: tri_state(v.add_space_prefix),
            remove_extra_whitespaces: tri_state(v.remove_extra_whitespaces),
            strip_after_control: v.strip_after_control != 0,
        };
        out.write(Box::into_raw(Box::new(gguf::build(&vocabulary)?)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_from_json(
    json: FolioStr,
    more_json: FolioStr,
    out: *mut *mut TextTokenizer,
    error: *mut Owned<u8>,
) -> i32 {
    out.write(std::ptr::null_mut());
    guard(error, || {
        // The crate panics at some files that contradict themselves.
        let built = caught(|| huggingface::build(json.bytes(), more_json.bytes()))
            .map_err(|panic| Error::invalid(format!("tokenizer.json contradicts itself: {panic}")))?;
        out.write(Box::into_raw(Box::new(built?)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_set_added(
    tokenizer: *mut TextTokenizer,
    bos: u32,
    add_bos: i8,
    eos: u32,
    add_eos: i8,
) {
    let tokenizer = &mut *tokenizer;
    guard_value(
        (),
        AssertUnwindSafe(|| {
            if let (Some(add), Some(bos)) = (tri_state(add_bos), present(bos)) {
                tokenizer.prefix.retain(|&id| id != bos);
                if add {
                    tokenizer.prefix.insert(0, bos);
                }
            }
            if let (Some(add), Some(eos)) = (tri_state(add_eos), present(eos)) {
                tokenizer.suffix.retain(|&id| id != eos);
                if add {
                    tokenizer.suffix.push(eos);
                }
            }
        }),
    );
}

#[repr(C)]
pub struct FolioTokenTable {
    bytes: *const u8,
    offsets: *const u32,
    flags: *const u8,
    count: usize,
}

#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_table(tokenizer: *const TextTokenizer) -> FolioTokenTable {
    let table = &(*tokenizer).table;
    FolioTokenTable {
        bytes: table.bytes.as_ptr(),
        offsets: table.offsets.as_ptr(),
        flags: table.flags.as_ptr(),
        count: table.flags.len(),
    }
}

#[repr(C)]
pub struct FolioTokenizerInfo {
    kind: FolioStr,
    merge_count: usize,
    adds_bos: u8,
    adds_eos: u8,
    strips_leading_blank: u8,
}

#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_info(tokenizer: *const TextTokenizer) -> FolioTokenizerInfo {
    let tokenizer = &*tokenizer;
    FolioTokenizerInfo {
        kind: FolioStr::borrowed(tokenizer.kind),
        merge_count: tokenizer.merge_count,
        adds_bos: !tokenizer.prefix.is_empty() as u8,
        adds_eos: !tokenizer.suffix.is_empty() as u8,
        strips_leading_blank: tokenizer.strips_leading_blank as u8,
    }
}

#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_find(tokenizer: *const TextTokenizer, stored: FolioStr) -> u32 {
    let tokenizer = &*tokenizer;
    guard_value(
        u32::MAX,
        AssertUnwindSafe(|| stored.text("").ok().and_then(|text| tokenizer.find(text)).unwrap_or(u32::MAX)),
    )
}

#[no_mangle]
pub extern "C" fn folio_pre_tokenizer_names() -> FolioStr {
    static NAMES: OnceLock<String> = OnceLock::new();
    FolioStr::borrowed(NAMES.get_or_init(|| pre_tokenizers::names().collect::<Vec<_>>().join(", ")))
}

#[repr(C)]
pub struct FolioEncode {
    text: FolioStr,
    parse_special: u8,
    add: u8,
    breaks: *const usize,
    break_count: usize,
}

#[no_mangle]
pub unsafe extern "C" fn folio_tokenizer_encode(
    tokenizer: *const TextTokenizer,
    request: *const FolioEncode,
    ids: *mut Owned<u32>,
    error: *mut Owned<u8>,
) -> i32 {
    empty(ids);
    guard(error, || {
        let request = &*request;
        let text = request.text.text("the text")?;
        let breaks = slice(request.breaks, request.break_count);
        let encoded = (*tokenizer).encode(text, breaks, request.parse_special != 0, request.add != 0)?;
        ids.write(Owned::new(encoded));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn folio_template_compile(
    source: FolioStr,
    out: *mut *mut Template,
    error: *mut Owned<u8>,
) -> i32 {
    out.write(std::ptr::null_mut());
    guard(error, || {
        let template = Template::compile(source.text("the chat template")?)?;
        out.write(Box::into_raw(Box::new(template)));
        Ok(())
    })
}

#[repr(C)]
pub struct FolioRender {
    trusted_json: FolioStr,
    messages_json: FolioStr,
    tools_json: FolioStr,
    documents_json: FolioStr,
    kwargs_json: FolioStr,
    mark_for: *const TextTokenizer,
    now_unix_s: i64,
    now_is_local: u8,
    max_bytes: usize,
}

#[no_mangle]
pub unsafe extern "C" fn folio_template_render(
    template: *const Template,
    request: *const FolioRender,
    text: *mut Owned<u8>,
    breaks: *mut Owned<usize>,
    error: *mut Owned<u8>,
) -> i32 {
    empty(text);
    empty(breaks);
    guard(error, || {
        let request = &*request;
        let rendered = (*template).render(&Render {
            trusted_json: request.trusted_json.text("chat input: variables")?,
            messages_json: request.messages_json.text("chat input: messages")?,
            tools_json: request.tools_json.text("chat input: tools")?,
            documents_json: request.documents_json.text("chat input: documents")?,
            kwargs_json: request.kwargs_json.text("chat input: kwargs")?,
            mark_for: request.mark_for.as_ref(),
            now_unix_s: request.now_unix_s,
            now_is_local: request.now_is_local != 0,
            max_bytes: request.max_bytes,
        })?;
        text.write(Owned::new(rendered.text.into_bytes()));
        breaks.write(Owned::new(rendered.breaks));
        Ok(())
    })
}
