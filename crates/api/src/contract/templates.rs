//! Templates.

use http::StatusCode as S;

use super::instances::{SETTINGS_PROBLEMS, instance};
use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation, field};
use crate::paging::Page;
use crate::templates::{DeletedTemplate, TemplateDocument};

fn template(description: &'static str) -> Answer {
    Answer::json::<TemplateDocument<'_>>(description).with(field::ETAG)
}

pub(crate) fn list() -> Operation {
    Operation::new("list_templates", "List templates, by name")
        .answers(S::OK, Answer::json::<Page<TemplateDocument<'_>>>("One page of templates"))
}

pub(crate) fn create() -> Operation {
    let created = template("The template").with(field::LOCATION);
    Operation::new("create_template", "Create a template, from nothing or from an instance")
        .description("Values of `env` and `headers` are kept sealed, those of an instance anew.")
        .answers(S::CREATED, created.identifies("template", "/id"))
        .problems(SETTINGS_PROBLEMS)
        .problems([
            T::NAME_TAKEN,
            T::INSTANCE_NOT_FOUND,
            T::TEMPLATE_EXISTS,
            T::TEMPLATE_DELETED,
            T::SECRET_UNREADABLE,
        ])
}

pub(crate) fn show() -> Operation {
    Operation::new("show_template", "Show a template")
        .answers(S::OK, template("The template"))
        .problems([T::TEMPLATE_NOT_FOUND])
}

pub(crate) fn edit() -> Operation {
    Operation::new("edit_template", "Edit or rename a template")
        .answers(S::OK, template("The template as it is now"))
        .problems(SETTINGS_PROBLEMS)
        .problems([T::NAME_TAKEN, T::TEMPLATE_NOT_FOUND, T::TEMPLATE_DELETED, T::SECRET_UNREADABLE])
}

pub(crate) fn delete() -> Operation {
    Operation::new("delete_template", "Delete a template")
        .description("Its secrets become unreadable and its name is free. Instances that came from it stay.")
        .answers(S::OK, Answer::json::<DeletedTemplate>("What is left to say of it"))
        .problems([T::TEMPLATE_NOT_FOUND])
}

pub(crate) fn instantiate() -> Operation {
    let created = instance("The instance, which is being started").with(field::LOCATION);
    Operation::new("instantiate_template", "Create an instance with the settings of a template")
        .description("Later changes of the template change nothing about the instance.")
        .answers(S::CREATED, created.identifies("instance", "/id"))
        .problems(SETTINGS_PROBLEMS)
        .problems([
            T::NAME_TAKEN,
            T::TEMPLATE_NOT_FOUND,
            T::TEMPLATE_DELETED,
            T::INSTANCE_EXISTS,
            T::INSTANCE_DELETED,
            T::NOT_HOSTED,
            T::SECRET_UNREADABLE,
        ])
}
