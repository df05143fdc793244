//! The presets of what is due where a logit is not finite. The table itself is the oracle's (`oracle/special.rs`); which preset a kernel
//! is held to is one of its claims.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// What an output must be when a logit is not finite or none is left: the policy table of the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Special {
    /// What the major frameworks do is accepted: the limit or NaN where a logit is +inf; NaN or zeros where all are masked.
    #[default]
    Framework,
    /// Strict: the limit wherever one exists, NaN where none does.
    Limit,
}

impl Special {
    /// Both presets.
    pub const ALL: [Special; 2] = [Special::Framework, Special::Limit];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Special::Framework => "framework",
            Special::Limit => "limit",
        }
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Special {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Special::ALL
            .into_iter()
            .find(|special| special.name() == text)
            .ok_or_else(|| Error::usage(format!("unknown preset `{text}` of special values; write framework or limit")))
    }
}
