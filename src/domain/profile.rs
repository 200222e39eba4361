//! How somebody wants to be spoken to and listened to. What is not said is as usual.

use std::{fmt, str::FromStr};

use super::ids::InvalidName;

/// Whose profile it is: any name that a client gives its users.
///
/// 1 to 128 characters out of `a-z A-Z 0-9 . _ @ + -`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserId {
    type Err = InvalidName;
    fn from_str(given: &str) -> Result<Self, InvalidName> {
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
        let starts_well = given.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && given.len() <= 128 && given.chars().all(allowed) {
            Ok(Self(given.to_owned()))
        } else {
            Err(InvalidName {
                what: "user id",
                given: given.chars().take(80).collect(),
                rule: "use 1 to 128 of a-z A-Z 0-9 . _ @ + - and begin with a letter or a digit",
            })
        }
    }
}

/// What somebody wants otherwise than usual.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// The name of a voice.
    pub voice: Option<String>,
    /// 1 is the voice's own pace; [`Profile::SPEEDS`].
    pub speed: Option<f64>,
    /// What they speak, ISO 639-1; found out where it is not said.
    pub language: Option<String>,
    /// How long a pause may be: 1 is usual, 2 twice as long; [`Profile::PATIENCES`].
    pub patience: Option<f64>,
    /// How easily speech silences an answer: 0 never, 0.5 as usual, 1 at once.
    pub barge_in: Option<f64>,
}

/// What of a profile cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProfile {
    #[error("`speed` is a number from 0.25 to 4; 1 is the voice's own pace")]
    Speed,
    #[error("`language` is two small letters (ISO 639-1), such as \"en\"")]
    Language,
    #[error("`patience` is a number from 0.25 to 4; 1 is usual, more waits longer")]
    Patience,
    #[error("`barge_in` is a number from 0 (never interrupted) to 1 (at once); 0.5 is usual")]
    BargeIn,
}

impl Profile {
    pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.25..=4.0;
    pub const PATIENCES: std::ops::RangeInclusive<f64> = 0.25..=4.0;

    /// The profile, when all of it can be. Whether there is such a voice is for others to say.
    ///
    /// # Errors
    /// The first field that cannot.
    pub fn checked(self) -> Result<Self, InvalidProfile> {
        let within = |value: Option<f64>, range: std::ops::RangeInclusive<f64>| {
            value.is_none_or(|value| range.contains(&value))
        };
        if !within(self.speed, Self::SPEEDS) {
            return Err(InvalidProfile::Speed);
        }
        let is_language =
            |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_lowercase());
        if !self.language.as_ref().is_none_or(is_language) {
            return Err(InvalidProfile::Language);
        }
        if !within(self.patience, Self::PATIENCES) {
            return Err(InvalidProfile::Patience);
        }
        if !within(self.barge_in, 0.0..=1.0) {
            return Err(InvalidProfile::BargeIn);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users() {
        let check = |given: &str, valid: bool| {
            assert_eq!(given.parse::<UserId>().is_ok(), valid, "{given:?}");
        };
        check("ann", true);
        check("ann.smith+home@example.org", true);
        check(&"a".repeat(128), true);
        check(&"a".repeat(129), false);
        check("", false);
        check(".ann", false);
        check("ann smith", false);
        check("änn", false);
        check("ann\n", false);
    }

    #[test]
    fn what_a_profile_may_hold() {
        let check = |profile: Profile, expected: Result<(), InvalidProfile>| {
            assert_eq!(
                profile.clone().checked().map(|_| ()),
                expected,
                "{profile:?}"
            );
        };
        let usual = Profile::default;
        check(usual(), Ok(()));
        for (speed, expected) in [
            (0.25, Ok(())),
            (4.0, Ok(())),
            (0.2, Err(InvalidProfile::Speed)),
            (f64::NAN, Err(InvalidProfile::Speed)),
        ] {
            let speed = Some(speed);
            check(Profile { speed, ..usual() }, expected);
        }
        for (language, expected) in [
            ("en", Ok(())),
            ("EN", Err(InvalidProfile::Language)),
            ("english", Err(InvalidProfile::Language)),
            ("", Err(InvalidProfile::Language)),
        ] {
            let language = Some(language.to_owned());
            check(
                Profile {
                    language,
                    ..usual()
                },
                expected,
            );
        }
        let patience = Some(9.0);
        check(
            Profile {
                patience,
                ..usual()
            },
            Err(InvalidProfile::Patience),
        );
        for (barge_in, expected) in [
            (0.0, Ok(())),
            (1.0, Ok(())),
            (-0.1, Err(InvalidProfile::BargeIn)),
            (1.1, Err(InvalidProfile::BargeIn)),
        ] {
            let barge_in = Some(barge_in);
            check(
                Profile {
                    barge_in,
                    ..usual()
                },
                expected,
            );
        }
    }
}
