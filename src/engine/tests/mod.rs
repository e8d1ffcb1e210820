//! Tests of the engine as a whole.

mod first;
mod scripts;
mod world;
