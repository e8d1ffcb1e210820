//! How nodes die and come back.

use super::drive::{Cluster, Due, LATER_MS};
use super::faults::Fault;
use super::node::host;

impl Cluster<'_> {
    /// The power of all nodes is cut, and comes back.
    pub(crate) fn cut_all_power(&mut self) {
        for node in self.nodes() {
            if !self.down.contains(&node) {
                self.cut_power(node);
            }
        }
        for node in self.nodes() {
            self.boot(node);
        }
    }

    pub(super) fn kill(&mut self, node: u64, down: u64) {
        self.end(node);
        self.seats[&node].disk.mend();
        self.after(down, Due::Boot(node));
    }

    pub(super) fn cut_power(&mut self, node: u64) {
        self.isolate(node);
        self.end(node);
        self.lost_writes += self.seats[&node].disk.cut_power(&self.dice);
    }

    pub(super) fn end(&mut self, node: u64) {
        self.doors.close(node);
        self.sim.crash(host(node));
        self.doors.lay(node);
        if let Some((kind, down)) = self.armed.remove(&node)
            && !self.took.contains_key(&kind)
        {
            self.after(LATER_MS, Due::Fault(Fault::of_disk(kind, node, 3, down)));
        }
        self.stopping.remove(&node);
        self.down.insert(node);
    }

    pub(super) fn boot(&mut self, node: u64) {
        if !self.down.remove(&node) {
            return;
        }
        for other in self.others(node) {
            self.mend(node, other);
        }
        self.journal.say(&format!("boot {node}"));
        self.sim.bounce(host(node));
    }

    pub(super) fn restart(&mut self, node: u64, down: u64) {
        let door = self.doors.of(node).expect("a whole node has a door");
        let stop = door.stop.lock().unwrap().take();
        if stop.is_some_and(|stop| stop.send(()).is_ok()) {
            self.stopping.insert(node, down);
        }
    }

    /// Deals with nodes that have died in a trap.
    pub(super) fn bury_ghosts(&mut self) {
        for (node, trap) in self.traps.ghosts() {
            if trap.power {
                self.cut_power(node);
                self.after(trap.down, Due::Boot(node));
            } else {
                self.kill(node, trap.down);
            }
        }
    }

    /// Starts nodes again that have stopped in good order.
    pub(super) fn boot_stopped(&mut self) {
        let stopped = |node: &u64| self.doors.of(*node).is_none();
        let stopped: Vec<u64> = self.stopping.keys().copied().filter(stopped).collect();
        for node in stopped {
            let down = self.stopping.remove(&node).expect("it was just seen");
            self.down.insert(node);
            self.after(down, Due::Boot(node));
        }
    }

    /// Deals with nodes that ended by themselves: those whose disk was to fail lose their power, others must not.
    pub(super) fn bury(&mut self) {
        let deaths: Vec<_> = self.journal.book().deaths[self.deaths_seen..].to_vec();
        self.deaths_seen += deaths.len();
        for (node, why) in deaths {
            if self.down.contains(&node) {
                continue;
            }
            let planned = self.armed.get(&node).copied();
            let down = match planned {
                Some((kind, down)) => {
                    *self.took.entry(kind).or_default() += 1;
                    down
                }
                None => {
                    self.wrong.push(format!("node {node} ended by itself: {why}"));
                    1_000
                }
            };
            self.cut_power(node);
            self.after(down, Due::Boot(node));
        }
    }
}
