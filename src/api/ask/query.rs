//! Query strings, read strictly: unknown parameters are refused, because a misspelt filter that is
//! ignored shows somebody the wrong list.

use crate::api::problem::Problem;
use crate::api::settings::PAGE_DEFAULT;

use super::nearest::nearest;

/// The parameters of a query string, decoded.
#[derive(Debug, Default)]
pub(in crate::api) struct Query(Vec<(String, String)>);

/// Parameters of one query string. Nobody needs more, and each costs work.
const PARAMETERS_MAX: usize = 64;

impl Query {
    /// Reads a query string. Errors: a parameter that is not among the `known` ones.
    pub(in crate::api) fn parse(query: Option<&str>, known: &[&'static str]) -> Result<Self, Problem> {
        let Some(query) = query else { return Ok(Self::default()) };
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .take(PARAMETERS_MAX + 1)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if pairs.len() > PARAMETERS_MAX {
            return Err(Problem::parameter("", format!("more than {PARAMETERS_MAX} query parameters")));
        }
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(unknown(name, known)),
            None => Ok(Self(pairs)),
        }
    }

    /// All values of a parameter that may be repeated.
    pub(in crate::api) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that may be given once.
    pub(in crate::api) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(Problem::parameter(name, format!("{name} is given more than once"))),
        }
    }

    /// A parameter read by `parse`; `expected` says what it should have been.
    pub(in crate::api) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Problem::parameter(name, format!("{name} has to be {expected}, not {text:.64?}"))),
        }
    }

    /// The size of a page, 1 to `max`.
    pub(in crate::api) fn limit(&self, max: usize) -> Result<usize, Problem> {
        let expected = format!("a whole number from 1 to {max}");
        let parse = |text: &str| whole(text).and_then(|n| usize::try_from(n).ok());
        let limit = self.parsed("limit", &expected, |text| parse(text).filter(|n| (1..=max).contains(n)))?;
        Ok(limit.unwrap_or(PAGE_DEFAULT))
    }
}

/// A whole number in digits alone: no sign, no space.
pub(in crate::api) fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn unknown(name: &str, known: &[&'static str]) -> Problem {
    let shown: String = name.chars().take(64).collect();
    let detail = match (nearest(name, known), known) {
        (Some(near), _) => format!("there is no parameter {shown:?}; did you mean {near}?"),
        (None, []) => format!("there is no parameter {shown:?}; this path takes none"),
        (None, _) => format!("there is no parameter {shown:?}; this path takes {}", known.join(", ")),
    };
    Problem::parameter(&shown, detail).coded("unknown_parameter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_counted() {
        let query =
            Query::parse(Some("status=a&status=b%20c&limit=7"), &["status", "limit"]).expect("known ones");
        assert_eq!(query.all("status").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(query.limit(200).unwrap(), 7);
        assert_eq!(query.one("status").unwrap_err().parameter.as_deref(), Some("status"));
    }

    #[test]
    fn unknown_parameters_are_named() {
        let problem = Query::parse(Some("staus=x"), &["status"]).unwrap_err();
        assert_eq!(problem.code, "unknown_parameter");
        assert!(problem.detail.contains("did you mean status?"), "{}", problem.detail);
    }

    #[test]
    fn limits_have_limits() {
        for bad in ["0", "201", "-1", "+1", "x", "", "99999999999999999999"] {
            let query = Query::parse(Some(&format!("limit={bad}")), &["limit"]).unwrap();
            assert!(query.limit(200).is_err(), "{bad:?} is no limit");
        }
        assert_eq!(Query::default().limit(200).unwrap(), 50);
    }
}
