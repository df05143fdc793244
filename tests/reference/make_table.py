#!/usr/bin/env python3
"""Writes table.txt: the truth of some thousands of cases, from an arithmetic that shares nothing with the crate.

    python3 -m venv venv && venv/bin/pip install python-flint==0.9.0
    venv/bin/python tests/reference/make_table.py            # writes tests/reference/table.txt

Made with Python 3.11.7 and python-flint 0.9.0 (FLINT's Arb: ball arithmetic with exponents of any size). The table is the
same, byte for byte, every time: each row is drawn from a stream named by SEED, kind, dtype, op and number.

How the truth is found. Every output is a quotient N / S^k, or a logarithm log X, of *exponential sums*: finite sums of
c exp(r) with rational c and r. Such a sum is kept as a table from exponent to coefficient, so equal exponents meet and
cancel exactly. By Lindemann-Weierstrass a sum with any coefficient left is not 0, so a ball of growing precision must at
last exclude 0 and show its sign. With that:

* A ball for the output decides its rounding, unless a boundary of the rounding (a midpoint m) lies in the ball.
* Then the output is compared with m by the sign of N - m S^k, or of X - exp(m), once more an exponential sum.
  An empty sum means the output *is* m: a tie. A sum whose largest term is exp(-1e300) says on which side of m the
  output lies, though no precision could tell. Nothing has to know beforehand which outputs are rational.

Terms: an exponential sum is a dict {exponent: coefficient} of fmpq. A logit is a Python float that equals a value of its
dtype. Special values follow the strict reading: the limit where one exists as the non-finite logits are approached
independently of one another, NaN where none does.

Format of a line: the case as the crate prints it, a tab, then an output for each class (or one), separated by commas.
An output is `digits:rounded`. Digits: 30 significant ones, to nearest, ties to even (`0`, `inf`, `-inf`, `nan`; `tiny+` or
`tiny-` for 0 < |value| < 1e-100000). Rounded: the hex float of the value rounded once to the dtype.
"""

import itertools
import math
import os
import random
import sys
from functools import cmp_to_key

from flint import arb, ctx, fmpq

SEED = "softmax family reference 1"
# Bits at which the balls start, and where the search gives up with an error. 2^-4300 is about e^-3000.
START_BITS, LAST_BITS = 192, 100_000
# Below this power of ten a value is not printed.
TINY_POWER = -100_000
DIGITS = 30

# ------------------------------------------------------------------------------------------------ formats and rounding


class Format:
    """A binary format: bits of the significand, exponents of the least normal and of the largest binade."""

    def __init__(self, name, precision, emin, emax):
        self.name, self.p, self.emin, self.emax = name, precision, emin, emax
        self.half = 1 << (precision - 1)
        # How a case names its dtype, and the format of its outputs.
        self.title, self.output = name, self
        # Places are counted from 0 (zero) through the subnormals up; infinity has the place after the largest.
        self.infinite_place = (emax - emin + 2) * self.half

    def place(self, q):
        """The place of the value nearest to the rational q >= 0, ties to even."""
        a, b = int(q.p), int(q.q)
        if a == 0:
            return 0
        e = a.bit_length() - b.bit_length()
        if (a < b << e) if e >= 0 else (a << -e < b):
            e -= 1
        e = max(e, self.emin)
        unit = e - self.p + 1
        k = half_even(a << max(-unit, 0), b << max(unit, 0))
        return min((e - self.emin) * self.half + k, self.infinite_place)

    def value(self, place):
        """The rational at a place; 2^(emax + 1) stands for infinity, so midpoints to it come out right."""
        if place < self.half:
            return power_of_two(self.emin - self.p + 1) * place
        e = place // self.half - 1
        return power_of_two(self.emin - self.p + 1 + e) * (place - e * self.half)

    def number(self, place):
        """The Python float at a place, negative places counting down."""
        magnitude = abs(place)
        if magnitude >= self.infinite_place:
            x = math.inf
        else:
            q = self.value(magnitude)
            x = int(q.p) / int(q.q)
        return -x if place < 0 else x

    def round(self, x):
        """The nearest value to a float or rational, as a float."""
        if isinstance(x, float) and (x == 0.0 or not math.isfinite(x)):
            return x
        q = rational(x) if isinstance(x, float) else fmpq(x)
        return math.copysign(self.number(self.place(abs(q))), -1.0 if q < 0 else 1.0)

    def step(self, x, steps):
        """The value `steps` places above x, never beyond the largest."""
        place = self.place(rational(abs(x)))
        place = (-place if x < 0 else place) + steps
        limit = self.infinite_place - 1
        return self.number(max(-limit, min(limit, place)))

    @property
    def largest(self):
        return self.number(self.infinite_place - 1)

    @property
    def least(self):
        return self.number(1)


FORMATS = [
    Format("f16", 11, -14, 15),
    Format("bf16", 8, -126, 127),
    Format("f32", 24, -126, 127),
    Format("f64", 53, -1022, 1023),
]

# Dtypes of two formats: a half format is read, f32 is written.
MIXED = []
for half in FORMATS[:2]:
    mixed = Format(half.name, half.p, half.emin, half.emax)
    mixed.title, mixed.output = f"{half.name}:f32", FORMATS[2]
    MIXED.append(mixed)


def half_even(a, b):
    """The integer nearest to a / b, ties to even; a >= 0, b > 0."""
    k, rest = divmod(a, b)
    return k + (2 * rest > b or (2 * rest == b and k % 2 == 1))


def power_of_two(e):
    return fmpq(1 << e) if e >= 0 else fmpq(1, 1 << -e)


def rational(x):
    return fmpq(*x.as_integer_ratio())


def hex_text(negative, q):
    """The hex float of a rational q >= 0 with a power of two below and at most 53 bits above."""
    sign = "-" if negative else ""
    if q == 0:
        return sign + "0x0p+0"
    a, b = int(q.p), int(q.q)
    e = a.bit_length() - 1
    fraction = f"{(a << 52 >> e) - (1 << 52):013x}".rstrip("0")
    assert b & (b - 1) == 0 and (e <= 52 or a % (1 << (e - 52)) == 0)
    e -= b.bit_length() - 1
    return f"{sign}0x1{'.' if fraction else ''}{fraction}p{e:+d}"


def hex_float(x):
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    return hex_text(math.copysign(1.0, x) < 0, rational(abs(x)))


