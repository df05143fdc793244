//! The map of a plane of pairs: a square of cells, each with the worst verdict of its inputs. A row of it is a text, a character a cell.

use super::interval::Interval;
use crate::judge::Verdict;

/// Cells of a map in each direction.
pub(crate) const MAP_CELLS: u64 = 256;

/// Stands for cells of which every input passes.
pub(crate) const MAP_PASS: char = '.';

/// Stands for cells of which no input was judged.
pub(crate) const MAP_NONE: char = '-';

/// The character of a verdict.
pub(super) fn letter(verdict: Verdict) -> char {
    if verdict == Verdict::Pass { MAP_PASS } else { char::from(b'a' + verdict as u8) }
}

/// The verdict of a character; none of one that stands for no verdict.
pub(super) fn verdict(letter: char) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|&verdict| self::letter(verdict) == letter)
}

/// The cell of a place among so many.
pub(super) fn cell(place: u64, places: u64) -> usize {
    (place * MAP_CELLS / places) as usize
}

/// The cells of a line of so many inputs, all judged, of which these intervals do not pass.
pub(super) fn row(intervals: &[Interval], places: u64) -> String {
    let mut cells = [Verdict::Pass; MAP_CELLS as usize];
    for interval in intervals {
        let of_interval = &mut cells[cell(interval.first, places)..=cell(interval.last, places)];
        of_interval.iter_mut().for_each(|cell| *cell = (*cell).max(interval.verdict));
    }
    cells.into_iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_a_character_of_its_own() {
        for found in Verdict::ALL {
            assert_eq!(verdict(letter(found)), Some(found));
        }
        assert_eq!((verdict(MAP_PASS), verdict(MAP_NONE), verdict('z')), (Some(Verdict::Pass), None, None));
        let interval = |first, last, verdict| Interval { first, last, verdict, failing: 1, joined: 1 };
        let cells = row(
            &[interval(3, 4, Verdict::Inf), interval(5, 5, Verdict::Nan), interval(1023, 1023, Verdict::Zero)],
            1024,
        );
        assert_eq!(cells.len() as u64, MAP_CELLS);
        assert_eq!((&cells[..3], &cells[255..]), ("ij.", "h"));
    }
}
