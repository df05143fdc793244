//! The number in a defect: where a search starts, what is clipped, how long a block is. A planted defect has one value of it, kernels
//! elsewhere have others, and which one a kernel has is found from what it answers.

use crate::dtype::Dtype;
use crate::dtype::text;

/// A number in a kernel.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// What it is, with its article: `the start`.
    pub name: &'static str,
    /// That of the kernel in the registry.
    pub default: f64,
    /// Values that are tried, in order of size.
    pub usual: &'static [f64],
    /// Words for values, where they are not numbers but places in this list; empty where they are numbers.
    pub words: &'static [&'static str],
    /// Whether it may lie between the usual ones.
    pub is_continuous: bool,
    /// Rows of one number, along which the outputs go wrong at a place that moves as the value does; none where there are none.
    pub along: Option<fn(f64) -> Vec<f64>>,
    /// Other planted defects that are the same function under another name.
    pub also: &'static [&'static str],
}

impl Parameter {
    /// One of these values.
    pub const fn one_of(name: &'static str, default: f64, usual: &'static [f64]) -> Self {
        Self { name, default, usual, words: &[], is_continuous: false, along: None, also: &[] }
    }

    /// One of a list of words; the first is that of the registry.
    pub const fn of_words(name: &'static str, words: &'static [&'static str]) -> Self {
        let (places, _) = PLACES.split_at(words.len());
        Self { words, ..Self::one_of(name, 0.0, places) }
    }

    /// Any number between the least and the largest of these.
    pub const fn near(name: &'static str, default: f64, usual: &'static [f64]) -> Self {
        Self { is_continuous: true, ..Self::one_of(name, default, usual) }
    }

    /// The same, found from where the outputs of these rows go wrong.
    pub const fn along(self, row: fn(f64) -> Vec<f64>) -> Self {
        Self { along: Some(row), ..self }
    }

    /// The same, known under these names, too.
    pub const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// A value with its name: `the start -42`, `the start about -42`.
    pub fn say(&self, value: f64, is_about: bool) -> String {
        let number = || text::decimal(value, Dtype::F64);
        let words = (value >= 0.0).then(|| self.words.get(value as usize)).flatten();
        let about = if is_about { "about " } else { "" };
        format!("{} {about}{}", self.name, words.map_or_else(number, |words| (*words).to_owned()))
    }
}

/// Rows of one number, for [`Parameter::along`]: two that are equal to it.
pub(crate) fn equal(z: f64) -> Vec<f64> {
    vec![z, z]
}

/// 0, and one at this distance from it.
pub(crate) fn from_zero(z: f64) -> Vec<f64> {
    vec![0.0, z]
}

/// One that rises by so much, where the number is below 0.
pub(crate) fn rising(z: f64) -> Vec<f64> {
    vec![0.0, -z]
}

/// One class beside one that is masked.
pub(crate) fn beside_a_mask(z: f64) -> Vec<f64> {
    vec![f64::NEG_INFINITY, z]
}

/// Two equal classes after one that is masked.
pub(crate) fn after_a_mask(z: f64) -> Vec<f64> {
    vec![f64::NEG_INFINITY, z, z]
}

/// The places of words in their list.
const PLACES: [f64; 48] = {
    let mut places = [0.0; 48];
    let mut i = 0;
    while i < places.len() {
        places[i] = i as f64;
        i += 1;
    }
    places
};

/// The length of a block, or the number of lanes: every one up to 33, and usual ones above.
pub(crate) const LENGTHS: &[f64] = &[
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0,
    21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 30.0, 31.0, 32.0, 33.0, 40.0, 48.0, 50.0, 56.0, 64.0, 80.0,
    96.0, 100.0, 112.0, 128.0, 192.0, 256.0, 384.0, 512.0, 1024.0,
];

/// Small numbers that are added or compared with.
pub(crate) const EPSILONS: &[f64] = &[
    1e-45, 1e-38, 1e-37, 1e-30, 1e-24, 1e-20, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 6e-8, 1e-7,
    1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5,
];

/// Distances from the maximum, or logits, at which something is cut off or clipped.
pub(crate) const CUTS: &[f64] = &[
    -1e3, -745.0, -708.0, -500.0, -300.0, -200.0, -128.0, -104.0, -100.0, -98.0, -90.0, -88.0, -87.0, -80.0, -75.0,
    -70.0, -64.0, -60.0, -50.0, -40.0, -32.0, -30.0, -25.0, -20.0, -18.0, -17.0, -16.0, -15.0, -12.0, -10.0, -9.0,
    -8.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0,
];
