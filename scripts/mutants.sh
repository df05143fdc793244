#!/bin/sh
# Does a test fall when the screen is wrong? Breaks it in one place after another, in a copy of the sources, and runs its tests each time.
# A mutant that builds and passes is a hole in the tests. Takes some two minutes for each.
# Usage: sh scripts/mutants.sh [WORDS]   (only those whose descriptions have these words)
set -eu
only=${1:-}
cd "$(dirname "$0")/.."
copy=target/mutants
mkdir -p "$copy"
cp -r Cargo.toml Cargo.lock src benches tests "$copy/"
[ ! -d .cargo ] || cp -r .cargo "$copy/"
survived=0

# One mutant: what it is, the file, what is replaced there (a basic regular expression), and by what.
mutant() {
    case $1 in *"$only"*) ;; *) return 0 ;; esac
    cp "$2" "$copy/$2"
    sed "s/$3/$4/" "$2" > "$copy/$2"
    if cmp -s "$2" "$copy/$2"; then
        echo "mutants.sh: nothing in $2 is like: $3" >&2
        exit 3
    fi
    if (cd "$copy" && CARGO_TARGET_DIR=build cargo test --locked --quiet --lib -- oracle::ball oracle::double oracle::near oracle::wide judge::screen judge::error magnitude > log 2>&1); then
        survived=$((survived + 1))
        echo "SURVIVED  $1"
    else
        echo "falls     $1: $(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p; s/^    \([a-z_:]*\)$/\1/p; s/^error.*\(evaluation.*\)/\1/p' "$copy/log" | sort -u | head -3 | tr '\n' ' ')"
    fi
    cp "$2" "$copy/$2"
}

