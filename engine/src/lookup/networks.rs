//! Networks in CIDR notation, and the longest prefix that contains an address.
//!
//! Networks are nested or disjoint, so they cut the addresses into ranges, each with one innermost network. A search is a binary search
//! over the starts of these ranges. IPv4 and IPv6 are searched separately; an IPv4 address in an IPv6 one (`::ffff:192.0.2.1`) is
//! the IPv4 address.

use core::net::IpAddr;

/// The bits of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    V4(u32),
    V6(u128),
}

/// Reads an address; `None` for any other text.
pub fn parse_address(text: &str) -> Option<Address> {
    let address: IpAddr = text.trim().parse().ok()?;
    Some(match address.to_canonical() {
        IpAddr::V4(address) => Address::V4(address.to_bits()),
        IpAddr::V6(address) => Address::V6(address.to_bits()),
    })
}

/// The addresses of a network: from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    is_v4: bool,
    first: u128,
    last: u128,
}

impl Network {
    /// Reads `192.0.2.0/24` or a single address; the error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let (is_v4, width, bits) = match parse_address(address) {
            Some(Address::V4(bits)) if !address.contains(':') => (true, 32, u128::from(bits)),
            // A prefix counts the bits of IPv6 where the address is written so.
            Some(Address::V4(_)) if prefix.is_some() => {
                return Err(format!("`{text}` is an IPv4 network in IPv6 notation; write it as IPv4"));
            }
            Some(Address::V4(bits)) => (true, 32, u128::from(bits)),
            Some(Address::V6(bits)) => (false, 128, bits),
            None => return Err(format!("`{text}` is no address and no network such as 192.0.2.0/24")),
        };
        let n_bits: u32 = match prefix.map(str::parse) {
            None => width,
            Some(Ok(n_bits)) if n_bits <= width => n_bits,
            Some(_) => return Err(format!("`{text}` has no prefix length from 0 to {width}")),
        };
        let host = if n_bits == width { 0 } else { u128::MAX >> (128 - (width - n_bits)) };
        if bits & host != 0 {
            let network = Self { is_v4, first: bits & !host, last: bits | host };
            return Err(format!("`{text}` has bits beyond its prefix; write {}/{n_bits}", network.first_address()));
        }
        Ok(Self { is_v4, first: bits, last: bits | host })
    }

    fn first_address(&self) -> IpAddr {
        match u32::try_from(self.first) {
            Ok(bits) if self.is_v4 => IpAddr::V4(bits.into()),
            _ => IpAddr::V6(self.first.into()),
        }
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: Address) -> bool {
        let (is_v4, bits) = bits_of(address);
        is_v4 == self.is_v4 && (self.first..=self.last).contains(&bits)
    }
}

fn bits_of(address: Address) -> (bool, u128) {
    match address {
        Address::V4(bits) => (true, bits.into()),
        Address::V6(bits) => (false, bits),
    }
}

/// Networks with a number each.
#[derive(Debug, Default)]
pub struct Networks {
    v4: Ranges,
    v6: Ranges,
}

impl Networks {
    /// Of networks and their numbers, each network once.
    pub fn new(networks: &[(Network, u32)]) -> Self {
        let of = |is_v4: bool| Ranges::new(networks.iter().filter(|(network, _)| network.is_v4 == is_v4));
        Self { v4: of(true), v6: of(false) }
    }

    /// The number of the smallest network that contains `address`.
    pub fn find(&self, address: Address) -> Option<u32> {
        let (is_v4, bits) = bits_of(address);
        if is_v4 { self.v4.find(bits) } else { self.v6.find(bits) }
    }
}

/// Ranges one after the other: each begins at its start and ends before the next one.
#[derive(Debug, Default)]
struct Ranges {
    starts: Vec<u128>,
    numbers: Vec<Option<u32>>,
}