def decimal(q):
    """(k, e): q > 0 is nearest to k 10^(e - 29) with 10^29 <= k < 10^30, ties to even."""
    a, b = int(q.p), int(q.q)
    e = math.floor((a.bit_length() - b.bit_length()) * math.log10(2))
    ten = 10 ** abs(e)
    # The estimate is off by one place at most; move it until 10^e <= q < 10^(e + 1).
    while (a < b * 10**e) if e >= 0 else (a * 10**-e < b):
        e -= 1
    while (a >= b * 10 ** (e + 1)) if e + 1 >= 0 else (a * 10 ** -(e + 1) >= b):
        e += 1
    shift = DIGITS - 1 - e
    k = half_even(a * 10 ** max(shift, 0), b * 10 ** max(-shift, 0))
    return (k // 10, e + 1) if k == 10**DIGITS else (k, e)


def decimal_value(k, e):
    shift = e - DIGITS + 1
    return fmpq(k * 10**shift) if shift >= 0 else fmpq(k, 10**-shift)


# ---------------------------------------------------------------------------------------------------- exponential sums


def collect(terms):
    """The exponential sum of pairs (exponent, coefficient)."""
    total = {}
    for exponent, coefficient in terms:
        kept = total.get(exponent, 0) + coefficient
        if kept == 0:
            total.pop(exponent, None)
        else:
            total[exponent] = kept
    return total


def scale(factor, x):
    return [(r, factor * c) for r, c in x.items()]


def product(x, y):
    return collect((r + s, c * d) for r, c in x.items() for s, d in y.items())


EXPONENTIALS = {}


def exponential(r):
    """exp of a rational as a ball at the present precision, remembered for the case at hand."""
    key = (ctx.prec, r)
    if key not in EXPONENTIALS:
        EXPONENTIALS[key] = arb(r).exp()
    return EXPONENTIALS[key]


def leading(x):
    return max(x, key=cmp_to_key(lambda r, s: -1 if r < s else int(r > s)))


def scaled_ball(x):
    """(r, ball): the sum x, not empty, is exp(r) times a number in the ball."""
    top = leading(x)
    ball = arb(0)
    for r, c in x.items():
        ball += arb(c) * exponential(r - top)
    return top, ball


def sign(x):
    """The sign of an exponential sum."""
    if not x:
        return 0
    bits = START_BITS
    while bits <= LAST_BITS:
        ctx.prec = bits
        _, ball = scaled_ball(x)
        if ball > 0:
            return 1
        if ball < 0:
            return -1
        bits *= 2
    raise AssertionError(f"no sign for {x}")


# --------------------------------------------------------------------------------------------------------------- values


class Quotient:
    """numerator / denominator^power, of exponential sums; the denominator is positive."""

    def __init__(self, numerator, denominator, power=1):
        self.numerator, self.denominator, self.power = numerator, denominator, power

    def sign(self):
        return sign(self.numerator)

    def ball(self):
        r, top = scaled_ball(self.numerator)
        s, bottom = scaled_ball(self.denominator)
        return arb(r - s * self.power).exp() * top / bottom**self.power

    def compare(self, m):
        """The sign of this minus the rational m."""
        below = self.denominator
        for _ in range(self.power - 1):
            below = product(below, self.denominator)
        return sign(collect([*self.numerator.items(), *scale(-m, below)]))


class Logarithm:
    """log of a positive exponential sum, whose leading coefficient is a positive integer."""

    def __init__(self, argument):
        self.argument = argument

    def sign(self):
        return self.compare(fmpq(0))

    def ball(self):
        top = leading(self.argument)
        rest = {r: c for r, c in self.argument.items() if r != top}
        count = self.argument[top]
        if count != 1:
            _, inside = scaled_ball(self.argument)
            logarithm = inside.log()
        elif rest:
            # Alone at the top: log(exp(top) + rest) = top + log1p(rest / exp(top)).
            r, ball = scaled_ball(rest)
            logarithm = (exponential(r - top) * ball).log1p()
        else:
            logarithm = arb(0)
        return arb(top) + logarithm if top != 0 else logarithm

    def compare(self, m):
        return sign(collect([*self.argument.items(), (m, fmpq(-1))]))


def exact(q):
    return Quotient(collect([(fmpq(0), fmpq(q))]), {fmpq(0): fmpq(1)})


TIES = {"digits": 0, "dtype": 0}
STICKY = {"digits": 0, "dtype": 0}


def endpoints(ball):
    """The ball's ends, of magnitudes, as rationals."""
    ends = []
    for end in (ball.lower(), ball.upper()):
        mantissa, e = end.man_exp()
        ends.append(fmpq(mantissa) * power_of_two(int(e)))
    return ends


def between(value, negative, low, high, kind):
    """0 if |value| rounds as low, 1 if as high, None if it is the midpoint of these two neighbours."""
    middle = (low + high) / 2
    side = value.compare(-middle if negative else middle) * (-1 if negative else 1)
    (STICKY if side else TIES)[kind] += 1
    return {-1: 0, 1: 1, 0: None}[side]


def describe(value, form):
    """`digits:rounded` of a value: a float that is not finite, or a Quotient or Logarithm."""
    if isinstance(value, float):
        return f"{hex_float(value)}:{hex_float(value)}"
    which = value.sign()
    if which == 0:
        return "0:0x0p+0"
    negative = which < 0
    bits = START_BITS
    while bits <= LAST_BITS:
        ctx.prec = bits
        # Both texts come from this ball, or the loop goes on.
        ball = value.ball() * which
        ctx.prec = bits + 64
        text = from_ball(value, negative, ball, form) if ball > 0 else None
        if text is not None:
            return text
        bits *= 2
    raise AssertionError("undecided")


def from_ball(value, negative, ball, form):
    minus = "-" if negative else ""
    tiny = arb(10) ** TINY_POWER
    if ball < tiny:
        return f"tiny{minus or '+'}:{hex_text(negative, fmpq(0))}"
    if not ball > tiny:
        return None
    low, high = endpoints(ball)
    if (high - low) * (1 << 150) > low:
        return None
    (k, e), (l, f) = decimal(low), decimal(high)
    if (k, e) != (l, f):
        below, above = decimal_value(k, e), decimal_value(l, f)
        if above - below != decimal_value(1, e):
            return None
        side = between(value, negative, below, above, "digits")
        if side == 1 or (side is None and k % 2 == 1):
            k, e = l, f
    place, other = form.place(low), form.place(high)
    if place != other:
        if other != place + 1:
            return None
        side = between(value, negative, form.value(place), form.value(other), "dtype")
        place = other if side == 1 or (side is None and place % 2 == 1) else place
    digits = str(k)
    rounded = minus + "inf" if place == form.infinite_place else hex_text(negative, form.value(place))
    return f"{minus}{digits[0]}.{digits[1:]}e{e}:{rounded}"


# ------------------------------------------------------------------------------------------------------------------ ops

OPS = [
    "logsumexp", "softmax", "log_softmax", "cross_entropy", "cross_entropy_grad",
    "softmax_vjp", "softmax_jvp", "log_softmax_vjp", "log_softmax_jvp",
    "log1mexp", "sigmoid", "softplus", "log_sigmoid",
    "sigmoid_vjp", "log_sigmoid_vjp", "bce_with_logits", "bce_with_logits_grad",
    "soft_cross_entropy", "soft_cross_entropy_grad",
    "logaddexp", "logsubexp",
    "scaled_softmax", "entropy", "attention", "kl_divergence", "kl_divergence_grad", "logcumsumexp",
    "mean_cross_entropy", "mean_cross_entropy_grad",
]  # fmt: skip
# Ops whose outputs are a function of one element each (and of its value of another row), by that function.
ELEMENTWISE = {
    "log1mexp": lambda x, _: log1mexp(x), "sigmoid": lambda x, _: sigmoid(x),
    "softplus": lambda x, _: softplus(x), "log_sigmoid": lambda x, _: log_sigmoid(x),
    "sigmoid_vjp": lambda x, g: sigmoid_vjp(x, g), "log_sigmoid_vjp": lambda x, g: log_sigmoid_vjp(x, g),
    "bce_with_logits": lambda x, t: bce_with_logits(x, t), "bce_with_logits_grad": lambda x, t: bce_with_logits_grad(x, t),
    "logaddexp": lambda x, y: logaddexp(x, y), "logsubexp": lambda x, y: logsubexp(x, y),
}  # fmt: skip
# The other row that some of them take.
BESIDE = {
    "sigmoid_vjp": "cotangent", "log_sigmoid_vjp": "cotangent",
    "bce_with_logits": "label", "bce_with_logits_grad": "label",
    "logaddexp": "other_logits", "logsubexp": "other_logits",
}  # fmt: skip
TAKES_TARGET = {"cross_entropy", "cross_entropy_grad"}
SCALAR = {"logsumexp", "cross_entropy", "soft_cross_entropy", "entropy", "attention", "kl_divergence"}
DIRECTION = {
    "softmax_vjp": "cotangent", "log_softmax_vjp": "cotangent",
    "softmax_jvp": "tangent", "log_softmax_jvp": "tangent",
    "attention": "values",
}  # fmt: skip
# Their second row is a distribution, which stands in the place of a direction.
DISTRIBUTION = {"soft_cross_entropy": "distribution", "soft_cross_entropy_grad": "distribution"}
# Their second row is that of a target's logits, which stands in the place of a direction.
TARGET_LOGITS = {"kl_divergence": "target_logits", "kl_divergence_grad": "target_logits"}
# Means over rows, by the op that they are the mean of. Their logits are those of row after row, and a list of classes, with None for a
# row that is ignored, stands in the place of a target.
MEANS = {"mean_cross_entropy": "cross_entropy", "mean_cross_entropy_grad": "cross_entropy_grad"}
# Its scale stands in the place of a smoothing.
SCALED = {"scaled_softmax"}
INF, NAN = math.inf, math.nan


def log1mexp(x):
    """log(1 - exp(x)): an exponential sum of two terms inside the logarithm."""
    if math.isnan(x) or x > 0:
        return NAN
    if x == 0:
        return -INF
    return exact(0) if x == -INF else Logarithm({fmpq(0): fmpq(1), rational(x): fmpq(-1)})


def logaddexp(x, y):
    """log(exp(x) + exp(y)); nothing is added by -inf."""
    if math.isnan(x) or math.isnan(y):
        return NAN
    if INF in (x, y):
        return INF
    if -INF in (x, y):
        rest = max(x, y)
        return rest if rest == -INF else exact(rational(rest))
    return Logarithm(collect([(rational(x), fmpq(1)), (rational(y), fmpq(1))]))


def logsubexp(x, y):
    """log(exp(x) - exp(y)), y <= x; nothing is taken by -inf, and infinity less infinity is no number."""
    if math.isnan(x) or math.isnan(y) or y > x or y == INF:
        return NAN
    if x == y:
        return -INF
    if x == INF:
        return INF
    if y == -INF:
        return exact(rational(x))
    return Logarithm({rational(x): fmpq(1), rational(y): fmpq(-1)})


def two_logits(x):
    """The exponential sum 1 + exp(x)."""
    return collect([(fmpq(0), fmpq(1)), (rational(x), fmpq(1))])


def sigmoid(x):
    """exp(x) / (1 + exp(x))."""
    if not math.isfinite(x):
        return x if math.isnan(x) else exact(1 if x > 0 else 0)
    return Quotient({rational(x): fmpq(1)}, two_logits(x))


def softplus(x):
    """log(1 + exp(x))."""
    if not math.isfinite(x):
        return exact(0) if x == -INF else x
    return Logarithm(two_logits(x))


def log_sigmoid(x):
    """-log(1 + exp(-x))."""
    if not math.isfinite(x):
        return exact(0) if x == INF else x
    return Negative(Logarithm(two_logits(-x)))


def sigmoid_vjp(x, g):
    """g exp(x) / (1 + exp(x))^2."""
    if not math.isfinite(x):
        return x if math.isnan(x) else exact(0)
    return Quotient(collect([(rational(x), rational(g))]), two_logits(x), 2)


def log_sigmoid_vjp(x, g):
    """g / (1 + exp(x))."""
    if not math.isfinite(x):
        return x if math.isnan(x) else exact(rational(g) if x < 0 else 0)
    return Quotient(collect([(fmpq(0), rational(g))]), two_logits(x))


def bce_with_logits(x, t):
    """log(1 + exp(x)) - x t, as the logarithm of one exponential sum."""
    if not math.isfinite(x):
        return x if math.isnan(x) else exact(0) if t == (1.0 if x > 0 else 0.0) else INF
    line = rational(x) * rational(t)
    return Logarithm(collect([(-line, fmpq(1)), (rational(x) - line, fmpq(1))]))


def bce_with_logits_grad(x, t):
    """exp(x) / (1 + exp(x)) - t."""
    t = rational(t)
    if not math.isfinite(x):
        return x if math.isnan(x) else exact(1 - t if x > 0 else -t)
    return Quotient(collect([(rational(x), 1 - t), (fmpq(0), -t)]), two_logits(x))


def truth(op, z, target=None, smoothing=None, direction=None):
    """The outputs of an op, each a float that is not finite, a Quotient or a Logarithm."""
    if op in ELEMENTWISE:
        return [ELEMENTWISE[op](x, y) for x, y in zip(z, direction if op in BESIDE else z)]
    if op in MEANS:
        return mean_over_rows(op, z, target)
    exponents = [rational(x) if math.isfinite(x) else None for x in z]
    if op in SCALED:
        # The softmax of the products; an infinity keeps its sign, or changes it, or times 0 is nothing.
        s, op = rational(smoothing), "softmax"
        exponents = [None if x is None else s * x for x in exponents]
        z = [x if math.isfinite(x) else x if s > 0 else -x if s < 0 else NAN for x in z]
    if op == "logcumsumexp":
        # Each prefix by itself.
        return [truth("logsumexp", z[: j + 1])[0] for j in range(len(z))]
    n = len(z)
    outputs = 1 if op in SCALAR else n
    if any(map(math.isnan, z)) or op in TARGET_LOGITS and any(map(math.isnan, direction)):
        return [NAN] * outputs
    up = [i for i in range(n) if z[i] == INF]
    finite = [i for i in range(n) if math.isfinite(z[i])]
    # `live` are the classes that share the probability in the limit. Where the shares are free (several +inf, or nothing
    # above -inf), they run through the whole simplex of `live`, and an output has a limit only if it is constant on it.
    live = up or finite or list(range(n))
    free = not finite and len(live) > 1 or len(up) > 1
    if op == "logsumexp":
        if up:
            return [INF]
        return [Logarithm(collect((rational(z[i]), fmpq(1)) for i in finite))] if finite else [-INF]
    if op == "entropy":
        # The logits of one class, or of none, have no other: there is no term.
        if free:
            return [NAN]
        level = [exponents[i] if finite and not up else fmpq(0) for i in live]
        return [Entropy(level)] if len(set(level)) > 1 else [Logarithm({fmpq(0): fmpq(max(len(level), 1))})]
    if op in TARGET_LOGITS:
        return two_rows(op, z, direction)
    if op == "attention":
        return [attention(z, exponents, direction, live, free)]
    if n == 0:
        return []
    if op in TAKES_TARGET:
        e = rational(smoothing)
        q = [(1 - e) * (j == target) + e / n for j in range(n)]
    if op in DISTRIBUTION:
        q = [rational(x) for x in direction]
        assert sum(q, fmpq(0)) == 1 and all(x >= 0 for x in q)
    # One live class: its logit may as well be 0. (Shares are free only where this sum is not used.)
    level = {i: exponents[i] if math.isfinite(z[i]) else fmpq(0) for i in live}
    total = collect((level[i], fmpq(1)) for i in live)

    if op == "softmax":
        if free:
            return [NAN if j in level else exact(0) for j in range(n)]
        return [Quotient({level[j]: fmpq(1)} if j in level else {}, total) for j in range(n)]
    if op == "log_softmax":
        results = []
        for j in range(n):
            if j not in level:
                results.append(-INF)
            elif free:
                results.append(NAN)
            else:
                results.append(Negative(Logarithm(collect((level[i] - level[j], fmpq(1)) for i in live))))
        return results
    if op in ("cross_entropy", "soft_cross_entropy"):
        weighted = [j for j in range(n) if q[j] != 0]
        if any(j not in level for j in weighted):
            return [INF]
        if free:
            return [NAN]
        mean = sum((q[j] * level[j] for j in weighted), fmpq(0))
        return [Logarithm(collect((level[i] - mean, fmpq(1)) for i in live))]
    if op in ("cross_entropy_grad", "soft_cross_entropy_grad"):
        if free:
            return [NAN if j in level else exact(-q[j]) for j in range(n)]
        own = [[(level[j], fmpq(1))] if j in level else [] for j in range(n)]
        return [Quotient(collect(own[j] + scale(-q[j], total)), total) for j in range(n)]
    g = [rational(x) for x in direction]
    if op in ("softmax_vjp", "softmax_jvp"):
        if free:
            constant = len({g[i] for i in live}) == 1
            return [exact(0) if j not in level or constant else NAN for j in range(n)]
        # p_j (g_j - sum p_i g_i) = w_j sum w_i (g_j - g_i) / S^2
        return [
            Quotient(collect((level[j] + level[i], g[j] - g[i]) for i in live) if j in level else {}, total, 2)
            for j in range(n)
        ]
    if op == "log_softmax_vjp":
        whole = sum(g, fmpq(0))
        if free:
            return [exact(g[j]) if j not in level or whole == 0 else NAN for j in range(n)]
        own = [[(level[j], -whole)] if j in level else [] for j in range(n)]
        return [Quotient(collect(own[j] + scale(g[j], total)), total) for j in range(n)]
    assert op == "log_softmax_jvp"
    if free:
        constant = len({g[i] for i in live}) == 1
        return [exact(g[j] - g[live[0]]) if constant else NAN for j in range(n)]
    return [Quotient(collect((level[i], g[j] - g[i]) for i in live), total) for j in range(n)]


def mean_over_rows(op, z, classes):
    """The mean of a loss over the rows that are not ignored, or each gradient over their number and zeros elsewhere. Of none it is 0, as
    good an answer as NaN."""
    n, count = len(z) // max(len(classes), 1), sum(c is not None for c in classes)
    rows = [z[i * n : (i + 1) * n] for i in range(len(classes))]
    found = [None if c is None else truth(MEANS[op], row, c, 0.0) for row, c in zip(rows, classes)]
    if op == "mean_cross_entropy_grad":
        shared = lambda x: x if isinstance(x, float) else Quotient(collect(scale(fmpq(1, count), x.numerator)), x.denominator, x.power)
        return [x for row in found for x in ([exact(0)] * n if row is None else map(shared, row))]
    losses = [row[0] for row in found if row is not None]
    for special in (NAN, INF):
        if any(isinstance(x, float) and str(x) == str(special) for x in losses):
            return [special]
    argument = {fmpq(0): fmpq(1)}
    for loss in losses:
        argument = product(argument, loss.argument)
    return [MeanLogarithm(argument, max(count, 1))]


class MeanLogarithm:
    """log(x) / count of an exponential sum."""

    def __init__(self, argument, count):
        self.logarithm, self.count = Logarithm(argument), count

    def sign(self):
        return self.logarithm.sign()

    def ball(self):
        return self.logarithm.ball() / self.count

    def compare(self, m):
        return self.logarithm.compare(m * self.count)


def attention(z, exponents, v, live, free):
    """sum p_i v_i over the classes with weight; of none 0. Values of other classes are not seen."""
    values = [v[i] for i in live]
    if any(not math.isfinite(x) for x in values):
        # Each has a positive weight, but where the shares are free.
        return sum(x for x in values if not math.isfinite(x)) if len(set(values)) == 1 or not free else NAN
    if free:
        return exact(rational(values[0])) if len(set(values)) == 1 else NAN
    level = [exponents[i] if math.isfinite(z[i]) else fmpq(0) for i in live]
    if not level:
        return exact(0)
    total = collect((x, fmpq(1)) for x in level)
    return Quotient(collect((x, rational(value)) for x, value in zip(level, values)), total)


def two_rows(op, z, t):
    """The KL divergence of the softmax of z from that of t, or its gradient. Where a logit is +inf, or all are -inf, in either row, limits
    depend on how fast both approach."""
    n = len(z)
    if n == 0:
        return [exact(0)] if op == "kl_divergence" else []
    if any(INF in row or all(x == -INF for x in row) for row in (z, t)):
        return [NAN] * (1 if op == "kl_divergence" else n)
    live = [{i: rational(x) for i, x in enumerate(row) if x != -INF} for row in (z, t)]
    totals = [collect((x, fmpq(1)) for x in row.values()) for row in live]
    if op == "kl_divergence_grad":
        return [difference_of_probabilities(live, totals, j) for j in range(n)]
    if any(i not in live[0] for i in live[1]):
        return [INF]
    if live[0].keys() == live[1].keys() and len({live[0][i] - live[1][i] for i in live[1]}) == 1:
        return [exact(0)]
    # sum p_i(t) (t_i - z_i) + log sum exp(z) - log sum exp(t), each row relative to its largest.
    tops = [max(row.values()) for row in live]
    difference = lambda i: (live[1][i] - tops[1]) - (live[0][i] - tops[0])
    # The mean over the largest of the target is a rational number, beside which the rest may be very little.
    top = [i for i in live[1] if live[1][i] == tops[1]]
    base = sum((difference(i) for i in top), fmpq(0)) / len(top)
    differences = collect((live[1][i], difference(i) - base) for i in live[1])
    own, other = (collect((x - top, fmpq(1)) for x in row.values()) for row, top in zip(live, tops))
    terms = [Quotient(differences, totals[1])] if differences else []
    return [Divergence(base, terms + ([LogRatio(own, other)] if own != other else []))]


def difference_of_probabilities(live, totals, j):
    """p_j of the first row less that of the second. Each is rational where its row has one level, and 0 where it is masked."""
    # 1/p_j is the sum of the exponentials of the row, as seen from this logit.
    seen = [sorted(x - row[j] for x in row.values()) if j in row else None for row in live]
    if seen[0] == seen[1]:
        return exact(0)
    levels = [fmpq(0) if j not in row else fmpq(1, len(row)) if len(set(row.values())) == 1 else None for row in live]
    if None not in levels:
        return exact(levels[0] - levels[1])
    # Over one denominator, so that the sign is that of a sum of exponentials.
    own, other = ({row[j]: fmpq(1)} if j in row else {} for row in live)
    return Quotient(collect(list(product(own, totals[1]).items()) + scale(-1, product(other, totals[0]))), product(*totals))


class LogRatio:
    """log(x / y) of two exponential sums, as log1p of what the first has more than the second."""

    def __init__(self, x, y):
        self.more = Quotient(collect([*x.items(), *scale(-1, y)]), y)

    def ball(self):
        return self.more.ball().log1p()


class Divergence:
    """A rational number and some others: a sum above 0 that is not known to be rational; a ball of growing precision tells on which side of
    a rational it is."""

    def __init__(self, base, terms):
        self.base, self.terms = base, terms

    def rest(self):
        return sum((term.ball() for term in self.terms), arb(0))

    def ball(self):
        return arb(self.base) + self.rest() if self.base != 0 else self.rest()

    def sign(self):
        return 1

    def compare(self, m):
        bits = START_BITS
        while bits <= LAST_BITS:
            ctx.prec = bits
            ball = self.rest() if self.base == m else self.ball() - arb(m)
            if ball > 0 or ball < 0:
                return 1 if ball > 0 else -1
            bits *= 2
        raise AssertionError(f"a divergence that may be {m}")


class Negative:
    def __init__(self, value):
        self.value = value

    def sign(self):
        return -self.value.sign()

    def ball(self):
        return -self.value.ball()

    def compare(self, m):
        return -self.value.compare(-m)


class Entropy:
    """log S + sum w_i d_i / S, of levels that are not all equal: two kinds of numbers. No sum of exponentials tells on which side of a
    rational it is, so a ball of growing precision must: it never is one, as far as anybody knows."""

    def __init__(self, levels):
        top = leading(dict.fromkeys(levels))
        self.logarithm = Logarithm(collect((level - top, fmpq(1)) for level in levels))
        weights = collect((level - top, fmpq(1)) for level in levels)
        self.mean = Quotient(collect((level - top, top - level) for level in levels), weights)

    def sign(self):
        return 1

    def ball(self):
        return self.logarithm.ball() + self.mean.ball()

    def compare(self, m):
        bits = START_BITS
        while bits <= LAST_BITS:
            ctx.prec = bits
            ball = self.ball() - arb(m)
            if ball > 0 or ball < 0:
                return 1 if ball > 0 else -1
            bits *= 2
        raise AssertionError(f"an entropy that may be {m}")


# -------------------------------------------------------------------------------------------------------------- rows
# A kind makes one row of logits from (format, random stream, number of the row, longest wanted).


def clip(f, x):
    """x rounded to the format, within its finite range."""
    if isinstance(x, float) and not math.isfinite(x):
        return math.copysign(f.largest, x)
    x = f.round(x)
    return x if math.isfinite(x) else math.copysign(f.largest, x)


def short(r, most=4):
    return r.choice([2, 2, 3, 3, 4][: most + 1])


def shuffled(r, row):
    row = list(row)
    r.shuffle(row)
    return row


def ordinary(f, r, k):
    return [f.round(r.gauss(0, 3)) for _ in range(short(r))]


def log_uniform(f, r, low=None):
    e = r.uniform(f.emin - f.p if low is None else low, f.emax + 0.99)
    return clip(f, r.choice([-1, 1]) * math.ldexp(2 ** (e - math.floor(e)), math.floor(e)) if e < 1024 else f.largest)


def wide(f, r, k):
    return [log_uniform(f, r) for _ in range(short(r))]


def bits(f, r, k):
    row = [f.number(r.randrange(-f.infinite_place + 1, f.infinite_place)) for _ in range(short(r))]
    if k % 3 == 2:
        row[r.randrange(len(row))] = r.choice([NAN, INF, -INF])
    return row


# Where exp of a logit overflows, stops being normal, and rounds to 0.
THRESHOLDS = {
    "f16": (11.0899, 11.0901, -9.704, -17.329), "bf16": (88.7189, 88.7209, -87.337, -92.882),
    "f32": (88.7228, 88.72284, -87.337, -103.972), "f64": (709.7827, 709.78272, -708.396, -745.133),
}  # fmt: skip


def thresholds(f, r, k):
    exact_points = [
        math.log(2) * (f.emax + 1), math.log(2) * f.emin, math.log(2) * (f.emin - f.p), *THRESHOLDS[f.name]
    ]  # fmt: skip
    x = exact_points[k % len(exact_points)]
    row = [f.step(f.round(x), r.randint(-2, 2))]
    row += [r.choice([0.0, -row[0], f.step(row[0], r.randint(-3, 3)), f.round(r.gauss(0, 1))]) for _ in range(r.choice([1, 1, 2]))]
    return shuffled(r, row)


def offset(f, r, k):
    top = [f.largest, 2.0 ** (f.p - 1), 2.0**f.p, 2.0 ** (f.p + 1), math.sqrt(f.largest), 1000.0, f.largest / 2]
    base = clip(f, top[k % len(top)]) * r.choice([-1.0, 1.0])
    return [f.step(base, r.randint(-3, 3)) for _ in range(short(r))]


def ties(f, r, k):
    x = f.round(r.gauss(0, 5)) if k % 2 else log_uniform(f, r)
    n = r.choice([2, 3, 3, 5, 6, 7])
    m = n if k % 3 == 0 else r.randint(1, n - 1) + (n > 2)
    return shuffled(r, [x] * min(m, n) + [clip(f, x - abs(r.gauss(0, 4)))] * (n - min(m, n)))


def dominant(f, r, k):
    unit = f.p * math.log(2)
    gap = [unit, unit + r.uniform(-2, 2), 2 * unit, 3 * unit, 200.0, r.uniform(1, 3000), 3000.0, 700.0][k % 8]
    top = r.choice([0.0, 0.0, 1.0, f.round(r.gauss(0, 3))])
    return shuffled(r, [top] + [f.round(top - gap - r.choice([0, 0, 1, 0.5])) for _ in range(r.choice([1, 1, 2]))])


def far(f, r, k):
    gap = [1e4, 1e5, 1e6, 7e8, 7.5e8, 1e10, 1e300, 2e5, 2.3e5][k % 9]
    top = r.choice([0.0, 0.0, 1.0, f.round(r.gauss(0, 3)), -0.5])
    return shuffled(r, [top] * r.choice([1, 1, 1, 2]) + [clip(f, top - gap)] * r.choice([1, 1, 2]))


def near_zero_sum(f, r, k):
    """logsumexp near 0: all but the first drawn, the first found by bisection over the places of the format."""
    rest = [f.round(-abs(r.gauss(0, 4)) - 0.8) for _ in range(r.choice([1, 1, 2, 3]))]
    room = 1 - math.fsum(map(math.exp, rest))
    if room <= 0:
        rest, room = rest[:1], 1 - math.exp(rest[0])
    low, high = -f.infinite_place + 1, 0
    while high - low > 1:
        middle = (low + high) // 2
        if f.number(middle) < -1e4 or math.exp(f.number(middle)) < room:
            low = middle
        else:
            high = middle
    return shuffled(r, [f.step(f.number(high), [0, 0, -1, 1][k % 4])] + rest)


def all_negative(f, r, k):
    level = {"f16": -20, "bf16": -170, "f32": -170, "f64": -800}[f.name] * r.choice([1, 1, 5])
    return [f.round(level + r.gauss(0, 1.5)) for _ in range(short(r))]


def spike(f, r, k):
    row = [f.round(r.gauss(0, 1)) for _ in range(r.choice([3, 4, 5]))]
    row[k % len(row)] = f.round([20.0, 120.0, 1000.0, 50.0][k % 4])
    return row


def staircase(f, r, k):
    step = [0.5, 2.0, 11.0, 90.0][k % 4]
    row = [f.round(step * i) for i in range(r.choice([3, 4, 5]))]
    return row if r.random() < 0.7 else row[::-1]


def masked(f, r, k):
    row = [f.round(r.gauss(0, 3)) for _ in range(short(r))]
    dead = r.choice([1, 1, 2])
    return [[-INF] * dead + row, row + [-INF] * dead, shuffled(r, row + [-INF] * dead), [row[0]] + [-INF] * dead][k % 4]


def fully_masked(f, r, k):
    return [-INF] * [1, 2, 3, 7][k % 4]


def one_infinity(f, r, k):
    rest = [[f.round(r.gauss(0, 3)) for _ in range(r.choice([1, 2, 3]))], [], [-INF, 0.0], [-INF] * 2][k % 4]
    return shuffled(r, [INF] + rest)


def infinities(f, r, k):
    rest = [[f.round(r.gauss(0, 3)) for _ in range(r.choice([1, 2]))], [], [-INF, 1.0], [-INF]][k % 4]
    return shuffled(r, [INF] * r.choice([2, 2, 3]) + rest)


def not_a_number(f, r, k):
    rest = [[1.0, 2.0], [], [INF, 0.0], [-INF], [-INF, INF]][k % 5]
    return shuffled(r, [NAN] + rest)


def subnormal(f, r, k):
    return [f.number(r.choice([r.randint(-3, 3), r.randrange(-f.half, f.half)])) for _ in range(short(r))]


def signed_zeros(f, r, k):
    row = [r.choice([0.0, -0.0]) for _ in range(short(r))]
    return row + [[], [-0.0], [f.least], [f.round(-1.0)]][k % 4]


def extreme(f, r, k):
    row = [f.step(r.choice([-1, 1]) * f.largest, r.choice([0, 1, 2, -1, -2])) for _ in range(short(r))]
    return row + [[], [0.0], [1.0]][k % 3]


def empty(f, r, k):
    return []


def single(f, r, k):
    return [[0.0, -0.0, f.largest, -f.largest, f.least, f.round(r.gauss(0, 10)), log_uniform(f, r)][k % 7]]


def pair(f, r, k):
    a = log_uniform(f, r, -4) if k % 2 else f.round(r.gauss(0, 5))
    return [a, f.round(r.gauss(0, 5))]


def whole_power(f, r, k):
    """S a power of two, and just above."""
    m = r.choice([2, 4])
    x = f.round(r.choice([0.0, 1.0, r.gauss(0, 3)]))
    gap = [f.p * math.log(2), 40.0, 100.0, 1e4, 1e10, 0.0][k % 6]
    return [x] * m + ([clip(f, x - gap)] if gap else [])


def grouped(f, r, k):
    """Few distinct logits, each several times."""
    values = [f.round(r.gauss(0, 2)) for _ in range(r.choice([1, 2, 2]))]
    return [x for x in values for _ in range(r.choice([2, 3]) if len(values) < 3 else 2)]


def close(f, r, k):
    """One class above the rest, which lie far below: outputs are simple rationals and a little."""
    m = r.choice([1, 1, 2, 3])
    gap = [50.0, 200.0, 1000.0, 3000.0, 3e4, 1e10, 1e300][k % 7]
    return [0.0] * m + [clip(f, -gap)] * r.choice([1, 1, 2])


def longer(f, r, k):
    n = r.choice([8, 9, 15, 17]) if f.name == "f64" else r.choice([8, 16, 20, 24])
    return [f.round(r.gauss(0, 4)) for _ in range(n)]


KINDS = [
    # (kind, rows of each op and dtype)
    (ordinary, 3), (wide, 3), (bits, 3), (thresholds, 4), (offset, 4), (ties, 3), (dominant, 5), (far, 5),
    (near_zero_sum, 3), (all_negative, 2), (spike, 2), (staircase, 2), (masked, 4), (fully_masked, 2),
    (one_infinity, 2), (infinities, 2), (not_a_number, 1), (subnormal, 3), (signed_zeros, 1), (extreme, 3),
    (empty, 1), (single, 2), (pair, 3), (whole_power, 2), (grouped, 4), (close, 4), (longer, 1),
]  # fmt: skip


def a_direction(f, r, z):
    n = len(z)
    kind = r.randrange(9)
    if kind == 0:
        return [float(i == r_i) for r_i in [r.randrange(max(n, 1))] for i in range(n)]
    if kind == 1:
        return [1.0] * n
    if kind in (2, 3):
        return [f.round(r.gauss(0, 2)) for _ in range(n)]
    if kind == 4:
        # Mixed exponents, as far apart as the format allows; an eighth of the range away from overflow.
        return [r.choice([-1, 1]) * 2.0 ** r.randint(f.emin - f.p + 1, f.emax - 4) for _ in range(n)]
    if kind == 5:
        return [float(r.randint(-9, 9)) for _ in range(n)]
    if kind == 6:
        # Equal logits form a group; every group gets the same mean: x + d and x - d in pairs, x for the odd one.
        x, d = float(r.randint(-4, 4)), [1.0, 2.0, 0.5]
        row, waiting = [x] * n, {}
        for i, value in enumerate(z):
            if value in waiting:
                j, by = waiting.pop(value), r.choice(d)
                row[i], row[j] = x + by, x - by
            else:
                waiting[value] = i
        return row
    if kind == 7:
        row = [float(r.randint(-7, 7)) for _ in range(max(n - 1, 0))]
        return (row + [-sum(row)])[:n] if n > 1 else [0.0] * n
    # A difference of two that is a midpoint of the format: 2^p + odd, and 2^p's neighbours.
    row = [r.choice([2.0**f.p + 2 * r.randint(0, 7), 1.0, -1.0, 3.0, 0.5]) if 2 ** (f.p + 1) < f.largest else 1.0 for _ in range(n)]
    return [f.round(x) for x in row]


def some_values(f, r, z):
    """Numbers, and behind a mask, or rarely elsewhere, what is none."""
    row = a_direction(f, r, z)
    for i, x in enumerate(z):
        if r.randrange(2 if x == -INF else 24) == 0:
            row[i] = r.choice([NAN, INF, -INF])
    return row


def some_target(f, r, z):
    """Logits of a target: near the row, an offset or a permutation of it, masked alike or not, or others."""
    kind = r.randrange(8)
    if kind == 0:
        return [clip(f, x + 1.0) if math.isfinite(x) else x for x in z]
    if kind == 1:
        return shuffled(r, z)
    if kind in (2, 3):
        return [f.step(x, r.choice([0, 0, 1, -1])) if math.isfinite(x) else x for x in z]
    if kind == 4:
        return [r.choice([-INF, x, f.round(r.gauss(0, 2))]) for x in z]
    if kind == 5:
        return [log_uniform(f, r) for _ in z]
    return [f.round(r.gauss(0, 3)) if x != -INF or kind == 6 else x for x in z]


def some_rows(kind, f, r, k, z):
    """Up to three rows of one length and a kind, short ones where there are several, and the class of each; some are ignored."""
    count = r.choice([1, 2, 2, 3])
    if count > 1:
        z = z[:5]
    rows = [z]
    for i in range(1, count):
        # Of another number of the kind; filled up with ordinary ones.
        more = kind(f, r, k + 7 * i)[: len(z)]
        rows.append(more + [f.round(r.gauss(0, 3)) for _ in range(len(z) - len(more))])
    classes = [a_target(r, row) if row and r.randrange(4) else None for row in rows]
    return [x for row in rows for x in row], classes


def beside(op, f, r, z):
    """A value of the other row for each element."""
    if BESIDE[op] == "label":
        return [a_label(f, r, x) for x in z]
    if BESIDE[op] == "other_logits":
        return [below(op, f, x, another_logit(op, f, r, x)) for x in z]
    return a_direction(f, r, z)


def below(op, f, x, y):
    """A logit to be subtracted is no larger: it is mirrored at the other one."""
    if op != "logsubexp" or not (math.isfinite(x) and math.isfinite(y) and y > x):
        return y
    return clip(f, 2 * x - y) if abs(2 * x - y) < INF else -f.largest


def another_logit(op, f, r, x):
    kind = r.randrange(10)
    if kind == 0 or not math.isfinite(x):
        return r.choice([x, x, -INF, INF, 0.0])
    if kind in (1, 2):
        return f.step(x, r.choice([0, 1, -1, 2, -3]))
    if kind == 3:
        return clip(f, x - 2.0 ** -r.randint(1, 2 * f.p))
    if kind in (4, 5):
        return clip(f, x - r.choice([-1, 1]) * r.choice([0.5, math.log(2), 1.0, *THRESHOLDS[f.name]]))
    if kind == 6:
        return r.choice([-INF, INF, -x])
    if kind == 7 and 0 < abs(x) < 700 and (x > 0) == (op == "logsubexp"):
        # The sum, or the difference, is 1 but for rounding.
        return f.step(clip(f, math.log(abs(math.expm1(x)))), r.choice([-1, 0, 0, 1]))
    return f.round(r.gauss(0, 5)) if kind == 8 else log_uniform(f, r)


def a_label(f, r, x):
    kind = r.randrange(8)
    if kind < 3:
        return r.choice([0.0, 1.0, 1.0, 0.5])
    if kind == 3:
        return f.number(r.choice([1, 2, r.randrange(f.half)]))
    if kind == 4:
        return f.step(1.0, -r.choice([1, 2, 3, r.randrange(1, f.half)]))
    if kind == 5:
        return f.round(2.0 ** -r.randint(1, 30))
    if kind == 6 and math.isfinite(x) and abs(x) < 700:
        # The sigmoid itself, or beside it.
        return min(1.0, max(0.0, f.step(f.round(1 / (1 + math.exp(-x))), r.choice([0, 0, -1, 1]))))
    return f.round(r.random())


def a_distribution(f, r, z):
    """Masses that sum to 1 exactly: whole numbers of 2^-p, halves, or complements as far apart as the format allows."""
    n = len(z)
    live = [i for i in range(n) if z[i] != -INF]
    places = live if live and r.random() < 0.7 else list(range(n))
    r.shuffle(places)
    m, row = len(places), [0.0] * n
    kind = r.randrange(8)
    if kind in (0, 1):
        # All on one class: any, or that of the largest or the least logit.
        order = sorted(places, key=lambda i: -INF if math.isnan(z[i]) else z[i])
        row[r.choice([order[0], order[-1], places[0]])] = 1.0
    elif kind == 2:
        count = 1 << r.randrange(min(m, 1 << (f.p - 1)).bit_length())
        for i in places[:count]:
            row[i] = 1.0 / count
    elif kind in (3, 4, 5):
        # A whole 2^p cut at random: some parts are nothing.
        whole = 1 << f.p
        few = places[: r.choice([m, min(m, 2), min(m, 3)])]
        cuts = sorted(r.choice([0, 1, whole - 1, r.randrange(whole + 1)]) if kind == 5 else r.randrange(whole + 1) for _ in few[1:])
        for i, low, high in zip(few, [0, *cuts], [*cuts, whole]):
            row[i] = (high - low) / whole
    elif kind == 6:
        left = fmpq(1)
        for k, i in enumerate(places):
            part = left / 2 if k < m - 1 and left / 2 >= rational(f.least) else left
            row[i], left = int(part.p) / int(part.q), left - part
    else:
        left, u = fmpq(1), power_of_two(-f.p)
        for k, i in enumerate(places):
            part = left - left * u if k < m - 1 and left * u >= rational(f.least) else left
            row[i], left = int(part.p) / int(part.q), left - part
    assert all(f.round(x) == x for x in row), (f.title, row)
    return row


def a_scale(f, r, z):
    size = max((abs(x) for x in z if math.isfinite(x)), default=0.0) or 1.0
    kind = r.randrange(9)
    if kind < 4:
        return clip(f, r.choice([r.gauss(0, 3), r.uniform(-60, 60), r.choice([-1, 1]) * (f.p + 0.5)]) / size)
    return r.choice([1.0, -1.0, 0.125, f.round(80**-0.5), 0.0, -0.0, f.least, -f.least, f.largest, log_uniform(f, r)])


def a_smoothing(f, r):
    return r.choice([0.0, 0.0, 1.0, f.round(0.1), f.round(0.1), f.least, 0.75, 0.5, f.round(0.3), f.step(1.0, -1), f.round(r.random())])


def a_target(r, z):
    order = sorted(range(len(z)), key=lambda i: -INF if math.isnan(z[i]) else z[i])
    return r.choice([order[0], order[-1], r.randrange(len(z))])


# --------------------------------------------------------------------------------------------------------- named traps


def named():
    """The traps, with every number rounded to the format."""
    for op, f, z, target, smoothing, direction in traps():
        yield op, f, [f.round(x) for x in z], target, smoothing, direction and [f.round(x) for x in direction]


def traps_beside(op, f, z):
    """The other row of a trap."""
    if op not in BESIDE:
        return None
    if BESIDE[op] == "label":
        return [1.0, 0.0, f.round(0.3), f.step(1.0, -1), 0.5][: len(z)] if z[0] > 0 else [0.0, 1.0, 0.5, f.least, 1.0][: len(z)]
    if BESIDE[op] == "other_logits":
        if len(z) == 5:
            return [0.0, -0.0, 1.0, 1.0, 1.0]
        others = [0.0, clip(f, z[1] - 1.0), f.step(z[2], -1) if len(z) > 2 else 0.0, -z[-1]][: len(z)]
        return [below(op, f, x, y) for x, y in zip(z, others)]
    return [f.round(x) for x in [1.0, -3.0, 0.75, f.least, 1e4][: len(z)]]


def traps():
    """Cases that are known to be hard: (op, format, z, target, smoothing, direction)."""
    f16, bf16, f32, f64 = FORMATS
    both = [0.0, -200.0], [0.0, -3000.0]
    for f in FORMATS:
        for z in both:
            for op in ("softmax", "log_softmax", "logsumexp"):
                yield op, f, z, None, None, None
            for t in (0, 1):
                for e in (0.0, 1.0, f.round(0.1), f.least):
                    yield "cross_entropy", f, z, t, e, None
                    yield "cross_entropy_grad", f, z, t, e, None
        z = [0.0, -3000.0]
        for g in ([1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [1.0, 1.0]):
            for op in DIRECTION:
                yield op, f, z, None, None, g
        # p_t - q_t is 1/2 - tiny - 1/2.
        for low in (-3000.0, -50.0, -65504.0, -1e10, -1e300):
            if abs(low) <= f.largest:
                low = f.round(low)
                for t in (0, 2):
                    yield "cross_entropy_grad", f, [0.0, 0.0, low], t, 0.75, None
                    yield "cross_entropy", f, [0.0, 0.0, low], t, 0.75, None
                for g in ([3.0, 1.0, 5.0], [3.0, 1.0, -5.0], [3.0, 1.0, 2.0]):
                    for op in DIRECTION:
                        yield op, f, [0.0, 0.0, low], None, None, g
        yield "log_softmax_jvp", f, [0.0, f.round(-3000.0), f.round(-3001.0)], None, None, [0.0, 1.0, -2.0]
        # With e = 3/4 and n = 3 the target has 1/2 and the others 1/4: ties and near ties with p.
        for z in ([0.0, 0.0, 0.0], [f.round(math.log(2)), 0.0, 0.0], [0.0, 0.0, -INF], [0.0, -INF, -INF]):
            for t in (0, 2):
                yield "cross_entropy_grad", f, z, t, 0.75, None
        # sum d_i e/n is not dyadic.
        for z in ([0.0, -1.0, -3.0], [5.0, 0.0, 1.0, 0.0, 0.0], [0.0, 1000.0, 3.0], [0.0, -1.0, f.round(-2e4)]):
            for e in (1.0, 0.75, f.round(0.1), f.step(1.0, -1)):
                yield "cross_entropy", f, z, len(z) - 1, e, None
        # p_j near q_j, or next to it: ties, halves and a little; masses beside what is masked, and on it.
        u = 2.0**-f.p
        for z, q in (
            ([0.0, 0.0], [0.5, 0.5]), ([0.0, 0.0], [0.5 + u, 0.5 - u]), ([0.0, 0.0, -3000.0], [0.5, 0.5, 0.0]),
            ([0.0, 0.0, -1e10], [0.25, 0.25, 0.5]), ([0.0, -3000.0], [1.0, 0.0]), ([0.0, -3000.0], [1 - u, u]), ([0.0, -200.0], [u, 1 - u]),
            ([0.0, -INF], [1.0, 0.0]), ([0.0, -INF], [1 - u, u]), ([-INF, 0.0, 0.0, -INF], [0.0, 0.25, 0.75, 0.0]),
            ([-INF, 5.0], [0.0, 1.0]), ([-INF, -INF], [0.5, 0.5]), ([-INF], [1.0]), ([INF, 0.0], [1.0, 0.0]), ([INF, 0.0], [1 - u, u]),
            ([INF, INF, 0.0], [0.5, 0.5, 0.0]), ([INF, INF, 0.0], [0.5, 0.25, 0.25]), ([INF, INF], [1.0, 0.0]), ([NAN, 0.0], [0.0, 1.0]),
            ([f.largest, -f.largest], [0.5, 0.5]), ([f.largest, -f.largest], [1.0, 0.0]), ([f.largest, -f.largest], [0.0, 1.0]),
            ([2.0, 1.0, 0.0, 1.0], [0.5, 0.25, 0.125, 0.125]), ([1.0] * 5, [0.5, 0.25, 0.125, 0.125, 0.0]), ([7.0], [1.0]),
        ):  # fmt: skip
            if all(not math.isfinite(x) or abs(x) <= f.largest for x in z):
                for op in DISTRIBUTION:
                    yield op, f, z, None, None, q
        # Products that no f64 has; gaps of all sizes from them; a scale that turns the row around or levels it.
        v = f.step(1.0, 1)
        for z, s in (
            ([v, 1.0], v), ([v, 1.0], -v), ([0.0, -3000.0], 1.0), ([0.0, -3000.0], f.round(0.1)), ([0.0, 1.0, 2.0], 0.0), ([3.0], -2.0),
            ([0.0, -200.0], -1.0), ([f.largest, -f.largest], f.least), ([f.largest, f.step(f.largest, -1)], f.largest),
            ([f.least, 0.0], f.least), ([f.least, 0.0], f.largest), ([f.largest, 0.0, -f.largest], f.round(1e-3)),
            ([2.0, 2.0, 1.0], f.round(40.0)),
            ([1.0, -INF], 0.5), ([1.0, -INF], -0.5), ([1.0, -INF], 0.0), ([INF, 1.0], -1.0), ([INF, -INF], -1.0), ([-INF, -INF], -1.0),
            ([NAN, 1.0], 2.0), ([INF, INF], 1.0), ([0.0, 0.0, f.round(-37.0)], v), ([0.0, -1.0], f.round(f.p * math.log(2))),
        ):
            yield "scaled_softmax", f, z, None, s, None
        # An entropy of one class and a little of others, which may be below every number; a distance that is beyond the range.
        for z in (
            [3.0], [0.0, 0.0], [0.0] * 7, [0.0, -INF], [0.0, -1e-3], [0.0, f.least], [0.0, -20.0], [0.0, -40.0, -41.0], [0.0, -200.0],
            [0.0, -900.0], [0.0, -3000.0], [0.0, 0.0, -3000.0], [0.0, -1e10], [f.largest, -f.largest], [1.0, 2.0, 3.0], [INF, 0.0], [INF, INF],
            [INF, -INF], [-INF], [-INF, -INF], [NAN, 0.0], [], [f.largest, f.step(f.largest, -1)], [5.0, -INF, 4.0, -INF],
        ):  # fmt: skip
            if all(not math.isfinite(x) or abs(x) <= f.largest for x in z):
                yield "entropy", f, [f.round(x) if math.isfinite(x) else x for x in z], None, None, None
        # Two rows: one distribution but for a last digit, an offset, an order or a mask; far apart; with weights that are below every number.
        up = f.step(1.0, 1)
        for z, t in (
            ([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0, 4.0], [2.0, 3.0, 5.0]), ([1.0, 2.0], [2.0, 1.0]), ([up, 0.0], [1.0, 0.0]),
            ([1.0, 0.0], [up, 0.0]), ([0.0, -INF], [5.0, -INF]), ([0.0, -INF], [5.0, 0.0]), ([0.0, 1.0], [0.0, -INF]),
            ([0.0, 1.0, -INF], [1.0, 0.0, -INF]), ([0.0, -3000.0], [0.0, -3001.0]), ([0.0, -3000.0], [0.0, -INF]),
            ([0.0, -3000.0], [0.0, 0.0]), ([0.0, 0.0], [0.0, -3000.0]), ([0.0, 0.0, -3000.0], [1.0, 1.0, -200.0]),
            ([0.0, -3000.0], [-3000.0, 0.0]), ([f.largest, -f.largest], [0.0, 0.0]), ([0.0, 0.0], [f.largest, -f.largest]),
            ([f.largest, -f.largest], [-f.largest, f.largest]), ([3.0], [7.0]), ([], []), ([-INF, -INF], [0.0, 0.0]),
            ([0.0, 0.0], [-INF, -INF]), ([INF, 0.0], [0.0, 0.0]), ([0.0, 0.0], [INF, 0.0]), ([NAN, 0.0], [0.0, 0.0]),
            ([0.0, 0.0], [0.0, NAN]), ([0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0]), ([20.0, 0.0], [20.0, 1.0]), ([5.0, 5.0, 5.0], [1.0, 1.0, 2.0]),
            ([0.0, -40.0, -41.0], [0.0, -41.0, -40.0]), ([0.0, -1e10], [0.0, -2e10]), ([0.0, -1e10, -2e10], [0.0, -2e10, -1e10]),
        ):  # fmt: skip
            if all(not math.isfinite(x) or abs(x) <= f.largest for x in [*z, *t]):
                for op in TARGET_LOGITS:
                    yield op, f, z, None, None, t
        # Values that are not finite, behind a mask and before it; means that are one value, 0 or beside a midpoint.
        half = 1.0 + 2.0**-f.p
        for z, v in (
            ([0.0, -INF], [1.0, NAN]), ([0.0, -INF], [1.0, INF]), ([-INF, 0.0, -INF], [INF, 2.0, -INF]), ([0.0, -3000.0], [1.0, INF]),
            ([0.0, -3000.0], [1.0, NAN]), ([0.0, 0.0], [INF, -INF]), ([0.0, 1.0], [-INF, -INF]), ([-INF, -INF], [INF, INF]), ([-INF], [3.0]),
            ([INF, 0.0], [2.0, NAN]), ([INF, INF], [2.0, 2.0]), ([INF, 0.0], [INF, 1.0]), ([INF, 0.0], [NAN, 1.0]), ([NAN, 0.0], [1.0, 1.0]),
            ([], []), ([7.0], [-0.0]), ([0.0, 0.0, -3000.0], [1.0, -1.0, 1.0]), ([0.0, 0.0, -1e10], [3.0, -3.0, -2.0]),
            ([0.0, -3000.0], [f.largest, -f.largest]), ([0.0, -200.0], [0.0, f.largest]), ([0.0, -3000.0], [half, 1.0]),
            ([0.0, 1.0, 2.0], [f.least, -f.least, f.least]), ([3.0, 2.0, 3.0], [0.5, 0.5, 0.5]), ([0.0, -1.0], [1e4, 1e4 + 8]),
        ):  # fmt: skip
            if all(not math.isfinite(x) or abs(x) <= f.largest for x in z):
                yield "attention", f, z, None, None, v
        # Prefixes far below what comes later, masked ones, special values at every place, a sum that passes 0.
        for z in (
            [0.0, -200.0, 200.0], [0.0, -3000.0, 0.0], [-3000.0, 0.0, -3000.0], [0.0, 200.0, 400.0, 600.0], [f.least, -f.least], [-0.0], [3.0],
            [-INF, -INF, 1.0, -INF, 2.0], [-INF, -INF], [-INF], [], [1.0, NAN, 2.0], [NAN, INF], [INF, NAN], [1.0, INF, 2.0, NAN, INF],
            [-INF, NAN, 1.0], [-INF, INF, -INF], [0.0, NAN], [5.0, 5.0, INF], [INF, INF], [-f.largest, f.largest, -f.largest], [0.0] * 9,
            [f.round(-math.log(2)), f.round(-math.log(2)), f.step(f.round(-math.log(2)), 3)], [f.largest, f.step(f.largest, -1), f.largest],
            [1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 4.0, 3.0, 2.0, 1.0], [-1e10, -1e5, -1e-5, 1e4], [2.0**f.p, -1.0, 1.0], [2.0, 2.0 - 2.0**f.p],
        ):  # fmt: skip
            if all(not math.isfinite(x) or abs(x) <= f.largest for x in z):
                yield "logcumsumexp", f, [f.round(x) if math.isfinite(x) else x for x in z], None, None, None
        # Rows that are ignored, with and without what nobody may look at; none left, none at all; a mean that is next to a number of the
        # format, or far below it; a row that is not finite among others; counts that are no power of two.
        for z, classes in (
            ([1.0, 2.0, NAN, INF], [0, None]), ([NAN, NAN, 3.0, 4.0], [None, 1]), ([-INF, -INF, 3.0, 4.0], [None, 1]), ([1.0, 2.0], [None]),
            ([], []), ([], [None, None]), ([1.0, 2.0, 3.0, 4.0], [None, None]), ([0.0, -3000.0, 0.0, -200.0], [0, 0]),
            ([0.0, -3000.0, 0.0, -3000.0], [0, 1]), ([0.0, 0.0, 0.0, -3000.0], [0, 0]), ([0.0, 0.0, 0.0, 0.0], [0, 1]),
            ([0.0, -3000.0, 1.0, 1.0, 0.0, -3000.0], [0, None, 0]), ([0.0, -INF, 0.0, 0.0], [1, 0]), ([0.0, -INF, 0.0, 0.0], [0, 0]),
            ([INF, 0.0, 0.0, 0.0], [0, 1]), ([INF, 0.0, 0.0, 0.0], [1, 1]), ([INF, INF, 0.0, 0.0], [0, 0]), ([-INF, -INF, 0.0, 0.0], [0, 0]),
            ([NAN, 0.0, 0.0, -INF], [0, 1]), ([7.0, -7.0, 3.0], [0, 0, 0]), ([5.0], [0]), ([5.0, INF], [0, 0]), ([INF, 1.0, -INF, 1.0], [0, 0]),
            ([1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 3.0, 1.0, 2.0], [2, 0, 1]), ([0.0, -1e10, 0.0, -1e10, 0.0, -1e10], [1, 1, 1]),
            ([f.largest, -f.largest, f.largest, -f.largest], [1, 1]), ([f.largest, -f.largest, 0.0, 0.0], [1, 0]),
            ([0.0, -20.0, 0.0, -40.0, 0.0, -60.0], [0, 0, 0]), ([2.0**f.p, -1.0, 0.0, -1.0], [1, 1]),
        ):  # fmt: skip
            if all(not math.isfinite(x) or abs(x) <= f.largest for x in z):
                for op in MEANS:
                    yield op, f, z, classes, None, None
        # A midpoint and a little, as for a true class.
        if f is not f16:
            for low in (-1.0, 2.0 - 2.0**f.p):
                yield "soft_cross_entropy", f, [2.0**f.p, low], None, None, [0.0, 1.0]
                yield "soft_cross_entropy", f, [2.0**f.p, low], None, None, [0.5, 0.5]
        # A midpoint and a little: the largest integer of the format with a spacing of 2, and half a spacing more.
        top = 2.0**f.p
        if f is not f16:
            for low in (-1.0, 0.0, 1.0, 2.0 - top):
                yield "cross_entropy", f, [top, low], 1, 0.0, None
                yield "logsumexp", f, [top, low], None, None, None
                yield "log_softmax", f, [top, low], None, None, None
        # Differences of tangents at a midpoint, with p one-hot up to exp(-3000) and beyond.
        for low in (-3000.0, -1e10, -1e300):
            if abs(low) <= f.largest:
                for v in ([-1.0, top, 0.0], [1.0, top, 4.0], [-top / 2, top / 2 + 1, 1.0]):
                    if f is not f16:
                        yield "log_softmax_jvp", f, [0.0, f.round(low), f.round(2 * low) if abs(low) < 1e300 else -1.5e300], None, None, v
        # The cotangents as great as they may be.
        great = f.largest / 8
        for op in DIRECTION:
            yield op, f, [0.0, -1.0, 2.0], None, None, [great, -great, great]
        # Several +inf, or nothing but -inf, with an output that is the same however the shares fall.
        for z in ([INF, INF, 0.0], [-INF, -INF], [INF, 1.0, -INF, INF]):
            n = len(z)
            for g in ([3.0] * n, [3.0 if x == INF else 1.0 for x in z], [1.0, -1.0] + [0.0] * (n - 2)):
                for op in DIRECTION:
                    yield op, f, z, None, None, g
            for t in range(2):
                for e in (0.0, 0.5):
                    yield "cross_entropy", f, z, t, e, None
        # log(1 - exp(x)): either side of where its digits come from elsewhere, and where it ends.
        yield "log1mexp", f, [f.round(-math.log(2)), f.step(f.round(-math.log(2)), 1), -0.5, -1.0], None, None, None
        yield "log1mexp", f, [-f.least, -2 * f.least, f.round(-(2.0**-f.p)), f.round(-1e-3)], None, None, None
        yield "log1mexp", f, [f.round(x) for x in (-16.6, -36.7, -103.9, -745.1, -3000.0, -f.largest)], None, None, None
        yield "log1mexp", f, [0.0, -0.0, -INF, INF, NAN, 1.0, f.least], None, None, None
        # Functions of one element on either side of 0: where they are beside a number of the format (1/2, 1, z itself, 0), where exp
        # ends, and where libraries change their way.
        sizes = (
            (f.least, 2 * f.least, 2.0**-f.p, 1e-3), (0.25, f.step(0.25, 1), f.step(0.25, -1), math.log(2)),
            (1.0, 2.0, 8.0, 16.0), (16.6, 17.3, 20.0, f.step(20.0, 1)), (33.3, 36.7, 37.5, 64.0), (103.9, 104.0, 128.0, 512.0),
            (708.4, 709.7, 709.8, 745.1), (745.2, 1024.0, 3000.0, 4096.0), (7.4e8, 1e10, 2.0**40, 1e300), (f.largest, f.largest / 2),
            THRESHOLDS[f.name],
        )
        for op in ELEMENTWISE:
            if op == "log1mexp":
                continue
            for size in sizes:
                size = [clip(f, x) for x in size]
                for z in (size, [-x for x in size]):
                    yield op, f, z, None, None, traps_beside(op, f, z)
            z = [0.0, -0.0, -INF, INF, NAN]
            yield op, f, z, None, None, traps_beside(op, f, z)
        for op in ("logaddexp", "logsubexp"):
            yield op, f, [-INF, -INF, INF, INF, 1.0, 1.0, 1.0, 1.0], None, None, [-INF, 1.0, INF, -INF, INF, -INF, NAN, 2.0]
    yield "cross_entropy", f32, [16777216.0, -1.0], 1, 0.0, None
    yield "log_softmax", f16, [4096.0, -2.0], None, None, None
    yield "log_softmax", f16, [4096.0, 2.0], None, None, None
    for op in DIRECTION:
        yield op, f16, [0.0, 0.0, 0.0], None, None, [9216.0, -9.0, 0.0]
        yield op, f16, [0.0, 0.0, -INF], None, None, [9216.0, -9.0, 0.0]
    # Rows of some length; runs keep their text short.
    for f in FORMATS:
        r = random.Random(f"{SEED} long {f.name}")
        for n in (33, 60, 200):
            z = [f.round(r.gauss(0, 2)) for _ in range(n)]
            if n == 200 and f is f64:
                z = [f.round(round(x * 16) / 16) for x in z]
            yield "logsumexp", f, z, None, None, None
            yield "cross_entropy", f, z, r.randrange(n), f.round(0.1), None
            if n < 200:
                s = random.Random(f"{SEED} long distribution {f.name} {n}")
                yield "soft_cross_entropy", f, z, None, None, a_distribution(f, s, z)
                yield "soft_cross_entropy_grad", f, z, None, None, a_distribution(f, s, z)
        for op in ("softmax", "log_softmax"):
            yield op, f, [f.round(r.gauss(0, 3)) for _ in range(60 if f is f16 else 30)], None, None, None
        z = [0.0] * 50 + [-1.0] * 10
        yield "log_softmax_jvp", f, z, None, None, [1.0] * 30 + [-1.0] * 30
    yield "softmax", f16, [0.0] * 100 + [f16.round(0.1 * i) for i in range(60)] + [-3.0] * 40, None, None, None
    # p_j near q_j, where the gradient cancels: p_t = q_t solved for z_t, and its neighbours.
    for f in FORMATS:
        for n in (2, 3, 4):
            for e in (0.5, 0.75, f.round(0.1), f.round(0.3)):
                share = (1 - e) + e / n
                x = f.round(math.log(share * (n - 1) / (1 - share)))
                for steps in (-1, 0, 1) if n == 3 else (0,):
                    yield "cross_entropy_grad", f, [f.step(x, steps)] + [0.0] * (n - 1), 0, e, None


# ------------------------------------------------------------------------------------------------------------- the table


def values_text(values):
    """Runs of three and more equal values, bit for bit, as value*count."""
    words, i = [], 0
    while i < len(values):
        word, j = hex_float(values[i]), i
        while j < len(values) and hex_float(values[j]) == word:
            j += 1
        words += [word] * (j - i) if j - i < 3 else [f"{word}*{j - i}"]
        i = j
    return ", ".join(words)


def case_text(op, f, z, target, smoothing, direction):
    text = f"{op} {f.title} [{values_text(z)}]"
    if op in TAKES_TARGET:
        text += f" target={target} label_smoothing={hex_float(smoothing)}"
    if op in SCALED:
        text += f" scale={hex_float(smoothing)}"
    if op in MEANS:
        words = [["ignored" if c is None else str(c)] * len(list(same)) for c, same in itertools.groupby(target)]
        words = [word for run in words for word in (run if len(run) < 3 else [f"{run[0]}*{len(run)}"])]
        text += f" targets=[{', '.join(words)}]"
    for names in (DIRECTION, BESIDE, DISTRIBUTION, TARGET_LOGITS):
        if op in names:
            text += f" {names[op]}=[{values_text(direction)}]"
    return text


def drawn(formats, most):
    for kind, rows in KINDS:
        for f in formats:
            for op in OPS:
                # What a kind is about in a row is mostly nothing to one element: half of them will do.
                enough = rows if op == "log1mexp" or op not in ELEMENTWISE else (rows + 1) // 2
                # Rows under a distribution are as those under a class, products as logits: fewer will do.
                for k in range(min(enough, most, 2 if op in DISTRIBUTION or op in SCALED else most)):
                    r = random.Random(f"{SEED} {kind.__name__} {f.name} {op} {k}")
                    # The number of a row starts elsewhere for each op, so that few rows still meet all variants.
                    z = kind(f, r, k + rows * OPS.index(op))
                    if op == "log1mexp":
                        # Few, and nearly all where they have a value.
                        z = [x if r.randrange(12) == 0 else -abs(x) for x in z[:8]]
                    elif op in ELEMENTWISE:
                        # Few, on either side of 0.
                        z = [x if r.randrange(2) else -x for x in z[:4]]
                    if (op in TAKES_TARGET or op in DISTRIBUTION) and not z:
                        continue
                    target = a_target(r, z) if op in TAKES_TARGET else None
                    smoothing = a_smoothing(f, r) if op in TAKES_TARGET else None
                    if op in SCALED:
                        smoothing = a_scale(f, r, z)
                    direction = a_direction(f, r, z) if op in DIRECTION else beside(op, f, r, z) if op in BESIDE else None
                    if op in DISTRIBUTION:
                        direction = a_distribution(f, r, z)
                    if op in MEANS:
                        z, target = some_rows(kind, f, r, k, z)
                    if op == "attention":
                        direction = some_values(f, r, z)
                    if op in TARGET_LOGITS:
                        direction = some_target(f, r, z)
                    yield op, f, z, target, smoothing, direction


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "table.txt")
    lines, seen = [], set()
    # What is rounded in two formats need not be drawn anew: the first row of each kind.
    for case in (*named(), *drawn(FORMATS, 99), *drawn(MIXED, 1)):
        text = case_text(*case)
        if text in seen:
            continue
        seen.add(text)
        op, f, z, target, smoothing, direction = case
        for x in [*z, *(direction or []), *([smoothing] if smoothing is not None else [])]:
            assert not math.isfinite(x) or f.round(x) == x, (text, x)
        EXPONENTIALS.clear()
        try:
            outputs = [describe(value, f.output) for value in truth(op, z, target, smoothing, direction)]
        except Exception:
            print(text, file=sys.stderr)
            raise
        lines.append(f"{text}\t{','.join(outputs)}\n")
    with open(path, "w", encoding="ascii", newline="\n") as table:
        table.writelines(lines)
    size = sum(map(len, lines))
    print(f"{len(lines)} cases, {sum(l.count(':') for l in lines)} outputs, {size} bytes; ties {TIES}, beside a midpoint {STICKY}")
    assert len(lines) >= 2500 and size <= 4 << 20


if __name__ == "__main__":
    main()
