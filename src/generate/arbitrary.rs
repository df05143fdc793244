//! `impl Arbitrary for Case`: the families over a fuzzer's bytes, and a share of raw words.
//!
//! Any bytes are a case, and no case has more logits than there are bytes.

use super::any_case;
use super::draw::Draw;
use crate::case::Case;
use arbitrary::{Arbitrary, Result, Unstructured};

/// The longest row that is made of families: longer ones cost a fuzzer more time than they find.
const LONGEST: usize = 4097;

/// One case in so many is read from the bytes as they are ([`Case::decode`]), so that a mutation of a byte changes one logit.
const RAW_SHARE: u8 = 4;

/// A header and a few words: less makes no case worth running.
const LEAST_BYTES: usize = 8;

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let raw = u8::arbitrary(u)? % RAW_SHARE == 1;
        if raw {
            return Ok(Case::decode(u.bytes(u.len())?));
        }
        let rest = u.peek_bytes(u.len()).unwrap_or(&[]);
        let mut draw = Draw::from_bytes(rest);
        // A row is no longer than there are bytes to draw it from.
        let case = any_case(&mut draw, None, None, rest.len().clamp(1, LONGEST));
        u.bytes(draw.bytes_used())?;
        Ok(case)
    }

    fn size_hint(_depth: usize) -> (usize, Option<usize>) {
        (LEAST_BYTES, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Draft;
    use crate::dtype::Dtype;
    use crate::generate::{Family, any_row};
    use crate::op::Op;
    use std::collections::BTreeSet;

    /// Random bytes of `len`, from a stream that no row draws from.
    fn bytes(seed: u64, len: usize) -> Vec<u8> {
        let mut draw = Draw::from_seed(seed);
        (0..len).map(|_| draw.below(256) as u8).collect()
    }

    #[test]
    fn any_bytes_are_a_valid_and_bounded_case() {
        let (mut seen, mut longest) = (BTreeSet::new(), 0);
        for seed in 0..20_000 {
            let len = [0, 1, 2, 8, 40, 300, 3000][seed as usize % 7];
            let data = bytes(seed, len);
            let mut u = Unstructured::new(&data);
            let case = Case::arbitrary(&mut u).unwrap();
            assert!(case.logits().len() <= len.max(1), "{len} bytes made {} logits", case.logits().len());
            Draft::of(&case).into_case().unwrap();
            assert_eq!(Case::decode(&case.encode()).to_string(), case.to_string());
            seen.insert((case.op(), case.dtype()));
            longest = longest.max(case.logits().len());
        }
        assert_eq!(seen.len(), Op::ALL.len() * Dtype::ALL.len());
        assert!(longest > 1000, "{longest}");
    }

    /// Several values can be drawn one after the other.
    #[test]
    fn a_case_takes_only_the_bytes_it_draws() {
        let data = [0; 64];
        let mut u = Unstructured::new(&data);
        let _ = Case::arbitrary(&mut u).unwrap();
        assert!((1..64).contains(&u.len()), "{}", u.len());
    }

    #[test]
    fn bytes_reach_every_family_that_is_not_slow() {
        let mut seen = BTreeSet::new();
        for seed in 0..2_000 {
            let mut draw = Draw::from_bytes(&bytes(seed, 100));
            let (family, row) = any_row(&mut draw, Dtype::F32, 100);
            assert!(row.len() <= 100);
            seen.insert(family.name());
        }
        let quick: BTreeSet<_> = Family::all().iter().filter(|family| !family.is_slow()).map(|f| f.name()).collect();
        assert_eq!(seen, quick);
    }
}
