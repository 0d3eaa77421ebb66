//! Visits every state that a model can reach, breadth first, so that what is found wrong is found by the shortest way.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

/// What happens in a move, for people: a text with `#` for a number.
#[derive(Debug, Clone, Copy)]
pub struct Name(pub &'static str, pub usize);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace('#', &self.1.to_string()))
    }
}

/// One step that a model can make.
pub struct Move<State> {
    pub name: Name,
    /// Whether it also happens when everything goes well from now on: no crash, no loss, one worker alone.
    pub recovers: bool,
    pub to: State,
}

/// A model of something concurrent: each move is atomic, and any of them may be next.
pub trait Model {
    type State: Copy + Eq + Hash;
    fn start(&self) -> Self::State;
    fn moves(&self, state: &Self::State, moves: &mut Vec<Move<Self::State>>);
    /// What is wrong with a state, whatever comes next.
    fn wrong(&self, state: &Self::State) -> Option<&'static str>;
    /// Everything is done and nothing is left behind.
    fn is_over(&self, state: &Self::State) -> bool;
}

/// What a search has found.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing is ever wrong, and from everywhere the end can be reached by recovering moves alone.
    Holds { states: usize },
    /// A state is wrong; the moves that lead there.
    Wrong { what: &'static str, path: Vec<Name> },
    /// From this state the end cannot be reached any more; the moves that lead there.
    Stuck { path: Vec<Name> },
}

/// Visits everything.
pub fn explore<M: Model>(model: &M) -> Verdict {
    let mut search = Search { known: HashMap::new(), states: vec![], came: vec![], recovering: vec![] };
    search.visit(model.start(), 0, Name("start", 0));
    let (mut next, mut moves) = (0, vec![]);
    while next < search.states.len() {
        let state = search.states[next];
        if let Some(what) = model.wrong(&state) {
            return Verdict::Wrong { what, path: search.path(next) };
        }
        model.moves(&state, &mut moves);
        for step in moves.drain(..) {
            let to = search.visit(step.to, next, step.name);
            if step.recovers {
                search.recovering.push((to, next));
            }
        }
        next += 1;
    }
    match search.first_stuck(model) {
        Some(stuck) => Verdict::Stuck { path: search.path(stuck) },
        None => Verdict::Holds { states: search.states.len() },
    }
}

struct Search<State> {
    known: HashMap<State, usize>,
    states: Vec<State>,
    /// From where each state was reached first, and how.
    came: Vec<(usize, Name)>,
    /// Recovering moves, as (to, from).
    recovering: Vec<(usize, usize)>,
}

impl<State: Copy + Eq + Hash> Search<State> {
    fn visit(&mut self, state: State, from: usize, name: Name) -> usize {
        let (states, came) = (&mut self.states, &mut self.came);
        *self.known.entry(state).or_insert_with(|| {
            states.push(state);
            came.push((from, name));
            states.len() - 1
        })
    }

    fn path(&self, mut at: usize) -> Vec<Name> {
        let mut path = vec![];
        while at > 0 {
            let (before, name) = self.came[at];
            path.push(name);
            at = before;
        }
        path.reverse();
        path
    }

    /// The first state in the order of the search from which no recovering moves lead to the end.
    fn first_stuck<M: Model<State = State>>(&mut self, model: &M) -> Option<usize> {
        let moves = &mut self.recovering;
        moves.sort_unstable();
        let mut ends: Vec<bool> = self.states.iter().map(|state| model.is_over(state)).collect();
        let mut open: Vec<usize> = (0..ends.len()).filter(|n| ends[*n]).collect();
        while let Some(state) = open.pop() {
            let first = moves.partition_point(|(to, _)| *to < state);
            for (_, before) in moves[first..].iter().take_while(|(to, _)| *to == state) {
                if !std::mem::replace(&mut ends[*before], true) {
                    open.push(*before);
                }
            }
        }
        ends.iter().position(|ends| !ends)
    }
}
