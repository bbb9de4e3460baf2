//! How servers are reached: whose certificates are believed, and through which proxies.
//!
//! Fetches use this, too. Requests to `http:` addresses go through a proxy as those to
//! `https:` ones do, by a tunnel (CONNECT).

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, LazyLock, OnceLock},
    time::Duration,
};

use ureq::{
    Agent, Proxy,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// What a network has of its own: authorities, and proxies.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Authorities beside those of the system.
    authorities: Vec<Certificate<'static>>,
    http: Option<Proxy>,
    https: Option<Proxy>,
    without: Vec<Exception>,
}

/// A setting of the network that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It has no certificate in it.
    #[error("there is no certificate in it (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// A certificate that is none.
    #[error("a certificate in it is none")]
    Certificate,
    /// An address of a proxy that is none. It is not shown: it may hold a password.
    #[error("it is no address of a proxy, such as 'http://host:port'")]
    Proxy,
}

impl Network {
    /// Believe the authorities whose certificates are in a text, in PEM, beside those that
    /// the system knows.
    pub fn with_authorities(mut self, pem: &[u8]) -> Result<Self, NetworkError> {
        let before = self.authorities.len();
        for item in parse_pem(pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => self.authorities.push(certificate),
                Ok(_) => {}
                Err(_) => return Err(NetworkError::Certificate),
            }
        }
        if self.authorities.len() == before { Err(NetworkError::NoCertificate) } else { Ok(self) }
    }

    /// Reach addresses of the scheme `http` through a proxy.
    pub fn with_http_proxy(mut self, proxy: &str) -> Result<Self, NetworkError> {
        self.http = Some(Proxy::new(proxy).map_err(|_| NetworkError::Proxy)?);
        Ok(self)
    }

    /// Reach addresses of the scheme `https` through a proxy.
    pub fn with_https_proxy(mut self, proxy: &str) -> Result<Self, NetworkError> {
        self.https = Some(Proxy::new(proxy).map_err(|_| NetworkError::Proxy)?);
        Ok(self)
    }

    /// Reach these hosts without a proxy: names, with all that is below them, addresses and
    /// networks (`10.0.0.0/8`), between commas; `*` stands for all.
    pub fn without_proxy(mut self, hosts: &str) -> Self {
        let hosts = hosts.split([',', ' ']).map(str::trim).filter(|host| !host.is_empty());
        self.without.extend(hosts.map(Exception::new));
        self
    }

    fn tls(&self) -> TlsConfig {
        let roots = match &self.authorities[..] {
            [] => RootCerts::PlatformVerifier,
            more => RootCerts::from(SYSTEM.iter().chain(more).cloned()),
        };
        TlsConfig::builder().root_certs(roots).build()
    }
}

/// The system's authorities, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. One that
/// cannot be read vouches for nobody.
static SYSTEM: LazyLock<Vec<Certificate<'static>>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
});

/// Hosts that are reached without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// A name and all that is below it, in lower case.
    Name(String),
    /// The addresses that begin with as many bits of this one.
    Block(IpAddr, u32),
}

impl Exception {
    fn new(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok()),
            None => (text, Some(u128::BITS)),
        };
        match (address.trim_matches(['[', ']']).parse(), bits) {
            (Ok(address), Some(bits)) => Self::Block(address, bits),
            _ => Self::Name(text.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase()),
        }
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Name(name) => {
                let host = host.to_ascii_lowercase();
                let above = host.strip_suffix(name.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            Self::Block(block, bits) => match (host.parse(), block) {
                (Ok(IpAddr::V4(host)), IpAddr::V4(block)) => {
                    let differing = (host.to_bits() ^ block.to_bits()).leading_zeros();
                    differing >= (*bits).min(u32::BITS)
                }
                (Ok(IpAddr::V6(host)), IpAddr::V6(block)) => {
                    let differing = (host.to_bits() ^ block.to_bits()).leading_zeros();
                    differing >= (*bits).min(u128::BITS)
                }
                _ => false,
            },
        }
    }
}

