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
    fn of(&self, node: u32) -> &[(u32, f32)] {
        let node = node as usize;
        if node + 1 >= self.starts.len() {
            return &[];
        }
        &self.edges[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The same edges from their other end, ascending there too.
    fn turned(&self) -> Self {
        let mut starts = vec![0_u32; self.starts.len().max(1)];
        for (to, _) in &self.edges {
            starts[*to as usize + 1] += 1;
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        let mut next = starts.clone();
        let mut edges = vec![(0, 0.0); self.edges.len()];
        for (from, range) in (0_u32..).zip(self.starts.windows(2)) {
            for (to, weight) in &self.edges[range[0] as usize..range[1] as usize] {
                edges[next[*to as usize] as usize] = (from, *weight);
                next[*to as usize] += 1;
            }
        }
        Self { starts, edges }
    }
}

/// The edges of a graph on their way to it, node by node.
#[derive(Debug)]
pub(crate) struct Edges {
    nodes: usize,
    done: Adjacency,
    /// Those of the node at hand.
    open: Vec<(u32, f32)>,
}

impl Edges {
    /// For a graph over nodes `0..nodes`.
    pub(crate) fn with_nodes(nodes: usize) -> Self {
        let starts = Vec::with_capacity(nodes + 1);
        Self { nodes, done: Adjacency { starts, edges: Vec::new() }, open: Vec::new() }
    }

    /// An edge from the node at hand.
    pub(crate) fn push(&mut self, to: u32, weight: f32) {
        self.open.push((to, weight));
    }

    /// Edges from the node at hand.
    pub(crate) fn extend(&mut self, edges: impl Iterator<Item = (u32, f32)>) {
        self.open.extend(edges);
    }

    /// Ends a node; nodes end by ascending number, and all of them. Equal edges are joined by adding their weights,
    /// loops are dropped.
    pub(crate) fn finish_node(&mut self, node: u32) {
        self.done.starts.push(self.done.edges.len() as u32);
        self.open.sort_unstable_by_key(|(to, weight)| (*to, weight.to_bits()));
        let others = self.open.chunk_by(|a, b| a.0 == b.0).filter(|same| same[0].0 != node);
        let joined =
            others.map(|same| (same[0].0, same[1..].iter().fold(same[0].1, |sum, (_, weight)| sum + weight)));
        self.done.edges.extend(joined);
        self.open.clear();
    }
}

impl Graph {
    /// The graph of these edges.
    pub(crate) fn of(edges: Edges) -> Self {
        let mut out = edges.done;
        let end = out.edges.len() as u32;
        out.starts.resize(edges.nodes + 1, end);
        out.edges.shrink_to_fit();
        Self { into: out.turned(), out }
    }

    /// Bytes of memory that it holds.
    pub(crate) fn bytes(&self) -> usize {
        let of = |side: &Adjacency| 4 * side.starts.capacity() + 8 * side.edges.capacity();
        of(&self.out) + of(&self.into)
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

    fn graph(nodes: u32, edges: &[(u32, u32, f32)]) -> Graph {
        let mut all = Edges::with_nodes(nodes as usize);
        for node in 0..nodes {
            all.extend(edges.iter().filter(|edge| edge.0 == node).map(|edge| (edge.1, edge.2)));
            all.finish_node(node);
        }
        Graph::of(all)
    }

    #[test]
    fn equal_edges_join_and_loops_go() {
        let graph = graph(3, &[(0, 1, 1.0), (0, 1, 0.5), (1, 1, 1.0), (2, 1, 1.0)]);
        assert_eq!(graph.outgoing(0), [(1, 1.5)]);
        assert_eq!(graph.incoming(1), [(0, 1.5), (2, 1.0)]);
        assert_eq!(graph.outgoing(1), []);
        assert_eq!(graph.len(), 2);
    }

    #[test]
    fn rank_reaches_what_the_seed_refers_to() {
        let graph = graph(4, &[(0, 1, 1.0), (1, 2, 1.0)]);
        let ranks = graph.rank(&[(0, 1.0)]);
        assert!(ranks[&1] > ranks[&2]);
        assert!(!ranks.contains_key(&3));
    }

    proptest! {
        #[test]
        fn rank_is_never_more_than_was_given(edges in prop::collection::vec((0_u32..20, 0_u32..20, 0.1_f32..2.0), 0..80),
                                            seeds in prop::collection::vec((0_u32..20, 0.1_f64..2.0), 1..5)) {
            let ranks = graph(20, &edges).rank(&seeds);
            let total: f64 = ranks.values().sum();
            prop_assert!(total <= 1.0 + 1e-9, "{total}");
            prop_assert!(ranks.values().all(|rank| *rank >= 0.0));
        }
    }
}
