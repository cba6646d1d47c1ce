//! Flows as lines of the 71-column record.
//!
//! About 480 bytes a line, most of which never changes and is copied.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

use super::flow::{Flow, Protocol};
use super::world::World;

/// The record's columns: nfdump's 48, Zeek's, the eight aggregates, the preprocessor's fourteen.
const NAMES: &str = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb,svln,\
    dvln,ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,mpls10,cl,sl,al,ra,eng,exid,tr,\
    zeek_extra_field,pktips,pktops,bytips,bytops,bytippkt,bytoppkt,bytipo,pktipo,tpkt,tbyt,cp,prtcp,prudp,pricmp,prigmp,\
    prother,flga,flgs,flgf,flgr,flgp,flgu";

/// Columns `in` to `exid`, which the generator has nothing to say about.
const MIDDLE: &[u8] = b",0,0,0,0,0,0,0,0,0.0.0.0,0.0.0.0,0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,\
00:00:00:00:00:00,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,    0.000,    0.000,    0.000,127.0.0.1,\
0/0,1,";

/// More than a line has on average, so that the buffer is allocated once.
const LINE_BYTES: usize = 512;

/// The ports that the preprocessor calls common.
const COMMON_PORTS: [u16; 20] =
    [20, 21, 22, 23, 25, 53, 67, 68, 69, 80, 110, 119, 123, 143, 161, 389, 443, 993, 1812, 5190];

/// The 71 columns with the types that a query would declare.
pub(super) fn fields() -> Vec<FieldRef> {
    NAMES.split(',').map(|name| Arc::new(Field::new(name, data_type(name), true))).collect()
}

fn data_type(name: &str) -> DataType {
    match name {
        "ts" | "te" | "tr" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "sp" | "dp" => DataType::Int32,
        "td" | "pktips" | "pktops" | "bytips" | "bytops" | "bytippkt" | "bytoppkt" | "bytipo" | "pktipo" | "tbyt" => {
            DataType::Float64
        }
        "ipkt" | "ibyt" | "opkt" | "obyt" | "tpkt" => DataType::Int64,
        flag if flag == "cp" || flag.starts_with("pr") && flag != "pr" || flag.starts_with("flg") && flag != "flg" => {
            DataType::Int32
        }
        _ => DataType::Utf8,
    }
}

pub(super) fn lines(flows: &[Flow], world: &World) -> Vec<u8> {
    let mut out = Vec::with_capacity(flows.len() * LINE_BYTES);
    for flow in flows {
        record(&mut out, flow, world);
        aggregates(&mut out, flow);
        indicators(&mut out, flow);
        out.push(b'\n');
    }
    out
}

/// Columns `ts` to `zeek_extra_field`.
fn record(out: &mut Vec<u8>, flow: &Flow, world: &World) {
    let te_ms = flow.te_ns.div_euclid(1_000_000);
    push_seconds(out, (te_ms - i64::from(flow.td_ms)).div_euclid(1000));
    out.push(b',');
    push_seconds(out, te_ms.div_euclid(1000));
    out.push(b',');
    push_thousandths(out, flow.td_ms.into());
    for text in [world.address(flow.sa), world.address(flow.da)] {
        out.push(b',');
        out.extend_from_slice(text.as_bytes());
    }
    push_counts(out, [flow.sp.into(), flow.dp.into()]);
    for text in [flow.protocol.name(), flow.flags.symbols()] {
        out.push(b',');
        out.extend_from_slice(text.as_bytes());
    }
    push_counts(out, [0, 0, flow.ipkt, flow.ibyt, flow.opkt, flow.obyt]);
    out.extend_from_slice(MIDDLE);
    push_seconds(out, te_ms.div_euclid(1000));
    out.push(b'.');
    push_digits(out, te_ms.rem_euclid(1000) as u64, 3);
    out.extend_from_slice(b",$");
}

