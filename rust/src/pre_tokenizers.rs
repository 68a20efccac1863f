//! How byte-level BPE vocabularies cut a text into words before merging, by the name a GGUF file gives
//! (`tokenizer.ggml.pre`). Each family is a list of expressions applied one after the other: every match becomes a
//! word of its own, and so does what lies between matches.
//!
//! Sources: the `pre_tokenizer` of each model's published tokenizer.json; which name belongs to which family is
//! llama.cpp's choice (src/llama-vocab.cpp), since it writes the names.

macro_rules! contractions {
    () => {
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    };
}
// Letters, digits and other characters of GPT-4's tokenizer and its descendants; they differ in how long a run of
// digits may be.
macro_rules! gpt4 {
    ($digits:literal) => {
        concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}
// GPT-4o's: words are cut where upper case follows lower case; marks belong to letters.
macro_rules! upper {
    () => {
        r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
    };
}
macro_rules! lower {
    () => {
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    };
}
macro_rules! cased_words {
    ($ending:expr) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?",
            upper!(),
            "*",
            lower!(),
            "+",
            $ending,
            r"|[^\r\n\p{L}\p{N}]?",
            upper!(),
            "+",
            lower!(),
            "*",
            $ending
        )
    };
}
macro_rules! gpt4o {
    ($digits:literal) => {
        concat!(
            cased_words!(concat!(contractions!(), "?")),
            "|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}
macro_rules! ascii_punctuation {
    () => {
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"##
    };
}
macro_rules! deepseek_words {
    () => {
        concat!(
            ascii_punctuation!(),
            r"[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*",
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";
const LLAMA3: &str = gpt4!(r"\p{N}{1,3}");
const QWEN2: &str = gpt4!(r"\p{N}");
const QWEN35: &str = concat!(
    contractions!(),
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const GPT4O: &str = gpt4o!(r"\p{N}{1,3}");
const TEKKEN: &str = concat!(cased_words!(""), r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+");
const JAIS2: &str = concat!(
    contractions!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)",
    r"|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"
);
const SEED_CODER: &str = concat!(
    contractions!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const BAILING: &str = concat!(
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*",
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
);
const EXAONE_MOE: &str = concat!(
    contractions!(),
    r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?",
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
);
const KIMI_K2: &str = concat!(
    r"\p{Han}+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+",
    contractions!(),
    r"?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*",
    contractions!(),
    r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";
const CJK_AND_KANA: &str = r"[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+";
const CJK_AND_HANGUL: &str = r"[\x{4e00}-\x{9fa5}\x{0800}-\x{4e00}\x{ac00}-\x{d7ff}]+";
// The letters with case, as deepseek-llm's tokenizer.json lists them.
const CASED: &str = concat!(
    r"\s?[",
    r"\x{41}-\x{5a}\x{61}-\x{7a}\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}",
    r"\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}",
    r"\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}",
    r"\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}",
    r"\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}",
    r"\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}",
    r"\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}",
    r"\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}",
    r"\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}",
    r"\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}",
    r"\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}",
    r"\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}",
    r"\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}",
    r"]+"
);

pub struct Family {
    pub expressions: &'static [&'static str],
    /// A word that is a token as a whole is that token, whatever the merges would give.
    pub ignore_merges: bool,
    /// What `add_bos` is when the file does not say.
    pub add_bos: bool,
}

const fn family(expressions: &'static [&'static str]) -> Family {
    Family { expressions, ignore_merges: false, add_bos: false }
}

/// Every known name, family by family.
static FAMILIES: &[(&[&str], Family)] = &[
    (
        &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        Family { expressions: &[LLAMA3], ignore_merges: true, add_bos: true },
    ),
    (&["dbrx", "smaug-bpe", "chatglm4", "glm4", "chatglm-bpe"], family(&[LLAMA3])),
    (&["jais-2"], family(&[JAIS2])),
    (&["laguna"], family(&[r"[^\n]+|[\n]+", QWEN2])),
    (
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "megrez",
            "openpangu",
            "f2llmv2",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        family(&[QWEN2]),
    ),
    (&["qwen35"], family(&[QWEN35])),
    (&["seed-coder"], family(&[SEED_CODER])),
    (&["bailingmoe", "bailingmoe2", "llada-moe"], family(&[BAILING])),
    (
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "jina-es",
            "jina-de",
            "jina-v1-en",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
            "roberta-bpe",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "trillion",
            "granite-docling",
        ],
        family(&[GPT2]),
    ),
    (
        &["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
        family(&[DIGIT, GPT2]),
    ),
    (&["gpt-4o", "llama4"], Family { expressions: &[GPT4O], ignore_merges: true, add_bos: false }),
    (&["kanana2", "minimax-m2"], family(&[GPT4O])),
    (&["tekken"], Family { expressions: &[TEKKEN], ignore_merges: true, add_bos: true }),
    (
        &["deepseek-llm"],
        family(&[
            r"[\r\n]",
            CASED,
            r"\s?[!-/:-~！-／：-～‘-‟\x{3000}-。]+",
            r"\s+$",
            CJK_AND_HANGUL,
            r"\p{N}+",
        ]),
    ),
    (&["deepseek-coder"], family(&[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK_AND_HANGUL, DIGIT])),
    (
        &["deepseek-v3", "hunyuan-dense", "joyai-llm"],
        family(&[r"\p{N}{1,3}", CJK_AND_KANA, deepseek_words!()]),
    ),
    (
        &["youtu"],
        Family {
            expressions: &[
                r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
                gpt4o!(r"\p{N}"),
            ],
            ignore_merges: true,
            add_bos: false,
        },
    ),
    (&["falcon"], family(&[r"[\p{P}$+<=>^~|`]+", GPT2, r"[0-9][0-9][0-9]"])),
    (&["bloom", "poro-chat", "gpt3-finnish"], family(&[BLOOM])),
    (&["viking"], family(&[BLOOM, DIGIT])),
    (
        &["chameleon"],
        Family {
            expressions: &[
                r"<sentinel:[0-9]+>",
                r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                r"([\t\n]|    |  )",
                DIGIT,
                r"[\p{P}!-/:-@\[-`{-~]",
                GPT2,
            ],
            ignore_merges: false,
            add_bos: true,
        },
    ),
    (&["superbpe"], family(&[r"\p{N}+", r"(?=(\d{3})+(?!\d))"])),
    (&["kimi-k2"], family(&[KIMI_K2])),
    (
        &["afmoe"],
        family(&[
            r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
            concat!(
                r"[\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{f900}-\x{faff}\x{3040}-\x{309f}\x{30a0}-\x{30ff}",
                r"\x{ff65}-\x{ff9f}\x{2f00}-\x{2fdf}\x{e40}-\x{e7f}\x{e80}-\x{eff}\x{1780}-\x{17ff}",
                r"\x{1000}-\x{109f}\x{aa60}-\x{aa7f}\x{a9e0}-\x{a9ff}\x{ac00}-\x{d7af}\x{1100}-\x{11ff}]+"
            ),
            deepseek_words!(),
        ]),
    ),
    (&["tiny_aya", "cohere2moe"], family(&[r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O])),
    (&["exaone-moe"], family(&[EXAONE_MOE])),
    (&["default"], family(&[r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"])),
];

pub fn find(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|(names, _)| names.contains(&name)).map(|(_, family)| family)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|(names, _)| names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    fn words(name: &str, text: &str) -> Vec<String> {
        let expressions = crate::gguf::expressions(find(name).unwrap()).unwrap();
        let mut words = Vec::new();
        crate::pipeline::each_word(text, &expressions, &mut |w| words.push(w.to_owned()));
        words
    }

    #[test]
    fn every_expression_compiles_and_names_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for name in names() {
            assert!(seen.insert(name), "{name} is listed twice");
            assert_eq!(
                words(name, "I'm 12345 ok\n\n  Zoë’s 東京 x").concat(),
                "I'm 12345 ok\n\n  Zoë’s 東京 x",
                "{name}"
            );
        }
    }

    #[test]
    fn digits() {
        assert_eq!(words("llama-bpe", "12345"), ["123", "45"]);
        assert_eq!(words("qwen2", "12345"), ["1", "2", "3", "4", "5"]);
        assert_eq!(words("smollm", "a 12"), ["a", " ", "1", "2"]);
        assert_eq!(words("gpt-2", "a 12345"), ["a", " 12345"]);
        assert_eq!(words("afmoe", "12345"), ["12", "345"]);
        assert_eq!(words("tiny_aya", "12345"), ["12", "345"]);
        assert_eq!(words("superbpe", "12345"), ["12", "345"]);
        assert_eq!(words("falcon", "12345"), ["123", "45"]);
    }

    #[test]
    fn case_and_contractions() {
        assert_eq!(words("gpt-4o", "helloWorld don't"), ["hello", "World", " don't"]);
        assert_eq!(words("tekken", "helloWorld don't"), ["hello", "World", " don", "'t"]);
        assert_eq!(words("llama-bpe", "helloWorld DON'T"), ["helloWorld", " DON", "'T"]);
        assert_eq!(words("gpt-2", "DON'T don't"), ["DON", "'", "T", " don", "'t"]);
    }

    #[test]
    fn scripts() {
        assert_eq!(words("deepseek-v3", "見る(abc)"), ["見る", "(abc", ")"]);
        assert_eq!(words("kimi-k2", "abc東京def"), ["abc", "東京", "def"]);
        assert_eq!(words("qwen35", "हिन्दी"), ["हिन्दी"]);
        assert_eq!(words("qwen2", "हि"), ["ह", "ि"]);
    }

    #[test]
    fn white_space_leaves_one_blank_to_the_word() {
        assert_eq!(words("llama-bpe", "a   b \n\n c"), ["a", "  ", " b", " \n\n", " c"]);
    }
}
