// SPDX-License-Identifier: Apache-2.0

public import Admission
import Budget
public import Policy
public import Routing
public import Units

/// The machine's own name for a request, from its arrival to its end.
public typealias Ticket = SlabKey

/// What a request asks for, after authentication and inspection.
public struct Arrival: Sendable {
    /// Whose request it is.
    public var tenant: TenantID
    /// The model, by name or alias.
    public var model: ModelID
    /// The class that it is served in.
    public var trafficClass: ClassID
    /// Estimated prompt tokens, every choice and prompt counted.
    public var input: Tokens
    /// The part of `input` that is no text: no ratio of texts applies to it.
    public var fixed = Tokens.zero
    /// A template is put around it.
    public var isChat = false
    /// The client's output bound of one choice; nil where it gave none.
    public var bound: Tokens?
    /// Answers that will be generated: choices times prompts.
    public var choices: Int
    /// It will generate the whole bound (`ignore_eos`, `min_tokens`).
    public var isForced: Bool
    /// Nothing is generated (embeddings).
    public var isOutputless: Bool
    /// The answer comes in pieces: its first token will be heard of.
    public var isStreamed: Bool
    /// What its text begins with.
    public var prefix: PromptPrefix
    /// When the client's own patience ends.
    public var deadline: Instant
    /// Under which number `Decider.trace` tells of it; zero where nobody will ask.
    public var trace: UInt64 = 0

    /// `choices` of at least one; fewer count as one.
    public init(
        tenant: TenantID, model: ModelID, trafficClass: ClassID, input: Tokens, bound: Tokens?,
        choices: Int = 1, isForced: Bool = false, isOutputless: Bool = false,
        isStreamed: Bool = true, prefix: PromptPrefix = PromptPrefix(),
        deadline: Instant = .distantFuture
    ) {
        self.tenant = tenant
        self.model = model
        self.trafficClass = trafficClass
        self.input = input
        self.bound = bound
        self.choices = choices
        self.isForced = isForced
        self.isOutputless = isOutputless
        self.isStreamed = isStreamed
        self.prefix = prefix
        self.deadline = deadline
    }
}

/// How an admitted or waiting request ended.
public struct Ending: Sendable {
    /// Tokens generated, all choices.
    public var output: Tokens
    /// From the first token to the last.
    public var generating: Duration
    /// Prompt tokens as the engine reported them; nil where it did not.
    public var input: Tokens?
    /// The engine served it to its end: its length may be learnt from.
    public var isComplete: Bool
    /// The endpoint is to blame: it broke off.
    public var isEngineFault: Bool

    /// One that brought nothing and blames nobody.
    public init(
        output: Tokens = .zero, generating: Duration = .zero, input: Tokens? = nil,
        isComplete: Bool = false, isEngineFault: Bool = false
    ) {
        self.output = output
        self.generating = generating
        self.input = input
        self.isComplete = isComplete
        self.isEngineFault = isEngineFault
    }
}

/// How a probe failed.
public enum ProbeFailure: Sendable, Equatable {
    /// No connection: the engine's process is gone, or does not want any more work.
    case refused
    /// The same of an engine that answers nothing any more once its port is closed.
    case deserted
    /// It answered, and the answer was no.
    case unwell
    /// No answer in time, or a broken one. Busy engines let probes wait for seconds
    /// (llama-server's threads, vLLM's API process), so this counts only where no stream of ours
    /// shows that the engine works.
    case unanswered
}

/// What can happen. Time comes with the call, never from a clock.
public enum Event: Sendable {
    case arrived(RequestID, Arrival)
    /// The store has spoken about a ticket's budget.
    case budgeted(Ticket, BudgetVerdict)
    /// A forwarded request could not be delivered and not one byte of an answer came.
    case bounced(Ticket)
    /// Tokens generated so far, all choices.
    case streamed(Ticket, output: Tokens)
    /// The one end of every ticket, whatever happened; a late second one is ignored.
    case ended(Ticket, Ending)
    /// A scrape or probe is being sent. Without it a reading is taken to speak of any moment since
    /// the last one, and tells less about the others' share.
    case probing(EndpointID)
    /// A scrape or probe was answered; nil when the engine is well and does not tell how full.
    case probed(EndpointID, EngineReading?)
    /// A probe was not answered, or not well.
    case probeFailed(EndpointID, ProbeFailure = .unanswered)
    /// An operator takes an endpoint out of rotation, or puts it back.
    case drained(EndpointID, Bool)
    /// A new configuration: its tables contain all earlier names at their places.
    case reconfigured(Policy)
    /// The store has answered `Action.exchange`.
    case exchanged(ExchangeAnswer)
    /// It has not, and will not.
    case exchangeFailed(number: Int)
    /// Every `SharingPolicy.beat`: what the other gateways are to be told is looked through.
    case sharingDue
    /// Time has passed: queues are looked through.
    case ticked
}

/// What the store is to be asked.
public struct BudgetAsk: Sendable, Equatable {
    /// Whose budget is asked.
    public var tenant: TenantID
    /// Estimated prompt tokens.
    public var input: Tokens
    /// Expected output tokens, all choices.
    public var output: Tokens
    /// In the model's currency.
    public var cost: Double
}

/// What the store answered, as far as the decision needs it.
public enum BudgetVerdict: Sendable, Equatable {
    case reserved
    /// Whose limit has no room, the numbers compared, and the exact time until this request fits.
    case refused(
        LimitKind, of: LimitScope = .tenant, limit: Double, used: Double, requested: Double,
        wait: Duration)
    /// More than the limit can ever hold.
    case neverFits(LimitKind, of: LimitScope = .tenant, limit: Double, requested: Double)
    /// The store does not answer, and without it nobody is let in.
    case unavailable(retryAfter: Duration)
}

/// What is to be done. Carried out by the rim, which does not decide.
public enum Action: Sendable, Equatable {
    /// It is served in this class instead of the one that it came in, whose caps it is over;
    /// `reserve` follows.
    case deferred(RequestID, to: ClassID)
    /// Ask the store, and answer with `Event.budgeted`.
    case reserve(RequestID, Ticket, BudgetAsk)
    /// Send it, with this output bound where the client's must change.
    case forward(RequestID, to: EndpointID, bound: Tokens?)
    /// It waits; an answer will follow.
    case queued(RequestID)
    /// Answer it with a no; `Event.ended` follows all the same. Kept apart, as what is told to the
    /// store: every other action would be as large.
    indirect case refuse(RequestID, Refusal)
    /// Tell the store, and answer with `Event.exchanged` or `exchangeFailed`.
    indirect case exchange(ExchangeAsk)
    /// Wait no longer for this endpoint's answer to it; `Event.ended` follows.
    case abandon(RequestID, at: EndpointID)

    /// Whom it is about; nil: nobody in particular.
    public var request: RequestID? {
        switch self {
        case .deferred(let id, _), .reserve(let id, _, _), .forward(let id, _, _),
            .queued(let id), .refuse(let id, _), .abandon(let id, _):
            id
        case .exchange: nil
        }
    }
}
