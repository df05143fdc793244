//! Enums whose values have a name, which is the same in results, on the command line and in words for people.
//!
//! Written by hand such an enum says its values four times: as variants, in a list of all, and in both directions between a value and its
//! name. A value that is forgotten in one of them is found late. [`named!`] makes all four of one list:
//!
//! ```ignore
//! named! {
//!     /// What is due.
//!     pub enum Special as "preset of special values" {
//!         /// What the frameworks return.
//!         Framework = "framework",
//!         /// Strict.
//!         Limit = "limit",
//!     }
//! }
//! ```
//!
//! The type is `Copy`, ordered as its values are listed, and has `ALL`, `name()`, `Display` (which pads), `FromStr` (whose error names the
//! kind of thing and the names there are) and serde's traits (a value is its name).

/// Makes an enum of named values: see the module.
macro_rules! named {
    (
        $(#[$of_type:meta])*
        $visible:vis enum $Type:ident as $kind:literal {
            $($(#[$of_value:meta])* $Value:ident = $name:literal),+ $(,)?
        }
    ) => {
        $(#[$of_type])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize,
        )]
        $visible enum $Type {
            $($(#[$of_value])* #[serde(rename = $name)] $Value,)+
        }

        impl $Type {
            /// Every value, in order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$Value),+];

            /// The name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Value => $name,)+
                }
            }
        }

        impl ::std::fmt::Display for $Type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl ::std::str::FromStr for $Type {
            type Err = crate::error::Error;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                Self::ALL.into_iter().find(|value| value.name() == text).ok_or_else(|| {
                    let names = Self::ALL.map(Self::name).join(", ");
                    crate::error::Error::usage(format!("unknown {} `{text}`; there are {names}", $kind))
                })
            }
        }
    };
}

pub(crate) use named;

#[cfg(test)]
mod tests {
    named! {
        /// A made-up enum.
        pub(super) enum Fruit as "fruit" {
            /// Green or red.
            Apple = "apple",
            /// Yellow.
            LongBanana = "long_banana",
        }
    }

    #[test]
    fn names_and_values_are_the_same_in_both_directions() {
        assert_eq!(Fruit::ALL, [Fruit::Apple, Fruit::LongBanana]);
        assert!(Fruit::Apple < Fruit::LongBanana);
        assert_eq!(format!("{:>6}|{}", Fruit::Apple, Fruit::LongBanana), " apple|long_banana");
        for fruit in Fruit::ALL {
            assert_eq!(fruit.name().parse::<Fruit>().unwrap(), fruit);
            assert_eq!(serde_json::to_string(&fruit).unwrap(), format!("\"{fruit}\""));
            assert_eq!(serde_json::from_str::<Fruit>(&format!("\"{fruit}\"")).unwrap(), fruit);
        }
        let error = "pear".parse::<Fruit>().unwrap_err().to_string();
        assert_eq!(error, "unknown fruit `pear`; there are apple, long_banana");
    }
}
