//! Domains: which inputs of an op are all of them, how many there are, and the input at each place.
//!
//! Inputs lie on *lines*, in the order of their values. A line is cut into pieces of consecutive inputs, which is what is judged and
//! recorded at a time. Values of a dtype are counted by *rank*: -inf is 0, then every finite number in its order, -0 before 0, then
//! +inf, and last NaN. All NaNs are one: which bits a NaN has is nothing that an op may depend on.

use crate::case::{Case, Value};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::named::named;
use crate::op::Op;
use crate::op::signature::Role;
use std::ops::Range;

named! {
    /// A set of inputs that can be gone through to its end.
    pub(crate) enum Domain as "domain" {
        /// Every value of the dtype as the input of an elementwise op.
        Elements = "elements",
        /// Every row of two logits.
        Pairs = "pairs",
        /// The rows [0, -d] and [-d, 0], for every d from 0 to +inf.
        Gaps = "gaps",
    }
}

impl Domain {
    /// The domain that is meant where none is named.
    pub fn of(op: Op, dtype: Dtype) -> Self {
        match dtype.bytes() {
            _ if op.is_elementwise() => Domain::Elements,
            2 => Domain::Pairs,
            _ => Domain::Gaps,
        }
    }
}

/// Logits of a row of the domains of rows.
const CLASSES: usize = 2;

/// Inputs of a piece of a large domain. One of them is what `kill -9` can cost each thread: a second or so.
const LONG_PIECE: u64 = 1 << 16;

/// Inputs of a piece of a small domain: there are pieces for many threads then, too.
const SHORT_PIECE: u64 = 1 << 10;

/// A domain of so many inputs is small.
const SMALL: u64 = 1 << 20;

/// Every value of a dtype, by rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranks {
    dtype: Dtype,
    /// The place of +inf, as [`crate::dtype::Format::ordinal`] counts.
    top: u64,
}

impl Ranks {
    pub fn new(dtype: Dtype) -> Self {
        Self { dtype, top: dtype.format().ordinal(f64::INFINITY).unsigned_abs() }
    }

    /// How many values there are.
    pub fn count(self) -> u64 {
        2 * self.top + 3
    }

    /// The value of a rank.
    pub fn value(self, rank: u64) -> f64 {
        // The places of the numbers that are not negative are their bits.
        let number = |ordinal: u64| self.dtype.from_bits(ordinal);
        if rank <= self.top {
            -number(self.top - rank)
        } else if rank <= 2 * self.top + 1 {
            number(rank - self.top - 1)
        } else {
            f64::NAN
        }
    }

    /// The rank of a value.
    pub fn rank(self, x: f64) -> u64 {
        if x.is_nan() {
            return 2 * self.top + 2;
        }
        let ordinal = self.dtype.format().ordinal(x).unsigned_abs();
        if x.is_sign_negative() { self.top - ordinal } else { self.top + 1 + ordinal }
    }
}

/// All inputs of an op in a dtype that a domain has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    pub op: Op,
    pub dtype: Dtype,
    pub domain: Domain,
    ranks: Ranks,
}

/// Consecutive inputs on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its number among all pieces.
    pub number: u64,
    pub line: u64,
    /// The places of its inputs on the line.
    pub places: Range<u64>,
}

impl Piece {
    /// How many inputs it has.
    pub fn len(&self) -> u64 {
        self.places.end - self.places.start
    }
}

impl Space {
    /// The inputs of this domain.
    ///
    /// # Errors
    /// One line: there are too many, or the op is not one that the domain is for.
    pub fn new(op: Op, dtype: Dtype, domain: Domain) -> Result<Self> {
        if dtype == Dtype::F64 {
            return refuse("f64 has 2^64 values, which are too many to go through; choose f16, bf16 or f32");
        }
        if let Some(input) = op.others().iter().find(|input| !is_settled(input.role)) {
            return refuse(&format!(
                "{op} takes {}, of which there are too many to go through; choose an op of logits alone, or of logits and a target",
                input.in_words()
            ));
        }
        match (domain, op.is_elementwise()) {
            (Domain::Elements, false) => refuse(&format!(
                "the domain elements is for elementwise ops, and {op} makes each output from a whole row; choose pairs or gaps"
            )),
            (Domain::Pairs | Domain::Gaps, true) => {
                refuse(&format!("the domain {domain} is for ops of rows, and {op} is elementwise; choose elements"))
            }
            (Domain::Pairs, _) if dtype == Dtype::F32 => {
                refuse("pairs of f32 are 2^64 rows, which are too many to go through; choose gaps, or f16 or bf16")
            }
            _ => Ok(Self { op, dtype, domain, ranks: Ranks::new(dtype) }),
        }
    }

    /// The values of the dtype.
    pub fn ranks(&self) -> Ranks {
        self.ranks
    }

    /// Parts of the domain that are shown apart: of rows, one for each true class and, of gaps, for each place of the maximum.
    pub fn layers(&self) -> u64 {
        let classes = if self.op.takes_class() { CLASSES as u64 } else { 1 };
        match self.domain {
            Domain::Elements | Domain::Pairs => classes,
            Domain::Gaps => 2 * classes,
        }
    }

