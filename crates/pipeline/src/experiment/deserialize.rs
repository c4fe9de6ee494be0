//! A table into a type, with all that is wrong with it.
//!
//! serde stops at the first error. So what it refuses is taken out of the table (what it misses is guessed), and it
//! is asked again, until it finds nothing new.

use super::vocabulary::{INPUT, ParamError, SpannedTable};
use super::wording::backticked;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer, Error, ValueDeserializer};

/// More errors in one table than this say no more to the reader.
const MOST_ERRORS: usize = 30;

/// Deserialises a table of parameters; unknown keys and wrong types carry their place in the file.
///
/// toml does not see what is left over in a list that is read as an array of fixed length: read such a parameter with
/// [`exactly`].
///
/// # Errors
/// All that is wrong with the table, not only the first.
pub fn deserialize<T: DeserializeOwned>(table: SpannedTable<'_>) -> Result<T, Vec<ParamError>> {
    let mut repair = Repair { span: table.span(), table: table.into_inner(), damage: Vec::new(), guesses: Vec::new() };
    let mut errors = Vec::new();
    loop {
        let table = Spanned::new(repair.span.clone(), repair.table.clone());
        let result = match non_finite(&repair.table) {
            Some(number) => Err(Finite::refuse(number)),
            None => T::deserialize(Deserializer::from(table)),
        };
        match result {
            Ok(value) if errors.is_empty() => return Ok(value),
            Ok(_) => return Err(errors),
            Err(error) => {
                let next = repair.after(&error);
                if next.new {
                    errors.push(ParamError::Toml(error));
                }
                if !next.again || errors.len() >= MOST_ERRORS {
                    return Err(errors);
                }
            }
        }
    }
}

/// Reads a list of exactly `N` items, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// As `T`'s own, and if there are more or fewer.
pub fn exactly<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    deserializer: D,
) -> Result<[T; N], D::Error> {
    let items = Vec::<T>::deserialize(deserializer)?;
    let found = items.len();
    items.try_into().map_err(|_| D::Error::custom(format!("expected a list of {N}, found {found}")))
}

/// The first number that is none: JSON, and so the key, has no word for it.
fn non_finite<'t, 'i>(table: &'t DeTable<'i>) -> Option<&'t Spanned<DeValue<'i>>> {
    table.iter().find_map(|(_, value)| non_finite_in(value))
}

fn non_finite_in<'t, 'i>(value: &'t Spanned<DeValue<'i>>) -> Option<&'t Spanned<DeValue<'i>>> {
    match value.get_ref() {
        DeValue::Float(float) => {
            let number = float.as_str().replace('_', "").parse::<f64>();
            number.is_ok_and(|number| !number.is_finite()).then_some(value)
        }
        DeValue::Table(table) => non_finite(table),
        DeValue::Array(items) => items.iter().find_map(non_finite_in),
        _ => None,
    }
}

/// Accepts nothing: toml gives an error its place only where a type refuses a value.
#[derive(Debug)]
struct Finite;

impl Finite {
    fn refuse(value: &Spanned<DeValue<'_>>) -> Error {
        Finite::deserialize(ValueDeserializer::from(value.clone()))
            .err()
            .unwrap_or_else(|| Error::custom(Finite::MESSAGE))
    }

    const MESSAGE: &'static str = "expected a finite number";
}

impl<'de> Deserialize<'de> for Finite {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(Finite)
    }
}

impl Visitor<'_> for Finite {
    type Value = Finite;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a finite number")
    }

    // From inside a visitor an error gets its place.
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Finite, E> {
        Err(E::custom(Finite::MESSAGE))
    }
}

/// The missing field of serde's message.
pub(super) fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// A table that is being made right.
struct Repair<'i> {
    span: Range<usize>,
    table: DeTable<'i>,
    /// Spans of the tables and lists in which something was changed, with the key: what serde then says of the
    /// whole is not the user's fault.
    damage: Vec<(Range<usize>, String)>,
    guesses: Vec<Guess>,
}

/// A value put in for a missing one, to see what else is wrong.
struct Guess {
    table: Range<usize>,
    key: String,
    /// Next of [`FIXED_GUESSES`] to try.
    next: usize,
}

/// What to do after one error.
struct Next {
    /// The user should hear of it.
    new: bool,
    /// The table has changed, so that the next error will be another.
    again: bool,
}

const FIXED_GUESSES: usize = 7;

fn fixed_guess<'i>(number: usize, place: Range<usize>) -> Option<DeValue<'i>> {
    let parsed = |text: &'static str| DeValue::parse(text).ok().map(Spanned::into_inner);
    match number {
        0 => Some(DeValue::String(INPUT.into())),
        1 => parsed("1"),
        2 => parsed("0.5"),
        3 => Some(DeValue::Boolean(true)),
        4 => Some(DeValue::Array(DeArray::new())),
        5 => Some(DeValue::Array(std::iter::repeat_n(Spanned::new(place, parsed("1")?), 2).collect())),
        6 => Some(DeValue::Table(DeTable::new())),
        _ => None,
    }
}

