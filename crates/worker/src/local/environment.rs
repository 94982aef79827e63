//! The environment of a replica: a few variables of the worker's own, the instance's, and the platform's.
//!
//! The worker's environment may hold credentials of the platform, so it is never inherited: only names on a list
//! are passed on.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// What is passed on from the worker's own environment: where programs, homes, temporary files and caches are,
/// language and time zone, how the outside is reached, and whom TLS trusts.
pub(crate) const PASSED_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "PIP_INDEX_URL",
    "UV_CACHE_DIR",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "NPM_CONFIG_CACHE",
    "NPM_CONFIG_REGISTRY",
    "npm_config_cache",
    "npm_config_registry",
];

/// What every process is given: its output goes into a log, not to a terminal.
const PLAIN_OUTPUT: (&str, &str) = ("NO_COLOR", "1");

/// The variables of a process. No `Debug`: the values may be credentials.
#[derive(Clone)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Later ones win: what every process is given, what is passed on, the instance's own, the platform's.
    pub(crate) fn assemble(
        own: impl Fn(&str) -> Option<OsString>,
        also_passed: &[String],
        instance: impl IntoIterator<Item = (String, OsString)>,
        platform: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Environment {
        let passed = PASSED_VARIABLES.iter().copied().chain(also_passed.iter().map(String::as_str));
        let passed = passed.filter_map(|name| Some((OsString::from(name), own(name)?)));
        let instance = instance.into_iter().map(|(name, value)| (OsString::from(name), value));
        let given = std::iter::once((PLAIN_OUTPUT.0.into(), PLAIN_OUTPUT.1.into()));
        Environment(given.chain(passed).chain(instance).chain(platform).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn only_listed_variables_pass_and_nothing_displaces_the_platforms() {
        let own = |name: &str| match name {
            "PATH" => Some("/bin".into()),
            "HOME" => Some("/root".into()),
            "EXTRA" => Some("passed".into()),
            "ADMIN_KEY" => Some("secret".into()),
            _ => None,
        };
        let instance = [
            ("HOME".to_owned(), "/elsewhere".into()),
            ("API_TOKEN".to_owned(), "t".into()),
            ("MCPCAN_REPLICA".to_owned(), "forged".into()),
        ];
        let platform = [("MCPCAN_REPLICA".into(), "1".into())];
        let environment = Environment::assemble(own, &["EXTRA".to_owned()], instance, platform);
        let lines =
            environment.iter().map(|(name, value)| format!("{}={}\n", name.display(), value.display()));
        expect![[r#"
            API_TOKEN=t
            EXTRA=passed
            HOME=/elsewhere
            MCPCAN_REPLICA=1
            NO_COLOR=1
            PATH=/bin
        "#]]
        .assert_eq(&lines.collect::<String>());
    }
}
