//! Style as a test: measures every Rust file of the repository against the limits of CONTRIBUTING.md.
//!
//! - [`measure`] reads one file: its length, its functions with theirs, what it has left over.
//! - The test in `tests/tidy.rs` runs it over the repository and holds the totals against `ratchet.txt`, whose numbers may
//!   only be made smaller.

use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A function may have this many lines.
pub const FUNCTION_LINES: usize = 70;
/// A file may have this many lines, tests included.
pub const FILE_LINES: usize = 800;

/// What one file is like.
#[derive(Debug, Default)]
pub struct Measure {
    /// Lines in all.
    pub lines: usize,
    /// Functions longer than [`FUNCTION_LINES`], by name and lines.
    pub long_functions: Vec<(String, usize)>,
    /// Things that must not stay, by line number.
    pub left_over: Vec<(usize, String)>,
}

/// Measures the text of one file.
///
/// # Errors
/// When it is not Rust.
pub fn measure(text: &str) -> syn::Result<Measure> {
    let file = syn::parse_file(text)?;
    let mut functions = Functions(Vec::new());
    functions.visit_file(&file);
    Ok(Measure {
        lines: text.lines().count(),
        long_functions: functions.0.into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES).collect(),
        left_over: left_over(text),
    })
}

/// All Rust files under `root`, without build output.
pub fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Modules that a file declares with `mod name;`.
pub fn declared_modules(text: &str) -> Vec<String> {
    let Ok(file) = syn::parse_file(text) else { return Vec::new() };
    let modules = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
        _ => None,
    });
    modules.collect()
}

struct Functions(Vec<(String, usize)>);

impl Functions {
    fn add(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        self.0.push((name.to_string(), span.end().line - span.start().line + 1));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig.ident, &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}

fn left_over(text: &str) -> Vec<(usize, String)> {
    // Put together here, so that this file does not find itself.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("allow(dead", "_code)")];
    let lines = text.lines().enumerate();
    let hits = lines.filter(|(_, line)| marks.iter().any(|mark| contains_word(line, mark)));
    hits.map(|(n, line)| (n + 1, line.trim().to_owned())).collect()
}

fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joins(before) && !joins(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_are_found_wherever_they_are() {
        let body = "let _ = 1;\n".repeat(FUNCTION_LINES);
        let text = format!("fn a() {{\n{body}}}\nstruct S;\nimpl S {{ fn b() {{\n{body}}} fn c() {{}} }}");
        let long = measure(&text).unwrap().long_functions;
        assert_eq!(long.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn marks_are_words() {
        let text = format!("// {}: later\nfn f() {{}} // {}S\n", concat!("TO", "DO"), concat!("TO", "DO"));
        assert_eq!(measure(&text).unwrap().left_over.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn modules_with_files_are_found() {
        assert_eq!(declared_modules("mod a; pub mod b; mod c { }"), ["a", "b"]);
    }
}
