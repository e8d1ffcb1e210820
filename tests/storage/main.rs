//! Storage: what was acknowledged is there after every kind of end, and what is damaged is never served.

mod crash;
mod damage;
mod golden;
mod log;
mod model;
mod powerloss;
mod store;
mod support;
mod verify;
