//! A file of tokens of any text: reading it never panics, an error never quotes it, and whoever is let in has a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline::receive::tokens::{Tokens, line};

fuzz_target!(|text: &str| {
    match Tokens::read(text) {
        Ok(tokens) => {
            assert!(!tokens.is_empty());
            assert!(tokens.names().len() <= tokens.len());
            // No word of the file is a token itself, but for whoever finds a SHA-256 that stands for itself.
            for word in text.split_ascii_whitespace() {
                assert_eq!(tokens.owner(word), None);
            }
            // A line that is added lets its own token in, unless it was there already.
            let added = line("added", "token").unwrap();
            if let Ok(more) = Tokens::read(&format!("{text}\n{added}")) {
                assert_eq!(more.owner("token"), Some("added"));
            }
        }
        Err(error) => assert!(error.len() < 120, "{error}"),
    }
});
