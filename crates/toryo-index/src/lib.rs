//! Code search: symbols, reference graph, lexical ranking, context packs.
