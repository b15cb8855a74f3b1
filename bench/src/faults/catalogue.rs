//! The faults there are: what each is called, at which step of an order's way it strikes, and what it does. Pure.

/// A step of an order's way, by the stages' own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Between client and ingest.
    Receive,
    /// Between ingest and the log.
    Publish,
    /// Between the log and the processor.
    Consume,
    /// Into Cassandra.
    StoreOrders,
    /// Into ClickHouse.
    StoreRollups,
    /// The position in the log.
    Commit,
}

impl Step {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Publish => "publish",
            Self::Consume => "consume",
            Self::StoreOrders => "store orders",
            Self::StoreRollups => "store rollups",
            Self::Commit => "commit",
        }
    }
}

/// A server of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is called as its service is")]
pub enum Server {
    Kafka,
    Cassandra,
    ClickHouse,
}

impl Server {
    /// The service of the stack.
    pub const fn service(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Cassandra => "cassandra",
            Self::ClickHouse => "clickhouse",
        }
    }
}

/// A process of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is called as its command is")]
pub enum Part {
    Ingest,
    Process,
}

/// A connection that leads through a proxy of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named by its two ends")]
pub enum Link {
    ClientIngest,
    IngestKafka,
    ProcessKafka,
    ProcessCassandra,
    ProcessClickHouse,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// kill -9 of processes of ours, which are started again at once.
    Kill(&'static [Part]),
    /// kill -9 of a server, which its supervisor starts again.
    KillServer(Server),
    /// An orderly stop of a server, and its start.
    Restart(Server),
    /// SIGSTOP of a process of ours, then SIGCONT.
    Pause(Part),
    /// SIGSTOP of a processor past its session's time-out while another one takes over, then SIGCONT.
    Zombie,
    /// SIGSTOP of a server, then SIGCONT.
    PauseServer(Server),
    /// Connections are cut, and new ones too, for a while.
    Cut(Link),
    /// Connections are accepted, and nothing passes.
    BlackHole(Link),
    /// Each piece is late, and few bytes pass a second.
    Slow(Link),
    /// Records wait for the log for longer than the producer's time-out.
    ProduceTimeout,
    /// The insert is done and its reply lost.
    LoseReply,
    /// The insert is done, and the processor killed before it has read the block's row.
    KillBeforeLook,
    /// An insert waits for its reply while another processor takes partitions over.
    HandOver,
    /// An insert reaches the server after another processor has stored its offsets.
    LateInsert,
    /// The engine has noted the next block's token without having its rows.
    BurnToken,
    /// Something between acknowledges an insert that the engine never gets.
    ForgeReply,
    /// An old position is committed after newer ones, and then a processor starts.
    LateCommit,
    /// The commit of a processor is held up until another one has taken its partitions over.
    StalledCommit,
    /// Each request is sent twice, over two connections, through two ingests.
    Twice,
    /// Processors join and leave.
    Join,
    /// A server's disk is full for a while.
    DiskFull(Server),
    /// The disk of the embedded log and stores is full for a while.
    EmbeddedDiskFull,
    /// kill -9 of the embedded pipeline.
    EmbeddedKill,
    /// A clock jumps by so many seconds, and back.
    Clock(Part, i64),
    /// A foreign producer writes records that are no orders, and orders.
    Rubbish,
    /// kill -9 of one of three brokers, which stays away for a while.
    KillBroker,
}

/// What a fault can only be tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The stack.
    Stack,
    /// File systems in memory, which only root may mount.
    Mounts,
    /// libfaketime.
    FakeTime,
    /// Three brokers.
    Brokers,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is called.
    pub name: &'static str,
    /// The step it strikes at.
    pub step: Step,
    /// What it does.
    pub act: Act,
}

impl Fault {
    /// What it can only be tried with.
    pub const fn needs(&self) -> Needs {
        match self.act {
            Act::DiskFull(_) | Act::EmbeddedDiskFull => Needs::Mounts,
            Act::Clock(..) => Needs::FakeTime,
            Act::KillBroker => Needs::Brokers,
            _ => Needs::Stack,
        }
    }

    /// Whether it strikes the embedded pipeline.
    pub const fn is_embedded(&self) -> bool {
        matches!(self.act, Act::EmbeddedDiskFull | Act::EmbeddedKill)
    }
}

const fn fault(name: &'static str, step: Step, act: Act) -> Fault {
    Fault { name, step, act }
}