/// Spans of guesses count down from the top, where no file reaches.
fn guess_place(index: usize) -> Range<usize> {
    usize::MAX - index..usize::MAX - index
}

impl<'i> Repair<'i> {
    fn after(&mut self, error: &Error) -> Next {
        let Some(place) = error.span() else { return Next { new: true, again: false } };
        if let Some(index) = (0..self.guesses.len()).find(|&index| guess_place(index) == place) {
            return Next { new: false, again: self.guess_better(index, error.message()) };
        }
        if let Some(key) = missing_field(error.message()) {
            let new = !self.damage.iter().any(|(span, damaged)| *span == place && damaged == key);
            let index = self.guesses.len();
            let guess = Guess { table: place.clone(), key: key.to_string(), next: 1 };
            let Some(table) = self.table_at(&place) else { return Next { new, again: false } };
            let value = Spanned::new(guess_place(index), DeValue::String(INPUT.into()));
            table.insert(Spanned::new(guess_place(index), key.to_string().into()), value);
            self.damage.push((place, key.to_string()));
            self.guesses.push(guess);
            return Next { new, again: true };
        }
        if place == self.span {
            // About the table as a whole: news only if it is still the user's.
            return Next { new: self.damage.iter().all(|(span, _)| *span != place), again: false };
        }
        let whole = self.damage.iter().all(|(span, _)| *span != place);
        let again = remove(&mut self.table, &self.span, &place, &mut self.damage);
        Next { new: whole, again }
    }

    /// Replaces a guess that serde refused; without a better one its table is given up.
    fn guess_better(&mut self, index: usize, message: &str) -> bool {
        let place = guess_place(index);
        let guess = &mut self.guesses[index];
        // An enum says what it would take.
        let word = if guess.next <= FIXED_GUESSES && message.starts_with("unknown variant") {
            let expected = message.rsplit_once("expected").map_or("", |(_, expected)| expected);
            backticked(expected).first().map(|word| DeValue::String(word.to_string().into()))
        } else {
            None
        };
        let value = match word {
            Some(word) => {
                guess.next = FIXED_GUESSES + 1;
                Some(word)
            }
            None => {
                guess.next += 1;
                fixed_guess(guess.next - 1, place.clone())
            }
        };
        let (table, key) = (guess.table.clone(), guess.key.clone());
        if let Some(value) = value {
            let Some(table) = self.table_at(&table) else { return false };
            table.insert(Spanned::new(place.clone(), key.into()), Spanned::new(place, value));
            return true;
        }
        table != self.span && remove(&mut self.table, &self.span, &table, &mut self.damage)
    }

    fn table_at(&mut self, place: &Range<usize>) -> Option<&mut DeTable<'i>> {
        find_table(&mut self.table, &self.span, place)
    }
}

fn find_table<'t, 'i>(
    table: &'t mut DeTable<'i>,
    span: &Range<usize>,
    place: &Range<usize>,
) -> Option<&'t mut DeTable<'i>> {
    if span == place {
        return Some(table);
    }
    table.iter_mut().find_map(|(_, value)| find_table_in(value, place))
}

fn find_table_in<'t, 'i>(value: &'t mut Spanned<DeValue<'i>>, place: &Range<usize>) -> Option<&'t mut DeTable<'i>> {
    let span = value.span();
    match value.get_mut() {
        DeValue::Table(table) => find_table(table, &span, place),
        DeValue::Array(items) => items.iter_mut().find_map(|item| find_table_in(item, place)),
        _ => None,
    }
}

/// Takes out the entry or list item whose key or value stands at `place`, and notes what was damaged by that.
fn remove<'i>(
    table: &mut DeTable<'i>,
    span: &Range<usize>,
    place: &Range<usize>,
    damage: &mut Vec<(Range<usize>, String)>,
) -> bool {
    let found = table.iter().find(|(key, value)| key.span() == *place || value.span() == *place);
    if let Some(key) = found.map(|(key, _)| key.get_ref().to_string()) {
        table.remove(key.as_str());
        damage.push((span.clone(), key));
        return true;
    }
    table.iter_mut().any(|(_, value)| remove_in(value, place, damage))
}

fn remove_in<'i>(
    value: &mut Spanned<DeValue<'i>>,
    place: &Range<usize>,
    damage: &mut Vec<(Range<usize>, String)>,
) -> bool {
    let span = value.span();
    match value.get_mut() {
        DeValue::Table(table) => remove(table, &span, place, damage),
        DeValue::Array(items) => {
            if let Some(at) = items.iter().position(|item| item.span() == *place) {
                let kept =
                    std::mem::replace(items, DeArray::new()).into_iter().enumerate().filter(|(index, _)| *index != at);
                *items = kept.map(|(_, item)| item).collect();
                damage.push((span, String::new()));
                return true;
            }
            items.iter_mut().any(|item| remove_in(item, place, damage))
        }
        _ => false,
    }
}
