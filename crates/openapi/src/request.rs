//! An HTTP request as it is to be sent.

use url::Url;

/// No `Debug`: header fields and address may hold credentials.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: RequestBody,
}

#[derive(Clone, Debug)]
pub enum RequestBody {
    None,
    /// Of this media type.
    Whole(String, Content),
    /// `multipart/…`, the media type without its boundary.
    Parts(String, Vec<Part>),
}

/// What a body or part is, or where it is to be got from first.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    Url(Url),
}

#[derive(Clone, Debug)]
pub struct Part {
    pub name: String,
    pub file_name: Option<String>,
    pub content_type: Option<String>,
    pub content: Content,
}

impl Request {
    pub(crate) fn add_query(&mut self, name: &str, value: &str) {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        self.url.push_str(name);
        self.url.push('=');
        self.url.push_str(value);
    }

    pub(crate) fn add_cookie(&mut self, pair: &str) {
        match self.headers.iter_mut().find(|(name, _)| name == "cookie") {
            Some((_, cookies)) => {
                cookies.push_str("; ");
                cookies.push_str(pair);
            }
            None => self.headers.push(("cookie".to_owned(), pair.to_owned())),
        }
    }

    /// Sets a header field in place of those of the same name.
    pub fn set_header(&mut self, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
    }
}

/// Parts as a body (RFC 7578), those left out whose content is still elsewhere. The boundary must stand in none of them.
pub fn multipart(parts: &[Part], boundary: &str) -> Vec<u8> {
    let mut body = vec![];
    for part in parts {
        let Content::Bytes(content) = &part.content else { continue };
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(&part.name));
        if let Some(file_name) = &part.file_name {
            head.push_str(&format!("; filename=\"{}\"", quoted(file_name)));
        }
        head.push_str("\r\n");
        if let Some(content_type) = &part.content_type {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        head.push_str("\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

/// A name between quotes, as browsers write it (WHATWG HTML, multipart/form-data encoding algorithm).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
