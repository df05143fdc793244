//! Texts in GitHub-flavoured Markdown, with nothing in them taken for a mark.

use crate::outside;

/// The longest run of backticks.
pub(super) fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A code span, also within a table: fenced by more backticks than it holds.
pub(super) fn code(text: &str) -> String {
    let text = outside::line(&text.replace(['\n', '\r'], " "), usize::MAX).replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Running text on one line, also within a table, with nothing in it read as HTML or emphasis.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '*' | '|' | '\\' | '[' | ']' => out.extend(['\\', c]),
            _ if outside::is_hidden(c) => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out
}
