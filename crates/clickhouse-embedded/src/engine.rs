//! The ClickHouse engine in `libchdb.so`, behind a safe interface: open it, open sessions, run statements, close it.
//!
//! This is the only module of the project with `unsafe` in it. It knows C functions and nothing of HTTP; [`crate::pool`]
//! calls it from threads of its own.
//!
//! # What the engine demands, and who sees to it
//! - **Signatures.** The declarations below follow `chdb.h` of version 26.7; [`Functions::load`] resolves every one of
//!   them before anything is called, so a library that lacks one is refused as a whole.
//! - **The code stays mapped.** The engine starts threads that are never all gone. The library is leaked on purpose:
//!   no function pointer and no thread can outlive it.
//! - **One engine per process, with a connection open from start to end.** Closing the last connection shuts the engine
//!   down, and exit with an open one crashes. [`Engine`] holds a connection of its own; a [`Session`] borrows the
//!   engine, so [`Engine::close`], which takes the engine by value, cannot run while a session lives.
//! - **A connection runs one statement at a time.** Every statement, and every stream for as long as it lives, borrows
//!   its [`Session`] mutably. A session may move between threads; results and streams hold raw pointers and do not.
//! - **Every handle is freed once, and not used after.** A result, a row stream and an insert stream are each owned by
//!   one struct whose `Drop` frees it; streams borrow their session, so they end before it does.
//! - **Text that the engine hands out lives as long as its result.** It is copied before the result is freed.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use bytes::Bytes;
use libloading::Library;

use crate::exception::Exception;

/// `CHDBSuccess` of `chdb_state`.
const SUCCESS: c_int = 0;

/// What `chdb_connection` points to. Opaque.
#[repr(C)]
struct RawConnection([u8; 0]);

/// What `chdb_result *` points to. Opaque.
#[repr(C)]
struct RawResult([u8; 0]);

/// What `chdb_insert_stream` points to. Opaque.
#[repr(C)]
struct RawInsert([u8; 0]);

/// `chdb_query_analysis_v1`: four 32-bit fields, the first of which the caller sets to the struct's size.
#[repr(C)]
#[derive(Default)]
struct RawAnalysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

/// A statement with its names and values, as the `*_with_params_n` functions take it.
type WithParameters<R> = unsafe extern "C" fn(
    connection: *mut RawConnection,
    query: *const c_char,
    query_len: usize,
    format: *const c_char,
    format_len: usize,
    names: *const *const c_char,
    name_lens: *const usize,
    values: *const *const c_char,
    value_lens: *const usize,
    count: usize,
) -> *mut R;

/// The functions of the library that this module uses.
struct Functions {
    set_signal_handlers_enabled: unsafe extern "C" fn(c_int),
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut *mut RawConnection,
    close: unsafe extern "C" fn(*mut *mut RawConnection),
    classify: unsafe extern "C" fn(
        *mut RawConnection,
        *const c_char,
        usize,
        *const c_char,
        usize,
        *mut RawAnalysis,
    ) -> c_int,
    query: WithParameters<RawResult>,
    stream_query: WithParameters<RawResult>,
    stream_fetch: unsafe extern "C" fn(*mut RawConnection, *mut RawResult) -> *mut RawResult,
    stream_cancel: unsafe extern "C" fn(*mut RawConnection, *mut RawResult),
    result_destroy: unsafe extern "C" fn(*mut RawResult),
    result_error: unsafe extern "C" fn(*mut RawResult) -> *const c_char,
    result_buffer: unsafe extern "C" fn(*mut RawResult) -> *mut c_char,
    result_length: unsafe extern "C" fn(*mut RawResult) -> usize,
    result_rows_read: unsafe extern "C" fn(*mut RawResult) -> u64,
    result_bytes_read: unsafe extern "C" fn(*mut RawResult) -> u64,
    result_rows_written: unsafe extern "C" fn(*mut RawResult) -> u64,
    result_bytes_written: unsafe extern "C" fn(*mut RawResult) -> u64,
    insert: WithParameters<RawInsert>,
    insert_append: unsafe extern "C" fn(*mut RawInsert, *const c_void, usize) -> c_int,
    insert_done: unsafe extern "C" fn(*mut RawInsert) -> *mut RawResult,
    insert_error: unsafe extern "C" fn(*mut RawInsert) -> *const c_char,
    insert_destroy: unsafe extern "C" fn(*mut RawInsert),
}

/// Why the engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("open the ClickHouse engine {}: `make tools` fetches it", path.display())]
    Library { path: PathBuf, source: libloading::Error },
    #[error("the data path {} holds a zero byte", path.display())]
    Path { path: PathBuf },
    #[error(
        "the engine did not open {}: it has written its reason to stderr (is another process using it?)",
        path.display()
    )]
    Connect { path: PathBuf },
}

