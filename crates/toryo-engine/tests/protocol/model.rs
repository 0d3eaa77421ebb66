//! The protocol of leases and outbox, small enough to visit all of it: two workers, a relay, a sweeper, and a run of two
//! steps, the second of which opens the pull request.
//!
//! A move is one statement or one transaction. Anything may come between two moves, so a process that stands still and
//! goes on later is the same as one that is slow. Time is a move: a lease may run out at any moment. What the server was
//! not heard to confirm may have happened.
//!
//! What is left out to keep it small, and why nothing is lost by it: messages are wake-ups without content, so only
//! whether there is one counts (a second one at once is dropped, which is a loss, and losses are allowed); of fencing
//! tokens only whether one is its step's newest counts, since nothing but that is ever asked.
//!
//! Twins in the code: "is woken", "sees" and "claims" are `Worker::dispatch` and `leases::claim`; "commits" is
//! `commit::success_then` and `failure`, "and goes on" its heir, which `leases::followed` finds again; "reads" and "takes back" are `sweep`; the relay's moves are `relay::send_due`; "extends" is
//! `Leases::keep`.

use crate::explore::{Model, Move, Name};

/// Attempts of a step before it is a dead letter.
const ATTEMPTS: u8 = 2;
/// The step with an effect outside the database.
const LAST: usize = 1;
/// The worker that lives when everything goes well from now on; the other one never moves again.
const SURVIVOR: usize = 0;

/// What a sweeper looks at before it takes a lease back that it had read as expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepWhere {
    /// `fence = $1 and status = 'running' and lease_until < now()`.
    FenceAndTime,
    /// The fence is missing.
    Time,
    /// Only `status = 'running'`: it trusts what it has read.
    Status,
}

/// The protocol; each field is a rule that a mutant breaks.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    pub sweep: Option<SweepWhere>,
    /// `fence = $1` stands in the commit's WHERE.
    pub commit_is_fenced: bool,
    /// A pull request is looked up by its head branch before it is opened.
    pub effect_has_a_key: bool,
    /// Workers look by themselves, without a message.
    pub timer: bool,
    /// A worker that lost the answer to a commit asks which lease was taken in it by its own fence.
    pub heir_is_fenced: bool,
}

impl Protocol {
    /// As it is built.
    pub const BUILT: Self = Self {
        sweep: Some(SweepWhere::FenceAndTime),
        commit_is_fenced: true,
        effect_has_a_key: true,
        timer: true,
        heir_is_fenced: true,
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Status {
    Pending,
    Ready,
    Running { expired: bool },
    Done,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Step {
    status: Status,
    attempts: u8,
}

/// A lease as a process remembers it; `newest` while no later one was given out and the step has not left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Lease {
    step: usize,
    newest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Doing {
    Down,
    Idle,
    /// It has read that this step is ready.
    Looked(usize),
    Working(Lease),
    /// The effect is made, the outcome is not stored.
    Effected(Lease),
    /// The outcome is stored or refused.
    Through,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Worker {
    doing: Doing,
    holds_message: bool,
}

/// Everything that is somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    steps: [Step; 2],
    outbox: u8,
    /// The relay has published a row and not deleted it.
    relay_sent: bool,
    message: bool,
    workers: [Worker; 2],
    /// What the sweeper has read as expired.
    sweeper: Option<Lease>,
    /// Whose commit took the lease that the second step is under, while it is.
    heir: Option<usize>,
    effects: u8,
    broken: Option<&'static str>,
}

impl State {
    /// A step leaves its lease: whoever remembers it holds an old one now.
    fn outdate(&mut self, step: usize) {
        for worker in &mut self.workers {
            if let Doing::Working(lease) | Doing::Effected(lease) = &mut worker.doing {
                lease.newest &= lease.step != step;
            }
        }
        if let Some(lease) = &mut self.sweeper {
            lease.newest &= lease.step != step;
        }
        if step == LAST {
            self.heir = None;
        }
    }

    /// Back among the ready ones, or given up.
    fn again(&mut self, step: usize) {
        let row = &mut self.steps[step];
        if row.attempts >= ATTEMPTS {
            row.status = Status::Dead;
        } else {
            row.status = Status::Ready;
            self.outbox += 1;
        }
        self.outdate(step);
    }

    fn is_running(&self, step: usize) -> bool {
        matches!(self.steps[step].status, Status::Running { .. })
    }
}

impl Model for Protocol {
    type State = State;

    fn start(&self) -> State {
        let step = |status| Step { status, attempts: 0 };
        State {
            steps: [step(Status::Ready), step(Status::Pending)],
            outbox: 1,
            relay_sent: false,
            message: false,
            workers: [Worker { doing: Doing::Idle, holds_message: false }; 2],
            sweeper: None,
            heir: None,
            effects: 0,
            broken: None,
        }
    }

    fn moves(&self, state: &State, moves: &mut Vec<Move<State>>) {
        let mut moves = Moves { from: state, all: moves };
        relay(&mut moves);
        for worker in 0..2 {
            self.worker(&mut moves, worker);
        }
        self.time_and_sweeper(&mut moves);
    }

    fn wrong(&self, state: &State) -> Option<&'static str> {
        let follows = state.steps[LAST].status != Status::Pending;
        let leases = |step: usize| {
            let of_step = |worker: &&Worker| matches!(worker.doing, Doing::Working(lease) | Doing::Effected(lease) if lease.newest && lease.step == step);
            state.workers.iter().filter(of_step).count()
        };
        state.broken.or(if state.effects > 1 {
            Some("a second pull request")
        } else if (0..2).any(|step| leases(step) > 1) {
            Some("two workers hold one lease")
        } else if state.steps.iter().any(|step| step.attempts > ATTEMPTS) {
            Some("more attempts than allowed")
        } else if (state.steps[0].status == Status::Done) != follows {
            Some("the second step does not follow from the first")
        } else if state.steps[LAST].status == Status::Done && state.effects != 1 {
            Some("the run has ended without its pull request")
        } else {
            None
        })
    }

    fn is_over(&self, state: &State) -> bool {
        let ended = state.steps[LAST].status == Status::Done
            || state.steps.iter().any(|it| it.status == Status::Dead);
        let survivor = Worker { doing: Doing::Idle, holds_message: false };
        ended
            && state.workers[SURVIVOR] == survivor
            && state.outbox == 0
            && !state.relay_sent
            && !state.message
            && !state.workers[1].holds_message
    }
}

struct Moves<'a> {
    from: &'a State,
    all: &'a mut Vec<Move<State>>,
}

impl Moves<'_> {
    fn add(&mut self, name: Name, recovers: bool, change: impl FnOnce(&mut State)) {
        let mut to = *self.from;
        change(&mut to);
        self.all.push(Move { name, recovers, to });
    }
}

