//! `anonymize_ip(address)`: another address, the same one for the same address, with Crypto-PAn.
//!
//! Two addresses that share their first n bits share exactly n bits afterwards, so networks stay networks; and no two addresses become
//! the same. [Xu, Fan, Ammar, Moon: Prefix-Preserving IP Address Anonymization, ICNP 2002.] Each bit of an address is flipped or not by the
//! first bit of AES over the bits before it, filled up from the key. So an address of IPv4 takes 32 blocks of AES, one of IPv6 128; they
//! do not depend on each other and are encrypted together. A batch computes each text that it contains once.
//!
//! The key is no argument: text in a query is stored, printed and logged. It comes from the setting `anonymize_key`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use arrow::array::{Array, StringBuilder};
use arrow::datatypes::DataType;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::{Argument, refuse, texts};

const NAME: &str = "anonymize_ip";

/// The secret behind the addresses: with it they can be turned back.
pub struct AnonymizeKey {
    cipher: Aes128,
    padding: u128,
}

impl AnonymizeKey {
    /// Reads 32 bytes as 64 hexadecimal digits or as base64; `None` if they are not that.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = if text.len() == 64 { from_hex(text) } else { BASE64_STANDARD.decode(text).ok() };
        Some(Self::new(&bytes?.try_into().ok()?))
    }

    fn new(bytes: &[u8; 32]) -> Self {
        let (mut key, mut block) = ([0; 16], [0; 16]);
        key.copy_from_slice(&bytes[..16]);
        block.copy_from_slice(&bytes[16..]);
        let cipher = Aes128::new(&key.into());
        let mut block = Block::from(block);
        cipher.encrypt_block(&mut block);
        Self { cipher, padding: u128::from_be_bytes(block.into()) }
    }

    fn anonymize(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                let flips =
                    self.flips::<{ Ipv4Addr::BITS as usize }>(u128::from(bits) << (u128::BITS - Ipv4Addr::BITS));
                IpAddr::V4(Ipv4Addr::from_bits(bits ^ flips as u32))
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                IpAddr::V6(Ipv6Addr::from_bits(bits ^ self.flips::<{ Ipv6Addr::BITS as usize }>(bits)))
            }
        }
    }

    /// Which of the first N bits are flipped, as the low bits of a number.
    fn flips<const N: usize>(&self, address: u128) -> u128 {
        let mut blocks: [Block; N] = std::array::from_fn(|n_bits| {
            let rest = u128::MAX >> n_bits;
            Block::from(((address & !rest) | (self.padding & rest)).to_be_bytes())
        });
        self.cipher.encrypt_blocks(&mut blocks);
        blocks.iter().fold(0, |flips, block| flips << 1 | u128::from(block[0] >> 7))
    }
}

/// A key is never printed.
impl fmt::Debug for AnonymizeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnonymizeKey")
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|byte| char::from(byte).to_digit(16)).collect::<Option<Vec<u32>>>()?;
    Some(digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

#[derive(Debug)]
struct AnonymizeIp {
    key: Option<Arc<AnonymizeKey>>,
    signature: Signature,
}

pub(super) fn function(key: Option<AnonymizeKey>) -> Arc<ScalarUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(AnonymizeIp { key: key.map(Arc::new), signature }))
}

impl PartialEq for AnonymizeIp {
    fn eq(&self, other: &Self) -> bool {
        self.key.as_ref().map(Arc::as_ptr) == other.key.as_ref().map(Arc::as_ptr)
    }
}

impl Eq for AnonymizeIp {}

impl Hash for AnonymizeIp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

