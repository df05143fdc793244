//! Signatures: what an op takes and what it returns, as data. Everything that reads, writes, draws, changes or prints the inputs of
//! a case is a loop over them.

/// An input of an op. The first input of every op is its row of logits, from which the case has its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// The name in texts, in JSON and, with dashes, on the command line: `label_smoothing`, `cotangent`.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
}

/// What an input is for. It decides the shape, the numbers that are allowed, and how a generator draws them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The row, or another one of logits: any values of the dtype, n of them.
    Logits,
    /// A true class: an index into the row, so the row has one logit at least.
    Class,
    /// A label smoothing: one number in [0, 1].
    Smoothing,
    /// A cotangent or tangent: n finite numbers.
    Direction,
    /// Labels: n numbers in [0, 1].
    Label,
    /// A distribution over the classes: n numbers in [0, 1] that sum to 1 exactly, so the row has one logit at least.
    Distribution,
    /// What all logits are multiplied by: one finite number, of any sign.
    Scale,
    /// What the probabilities weigh: n numbers of any kind, for what is masked may hold anything.
    Values,
    /// The true class of each row of several, or that the row is ignored. The logits are those of all rows, one row after the other, each as
    /// long as the others.
    Classes,
}

/// How many values an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extent {
    /// One for each logit.
    Row,
    /// One number.
    Number,
    /// One index.
    Index,
    /// For each row an index, or none.
    Indices,
}

impl Role {
    /// How many values an input of this role is.
    pub const fn extent(self) -> Extent {
        match self {
            Role::Logits | Role::Direction | Role::Label | Role::Distribution | Role::Values => Extent::Row,
            Role::Smoothing | Role::Scale => Extent::Number,
            Role::Class => Extent::Index,
            Role::Classes => Extent::Indices,
        }
    }

    /// What a value is, in words.
    pub const fn about(self) -> &'static str {
        match self {
            Role::Logits | Role::Direction | Role::Values => "one value for each logit",
            Role::Distribution => "one mass for each logit, which sum to 1 exactly",
            Role::Class => "the true class counted from 0",
            Role::Smoothing => "a number in [0, 1]",
            Role::Label => "one number in [0, 1] for each logit",
            Role::Scale => "a finite number",
            Role::Classes => {
                "for each row its true class counted from 0, or `ignored`; the logits are those of row after row"
            }
        }
    }

    /// The number that is meant where an input is not given; none where it must be.
    pub const fn default(self) -> Option<f64> {
        match self {
            Role::Smoothing => Some(0.0),
            Role::Logits
            | Role::Class
            | Role::Direction
            | Role::Label
            | Role::Distribution
            | Role::Scale
            | Role::Values
            | Role::Classes => None,
        }
    }

    /// Whether an input of this role is of a class, so that the row has one logit at least.
    pub(crate) const fn needs_class(self) -> bool {
        matches!(self, Role::Class | Role::Distribution)
    }
}

impl Input {
    /// The row.
    pub const LOGITS: Input = Input { name: "logits", role: Role::Logits };
    /// The true class.
    pub const TARGET: Input = Input { name: "target", role: Role::Class };
    /// The mass that is spread evenly over all classes.
    pub const LABEL_SMOOTHING: Input = Input { name: "label_smoothing", role: Role::Smoothing };
    /// The direction of a vector-Jacobian product.
    pub const COTANGENT: Input = Input { name: "cotangent", role: Role::Direction };
    /// The direction of a Jacobian-vector product.
    pub const TANGENT: Input = Input { name: "tangent", role: Role::Direction };
    /// The masses that a target gives the classes: soft labels.
    pub const DISTRIBUTION: Input = Input { name: "distribution", role: Role::Distribution };
    /// The true class of each row, or that it is ignored.
    pub const TARGETS: Input = Input { name: "targets", role: Role::Classes };
    /// What the logits are multiplied by: `1/sqrt(d)` of attention, one over a temperature.
    pub const SCALE: Input = Input { name: "scale", role: Role::Scale };

    /// The logits of the distribution that is aimed at: a teacher's.
    pub const TARGET_LOGITS: Input = Input { name: "target_logits", role: Role::Logits };

    /// One channel of attention's values.
    pub const VALUES: Input = Input { name: "values", role: Role::Values };

    /// The logits of the second number of each pair.
    pub const OTHER_LOGITS: Input = Input { name: "other_logits", role: Role::Logits };
    /// How likely each element is to be of the class: 0, 1, or a number between.
    pub const LABEL: Input = Input { name: "label", role: Role::Label };

    /// The input in words, with its article: `a target`, `optionally a label smoothing`.
    pub(crate) fn in_words(self) -> String {
        let name = self.name.replace('_', " ");
        match self.role {
            Role::Logits | Role::Values | Role::Classes => name,
            role if role.default().is_some() => format!("optionally a {name}"),
            _ => format!("a {name}"),
        }
    }
}

/// What an op returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outputs {
    /// One number, whatever the length of the row.
    One,
    /// A number for each logit.
    PerLogit,
    /// A number for each logit, of the logits up to that one alone: what comes after it has no part in it.
    PerPrefix,
}