    /// The inputs of a layer in words: `[0, -d] target=1`.
    pub fn layer_name(&self, layer: u64) -> String {
        let row = match self.domain {
            Domain::Elements => "[x]",
            Domain::Pairs => "[x, y]",
            Domain::Gaps if layer.is_multiple_of(2) => "[0, -d]",
            Domain::Gaps => "[-d, 0]",
        };
        if self.op.takes_class() { format!("{row} target={}", self.class(layer)) } else { row.to_owned() }
    }

    /// The true class of all inputs of a layer, for the ops that take one.
    fn class(&self, layer: u64) -> usize {
        let class = match self.domain {
            Domain::Elements | Domain::Pairs => layer,
            Domain::Gaps => layer / 2,
        };
        class as usize
    }

    /// Lines of a layer. Of pairs there is one for each first logit.
    pub fn lines_of_layer(&self) -> u64 {
        if self.domain == Domain::Pairs { self.ranks.count() } else { 1 }
    }

    /// Lines in all.
    pub fn lines(&self) -> u64 {
        self.layers() * self.lines_of_layer()
    }

    /// Inputs of a line.
    pub fn line_len(&self) -> u64 {
        match self.domain {
            Domain::Elements | Domain::Pairs => self.ranks.count(),
            // Every number from 0 to +inf.
            Domain::Gaps => self.ranks.top + 1,
        }
    }

    /// Inputs in all.
    pub fn inputs(&self) -> u64 {
        self.lines() * self.line_len()
    }

    /// Whether there are so few inputs that everything can be kept of all of them.
    pub fn is_small(&self) -> bool {
        self.inputs() <= SMALL
    }

    fn piece_len(&self) -> u64 {
        if self.is_small() { SHORT_PIECE } else { LONG_PIECE }
    }

    fn pieces_of_line(&self) -> u64 {
        self.line_len().div_ceil(self.piece_len())
    }

    /// Pieces in all.
    pub fn pieces(&self) -> u64 {
        self.lines() * self.pieces_of_line()
    }

    /// The piece of a number below [`Space::pieces`].
    pub fn piece(&self, number: u64) -> Piece {
        let (line, place) = (number / self.pieces_of_line(), number % self.pieces_of_line());
        let from = place * self.piece_len();
        Piece { number, line, places: from..self.line_len().min(from + self.piece_len()) }
    }

    /// What varies along a line, at a place on it: the element, the second logit, or d.
    pub fn value(&self, place: u64) -> f64 {
        match self.domain {
            Domain::Elements | Domain::Pairs => self.ranks.value(place),
            Domain::Gaps => self.dtype.from_bits(place),
        }
    }

    /// The case of the inputs at these places of a line: of elements as many as there are, of rows one.
    ///
    /// # Errors
    /// None is known: every value is of the dtype.
    pub fn case(&self, line: u64, places: Range<u64>) -> Result<Case> {
        let logits: Vec<f64> = match self.domain {
            Domain::Elements => places.map(|place| self.value(place)).collect(),
            Domain::Pairs => vec![self.ranks.value(line % self.lines_of_layer()), self.value(places.start)],
            Domain::Gaps => {
                // 0 and not -0 where d is 0.
                let below = 0.0 - self.value(places.start);
                if line.is_multiple_of(2) { vec![0.0, below] } else { vec![below, 0.0] }
            }
        };
        let class = self.class(line / self.lines_of_layer());
        Case::with_others(self.op, self.dtype, logits, |role| match role {
            Role::Class => Value::Index(class),
            _ => Value::Number(role.default().unwrap_or(0.0)),
        })
    }

    /// The domain in words.
    pub fn in_words(&self) -> String {
        let Self { dtype, domain, .. } = self;
        let words = match domain {
            Domain::Elements => format!("every {dtype} value, each as one element; all NaNs are one"),
            Domain::Pairs => format!("every row of two {dtype} logits; all NaNs are one"),
            Domain::Gaps => format!("the rows [0, -d] and [-d, 0] for every {dtype} value d from 0 to +inf"),
        };
        match self.op.others().iter().any(|input| input.role == Role::Smoothing) {
            _ if !self.op.takes_class() => words,
            true => words + ", with each class as the target, and no label smoothing",
            false => words + ", with each class as the target",
        }
    }
}

/// Whether an input besides the logits has few values, all of which are gone through, or one that is fixed.
fn is_settled(role: Role) -> bool {
    match role {
        Role::Class | Role::Smoothing => true,
        Role::Logits
        | Role::Direction
        | Role::Label
        | Role::Distribution
        | Role::Scale
        | Role::Values
        | Role::Classes => false,
    }
}

