//! What writers wish for, and the requests that say so.

use reqwest::Method;
use serde_json::{Value, json};

use crate::random::Random;

/// What is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Create,
    Instantiate,
    Edit,
    Rename,
    Scale,
    Start,
    Stop,
    Restart,
    Delete,
    Issue,
    EditToken,
    Rotate,
    Revoke,
    SetPlan,
    ResetPlan,
    CreateTemplate,
    TakeTemplate,
    EditTemplate,
    RenameTemplate,
    DeleteTemplate,
}

/// How often each is wished where there is an instance.
const WEIGHTS: [(Wish, usize); 18] = [
    (Wish::Edit, 10),
    (Wish::Rename, 5),
    (Wish::Scale, 6),
    (Wish::Start, 8),
    (Wish::Stop, 8),
    (Wish::Restart, 12),
    (Wish::Delete, 8),
    (Wish::Issue, 12),
    (Wish::EditToken, 6),
    (Wish::Rotate, 5),
    (Wish::Revoke, 5),
    (Wish::SetPlan, 4),
    (Wish::ResetPlan, 3),
    (Wish::CreateTemplate, 2),
    (Wish::TakeTemplate, 3),
    (Wish::EditTemplate, 3),
    (Wish::RenameTemplate, 2),
    (Wish::DeleteTemplate, 3),
];

/// The most replicas that anybody wishes.
const REPLICAS: usize = 4;
/// The most days that anybody wishes.
const DAYS: usize = 5;

/// What a request needs to be there, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Instance(String),
    Token { id: String, instance: String },
    Template(String),
}

/// A command as it goes over the wire, any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) wish: Wish,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// What it is about, unless it makes something from nothing. The plan of an instance outlives it.
    pub(crate) about: Option<Thing>,
}

/// What writers know of one name.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) instance: Option<String>,
    /// With the instance that each belongs to.
    pub(crate) tokens: Vec<(String, String)>,
    pub(crate) template: Option<String>,
}

/// Whose turn it is, where, and how many places there are.
pub(crate) struct Turn<'a> {
    pub(crate) key: String,
    pub(crate) number: usize,
    pub(crate) slots: usize,
    pub(crate) random: &'a mut Random,
}