fn relay(moves: &mut Moves<'_>) {
    if moves.from.relay_sent {
        moves.add(Name("the relay deletes the row", 0), true, |state| {
            state.outbox -= 1;
            state.relay_sent = false;
        });
        moves.add(Name("the relay dies before it deletes the row", 0), false, |state| {
            state.relay_sent = false;
        });
    } else if moves.from.outbox > 0 {
        moves.add(Name("the relay publishes", 0), true, |state| {
            state.message = true;
            state.relay_sent = true;
        });
    }
    if moves.from.message {
        moves.add(Name("the queue loses the message", 0), false, |state| state.message = false);
    }
}

impl Protocol {
    fn worker(&self, moves: &mut Moves<'_>, me: usize) {
        let worker = moves.from.workers[me];
        let well = me == SURVIVOR;
        if worker.holds_message {
            // It comes back when it is not acknowledged in time, whether its worker lives or not.
            moves.add(Name("the message of worker # is given again", me + 1), !well, |state| {
                state.workers[me].holds_message = false;
                state.message = true;
            });
        }
        if worker.doing == Doing::Down {
            return moves.add(Name("worker # starts again", me + 1), well, |state| {
                state.workers[me].doing = Doing::Idle;
            });
        }
        moves.add(Name("worker # dies", me + 1), false, |state| state.workers[me].doing = Doing::Down);
        match worker.doing {
            Doing::Down => {}
            Doing::Idle => self.look(moves, me),
            Doing::Looked(step) => claim(moves, me, step),
            Doing::Working(lease) | Doing::Effected(lease) => self.work(moves, me, lease),
            Doing::Through => moves.add(Name("worker # acknowledges", me + 1), well, |state| {
                state.workers[me] = Worker { doing: Doing::Idle, holds_message: false };
            }),
        }
    }

    fn look(&self, moves: &mut Moves<'_>, me: usize) {
        let (holds, well) = (moves.from.workers[me].holds_message, me == SURVIVOR);
        if !holds && moves.from.message {
            moves.add(Name("worker # is woken", me + 1), well, |state| {
                state.message = false;
                state.workers[me].holds_message = true;
            });
        }
        let is_ready = |step: &usize| moves.from.steps[*step].status == Status::Ready;
        let ready = [0, 1].into_iter().find(is_ready);
        match ready {
            None if holds => {
                moves.add(Name("worker # finds nothing and acknowledges", me + 1), well, |state| {
                    state.workers[me].holds_message = false;
                });
            }
            Some(step) if holds || self.timer => {
                moves.add(Name("worker # sees a step ready", me + 1), well, |state| {
                    state.workers[me].doing = Doing::Looked(step);
                });
            }
            None | Some(_) => {}
        }
    }

