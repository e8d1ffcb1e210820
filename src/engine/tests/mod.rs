//! Tests of the engine as a whole.

mod build;
mod large;
mod properties;
mod reference;
mod scripts;
mod world;
