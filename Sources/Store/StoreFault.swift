// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// Why a worker has no Redis at present.
public enum StoreFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// The host name has no address yet.
    case unresolved
    /// No sentinel, or no server of the cluster, has said where it is.
    case unknownMaster
    /// What OpenSSL says.
    case tls(String)
    /// The connection could not be made, or broke.
    case connection(SystemFault)
    /// Connecting and greeting took longer than this many milliseconds.
    case openTimeout(milliseconds: Int)
    /// A command had no answer in this many milliseconds.
    case deadline(milliseconds: Int)
    case closedByServer
    /// What came is no answer to what was asked.
    case malformedReply
    case replyTooLarge(limitBytes: Int)
    /// The server is there and does not serve.
    case refused(ServerRefusal)
    /// The server refused one command in these words.
    case command(String)

    /// One line, for people.
    public var description: String {
        switch self {
        case .unresolved: "the host name has no address"
        case .unknownMaster: "nobody has said which server it is"
        case .tls(let reason): reason
        case .connection(let fault): fault.description
        case .openTimeout(let limit): "no connection within \(limit) ms"
        case .deadline(let limit): "no answer within \(limit) ms"
        case .closedByServer: "closed by the server"
        case .malformedReply: "malformed reply"
        case .replyTooLarge(let limit): "a reply over \(limit) bytes"
        case .command(let message): message
        case .refused(let refusal): "the server says \(refusal.rawValue)"
        }
    }
}

/// What a server says that cannot decide for anybody at present. The raw value is Redis's own word.
public enum ServerRefusal: String, Sendable, CaseIterable {
    case loading = "LOADING"
    case readOnly = "READONLY"
    case busy = "BUSY"
    case outOfMemory = "OOM"
    case masterDown = "MASTERDOWN"
    case wrongPassword = "WRONGPASS"
    case noPassword = "NOAUTH"
    case noPermission = "NOPERM"
    case cannotSave = "MISCONF"
    case noReplicas = "NOREPLICAS"
    case clusterDown = "CLUSTERDOWN"
    case moved = "MOVED"
    /// Slots are on their way between servers of a cluster.
    case tryAgain = "TRYAGAIN"
    /// It forgets the script as soon as it is loaded.
    case noScript = "NOSCRIPT"
    /// To a greeting, in any other words.
    case greeting = "ERR"

    /// Of an error reply; nil for one that concerns only its command.
    ///
    /// Redis before 7 wraps the error of a command in a script: `ERR Error running script (…): …
    /// READONLY …`.
    init?(_ message: String) {
        let words = message.split(separator: " ").map { $0.drop { $0 == "-" || $0 == "@" } }
        guard let first = words.first else { return nil }
        if let refusal = ServerRefusal(rawValue: String(first)), refusal != .greeting {
            self = refusal
            return
        }
        guard message.hasPrefix("ERR Error running script") else { return nil }
        for word in words.dropFirst() {
            if let refusal = ServerRefusal(rawValue: String(word)), refusal != .greeting {
                self = refusal
                return
            }
        }
        return nil
    }
}
