//! The range of numbers of a parameter.

use serde_json::{Map, Value};
use std::fmt::{self, Display};
use std::ops::Bound;

/// A range of numbers, from the keywords `minimum`, `maximum`, … and the `format` of a JSON schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interval {
    /// Whole numbers, both ends included.
    Whole {
        /// The smallest.
        least: i128,
        /// The largest.
        most: i128,
    },
    /// Numbers with or without a fraction.
    Real {
        /// Lower end.
        least: Bound<f64>,
        /// Upper end.
        most: Bound<f64>,
    },
}

/// For a number that is too small, messages omit upper ends from here on.
const PRACTICALLY_UNBOUNDED: i128 = u32::MAX as i128;

impl Interval {
    /// The whole numbers of a schema of type `integer`.
    pub(super) fn whole(schema: &Map<String, Value>) -> Self {
        let (least, most) = match schema.get("format").and_then(Value::as_str) {
            Some("uint8") => (0, i128::from(u8::MAX)),
            Some("uint16") => (0, i128::from(u16::MAX)),
            Some("uint32") => (0, i128::from(u32::MAX)),
            Some("uint64") => (0, i128::from(u64::MAX)),
            Some("uint") => (0, usize::MAX as i128),
            Some("int8") => (i128::from(i8::MIN), i128::from(i8::MAX)),
            Some("int16") => (i128::from(i16::MIN), i128::from(i16::MAX)),
            Some("int32") => (i128::from(i32::MIN), i128::from(i32::MAX)),
            Some("int") => (isize::MIN as i128, isize::MAX as i128),
            _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
        };
        let end = |keyword: &str| {
            let end = schema.get(keyword)?;
            end.as_i64().map(i128::from).or_else(|| end.as_u64().map(i128::from))
        };
        Interval::Whole { least: end("minimum").unwrap_or(least), most: end("maximum").unwrap_or(most) }
    }

    /// The numbers of a schema of type `number`.
    pub(super) fn real(schema: &Map<String, Value>) -> Self {
        let end = |included: &str, excluded: &str| {
            let number = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
            let excluded = number(excluded).map(Bound::Excluded);
            excluded.or_else(|| number(included).map(Bound::Included)).unwrap_or(Bound::Unbounded)
        };
        Interval::Real { least: end("minimum", "exclusiveMinimum"), most: end("maximum", "exclusiveMaximum") }
    }

    /// Noun for the numbers, without their range.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Interval::Whole { .. } => "a whole number",
            Interval::Real { .. } => "a number",
        }
    }

    /// Whether the range contains the whole number `number`.
    pub(super) fn has_whole(&self, number: i128) -> bool {
        match self {
            Interval::Whole { least, most } => (*least..=*most).contains(&number),
            Interval::Real { .. } => self.has_real(number as f64),
        }
    }

    /// Whether the range contains the number `number`; one with a fractional part is no whole number.
    pub(super) fn has_real(&self, number: f64) -> bool {
        match self {
            Interval::Whole { .. } => false,
            Interval::Real { least, most } => std::ops::RangeBounds::contains(&(*least, *most), &number),
        }
    }

    /// The range for a message about `number`, which is outside: a very large upper end is omitted if `number` is too
    /// small.
    pub(super) fn violated_by(&self, number: i128) -> Self {
        match *self {
            Interval::Whole { least, most } if number < least && most >= PRACTICALLY_UNBOUNDED => {
                Interval::Whole { least, most: i128::MAX }
            }
            interval => interval,
        }
    }
}

/// A noun: `a whole number from 0 to 255`, `a number above 0`.
impl Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.noun())?;
        match *self {
            Interval::Whole { least: 1, most: i128::MAX } => formatter.write_str(" above 0"),
            Interval::Whole { least, most: i128::MAX } => write!(formatter, ", {least} or more"),
            Interval::Whole { least, most } => write!(formatter, " from {least} to {most}"),
            Interval::Real { least, most } => {
                match (least, most) {
                    (Bound::Included(least), Bound::Unbounded) => return write!(formatter, ", {least} or more"),
                    (Bound::Unbounded, Bound::Included(most)) => return write!(formatter, ", {most} or less"),
                    (Bound::Included(least), _) => write!(formatter, " from {least}")?,
                    (Bound::Excluded(least), _) => write!(formatter, " above {least}")?,
                    (Bound::Unbounded, _) => {}
                }
                match (least, most) {
                    (_, Bound::Unbounded) => Ok(()),
                    (Bound::Included(_), Bound::Included(most)) => write!(formatter, " to {most}"),
                    (Bound::Included(_), Bound::Excluded(most)) => write!(formatter, " to below {most}"),
                    (Bound::Excluded(_), Bound::Included(most)) => write!(formatter, ", at most {most}"),
                    (Bound::Excluded(_), Bound::Excluded(most)) => write!(formatter, " and below {most}"),
                    (Bound::Unbounded, Bound::Included(_)) => Ok(()),
                    (Bound::Unbounded, Bound::Excluded(most)) => write!(formatter, " below {most}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn real(schema: Value) -> Interval {
        Interval::real(schema.as_object().unwrap())
    }

    #[test]
    fn a_range_is_described_in_words() {
        let whole = |schema: Value| Interval::whole(schema.as_object().unwrap());
        let bytes = whole(json!({ "format": "uint8", "minimum": 0, "maximum": 255 }));
        assert_eq!(bytes.to_string(), "a whole number from 0 to 255");
        assert_eq!(bytes.violated_by(-1).to_string(), "a whole number from 0 to 255");
        let count = whole(json!({ "format": "uint32", "minimum": 1 }));
        assert_eq!(count.violated_by(0).to_string(), "a whole number above 0");
        assert_eq!(count.violated_by(1 << 40).to_string(), "a whole number from 1 to 4294967295");
        assert_eq!(whole(json!({ "format": "uint64" })).violated_by(-3).to_string(), "a whole number, 0 or more");
        for (schema, words) in [
            (json!({}), "a number"),
            (json!({ "minimum": 0 }), "a number, 0 or more"),
            (json!({ "maximum": 0.5 }), "a number, 0.5 or less"),
            (json!({ "exclusiveMinimum": 0 }), "a number above 0"),
            (json!({ "exclusiveMaximum": 2 }), "a number below 2"),
            (json!({ "minimum": 0, "maximum": 1 }), "a number from 0 to 1"),
            (json!({ "minimum": 0, "exclusiveMaximum": 1 }), "a number from 0 to below 1"),
            (json!({ "exclusiveMinimum": 0, "maximum": 1 }), "a number above 0, at most 1"),
            (json!({ "exclusiveMinimum": 0, "exclusiveMaximum": 1 }), "a number above 0 and below 1"),
        ] {
            assert_eq!(real(schema).to_string(), words);
        }
    }

    #[test]
    fn ends_are_included_or_not() {
        let part = real(json!({ "minimum": 0, "exclusiveMaximum": 1 }));
        assert!(part.has_real(0.0) && part.has_real(0.5) && part.has_whole(0));
        assert!(!part.has_real(1.0) && !part.has_real(-0.1) && !part.has_whole(1));
    }
}
