//! Whether the counts of results can be added up: those that are read may be any numbers.

use super::Results;
use crate::judge::HISTOGRAM_BINS;

impl Results {
    /// Refuses counts that nothing has counted: those that cannot be added up, and histograms with more bins than there are. The
    /// error is the reason.
    pub(crate) fn check_counts(&self) -> Result<(), String> {
        // Every sum that a report makes is of a part of one of these.
        let mut sums = [0u64; 6];
        for cell in &self.cells {
            if cell.ulp_histogram.len() > HISTOGRAM_BINS {
                return Err(edited(&format!(
                    "the histogram of {} {} {} has {} bins, of at most {HISTOGRAM_BINS}",
                    cell.kernel,
                    cell.op,
                    cell.dtype,
                    cell.ulp_histogram.len()
                )));
            }
            let of_cell = [
                Some(cell.cases),
                Some(cell.not_run),
                Some(cell.outputs),
                sum(cell.verdicts.values()),
                sum(cell.grades.values()),
                sum(&cell.ulp_histogram),
            ];
            for (sum, count) in sums.iter_mut().zip(of_cell) {
                let Some(next) = count.and_then(|count| sum.checked_add(count)) else {
                    return Err(edited("its counts do not add up to a number of 64 bits"));
                };
                *sum = next;
            }
        }
        Ok(())
    }
}

/// The sum of counts, unless it has more than 64 bits.
pub(crate) fn sum<'a>(counts: impl IntoIterator<Item = &'a u64>) -> Option<u64> {
    counts.into_iter().try_fold(0u64, |sum, &count| sum.checked_add(count))
}

fn edited(reason: &str) -> String {
    format!("{reason}; was the file edited?")
}
