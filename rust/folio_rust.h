// The C interface of the one Rust library in folio: tokenizers and chat templates. Used by src/text/ only.
//
// Texts are UTF-8 as pointer + length; NUL is a character like any other and nothing is terminated by it. A pointer may
// be null when its length is 0.
// Ownership: objects are freed with the function named beside their type; a FolioBytes / FolioIds that a function
// filled is freed with folio_bytes_free / folio_ids_free, also after an error. Inputs are copied before a call returns.
// Threads: a FolioTokenizer and a FolioTemplate never change after they are made: any number of threads may use one at
// once. Nobody may use it while it is being freed.
// Errors: a function that can fail returns a FolioStatus; when it is not FOLIO_OK, `error` holds one sentence and the
// other outputs are empty. A panic inside is caught and becomes FOLIO_BUG. All pointers to outputs must be valid.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum FolioStatus {
  FOLIO_OK = 0,
  FOLIO_INVALID = 1,      // the input contradicts itself or is malformed
  FOLIO_UNSUPPORTED = 2,  // well-formed, but of a kind that is not supported
  FOLIO_RAISED = 3,       // the template called raise_exception; the error is its message, unchanged
  FOLIO_LIMIT = 4,        // a limit on size or work was reached
  FOLIO_BUG = 5,          // a panic was caught
} FolioStatus;

typedef struct FolioStr {
  const uint8_t* data;
  size_t size;
} FolioStr;

typedef struct FolioBytes {
  uint8_t* data;
  size_t size;
} FolioBytes;
void folio_bytes_free(FolioBytes bytes);

typedef struct FolioIds {
  uint32_t* data;
  size_t size;
} FolioIds;
void folio_ids_free(FolioIds ids);

// ---- tokenizers ----------------------------------------------------------------------------------------------

typedef struct FolioTokenizer FolioTokenizer;
void folio_tokenizer_free(FolioTokenizer* tokenizer);

enum { FOLIO_NO_TOKEN = UINT32_MAX };

// What a GGUF file says about its vocabulary. Arrays have `token_count` elements; `scores` and `types` may be null.
typedef struct FolioVocabulary {
  FolioStr model;  // "llama" or "gpt2"
  FolioStr pre;
  const FolioStr* tokens;
  const float* scores;
  const int32_t* types;
  size_t token_count;
  const FolioStr* merges;
  size_t merge_count;
  uint32_t bos, eos, unk;            // FOLIO_NO_TOKEN: none
  int8_t add_bos, add_eos;           // 0, 1, or -1: as the model kind usually does
  int8_t add_space_prefix;           // the same
  int8_t remove_extra_whitespaces;   // the same
  int8_t strip_after_control;        // 0 or 1
} FolioVocabulary;

FolioStatus folio_tokenizer_from_vocabulary(const FolioVocabulary* vocabulary, FolioTokenizer** out, FolioBytes* error);

// Hugging Face's tokenizer.json, and added tokens that other files name: `more_json` is an array of objects as in its
// own added_tokens (empty: none). One whose text is added already changes that one's flags, unless "only_if_new" is
// true; its id is the vocabulary's where that has the text, else "id"; without both it is left out. add_bos / add_eos: 0 and 1 are what tokenizer_config.json says (with the ids in bos and
// eos), -1: as tokenizer.json's post-processor does.
FolioStatus folio_tokenizer_from_json(FolioStr json, FolioStr more_json, FolioTokenizer** out, FolioBytes* error);
void folio_tokenizer_set_added(FolioTokenizer* tokenizer, uint32_t bos, int8_t add_bos, uint32_t eos, int8_t add_eos);

// Every id's bytes in running text: those of `id` are bytes[offsets[id], offsets[id + 1]). Bit 0 of flags[id]: a control
// token; bit 1: an added token. Valid as long as the tokenizer.
typedef struct FolioTokenTable {
  const uint8_t* bytes;
  const uint32_t* offsets;  // [count + 1]
  const uint8_t* flags;     // [count]
  size_t count;
} FolioTokenTable;
FolioTokenTable folio_tokenizer_table(const FolioTokenizer* tokenizer);

typedef struct FolioTokenizerInfo {
  FolioStr kind;  // valid as long as the tokenizer
  size_t merge_count;
  uint8_t adds_bos, adds_eos;
  uint8_t strips_leading_blank;  // decoded text loses one leading blank
} FolioTokenizerInfo;
FolioTokenizerInfo folio_tokenizer_info(const FolioTokenizer* tokenizer);

// The id whose stored text is exactly this, or FOLIO_NO_TOKEN.
uint32_t folio_tokenizer_find(const FolioTokenizer* tokenizer, FolioStr stored);

// The names of all known pre-tokenizers, separated by ", ".
FolioStr folio_pre_tokenizer_names(void);

typedef struct FolioEncode {
  FolioStr text;         // valid UTF-8, else FOLIO_INVALID
  uint8_t parse_special; // the text of a control token becomes that token
  uint8_t add;           // the model's own BOS / EOS
  const size_t* breaks;  // ascending byte offsets that no recognised control or added token may contain inside
  size_t break_count;
} FolioEncode;
FolioStatus folio_tokenizer_encode(const FolioTokenizer* tokenizer, const FolioEncode* request, FolioIds* ids,
                                   FolioBytes* error);

// ---- chat templates ------------------------------------------------------------------------------------------

typedef struct FolioTemplate FolioTemplate;
void folio_template_free(FolioTemplate* chat_template);

FolioStatus folio_template_compile(FolioStr source, FolioTemplate** out, FolioBytes* error);

typedef struct FolioRender {
  FolioStr trusted_json;   // object: variables that are the model's own (bos_token, ...)
  // Variables that come from a user, as JSON; an empty text is null.
  FolioStr messages_json, tools_json, documents_json;
  FolioStr kwargs_json;    // object: more of them; wins over trusted_json, not over messages, tools and documents
  // If not null: the text of this tokenizer's control tokens inside a user's values gets a break (see FolioEncode).
  const FolioTokenizer* mark_for;
  int64_t now_unix_s;      // for strftime_now
  uint8_t now_is_local;    // in the machine's time zone, else UTC
  size_t max_bytes;        // of the rendered text
} FolioRender;

// Fills text and breaks (byte offsets as size_t values; empty without mark_for).
typedef struct FolioSizes {
  size_t* data;
  size_t size;
} FolioSizes;
void folio_sizes_free(FolioSizes sizes);
FolioStatus folio_template_render(const FolioTemplate* chat_template, const FolioRender* request, FolioBytes* text,
                                  FolioSizes* breaks, FolioBytes* error);

#ifdef __cplusplus
}
#endif
