//! Which addresses repository content may lead to: public ones, and blocks that the operator names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses, such as `10.1.0.0/16`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    address: IpAddr,
    bits: u8,
}

impl Block {
    /// Reads `ADDRESS/BITS`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
        Some(Self { address, bits })
    }

    fn covers(self, address: IpAddr) -> bool {
        fn same(a: u128, b: u128, width: u32, bits: u8) -> bool {
            (a ^ b).checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
        }
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32, self.bits)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128, self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether content may lead to this address.
pub(super) fn is_open(address: IpAddr, allow: &[Block]) -> bool {
    !is_inner(address) || allow.iter().any(|block| block.covers(address))
}

/// Where clouds answer what a machine's credentials are, beside what is on its link.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Whether something may be sent to this address on an operator's word alone. An inner network is theirs to
/// name; this very machine, its link, and where a cloud hands out credentials are not, unless `allow` has
/// them: a name leads there by a slip or by somebody else's doing.
pub fn may_be_sent_to(address: IpAddr, allow: &[Block]) -> bool {
    let address = carried(address);
    let is_here = match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || link_local
        }
    };
    let is_barred =
        is_here || address == IpAddr::V4(Ipv4Addr::BROADCAST) || METADATA.contains(&address);
    !is_barred || allow.iter().any(|block| block.covers(address))
}

/// The address that another one carries inside: mapped, or by way of NAT64 or 6to4.
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    let segments = v6.segments();
    let at = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => 6,
        [0x2002, ..] => 1,
        _ => return address,
    };
    let (high, low) = (segments[at].to_be_bytes(), segments[at + 1].to_be_bytes());
    Ipv4Addr::new(high[0], high[1], low[0], low[1]).into()
}

/// Whether content may name this host. What a name resolves to is looked at again, when it is.
pub(super) fn is_open_host(host: &str, allow: &[Block]) -> bool {
    let host = host.trim_end_matches('.');
    match host.parse::<IpAddr>() {
        Ok(address) => is_open(address, allow),
        Err(_) => !is_disguised(host),
    }
}

/// Whether a host, as written, is not written as addresses and public names are.
fn is_disguised(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    // `2130706433`, `0177.0.0.1`, `0x7f.1`, `127.1`: the C library reads these as addresses; no
    // public name ends in a number.
    let numeric = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
            || part.starts_with("0x")
            || part.starts_with("0X")
    };
    numeric(last) || last.eq_ignore_ascii_case("localhost")
}

fn is_inner(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inner_v4(address),
        IpAddr::V6(address) => is_inner_v6(address),
    }
}

fn is_inner_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_inner_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if let Some(v4) = address.to_ipv4() {
        return is_inner_v4(v4) || address.to_ipv4_mapped().is_none();
    }
    // NAT64 and 6to4 carry an IPv4 address inside.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] || segments[0] == 0x2002 {
        let at = if segments[0] == 0x2002 { 1 } else { 6 };
        let (high, low) = (segments[at].to_be_bytes(), segments[at + 1].to_be_bytes());
        return is_inner_v4(Ipv4Addr::new(high[0], high[1], low[0], low[1]));
    }
    // Only 2000::/3 is given out.
    segments[0] & 0xe000 != 0x2000 || segments[0] == 0x2001 && segments[1] == 0xdb8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b92_nothing_is_sent_to_this_machine_its_link_or_a_clouds_metadata_unless_that_is_allowed() {
        let sent = |address: &str, allow: &[&str]| {
            let allow: Vec<Block> =
                allow.iter().map(|block| Block::parse(block).unwrap()).collect();
            may_be_sent_to(address.parse().unwrap(), &allow)
        };
        for barred in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "169.254.170.2",
            "255.255.255.255",
            "224.0.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:a9fe:a9fe::",
        ] {
            assert!(!sent(barred, &[]), "{barred}");
            assert!(sent(barred, &["0.0.0.0/0", "::/0"]), "{barred}");
        }
        for fine in ["10.1.2.3", "192.168.0.7", "172.16.0.1", "fd00::7", "1.1.1.1", "2606:4700::1"]
        {
            assert!(sent(fine, &[]), "{fine}");
        }
        assert!(sent("169.254.7.7", &["169.254.7.0/24"]));
        assert!(!sent("169.254.8.7", &["169.254.7.0/24"]));
    }

    #[test]
    fn b64_addresses_that_carry_an_inner_one_are_inner() {
        for inner in [
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fd00::1",
            "ff02::1",
            "192.0.0.8",
        ] {
            assert!(is_inner(inner.parse().unwrap()), "{inner}");
        }
        for public in ["1.1.1.1", "140.82.121.4", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(!is_inner(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn b64_a_block_opens_itself_and_nothing_beside_it() {
        let blocks = |texts: &[&str]| -> Vec<Block> {
            texts.iter().map(|text| Block::parse(text).unwrap()).collect()
        };
        let allow = blocks(&["10.1.0.0/16", "fd00:1::/32", "192.168.7.9/32"]);
        for open in ["10.1.255.3", "::ffff:10.1.2.3", "fd00:1:2::3", "192.168.7.9", "1.1.1.1"] {
            assert!(is_open(open.parse().unwrap(), &allow), "{open}");
        }
        for shut in ["10.2.0.1", "127.0.0.1", "192.168.7.8", "fd00:2::1", "::1"] {
            assert!(!is_open(shut.parse().unwrap(), &allow), "{shut}");
        }
        let all = blocks(&["0.0.0.0/0"]);
        assert!(is_open("127.0.0.1".parse().unwrap(), &all));
        assert!(!is_open_host("2130706433", &all), "not written as addresses are");
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "x/8", "10.0.0.0/-1"] {
            assert_eq!(Block::parse(wrong), None, "{wrong}");
        }
    }
}