/// All faults.
pub const FAULTS: [Fault; 53] = [
    fault("ingest killed", Step::Receive, Act::Kill(&[Part::Ingest])),
    fault("processor killed", Step::Consume, Act::Kill(&[Part::Process])),
    fault("ingest and processor killed", Step::Consume, Act::Kill(&[Part::Ingest, Part::Process])),
    fault("Kafka killed", Step::Publish, Act::KillServer(Server::Kafka)),
    fault("Cassandra killed", Step::StoreOrders, Act::KillServer(Server::Cassandra)),
    fault("ClickHouse killed", Step::StoreRollups, Act::KillServer(Server::ClickHouse)),
    fault("Kafka restarted", Step::Publish, Act::Restart(Server::Kafka)),
    fault("Cassandra restarted", Step::StoreOrders, Act::Restart(Server::Cassandra)),
    fault("ClickHouse restarted", Step::StoreRollups, Act::Restart(Server::ClickHouse)),
    fault("ingest paused", Step::Receive, Act::Pause(Part::Ingest)),
    fault("processor paused within its session", Step::Consume, Act::Pause(Part::Process)),
    fault("zombie processor", Step::Commit, Act::Zombie),
    fault("Kafka paused", Step::Publish, Act::PauseServer(Server::Kafka)),
    fault("Cassandra paused", Step::StoreOrders, Act::PauseServer(Server::Cassandra)),
    fault("ClickHouse paused", Step::StoreRollups, Act::PauseServer(Server::ClickHouse)),
    fault("client's connections cut", Step::Receive, Act::Cut(Link::ClientIngest)),
    fault("ingest cut off from Kafka", Step::Publish, Act::Cut(Link::IngestKafka)),
    fault("processor cut off from Kafka", Step::Consume, Act::Cut(Link::ProcessKafka)),
    fault("processor cut off from Cassandra", Step::StoreOrders, Act::Cut(Link::ProcessCassandra)),
    fault("processor cut off from ClickHouse", Step::StoreRollups, Act::Cut(Link::ProcessClickHouse)),
    fault("black hole before ingest", Step::Receive, Act::BlackHole(Link::ClientIngest)),
    fault("black hole from ingest to Kafka", Step::Publish, Act::BlackHole(Link::IngestKafka)),
    fault("black hole from processor to Kafka", Step::Consume, Act::BlackHole(Link::ProcessKafka)),
    fault("black hole to Cassandra", Step::StoreOrders, Act::BlackHole(Link::ProcessCassandra)),
    fault("black hole to ClickHouse", Step::StoreRollups, Act::BlackHole(Link::ProcessClickHouse)),
    fault("slow clients' network", Step::Receive, Act::Slow(Link::ClientIngest)),
    fault("slow network from ingest to Kafka", Step::Publish, Act::Slow(Link::IngestKafka)),
    fault("slow network from processor to Kafka", Step::Consume, Act::Slow(Link::ProcessKafka)),
    fault("slow network to Cassandra", Step::StoreOrders, Act::Slow(Link::ProcessCassandra)),
    fault("slow network to ClickHouse", Step::StoreRollups, Act::Slow(Link::ProcessClickHouse)),
    fault("producer's time-out", Step::Publish, Act::ProduceTimeout),
    fault("insert's reply lost", Step::StoreRollups, Act::LoseReply),
    fault("killed before the block was read back", Step::StoreRollups, Act::KillBeforeLook),
    fault("insert unanswered at a hand-over", Step::StoreRollups, Act::HandOver),
    fault("insert of an old owner", Step::StoreRollups, Act::LateInsert),
    fault("token burnt", Step::StoreRollups, Act::BurnToken),
    fault("insert acknowledged and not done", Step::StoreRollups, Act::ForgeReply),
    fault("late commit of an old owner", Step::Commit, Act::LateCommit),
    fault("commit stalled over a hand-over", Step::Commit, Act::StalledCommit),
    fault("each order delivered twice", Step::Receive, Act::Twice),
    fault("processors join and leave", Step::Consume, Act::Join),
    fault("Kafka's disk full", Step::Publish, Act::DiskFull(Server::Kafka)),
    fault("Cassandra's disk full", Step::StoreOrders, Act::DiskFull(Server::Cassandra)),
    fault("ClickHouse's disk full", Step::StoreRollups, Act::DiskFull(Server::ClickHouse)),
    fault("embedded disk full", Step::Publish, Act::EmbeddedDiskFull),
    fault("embedded pipeline killed", Step::Publish, Act::EmbeddedKill),
    fault("ingest's clock jumps forward", Step::Publish, Act::Clock(Part::Ingest, 1_800)),
    fault("ingest's clock jumps beyond the broker's limit", Step::Publish, Act::Clock(Part::Ingest, 7_200)),
    fault("ingest's clock jumps back", Step::Publish, Act::Clock(Part::Ingest, -7_200)),
    fault("processor's clock jumps forward", Step::StoreRollups, Act::Clock(Part::Process, 7_200)),
    fault("processor's clock jumps back", Step::StoreRollups, Act::Clock(Part::Process, -7_200)),
    fault("rubbish in the topic", Step::Consume, Act::Rubbish),
    fault("one of three brokers killed", Step::Publish, Act::KillBroker),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_name_of_its_own_and_every_step_has_some() {
        let names: std::collections::BTreeSet<_> = FAULTS.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), FAULTS.len());
        let steps = [
            Step::Receive,
            Step::Publish,
            Step::Consume,
            Step::StoreOrders,
            Step::StoreRollups,
            Step::Commit,
        ];
        for step in steps {
            assert!(FAULTS.iter().filter(|fault| fault.step == step).count() >= 3, "{}", step.name());
        }
    }
}
