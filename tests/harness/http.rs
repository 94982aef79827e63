//! Plain HTTP requests, for what no client of the product does.

/// A client that follows nothing and trusts nobody's proxy.
pub fn http() -> reqwest::Client {
    // The tests speak plain HTTP, but the library wants a provider of TLS even so. The second time it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.build().expect("nothing in it can fail")
}
