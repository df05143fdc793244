//! `junit.xml`: for every CI system that shows tests. A suite is a kernel, op and dtype; a test case is a family.
//!
//! A case fails where the gate says that the cell is worse, and is skipped where it fails as recorded. Without a gate, every
//! failing verdict fails.

use super::gate::reasons;
use crate::baseline::{Comparison, Judged, State};
use crate::error::{Error, Result};
use crate::outside;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The text of `junit.xml`. A pure function of its argument.
///
/// # Errors
/// None is known: every comparison can be written.
pub fn text(gate: &Comparison) -> Result<String> {
    let mut report = Report::new("logitfuzz");
    for suite in gate.cells.chunk_by(|a, b| suite_name(a) == suite_name(b)) {
        let mut tests = TestSuite::new(suite_name(&suite[0]));
        tests.add_test_cases(suite.iter().map(test));
        report.add_test_suite(tests);
    }
    report.to_string().map_err(|error| Error::harness(format!("cannot write the results as JUnit: {error}")))
}

fn suite_name(cell: &Judged) -> String {
    text_of(&format!("{}/{}/{}", cell.name.kernel, cell.name.op, cell.name.dtype))
}

/// One line; what XML has no character for is escaped.
fn text_of(text: &str) -> String {
    outside::line(text, usize::MAX)
}

fn test(cell: &Judged) -> TestCase {
    let status = match &cell.state {
        State::Passes => TestCaseStatus::success(),
        State::EmptyAsRecorded => {
            let mut status = TestCaseStatus::skipped();
            status.set_message("nothing is measured here, as recorded");
            status
        }
        State::FailsAsRecorded { detail, expected } => {
            let mut status = TestCaseStatus::skipped();
            let why = expected.as_ref().map_or_else(String::new, |reason| format!("; expected: {reason}"));
            status.set_message(text_of(&format!("fails as recorded: {detail}{why}")));
            status
        }
        State::Worse(regressions) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(regressions[0].reason.name())
                .set_message(text_of(&regressions[0].detail))
                .set_description(reasons(cell, regressions).join("\n"));
            status
        }
    };
    let mut test = TestCase::new(text_of(&cell.name.family), status);
    test.set_classname(suite_name(cell));
    test
}
