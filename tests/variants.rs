//! Held-out variants: kernels that were written by themselves, in plain loops, and that no part of the dictionary of defects was made from.
//! Each states the class of its defect, or that none of the classes is its own. A campaign says how many of their findings are explained,
//! and how many of the explanations are true. `cargo test --test variants -- --nocapture` prints it.

#![expect(clippy::approx_constant, reason = "short constants are among the defects")]

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::kernel::{Claims, Closure, Element, IntoClosure, Kernel};
use logitfuzz::op::Op;
use logitfuzz::results::{Certainty, Likeness};
use std::collections::BTreeMap;
use std::sync::Arc;

#[path = "variants/elements.rs"]
mod elements;
#[path = "variants/later.rs"]
mod later;
#[path = "variants/none.rs"]
mod none;
#[path = "variants/rounding.rs"]
mod rounding;
#[path = "variants/shift.rs"]
mod shift;
#[path = "variants/third.rs"]
mod third;
#[path = "variants/twofold.rs"]
mod twofold;

/// A kernel, and the class of what is wrong with it: several where one function has several names, none where no class has it.
struct Variant {
    classes: &'static str,
    kernel: Closure,
}

fn of<T: Element, U: Element, Arguments>(
    name: &str,
    classes: &'static str,
    op: Op,
    function: impl IntoClosure<(T, U), Arguments>,
) -> Variant {
    Variant { classes, kernel: Closure::new(name, op, function) }
}

/// One that claims to lose no digit where the maximum dominates.
fn tight<T: Element, U: Element, Arguments>(
    name: &str,
    classes: &'static str,
    op: Op,
    function: impl IntoClosure<(T, U), Arguments>,
) -> Variant {
    let mut claims = Claims::default();
    claims.set("tight").expect("a claim");
    Variant { classes, kernel: Closure::new(name, op, function).claiming(claims) }
}

/// Whether what is shown is one of the classes; of a kernel with two defects, `C11+C14`, what a finding shows may be both or one.
fn is_of(like: &Likeness, classes: &str) -> bool {
    let mut shown = std::iter::once(&like.class).chain(like.and.iter().map(|second| &second.class));
    shown.all(|class| classes.split(' ').any(|one| one.split('+').any(|one| one == class)))
}

/// What was said of the findings of a kernel or a class.
#[derive(Default, Clone, Copy)]
struct Said {
    /// A defect of its class, or of another one.
    right: usize,
    wrong: usize,
    /// A fault that was seen.
    fault: usize,
    consistent: usize,
    not_known: usize,
}

impl Said {
    fn all(self) -> usize {
        self.right + self.wrong + self.fault + self.consistent + self.not_known
    }
}

#[test]
fn held_out_variants_are_recognised_and_nothing_else_is() {
    const CASES: u64 = 60;
    let variants = shift::variants().into_iter().chain(rounding::variants()).chain(none::variants());
    let variants: Vec<Variant> = variants
        .chain(later::variants())
        .chain(elements::variants())
        .chain(third::variants())
        .chain(twofold::variants())
        .collect();
    let classes: BTreeMap<String, &str> =
        variants.iter().map(|variant| (variant.kernel.name().to_owned(), variant.classes)).collect();
    assert_eq!(classes.len(), variants.len(), "two variants of one name");
    assert!(variants.iter().filter(|variant| !variant.classes.is_empty()).count() >= 60);
    assert!(variants.iter().filter(|variant| variant.classes.is_empty()).count() >= 8);
    let kernels = variants.into_iter().map(|variant| Arc::new(variant.kernel) as Arc<dyn Kernel>);
    let mut plan = Plan::new(kernels.collect());
    (plan.cases, plan.seed) = (CASES, 11);
    let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
    let (mut by_kernel, mut by_class) = (BTreeMap::<&str, Said>::new(), BTreeMap::<&str, Said>::new());
    let (mut all, mut none, mut later, mut third, mut twofold) = <(Said, Said, Said, Said, Said)>::default();
    for finding in &results.findings {
        let class = classes[&finding.kernel];
        let total = if class.is_empty() { &mut none } else { &mut all };
        let of_kernel = by_kernel.entry(finding.kernel.as_str()).or_default();
        let lot = match finding.kernel.split_once(": ") {
            Some(("later", _)) if !class.is_empty() => Some(&mut later),
            Some(("third", _)) => Some(&mut third),
            Some(("twofold", _)) => Some(&mut twofold),
            _ => None,
        };
        for said in [total, of_kernel, by_class.entry(class).or_default()].into_iter().chain(lot) {
            *match (finding.certainty, &finding.answers_like) {
                (Certainty::Shown, Some(like)) if is_of(like, class) => &mut said.right,
                (Certainty::Shown, Some(_)) => &mut said.wrong,
                (Certainty::Shown, None) => &mut said.fault,
                (Certainty::Consistent, _) => &mut said.consistent,
                (Certainty::NotKnown, _) => &mut said.not_known,
            } += 1;
        }
        println!(
            "{:12} {:45} {} {} {:?} {:?}: {} | {}",
            class,
            finding.kernel,
            finding.op,
            finding.verdict,
            finding.certainty,
            finding.answers_like.as_ref().map(|like| &like.kernel),
            finding.replay,
            finding.explanation.chars().take(420).collect::<String>()
        );
    }
    println!("shown and true, shown and false, fault, consistent, not known");
    let row = |name: &str, said: &Said| {
        println!(
            "{name:55} {:4} {:4} {:4} {:4} {:4}",
            said.right, said.wrong, said.fault, said.consistent, said.not_known
        );
    };
    by_kernel.iter().for_each(|(name, said)| row(name, said));
    by_class.iter().for_each(|(name, said)| row(name, said));
    row("all that have a class", &all);
    row("all that have none", &none);
    row("of the second lot", &later);
    row("of the third lot", &third);
    row("of those with two defects", &twofold);
    let unseen: Vec<&String> = classes.keys().filter(|name| !by_kernel.contains_key(name.as_str())).collect();
    println!("without a finding: {unseen:?}");
    let precision = all.right as f64 / (all.right + all.wrong + none.wrong).max(1) as f64;
    let recall = all.right as f64 / all.all().max(1) as f64;
    println!("precision {precision:.4}, recall {recall:.4}");
    assert!(precision >= 0.98, "precision {precision:.4}");
    assert!(recall >= 0.80, "recall {recall:.4}");
    // What no class has is never cured.
    assert_eq!(none.right + none.wrong, 0);
}