fn refuse<T>(reason: &str) -> Result<T> {
    Err(Error::usage(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_every_value_in_order() {
        for (dtype, count) in [(Dtype::F16, 63_491), (Dtype::Bf16, 65_283), (Dtype::F32, 4_278_190_083)] {
            assert_eq!(Ranks::new(dtype).count(), count);
        }
        for dtype in [Dtype::F16, Dtype::Bf16] {
            let ranks = Ranks::new(dtype);
            let values: Vec<f64> = (0..ranks.count()).map(|rank| ranks.value(rank)).collect();
            assert_eq!((values[0], values[values.len() - 2]), (f64::NEG_INFINITY, f64::INFINITY));
            assert!(values[values.len() - 1].is_nan());
            assert!(
                values[..values.len() - 1].is_sorted_by(|a, b| a < b || (a.to_bits() == 1 << 63 && b.to_bits() == 0))
            );
            assert!(values.iter().enumerate().all(|(rank, &x)| dtype.holds(x) && ranks.rank(x) == rank as u64));
            // Every bit pattern is there.
            let bits: std::collections::BTreeSet<u64> = values.iter().map(|x| x.to_bits()).collect();
            assert!((0..=u64::from(u16::MAX)).all(|word| bits.contains(&dtype.from_bits(word).to_bits())));
        }
    }

    #[test]
    fn pieces_cover_every_input_once() {
        for (op, dtype, domain) in [
            (Op::LOG1MEXP, Dtype::F16, Domain::Elements),
            (Op::LOG1MEXP, Dtype::F32, Domain::Elements),
            (Op::SOFTMAX, Dtype::F16, Domain::Pairs),
            (Op::CROSS_ENTROPY, Dtype::Bf16, Domain::Pairs),
            (Op::CROSS_ENTROPY_GRAD, Dtype::F16, Domain::Gaps),
            (Op::LOGSUMEXP, Dtype::F32, Domain::Gaps),
        ] {
            let space = Space::new(op, dtype, domain).unwrap();
            let (mut line, mut end, mut inputs) = (0, 0, 0);
            for number in 0..space.pieces() {
                let piece = space.piece(number);
                if piece.line > line {
                    assert_eq!((piece.line, end), (line + 1, space.line_len()));
                    (line, end) = (piece.line, 0);
                }
                assert!(piece.places.start == end && !piece.places.is_empty(), "{op} {dtype} {piece:?}");
                (end, inputs) = (piece.places.end, inputs + piece.len());
            }
            assert_eq!((line + 1, end, inputs), (space.lines(), space.line_len(), space.inputs()));
        }
    }

    #[test]
    fn cases_are_what_the_layers_say() {
        let text = |op, domain, line, place| {
            let space = Space::new(op, Dtype::F16, domain).unwrap();
            let layer = space.layer_name(line / space.lines_of_layer());
            (format!("{:#}", space.case(line, place..place + 1).unwrap()), layer)
        };
        for (op, domain, line, place, case, layer) in [
            (Op::LOG1MEXP, Domain::Elements, 0, 0, "log1mexp f16 [-inf]", "[x]"),
            (Op::SOFTMAX, Domain::Pairs, 31_744, 31_745, "softmax f16 [-0, 0]", "[x, y]"),
            (
                Op::CROSS_ENTROPY,
                Domain::Pairs,
                63_491,
                63_490,
                "cross_entropy f16 [-inf, nan] target=1 label_smoothing=0",
                "[x, y] target=1",
            ),
            (Op::LOGSUMEXP, Domain::Gaps, 0, 0, "logsumexp f16 [0, 0]", "[0, -d]"),
            (Op::LOGSUMEXP, Domain::Gaps, 1, 31_744, "logsumexp f16 [-inf, 0]", "[-d, 0]"),
            (
                Op::CROSS_ENTROPY_GRAD,
                Domain::Gaps,
                2,
                0x3c00,
                "cross_entropy_grad f16 [0, -1] target=1 label_smoothing=0",
                "[0, -d] target=1",
            ),
        ] {
            assert_eq!(text(op, domain, line, place), (case.to_owned(), layer.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_gone_through_is_refused() {
        for (op, dtype, domain, part) in [
            (Op::LOG1MEXP, Dtype::F64, Domain::Elements, "choose f16, bf16 or f32"),
            (Op::SOFTMAX, Dtype::F32, Domain::Pairs, "choose gaps, or f16 or bf16"),
            (Op::SOFTMAX, Dtype::F16, Domain::Elements, "choose pairs or gaps"),
            (Op::LOG1MEXP, Dtype::F16, Domain::Gaps, "choose elements"),
            (Op::SOFTMAX_JVP, Dtype::F16, Domain::Pairs, "takes a tangent"),
            (Op::SOFT_CROSS_ENTROPY, Dtype::F16, Domain::Pairs, "takes a distribution"),
        ] {
            let error = Space::new(op, dtype, domain).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(part), "{error}");
        }
        for &op in Op::ALL {
            for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32] {
                assert_eq!(
                    Space::new(op, dtype, Domain::of(op, dtype)).is_ok(),
                    op.others().iter().all(|input| is_settled(input.role)),
                    "{op} {dtype}"
                );
            }
        }
    }
}
