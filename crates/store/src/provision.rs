//! Makes NATS what `nats/` declares: streams, buckets and consumers. Can be repeated; says what it changed.

use std::fmt;

use async_nats::jetstream::response::Response;
use serde_json::{Map, Value, json};

use crate::connection::Store;
use crate::error::{During, Unavailable};

/// The configuration of the server beside one mcpcan, without port, directory and credentials.
pub const SERVER_CONFIG: &str = include_str!("../../../nats/server.conf");

/// JetStream's error codes for what does not exist.
const STREAM_NOT_FOUND: u64 = 10059;
const CONSUMER_NOT_FOUND: u64 = 10014;

macro_rules! declarations {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../nats/", $folder, "/", $name, ".json")))),+]
    };
}

/// The declared streams by file name.
pub(crate) const STREAM_FILES: &[(&str, &str)] = &declarations!("streams": "COMMANDS", "OUTCOMES", "IMPORTS", "EVENTS", "TRACES", "LOGS", "SAMPLES", "DEAD_LETTERS");
/// The declared buckets by file name.
pub(crate) const BUCKET_FILES: &[(&str, &str)] = &declarations!(
    "buckets":
    "instances",
    "tokens",
    "templates",
    "retention_plans",
    "keys",
    "sinks",
    "snapshots",
    "leases",
    "views",
    "chain",
    "roles",
    "documents",
);
/// The declared consumers by file name.
pub(crate) const CONSUMER_FILES: &[(&str, &str)] =
    &declarations!("consumers": "decider", "reactions", "importer");

/// What provisioning found or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    pub name: String,
    pub action: Action,
}

/// What was provisioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stream,
    Bucket,
    Consumer,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Created,
    /// The named settings had other values.
    Updated(Vec<String>),
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Stream => "stream",
            Kind::Bucket => "bucket",
            Kind::Consumer => "consumer",
        };
        match &self.action {
            Action::Created => write!(f, "{kind} {} created", self.name),
            Action::Updated(settings) => write!(f, "{kind} {} updated: {}", self.name, settings.join(", ")),
            Action::Unchanged => write!(f, "{kind} {} unchanged", self.name),
        }
    }
}

/// Why NATS could not be made what is declared.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("the server refuses to {operation} {name}")]
    Refused {
        operation: &'static str,
        name: String,
        #[source]
        source: async_nats::jetstream::Error,
    },
}

impl Store {
    /// Makes NATS what is declared. `replicas` overrides the number of copies of each stream: 1 on a single
    /// server, 3 in a cluster.
    ///
    /// # Errors
    /// See [`ProvisionError`].
    pub async fn provision(&self, replicas: u8) -> Result<Vec<Change>, ProvisionError> {
        let mut changes = Vec::new();
        for (kind, files) in [(Kind::Stream, STREAM_FILES), (Kind::Bucket, BUCKET_FILES)] {
            for (name, file) in files {
                let mut wanted = declaration(file);
                wanted.insert("num_replicas".to_owned(), json!(replicas));
                if replicas > 1 {
                    // A replicated stream cannot be asynchronous; its copies are what makes it safe and fast enough.
                    wanted.remove("persist_mode");
                }
                let action = self.provision_stream(&wanted).await?;
                changes.push(Change { kind, name: (*name).to_owned(), action });
            }
        }
        for (name, file) in CONSUMER_FILES {
            let action = self.provision_consumer(name, &declaration(file)).await?;
            changes.push(Change { kind: Kind::Consumer, name: (*name).to_owned(), action });
        }
        Ok(changes)
    }

    async fn provision_stream(&self, wanted: &Map<String, Value>) -> Result<Action, ProvisionError> {
        let name = wanted["name"].as_str().expect("every declared stream has a name");
        let Some(found) = self.config_of(&format!("STREAM.INFO.{name}"), STREAM_NOT_FOUND).await? else {
            self.change("create", name, format!("STREAM.CREATE.{name}"), &json!(wanted)).await?;
            return Ok(Action::Created);
        };
        let different = differences(wanted, &found);
        if different.is_empty() {
            return Ok(Action::Unchanged);
        }
        // What is not declared keeps the value that it has.
        let merged: Map<_, _> = found.into_iter().chain(wanted.clone()).collect();
        self.change("update", name, format!("STREAM.UPDATE.{name}"), &json!(merged)).await?;
        Ok(Action::Updated(different))
    }

    async fn provision_consumer(
        &self,
        name: &str,
        wanted: &Map<String, Value>,
    ) -> Result<Action, ProvisionError> {
        let stream = wanted["stream_name"].as_str().expect("every declared consumer has a stream");
        let config = wanted["config"].as_object().expect("every declared consumer has a configuration");
        let found = self.config_of(&format!("CONSUMER.INFO.{stream}.{name}"), CONSUMER_NOT_FOUND).await?;
        let (operation, action) = match found {
            None => ("create", Action::Created),
            Some(found) => match differences(config, &found) {
                different if different.is_empty() => return Ok(Action::Unchanged),
                different => ("update", Action::Updated(different)),
            },
        };
        let request = json!({ "stream_name": stream, "config": config });
        self.change(operation, name, format!("CONSUMER.CREATE.{stream}.{name}"), &request).await?;
        Ok(action)
    }

    /// The configuration that the server has, or none.
    async fn config_of(
        &self,
        api: &str,
        not_found: u64,
    ) -> Result<Option<Map<String, Value>>, ProvisionError> {
        const OPERATION: &str = "look at what is provisioned";
        let response: Response<Value> =
            self.jetstream.request(api.to_owned(), &json!({})).await.during(OPERATION)?;
        match response {
            Response::Ok(info) => Ok(info["config"].as_object().cloned()),
            Response::Err { error } if error.error_code().0 == not_found => Ok(None),
            Response::Err { error } => Err(Unavailable::new(OPERATION, error).into()),
        }
    }

    async fn change(
        &self,
        operation: &'static str,
        name: &str,
        api: String,
        request: &Value,
    ) -> Result<(), ProvisionError> {
        let response: Response<Value> =
            self.jetstream.request(api, request).await.during("change what is provisioned")?;
        match response {
            Response::Ok(_) => Ok(()),
            Response::Err { error: source } => {
                Err(ProvisionError::Refused { operation, name: name.to_owned(), source })
            }
        }
    }
}

fn declaration(file: &str) -> Map<String, Value> {
    serde_json::from_str(file).expect("the files in nats/ are JSON objects, which a test checks")
}

/// The declared settings that the server has otherwise.
fn differences(wanted: &Map<String, Value>, found: &Map<String, Value>) -> Vec<String> {
    wanted
        .iter()
        .filter(|(setting, value)| found.get(*setting) != Some(value))
        .map(|(setting, _)| setting.clone())
        .collect()
}
