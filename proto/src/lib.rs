//! Generated types, clients and servers of the `everstep.v1` gRPC contract.
/// Version 1 of the contract.
pub mod v1 {
    tonic::include_proto!("everstep.v1");
    /// The encoded file descriptor set, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/everstep.v1.bin"));
}
