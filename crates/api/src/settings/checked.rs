//! What requests ask for that keep all rules. The secrets are in clear until they are sealed.

use domain::Name;
use domain::instance::{Access, Edit, Hosted, Profile, Remote, RemoteTransport};
use store::Vault;
use url::Url;
use uuid::Uuid;

use super::secret::{Secrets, seal_all};
use crate::error::Error;

/// A new instance.
#[derive(Debug)]
pub(crate) struct NewInstance {
    pub(crate) name: Name,
    pub(crate) profile: Profile,
    pub(crate) access: NewAccess,
}

/// A template that a request asks for.
#[derive(Debug)]
pub(crate) enum NewTemplate {
    FromScratch(Box<NewInstance>),
    /// With the settings of the instance of this name or id.
    Of {
        name: Name,
        instance: String,
    },
}

/// An access mode whose secrets are still in clear.
#[derive(Debug)]
pub(crate) enum NewAccess {
    Hosted { hosted: Hosted, env: Secrets },
    Proxy(NewRemote),
    Direct(NewRemote),
}

#[derive(Debug)]
pub(crate) struct NewRemote {
    pub(super) transport: RemoteTransport,
    pub(super) url: Url,
    pub(super) headers: Secrets,
}

impl NewAccess {
    /// Where the gateways would lead.
    pub(crate) fn proxied_url(&self) -> Option<&Url> {
        match self {
            NewAccess::Proxy(remote) => Some(&remote.url),
            NewAccess::Hosted { .. } | NewAccess::Direct(_) => None,
        }
    }

    /// The access mode as a command carries it: every secret sealed under the key of the owner.
    ///
    /// # Errors
    /// The vault cannot be reached.
    pub(crate) async fn seal(self, owner: Uuid, vault: &Vault) -> Result<Access, Error> {
        Ok(match self {
            NewAccess::Hosted { hosted, env } => {
                Access::Hosted(Hosted { env: seal_all(env, owner, vault).await?, ..hosted })
            }
            NewAccess::Proxy(remote) => Access::Proxy(remote.seal(owner, vault).await?),
            NewAccess::Direct(remote) => Access::Direct(remote.seal(owner, vault).await?),
        })
    }
}

impl NewRemote {
    async fn seal(self, owner: Uuid, vault: &Vault) -> Result<Remote, Error> {
        Ok(Remote {
            transport: self.transport,
            url: self.url.into(),
            headers: seal_all(self.headers, owner, vault).await?,
        })
    }
}

/// What an edit asks for.
#[derive(Debug)]
pub(crate) enum CheckedEdit {
    Rename(Name),
    Edit(Box<NewEdit>),
}

/// An edit whose secrets are still in clear.
#[derive(Debug, Default)]
pub(crate) struct NewEdit {
    pub(super) edit: Edit,
    pub(super) env: Secrets,
    pub(super) headers: Secrets,
}

impl NewEdit {
    /// Where the server is from now on, if that is to be otherwise.
    pub(crate) fn url(&self) -> Option<Url> {
        self.edit.url.as_ref()?.parse().ok()
    }

    /// The edit as a command carries it: every secret sealed under the key of the owner.
    ///
    /// # Errors
    /// The vault cannot be reached.
    pub(crate) async fn seal(self, owner: Uuid, vault: &Vault) -> Result<Edit, Error> {
        let NewEdit { mut edit, env, headers } = self;
        let present = |(name, sealed)| (name, Some(sealed));
        edit.env.extend(seal_all(env, owner, vault).await?.into_iter().map(present));
        edit.headers.extend(seal_all(headers, owner, vault).await?.into_iter().map(present));
        Ok(edit)
    }

    /// The edit with something as long in the place of each secret: it is refused where the real one would be.
    pub(crate) fn outline(&self) -> Edit {
        let mut edit = self.edit.clone();
        for (secrets, sealed) in [(&self.env, &mut edit.env), (&self.headers, &mut edit.headers)] {
            let outlines = secrets.iter().map(|(name, secret)| (name.clone(), Some(secret.outline())));
            sealed.extend(outlines);
        }
        edit
    }

    /// Whether anything is to be otherwise.
    pub(super) fn says_something(&self) -> bool {
        self.edit != Edit::default() || !self.env.is_empty() || !self.headers.is_empty()
    }
}
