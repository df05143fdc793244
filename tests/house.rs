//! The order of the rooms, as DESIGN.md draws it: a room uses rooms of lower floors only, and no two files of a room use each
//! other in a circle. It reads the imports under `src`; tests within the files do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The floors, from the ground up. A room is a file of `src`, with the folder of its name.
const FLOORS: [&[&str]; 19] = [
    &["error", "checksum", "quiet", "words"],
    &["json", "named", "outside"],
    &["dtype", "fenv", "files"],
    &["magnitude", "number"],
    &["op"],
    &["case"],
    &["special"],
    &["oracle", "shrink"],
    &["kernel"],
    &["generate", "judge", "protocol"],
    &["foreign", "results", "trial", "worker"],
    &["diagnosis"],
    &["campaign", "select"],
    &["baseline", "exhaust"],
    &["report"],
    &["check"],
    &["fuzz"],
    &["cli"],
    &["lib", "main"],
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of `src` that is no test, by its path within it.
fn files() -> BTreeMap<PathBuf, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![source()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of src") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" && name != "sample.rs" {
                let text = std::fs::read_to_string(&path).expect("a file of src");
                found.insert(path.strip_prefix(source()).expect("within src").to_owned(), code(&text));
            }
        }
    }
    found
}

/// The text without comments, and without the tests that end a file.
fn code(text: &str) -> String {
    let text = text.split("\nmod tests {").next().unwrap_or(text);
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The names that follow this prefix: `crate::a::b` and `crate::{a, b::c}` name a and b.
fn named<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let name = |text: &'a str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        &text[..end]
    };
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        // `super::super::` is another parent, and `$crate::` in a macro is whoever uses it.
        if code[..at].ends_with("super::")
            || code[..at].ends_with('$')
            || code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => drop(names.insert(name(rest))),
            Some(list) => {
                let (mut depth, mut start) = (0usize, true);
                for (place, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        _ if start && !c.is_whitespace() => {
                            names.insert(name(&list[place..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

/// The paths that follow this prefix, segment by segment: of `super::a::{b, c::d}` they are a::b and a::c::d.
fn chains(code: &str, prefix: &str) -> Vec<Vec<String>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for (at, _) in code.match_indices(prefix) {
        let before = &code[..at];
        if !(before.ends_with("super::") || before.ends_with('$') || before.ends_with(is_name)) {
            open.push((Vec::<String>::new(), &code[at + prefix.len()..]));
        }
    }
    while let Some((mut chain, mut rest)) = open.pop() {
        while let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len())
            && end > 0
        {
            chain.push(rest[..end].to_owned());
            match rest[end..].strip_prefix("::") {
                Some(further) => rest = further,
                None => break,
            }
        }
        if let Some(list) = rest.strip_prefix('{') {
            let (mut depth, mut start) = (0usize, 0);
            for (place, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    ',' | '}' if depth == 0 => {
                        open.push((chain.clone(), list[start..place].trim()));
                        start = place + 1;
                        if c == '}' {
                            break;
                        }
                    }
                    '}' => depth -= 1,
                    _ => {}
                }
            }
        } else {
            found.push(chain);
        }
    }
    found
}

/// The room of a file: `judge` of `judge.rs` and of `judge/bound.rs`.
fn room(path: &Path) -> String {
    let first = path.components().next().expect("a path").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn no_arrow_goes_up() {
    let (mut wrong, mut arrows) = (Vec::new(), 0);
    for (path, code) in files() {
        let from = room(&path);
        let Some(own) = floor(&from) else {
            wrong.push(format!("{}: the room `{from}` is on no floor; give it one", path.display()));
            continue;
        };
        for to in named(&code, "crate::").into_iter().filter(|to| *to != from) {
            match floor(to) {
                // A macro, or something that lib.rs hands on: what it is belongs to a room, and is asked for there.
                None => wrong.push(format!("{}: `crate::{to}` is no room; name the room that has it", path.display())),
                Some(other) if other >= own => {
                    wrong.push(format!("{}: `{from}` (floor {own}) uses `{to}` (floor {other})", path.display()));
                }
                Some(_) => arrows += 1,
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(arrows > 200, "only {arrows} imports were found: they are not read any more");
}

#[test]
fn every_floor_names_rooms_that_are_there() {
    let rooms: BTreeSet<String> = files().keys().map(|path| room(path)).collect();
    let named: BTreeSet<String> = FLOORS.iter().copied().flatten().map(|room| (*room).to_owned()).collect();
    assert_eq!(rooms, named);
}

#[test]
fn no_circle_among_the_files_of_a_room() {
    let files = files();
    // Of each file, the siblings that it uses.
    let mut uses: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, code) in &files {
        let folder = path.parent().expect("a folder");
        let own = PathBuf::from(room(path));
        let by_crate = format!("crate::{}::", own.display());
        let above = folder.parent().unwrap_or(folder);
        let used = [
            (folder, chains(code, "super::")),
            (above, chains(code, "super::super::")),
            (&own, chains(code, &by_crate)),
        ];
        let used = used.into_iter().flat_map(|(from, chains)| chains.into_iter().map(move |chain| (from, chain)));
        // The longest part of a path that is a file: `super::tier::ball::Ball` is of tier/ball.rs.
        let file_of = |(from, chain): (&Path, Vec<String>)| {
            let file = |n: usize| from.join(chain[..n].join("/")).with_extension("rs");
            (1..=chain.len()).rev().map(file).find(|file| files.contains_key(file))
        };
        uses.insert(path, used.filter_map(file_of).filter(|file| file != path).collect());
    }
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 40, "no siblings are found any more");
    for start in files.keys() {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start.as_path()]);
        while let Some(path) = open.pop() {
            for next in uses.get(path).into_iter().flatten() {
                assert!(next != start, "{} is in a circle with {}", start.display(), path.display());
                if reached.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
    }
}
