//! The repository is tidy.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use tidy::{FILE_LINES, FUNCTION_LINES, declared_modules, measure, rust_files};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The number that `ratchet.txt` gives `name`.
fn allowed(name: &str) -> usize {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ratchet.txt")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("ratchet.txt says nothing of {name}"))
}

/// Fails when there are more than the ratchet allows, and when there are fewer and it has not been tightened.
fn hold(name: &str, found: &[String]) {
    let limit = allowed(name);
    assert!(found.len() <= limit, "{name}: {} and {limit} allowed:\n{}", found.len(), found.join("\n"));
    assert!(found.len() == limit, "{name}: only {} left, set ratchet.txt to that", found.len());
}

#[test]
fn functions_and_files_are_short() {
    let (mut functions, mut files) = (Vec::new(), Vec::new());
    for path in rust_files(&root()) {
        let measure = measure(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if measure.lines > FILE_LINES {
            files.push(format!("{name}: {} lines, at most {FILE_LINES} wanted", measure.lines));
        }
        for (function, lines) in measure.long_functions {
            functions.push(format!("{name}: {function} has {lines} lines, at most {FUNCTION_LINES} wanted"));
        }
    }
    hold("long_functions", &functions);
    hold("long_files", &files);
}

#[test]
fn nothing_is_left_over() {
    for path in rust_files(&root()) {
        let measure = measure(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(measure.left_over.is_empty(), "{}: {:?}", path.display(), measure.left_over);
    }
}

#[test]
fn every_file_is_somebodys_module() {
    let files = rust_files(&root());
    let mut reachable: HashSet<PathBuf> = HashSet::new();
    for path in &files {
        let name = path.file_stem().unwrap().to_string_lossy();
        let folder = path.parent().unwrap();
        let home = if matches!(&*name, "lib" | "main" | "mod") || is_root(path) {
            folder.to_owned()
        } else {
            folder.join(&*name)
        };
        for module in declared_modules(&fs::read_to_string(path).unwrap()) {
            reachable.insert(home.join(format!("{module}.rs")));
            reachable.insert(home.join(module).join("mod.rs"));
        }
    }
    let dead: Vec<_> = files.iter().filter(|path| !is_root(path) && !reachable.contains(*path)).collect();
    assert!(dead.is_empty(), "files that no module declares: {dead:?}");
}

/// Whether a file is the root of a crate: a library, a binary, a test, a bench, an example, a build script.
fn is_root(path: &Path) -> bool {
    let name = path.file_stem().unwrap();
    let folder = path.parent().unwrap().file_name().unwrap();
    let in_src = folder == "src" && (name == "lib" || name == "main");
    let above = path.parent().unwrap().parent().and_then(Path::file_name);
    let test_in_parts = name == "main" && above.is_some_and(|above| above == "tests");
    in_src
        || test_in_parts
        || folder == "bin"
        || folder == "tests"
        || folder == "benches"
        || folder == "examples"
        || name == "build"
        || folder == "fuzz_targets"
}
