//! Intervals of inputs that do not pass, and what is made of them where there are very many.

use crate::judge::Verdict;
use serde::{Deserialize, Serialize};

/// Consecutive inputs of a line that do not pass. Where there were too many intervals, some were joined to one: then it has inputs
/// between them that pass, and says how many do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub(crate) struct Interval {
    /// The place of the first.
    pub first: u64,
    /// The place of the last.
    pub last: u64,
    /// The verdict; of joined intervals the worst.
    pub verdict: Verdict,
    /// The inputs of it that do not pass.
    pub failing: u64,
    /// The intervals of which it was joined; 1 where it was not.
    pub joined: u64,
}

/// An interval as the journal has it.
#[derive(Serialize, Deserialize)]
struct Written(u64, u64, Verdict, u64, u64);

impl From<Written> for Interval {
    fn from(Written(first, last, verdict, failing, joined): Written) -> Self {
        Self { first, last, verdict, failing, joined }
    }
}

impl From<Interval> for Written {
    fn from(Interval { first, last, verdict, failing, joined }: Interval) -> Self {
        Self(first, last, verdict, failing, joined)
    }
}

impl Interval {
    /// Inputs from the first to the last.
    pub fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Whether every input of it has its verdict.
    pub fn is_exact(&self) -> bool {
        self.joined == 1
    }

    fn join(&mut self, next: Self) {
        self.last = next.last;
        self.verdict = self.verdict.max(next.verdict);
        self.failing += next.failing;
        self.joined += next.joined;
    }
}

/// Takes the next inputs of a line, in the order of their places: an interval grows while they follow with the same verdict.
pub(crate) fn push(intervals: &mut Vec<Interval>, next: Interval) {
    match intervals.last_mut() {
        Some(last)
            if last.last + 1 == next.first && last.verdict == next.verdict && last.is_exact() && next.is_exact() =>
        {
            last.last = next.last;
            last.failing += next.failing;
        }
        _ => intervals.push(next),
    }
}

/// Joins neighbours until there are at most `most`: those of one verdict, those with the least between them first, of equal ones the first.
/// Neighbours of two verdicts are joined only where that is not enough.
pub(crate) fn join(intervals: Vec<Interval>, most: usize) -> Vec<Interval> {
    let Some(too_many) = intervals.len().checked_sub(most.max(1)).filter(|&count| count > 0) else { return intervals };
    let gap =
        |(place, pair): (usize, &[Interval])| (pair[0].verdict != pair[1].verdict, pair[1].first - pair[0].last, place);
    let mut gaps: Vec<(bool, u64, usize)> = intervals.windows(2).enumerate().map(gap).collect();
    gaps.select_nth_unstable(too_many - 1);
    let mut closed = vec![false; intervals.len()];
    gaps[..too_many].iter().for_each(|&(.., place)| closed[place + 1] = true);
    let mut joined: Vec<Interval> = Vec::with_capacity(most);
    for (interval, is_closed) in intervals.into_iter().zip(closed) {
        match joined.last_mut() {
            Some(last) if is_closed => last.join(interval),
            _ => joined.push(interval),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(first: u64, last: u64, verdict: Verdict) -> Interval {
        Interval { first, last, verdict, failing: last - first + 1, joined: 1 }
    }

    #[test]
    fn intervals_grow_and_are_joined_where_the_least_is_between() {
        let mut intervals = Vec::new();
        for (place, verdict) in
            [(1, Verdict::Nan), (2, Verdict::Nan), (3, Verdict::Inf), (5, Verdict::Inf), (9, Verdict::Inf)]
        {
            push(&mut intervals, interval(place, place, verdict));
        }
        let exact = [
            interval(1, 2, Verdict::Nan),
            interval(3, 3, Verdict::Inf),
            interval(5, 5, Verdict::Inf),
            interval(9, 9, Verdict::Inf),
        ];
        assert_eq!(intervals, exact);
        assert_eq!(join(intervals.clone(), 4), exact);
        let near = Interval { first: 3, last: 5, verdict: Verdict::Inf, failing: 2, joined: 2 };
        assert_eq!(join(intervals.clone(), 3), [exact[0], near, exact[3]]);
        let far = Interval { first: 3, last: 9, verdict: Verdict::Inf, failing: 3, joined: 3 };
        assert_eq!(join(intervals.clone(), 2), [exact[0], far]);
        let all = Interval { first: 1, last: 9, verdict: Verdict::Nan, failing: 5, joined: 4 };
        assert_eq!(join(intervals.clone(), 1), [all]);
        assert_eq!(join(join(intervals.clone(), 3), 2), join(intervals, 2));
    }
}
