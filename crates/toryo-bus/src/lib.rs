//! NATS JetStream: subjects, publishing with deduplication, pull consumers, the bells of runs.
