//! Words to sparse vectors for BM25.
