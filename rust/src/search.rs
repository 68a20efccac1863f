//! Searching a text for many others at once.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::error::{Error, Result};

/// A table of all moves answers fastest, but making it follows every state back to its beginning: for a long text of
/// one letter that is the square of its length. With longer patterns the moves are looked up as the search goes.
const MAX_TABLED_BYTES: usize = 1024;

pub fn searcher<P: AsRef<[u8]>>(kind: MatchKind, patterns: &[P], what: &str) -> Result<AhoCorasick> {
    let longest = patterns.iter().map(|p| p.as_ref().len()).max().unwrap_or(0);
    let form = (longest > MAX_TABLED_BYTES).then_some(AhoCorasickKind::ContiguousNFA);
    AhoCorasick::builder()
        .match_kind(kind)
        .kind(form)
        .build(patterns)
        .map_err(|e| Error::limit(format!("the {what} of this tokenizer are too large: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_patterns_are_found_as_short_ones_are() {
        let long = "a".repeat(60_000);
        let found = |patterns: &[&str], text: &str| {
            searcher(MatchKind::LeftmostLongest, patterns, "tokens")
                .expect("built")
                .find_iter(text)
                .map(|m| (m.pattern().as_usize(), m.start(), m.end()))
                .collect::<Vec<_>>()
        };
        let text = format!("b{long}ab");
        assert_eq!(found(&[&long, "ab"], &text), [(0, 1, 60_001), (1, 60_001, 60_003)]);
        assert_eq!(found(&["aa", "ab"], "baab"), [(0, 1, 3)]);
    }
}