near=src/oracle/near.rs
functions=src/oracle/near/functions.rs
balls=src/oracle/ball/functions.rs
row=src/oracle/double/row.rs
tier=src/oracle/double/tier.rs
real=src/oracle/double/real.rs
wide=src/oracle/wide.rs
screen=src/judge/screen.rs
common=src/judge/screen/common.rs
mutant 'the error of exp is half as large' $functions 'const EXP_ERROR: f64 = 1.9' 'const EXP_ERROR: f64 = 0.95'
mutant 'the error of a probability is half as large' $near 'const PROBABILITY_ERROR: f64 = 8.0' 'const PROBABILITY_ERROR: f64 = 4.0'
mutant 'the error of log S is half as large' $near 'const LOG_ERROR: f64 = 12.5' 'const LOG_ERROR: f64 = 6.25'
mutant 'the error of a remainder is half as large' $near 'const REMAINDER_ERROR: f64 = 7.5' 'const REMAINDER_ERROR: f64 = 3.75'
mutant 'the low part of log 2 has 8 bits' $functions '0x3d2e_f357_93c7_6730' '0x3d2e_f000_0000_0000'
mutant 'the high part of log 2 is off by an ulp' $functions '0x3fe6_2e42_fefa_3800' '0x3fe6_2e42_fefa_3801'
mutant 'the coefficients of exp are off by 2^-43' $functions 'h \* a + coefficient' 'h * a + (1.0 + 1e-13) * coefficient'
mutant 'a sum forgets its rests' $near 'self.rests += error.abs();' 'self.rests += 0.0;'
mutant 'a product that underflows has no radius' $near '|| is_zero(b, other) { 0.0 } else { f64::MIN_POSITIVE }' '|| is_zero(b, other) { 0.0 } else { 0.0 }'
mutant 'the maxima are not counted' $near 'tops += if is_top { 1.0 }' 'tops += if is_top { 0.5 }'
mutant 'double-doubles: the error of exp(r) - 1 is a thousandth' $balls '<< 95' '<< 105'
mutant 'double-doubles: the reduction has no error' $balls 'if is_small { 0.0 } else { reduction_error(low) }' '0.0'
mutant 'double-doubles: the third part of log 2 has 20 bits' $balls '0x3afe_3b39_803f_2f6b' '0x3afe_3b39_8000_0000'
mutant 'double-doubles: the powers of two have one part' $balls '(significand - high) as f64 \* UNIT' '0.0'
mutant 'double-doubles: a logarithm forgets the square' $balls 'Ball::exact(y) + m + square' 'Ball::exact(y) + m'
mutant 'double-doubles: what is far has the other sign' $row 'N::of_sign(seen.sign()' 'N::of_sign(-seen.sign()'
mutant 'double-doubles: every group has the common mean' $row 'match are_equal(own, count, sum, len)' 'match true'
mutant 'double-doubles: a nearly flat row is flat' $row '(-self.gap(i)).expm1()' 'N::ZERO'
mutant 'double-doubles: all rows are permutations' $row 'if permuted.is_some() { N::ZERO }' 'if true { N::ZERO }'
mutant 'double-doubles: a sum forgets what is left' $real 'left.abs() + 2.0 \* rest' '0.0 * rest'
mutant 'wide: what is not known of an argument is forgotten' $wide 'let error = r.radius + radius' 'let error = r.radius'
mutant 'wide: the third part of log 2 is lost' $wide 'const C3: f64 = STEP\[2\] \* STEPS' 'const C3: f64 = 0.0 * STEPS'
mutant 'wide: a weight is a window off' $wide '-(m as i32))' '-(m as i32) - i32::from(m > 2.0))'
mutant 'wide: a small argument has no error' $wide 'self.part.bound() \* SMALL_ERROR' '0.0'
mutant 'wide: what is far below is forgotten' $wide 'big.part.widened(REST)' 'big.part'
mutant 'wide: a rest has the other sign' $wide 'of_sign(sign, part.bound().max(BESIDE))' 'of_sign(-sign, part.bound().max(BESIDE))'
mutant 'wide: what is told loses nothing' $wide 'if is_exact { 0.0 } else { LOST }' '0.0'
mutant 'a shifted output is told as it is' $common 'if case.shift(j) == 0 {' 'if case.shift(j) < 1000 {'
mutant 'a shifted range is judged by the shifted number' $screen 'self.tell_failure(near, format, as_it_is)' 'self.tell_failure(near, format, got)'
mutant 'a ratio may underflow' $common 'is_told_in_ulps(bound, least)' 'true'
mutant 'bounds of large products are plain' src/oracle/near/reach.rs 'LARGEST_PRODUCT: f64 = 16_384.0' 'LARGEST_PRODUCT: f64 = 1e300'
mutant 'double-doubles: some logits are shifted' $row 'shifts.all(|other| other == shift)' 'shifts.any(|other| other == shift)'
mutant 'double-doubles: rows near each other have one sum' $tier '(rises\[j\] - \*mean)' 'rises[j]'
mutant 'double-doubles: the masses of a flat row are always its own' $tier ' \&\& smoothing == 1.0' ''
mutant 'f64 is taken whatever the distances' src/oracle/near/reach.rs 'FARTHEST: f64 = 900.0' 'FARTHEST: f64 = 9000.0'
mutant 'what the exact way shows is taken for exact' $screen 'if error == 0.0 { 0.0 } else { SHOWN_DOUBT }' '0.0'
mutant 'the error is told without its rounding' $screen 'let rounded = .*;' 'let rounded = 0.0;'
mutant 'an interval is taken for its lower end' $screen 'figure(ulps.abs() + doubt))' 'figure(ulps.abs() - doubt))'
mutant 'a ratio of 1 fails' $screen 'ratio.0 > 1.0 ||' 'ratio.0 >= 0.999 ||'
mutant 'an open ratio passes' $screen 'ratio.1 > 1.0 {' 'ratio.1 > 1.01 {'
mutant 'a value beside a power of two is clear of it' $common 'size - floor > reach && floor - (size - floor) > reach' 'size - floor >= 0.0'
mutant 'a chunk takes what fails for told' $common '(ratio <= 1.0)' '(ratio <= 1.5)'
mutant 'a chunk takes an open error for told' $common '(least == most) \&' ''
mutant 'an infinite bound is one like others' $common '(bound < f64::INFINITY)' 'true'
[ $survived -eq 0 ]
