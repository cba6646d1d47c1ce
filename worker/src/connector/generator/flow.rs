//! What a flow record is made of, and the closed sets of words in it.

/// One record, both directions: `in` is the direction whose packet the collector saw first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// End, nanoseconds since the epoch.
    pub(super) te_ns: i64,
    /// Duration in milliseconds, as nfdump has it.
    pub(super) td_ms: u32,
    /// Indices into the world's addresses.
    pub(super) sa: u32,
    pub(super) da: u32,
    pub(super) sp: u16,
    pub(super) dp: u16,
    pub(super) protocol: Protocol,
    pub(super) flags: Flags,
    pub(super) label: Label,
    pub(super) ipkt: u64,
    pub(super) ibyt: u64,
    pub(super) opkt: u64,
    pub(super) obyt: u64,
}

impl Flow {
    /// Begin, nanoseconds since the epoch.
    pub(super) fn ts_ns(&self) -> i64 {
        self.te_ns - i64::from(self.td_ms) * 1_000_000
    }

    /// The same flow with the other direction first.
    pub(super) fn reversed(self) -> Self {
        Self {
            sa: self.da,
            da: self.sa,
            sp: self.dp,
            dp: self.sp,
            ipkt: self.opkt,
            ibyt: self.obyt,
            opkt: self.ipkt,
            obyt: self.ibyt,
            ..self
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// The TCP flags that occur, as nfdump 1.7 prints them: `CEUAPRSF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flags {
    None,
    Syn,
    SynReset,
    Ack,
    AckPush,
    /// A connection's first record, which goes on.
    Opened,
    /// A connection's last record.
    Closed,
    OpenedClosed,
    OpenedReset,
}

impl Flags {
    pub(super) fn symbols(self) -> &'static str {
        match self {
            Self::None => "........",
            Self::Syn => "......S.",
            Self::SynReset => "...A.RS.",
            Self::Ack => "...A....",
            Self::AckPush => "...AP...",
            Self::Opened => "...AP.S.",
            Self::Closed => "...AP..F",
            Self::OpenedClosed => "...AP.SF",
            Self::OpenedReset => "...APRS.",
        }
    }
}

/// The kind of traffic, as the column `label` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Web,
    Dns,
    Ntp,
    Ssh,
    Bulk,
    Scan,
    Iot,
    Miner,
}

impl Label {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Dns => "dns",
            Self::Ntp => "ntp",
            Self::Ssh => "ssh",
            Self::Bulk => "bulk",
            Self::Scan => "scan",
            Self::Iot => "iot",
            Self::Miner => "miner",
        }
    }
}
