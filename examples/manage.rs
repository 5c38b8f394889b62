//! The management calls from a shell: clients, their secrets, API keys, tenants and roles, in the example `server` or any other
//! that answers them.
//!
//!     cargo run --example server
//!     export ADMIN_ID=administrator ADMIN_SECRET=… # what the first start printed
//!     alias manage="cargo run --quiet --example manage -- --cacert .client-credentials/localhost.pem"
//!     manage create --id my-client --enable
//!     manage assign my-client --tenant my-corporation
//!     manage --help
//!
//! What the server refuses is on the standard error, and the exit code is 1; it is 2 where the command line is wrong.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    iter,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{Args, CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use client_credentials::{
    RoleId, TenantName,
    time::{OffsetDateTime, format_description::well_known::Rfc3339},
};
use form_urlencoded::{Serializer, byte_serialize};
use serde_json::{Map, Value, json};
use ureq::{
    Agent,
    http::{Method, Request, request::Builder},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

/// Manages the clients and roles of an OAuth 2.0 authorization server.
#[derive(Parser)]
#[command(name = "manage")]
struct Arguments {
    #[command(flatten)]
    profile: Profile,
    /// Print the server's JSON as it is.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Which server, and who asks it. There is no flag for the secret, since whoever can run `ps` sees flags: it is in the
/// environment or in a file.
#[derive(Args)]
#[command(next_help_heading = "Server and administrator")]
struct Profile {
    /// Where the server is.
    #[arg(long, global = true, env = "CLIENT_CREDENTIALS_URL", default_value = "https://localhost:3081")]
    url: String,
    /// A PEM file of the certificates to trust, instead of the usual authorities.
    #[arg(long, global = true, value_name = "FILE", env = "CLIENT_CREDENTIALS_CACERT")]
    cacert: Option<PathBuf>,
    /// The client that holds the resources of the calls.
    #[arg(long, global = true, value_name = "CLIENT_ID", env = "ADMIN_ID", default_value = "administrator")]
    admin_id: String,
    /// The file with its secret; without it the secret is in the environment as ADMIN_SECRET.
    #[arg(long, global = true, value_name = "FILE", env = "ADMIN_SECRET_FILE")]
    secret_file: Option<PathBuf>,
    /// The scope to ask for, such as `tenant:NAME` where the resources are held in that tenant only.
    #[arg(long, global = true, value_name = "SCOPE", env = "ADMIN_SCOPE")]
    admin_scope: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists clients.
    List {
        /// What their identifiers or names contain.
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// From 1 on.
        #[arg(long)]
        page: Option<usize>,
        /// How many are on a page.
        #[arg(long)]
        items: Option<usize>,
    },
    /// Shows a client.
    Show {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
    },
    /// Registers a client, and shows its secret once.
    Create {
        /// Its identifier; by default the server makes one.
        #[arg(long, value_name = "CLIENT_ID", allow_hyphen_values = true)]
        id: Option<String>,
        #[command(flatten)]
        metadata: Metadata,
    },
    /// Changes a client; what is not given stays as it is.
    Update {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        #[command(flatten)]
        metadata: Metadata,
        /// Only if it is still of the version that `show` showed.
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
    },
    /// Deletes a client, and with it its opaque tokens and API keys.
    Delete {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
    },
    /// Gives a client a new secret, and shows it once.
    ResetSecret {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        /// How long the old ones go on, such as `24h`; by default they end at once.
        #[arg(long, value_name = "DURATION")]
        overlap: Option<String>,
    },
    /// Lists the secrets of a client, without their values.
    Secrets {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        /// Ends this one instead.
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        retire: Option<String>,
    },
    /// Assigns tenants and roles to a client, tenants first.
    Assign {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        #[command(flatten)]
        assigned: Assigned,
    },
    /// Takes tenants and roles from a client.
    Unassign {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        #[command(flatten)]
        assigned: Assigned,
    },
    /// Shows, creates, updates or deletes a role.
    #[command(subcommand)]
    Role(RoleCommand),
    /// Creates, lists or revokes the API keys of a client.
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
}

/// What `create` and `update` both set.
#[derive(Args)]
struct Metadata {
    /// Its `client_name`; an empty one takes it away.
    #[arg(long)]
    name: Option<String>,
    /// The scope that it may ask for; an empty one takes it away.
    #[arg(long)]
    scope: Option<String>,
    /// Its `token_endpoint_auth_method`.
    #[arg(long, value_name = "METHOD", value_parser = ["client_secret_basic", "client_secret_post"])]
    auth_method: Option<String>,
    /// Whether it may use the grant: its `seacatauth_credentials`.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enable: Option<bool>,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Assigned {
    /// A tenant; may be given several times.
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<TenantName>,
    /// A role of a tenant, or a global one as `*/ROLE`; may be given several times.
    #[arg(long = "role", value_name = "TENANT/ROLE")]
    roles: Vec<RoleId>,
}

#[derive(Subcommand)]
enum RoleCommand {
    /// Shows what a role gives.
    Show(Role),
    /// Defines a new role.
    Create(RoleDefinition),
    /// Replaces the definition of a role.
    Update(RoleDefinition),
    /// Deletes a role.
    Delete(Role),
}

#[derive(Args)]
struct Role {
    /// The role of a tenant, or a global one as `*/ROLE`.
    #[arg(value_name = "TENANT/ROLE")]
    id: RoleId,
}

#[derive(Args)]
struct RoleDefinition {
    #[command(flatten)]
    role: Role,
    /// A resource that it gives; may be given several times.
    #[arg(long = "resource", value_name = "RESOURCE", required = true)]
    resources: Vec<String>,
}

#[derive(Subcommand)]
enum ApiKeyCommand {
    /// Makes an API key, and shows it once.
    Create {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        /// How long it counts, such as `180d`, or until when, such as `2030-01-31`.
        #[arg(long, value_name = "EXPIRY")]
        exp: Option<String>,
        /// The tenant that it is for.
        #[arg(long, value_name = "NAME")]
        tenant: Option<TenantName>,
        /// What tells it from the others.
        #[arg(long)]
        label: Option<String>,
    },
    /// Lists the API keys of a client, without their values.
    List {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
    },
    /// Ends an API key, or all that the client has.
    Revoke {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        #[arg(allow_hyphen_values = true)]
        id: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln!`, which panics where nobody reads what it prints.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { profile, json, command }: Arguments) -> Result<(), Box<dyn Error>> {
    let server = Server::open(&profile)?;
    // The server's words, or else ours. Not by `println!`, which panics where nobody reads any more.
    let print = |answer: &Answer, text: &dyn Fn(&Answer) -> String| {
        writeln!(io::stdout(), "{}", if json { answer.body.clone() } else { text(answer) })
    };
    match command {
        Command::List { filter, page, items } => {
            let (page, items) = (page.map(|page| page.to_string()), items.map(|items| items.to_string()));
            let parameters = [("f", filter), ("p", page), ("i", items)];
            let parameters = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
            let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
            let columns = ["client_id", "client_name", "seacatauth_credentials", "tenants", "roles"];
            print(&server.get(&format!("/client?{query}"))?, &|answer| answer.table(&columns))?;
        }
        Command::Show { client_id } => print(&server.get(&path(&["client", &client_id]))?, &Answer::members)?,
        Command::Create { id, metadata } => {
            let mut members = metadata.members();
            members.extend(id.map(|id| ("preferred_client_id".into(), id.into())));
            print(&server.post("/client", members)?, &|answer| {
                format!("export CLIENT_ID={} CLIENT_SECRET={}", answer.text("client_id"), answer.text("client_secret"))
            })?;
        }
        Command::Update { client_id, metadata, if_match } => {
            let mut request = server.request(Method::PUT, &path(&["client", &client_id]));
            if let Some(etag) = if_match {
                // The quotation marks belong to it, but a shell takes them away.
                let quoted = etag == "*" || etag.starts_with(['"', 'W']);
                request = request.header("If-Match", if quoted { etag } else { format!("\"{etag}\"") });
            }
            print(&server.send(request, Some(metadata.members()))?, &Answer::result)?;
        }
        Command::Delete { client_id } => print(&server.delete(&path(&["client", &client_id]))?, &Answer::result)?,
        Command::ResetSecret { client_id, overlap } => {
            let members = object([("overlap", overlap.map(Value::from))]);
            let answer = server.post(&path(&["client", &client_id, "reset_secret"]), members)?;
            print(&answer, &|answer| format!("export CLIENT_SECRET={}", answer.text("client_secret")))?;
        }
        Command::Secrets { client_id, retire: None } => {
            let answer = server.get(&path(&["client", &client_id, "secret"]))?;
            print(&answer, &|answer| answer.table(&["_id", "created_at", "expires_at"]))?;
        }
        Command::Secrets { client_id, retire: Some(id) } => {
            print(&server.delete(&path(&["client", &client_id, "secret", &id]))?, &Answer::result)?;
        }
        Command::Assign { client_id, assigned } => {
            for (path, name) in assigned.paths(&client_id) {
                print(&server.post(&path, Map::new())?, &|answer| format!("{name}: {}", answer.result()))?;
            }
        }
        Command::Unassign { client_id, assigned } => {
            for (path, name) in assigned.paths(&client_id) {
                print(&server.delete(&path)?, &|answer| format!("{name}: {}", answer.result()))?;
            }
        }
        Command::Role(RoleCommand::Show(role)) => print(&server.get(&role.path())?, &Answer::members)?,
        Command::Role(RoleCommand::Create(RoleDefinition { role, resources })) => {
            let members = object([("resources", Some(json!(resources)))]);
            print(&server.post(&role.path(), members)?, &Answer::result)?;
        }
        Command::Role(RoleCommand::Update(RoleDefinition { role, resources })) => {
            let members = object([("resources", Some(json!(resources)))]);
            print(&server.send(server.request(Method::PUT, &role.path()), Some(members))?, &Answer::result)?;
        }
        Command::Role(RoleCommand::Delete(role)) => print(&server.delete(&role.path())?, &Answer::result)?,
        Command::ApiKey(ApiKeyCommand::Create { client_id, exp, tenant, label }) => {
            let tenant = tenant.map(|tenant| json!(tenant));
            let members =
                object([("exp", exp.map(Value::from)), ("tenant", tenant), ("label", label.map(Value::from))]);
            let answer = server.post(&path(&["client", &client_id, "token"]), members)?;
            print(&answer, &|answer| format!("export API_KEY={}", answer.text("token")))?;
        }
        Command::ApiKey(ApiKeyCommand::List { client_id }) => {
            let answer = server.get(&path(&["client", &client_id, "token"]))?;
            print(&answer, &|answer| answer.table(&["_id", "label", "tenant", "iat", "exp"]))?;
        }
        Command::ApiKey(ApiKeyCommand::Revoke { client_id, id }) => {
            let key = id.map(|id| path(&[&id])).unwrap_or_default();
            print(&server.delete(&(path(&["client", &client_id, "token"]) + &key))?, &Answer::result)?;
        }
    }
    Ok(())
}

impl Profile {
    /// The secret, or the end of the program with the exit code of a wrong command line.
    fn secret(&self) -> Result<String, Box<dyn Error>> {
        if let Some(path) = &self.secret_file {
            let secret = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            return Ok(secret.trim_end_matches(['\r', '\n']).into());
        }
        #[allow(clippy::disallowed_methods, reason = "a program, unlike a library, may read its environment")]
        match std::env::var("ADMIN_SECRET") {
            Ok(secret) => Ok(secret),
            Err(_) => {
                let missing = "the secret of the administrator is in neither ADMIN_SECRET nor a --secret-file";
                Arguments::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
            }
        }
    }
}

impl Metadata {
    fn members(self) -> Map<String, Value> {
        let text = |text: String| if text.is_empty() { Value::Null } else { text.into() };
        object([
            ("client_name", self.name.map(text)),
            ("scope", self.scope.map(text)),
            ("token_endpoint_auth_method", self.auth_method.map(Value::from)),
            ("seacatauth_credentials", self.enable.map(Value::from)),
        ])
    }
}

impl Assigned {
    /// The path for each, and its name.
    fn paths(&self, client_id: &str) -> Vec<(String, &str)> {
        let credentials = format!("seacatauth:client:{client_id}");
        let tenants = self.tenants.iter().map(TenantName::as_str);
        let tenants = tenants.map(|name| (path(&["tenant_assign", &credentials, name]), name));
        let roles = self.roles.iter().map(RoleId::as_str);
        let roles = roles.map(|id| (path(&["role_assign", &credentials]) + &halves(id), id));
        tenants.chain(roles).collect()
    }
}

impl Role {
    fn path(&self) -> String {
        path(&["role"]) + &halves(self.id.as_str())
    }
}

/// The end of a path that names a role.
fn halves(id: &str) -> String {
    path(&id.split('/').collect::<Vec<_>>())
}

fn path(segments: &[&str]) -> String {
    segments.iter().flat_map(|segment| [String::from("/"), encode(segment)]).collect()
}

/// Percent-encodes a text, in a way that a path and a form both decode.
fn encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The members that there are.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The server, and a token for it.
struct Server {
    agent: Agent,
    url: String,
    token: String,
}

impl Server {
    fn open(profile: &Profile) -> Result<Self, Box<dyn Error>> {
        let secret = profile.secret()?;
        let mut tls = TlsConfig::builder();
        if let Some(path) = &profile.cacert {
            let wrong = |error: &dyn Error| format!("{}: {error}", path.display());
            let pem = fs::read(path).map_err(|error| wrong(&error))?;
            let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
            let certificates = items.into_iter().filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            tls = tls.root_certs(RootCerts::from(certificates));
        }
        // Whoever it would redirect to is not who gets the secret.
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        let mut server =
            Self { agent: agent.into(), url: profile.url.trim_end_matches('/').into(), token: String::new() };

        // RFC 6749 §2.3.1: each half is form-encoded first.
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", encode(&profile.admin_id), encode(&secret)));
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.extend_pairs(profile.admin_scope.iter().map(|scope| ("scope", scope)));
        let request = Request::post(format!("{}/openidconnect/token", server.url))
            .header("Authorization", format!("Basic {credentials}"))
            .header("Content-Type", "application/x-www-form-urlencoded");
        server.token = server.answer(request, Some(form.finish()))?.text("access_token");
        Ok(server)
    }

    fn get(&self, path: &str) -> Result<Answer, Box<dyn Error>> {
        self.send(self.request(Method::GET, path), None)
    }

    fn post(&self, path: &str, members: Map<String, Value>) -> Result<Answer, Box<dyn Error>> {
        self.send(self.request(Method::POST, path), Some(members))
    }

    fn delete(&self, path: &str) -> Result<Answer, Box<dyn Error>> {
        self.send(self.request(Method::DELETE, path), None)
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        request.header("Authorization", format!("Bearer {}", self.token))
    }

    fn send(&self, request: Builder, members: Option<Map<String, Value>>) -> Result<Answer, Box<dyn Error>> {
        match members {
            Some(members) => {
                self.answer(request.header("Content-Type", "application/json"), Some(json!(members).to_string()))
            }
            None => self.answer(request, None),
        }
    }

    fn answer(&self, request: Builder, body: Option<String>) -> Result<Answer, Box<dyn Error>> {
        let response = match body {
            Some(body) => request.body(body).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
            None => request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
        };
        let mut response = response.map_err(|error| format!("{}: {error}", self.url))?;
        let body = response.body_mut().read_to_string().map_err(|error| format!("{}: {error}", self.url))?;
        let status = response.status();
        let etag = response.headers().get("ETag").and_then(|etag| etag.to_str().ok()).map(Value::from);
        // What stands between the server and here may answer something else.
        let json = serde_json::from_str(&body).unwrap_or_default();
        let answer = Answer { body, json, etag };
        if status.is_success() {
            return Ok(answer);
        }
        let said =
            ["error", "error_description"].map(|name| answer.text(name)).into_iter().filter(|said| !said.is_empty());
        Err(iter::once(status.to_string()).chain(said).collect::<Vec<_>>().join(": ").into())
    }
}

/// What the server answered to a call that it took.
struct Answer {
    body: String,
    json: Value,
    etag: Option<Value>,
}

impl Answer {
    /// A member, or nothing.
    fn text(&self, name: &str) -> String {
        self.json.get(name).map(|value| text(name, value)).unwrap_or_default()
    }

    fn result(&self) -> String {
        self.text("result")
    }

    /// A member a line, and the version.
    fn members(&self) -> String {
        let members = self.json.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
        let members = members.chain(self.etag.iter().map(|etag| ("ETag", etag)));
        aligned(&members.map(|(name, value)| vec![name.into(), text(name, value)]).collect::<Vec<_>>())
    }

    /// A list, with these members of each as columns.
    fn table(&self, columns: &[&str]) -> String {
        let data = self.json.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let cell = |row: &Value, name: &str| row.get(name).map(|value| text(name, value)).unwrap_or_default();
        let mut rows = vec![columns.iter().copied().map(String::from).collect::<Vec<_>>()];
        rows.extend(data.iter().map(|row| columns.iter().map(|name| cell(row, name)).collect()));
        let (here, count) = (data.len().to_string(), self.text("count"));
        let more = if here == count { String::new() } else { format!("\n{here} of {count}") };
        aligned(&rows) + &more
    }
}

fn text(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(|value| text(name, value)).collect::<Vec<_>>().join(" "),
        // RFC 7591 §3.2.1: in seconds since 1970.
        Value::Number(seconds) if name.ends_with("_at") => {
            let date = seconds.as_i64().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
            date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
        }
        other => other.to_string(),
    }
}

/// Rows of as many cells each, one below the other, `-` for one that is empty.
fn aligned(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| if cell.is_empty() { String::from("-") } else { cell.clone() };
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let mut widths = Vec::new();
    for row in &rows {
        widths.resize(row.len(), 0);
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
    }
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
