//! Which of a library's algorithms is used: the first of its list that does not refuse the work.

use candle_core::{Error, Result};
use std::collections::VecDeque;

/// Why an algorithm did not do its work.
pub(super) enum Trouble {
    /// It cannot: the next one may.
    Refused(String),
    /// Something else is wrong, such as memory that ran out: no other one is tried, so that the choice does not depend on it.
    Failed(Error),
}

/// The algorithms for one piece of work, the first choice in front.
pub(super) struct Choice<A> {
    left: VecDeque<A>,
    /// Whether the one in front has done the work once: from then on it stays.
    is_proven: bool,
}

impl<A> Choice<A> {
    /// Of `candidates` in the library's order, each with the bytes of memory that it takes: those within `most` bytes come
    /// first, in that order; then the others, the most modest in front.
    pub(super) fn new(candidates: Vec<(A, usize)>, most: usize) -> Self {
        let (mut left, mut large): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|(_, bytes)| *bytes <= most);
        large.sort_by_key(|(_, bytes)| *bytes);
        left.append(&mut large);
        Choice { left: left.into_iter().map(|(algorithm, _)| algorithm).collect(), is_proven: false }
    }

    /// The algorithms that have not refused.
    pub(super) fn left(&self) -> impl Iterator<Item = &A> {
        self.left.iter()
    }

    /// Lets the first algorithm that can do the work, and tells `refused` of each that cannot. False if none is left.
    ///
    /// # Errors
    /// If one fails for another reason, or one refuses that has done the work before.
    pub(super) fn run(
        &mut self,
        mut attempt: impl FnMut(&A) -> std::result::Result<(), Trouble>,
        mut refused: impl FnMut(&str),
    ) -> Result<bool> {
        while let Some(algorithm) = self.left.front() {
            match attempt(algorithm) {
                Ok(()) => {
                    self.is_proven = true;
                    return Ok(true);
                }
                Err(Trouble::Refused(why)) if self.is_proven => {
                    return Err(Error::Msg(format!("{why}, which has worked before")));
                }
                Err(Trouble::Refused(why)) => {
                    refused(&why);
                    self.left.pop_front();
                }
                Err(Trouble::Failed(error)) => return Err(error),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: usize = 1 << 30;

    /// Runs with the algorithms in `able` doing the work; which one did, and which refused.
    fn run(choice: &mut Choice<char>, able: &str) -> (Result<bool>, String, String) {
        let (mut done, mut refused) = (String::new(), String::new());
        let result = choice.run(
            |&algorithm| match able.contains(algorithm) {
                true => {
                    done.push(algorithm);
                    Ok(())
                }
                false => Err(Trouble::Refused(algorithm.to_string())),
            },
            |why| refused.push_str(why),
        );
        (result, done, refused)
    }

    #[test]
    fn algorithms_within_the_memory_limit_come_first_in_the_librarys_order() {
        let candidates = vec![('a', 3 * GIB), ('b', GIB), ('c', 2 * GIB), ('d', 0)];
        assert_eq!(Choice::new(candidates, GIB).left().collect::<String>(), "bdca");
    }

    #[test]
    fn the_first_that_does_not_refuse_stays() {
        let mut choice = Choice::new(vec![('a', 0), ('b', 0), ('c', 0)], 0);
        let (result, done, refused) = run(&mut choice, "bc");
        assert_eq!((result.unwrap(), done.as_str(), refused.as_str()), (true, "b", "a"));
        // It is not asked again, nor is another one tried once this one has worked.
        let (result, done, refused) = run(&mut choice, "ab");
        assert_eq!((result.unwrap(), done.as_str(), refused.as_str()), (true, "b", ""));
        let (result, done, _) = run(&mut choice, "c");
        assert_eq!((result.unwrap_err().to_string().as_str(), done.as_str()), ("b, which has worked before", ""));
    }

    #[test]
    fn when_all_refuse_none_is_left() {
        let mut choice = Choice::new(vec![('a', 0), ('b', 0)], 0);
        let (result, _, refused) = run(&mut choice, "");
        assert_eq!((result.unwrap(), refused.as_str()), (false, "ab"));
        assert!(!run(&mut choice, "ab").0.unwrap());
    }

    #[test]
    fn another_failure_changes_no_choice() {
        let mut choice = Choice::new(vec![('a', 0), ('b', 0)], 0);
        let full = |_: &char| Err(Trouble::Failed(Error::Msg("out of memory".into())));
        assert_eq!(choice.run(full, |_| ()).unwrap_err().to_string(), "out of memory");
        assert_eq!(choice.left().collect::<String>(), "ab");
    }
}
