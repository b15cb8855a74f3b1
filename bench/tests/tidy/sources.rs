//! The sources as the rules read them.

use std::path::{Path, PathBuf};

/// A file of the workspace.
pub struct Source {
    /// Its path from the root, with `/` between folders.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The code alone: without comments and without the tests at its end, by line.
    pub fn code(&self) -> impl Iterator<Item = &str> {
        let code = self.text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        code.lines().map(|line| line.split("//").next().unwrap_or_default())
    }

    /// The code without any space, so that a search does not depend on where lines are broken.
    pub fn dense(&self) -> String {
        self.code().flat_map(str::chars).filter(|character| !character.is_whitespace()).collect()
    }

    /// Whether the code names a path such as `std::fs`, or an item, as words of their own.
    pub fn names(&self, what: &str) -> bool {
        self.code().any(|line| is_word_in(what, line))
    }
}

/// Whether a word stands in a line, and not only inside a longer one.
pub fn is_word_in(word: &str, line: &str) -> bool {
    let of_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(of_word) && !line[at + word.len()..].starts_with(of_word))
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files under a folder whose names end in one of these, in the order of their paths. What is built, run and what git
/// keeps for itself is no source.
pub fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut |path| {
        let name = path.file_name().unwrap().to_string_lossy();
        if endings.iter().any(|ending| name.ends_with(ending)) {
            let path_from_root = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            let text =
                std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.push(Source { path: path_from_root, text });
        }
    });
    assert!(!found.is_empty(), "{folder} holds no {endings:?}: the rule looks at nothing");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !path.is_dir() {
            each(&path);
        } else if !matches!(name.as_str(), "target" | ".git" | ".stack" | "node_modules" | "__pycache__") {
            walk(&path, each);
        }
    }
}

/// Fails with all complaints at once.
pub fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