impl Turn<'_> {
    /// What to wish of a slot: creations where there is nothing, and everything else by weight.
    pub(crate) fn wish(mut self, slot: &Slot) -> Request {
        let Some(instance) = &slot.instance else {
            return match &slot.template {
                Some(template) if self.coin() => self.instantiate(template),
                Some(_) | None => self.create(),
            };
        };
        let choices: Vec<Wish> =
            WEIGHTS.iter().flat_map(|(wish, weight)| std::iter::repeat_n(*wish, *weight)).collect();
        match *self.random.one_of(&choices) {
            Wish::Create => self.create(),
            wish @ (Wish::Edit | Wish::Rename | Wish::Scale) => self.change(wish, instance),
            wish @ (Wish::Start | Wish::Stop | Wish::Restart | Wish::Delete) => self.control(wish, instance),
            wish @ (Wish::SetPlan | Wish::ResetPlan) => self.plan(wish, instance),
            wish @ (Wish::Issue | Wish::EditToken | Wish::Rotate | Wish::Revoke) => {
                let own: Vec<_> =
                    slot.tokens.iter().filter(|(of, _)| of == instance).map(|(_, token)| token).collect();
                match own.as_slice() {
                    [] => self.issue(instance),
                    _ if wish == Wish::Issue => self.issue(instance),
                    own => {
                        let token = (*self.random.one_of(own)).clone();
                        self.token(wish, instance, token)
                    }
                }
            }
            wish @ (Wish::Instantiate
            | Wish::CreateTemplate
            | Wish::TakeTemplate
            | Wish::EditTemplate
            | Wish::RenameTemplate
            | Wish::DeleteTemplate) => match &slot.template {
                Some(template) => self.template(wish, template, instance),
                None => self.new_template(wish, instance),
            },
        }
    }

    fn coin(&mut self) -> bool {
        self.random.below(2) == 0
    }

    fn request(
        self,
        wish: Wish,
        (method, path): (Method, String),
        body: Option<Value>,
        about: Option<Thing>,
    ) -> Request {
        Request { key: self.key, wish, method, path, body, about }
    }

    /// Settings with a secret, hosted or elsewhere. Nothing runs: there is no worker.
    fn settings(&mut self, name: String) -> Value {
        let secret = format!("secret of {}", self.key);
        if self.coin() {
            let command = json!({ "program": "true", "env": { "KEY": secret } });
            json!({ "name": name, "access": "hosted", "transport": "stdio", "command": command })
        } else {
            json!({
                "name": name, "access": "proxy", "transport": "streamable-http",
                "url": "http://127.0.0.1:9/mcp", "headers": { "X-Key": secret },
            })
        }
    }

    fn create(mut self) -> Request {
        let body = self.settings(format!("slot-{}", self.number));
        self.request(Wish::Create, (Method::POST, "/instances".to_owned()), Some(body), None)
    }

    fn instantiate(self, template: &str) -> Request {
        let body = json!({ "name": format!("slot-{}", self.number), "notes": self.key });
        let way = (Method::POST, format!("/templates/{template}/instantiate"));
        self.request(Wish::Instantiate, way, Some(body), Some(Thing::Template(template.to_owned())))
    }

    fn change(mut self, wish: Wish, instance: &str) -> Request {
        let path = format!("/instances/{instance}");
        let about = Some(Thing::Instance(instance.to_owned()));
        match wish {
            Wish::Scale => {
                let body = json!({ "replicas": self.random.below(REPLICAS) + 1 });
                self.request(wish, (Method::POST, format!("{path}/scale")), Some(body), about)
            }
            Wish::Rename => {
                let number = if self.coin() { self.number } else { self.random.below(self.slots) };
                let body = json!({ "name": format!("slot-{number}") });
                self.request(wish, (Method::PATCH, path), Some(body), about)
            }
            _ => {
                // A hosted instance has no header fields, and refuses.
                let mut body = json!({ "notes": self.key });
                if self.coin() {
                    body["headers"] = json!({ "X-Edited": format!("secret of {}", self.key) });
                }
                self.request(wish, (Method::PATCH, path), Some(body), about)
            }
        }
    }

    fn control(self, wish: Wish, instance: &str) -> Request {
        let path = format!("/instances/{instance}");
        let way = match wish {
            Wish::Start => (Method::POST, format!("{path}/start")),
            Wish::Stop => (Method::POST, format!("{path}/stop")),
            Wish::Restart => (Method::POST, format!("{path}/restart")),
            _ => (Method::DELETE, path),
        };
        self.request(wish, way, None, Some(Thing::Instance(instance.to_owned())))
    }

    fn plan(self, wish: Wish, instance: &str) -> Request {
        let path = format!("/instances/{instance}/retention");
        if wish == Wish::ResetPlan {
            return self.request(wish, (Method::DELETE, path), None, None);
        }
        let (access_log, container_log) = (self.random.below(DAYS) + 1, self.random.below(DAYS) + 1);
        let body = json!({ "access_log_days": access_log, "container_log_days": container_log });
        self.request(wish, (Method::PUT, path), Some(body), None)
    }

    fn issue(self, instance: &str) -> Request {
        let body = json!({ "kind": "bearer", "label": format!("issued by {}", self.key) });
        let way = (Method::POST, format!("/instances/{instance}/tokens"));
        self.request(Wish::Issue, way, Some(body), Some(Thing::Instance(instance.to_owned())))
    }

    fn token(self, wish: Wish, instance: &str, id: String) -> Request {
        let path = format!("/instances/{instance}/tokens/{id}");
        let about = Some(Thing::Token { id, instance: instance.to_owned() });
        match wish {
            Wish::Rotate => self.request(wish, (Method::POST, format!("{path}/rotate")), None, about),
            Wish::Revoke => self.request(wish, (Method::DELETE, path), None, about),
            _ => {
                let body = json!({ "label": format!("edited by {}", self.key) });
                self.request(wish, (Method::PATCH, path), Some(body), about)
            }
        }
    }

    fn new_template(mut self, wish: Wish, instance: &str) -> Request {
        let (name, way) = (format!("template-{}", self.number), (Method::POST, "/templates".to_owned()));
        if wish == Wish::CreateTemplate {
            let body = self.settings(name);
            return self.request(wish, way, Some(body), None);
        }
        let body = json!({ "name": name, "from": instance });
        self.request(Wish::TakeTemplate, way, Some(body), Some(Thing::Instance(instance.to_owned())))
    }

    fn template(self, wish: Wish, template: &str, instance: &str) -> Request {
        let path = format!("/templates/{template}");
        let about = Some(Thing::Template(template.to_owned()));
        match wish {
            Wish::CreateTemplate | Wish::TakeTemplate => self.new_template(wish, instance),
            Wish::RenameTemplate => {
                let body = json!({ "name": format!("template-{}", self.random.below(self.slots)) });
                self.request(wish, (Method::PATCH, path), Some(body), about)
            }
            Wish::DeleteTemplate => self.request(wish, (Method::DELETE, path), None, about),
            _ => {
                let body = json!({ "notes": self.key });
                self.request(Wish::EditTemplate, (Method::PATCH, path), Some(body), about)
            }
        }
    }
}