/// The engine of this process, open on one data path.
pub(crate) struct Engine {
    functions: &'static Functions,
    arguments: Vec<CString>,
    path: PathBuf,
    anchor: Connection,
}

/// One connection: its settings, its current database and its running statement are its own.
pub(crate) struct Session<'e> {
    connection: Connection,
    engine: PhantomData<&'e Engine>,
}

/// What a statement did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub rows_read: u64,
    pub bytes_read: u64,
    pub rows_written: u64,
    pub bytes_written: u64,
}

/// A named value for a `{name:Type}` placeholder, in ClickHouse's escaped text form.
pub(crate) type Parameter = (String, String);

// === Functions ===

impl Functions {
    fn load(path: &Path) -> Result<&'static Self, Error> {
        let failed = |source| Error::Library { path: path.to_owned(), source };
        // SAFETY: loading runs the library's initialisers. It is the engine's library, named by the operator, and those
        // initialisers ask nothing of the process.
        let library = unsafe { Library::new(path) }.map_err(failed)?;
        // Leaked, see the module's invariants.
        let library: &'static Library = Box::leak(Box::new(library));
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the field this goes to has the function's type in `chdb.h`, and the library is never
                // unloaded.
                unsafe { *library.get($name).map_err(failed)? }
            };
        }
        Ok(Box::leak(Box::new(Self {
            set_signal_handlers_enabled: function!(b"chdb_set_signal_handlers_enabled"),
            connect: function!(b"chdb_connect"),
            close: function!(b"chdb_close_conn"),
            classify: function!(b"chdb_classify_query_n"),
            query: function!(b"chdb_query_with_params_n"),
            stream_query: function!(b"chdb_stream_query_with_params_n"),
            stream_fetch: function!(b"chdb_stream_fetch_result"),
            stream_cancel: function!(b"chdb_stream_cancel_query"),
            result_destroy: function!(b"chdb_destroy_query_result"),
            result_error: function!(b"chdb_result_error"),
            result_buffer: function!(b"chdb_result_buffer"),
            result_length: function!(b"chdb_result_length"),
            result_rows_read: function!(b"chdb_result_storage_rows_read"),
            result_bytes_read: function!(b"chdb_result_storage_bytes_read"),
            result_rows_written: function!(b"chdb_result_rows_written"),
            result_bytes_written: function!(b"chdb_result_bytes_written"),
            insert: function!(b"chdb_stream_insert_with_params_n"),
            insert_append: function!(b"chdb_stream_append"),
            insert_done: function!(b"chdb_stream_done"),
            insert_error: function!(b"chdb_stream_insert_error"),
            insert_destroy: function!(b"chdb_destroy_insert_stream"),
        })))
    }
}

// === Engine ===

impl Engine {
    /// Loads the library and opens `data`, which the engine creates and locks. `options` are the engine's own, such as
    /// `max_server_memory_usage=1000`; those that are query settings hold for every session.
    ///
    /// # Errors
    /// The library is missing or another one, or the data path is in use or not writable.
    pub(crate) fn open(library: &Path, data: &Path, options: &[String]) -> Result<Self, Error> {
        let no_zero = |text: Vec<u8>| CString::new(text).map_err(|_| Error::Path { path: data.to_owned() });
        let path_option = [b"--path=", OsStr::as_bytes(data.as_os_str())].concat();
        let mut arguments = vec![no_zero(b"clickhouse".to_vec())?, no_zero(path_option)?];
        for option in options {
            arguments.push(no_zero(format!("--{option}").into_bytes())?);
        }
        let functions = Functions::load(library)?;
        // SAFETY: takes a flag and may be called at any time before the first connection. The process keeps its own
        // signal handlers.
        unsafe { (functions.set_signal_handlers_enabled)(0) };
        let anchor = Connection::open(functions, &arguments, data)?;
        Ok(Self { functions, arguments, path: data.to_owned(), anchor })
    }

    /// Opens a connection for one request; it takes well under a millisecond.
    ///
    /// # Errors
    /// [`Error::Connect`] when the engine refuses it.
    pub(crate) fn session(&self) -> Result<Session<'_>, Error> {
        let connection = Connection::open(self.functions, &self.arguments, &self.path)?;
        Ok(Session { connection, engine: PhantomData })
    }

    /// Closes the data path, so that the process can exit. Taking the engine by value proves that no session lives.
    ///
    /// The engine's idle threads stay, and the end of the process ends them. (`chdb_shutdown`, which would join them,
    /// reports in 26.7 that it could not.)
    pub(crate) fn close(self) {
        drop(self.anchor);
    }
}

