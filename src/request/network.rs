use std::net::{IpAddr, Ipv6Addr};

/// What an address is taken for: whoever has one of a /64 has all of them (RFC 4291 §2.5.4), and IPv4 looks like IPv6 on
/// some sockets (§2.5.5.2).
pub(super) fn of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4291_2_5_addresses_by_their_network() {
        for (address, counted_as) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
            ("::1", "::"),
        ] {
            let network = of(address.parse().unwrap());
            assert_eq!(network.to_string(), counted_as, "{address}");
        }
    }
}
