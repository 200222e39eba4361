//! What every implementation of a port promises, checked against each of them.
//!
//! Stores: the fake, the embedded one, and Qdrant: a double that speaks its protocol over a socket, and
//! a real server where `GRIOT_TEST_QDRANT_URL` names one (`GRIOT_TEST_QDRANT_KEY` its key). Embedders:
//! the fake, and the local model where its weights are (`GRIOT_TEST_MODELS`, or the XDG data folder).

mod agreement;
mod durability;
mod embedder;
mod qdrant_double;
mod qdrant_failures;
mod sample;
mod subjects;
mod vector_store;
