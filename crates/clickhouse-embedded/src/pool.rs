//! A few dedicated threads that run statements on the engine, fed by a bounded queue.
//!
//! Each job gets a connection of its own, opened and closed within the job, so no setting, current database or
//! abandoned stream of one request is ever seen by another. The threads are joined before the engine closes. The HTTP
//! side talks to a job through two small channels, so a slow client slows its own job and nobody's memory.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::chunks::Joiner;
use crate::engine::{Engine, Parameter, Session, Summary};
use crate::exception::{Exception, code};

/// Statements running at once.
pub(crate) const RUNNING_MAX: usize = 8;

/// Statements waiting for a thread; one more is told to come again.
pub(crate) const WAITING_MAX: usize = 64;

/// Pieces of a body or of an answer under way between a job and its client.
pub(crate) const PIECES_MAX: usize = 4;

/// How long a job waits for its client to take a piece of the answer.
const READER_IDLE_MAX: Duration = Duration::from_secs(60);

/// One statement to run.
pub(crate) struct Job {
    /// Run first, for their effect on the connection.
    pub preparation: Vec<String>,
    pub work: Work,
    pub parameters: Vec<Parameter>,
    pub answers: mpsc::Sender<Answer>,
}

pub(crate) enum Work {
    /// A whole statement; its output is written in `format` unless it names its own.
    Statement {
        sql: String,
        format: String,
        /// How to join the output if it may be streamed.
        joiner: Option<Joiner>,
    },
    /// An `INSERT` without its `FORMAT` clause, and its data.
    Insert { sql: String, format: String, data: mpsc::Receiver<Data> },
}

/// A piece of an insert's data. Anything but [`Data::End`] at the end cancels the insert: what is cut is not stored.
pub(crate) enum Data {
    Piece(Bytes),
    /// The client has sent everything.
    End,
    /// The rest cannot be had, and why.
    Broken(Exception),
}

/// What a job tells its client: pieces, then one of the other two.
pub(crate) enum Answer {
    Piece(Bytes),
    Done(Summary),
    Failed(Exception),
}

/// The threads. Dropping it without [`Pool::stop`] leaves them running until they see that the queue is gone.
pub(crate) struct Pool {
    queue: mpsc::Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts the threads on `engine`. Must be called within a runtime, which the threads use for their deadlines.
    pub(crate) fn start(engine: &Arc<Engine>) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(WAITING_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        let runtime = Handle::current();
        let threads = (0..RUNNING_MAX)
            .map(|number| {
                let (engine, jobs, runtime) = (Arc::clone(engine), Arc::clone(&jobs), runtime.clone());
                std::thread::Builder::new()
                    .name(format!("statement-{number}"))
                    .spawn(move || work(&engine, &jobs, &runtime))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { queue, threads })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// ClickHouse's own "too many simultaneous queries" when the queue is full.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Exception> {
        self.queue.try_send(job).map_err(|_| {
            Exception::new(
                code::TOO_MANY_SIMULTANEOUS_QUERIES,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                format!("{RUNNING_MAX} statements are running and {WAITING_MAX} are waiting."),
            )
        })
    }

    /// Ends the threads once the queue is empty; blocks until the last statement is done.
    pub(crate) fn stop(self) {
        drop(self.queue);
        for thread in self.threads {
            // A panicked thread has already written its message; the engine can be closed all the same.
            let _ended = thread.join();
        }
    }
}

fn work(engine: &Engine, jobs: &Mutex<mpsc::Receiver<Job>>, runtime: &Handle) {
    loop {
        let job = jobs.lock().blocking_recv();
        let Some(job) = job else { return };
        // Whoever asked may have left while the job was waiting.
        if job.answers.is_closed() {
            continue;
        }
        let client = Client { answers: &job.answers.clone(), runtime };
        match run(engine, job, &client) {
            Ok(Some(summary)) => client.tell(Answer::Done(summary)),
            Ok(None) => true,
            Err(exception) => client.tell(Answer::Failed(exception)),
        };
    }
}

/// Runs one job. `None` when the client has left.
fn run(engine: &Engine, job: Job, client: &Client<'_>) -> Result<Option<Summary>, Exception> {
    let mut session = engine
        .session()
        .map_err(|error| Exception::new(code::UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", format!("{error}.")))?;
    for statement in &job.preparation {
        session.execute(statement, "Null", &[])?;
    }
    match job.work {
        Work::Insert { sql, format, data } => insert(&mut session, &sql, &format, &job.parameters, data),
        Work::Statement { sql, format, joiner } => {
            check_single(&mut session, &sql)?;
            if let Some(joiner) = joiner {
                return select(&mut session, &sql, &format, &job.parameters, joiner, client);
            }
            let (output, summary) = session.execute(&sql, &format, &job.parameters)?;
            let heard = output.is_empty() || client.tell(Answer::Piece(output));
            Ok(heard.then_some(summary))
        }
    }
}

/// The engine's own client would run several statements, and take words like `exit` for commands to itself.
fn check_single(session: &mut Session<'_>, sql: &str) -> Result<(), Exception> {
    let syntax_error = |message: &str| Err(Exception::new(code::SYNTAX_ERROR, "SYNTAX_ERROR", message));
    match session.count_statements(sql) {
        1 => Ok(()),
        0 => {
            // The engine says best what is wrong with a text it cannot read.
            session.execute(sql, "Null", &[])?;
            syntax_error("Syntax error: no statement.")
        }
        _ => syntax_error("Syntax error (Multi-statements are not allowed)."),
    }
}

fn select(
    session: &mut Session<'_>,
    sql: &str,
    format: &str,
    parameters: &[Parameter],
    mut joiner: Joiner,
    client: &Client<'_>,
) -> Result<Option<Summary>, Exception> {
    let mut rows = session.select(sql, format, parameters)?;
    while let Some(chunk) = rows.next_chunk()? {
        let piece = joiner.join(chunk)?;
        if !piece.is_empty() && !client.tell(Answer::Piece(piece)) {
            return Ok(None);
        }
    }
    Ok(Some(Summary::default()))
}

fn insert(
    session: &mut Session<'_>,
    sql: &str,
    format: &str,
    parameters: &[Parameter],
    mut data: mpsc::Receiver<Data>,
) -> Result<Option<Summary>, Exception> {
    let mut rows = session.insert(sql, format, parameters)?;
    loop {
        match data.blocking_recv() {
            Some(Data::Piece(piece)) => {
                // Nothing must not be taken for the end.
                if !piece.is_empty() && !rows.append(&piece) {
                    return rows.finish().map(Some);
                }
            }
            Some(Data::End) => return rows.finish().map(Some),
            Some(Data::Broken(exception)) => return Err(exception),
            None => return Ok(None),
        }
    }
}

struct Client<'a> {
    answers: &'a mpsc::Sender<Answer>,
    runtime: &'a Handle,
}

impl Client<'_> {
    /// False when the client has left, or takes nothing for too long.
    fn tell(&self, answer: Answer) -> bool {
        self.runtime.block_on(async {
            matches!(tokio::time::timeout(READER_IDLE_MAX, self.answers.send(answer)).await, Ok(Ok(())))
        })
    }
}
