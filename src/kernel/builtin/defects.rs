//! Planted defects: the textbook with one step written as somebody once wrote it. What is overridden is the defect.
//!
//! Each is named after what it does, carries its class among the defects seen in real kernels (C01 to C43, see `docs/defects.md`), and
//! names the families of inputs that must expose it. They claim what the kernel does that they are planted in, which is what their
//! authors believed: that kernel, without the defect, passes on all inputs. Where a public report shows the mechanism, it is
//! linked. One file for each group of classes, by the step that is wrong.

pub(super) mod attention;
pub(super) mod carried;
pub(super) mod exponentials;
pub(super) mod losses;
pub(super) mod maximum;
pub(super) mod nonfinite;
pub(super) mod prefixes;
pub(super) mod rows;
pub(super) mod scales;
pub(super) mod shapes;
pub(super) mod stored;
pub(super) mod sums;
pub(super) mod unlisted;

/// The lanes of a vector register that lane defects are written for: eight f32 in 256 bits.
pub(super) const LANES: usize = 8;

/// What cures a defect of a class, in one sentence; nothing for a code that no class has.
pub(super) fn cure(class: &str) -> &'static str {
    match class {
        "C01" | "C02" => "where the maximum is infinite, return it (NaN stays NaN) in place of max + log S",
        "C03" | "C04" => "test for a maximum of -inf, at every length, and return the value that was agreed",
        "C05" | "C06" => {
            "while a maximum is -inf, of what ran so far or of a part, take the weight and the factor of the sum for 0 in place of subtracting it from itself"
        }
        "C07" => {
            "whenever the running maximum rises, multiply the sum by exp(old - new), and merge parts relative to their common maximum"
        }
        "C08" | "C10" => "start the maximum from -inf, not from a number",
        "C09" => "take the maximum over every logit of the row",
        "C11" => "subtract the maximum of what is added up, the row or the prefix, before every exp",
        "C12" => "fuse the two: log p = (z - max) - log S, and the loss from it",
        "C13" => "let NaN through every maximum, clamp and comparison",
        "C14" => "add up in a wider type, or in blocks",
        "C15" => "subtract the maximum first: (z - max) - log S, and the loss as log S + (max - z_target)",
        "C16" => "log1p of the sum of the other weights, without the 1 of the maximum",
        "C17" => "keep the probabilities in the type they were computed in, and 1 - p as the sum of the others",
        "C18" => "compute the gradient from probabilities exp(z - max) / S, without a division by one of them",
        "C19" => "leave terms whose factor is 0 out of the sum",
        "C20" => "spread the smoothing over all n classes, and leave its term out where it is 0",
        "C21" => {
            "count, add up and differentiate the rows that are not ignored and no others, and test for a count of 0"
        }
        "C22" => "remove the clip or the epsilon; fused and shifted formulas need none",
        "C23" => {
            "z (1 - t) + log1p(exp(-z)) for z of 0 and above, -z t + log1p(exp(z)) below, and no term whose factor is 0"
        }
        "C24" => "1 / (1 + exp(-z)) for z of 0 and above, exp(z) / (1 + exp(z)) below",
        "C25" => {
            "1 / (1 + exp(-z)) for z of 0 and above, exp(z) / (1 + exp(z)) below, with an exp that is good down to its least number"
        }
        "C26" => "w / (1 + w)^2 with w = exp(-|z|): both sides of 0 have one derivative",
        "C27" => {
            "max(z, 0) + log1p(exp(-|z|)) for softplus, min(z, 0) - log1p(exp(-|z|)) for the logarithm of the sigmoid"
        }
        "C28" => {
            "log1p for log(1 + small) and expm1 for exp(small) - 1, everywhere: log1mexp is log1p(-exp(x)) below -log 2 and log(-expm1(x)) above, softplus max(z, 0) + log1p(exp(-|z|))"
        }
        "C29" => "an exp, log and division with an error of a few ulps down to the least subnormal",
        "C30" => "one base throughout, with log 2 to the last digit",
        "C31" => "subtract the maximum before the scale is applied, or leave the contraction out",
        "C32" => {
            "multiply the logits by the scale once, before the maximum is taken and before anything is masked or padded"
        }
        "C33" => "pad with -inf, and leave lanes without a logit out of the sum",
        "C34" => "leave what has no weight out of the sum, before it is multiplied",
        "C35" => "return early: -inf for the log-sum-exp of nothing, nothing for the other ops",
        "C36" => "count logits in a type as wide as their number",
        "C37" => "keep the input, and divide by the sum of the very weights that are divided",
        "C38" => {
            "take maximum and sum over every class once, wherever its shard lies, and the target's logit from the one shard that has it"
        }
        "C40" => "compute and add up in a type that is as wide as the result at least, and round once, at the end",
        "C41" => {
            "take maxima, sums, flags and whatever else an op takes from the row itself, and set them back before the next one"
        }
        "C42" => "find a row of each array at its number times the stride of that array, and run to the last row",
        "C43" => "add up each row in one order, however many rows there are, or claim no batch_invariant",
        "C39" => "clamp the argument of exp before it is reduced",
        _ => "",
    }
}
