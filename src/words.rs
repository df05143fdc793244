//! Numbers as people read them: three digits, thousands apart, singular and plural.

/// A number with three significant digits: `0.412`, `12.3`, `4096`, `6.9e10`, `inf`, `nan`.
pub(crate) fn short(x: f64) -> String {
    digits(x, true)
}

/// Three significant digits, zeros at the end left out or not.
fn digits(x: f64, trim: bool) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if x == 0.0 {
        return "0".into();
    }
    let scientific = format!("{x:.2e}");
    let trimmed = |digits: &str| match digits.contains('.') && trim {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    match power {
        -3..=3 => trimmed(&format!("{x:.*}", (2 - power).max(0) as usize)),
        _ => format!("{}e{power}", trimmed(digits)),
    }
}

/// A ratio: as [`short`], but always with three digits, so that columns line up, and what is above 1 never reads as 1.
pub(crate) fn ratio(x: f64) -> String {
    let text = digits(x, false);
    if x > 1.0 && text == "1.00" { ">1".into() } else { text }
}

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 kernel`, `2 kernels`.
pub(crate) fn plural(n: usize, noun: &str) -> String {
    plural_u64(n as u64, noun)
}

/// `1 case`, `1,234 cases`.
pub(crate) fn plural_u64(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (x, want) in [
            (0.0, "0"),
            (0.41234, "0.412"),
            (0.5, "0.5"),
            (0.00123456, "0.00123"),
            (0.00012, "1.2e-4"),
            (12.34, "12.3"),
            (999.9, "1000"),
            (4096.0, "4096"),
            (9999.7, "1e4"),
            (6.94e10, "6.94e10"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(short(x), want, "{x:?}");
        }
        for (x, want) in [(1.0, "1.00"), (1.000_000_1, ">1"), (0.999_9, "1.00"), (0.98, "0.980"), (16_000.0, "1.60e4")]
        {
            assert_eq!(ratio(x), want, "{x:?}");
        }
        assert_eq!(
            (count(0), count(999), count(1_000), count(1_234_567)),
            ("0".into(), "999".into(), "1,000".into(), "1,234,567".into())
        );
    }
}
