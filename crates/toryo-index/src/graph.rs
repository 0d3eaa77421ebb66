//! A weighted directed graph in two sorted edge lists, and a bounded personalised PageRank on it.

use std::collections::{HashMap, VecDeque};

/// Most edges out of (or into) a node that are followed when ranks spread; beyond it a node is a hub that says
/// little.
const HUB: usize = 200;
/// Most nodes visited by one ranking; bounds the time of a query on any repository.
const MOST_VISITS: usize = 20_000;
/// The share of a node's rank that stays there; the usual 0.15 to 0.25 (Page et al. 1999; Andersen, Chung and
/// Lang 2006 for the pushing form).
const STAYS: f64 = 0.2;
/// Rank below which a node is not followed further.
const SMALLEST: f64 = 1e-4;

/// A weighted directed graph over nodes `0..n`.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    out: Adjacency,
    into: Adjacency,
}

#[derive(Debug, Default)]
struct Adjacency {
    starts: Vec<u32>,
    edges: Vec<(u32, f32)>,
}

impl Adjacency {
    fn new(nodes: usize, edges: &[(u32, u32, f32)]) -> Self {
        let mut starts = vec![0_u32; nodes + 1];
        for (from, ..) in edges {
            starts[*from as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        Self { starts, edges: edges.iter().map(|(_, to, weight)| (*to, *weight)).collect() }
    }

    fn of(&self, node: u32) -> &[(u32, f32)] {
        let node = node as usize;
        if node + 1 >= self.starts.len() {
            return &[];
        }
        &self.edges[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

impl Graph {
    /// Joins equal edges by adding their weights; loops are dropped.
    pub(crate) fn new(nodes: usize, mut edges: Vec<(u32, u32, f32)>) -> Self {
        edges.retain(|(from, to, _)| from != to);
        edges.sort_unstable_by_key(|(from, to, weight)| (*from, *to, weight.to_bits()));
        edges.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let out = Adjacency::new(nodes, &edges);
        for edge in &mut edges {
            *edge = (edge.1, edge.0, edge.2);
        }
        edges.sort_unstable_by_key(|(from, to, _)| (*from, *to));
        Self { out, into: Adjacency::new(nodes, &edges) }
    }

    /// Nodes that this one refers to, ascending, with weights.
    pub(crate) fn outgoing(&self, node: u32) -> &[(u32, f32)] {
        self.out.of(node)
    }

    /// Nodes that refer to this one, ascending, with weights.
    pub(crate) fn incoming(&self, node: u32) -> &[(u32, f32)] {
        self.into.of(node)
    }

    /// How many edges there are.
    pub(crate) fn len(&self) -> usize {
        self.out.edges.len()
    }

    /// Spreads rank from `seeds` (made to add up to 1) along references and, half as easily, against them.
    /// Visits nodes first come, first served, so equal input gives equal ranks.
    pub(crate) fn rank(&self, seeds: &[(u32, f64)]) -> HashMap<u32, f64> {
        let total: f64 = seeds.iter().map(|(_, weight)| weight).sum();
        let mut ranks: HashMap<u32, f64> = HashMap::new();
        let mut waiting: HashMap<u32, f64> = HashMap::new();
        let mut queue = VecDeque::new();
        for (node, weight) in seeds.iter().filter(|_| total > 0.0) {
            *waiting.entry(*node).or_default() += weight / total;
            queue.push_back(*node);
        }
        let mut visits = 0;
        while let Some(node) = queue.pop_front() {
            let mass = waiting.insert(node, 0.0).unwrap_or_default();
            visits += 1;
            if mass < SMALLEST || visits > MOST_VISITS {
                *ranks.entry(node).or_default() += mass;
                continue;
            }
            *ranks.entry(node).or_default() += mass * STAYS;
            let neighbours = self.neighbours(node);
            let weights: f64 = neighbours.iter().map(|(_, weight)| weight).sum();
            for (next, weight) in neighbours {
                let share = waiting.entry(next).or_default();
                let before = *share;
                *share += mass * (1.0 - STAYS) * weight / weights;
                if before < SMALLEST && *share >= SMALLEST {
                    queue.push_back(next);
                }
            }
        }
        ranks
    }

    fn neighbours(&self, node: u32) -> Vec<(u32, f64)> {
        let out = self.outgoing(node).iter().take(HUB).map(|(next, weight)| (*next, f64::from(*weight)));
        let into =
            self.incoming(node).iter().take(HUB).map(|(next, weight)| (*next, 0.5 * f64::from(*weight)));
        out.chain(into).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_edges_join_and_loops_go() {
        let graph = Graph::new(3, vec![(0, 1, 1.0), (0, 1, 0.5), (1, 1, 1.0), (2, 1, 1.0)]);
        assert_eq!(graph.outgoing(0), [(1, 1.5)]);
        assert_eq!(graph.incoming(1), [(0, 1.5), (2, 1.0)]);
        assert_eq!(graph.outgoing(1), []);
        assert_eq!(graph.len(), 2);
    }

    #[test]
    fn rank_reaches_what_the_seed_refers_to() {
        let graph = Graph::new(4, vec![(0, 1, 1.0), (1, 2, 1.0)]);
        let ranks = graph.rank(&[(0, 1.0)]);
        assert!(ranks[&1] > ranks[&2]);
        assert!(!ranks.contains_key(&3));
    }

    proptest! {
        #[test]
        fn rank_is_never_more_than_was_given(edges in prop::collection::vec((0_u32..20, 0_u32..20, 0.1_f32..2.0), 0..80),
                                            seeds in prop::collection::vec((0_u32..20, 0.1_f64..2.0), 1..5)) {
            let ranks = Graph::new(20, edges).rank(&seeds);
            let total: f64 = ranks.values().sum();
            prop_assert!(total <= 1.0 + 1e-9, "{total}");
            prop_assert!(ranks.values().all(|rank| *rank >= 0.0));
        }
    }
}
