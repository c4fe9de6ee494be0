//! A reader of Python's pickles, protocols 2 to 5, as far as PyTorch's files use them.
//!
//! It builds a graph of inert objects. A global is a name, a call is the callee and its arguments; nothing is ever
//! looked up or run. Strings borrow from the file, so what a pickle takes is a fixed multiple of its own length, and
//! [`MAX_STEPS`] bounds that. Opcodes: CPython's `Lib/pickletools.py`.

use std::collections::HashMap;

/// Opcodes run at the most: a checkpoint of a thousand tensors has some ten thousand.
const MAX_STEPS: usize = 1 << 22;

/// What is wrong, for the end of "FILE is no weight file: ".
pub(super) type Result<T> = std::result::Result<T, String>;

/// An object of a [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(usize);

/// A Python object. Lists and dictionaries may contain themselves, so a walk through them needs a limit.
#[derive(Debug, PartialEq)]
pub(super) enum Object<'b> {
    /// `True` or `False`.
    Bool(bool),
    /// An `int` of at most 64 bits.
    Int(i64),
    /// A longer `int`: two's complement, little-endian.
    Long(&'b [u8]),
    /// A `str`.
    Text(&'b str),
    /// A `tuple`.
    Tuple(Vec<Id>),
    /// A `list`.
    List(Vec<Id>),
    /// A `dict` or `collections.OrderedDict`, in order; of equal keys the last counts.
    Dict(Vec<(Id, Id)>),
    /// A function or class: module and name.
    Global(&'b str, &'b str),
    /// What a call of the first object with the second, a tuple, would have returned.
    Call(Id, Id),
    /// What `persistent_load` would have returned.
    Persistent(Id),
    /// Anything that plays no part here: `None`, floats, bytes, sets.
    Other,
}

/// One pickle, read.
pub(super) struct Pickle<'b> {
    objects: Vec<Object<'b>>,
    root: Id,
    /// Bytes it took.
    pub(super) length: usize,
}

impl<'b> Pickle<'b> {
    /// Reads the pickle at the start of `bytes`; more may follow it.
    ///
    /// # Errors
    /// If it is cut off, is malformed or has an opcode that PyTorch does not write.
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self> {
        let mut machine =
            Machine { bytes, at: 0, objects: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        for _ in 0..MAX_STEPS {
            let start = machine.at;
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok(Pickle { objects: machine.objects, root, length: machine.at }),
                Err(error) => return Err(format!("{error} at byte {start} of its pickle")),
            }
        }
        Err(format!("a pickle of more than {MAX_STEPS} steps"))
    }

    /// The object that was pickled.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// Looks an object up.
    pub(super) fn get(&self, id: Id) -> &Object<'b> {
        self.objects.get(id.0).unwrap_or(&Object::Other)
    }

    /// All objects, in the order in which they came to be.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object<'b>> {
        self.objects.iter()
    }

    /// The elements of a tuple.
    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        if let Object::Tuple(items) = self.get(id) { Some(items) } else { None }
    }

    /// A text.
    pub(super) fn text(&self, id: Id) -> Option<&'b str> {
        if let Object::Text(text) = self.get(id) { Some(text) } else { None }
    }

    /// A number from 0 on.
    pub(super) fn count(&self, id: Id) -> Option<usize> {
        if let Object::Int(value) = self.get(id) { usize::try_from(*value).ok() } else { None }
    }
}

struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    objects: Vec<Object<'b>>,
    stack: Vec<Id>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'b> Machine<'b> {
    /// Runs one opcode; the result at the last.
    fn step(&mut self) -> Result<Option<Id>> {
        let opcode = self.byte()?;
        match opcode {
            0x80 => drop(self.byte()?),  // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.stack.push(self.last()?),
            b'N' => self.push(Object::Other),
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a | 0x8b => self.integer(opcode)?,
            b'G' => self.inert(8)?,
            b'X' | b'U' | b'T' | 0x8c | 0x8d | b'C' | b'B' | 0x8e | 0x96 => self.string(opcode)?,
            b')' => self.push(Object::Tuple(Vec::new())),
            0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Object::Tuple(items));
            }
            b']' => self.push(Object::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Object::Dict(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            0x8f => self.push(Object::Other),  // EMPTY_SET
            0x90 => drop(self.pop_to_mark()?), // ADDITEMS
            0x91 => {
                self.pop_to_mark()?;
                self.push(Object::Other); // FROZENSET
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?); // STACK_GLOBAL
                let global = match (self.object(module), self.object(name)) {
                    (Object::Text(module), Object::Text(name)) => Object::Global(module, name),
                    _ => return Err("a global without a name".into()),
                };
                self.push(global);
            }
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?; // NEWOBJ_EX: the keyword arguments
                self.call()?;
            }
            // BUILD: an object's own attributes, such as the `_metadata` of a state dict.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Persistent(id));
            }
            b'q' | b'r' | 0x94 => self.memoize(opcode)?,
            b'h' | b'j' => {
                let place = self.unsigned(if opcode == b'h' { 1 } else { 4 })?;
                let id =
                    self.memo.get(&place).copied().ok_or_else(|| format!("nothing in place {place} of the memo"))?;
                self.stack.push(id);
            }
            other => return Err(format!("opcode {other:#04x}, which PyTorch does not write,")),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or_else(|| String::from("the file is cut off: it ends"))?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of `width` bytes, at most 8.
    fn unsigned(&mut self, width: usize) -> Result<usize> {
        let value = self.take(width)?.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        usize::try_from(value).map_err(|_| String::from("a length beyond memory"))
    }

    fn line(&mut self) -> Result<&'b str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("a global without an end")?;
        self.at += end + 1;
        text(&rest[..end])
    }

    fn push(&mut self, object: Object<'b>) {
        self.stack.push(Id(self.objects.len()));
        self.objects.push(object);
    }

    fn object(&self, id: Id) -> &Object<'b> {
        &self.objects[id.0]
    }

    /// The newest object, which must lie above the newest mark.
    fn last(&self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack[floor.min(self.stack.len())..].last().copied().ok_or_else(|| "an object is missing".into())
    }

    fn pop(&mut self) -> Result<Id> {
        let last = self.last()?;
        self.stack.pop();
        Ok(last)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn integer(&mut self, opcode: u8) -> Result<()> {
        let width = match opcode {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            0x8a => self.unsigned(1)?,
            _ => self.unsigned(4)?,
        };
        let bytes = self.take(width)?;
        let signed = !matches!(opcode, b'K' | b'M');
        let negative = signed && bytes.last().is_some_and(|&byte| byte >= 0x80);
        self.push(if width > 8 {
            Object::Long(bytes)
        } else {
            let mut wide = [if negative { 0xff } else { 0 }; 8];
            wide[..width].copy_from_slice(bytes);
            Object::Int(i64::from_le_bytes(wide))
        });
        Ok(())
    }

    /// Text or bytes behind their length.
    fn string(&mut self, opcode: u8) -> Result<()> {
        let width = match opcode {
            b'U' | 0x8c | b'C' => 1,
            0x8d | 0x8e | 0x96 => 8,
            _ => 4,
        };
        let length = self.unsigned(width)?;
        match opcode {
            b'C' | b'B' | 0x8e | 0x96 => self.inert(length),
            _ => {
                let text = text(self.take(length)?)?;
                self.push(Object::Text(text));
                Ok(())
            }
        }
    }

    /// An object of `length` bytes that plays no part.
    fn inert(&mut self, length: usize) -> Result<()> {
        self.take(length)?;
        self.push(Object::Other);
        Ok(())
    }

    fn short_tuple(&mut self, length: usize) -> Result<()> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<Id>>>()?;
        items.reverse();
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.last()?;
        match &mut self.objects[list.0] {
            Object::List(list) => list.extend(items),
            // A list's subclass, which was made by a call.
            Object::Call(..) | Object::Other => {}
            _ => return Err("items for what is no list".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let dict = self.last()?;
        if !items.len().is_multiple_of(2) {
            return Err("a key without its value".into());
        }
        match &mut self.objects[dict.0] {
            Object::Dict(dict) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            Object::Call(..) | Object::Other => {}
            _ => return Err("keys for what is no dictionary".into()),
        }
        Ok(())
    }

    /// An ordered dictionary is one; any other call stays a call.
    fn call(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let object = match self.object(callee) {
            Object::Global("collections", "OrderedDict") => Object::Dict(self.pairs(arguments)?),
            _ => Object::Call(callee, arguments),
        };
        self.push(object);
        Ok(())
    }

    /// What `OrderedDict` was called with: nothing, or (in Python 2) a list of pairs.
    fn pairs(&self, arguments: Id) -> Result<Vec<(Id, Id)>> {
        let wrong = || String::from("an ordered dictionary of what are no pairs");
        let Object::Tuple(arguments) = self.object(arguments) else { return Err(wrong()) };
        let Some(&pairs) = arguments.first() else { return Ok(Vec::new()) };
        let Object::List(pairs) = self.object(pairs) else { return Err(wrong()) };
        let pair = |&pair: &Id| match self.object(pair) {
            Object::Tuple(pair) | Object::List(pair) => <[Id; 2]>::try_from(&pair[..]).map(|[k, v]| (k, v)).ok(),
            _ => None,
        };
        pairs.iter().map(|id| pair(id).ok_or_else(wrong)).collect()
    }

    fn memoize(&mut self, opcode: u8) -> Result<()> {
        let place = match opcode {
            b'q' => self.unsigned(1)?,
            b'r' => self.unsigned(4)?,
            _ => self.memo.len(),
        };
        let last = self.last()?;
        self.memo.insert(place, last);
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| "a text that is no UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(bytes: &[u8]) -> String {
        Pickle::read(bytes).err().unwrap()
    }

    /// `pickle.dumps([(1, -2, 2**40, "é"), {"k": True}], protocol=2)`, and what follows it.
    #[test]
    fn objects_are_read_and_bytes_after_the_pickle_are_left() {
        let bytes = b"\x80\x02]q\x00((K\x01J\xfe\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01X\x02\x00\x00\x00\xc3\xa9q\
            \x01tq\x02}q\x03X\x01\x00\x00\x00kq\x04\x88se.rest";
        let pickle = Pickle::read(bytes).unwrap();
        assert_eq!(&bytes[pickle.length..], b"rest");
        let Object::List(items) = pickle.get(pickle.root()) else { panic!() };
        let tuple = pickle.tuple(items[0]).unwrap();
        assert_eq!((pickle.count(tuple[0]), pickle.count(tuple[1])), (Some(1), None));
        assert_eq!(pickle.get(tuple[1]), &Object::Int(-2));
        assert_eq!((pickle.count(tuple[2]), pickle.text(tuple[3])), (Some(1 << 40), Some("é")));
        let Object::Dict(pairs) = pickle.get(items[1]) else { panic!() };
        assert_eq!((pickle.text(pairs[0].0), pickle.get(pairs[0].1)), (Some("k"), &Object::Bool(true)));
    }

    /// `os.system("…")`, the classic: a name, and what it would have been called with.
    #[test]
    fn a_call_is_read_as_data_and_not_run() {
        let pickle = Pickle::read(b"cos\nsystem\n(X\x04\x00\x00\x00echotR.").unwrap();
        let Object::Call(callee, arguments) = pickle.get(pickle.root()) else { panic!() };
        assert_eq!(pickle.get(*callee), &Object::Global("os", "system"));
        assert_eq!(pickle.text(pickle.tuple(*arguments).unwrap()[0]), Some("echo"));
    }

    #[test]
    fn errors_name_their_position() {
        assert_eq!(error(b"\x80\x02X\xff\xff\xff\xffab"), "the file is cut off: it ends at byte 2 of its pickle");
        assert_eq!(error(b"]\x85"), "the file is cut off: it ends at byte 2 of its pickle");
        assert_eq!(error(b"(\x85."), "an object is missing at byte 1 of its pickle");
        assert_eq!(error(b"t"), "a mark is missing at byte 0 of its pickle");
        assert_eq!(error(b"Nr\x02\x00\x00\x00h\x03"), "nothing in place 3 of the memo at byte 6 of its pickle");
        assert_eq!(error(b"K\x01K\x02a"), "items for what is no list at byte 4 of its pickle");
        assert!(error(b"\x80\x02I1\n.").starts_with("opcode 0x49, which PyTorch does not write, at byte 2"));
        assert!(error(&[b'N'; MAX_STEPS + 1]).starts_with("a pickle of more than"));
    }
}
