//! Where the rows of a campaign come from: the generators of a family, a user's file, or whatever else can name its rows by number.

use super::Family;
use super::file::{FILE_FAMILY, Rows};
use crate::dtype::Dtype;

/// A row of logits, as an op takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Exact values of the dtype.
    pub logits: Vec<f64>,
    /// The class to use where an op takes one; otherwise it is drawn.
    pub target: Option<usize>,
}

/// A numbered list of rows. It depends on nothing but what its methods are given: the same row is made on any thread, in any shard
/// and in any order.
pub trait Source: Send + Sync {
    /// The name: that of the family in reports, and a part of what names the random streams of the cases.
    fn name(&self) -> &str;

    /// How many rows there are where `cases` are asked for.
    fn rows(&self, cases: u64) -> u64;

    /// The row at an index below [`Source::rows`], of at most `max_len` logits where the source makes them itself.
    fn row(&self, dtype: Dtype, seed: u64, index: u64, max_len: usize) -> Row;

    /// A checksum of the rows, where this program does not make them: results then say by it which rows they are of.
    fn checksum(&self) -> Option<String> {
        None
    }
}

/// The rows that the generators make.
impl Source for Family {
    fn name(&self) -> &str {
        Family::name(*self)
    }

    fn rows(&self, cases: u64) -> u64 {
        cases
    }

    fn row(&self, dtype: Dtype, seed: u64, index: u64, max_len: usize) -> Row {
        Row { logits: super::row(*self, dtype, seed, index, max_len), target: None }
    }
}

/// A user's own rows, each once whatever is asked for.
impl Source for Rows {
    fn name(&self) -> &str {
        FILE_FAMILY
    }

    fn rows(&self, _: u64) -> u64 {
        self.len() as u64
    }

    fn row(&self, dtype: Dtype, _: u64, index: u64, _: usize) -> Row {
        let index = index as usize;
        let target = self.targets.as_ref().map(|targets| targets[index]);
        Row { logits: Rows::row(self, index, dtype), target }
    }

    fn checksum(&self) -> Option<String> {
        Some(Rows::checksum(self))
    }
}
