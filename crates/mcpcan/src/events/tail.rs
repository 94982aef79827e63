//! `events tail`.

use clap::Args;
use serde_json::Value;

use super::selection::Selection;
use super::stream::{EventStream, Frame};
use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let mut events = EventStream::open(rest, &arguments.selection.query()).await?;
    while let Frame::Event(document) = events.next_frame().await? {
        output.streamed(&document, || line(&document))?;
    }
    Ok(())
}

fn line(event: &Value) -> String {
    let [sequence, at, name, id, data] =
        ["/sequence", "/at", "/name", "/id", "/data"].map(|pointer| printable(&field(event, pointer)));
    format!("{sequence:>8}  {at:<30}  {name:<28}  {id:<36}  {data}")
}
