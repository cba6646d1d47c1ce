//! Tensors inside the file: initialisers and attributes.

use super::wire::{Slice, broken};
use crate::error::{Error, Result, shown};

/// A dense tensor whose data is in the file; as many values as its dimensions say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) elem: Elem,
    pub(super) len: usize,
    slice: Slice<'a>,
}

/// Element types that models in use have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elem {
    Float,
    Double,
    Uint8,
    Int8,
    Int32,
    Int64,
    Bool,
    String,
}

impl Elem {
    pub(super) fn parse(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Float,
            2 => Self::Uint8,
            3 => Self::Int8,
            6 => Self::Int32,
            7 => Self::Int64,
            8 => Self::String,
            9 => Self::Bool,
            11 => Self::Double,
            _ => return None,
        })
    }

    /// Bytes of an element in `raw_data`; texts do not stand there.
    fn size(self) -> Option<usize> {
        match self {
            Self::Uint8 | Self::Int8 | Self::Bool => Some(1),
            Self::Float | Self::Int32 => Some(4),
            Self::Double | Self::Int64 => Some(8),
            Self::String => None,
        }
    }
}

const DIMS_MAX: usize = 8;
const FLOAT_DATA: u32 = 4;
const INT32_DATA: u32 = 5;
const STRING_DATA: u32 = 6;
const INT64_DATA: u32 = 7;
const RAW_DATA: u32 = 9;
const DOUBLE_DATA: u32 = 10;

impl<'a> Tensor<'a> {
    /// Checks type, dimensions and that the data is there.
    pub(super) fn parse(slice: Slice<'a>) -> Result<Self> {
        let (mut name, mut elem_code, mut dims, mut is_external) = ("", 0, Vec::new(), false);
        for field in slice.fields() {
            let field = field?;
            match field.number {
                1 => field.each_int("tensor.dims", |dim| {
                    if dims.len() == DIMS_MAX {
                        return Err(broken(field.offset, format!("a tensor has more than {DIMS_MAX} dimensions")));
                    }
                    dims.push(dim);
                    Ok(())
                })?,
                2 => elem_code = field.int("tensor.data_type")?,
                3 => return Err(broken(field.offset, "a tensor is cut into segments, which is not supported")),
                8 => name = field.text("tensor.name")?,
                13 => is_external = true,
                14 => is_external |= field.int("tensor.data_location")? != 0,
                _ => {}
            }
        }
        if is_external {
            return Err(Error::invalid(
                format!("model: the data of tensor `{}` is in another file", shown(name)),
                "save the model with all data inside: `onnx.save(model, path, save_as_external_data=False)`",
            ));
        }
        let Some(elem) = Elem::parse(elem_code) else {
            return Err(Error::invalid(
                format!("model: tensor `{}` has element type {elem_code}, which is not supported", shown(name)),
                "export the model with float or double numbers",
            ));
        };
        let len = dims.iter().try_fold(1_usize, |len, dim| len.checked_mul(usize::try_from(*dim).ok()?));
        let Some(len) = len else {
            return Err(broken(slice.offset, format!("tensor `{}` has impossible dimensions {dims:?}", shown(name))));
        };
        let tensor = Self { name, elem, len, slice };
        let found = tensor.count()?;
        if found != len {
            return Err(broken(
                slice.offset,
                format!("tensor `{}` has {found} values where its dimensions {dims:?} need {len}", shown(name)),
            ));
        }
        Ok(tensor)
    }

    /// How many values there are.
    fn count(&self) -> Result<usize> {
        let mut count = 0;
        for field in self.slice.fields() {
            let field = field?;
            match (field.number, self.elem) {
                (RAW_DATA, elem) => {
                    let bytes = field.slice("tensor.raw_data")?.bytes.len();
                    let Some(size) = elem.size() else { return Err(field.mistyped("tensor.raw_data")) };
                    if bytes % size != 0 {
                        return Err(broken(
                            field.offset,
                            format!("tensor `{}` ends in the middle of a value", shown(self.name)),
                        ));
                    }
                    count += bytes / size;
                }
                (FLOAT_DATA, Elem::Float) => field.each_float("tensor.float_data", |_| count += 1)?,
                (DOUBLE_DATA, Elem::Double) => field.each_double("tensor.double_data", |_| count += 1)?,
                (STRING_DATA, Elem::String) => {
                    field.text("tensor.string_data")?;
                    count += 1;
                }
                (INT64_DATA, Elem::Int64) => field.each_int("tensor.int64_data", |_| {
                    count += 1;
                    Ok(())
                })?,
                (INT32_DATA, Elem::Uint8 | Elem::Int8 | Elem::Int32 | Elem::Bool) => {
                    field.each_int("tensor.int32_data", |_| {
                        count += 1;
                        Ok(())
                    })?;
                }
                (FLOAT_DATA..=INT64_DATA | DOUBLE_DATA | 11, _) => {
                    return Err(broken(
                        field.offset,
                        format!("tensor `{}` keeps its data in the field of another type", shown(self.name)),
                    ));
                }
                _ => {}
            }
        }
        Ok(count)
    }

    /// The values of a float or double tensor.
    pub(super) fn numbers(&self) -> Result<Vec<f64>> {
        if !matches!(self.elem, Elem::Float | Elem::Double) {
            return Err(broken(
                self.slice.offset,
                format!("tensor `{}` does not hold float or double numbers", shown(self.name)),
            ));
        }
        let mut values = Vec::with_capacity(self.len);
        for field in self.slice.fields() {
            let field = field?;
            match (field.number, self.elem) {
                (RAW_DATA | FLOAT_DATA, Elem::Float) => {
                    field.each_float("tensor", |value| values.push(f64::from(value)))?;
                }
                (RAW_DATA | DOUBLE_DATA, Elem::Double) => field.each_double("tensor", |value| values.push(value))?,
                _ => {}
            }
        }
        Ok(values)
    }

    /// The values of a tensor of bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let mistyped = || broken(self.slice.offset, format!("tensor `{}` does not hold bytes", shown(self.name)));
        if self.elem != Elem::Uint8 {
            return Err(mistyped());
        }
        let mut values = Vec::with_capacity(self.len);
        for field in self.slice.fields() {
            let field = field?;
            match field.number {
                RAW_DATA => values.extend_from_slice(field.slice("tensor.raw_data")?.bytes),
                INT32_DATA => field.each_int("tensor.int32_data", |value| {
                    values.push(u8::try_from(value).map_err(|_| mistyped())?);
                    Ok(())
                })?,
                _ => {}
            }
        }
        Ok(values)
    }
}
