//! The page's drawings, as inline SVG made here: they show without JavaScript, and take their colours from the page's style.
//!
//! Coordinates are integers in a box that is twice the usual size on screen, which keeps the text short and half a pixel
//! exact.

use super::escape;
use crate::results::Point;
use crate::words::count;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The box of a drawing, and the margins of the area inside its axes.
const WIDTH: i32 = 560;
const CURVE_HEIGHT: i32 = 300;
const BARS_HEIGHT: i32 = 180;
const BARS_TOP: i32 = 14;
const LEFT: i32 = 74;
const RIGHT: i32 = 14;
const TOP: i32 = 46;
const BOTTOM: i32 = 40;

/// Where failures without a finite error are marked: a band above the axes.
const BAND: i32 = 20;
/// The size of a cross there.
const CROSS: i32 = 10;

/// Points that fall into the same column of this width are drawn as the worst of them; it bounds the page's size.
const COLUMN: i32 = 4;

/// Rows of zeros have no log2; [`Point::x`] says this of them. They are drawn at the left edge.
const ZEROS: i32 = -1075;

/// Errors of so many ulps, as a power of two above the precision, are twice the value: no digit is right. The y axis ends there.
const NO_DIGIT: u32 = 1;

/// Smaller errors are drawn here: a correctly rounded result has up to half an ulp, and below a tenth nobody looks.
const FLOOR_LOG10: f64 = -1.0;

/// The x axis is linear within about this many binades around 1 and logarithmic outside (asinh), so that the thresholds of
/// exp (2^3 to 2^10) stay apart although f64 has two thousand binades.
const LINEAR_BINADES: f64 = 8.0;

/// Errors against the size of the input, with the bound as a line.
///
/// Dots are within the bound, triangles above it, crosses at the top are NaN or infinities that are not due. The y axis is that
/// of the errors, up to where a value of `precision` bits has no right digit; what is above is drawn at the upper edge, or a few
/// enormous bounds would press everything else flat.
pub(super) fn curve(points: &[Point], precision: u32, label: &str) -> String {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for point in points.iter().filter(|point| point.x > ZEROS) {
        least = least.min(stretch(point.x));
        most = most.max(stretch(point.x));
    }
    if least > most {
        (least, most) = (0.0, 0.0);
    }
    let margin = ((most - least) * 0.03).max(0.05);
    let zeros = points.iter().any(|point| point.x <= ZEROS);
    let (left, right) = (LEFT + if zeros { 28 } else { 0 }, WIDTH - RIGHT);
    let across = |x: i32| {
        let part = (stretch(x) - least + margin) / (most - least + 2.0 * margin);
        if x <= ZEROS { LEFT + 12 } else { left + (part * f64::from(right - left)).round() as i32 }
    };
    let decades = points.iter().map(|point| point.ulp).filter(|y| y.is_finite() && *y > 0.0).map(f64::log10);
    let no_digit = f64::from(precision + NO_DIGIT) * std::f64::consts::LOG10_2;
    let top_log10 = decades.fold(1.0, f64::max).min(no_digit).ceil();
    let bottom = CURVE_HEIGHT - BOTTOM;
    let up = |y: f64| {
        let part = (y.max(f64::MIN_POSITIVE).log10().max(FLOOR_LOG10) - FLOOR_LOG10) / (top_log10 - FLOOR_LOG10);
        bottom - (part.min(1.0) * f64::from(bottom - TOP)).round() as i32
    };

    let mut columns: BTreeMap<i32, &Point> = BTreeMap::new();
    for point in points {
        let worst = columns.entry(across(point.x) / COLUMN).or_insert(point);
        if badness(point) > badness(worst) {
            *worst = point;
        }
    }
    let (mut bound, mut within, mut above, mut failed) = (String::new(), String::new(), String::new(), String::new());
    let mut pen: Option<(i32, i32)> = None;
    let mut last_failed = 0;
    for point in columns.values() {
        let x = across(point.x);
        if point.bound_ulp.is_finite() {
            let y = up(point.bound_ulp);
            // The first point of a stretch gets a short line, for it may stay alone.
            let _ = match pen {
                Some((before_x, before_y)) => write!(bound, "l{} {}", x - before_x, y - before_y),
                None => write!(bound, "M{} {y}h6l-3 0", x - 3),
            };
            pen = (point.x > ZEROS).then_some((x, y));
        } else {
            pen = None;
        }
        let _ = if !point.ulp.is_finite() {
            // Crosses that would cover each other are one.
            if x - last_failed < CROSS {
                continue;
            }
            last_failed = x;
            write!(failed, "M{} {}l{CROSS} {CROSS}m0-{CROSS}l-{CROSS} {CROSS}", x - CROSS / 2, BAND - CROSS / 2)
        } else if point.ulp > point.bound_ulp {
            write!(above, "M{} {}h10l-5-9z", x - 5, up(point.ulp) + 4)
        } else {
            write!(within, "M{x} {}h0", up(point.ulp))
        };
    }

    let mut out = open(CURVE_HEIGHT, label);
    let step = ((top_log10 - FLOOR_LOG10) / 4.0).ceil() as usize;
    for decade in (FLOOR_LOG10 as i32..=top_log10 as i32).step_by(step.max(1)) {
        let y = up(10f64.powi(decade));
        let text = if (-1..4).contains(&decade) { 10f64.powi(decade).to_string() } else { format!("1e{decade}") };
        let _ = write!(
            out,
            "<path class=g d=\"M{LEFT} {y}H{right}\"/><text x={} y={} class=e>{text}</text>",
            LEFT - 8,
            y + 6
        );
    }
    let mut free = LEFT + 20;
    if zeros {
        let _ = write!(out, "<text x={} y={} class=m>0</text>", LEFT + 12, bottom + 26);
        free += 42;
    }
    for exponent in [-1000, -300, -100, -30, -10, -5, 0, 5, 10, 15, 30, 100, 300, 1000] {
        let x = across(exponent);
        if stretch(exponent) < least - margin || stretch(exponent) > most + margin || x < free || x > right - 10 {
            continue;
        }
        free = x + 66;
        let _ = write!(
            out,
            "<path class=g d=\"M{x} {TOP}V{bottom}\"/><text x={x} y={} class=m>{}</text>",
            bottom + 26,
            power_of_two(exponent)
        );
    }
    let _ = write!(out, "<path class=a d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>");
    if !failed.is_empty() {
        let _ = write!(
            out,
            "<path class=k d=\"M{LEFT} {0}H{right}\"/><text x={1} y={2} class=e>NaN ∞</text>",
            TOP - 10,
            LEFT - 8,
            BAND + 6
        );
    }
    for (class, path) in [("b", bound), ("p", within), ("t", above), ("f", failed)] {
        if !path.is_empty() {
            let _ = write!(out, "<path class={class} d=\"{path}\"/>");
        }
    }
    out + "</svg>"
}

