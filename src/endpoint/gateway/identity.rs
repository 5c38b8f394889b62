//! Who may pass, in headers for the API behind a gateway.

use crate::{Claims, Error, Reply, Scope, TenantName, access::is_resource_id};

/// The longest that all of them may be together. Gateways have a buffer for the head of an answer, and one that runs over is an
/// error that nobody finds the reason of.
const LEN: usize = 8 * 1024;

/// 200, with who it is.
pub(super) fn reply(claims: &Claims, tenant: Option<&TenantName>) -> Result<Reply, Error> {
    let authorization = claims.authorization();
    let held =
        tenant.and_then(|tenant| authorization.tenant(tenant.as_str())).unwrap_or_else(|| authorization.global());
    let client_id = claims.client_id().as_str();
    // Whoever reads a header takes spaces away from both of its ends (RFC 9110 §5.5), which may leave the name of another client.
    if client_id.trim() != client_id {
        return Err(Error::NotForHeaders);
    }
    let tenants: Vec<_> = authorization.tenants().map(|(tenant, _)| tenant.as_str()).collect();
    // A store or a verifier may have taken any text for a resource: one with a space would be two.
    let resources: Vec<_> = held.iter().filter(|resource| is_resource_id(resource)).collect();
    let headers = [
        ("X-Client-Id", client_id.to_owned()),
        ("X-Scope", claims.scope().map(Scope::to_string).unwrap_or_default()),
        ("X-Tenants", tenants.join(" ")),
        ("X-Resources", resources.join(" ")),
    ];
    if headers.iter().map(|(_, value)| value.len()).sum::<usize>() > LEN {
        return Err(Error::NotForHeaders);
    }
    let reply = Reply::ok(br#"{"result":"OK"}"#.to_vec());
    Ok(headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value)))
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::{Authorization, ClientId, Resources};

    fn claims(client_id: &str, authorization: Authorization) -> Claims {
        let now = OffsetDateTime::UNIX_EPOCH;
        Claims::new(ClientId::parse(client_id).unwrap(), now, now).with_authorization(authorization)
    }

    #[test]
    fn only_what_is_one_thing_in_a_header_gets_there() {
        let resources = ["good", "a b", "", "a\r\nX-Client-Id: root", "é", "\u{7f}", "tab\t", "comma,\"\\"];
        let claims = claims("a b", Authorization::new(resources.into_iter().collect(), []));
        let reply = reply(&claims, None).unwrap();
        let header = |name| reply.headers().find(|(n, _)| *n == name).unwrap().1.to_owned();
        assert_eq!(header("X-Resources"), "comma,\"\\ good");
        assert_eq!(
            (header("X-Client-Id"), header("X-Scope"), header("X-Tenants")),
            ("a b".into(), "".into(), "".into())
        );
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for client_id in [" root", "root ", " "] {
            assert!(matches!(reply(&claims(client_id, Authorization::default()), None), Err(Error::NotForHeaders)));
        }
        let tenant = |i| (TenantName::parse(format!("{i:064}")).unwrap(), Resources::default());
        for (tenants, fits) in [(126, true), (127, false)] {
            let claims = claims("a", Authorization::new(Resources::default(), (0..tenants).map(tenant)));
            assert_eq!(reply(&claims, None).is_ok(), fits, "{tenants}");
        }
    }
}
