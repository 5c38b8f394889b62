//! What the query of a gateway's request asks.

use crate::{Config, Error, ParameterName, Requirements, TenantName, access::is_resource_id, form};

/// What is required of the token.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) required: Requirements,
    pub(super) tenant: Option<TenantName>,
    pub(super) audience: Option<String>,
}

impl Question {
    /// Other than elsewhere (RFC 6749 §3.2), nothing that is empty or unknown is passed over: what is overlooked here is not
    /// required, and opens a door.
    pub(super) fn parse(query: &str, config: &Config) -> Result<Self, Error> {
        if query.len() > config.max_body_bytes() {
            return Err(Error::QueryTooLong);
        }
        if form::count(query.as_bytes()) > config.max_parameters() {
            return Err(Error::TooManyParameters);
        }
        let (mut scope, mut tenant, mut audience, mut resources) = (None, None, None, Vec::new());
        for (name, value) in form::pairs(query) {
            let (name, value) = (decode(name)?, decode(value)?);
            let (known, once) = match name.as_str() {
                "scope" => ("scope", &mut scope),
                "tenant" => ("tenant", &mut tenant),
                "audience" => ("audience", &mut audience),
                "resource" if is_resource_id(&value) => {
                    resources.push(value);
                    continue;
                }
                "resource" => {
                    return Err(Error::WrongParameter("resource", "it has 1 to 256 visible ASCII characters"));
                }
                name => return Err(Error::UnknownParameter(ParameterName::of(name))),
            };
            if once.replace(value).is_some() {
                return Err(Error::RepeatedParameter(known));
            }
        }
        if audience.as_deref() == Some("") {
            return Err(Error::WrongParameter("audience", "it is not empty"));
        }
        let mut required = Requirements::default().resources(resources);
        if let Some(scope) = scope {
            if scope.split(' ').count() > config.max_scope_tokens() {
                return Err(Error::TooManyScopeTokens);
            }
            required = required.scope(&scope).map_err(|_| Error::MalformedScope)?;
        }
        let tenant = tenant.map(TenantName::parse).transpose();
        let tenant = tenant.map_err(|expected| Error::WrongParameter("tenant", expected.0))?;
        if let Some(tenant) = &tenant {
            required = required.in_tenant(tenant.clone());
        }
        Ok(Self { required, tenant, audience })
    }
}

fn decode(encoded: &str) -> Result<String, Error> {
    form::decode(encoded).map(|text| text.to_owned()).map_err(|_| Error::MalformedQuery)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Question, Error> {
        Question::parse(query, &Config::default())
    }

    #[test]
    fn each_parameter_requires_something() {
        let question =
            parse("scope=read+write&tenant=acme&resource=a:b&resource=c%26&audience=https%3A%2F%2Fapi").unwrap();
        let required = Requirements::default().scope("read write").unwrap().resources(["a:b", "c&"]);
        assert_eq!(question.required, required.tenant("acme").unwrap());
        assert_eq!(question.tenant.unwrap().as_str(), "acme");
        assert_eq!(question.audience.unwrap(), "https://api");
        for nothing in ["", "&", "&&"] {
            assert_eq!(parse(nothing).unwrap().required, Requirements::default());
        }
    }

    #[test]
    fn nothing_is_passed_over() {
        let long = "x".repeat(257);
        let many = "resource=a&".repeat(32);
        for (query, status) in [
            ("resources=a", 400),
            ("Scope=read", 400),
            ("scopes=read", 400),
            ("scope", 400),
            ("scope=", 400),
            ("scope=%20", 400),
            ("scope=a++b", 400),
            ("scope=a%22", 400),
            ("scope=a&scope=a", 400),
            ("tenant=", 400),
            ("tenant=*", 400),
            ("tenant=a/b", 400),
            ("tenant=a%20b", 400),
            ("tenant=a&tenant=b", 400),
            ("resource=", 400),
            ("resource=a+b", 400),
            ("resource=%C3%A9", 400),
            ("resource=a%0D%0Ab", 400),
            (&format!("resource={long}"), 400),
            ("audience=", 400),
            ("audience=a&audience=a", 400),
            ("=a", 400),
            ("scope=%zz", 400),
            ("scope=%ff", 400),
            ("%zz=a", 400),
            ("access_token=a", 400),
            (&many, 400),
            (&format!("scope={}", "a+".repeat(64) + "a"), 400),
            (&"&".repeat(17_000), 400),
            (&format!("audience={}", "a".repeat(17_000)), 400),
        ] {
            let cause = parse(query).unwrap_err();
            assert_eq!(cause.response().status(), status, "{query} {cause:?}");
            let description = cause.response().error_description().to_owned();
            assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{description}");
        }
    }
}
