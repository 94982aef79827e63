//! Reads a document from a file or an address, and what it refers to: files below its own folder, or addresses of its own
//! origin. Nothing else is followed, whatever a document says: it may come from anybody.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openapi::Document;
use openapi::limit::{DOCUMENT_BYTES_MAX, DOCUMENTS_MAX};
use reqwest::Client;
use url::Url;

use super::super::usage;
use crate::failure::Failure;

/// How long one document may take to come.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// The folder that a file's document lies in, by the address that it is given: nothing of this machine gets into it.
const FOLDER: &str = "file:///openapi/";
/// What is said of a reference until it has been followed.
const TO_FOLLOW: &str = "is not followed yet";

/// Where a document lies.
enum Place {
    File { folder: PathBuf },
    Address(Client),
}

pub(super) async fn document(place: &str) -> Result<Document, Failure> {
    let failed = |reason: String| usage(&format!("--openapi {place}: {reason}"));
    let (origin, location, bytes) = open(place).await.map_err(failed)?;
    let mut found: HashMap<Url, Result<Vec<u8>, String>> = HashMap::new();
    loop {
        let mut wanted = vec![];
        let read = Document::read(&bytes, Some(&location), &mut |url| match found.get(url) {
            Some(found) => found.clone(),
            None => {
                wanted.push(url.clone());
                Err(TO_FOLLOW.to_owned())
            }
        });
        let document = read.map_err(|refused| failed(refused.to_string()))?;
        if wanted.is_empty() {
            return Ok(document);
        }
        for url in wanted {
            let fetched = match found.len() < DOCUMENTS_MAX {
                true => origin.fetch(&location, &url).await,
                false => Err(format!("more than {DOCUMENTS_MAX} documents are referred to")),
            };
            found.insert(url, fetched);
        }
    }
}

/// The document itself, with its address.
async fn open(place: &str) -> Result<(Place, Url, Vec<u8>), String> {
    match Url::parse(place).ok().filter(|url| matches!(url.scheme(), "http" | "https")) {
        Some(url) => {
            let client =
                Client::builder().timeout(FETCH_TIMEOUT).build().map_err(|error| error.to_string())?;
            let (location, bytes) = get(&client, url).await?;
            Ok((Place::Address(client), location, bytes))
        }
        None => {
            let path = Path::new(place).canonicalize().map_err(|error| error.to_string())?;
            let bytes = read(&path)?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mut location = Url::parse(FOLDER).map_err(|error| error.to_string())?;
            if let Ok(mut segments) = location.path_segments_mut() {
                segments.pop_if_empty().push(&name);
            }
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            Ok((Place::File { folder }, location, bytes))
        }
    }
}

impl Place {
    async fn fetch(&self, location: &Url, url: &Url) -> Result<Vec<u8>, String> {
        match self {
            Place::File { folder } => {
                let within = url.as_str().strip_prefix(FOLDER).ok_or("is not below the document's folder")?;
                let within: PathBuf = within.split('/').map(decoded).collect();
                let path = folder.join(within).canonicalize().map_err(|error| error.to_string())?;
                // Links may lead out of it as well.
                if !path.starts_with(folder) {
                    return Err("is not below the document's folder".to_owned());
                }
                read(&path)
            }
            Place::Address(client) => {
                if url.origin() != location.origin() {
                    return Err("is of another origin than the document, and is not followed".to_owned());
                }
                let (reached, bytes) = get(client, url.clone()).await?;
                if reached.origin() != location.origin() {
                    return Err("leads to another origin than the document's".to_owned());
                }
                Ok(bytes)
            }
        }
    }
}

fn decoded(segment: &str) -> String {
    let pairs = url::form_urlencoded::parse(segment.as_bytes()).next();
    pairs.map(|(name, _)| name.into_owned()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > DOCUMENT_BYTES_MAX as u64 {
        return Err(format!("has more than {DOCUMENT_BYTES_MAX} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

async fn get(client: &Client, url: Url) -> Result<(Url, Vec<u8>), String> {
    let broken = |error: reqwest::Error| error.without_url().to_string();
    let mut response = client.get(url).send().await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(format!("HTTP {}", response.status()));
    }
    let mut bytes = vec![];
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > DOCUMENT_BYTES_MAX {
            return Err(format!("has more than {DOCUMENT_BYTES_MAX} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((response.url().clone(), bytes))
}
