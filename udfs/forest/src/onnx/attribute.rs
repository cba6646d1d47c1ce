//! Attributes of a node: decoded on access, straight into the type that the caller expects.

use super::tensor::Tensor;
use super::wire::{Field, Slice, broken};
use crate::error::{Error, Result, shown};

/// An attribute; its values stay in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    slice: Slice<'a>,
}

const INT: u32 = 3;
const STRING: u32 = 4;
const TENSOR: u32 = 5;
const FLOATS: u32 = 7;
const INTS: u32 = 8;
const STRINGS: u32 = 9;

impl<'a> Attribute<'a> {
    /// Checks all of it; subgraphs, sparse tensors and references to a function's attributes are refused.
    pub(super) fn parse(slice: Slice<'a>) -> Result<Self> {
        let mut name = "";
        for field in slice.fields() {
            let field = field?;
            match field.number {
                1 => name = field.text("attribute.name")?,
                TENSOR => drop(Tensor::parse(field.slice("attribute.t")?)?),
                10 => drop(Tensor::parse(field.slice("attribute.tensors")?)?),
                6 | 11 => return Err(refused(name, "holds a graph inside the graph")),
                21 if !field.slice("attribute.ref_attr_name")?.bytes.is_empty() => {
                    return Err(refused(name, "refers to an attribute of a function"));
                }
                22 | 23 => return Err(refused(name, "holds a sparse tensor")),
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(broken(slice.offset, "an attribute has no name"));
        }
        Ok(Self { name, slice })
    }

    fn each(&self, number: u32, mut take: impl FnMut(Field<'a>) -> Result<()>) -> Result<()> {
        for field in self.slice.fields() {
            let field = field?;
            if field.number == number {
                take(field)?;
            }
        }
        Ok(())
    }

    /// A single whole number; the last one counts, as protobuf says.
    pub(super) fn int(&self) -> Result<i64> {
        let mut value = None;
        self.each(INT, |field| {
            value = Some(field.int(self.name)?);
            Ok(())
        })?;
        value.ok_or_else(|| self.missing("a whole number"))
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        let mut value = None;
        self.each(STRING, |field| {
            value = Some(field.text(self.name)?);
            Ok(())
        })?;
        value.ok_or_else(|| self.missing("a text"))
    }

    pub(super) fn tensor(&self) -> Result<Tensor<'a>> {
        let mut value = None;
        self.each(TENSOR, |field| {
            value = Some(Tensor::parse(field.slice(self.name)?)?);
            Ok(())
        })?;
        value.ok_or_else(|| self.missing("a tensor"))
    }

    /// Whole numbers, each converted by `convert`; where it gives nothing, the number is refused.
    pub(super) fn ints<T>(&self, convert: impl Fn(i64) -> Option<T>) -> Result<Vec<T>> {
        let mut values = Vec::new();
        self.each(INTS, |field| {
            field.each_int(self.name, |value| {
                let out_of_range =
                    || broken(field.offset, format!("`{}` holds {value}, which is out of range", shown(self.name)));
                values.push(convert(value).ok_or_else(out_of_range)?);
                Ok(())
            })
        })?;
        Ok(values)
    }

    pub(super) fn floats(&self) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.each(FLOATS, |field| field.each_float(self.name, |value| values.push(value)))?;
        Ok(values)
    }

    /// Texts, each converted by `convert`.
    pub(super) fn texts<T>(&self, convert: impl Fn(&'a str) -> Option<T>) -> Result<Vec<T>> {
        let mut values = Vec::new();
        self.each(STRINGS, |field| {
            let text = field.text(self.name)?;
            let unknown =
                || broken(field.offset, format!("`{}` holds `{}`, which is not known", shown(self.name), shown(text)));
            values.push(convert(text).ok_or_else(unknown)?);
            Ok(())
        })?;
        Ok(values)
    }

    fn missing(&self, what: &str) -> Error {
        broken(self.slice.offset, format!("attribute `{}` is not {what}", shown(self.name)))
    }
}

fn refused(name: &str, what: &str) -> Error {
    Error::invalid(
        format!("model: attribute `{}` {what}, which is not supported", shown(name)),
        "export the model as one plain graph",
    )
}