/// Columns `pktips` to `pktipo`; division by zero gives zero.
fn aggregates(out: &mut Vec<u8>, flow: &Flow) {
    let td = f64::from(flow.td_ms) / 1000.0;
    let (ipkt, ibyt) = (flow.ipkt as f64, flow.ibyt as f64);
    let (opkt, obyt) = (flow.opkt as f64, flow.obyt as f64);
    let ratios =
        [(ipkt, td), (opkt, td), (ibyt, td), (obyt, td), (ibyt, ipkt), (obyt, opkt), (ibyt, obyt), (ipkt, opkt)];
    for (dividend, divisor) in ratios {
        out.push(b',');
        push_float(out, if divisor == 0.0 { 0.0 } else { (dividend / divisor) as f32 });
    }
}

/// Columns `tpkt` to `flgu`.
fn indicators(out: &mut Vec<u8>, flow: &Flow) {
    push_counts(out, [flow.ipkt + flow.opkt, flow.ibyt + flow.obyt]);
    out.extend_from_slice(b".0");
    let symbols = flow.flags.symbols().as_bytes();
    let has = |symbol: u8| u64::from(symbols.contains(&symbol));
    let is_tcp = u64::from(flow.protocol == Protocol::Tcp);
    push_counts(out, [u64::from(COMMON_PORTS.contains(&flow.dp)), is_tcp, 1 - is_tcp, 0, 0, 0]);
    push_counts(out, [has(b'A'), has(b'S'), has(b'F'), has(b'R'), has(b'P'), has(b'U')]);
}

/// Each with a comma before it.
fn push_counts<const N: usize>(out: &mut Vec<u8>, counts: [u64; N]) {
    for count in counts {
        out.push(b',');
        push_count(out, count);
    }
}

fn push_count(out: &mut Vec<u8>, count: u64) {
    let n_digits = count.checked_ilog10().map_or(1, |log| log as usize + 1);
    push_digits(out, count, n_digits);
}

/// The last `n_digits` digits, zeros in front.
fn push_digits(out: &mut Vec<u8>, mut number: u64, n_digits: usize) {
    let mut digits = [b'0'; 20];
    for digit in digits[..n_digits].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[..n_digits]);
}

fn push_thousandths(out: &mut Vec<u8>, thousandths: u64) {
    push_count(out, thousandths / 1000);
    out.push(b'.');
    push_digits(out, thousandths % 1000, 3);
}

fn push_float(out: &mut Vec<u8>, value: f32) {
    let mut buffer = [0; lexical_core::BUFFER_SIZE];
    out.extend_from_slice(lexical_core::write(value, &mut buffer));
}

/// `2024-01-01 00:00:00`, UTC.
fn push_seconds(out: &mut Vec<u8>, seconds: i64) {
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u64);
    let (year, month, day_of_month) = civil(day);
    push_digits(out, year, 4);
    for (separator, number) in
        [(b'-', month), (b'-', day_of_month), (b' ', second / 3600), (b':', second / 60 % 60), (b':', second % 60)]
    {
        out.push(separator);
        push_digits(out, number, 2);
    }
}

/// Year, month, day of a day since the epoch (Howard Hinnant, chrono-compatible low-level date algorithms).
fn civil(day: i64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u64, month as u64, day_of_month as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn the_record_has_71_columns() {
        assert_eq!(fields().len(), 71);
    }

    #[test]
    fn times_are_civil() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_704_067_199, "2023-12-31 23:59:59"),
            (-1, "1969-12-31 23:59:59"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(shown(|out| push_seconds(out, seconds)), expected);
        }
    }

    #[test]
    fn numbers_print_as_they_do_in_the_samples() {
        for (count, expected) in [(0, "0"), (9, "9"), (10, "10"), (u64::MAX, "18446744073709551615")] {
            assert_eq!(shown(|out| push_count(out, count)), expected);
        }
        for (value, expected) in [(0.0, "0.0"), (161.0, "161.0"), (4.0 / 0.347, "11.527377"), (2043.2277, "2043.2277")]
        {
            assert_eq!(shown(|out| push_float(out, value)), expected);
        }
        assert_eq!(shown(|out| push_thousandths(out, 10_050)), "10.050");
    }
}
