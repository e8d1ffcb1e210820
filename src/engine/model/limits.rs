//! Every limit of the engine, with the reason for its size.

/// Steps of a definition. The graph is walked on each decision; 5,000 keep that under a millisecond.
pub const STEPS_MAX: usize = 5_000;
/// Bytes of a definition's text.
pub const DEFINITION_BYTES_MAX: usize = 4 << 20;
/// Events of a history. Beyond it a reader cannot follow and a replay is felt.
pub const HISTORY_EVENTS_MAX: u64 = 50_000;
/// Bytes of one input, resolved parameters or output. A Raft entry has to stay a small part of a
/// second of network and disk.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Bytes of everything one execution keeps: its input and the parameters, the output and the fault of each
/// step. Its whole state is written as one value of the store, of at most 64 MiB; half of that leaves
/// room for all that is not counted, and for the workflow's own output.
pub const EXECUTION_BYTES_MAX: usize = 32 << 20;
/// Bytes of documents after which a decision starts nothing else: what is ready goes on in the next one. A
/// decision is one append, and may pass this by what one more step has, or the workflow's output.
pub const DECISION_BYTES_MAX: usize = 2 << 20;
/// Arrays and objects inside each other in a JSON document: the deepest the parser reads, which gives
/// up at the 128th.
pub const JSON_DEPTH_MAX: usize = 127;
/// Needs of one step.
pub const NEEDS_MAX: usize = 256;
/// Bytes of one expression.
pub const EXPRESSION_BYTES_MAX: usize = 8 << 10;
/// Labels of an execution.
pub const LABELS_MAX: usize = 32;
/// Bytes of a label's name or value.
pub const LABEL_BYTES_MAX: usize = 256;
/// Attempts a retry policy may ask for.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// The longest timeout, backoff or delay: a year, in milliseconds.
pub const DURATION_MS_MAX: u64 = 366 * 86_400_000;
/// Mistakes in an input that are named at once. More of them help nobody.
pub const INPUT_MISTAKES_MAX: usize = 20;
/// Bytes of a name or a reason given by a person.
pub const NAME_BYTES_MAX: usize = 256;