/// A `chdb_connection *`, closed on drop.
struct Connection {
    functions: &'static Functions,
    slot: NonNull<*mut RawConnection>,
}

// SAFETY: the engine lets a connection be used and closed from any thread, by one at a time (`chdb.h`). The engine's own
// connection runs no statement; a session's is reached by `&mut self` only.
unsafe impl Send for Connection {}
// SAFETY: as above: a shared connection offers no way to call the engine.
unsafe impl Sync for Connection {}

impl Connection {
    fn open(functions: &'static Functions, arguments: &[CString], path: &Path) -> Result<Self, Error> {
        let mut pointers: Vec<*mut c_char> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).expect("an engine has a handful of options");
        // SAFETY: `pointers` holds `count` pointers to NUL-terminated strings that outlive the call, and the engine
        // parses them without keeping or changing them.
        let slot = unsafe { (functions.connect)(count, pointers.as_mut_ptr()) };
        let slot = NonNull::new(slot).ok_or_else(|| Error::Connect { path: path.to_owned() })?;
        Ok(Self { functions, slot })
    }

    fn raw(&self) -> *mut RawConnection {
        // SAFETY: `slot` came from `chdb_connect` and points to the connection until `chdb_close_conn`, in `drop`.
        unsafe { *self.slot.as_ptr() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: `slot` came from `chdb_connect`, is closed only here, and no stream of it is left: streams borrow it.
        unsafe { (self.functions.close)(self.slot.as_ptr()) };
    }
}

// === Session ===

impl Session<'_> {
    /// How many statements `sql` holds; 0 for text that the engine's parser does not read.
    pub(crate) fn count_statements(&mut self, sql: &str) -> u32 {
        let mut analysis =
            RawAnalysis { struct_size: size_of::<RawAnalysis>() as u32, ..RawAnalysis::default() };
        // SAFETY: `sql` is a buffer of the length given, no target database is named (null, 0), and `analysis` is
        // writable and carries its own size. The call keeps none of them.
        let state = unsafe {
            (self.connection.functions.classify)(
                self.connection.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                std::ptr::null(),
                0,
                &raw mut analysis,
            )
        };
        if state == SUCCESS { analysis.statement_count } else { 0 }
    }

    /// Runs a statement to its end; all of its output, in `format` unless it names its own, comes at once.
    pub(crate) fn execute(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &[Parameter],
    ) -> Result<(Bytes, Summary), Exception> {
        let function = self.connection.functions.query;
        let result = QueryResult::new(&self.connection, self.call(function, sql, format, parameters))?;
        result.check()?;
        Ok((result.bytes(), result.summary()))
    }

    /// Starts a `SELECT`; its output comes chunk by chunk.
    pub(crate) fn select(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &[Parameter],
    ) -> Result<RowStream<'_>, Exception> {
        let function = self.connection.functions.stream_query;
        let result = QueryResult::new(&self.connection, self.call(function, sql, format, parameters))?;
        result.check()?;
        Ok(RowStream { result, ended: false })
    }

    /// Starts an `INSERT` without its `FORMAT` clause; its data is appended in `format`.
    pub(crate) fn insert(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &[Parameter],
    ) -> Result<InsertStream<'_>, Exception> {
        let functions = self.connection.functions;
        let raw = self.call(functions.insert, sql, format, parameters);
        let raw = NonNull::new(raw).ok_or_else(Exception::no_answer)?;
        let stream = InsertStream { connection: &self.connection, raw };
        stream.check()?;
        Ok(stream)
    }

    fn call<R>(
        &self,
        function: WithParameters<R>,
        sql: &str,
        format: &str,
        parameters: &[Parameter],
    ) -> *mut R {
        let names: Vec<*const c_char> = parameters.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lens: Vec<usize> = parameters.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const c_char> = parameters.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lens: Vec<usize> = parameters.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: every pointer is to a buffer of the length beside it (or an array of `count` of them) that outlives
        // the call, and the engine copies what it keeps. The connection is open, and `self` is borrowed mutably by all
        // callers, so it runs nothing else.
        unsafe {
            function(
                self.connection.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lens.as_ptr(),
                values.as_ptr(),
                value_lens.as_ptr(),
                parameters.len(),
            )
        }
    }
}

/// A `chdb_result *`, freed on drop.
struct QueryResult<'s> {
    connection: &'s Connection,
    raw: NonNull<RawResult>,
}

impl<'s> QueryResult<'s> {
    fn new(connection: &'s Connection, raw: *mut RawResult) -> Result<Self, Exception> {
        Ok(Self { connection, raw: NonNull::new(raw).ok_or_else(Exception::no_answer)? })
    }