impl ScalarUDFImpl for AnonymizeIp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        let [address] = given else {
            return refuse(
                format!("`{NAME}` takes one argument (address), not {}", given.len()),
                "the key comes from SET anonymize_key = '${file:path}', never from an argument".to_owned(),
            );
        };
        if self.key.is_none() {
            return refuse(
                format!("`{NAME}` has no key"),
                "write SET anonymize_key = '${file:path}' or '${env:NAME}': 32 bytes as hexadecimal digits or base64"
                    .to_owned(),
            );
        }
        Ok(vec![Argument { function: NAME, name: "address" }.text(address)?])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let Some(key) = &self.key else {
            return datafusion::common::internal_err!("planning refuses {NAME} without a key");
        };
        let addresses = texts(&args, 0)?;
        let mut known: HashMap<&str, Option<String>> = HashMap::new();
        let mut made = StringBuilder::with_capacity(addresses.len(), addresses.len() * 16);
        for address in &addresses {
            let Some(text) = address else {
                made.append_null();
                continue;
            };
            let compute = || text.trim().parse().ok().map(|address| key.anonymize(address).to_string());
            made.append_option(known.entry(text).or_insert_with(compute).as_deref());
        }
        Ok(ColumnarValue::Array(Arc::new(made.finish())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The key of the sample that comes with the authors' implementation.
    const PUBLISHED_KEY: [u8; 32] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39,
        98, 87, 76, 45, 42, 132, 34, 2,
    ];

    fn check(key: &AnonymizeKey, address: &str, expected: &str) {
        let anonymized = key.anonymize(address.parse().expect("an address"));
        assert_eq!(anonymized, expected.parse::<IpAddr>().expect("an address"), "{address}");
    }

    /// From the sample trace of the authors' implementation.
    #[test]
    fn published_addresses_come_out_as_published() {
        let key = AnonymizeKey::new(&PUBLISHED_KEY);
        let cases = [
            ("128.11.68.132", "135.242.180.132"),
            ("129.118.74.4", "134.136.186.123"),
            ("130.132.252.244", "133.68.164.234"),
            ("141.223.7.43", "141.167.8.160"),
            ("141.233.145.108", "141.129.237.235"),
            ("152.163.225.39", "151.140.114.167"),
            ("156.29.3.236", "147.225.12.42"),
            ("165.247.96.84", "162.9.99.234"),
            ("166.107.77.190", "160.132.178.185"),
            ("192.102.249.13", "252.138.62.131"),
            ("24.0.250.221", "100.15.198.226"),
            ("4.3.88.225", "124.60.155.63"),
            ("64.14.118.196", "0.255.183.58"),
        ];
        for (address, expected) in cases {
            check(&key, address, expected);
        }
    }

    /// As documented by yacryptopan, for a key of the bytes 0 to 31.
    #[test]
    fn addresses_of_ipv6_come_out_as_another_implementation_has_them() {
        let key = AnonymizeKey::new(&std::array::from_fn(|index| index as u8));
        check(&key, "192.0.2.1", "2.90.93.17");
        check(&key, "2001:db8::1", "dd92:2c44:3fc0:ff1e:7ff9:c7f0:8180:7e00");
    }

    #[test]
    fn a_key_is_32_bytes_in_hexadecimal_digits_or_base64() {
        let hex: String = PUBLISHED_KEY.iter().map(|byte| format!("{byte:02X}")).collect();
        let base64 = BASE64_STANDARD.encode(PUBLISHED_KEY);
        for text in [hex.as_str(), &hex.to_lowercase(), &base64, &format!("{base64}\n")] {
            check(&AnonymizeKey::parse(text).expect(text), "128.11.68.132", "135.242.180.132");
        }
        for text in ["", "00", &hex[1..], &"g".repeat(64), &BASE64_STANDARD.encode([0; 31])] {
            assert!(AnonymizeKey::parse(text).is_none(), "{text}");
        }
    }

    /// How many bits two addresses of 128 bits share at their beginning.
    fn shared(a: u128, b: u128) -> u32 {
        (a ^ b).leading_zeros()
    }

    proptest! {
        /// So two addresses become the same only if they are.
        #[test]
        fn addresses_share_as_many_bits_as_before(bytes: [u8; 32], address: u128, differing in 0_u32..128, rest: u128) {
            let key = AnonymizeKey::new(&bytes);
            let of_v6 = |bits: u128| match key.anonymize(IpAddr::V6(Ipv6Addr::from_bits(bits))) {
                IpAddr::V6(address) => address.to_bits(),
                IpAddr::V4(_) => unreachable!("a family stays"),
            };
            let first_different = 1_u128 << (127 - differing);
            let other = (address ^ first_different) ^ (rest & (first_different - 1));
            prop_assert_eq!(shared(of_v6(address), of_v6(other)), differing);
            prop_assert_eq!(of_v6(address), of_v6(address));
            let of_v4 = |bits: u128| match key.anonymize(IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32))) {
                IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
                IpAddr::V6(_) => unreachable!("a family stays"),
            };
            prop_assert_eq!(shared(of_v4(address), of_v4(other)).min(32), differing.min(32));
        }
    }
}