    fn work(&self, moves: &mut Moves<'_>, me: usize, lease: Lease) {
        let (number, well) = (me + 1, me == SURVIVOR);
        let step = lease.step;
        if lease.newest {
            moves.add(Name("worker # extends its lease", number), false, |state| {
                state.steps[step].status = Status::Running { expired: false };
            });
        }
        if step == LAST && matches!(moves.from.workers[me].doing, Doing::Working(_)) {
            moves.add(Name("worker # opens the pull request", number), well, |state| {
                if !self.effect_has_a_key || state.effects == 0 {
                    state.effects += 1;
                }
                state.workers[me].doing = Doing::Effected(lease);
            });
        } else {
            moves.add(Name("worker # commits", number), well, |state| {
                let next = self.commit(state, me, lease, false);
                state.workers[me].doing = next.map_or(Doing::Through, Doing::Working);
            });
            moves.add(Name("worker # commits and does not hear so", number), false, |state| {
                self.commit(state, me, lease, false);
            });
            if step < LAST {
                moves.add(Name("worker # commits and goes on with the next step", number), well, |state| {
                    let next = self.commit(state, me, lease, true);
                    state.workers[me].doing = next.map_or(Doing::Through, Doing::Working);
                });
                moves.add(
                    Name("worker # commits, takes the next step and does not hear so", number),
                    false,
                    |state| {
                        self.commit(state, me, lease, true);
                    },
                );
            }
        }
        moves.add(Name("worker # commits a failure", number), false, |state| {
            state.workers[me].doing = Doing::Through;
            if lease.newest {
                state.again(step);
            }
        });
    }

    /// Writes an outcome, and leases the step that follows to the same worker where it `goes_on`; the lease that the
    /// worker holds then. A second call of the same attempt finds both written.
    fn commit(&self, state: &mut State, me: usize, lease: Lease, goes_on: bool) -> Option<Lease> {
        let step = lease.step;
        let next = Lease { step: step + 1, newest: true };
        if !state.is_running(step) || (self.commit_is_fenced && !lease.newest) {
            let mine = state.heir == Some(me) || !self.heir_is_fenced;
            let followed =
                state.steps[step].status == Status::Done && step < LAST && state.is_running(LAST) && mine;
            return followed.then_some(next);
        }
        if !lease.newest {
            state.broken = Some("a stale fence commits");
        }
        state.steps[step].status = Status::Done;
        state.outdate(step);
        if step == LAST {
            return None;
        }
        if goes_on {
            state.steps[LAST] = Step { status: Status::Running { expired: false }, attempts: 1 };
            state.heir = Some(me);
            return Some(next);
        }
        state.steps[LAST].status = Status::Ready;
        state.outbox += 1;
        None
    }

    fn time_and_sweeper(&self, moves: &mut Moves<'_>) {
        for step in 0..2 {
            match moves.from.steps[step].status {
                Status::Running { expired: false } => {
                    moves.add(Name("the lease of step # runs out", step + 1), true, |state| {
                        state.steps[step].status = Status::Running { expired: true };
                    });
                }
                Status::Running { expired: true } if self.sweep.is_some() && moves.from.sweeper.is_none() => {
                    moves.add(Name("the sweeper reads that step # has expired", step + 1), true, |state| {
                        state.sweeper = Some(Lease { step, newest: true });
                    });
                }
                Status::Running { .. } | Status::Pending | Status::Ready | Status::Done | Status::Dead => {}
            }
        }
        if let (Some(rule), Some(read)) = (self.sweep, moves.from.sweeper) {
            moves.add(Name("the sweeper takes step # back", read.step + 1), true, |state| {
                state.sweeper = None;
                take_back(state, rule, read);
            });
        }
    }
}

fn claim(moves: &mut Moves<'_>, me: usize, step: usize) {
    let (number, well) = (me + 1, me == SURVIVOR);
    if moves.from.steps[step].status != Status::Ready {
        return moves.add(Name("worker # finds its step taken", number), well, |state| {
            state.workers[me].doing = Doing::Idle;
        });
    }
    let lease = |state: &mut State| {
        state.steps[step].attempts += 1;
        state.steps[step].status = Status::Running { expired: false };
    };
    moves.add(Name("worker # claims it", number), well, |state| {
        lease(state);
        state.workers[me].doing = Doing::Working(Lease { step, newest: true });
    });
    moves.add(Name("worker # claims it and does not hear so", number), false, |state| {
        lease(state);
        state.workers[me].doing = Doing::Idle;
    });
}

/// What a sweeper does with a lease that it has read as expired some time ago.
fn take_back(state: &mut State, rule: SweepWhere, read: Lease) {
    let Status::Running { expired } = state.steps[read.step].status else { return };
    let may = match rule {
        SweepWhere::FenceAndTime => read.newest && expired,
        SweepWhere::Time => expired,
        SweepWhere::Status => true,
    };
    if !may {
        return;
    }
    if !expired {
        state.broken = Some("a lease is taken from a worker that holds it");
    } else if !read.newest {
        // The row of the attempt it knows is closed a second time, that of the newest stays open for ever.
        state.broken = Some("the wrong attempt is closed");
    }
    state.again(read.step);
}
