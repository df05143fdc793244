//! Cases for proptest: a [`Strategy`] whose values shrink with the project's own reducer.
//!
//! proptest shrinks a vector of floats value by value, and each value all or nothing. Here `simplify` and `complicate` walk a
//! [`Shrinker`], so a failing test ends on few logits and short numbers.

use super::draw::Draw;
use crate::case::Case;
use crate::dtype::Dtype;
use crate::op::Op;
use crate::shrink::Shrinker;
use proptest::prelude::Rng;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// The budget of one search, in the unit of [`crate::shrink::shrink`]. It also bounds the walk back that proptest makes when
/// its own limit of iterations is reached.
const BUDGET: usize = 20_000;

/// The most logits of a case unless [`CaseStrategy::max_len`] says otherwise.
const DEFAULT_MAX_LEN: usize = 4096;

/// Cases of `op` in `dtype` from all families, shrinking with the project's own reducer.
pub fn strategy(op: Op, dtype: Dtype) -> CaseStrategy {
    CaseStrategy { op, dtype, max_len: DEFAULT_MAX_LEN }
}

/// A proptest strategy for cases; see [`strategy`].
#[derive(Debug, Clone, Copy)]
#[must_use = "strategies do nothing unless used"]
pub struct CaseStrategy {
    op: Op,
    dtype: Dtype,
    max_len: usize,
}

impl CaseStrategy {
    /// The same strategy with rows of at most `n` logits.
    pub fn max_len(mut self, n: usize) -> Self {
        self.max_len = n;
        self
    }
}

impl Strategy for CaseStrategy {
    type Tree = CaseTree;
    type Value = Case;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = runner.rng().next_u64();
        let mut draw = Draw::from_seed(seed);
        let case = super::any_case(&mut draw, Some(self.op), Some(self.dtype), self.max_len);
        Ok(CaseTree { shrinker: Shrinker::new(case, BUDGET), is_trying: false })
    }
}

/// A case and its simpler variants.
#[derive(Debug, Clone)]
pub struct CaseTree {
    shrinker: Shrinker,
    /// Whether the current value is a candidate of the search, else its best case.
    is_trying: bool,
}

impl CaseTree {
    /// Answers the candidate, if there is one, and turns to the next; false if there is none.
    fn step(&mut self, fails: bool) -> bool {
        if self.is_trying {
            self.shrinker.answer(fails);
        }
        self.is_trying = self.shrinker.candidate().is_some();
        self.is_trying
    }
}

impl ValueTree for CaseTree {
    type Value = Case;

    fn current(&self) -> Case {
        let tried = if self.is_trying { self.shrinker.pending() } else { None };
        tried.unwrap_or(self.shrinker.best()).clone()
    }

    /// The current value fails: on to a simpler one.
    fn simplify(&mut self) -> bool {
        self.step(true)
    }

    /// The current value passes: on to another variant of the simplest one that fails, and at the end back to that one.
    fn complicate(&mut self) -> bool {
        let was_trying = self.is_trying;
        if was_trying {
            self.step(false);
        }
        was_trying
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::strategy::check_strategy_sanity;
    use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng};

    fn runner(seed: u8) -> TestRunner {
        let config = Config { failure_persistence: None, cases: 1000, ..Config::default() };
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
    }

    #[test]
    fn keeps_the_contract_of_proptest() {
        check_strategy_sanity(strategy(Op::SOFTMAX, Dtype::F32).max_len(4), None);
    }

    #[test]
    fn same_seed_same_cases_and_same_walk() {
        for &op in Op::ALL {
            let walk = || {
                let mut tree = strategy(op, Dtype::F16).max_len(8).new_tree(&mut runner(7)).unwrap();
                let mut texts = vec![tree.current().to_string()];
                let mut fails = true;
                while texts.len() < 200 && (if fails { tree.simplify() } else { tree.complicate() }) {
                    let case = tree.current();
                    assert_eq!((case.op(), case.dtype()), (op, Dtype::F16));
                    assert!(case.logits().len() <= 8);
                    fails = case.logits().iter().any(|&z| z > 20.0);
                    texts.push(case.to_string());
                }
                texts
            };
            let texts = walk();
            assert!(texts.len() > 10, "{op}: {texts:?}");
            assert_eq!(texts, walk(), "{op}");
        }
    }

    #[test]
    fn a_planted_failure_shrinks_to_the_smallest_case() {
        for seed in 0..8 {
            let overflows = |case: Case| match case.logits().iter().any(|&z| z > 88.8) {
                true => Err(TestCaseError::fail("overflow")),
                false => Ok(()),
            };
            match runner(seed).run(&strategy(Op::SOFTMAX, Dtype::F32), overflows) {
                Err(TestError::Fail(_, case)) => assert_eq!(case.logits(), [89.0], "seed {seed}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