impl Ranges {
    fn new<'a>(networks: impl Iterator<Item = &'a (Network, u32)>) -> Self {
        let mut sorted: Vec<&(Network, u32)> = networks.collect();
        // An outer network comes before those within it.
        sorted.sort_by(|(a, _), (b, _)| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut ranges = Self::default();
        let mut open: Vec<&(Network, u32)> = Vec::new();
        for entry in sorted {
            ranges.close(&mut open, Some(entry.0.first));
            ranges.begin(entry.0.first, Some(entry.1));
            open.push(entry);
        }
        ranges.close(&mut open, None);
        ranges
    }

    /// Ends the networks that end before `next`: what follows each of them belongs to the one around it.
    fn close(&mut self, open: &mut Vec<&(Network, u32)>, next: Option<u128>) {
        while let Some((network, _)) = open.last()
            && next.is_none_or(|next| network.last < next)
        {
            let after = network.last.checked_add(1);
            open.pop();
            if let Some(after) = after {
                self.begin(after, open.last().map(|(_, number)| *number));
            }
        }
    }

    fn begin(&mut self, start: u128, number: Option<u32>) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.numbers.pop();
        }
        self.starts.push(start);
        self.numbers.push(number);
    }

    fn find(&self, bits: u128) -> Option<u32> {
        let range = self.starts.partition_point(|start| *start <= bits).checked_sub(1)?;
        self.numbers[range]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|why| panic!("{why}"))
    }

    fn address(text: &str) -> Address {
        parse_address(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let cases = [
            ("", "`` is no address and no network such as 192.0.2.0/24"),
            ("network", "`network` is no address and no network such as 192.0.2.0/24"),
            ("10.0.0.0/33", "`10.0.0.0/33` has no prefix length from 0 to 32"),
            ("10.0.0.0/", "`10.0.0.0/` has no prefix length from 0 to 32"),
            ("::/129", "`::/129` has no prefix length from 0 to 128"),
            ("10.0.0.1/8", "`10.0.0.1/8` has bits beyond its prefix; write 10.0.0.0/8"),
            ("2001:db8::1/32", "`2001:db8::1/32` has bits beyond its prefix; write 2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "`::ffff:10.0.0.0/104` is an IPv4 network in IPv6 notation; write it as IPv4"),
            ("10.0.0.010", "`10.0.0.010` is no address and no network such as 192.0.2.0/24"),
        ];
        for (text, why) in cases {
            assert_eq!(Network::parse(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let texts =
            ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "255.255.255.255", "2001:db8::/32", "2001:db8::1"];
        let numbered: Vec<(Network, u32)> = (0..).zip(texts).map(|(number, text)| (network(text), number)).collect();
        let networks = Networks::new(&numbered);
        let cases = [
            ("9.255.255.255", Some(0)),
            ("10.0.0.0", Some(1)),
            ("10.1.0.0", Some(2)),
            ("10.1.2.2", Some(2)),
            ("10.1.2.3", Some(3)),
            ("::ffff:10.1.2.3", Some(3)),
            ("10.1.2.4", Some(2)),
            ("10.2.0.0", Some(1)),
            ("11.0.0.0", Some(0)),
            ("255.255.255.255", Some(4)),
            ("2001:db8::", Some(5)),
            ("2001:db8::1", Some(6)),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some(5)),
            ("2001:db9::", None),
            ("::1", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(networks.find(address(text)), wanted, "{text}");
        }
    }

    /// Few bits, so that networks meet and contain each other.
    fn any_network() -> impl Strategy<Value = Network> {
        let v4 = (0u32..64, 24u32..=32).prop_map(|(low, n_bits)| format!("{}/{n_bits}", mask(low.into(), n_bits, 32)));
        let v6 = (0u128..64, 120u32..=128).prop_map(|(low, n_bits)| format!("{}/{n_bits}", mask(low, n_bits, 128)));
        prop_oneof![v4, v6].prop_map(|text| network(&text))
    }

    fn mask(low: u128, n_bits: u32, width: u32) -> IpAddr {
        let host = if n_bits == width { 0 } else { u128::MAX >> (128 - (width - n_bits)) };
        if width == 32 { IpAddr::V4(((low & !host) as u32).into()) } else { IpAddr::V6((low & !host).into()) }
    }

    proptest! {
        #[test]
        fn a_search_finds_what_a_look_at_each_network_finds(networks in prop::collection::vec(any_network(), 0..24)) {
            let mut unique: Vec<Network> = Vec::new();
            for network in networks {
                if !unique.contains(&network) {
                    unique.push(network);
                }
            }
            let numbered: Vec<(Network, u32)> = unique.iter().copied().zip(0..).collect();
            let index = Networks::new(&numbered);
            for low in 0..260u32 {
                for address in [Address::V4(low), Address::V6(low.into())] {
                    let containing = numbered.iter().filter(|(network, _)| network.contains(address));
                    let smallest = containing.min_by_key(|(network, _)| network.last - network.first);
                    prop_assert_eq!(index.find(address), smallest.map(|(_, number)| *number));
                }
            }
        }
    }
}
