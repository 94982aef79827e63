//! The OpenAPI document, made from the same lines that route requests: a route cannot be added without its
//! description, and what it takes is read off the types of its handler's extractors.
//!
//! Schemas are JSON Schema 2020-12, derived by schemars from the types that travel, which is what OpenAPI 3.1 speaks.
//! What only an operation's author knows (its name, its answers, its problems) is said in `contract/`.

mod document;
pub(crate) mod field;
mod input;
mod operation;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, get, on};
use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;

use crate::app::App;

pub(crate) use input::Inputs;
pub(crate) use operation::{Answer, Operation};

/// Routes, each with its description. There is no way to add one without the other.
pub(crate) struct Routes {
    router: Router<App>,
    described: Vec<Described>,
    prefix: &'static str,
    guarded: bool,
}

/// A route with what the document says of it.
pub(crate) struct Described {
    method: Method,
    path: String,
    /// Whether the admin key is needed.
    guarded: bool,
    operation: Operation,
}

impl Routes {
    /// Routes for everybody.
    pub(crate) fn open() -> Self {
        Routes { router: Router::new(), described: vec![], prefix: "", guarded: false }
    }

    /// Routes below a path, which need the admin key.
    pub(crate) fn guarded(prefix: &'static str) -> Self {
        Routes { router: Router::new(), described: vec![], prefix, guarded: true }
    }

    pub(crate) fn get<H: Handler<T, App>, T: Inputs>(self, path: &str, handler: H, is: Operation) -> Self {
        self.add((Method::GET, MethodFilter::GET), path, handler, is)
    }

    pub(crate) fn post<H: Handler<T, App>, T: Inputs>(self, path: &str, handler: H, is: Operation) -> Self {
        self.add((Method::POST, MethodFilter::POST), path, handler, is)
    }

    pub(crate) fn patch<H: Handler<T, App>, T: Inputs>(self, path: &str, handler: H, is: Operation) -> Self {
        self.add((Method::PATCH, MethodFilter::PATCH), path, handler, is)
    }

    pub(crate) fn put<H: Handler<T, App>, T: Inputs>(self, path: &str, handler: H, is: Operation) -> Self {
        self.add((Method::PUT, MethodFilter::PUT), path, handler, is)
    }

    pub(crate) fn delete<H: Handler<T, App>, T: Inputs>(self, path: &str, handler: H, is: Operation) -> Self {
        self.add((Method::DELETE, MethodFilter::DELETE), path, handler, is)
    }

    fn add<H: Handler<T, App>, T: Inputs>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &str,
        handler: H,
        mut operation: Operation,
    ) -> Self {
        T::describe(&mut operation);
        self.router = self.router.route(path, on(filter, handler));
        let path = format!("{}{path}", self.prefix);
        self.described.push(Described { method, path, guarded: self.guarded, operation });
        self
    }

    /// The router without its descriptions, for layers that belong to these routes alone.
    pub(crate) fn layered(self, layer: impl FnOnce(Router<App>) -> Router<App>) -> Self {
        Routes { router: layer(self.router), ..self }
    }

    /// Adds routes below their prefix.
    pub(crate) fn nest(mut self, inner: Routes) -> Self {
        self.router = self.router.nest(inner.prefix, inner.router);
        self.described.extend(inner.described);
        self
    }

    /// The router, which also serves the document of all routes, itself included.
    pub(crate) fn serve_document(self, path: &'static str, operation: Operation) -> Router<App> {
        let (router, document) = self.with_document(path, operation);
        let document = Bytes::from(document);
        router.route(path, get(async move || ([(CONTENT_TYPE, "application/json")], document.clone())))
    }

    /// The document as it is served.
    pub(crate) fn document(self, path: &'static str, operation: Operation) -> String {
        self.with_document(path, operation).1
    }

    fn with_document(mut self, path: &str, operation: Operation) -> (Router<App>, String) {
        self.described.push(Described {
            method: Method::GET,
            path: path.to_owned(),
            guarded: false,
            operation,
        });
        (self.router, document::render(&self.described))
    }
}