/// How long servers are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, for an answer, and for more of it.
    pub silence: Duration,
    /// For a whole answer, if that has a bound.
    pub whole: Option<Duration>,
}

/// Clients, one for each way to a server, made when one is first asked for: reading the
/// system's certificates takes longer than much that needs no server. Clones use the same
/// connections.
#[derive(Clone)]
pub struct Clients(Arc<Inner>);

struct Inner {
    network: Network,
    patience: Patience,
    agents: OnceLock<Agents>,
}

struct Agents {
    direct: Agent,
    http: Option<Agent>,
    https: Option<Agent>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

impl Clients {
    /// Clients in a network.
    pub fn new(network: &Network, patience: Patience) -> Self {
        Self(Arc::new(Inner { network: network.clone(), patience, agents: OnceLock::new() }))
    }

    /// The one that reaches an address.
    pub fn to(&self, address: &str) -> &Agent {
        let Inner { network, patience, agents } = &*self.0;
        let agents = agents.get_or_init(|| Agents::new(network, *patience));
        let Ok(url) = url::Url::parse(address) else { return &agents.direct };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let proxied = if url.scheme() == "https" { &agents.https } else { &agents.http };
        match proxied {
            Some(agent) if !network.without.iter().any(|it| it.matches(host)) => agent,
            _ => &agents.direct,
        }
    }
}

impl Agents {
    fn new(network: &Network, patience: Patience) -> Self {
        let tls = network.tls();
        let agent = |proxy: Option<Proxy>| {
            Agent::config_builder()
                .tls_config(tls.clone())
                .proxy(proxy)
                .http_status_as_error(false)
                .user_agent(concat!("hb/", env!("CARGO_PKG_VERSION")))
                .max_idle_connections_per_host(16)
                .timeout_connect(Some(patience.silence))
                .timeout_recv_response(Some(patience.silence))
                .timeout_per_read(Some(patience.silence))
                .timeout_global(patience.whole)
                .build()
                .new_agent()
        };
        let through = |proxy: &Option<Proxy>| proxy.clone().map(|proxy| agent(Some(proxy)));
        Self { direct: agent(None), http: through(&network.http), https: through(&network.https) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_without_a_proxy_are_names_what_is_below_them_addresses_and_networks() {
        let network = Network::default()
            .without_proxy("localhost, .inside.example,*.lab.example 10.1.0.0/16,[::1],fd00::/8");
        let is_without = |host: &str| network.without.iter().any(|it| it.matches(host));
        for host in [
            "localhost",
            "inside.example",
            "a.Inside.example",
            "x.lab.example",
            "10.1.255.1",
            "::1",
            "fd12::1",
        ] {
            assert!(is_without(host), "{host}");
        }
        for host in ["notinside.example", "example", "10.2.0.1", "::2", "fe80::1", "127.0.0.1"] {
            assert!(!is_without(host), "{host}");
        }
        assert!(Exception::new("*").matches("anything"));
        assert!(Exception::new("0.0.0.0/0").matches("1.2.3.4"));
    }

    #[test]
    fn each_scheme_has_a_proxy_of_its_own() {
        let network = Network::default()
            .with_https_proxy("http://user:secret@proxy.example:3128")
            .unwrap()
            .without_proxy("inside.example");
        let patience = Patience { silence: Duration::from_secs(1), whole: None };
        let clients = Clients::new(&network, patience);
        let proxy = |address| clients.to(address).config().proxy().map(|it| it.host().to_owned());
        assert_eq!(proxy("https://outside.example/").as_deref(), Some("proxy.example"));
        assert_eq!(proxy("http://outside.example/"), None);
        assert_eq!(proxy("https://inside.example:8443/x"), None);
    }

    #[test]
    fn what_has_no_meaning_is_refused_without_being_shown() {
        let network = Network::default;
        let error = network().with_http_proxy("http://user:secret@").unwrap_err();
        assert!(!error.to_string().contains("secret"));
        let pem = network().with_authorities(b"none");
        assert_eq!(pem.unwrap_err(), NetworkError::NoCertificate);
    }
}
