//! Writes anything that serialises as canonical JSON (RFC 8785), without a tree of values in between:
//! what a digest is taken of is written once and read by nobody else.

use std::cmp::Ordering;
use std::fmt::Display;

use serde::ser::{self, Serialize};
use serde_json::{Error, Value};

/// The canonical form. Numbers are those of a JSON `Value`: one that is not finite is null.
pub(super) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(512);
    value.serialize(&mut Writer { out: &mut out })?;
    Ok(out)
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    /// `serde_json` writes text and whole numbers as RFC 8785 wants them.
    fn plain<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        serde_json::to_writer(&mut *self.out, value)
    }

    fn whole(&mut self, number: i64) -> Result<(), Error> {
        if number.unsigned_abs() <= 1 << 53 {
            return self.plain(&number);
        }
        self.rounded(&number.into())
    }

    /// A number that a double does not hold as it is, or that has a fraction.
    fn rounded(&mut self, number: &Value) -> Result<(), Error> {
        self.out.extend(serde_json_canonicalizer::to_vec(number)?);
        Ok(())
    }

    fn variant(&mut self, name: &str) -> Result<(), Error> {
        self.out.push(b'{');
        self.plain(name)?;
        self.out.push(b':');
        Ok(())
    }
}

impl<'w, 'o> ser::Serializer for &'w mut Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'w, 'o>;
    type SerializeTuple = List<'w, 'o>;
    type SerializeTupleStruct = List<'w, 'o>;
    type SerializeTupleVariant = List<'w, 'o>;
    type SerializeMap = Object<'w, 'o>;
    type SerializeStruct = Object<'w, 'o>;
    type SerializeStructVariant = Object<'w, 'o>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.whole(value)
    }
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        match i64::try_from(value) {
            Ok(value) => self.whole(value),
            Err(_) => self.rounded(&value.into()),
        }
    }
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.rounded(&value.into())
    }
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.rounded(&value.into())
    }
    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.plain(&value)
    }
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.plain(value)
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.plain(value)
    }
    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        self.out.extend(b"null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Error> {
        self.plain(name)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(name)?;
        value.serialize(&mut *self)?;
        self.out.push(b'}');
        Ok(())
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<List<'w, 'o>, Error> {
        Ok(List::begin(self, b"]"))
    }
    fn serialize_tuple(self, _: usize) -> Result<List<'w, 'o>, Error> {
        Ok(List::begin(self, b"]"))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'w, 'o>, Error> {
        Ok(List::begin(self, b"]"))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<List<'w, 'o>, Error> {
        self.variant(name)?;
        Ok(List::begin(self, b"]}"))
    }
    fn serialize_map(self, count: Option<usize>) -> Result<Object<'w, 'o>, Error> {
        Ok(Object::begin(self, count.unwrap_or(0), b"}"))
    }
    fn serialize_struct(self, _: &'static str, count: usize) -> Result<Object<'w, 'o>, Error> {
        Ok(Object::begin(self, count, b"}"))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        count: usize,
    ) -> Result<Object<'w, 'o>, Error> {
        self.variant(name)?;
        Ok(Object::begin(self, count, b"}}"))
    }
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.plain(&format_args!("{value}"))
    }
}

struct List<'w, 'o> {
    writer: &'w mut Writer<'o>,
    is_empty: bool,
    end: &'static [u8],
}

impl<'w, 'o> List<'w, 'o> {
    fn begin(writer: &'w mut Writer<'o>, end: &'static [u8]) -> Self {
        writer.out.push(b'[');
        Self { writer, is_empty: true, end }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.out.push(b',');
        }
        value.serialize(&mut *self.writer)
    }

    fn finish(self) {
        self.writer.out.extend(self.end);
    }
}

/// The entries of an object as they come, put into their order at the end.
struct Object<'w, 'o> {
    writer: &'w mut Writer<'o>,
    entries: Vec<Entry>,
    end: &'static [u8],
}

/// Where an entry stands in the output, its key first and in quotes.
#[derive(Clone, Copy)]
struct Entry {
    start: usize,
    colon: usize,
    end: usize,
}

impl<'w, 'o> Object<'w, 'o> {
    fn begin(writer: &'w mut Writer<'o>, count: usize, end: &'static [u8]) -> Self {
        writer.out.push(b'{');
        Self { writer, entries: Vec::with_capacity(count), end }
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let start = self.writer.out.len();
        key.serialize(&mut *self.writer)?;
        // A number as a key is its text.
        let out = &mut *self.writer.out;
        if out.get(start) != Some(&b'"') {
            out.insert(start, b'"');
            out.push(b'"');
        }
        let colon = out.len();
        self.entries.push(Entry { start, colon, end: colon });
        out.push(b':');
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer)?;
        let out = &mut *self.writer.out;
        out.push(b',');
        if let Some(entry) = self.entries.last_mut() {
            entry.end = out.len();
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        let Self { writer, mut entries, end } = self;
        let out = &mut *writer.out;
        if let Some(first) = entries.first().map(|entry| entry.start) {
            let order = |a: &Entry, b: &Entry| order(a.key(out), b.key(out));
            if !entries.is_sorted_by(|a, b| order(a, b) == Ordering::Less) {
                entries.sort_by(order);
                let mut sorted = Vec::with_capacity(out.len() - first);
                for (n, entry) in entries.iter().enumerate() {
                    // Of entries with one key the last counts, as in a map.
                    let again =
                        entries.get(n + 1).is_some_and(|next| next.key(out) == entry.key(out));
                    if !again {
                        sorted.extend_from_slice(&out[entry.start..entry.end]);
                    }
                }
                out.truncate(first);
                out.append(&mut sorted);
            }
            // The comma after the last.
            out.pop();
        }
        out.extend(end);
        Ok(())
    }
}

impl Entry {
    /// The key without its quotes, as it is written.
    fn key<'t>(&self, out: &'t [u8]) -> &'t [u8] {
        &out[self.start + 1..self.colon - 1]
    }
}

/// By UTF-16, which is not the order of UTF-8 beyond U+D7FF.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let is_simple = |key: &[u8]| key.is_ascii() && !key.contains(&b'\\');
    if is_simple(a) && is_simple(b) {
        return a.cmp(b);
    }
    let text = |key: &[u8]| -> String {
        let quoted = [b"\"", key, b"\""].concat();
        serde_json::from_slice(&quoted).expect("a key reads as it was written")
    };
    text(a).encode_utf16().cmp(text(b).encode_utf16())
}

/// The four kinds of sequence that serde tells apart are one array in JSON.
macro_rules! array {
    ($($kind:ident: $each:ident),*) => {$(
        impl ser::$kind for List<'_, '_> {
            type Ok = ();
            type Error = Error;
            fn $each<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }
            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

array!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

impl ser::SerializeMap for Object<'_, '_> {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key(key)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeStruct for Object<'_, '_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.key(key)?;
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Object<'_, '_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.key(key)?;
        self.value(value)
    }
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}