/// Outputs by error: bars on a logarithmic scale of counts. `counts` is as [`crate::results::Cell::ulp_histogram`].
pub(super) fn bars(counts: &[u64], label: &str) -> String {
    /// So many bars at least, so that the drawings of one kernel can be compared.
    const BARS: usize = 16;
    let bottom = BARS_HEIGHT - BOTTOM;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let slots = counts.len().max(BARS) as i32;
    let across = |k: i32| LEFT + (WIDTH - RIGHT - LEFT) * k / slots;
    let scale = (most as f64 + 1.0).log10();
    let mut out = open(BARS_HEIGHT, label);
    let mut bars = String::new();
    for (k, &n) in (0..).zip(counts).filter(|&(_, &n)| n > 0) {
        let height = ((n as f64 + 1.0).log10() / scale * f64::from(bottom - BARS_TOP)).round().max(2.0) as i32;
        let (x, wide) = (across(k) + 1, (across(k + 1) - across(k) - 2).max(1));
        let _ = write!(bars, "M{x} {bottom}v-{height}h{wide}v{height}z");
    }
    let _ = write!(out, "<path class=h d=\"{bars}\"/><path class=a d=\"M{LEFT} {bottom}H{}\"/>", WIDTH - RIGHT);
    let _ = write!(out, "<text x={} y={} class=e>{}</text>", LEFT - 8, BARS_TOP + 8, brief(most));
    let mut free = 0;
    for k in 0..slots {
        let x = (across(k) + across(k + 1)) / 2;
        if x < free {
            continue;
        }
        free = x + 80;
        let text = match k {
            0 => "½".to_owned(),
            1..=11 => (1u32 << (k - 1)).to_string(),
            _ => power_of_two(k - 1),
        };
        let _ = write!(out, "<text x={x} y={} class=m>≤ {text}</text>", bottom + 26);
    }
    out + "</svg>"
}

fn open(height: i32, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"{}\">", escape(label))
}

fn stretch(x: i32) -> f64 {
    (f64::from(x) / LINEAR_BINADES).asinh()
}

