//! The generated messages and services of `weir.v1`, as `proto/weir/v1` documents them. Within this crate
//! only `convert` and the services touch them; they are public for clients that want
//! the protocol itself.

/// Package `weir.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; services' modules have no comments of their own"
)]
pub mod v1 {
    tonic::include_proto!("weir.v1");
}

/// The descriptors of `weir.v1`, an encoded `google.protobuf.FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir_v1.bin"));
