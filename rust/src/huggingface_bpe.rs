//! The `model` of a tokenizer.json when it is a BPE, read in one pass without copying its texts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::Value;

use crate::bpe::{Bpe, Unknown, Vocab};
use crate::error::{invalid_json as invalid, Result};

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    vocab: FileVocab,
    #[serde(borrow, default)]
    merges: Vec<FileMerge<'a>>,
    unk_token: Option<Value>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    dropout: Option<f32>,
    #[serde(borrow)]
    continuing_subword_prefix: Option<Cow<'a, str>>,
    #[serde(borrow)]
    end_of_word_suffix: Option<Cow<'a, str>>,
}

/// None: the list of a Unigram model.
struct FileVocab(Option<Vocab>);

impl<'de> Deserialize<'de> for FileVocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = FileVocab;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a vocabulary: an object of texts to ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<FileVocab, A::Error> {
                let mut vocab = Vocab::with_capacity(1 << 16);
                while let Some((Text(text), id)) = map.next_entry::<Text, u32>()? {
                    if !vocab.insert(&text, id) {
                        return Err(A::Error::custom("the vocabulary has more than 4 GiB of text"));
                    }
                }
                Ok(FileVocab(Some(vocab)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<FileVocab, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FileVocab(None))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A text, borrowed from the file where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// "left right" (older files) or ["left", "right"].
struct FileMerge<'a>(Cow<'a, str>, Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for FileMerge<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = FileMerge<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a merge: two texts")
            }
            fn visit_borrowed_str<E>(self, merge: &'de str) -> std::result::Result<FileMerge<'de>, E> {
                Ok(FileMerge(Cow::Borrowed(merge), None))
            }
            fn visit_str<E>(self, merge: &str) -> std::result::Result<FileMerge<'de>, E> {
                Ok(FileMerge(Cow::Owned(merge.to_owned()), None))
            }
            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<FileMerge<'de>, A::Error> {
                let missing = || A::Error::custom("a merge has not two texts");
                let Text(left) = seq.next_element()?.ok_or_else(missing)?;
                let Text(right) = seq.next_element()?.ok_or_else(missing)?;
                Ok(FileMerge(left, Some(right)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// None: not a BPE, or one with parts that only the crate's model does.
pub fn read(json: &RawValue) -> Result<Option<Bpe>> {
    let model: Model = serde_json::from_str(json.get()).map_err(invalid)?;
    let is_bpe = model.kind.as_deref().map_or(!model.merges.is_empty(), |kind| kind == "BPE");
    let affixes = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
    let has_affix = affixes.into_iter().flatten().any(|affix| !affix.is_empty());
    let FileVocab(Some(vocab)) = model.vocab else { return Ok(None) };
    if !is_bpe || has_affix || model.dropout.is_some_and(|d| d > 0.0) {
        return Ok(None);
    }
    let mut merges = Vec::with_capacity(model.merges.len());
    for (index, FileMerge(left, right)) in model.merges.iter().enumerate() {
        match right {
            Some(right) => merges.push((&**left, &**right)),
            None => merges.push(
                left.split_once(' ').ok_or_else(|| invalid(format!("merge {index} is not two texts")))?,
            ),
        }
    }
    let unknown = Unknown {
        token: model.unk_token.as_ref().and_then(Value::as_str).and_then(|text| vocab.get(text)),
        fuse: model.fuse_unk,
        byte_fallback: model.byte_fallback,
    };
    Ok(Some(Bpe::new(vocab, merges.into_iter(), model.ignore_merges, unknown)))
}