    fn check(&self) -> Result<(), Exception> {
        // SAFETY: the result is alive; the text is NUL-terminated, lives as long as it, and is copied at once.
        unsafe { exception((self.connection.functions.result_error)(self.raw.as_ptr())) }
    }

    fn bytes(&self) -> Bytes {
        let functions = self.connection.functions;
        // SAFETY: the result is alive, so both getters may be asked.
        let (buffer, length) = unsafe {
            ((functions.result_buffer)(self.raw.as_ptr()), (functions.result_length)(self.raw.as_ptr()))
        };
        if buffer.is_null() || length == 0 {
            return Bytes::new();
        }
        // SAFETY: the engine says that `length` bytes lie at `buffer`; they are copied before the result is freed.
        Bytes::copy_from_slice(unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) })
    }

    fn summary(&self) -> Summary {
        let functions = self.connection.functions;
        let raw = self.raw.as_ptr();
        // SAFETY: the result is alive, so its getters may be asked.
        unsafe {
            Summary {
                rows_read: (functions.result_rows_read)(raw),
                bytes_read: (functions.result_bytes_read)(raw),
                rows_written: (functions.result_rows_written)(raw),
                bytes_written: (functions.result_bytes_written)(raw),
            }
        }
    }
}

impl Drop for QueryResult<'_> {
    fn drop(&mut self) {
        // SAFETY: the result came from the engine and is freed only here.
        unsafe { (self.connection.functions.result_destroy)(self.raw.as_ptr()) };
    }
}

/// The output of a running `SELECT`. Dropping it before its end cancels the query.
pub(crate) struct RowStream<'s> {
    result: QueryResult<'s>,
    ended: bool,
}

impl RowStream<'_> {
    /// The next chunk of output; `None` at the end.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Bytes>, Exception> {
        if self.ended {
            return Ok(None);
        }
        let connection = self.result.connection;
        // SAFETY: the stream is alive and was started on this connection, which runs nothing else while it is borrowed.
        let chunk =
            unsafe { (connection.functions.stream_fetch)(connection.raw(), self.result.raw.as_ptr()) };
        let chunk = QueryResult::new(connection, chunk)?;
        if let Err(exception) = chunk.check() {
            self.ended = true;
            return Err(exception);
        }
        let bytes = chunk.bytes();
        self.ended = bytes.is_empty();
        Ok((!self.ended).then_some(bytes))
    }
}

impl Drop for RowStream<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let connection = self.result.connection;
            // SAFETY: the stream is alive and unfinished; its handle is freed after this, when the field is dropped.
            unsafe { (connection.functions.stream_cancel)(connection.raw(), self.result.raw.as_ptr()) };
        }
    }
}

/// A running `INSERT`. Dropping it before [`InsertStream::finish`] cancels it.
pub(crate) struct InsertStream<'s> {
    connection: &'s Connection,
    raw: NonNull<RawInsert>,
}

impl InsertStream<'_> {
    /// Hands over data; blocks while the engine is behind.
    ///
    /// False when the insert has already failed: [`InsertStream::finish`] says why.
    pub(crate) fn append(&mut self, data: &[u8]) -> bool {
        // SAFETY: the stream is alive, and `data` is a buffer of the length given, which the engine copies.
        let state = unsafe {
            (self.connection.functions.insert_append)(self.raw.as_ptr(), data.as_ptr().cast(), data.len())
        };
        state == SUCCESS
    }

    /// Ends the data and waits until the engine has stored it.
    pub(crate) fn finish(self) -> Result<Summary, Exception> {
        // SAFETY: the stream is alive and finished only here, since `self` is consumed; `drop` then frees the handle.
        let raw = unsafe { (self.connection.functions.insert_done)(self.raw.as_ptr()) };
        let result = QueryResult::new(self.connection, raw)?;
        result.check()?;
        Ok(result.summary())
    }

    fn check(&self) -> Result<(), Exception> {
        // SAFETY: the stream is alive; the text is NUL-terminated, lives as long as it, and is copied at once.
        unsafe { exception((self.connection.functions.insert_error)(self.raw.as_ptr())) }
    }
}

impl Drop for InsertStream<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from the engine and is freed only here. An unfinished insert is cancelled by this.
        unsafe { (self.connection.functions.insert_destroy)(self.raw.as_ptr()) };
    }
}

/// Reads an error text of the engine; null means that there is none.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string that lives until the call returns.
unsafe fn exception(text: *const c_char) -> Result<(), Exception> {
    if text.is_null() {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    Err(Exception::from_engine(&text.to_string_lossy()))
}
