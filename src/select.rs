//! Kernels by the texts that name them, as `--kernel` and the fuzz targets take them: a built-in kernel, a pattern with `*`,
//! `c:LIB.so[:SYMBOL]` for C functions, `exec:COMMAND` for a worker, and `NAME=` before any of them to give one a name of its own.

use crate::case::Case;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
#[cfg(unix)]
use crate::foreign::{Foreign, Limits};
use crate::kernel::builtin::{self, Builtin};
use crate::kernel::{Batched, Claims, Kernel, Outcome};
use crate::op::Op;
use crate::outside;
use std::sync::Arc;

#[cfg(unix)]
mod library;

/// Who asks for kernels, and under which conditions.
pub(crate) struct Selector {
    /// The op and the dtype, where there is one of each: a C symbol of any name computes that.
    pub only: Option<(Op, Dtype)>,
    /// How whoever asks says which op and dtype that is, for an error: `one --op and one --dtype`.
    pub say_only: &'static str,
    /// How kernels in processes of their own are run.
    #[cfg(unix)]
    pub workers: Workers,
}

/// How kernels in processes of their own are run.
#[cfg(unix)]
pub(crate) struct Workers {
    /// What each is allowed.
    pub limits: Limits,
    /// What serves the functions of a C library.
    pub server: Server,
    /// What is done before any is started.
    pub before: fn(),
}

/// The program that serves the functions of a C library: the command `logitfuzz`, in another mode.
#[cfg(unix)]
pub(crate) enum Server {
    /// This very program is the command.
    #[cfg(feature = "cli")]
    ThisProgram,
    /// This program is another one, so the command is looked up in PATH.
    #[cfg(feature = "arbitrary")]
    FromPath,
}

/// A kernel that was asked for, with what it was asked by: two texts may name the same one.
struct Chosen {
    kernel: Arc<dyn Kernel>,
    origin: String,
}

/// The built-in kernels in which no defect is planted.
pub(crate) fn ordinary() -> impl Iterator<Item = &'static Builtin> {
    builtin::all().iter().filter(|kernel| kernel.defect().is_none())
}

impl Selector {
    /// The kernels that these texts name, each once, in the order of the texts and of the registry.
    ///
    /// # Errors
    /// One line: a name that nothing has or that cannot be used, one name for two kernels, a library or a command that cannot be
    /// started, a kind of kernel that this system does not have.
    pub fn kernels(&self, texts: &[String]) -> Result<Vec<Arc<dyn Kernel>>> {
        let mut chosen: Vec<Chosen> = Vec::new();
        for text in texts {
            for new in self.one(text)? {
                match chosen.iter().find(|other| other.kernel.name() == new.kernel.name()) {
                    // Two patterns may name the same kernel; two kernels may not have the same name.
                    Some(other) if other.origin == new.origin => {}
                    Some(other) => {
                        return Err(Error::usage(format!(
                            "the name `{}` is given to {} and to {}; give one of them another with NAME=KERNEL",
                            new.kernel.name(),
                            other.origin,
                            new.origin
                        )));
                    }
                    None => chosen.push(new),
                }
            }
        }
        Ok(chosen.into_iter().map(|chosen| chosen.kernel).collect())
    }

    /// The kernels that one text names.
    fn one(&self, text: &str) -> Result<Vec<Chosen>> {
        let is_foreign = |text: &str| text.starts_with("c:") || text.starts_with("exec:");
        let (name, what) = match text.split_once('=') {
            Some((name, what)) if !is_foreign(text) => (Some(name), what),
            _ => (None, text),
        };
        // The name stands in reports and in the commands that replay findings.
        name.map_or(Ok(()), outside::check_name).map_err(|reason| Error::usage(format!("NAME={what}: {reason}")))?;
        if is_foreign(what) {
            return self.foreign(name, what);
        }
        let found: Vec<_> = builtin::matching(what).collect();
        if found.is_empty() {
            let names: Vec<&str> = ordinary().map(Builtin::name).collect();
            return Err(Error::usage(format!(
                "unknown kernel `{what}`; the built-in kernels are: {}, and defect/* (see `logitfuzz list kernels`); others are c:LIB.so and exec:COMMAND",
                names.join(", ")
            )));
        }
        if name.is_some() && found.len() > 1 {
            return Err(Error::usage(format!(
                "`{text}` gives one name to {} kernels; give each its own with NAME=KERNEL",
                found.len()
            )));
        }
        let chosen = |kernel: &'static Builtin| Chosen {
            origin: kernel.name().to_owned(),
            kernel: match name {
                Some(name) if name != kernel.name() => Arc::new(Named { name: name.to_owned(), kernel }),
                _ => Arc::new(kernel),
            },
        };
        Ok(found.into_iter().map(chosen).collect())
    }

    #[cfg(not(unix))]
    fn foreign(&self, _: Option<&str>, what: &str) -> Result<Vec<Chosen>> {
        // Only a C symbol asks for these.
        let _ = (self.only, self.say_only);
        Err(Error::usage(format!("`{what}`: kernels in processes of their own need a Unix system")))
    }

    /// The kernels of a C library or of a worker.
    #[cfg(unix)]
    fn foreign(&self, name: Option<&str>, what: &str) -> Result<Vec<Chosen>> {
        (self.workers.before)();
        let mut kernels = match what.strip_prefix("c:") {
            Some(library) => library::start(library, self, name.is_some())?,
            None => Foreign::command(what.strip_prefix("exec:").unwrap_or(what), self.workers.limits)?,
        };
        if let Some(name) = name {
            // With a name, a worker's kernel of that name; or its only one, renamed.
            let place = match kernels.iter().position(|kernel| kernel.name() == name) {
                Some(place) => place,
                None if kernels.len() == 1 => 0,
                None => {
                    let names: Vec<&str> = kernels.iter().map(Kernel::name).collect();
                    return Err(Error::usage(format!(
                        "`{what}` serves {} kernels and none is called `{name}`; before the = write one of: {}",
                        names.len(),
                        names.join(", ")
                    )));
                }
            };
            kernels = vec![kernels.swap_remove(place).named(name, format!("{name}={what}"))];
        }
        Ok(kernels.into_iter().map(|kernel| Chosen { origin: kernel.selector(), kernel: Arc::new(kernel) }).collect())
    }
}

/// A built-in kernel under another name.
struct Named {
    name: String,
    kernel: &'static Builtin,
}

impl Kernel for Named {
    fn name(&self) -> &str {
        &self.name
    }

    fn selector(&self) -> String {
        format!("{}={}", self.name, self.kernel.name())
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        self.kernel.supports(op, dtype)
    }

    fn claims(&self, op: Op, dtype: Dtype) -> Claims {
        self.kernel.claims(op, dtype)
    }

    fn run(&self, case: &Case) -> Outcome {
        self.kernel.run(case)
    }

    fn batched(&self, op: Op, dtype: Dtype) -> Option<&dyn Batched> {
        self.kernel.batched(op, dtype)
    }
}
