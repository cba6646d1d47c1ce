//! `float_repr(x)`: a number as the shortest text that reads back as the same number, laid out as Python's `repr` does.
//!
//! For consumers that compare or parse what a program in Python wrote before: CAST gives `1e-5` and `1e16`, Python `1e-05` and
//! `1e+16`. The digits are those of the number's own precision, so a FLOAT of 0.1 is `0.1` and not `0.10000000149011612`.

use std::fmt::LowerExp;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatRepr {
    signature: Signature,
}

/// The function for a catalog.
pub(super) fn float_repr() -> Arc<ScalarUDF> {
    let takes = |data_type: DataType| TypeSignature::Exact(vec![data_type]);
    // Integers and decimals become DOUBLE, the first that they can be converted to.
    let either = vec![takes(DataType::Float64), takes(DataType::Float32)];
    Arc::new(ScalarUDF::new_from_impl(FloatRepr { signature: Signature::one_of(either, Volatility::Immutable) }))
}

impl ScalarUDFImpl for FloatRepr {
    fn name(&self) -> &'static str {
        "float_repr"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else {
            return exec_err!("float_repr takes one argument");
        };
        let values = argument.to_array(args.number_rows)?;
        let texts: StringArray = match values.data_type() {
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>();
                values.iter().map(|value| value.map(|value| repr(&scientific(value)))).collect()
            }
            DataType::Float32 => {
                let values = values.as_primitive::<Float32Type>();
                values.iter().map(|value| value.map(|value| repr(&scientific(value)))).collect()
            }
            other => return exec_err!("float_repr of {other}"),
        };
        Ok(ColumnarValue::Array(Arc::new(texts) as ArrayRef))
    }
}

/// From this power of ten on, and below 10⁻⁴, Python writes an exponent.
const EXPONENT_FROM: i32 = 16;
const EXPONENT_BELOW: i32 = -4;

/// The shortest digits that read back as the number, as Rust's `{:e}` gives them; but of two such texts that are equally near, Rust
/// takes the greater one, and Python the even one, as Rust does where the number of digits is given.
fn scientific<F: LowerExp + FromStr + PartialEq + Copy>(value: F) -> String {
    let shortest = format!("{value:e}");
    let Some((mantissa, _)) = shortest.split_once('e') else { return shortest };
    let n_digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let nearest = format!("{value:.*e}", n_digits - 1);
    if nearest.parse().is_ok_and(|read: F| read == value) { nearest } else { shortest }
}

/// Lays out what Rust's `{:e}` gives: the shortest digits, as `7.4e-1`, `inf`, `-inf` or `NaN`.
fn repr(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific.to_ascii_lowercase() };
    let exponent: i32 = exponent.parse().expect("Rust writes an integer behind its `e`");
    let (sign, unsigned) = mantissa.strip_prefix('-').map_or(("", mantissa), |unsigned| ("-", unsigned));
    if !(EXPONENT_BELOW..EXPONENT_FROM).contains(&exponent) {
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{exponent_sign}{:02}", exponent.unsigned_abs());
    }
    let digits: String = unsigned.chars().filter(|digit| *digit != '.').collect();
    let n_before_point = exponent + 1;
    match usize::try_from(n_before_point) {
        Ok(0) | Err(_) => format!("{sign}0.{}{digits}", "0".repeat(n_before_point.unsigned_abs() as usize)),
        Ok(n) if n < digits.len() => format!("{sign}{}.{}", &digits[..n], &digits[n..]),
        Ok(n) => format!("{sign}{digits}{}.0", "0".repeat(n - digits.len())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn of_double(value: f64) -> String {
        repr(&scientific(value))
    }

    #[test]
    fn numbers_look_as_in_python() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.74, "0.74"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-4, "0.0001"),
            (9.999e-5, "9.999e-05"),
            (1e-5, "1e-05"),
            (123_456.0, "123456.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-1.5e300, "-1.5e+300"),
            // Half-way between two texts of the shortest length.
            (1_658_206_780_088_562.2, "1658206780088562.2"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, expected) in cases {
            assert_eq!(of_double(value), expected);
        }
        assert_eq!(repr(&scientific(0.1_f32)), "0.1");
    }

    /// Doubles of every size, from their bits, and the ends of each layout; printed by Python itself.
    #[test]
    fn python_prints_the_same() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            // xorshift64
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            bits
        };
        let mut values: Vec<f64> =
            (0..20_000).map(|_| f64::from_bits(next())).filter(|value| value.is_finite()).collect();
        values.extend((0..20_000).map(|_| (next() >> 11) as f64 / (1_u64 << 53) as f64));
        values.extend((0..=50).map(|votes| f64::from(votes) / 50.0));
        values.extend((-330..310).flat_map(|exponent| {
            let power: f64 = format!("1e{exponent}").parse().expect("a number");
            [power, power.next_up(), power.next_down()]
        }));
        let lines: String = values.iter().map(|value| format!("{}\n", value.to_bits())).collect();
        let program = "import struct, sys\nfor line in sys.stdin: print(repr(struct.unpack('d', struct.pack('Q', int(line)))[0]))";
        let mut python = Command::new("python3")
            .args(["-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let mut input = python.stdin.take().expect("piped");
        let output = std::thread::scope(|scope| {
            scope.spawn(move || input.write_all(lines.as_bytes()).expect("Python reads"));
            python.wait_with_output().expect("Python ends")
        });
        let printed = String::from_utf8(output.stdout).expect("text");
        assert_eq!(printed.lines().count(), values.len());
        for (value, expected) in values.iter().zip(printed.lines()) {
            assert_eq!(of_double(*value), expected);
        }
    }
}