/// Orders points within a column: what has no finite error, then by ratio.
fn badness(point: &Point) -> (bool, f64) {
    let ratio = point.ulp / point.bound_ulp;
    (!point.ulp.is_finite(), if ratio.is_nan() { 0.0 } else { ratio })
}

/// `2` with its exponent raised.
fn power_of_two(exponent: i32) -> String {
    let digits = exponent.to_string();
    let raised = digits.chars().map(|c| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    });
    std::iter::once('2').chain(raised).collect()
}

/// A count in at most five characters: `950`, `12k`, `3.4M`.
fn brief(n: u64) -> String {
    match n {
        0..1_000 => count(n),
        1_000..1_000_000 => format!("{}k", n / 1_000),
        1_000_000..1_000_000_000 => format!("{}M", n / 1_000_000),
        _ => format!("{}G", n / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That of f64.
    const PRECISION: u32 = 53;

    /// The path of a class, if it is drawn.
    fn path<'a>(svg: &'a str, class: &str) -> Option<&'a str> {
        svg.split_once(&format!("<path class={class} d=\""))?.1.split('"').next()
    }

    /// The height at which the first mark of a path starts; smaller is higher.
    fn height(path: &str) -> i32 {
        path.split(' ').nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    #[test]
    fn each_point_is_drawn_as_what_it_is() {
        let point = |x, ulp| Point { x, ulp, bound_ulp: 2.0 };
        let svg = curve(
            &[point(0, 1.0), point(5, 1e6), point(10, f64::INFINITY), point(12, f64::NAN)],
            PRECISION,
            "name <&>",
        );
        let [bound, within, above, failed] = ["b", "p", "t", "f"].map(|class| path(&svg, class).unwrap());
        assert_eq!(bound.matches('l').count(), 4, "one line through all bounds: {bound}");
        assert_eq!((within.matches('M').count(), above.matches('M').count(), failed.matches('M').count()), (1, 1, 2));
        assert!(height(failed) < height(above) && height(above) < height(bound) && height(bound) < height(within));
        assert!(svg.contains("NaN ∞") && svg.contains("aria-label=\"name &lt;&amp;&gt;\"") && svg.contains("2⁵"));
        let calm = curve(&[point(3, 1.0)], PRECISION, "");
        assert!(path(&calm, "p").is_some() && path(&calm, "t").is_none() && path(&calm, "f").is_none());
        assert!(!calm.contains("NaN"));
    }

    #[test]
    fn odd_points_stay_inside_the_box() {
        let odd = [-1075, -1074, 0, 1023].map(|x| Point { x, ulp: 0.0, bound_ulp: f64::INFINITY });
        let huge = [Point { x: 3, ulp: f64::MAX, bound_ulp: 5e-324 }, Point { x: 4, ulp: 5e-324, bound_ulp: f64::NAN }];
        let zeros = [Point { x: -1075, ulp: 0.3, bound_ulp: 0.0 }];
        for points in [&odd[..], &huge, &zeros, &[]] {
            let svg = curve(points, PRECISION, "");
            for class in ["p", "t"] {
                for mark in path(&svg, class).unwrap_or_default().split('M').skip(1) {
                    let x: i32 = mark.split(' ').next().unwrap().parse().unwrap();
                    let y = height(mark);
                    assert!((LEFT - 5..WIDTH).contains(&x) && (TOP - 5..CURVE_HEIGHT).contains(&y), "{mark}");
                }
            }
        }
        assert!(path(&curve(&odd, PRECISION, ""), "b").is_none());
    }

    #[test]
    fn the_worst_of_a_column_is_kept_and_the_text_stays_short() {
        let mut points: Vec<Point> =
            (-1074..1024).map(|x| Point { x, ulp: 1.0 + f64::from(x % 7).abs(), bound_ulp: 10.0 }).collect();
        points[300].ulp = 1e9;
        let svg = curve(&points, PRECISION, "");
        assert_eq!(path(&svg, "t").unwrap().matches('M').count(), 1);
        assert!(svg.len() < 6000, "{} bytes", svg.len());
    }

    #[test]
    fn a_bar_for_each_count_and_higher_for_more() {
        let svg = bars(&[1_000_000, 0, 10], "");
        let bars: Vec<i32> = (path(&svg, "h").unwrap().split("v-").skip(1))
            .map(|rest| rest.split('h').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(bars.len(), 2);
        assert!(bars[0] > 3 * bars[1] && bars[1] > 2, "{bars:?}");
        assert!(svg.contains("1M") && svg.contains("≤ ½"));
    }
}
